#include "process/switch_program.hpp"

namespace prony {

namespace {

// Helpers by their numbers in bpf-helpers(7); all callable whatever a program's licence is (ktime since Linux 5.8).
constexpr int help_lookup = BPF_FUNC_map_lookup_elem, help_update = BPF_FUNC_map_update_elem;

constexpr std::uint8_t width(int bytes) { return bytes == 8 ? BPF_DW : BPF_W; }

constexpr std::int16_t at(std::size_t offset) { return static_cast<std::int16_t>(offset); }

class Assembler {
 public:
  using Jump = std::size_t;  // a jump whose aim is not known yet

  void emit(int code, int to, int from, std::int16_t offset, std::int32_t value) {
    bpf_insn out{};
    out.code = static_cast<__u8>(code);
    out.dst_reg = static_cast<__u8>(to) & 0xf;
    out.src_reg = static_cast<__u8>(from) & 0xf;
    out.off = offset;
    out.imm = value;
    code_.push_back(out);
  }
  void copy(int to, int from) { emit(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void set(int to, std::int32_t value) { emit(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
  void add(int to, std::int32_t value) { emit(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }
  void add_register(int to, int from) { emit(BPF_ALU64 | BPF_ADD | BPF_X, to, from, 0, 0); }
  void subtract(int to, int from) { emit(BPF_ALU64 | BPF_SUB | BPF_X, to, from, 0, 0); }
  void shift_right(int to, std::int32_t bits) { emit(BPF_ALU64 | BPF_RSH | BPF_K, to, 0, 0, bits); }
  void low_half(int to) { emit(BPF_ALU | BPF_MOV | BPF_X, to, to, 0, 0); }  // 32-bit moves clear the upper half
  void load(int bytes, int to, int base, std::int16_t offset) {
    emit(BPF_LDX | BPF_MEM | width(bytes), to, base, offset, 0);
  }
  void store(int bytes, int base, std::int16_t offset, int from) {
    emit(BPF_STX | BPF_MEM | width(bytes), base, from, offset, 0);
  }
  void store_zero(int bytes, int base, std::int16_t offset) {
    emit(BPF_ST | BPF_MEM | width(bytes), base, 0, offset, 0);
  }
  void add_atomically(int base, std::int16_t offset, int from) {
    emit(BPF_STX | BPF_XADD | BPF_DW, base, from, offset, BPF_ADD);
  }
  void map(int to, int descriptor) {
    emit(BPF_LD | BPF_IMM | BPF_DW, to, BPF_PSEUDO_MAP_FD, 0, descriptor);
    emit(0, 0, 0, 0, 0);
  }
  void call(int helper) { emit(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
  void leave() {
    set(0, 0);
    emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }
  Jump jump() { return jump_with(BPF_JMP | BPF_JA, 0, 0, 0); }
  Jump jump_if_zero(int one) { return jump_with(BPF_JMP | BPF_JEQ | BPF_K, one, 0, 0); }
  Jump jump_if_not_zero(int one) { return jump_with(BPF_JMP | BPF_JNE | BPF_K, one, 0, 0); }
  Jump jump_if_unequal(int one, int other) { return jump_with(BPF_JMP | BPF_JNE | BPF_X, one, other, 0); }
  void here(Jump from) { code_[from].off = static_cast<__s16>(code_.size() - from - 1); }

  [[nodiscard]] std::vector<bpf_insn> take() { return std::move(code_); }

 private:
  Jump jump_with(int code, int one, int other, std::int32_t value) {
    emit(code, one, other, 0, value);
    return code_.size() - 1;
  }
  std::vector<bpf_insn> code_;
};

// Where things lie in all of the programs. r6…r9 outlive calls.
enum : int { r0, r1, r2, r3, r4, r5, context, now, slot, who, frame };
constexpr std::int16_t key_at = -8, zero_at = -16, value_at = -80;
static_assert(sizeof(SwitchKey) == 8 && sizeof(SwitchValue) == 48 && sizeof(SwitchSlot) == 56);

void point_at_frame(Assembler& code, int to, std::int16_t offset) {
  code.copy(to, frame);
  code.add(to, offset);
}

// r0 = this CPU's slot; leaves the program where there is none (which cannot be, but the verifier does not know it).
void find_slot(Assembler& code, int slots_map) {
  code.store_zero(4, frame, zero_at);
  code.map(r1, slots_map);
  point_at_frame(code, r2, zero_at);
  code.call(help_lookup);
  const auto found = code.jump_if_not_zero(r0);
  code.leave();
  code.here(found);
  code.copy(slot, r0);
}

// From `who` (process << 32 | thread) the key, on the stack.
void make_key(Assembler& code) {
  code.copy(r1, who);
  code.shift_right(r1, 32);
  code.store(4, frame, key_at, r1);
  code.load(4, r1, slot, at(offsetof(SwitchSlot, package)));
  code.store(4, frame, key_at + 4, r1);
}

void look_up_use(Assembler& code, int uses_map) {
  code.map(r1, uses_map);
  point_at_frame(code, r2, key_at);
  code.call(help_lookup);
}

// Who the running task is, into an entry that `base` + `offset` points at.
void describe(Assembler& code, int base, std::int16_t offset) {
  const auto field = [offset](std::size_t of) { return static_cast<std::int16_t>(offset + at(of)); };
  code.call(BPF_FUNC_get_current_cgroup_id);
  code.store(8, base, field(offsetof(SwitchValue, cgroup)), r0);
  code.call(BPF_FUNC_get_current_uid_gid);
  code.store(4, base, field(offsetof(SwitchValue, user)), r0);
  code.copy(r1, base);
  code.add(r1, field(offsetof(SwitchValue, name)));
  code.set(r2, sizeof(SwitchValue::name));
  code.call(BPF_FUNC_get_current_comm);
}

// Puts an entry of `now` ns (a difference by then) into the table if none is there; r0: 0 if it did.
void create_use(Assembler& code, int uses_map) {
  for (std::int16_t word = 0; word < at(sizeof(SwitchValue)); word = static_cast<std::int16_t>(word + 8))
    code.store_zero(8, frame, static_cast<std::int16_t>(value_at + word));
  code.store(8, frame, value_at, now);
  describe(code, frame, value_at);
  code.map(r1, uses_map);
  point_at_frame(code, r2, key_at);
  point_at_frame(code, r3, value_at);
  code.set(r4, BPF_NOEXIST);
  code.call(help_update);
}

}  // namespace

// Runs with the CPU's run queue locked: it is short, has no loop, and what it waits for is a bucket of a hash at most.
std::vector<bpf_insn> switch_program(int slots_map, int uses_map) {
  Assembler code;
  code.copy(context, r1);  // arguments: preempt, prev, next; all 0 when user space runs it
  find_slot(code, slots_map);
  code.call(BPF_FUNC_ktime_get_ns);
  code.copy(now, r0);
  code.load(8, who, slot, at(offsetof(SwitchSlot, last_ns)));
  code.store(8, slot, at(offsetof(SwitchSlot, last_ns)), now);
  code.subtract(now, who);  // from here on: the slice
  code.load(8, r1, context, 16);
  const auto asked = code.jump_if_zero(r1);
  code.store(8, slot, at(offsetof(SwitchSlot, next_task)), r1);
  code.load(8, r1, slot, at(offsetof(SwitchSlot, switches)));
  code.add(r1, 1);
  code.store(8, slot, at(offsetof(SwitchSlot, switches)), r1);
  code.here(asked);
  const auto counted = code.jump_if_not_zero(who);
  code.leave();  // the first switch here: when the slice began is not known
  code.here(counted);
  code.call(BPF_FUNC_get_current_pid_tgid);
  code.copy(who, r0);
  const auto busy = code.jump_if_not_zero(who);

  code.load(8, r1, context, 8);
  const auto unnamed = code.jump_if_zero(r1);
  code.store(8, slot, at(offsetof(SwitchSlot, idle_task)), r1);
  code.here(unnamed);
  code.load(8, r1, slot, at(offsetof(SwitchSlot, idle_ns)));
  code.add_register(r1, now);
  code.store(8, slot, at(offsetof(SwitchSlot, idle_ns)), r1);
  code.leave();

  code.here(busy);
  make_key(code);
  look_up_use(code, uses_map);
  const auto missing = code.jump_if_zero(r0);
  code.add_atomically(r0, at(offsetof(SwitchValue, cpu_ns)), now);
  code.leave();
  code.here(missing);
  create_use(code, uses_map);
  const auto made = code.jump_if_zero(r0);
  look_up_use(code, uses_map);  // another CPU was faster, or the table is full
  const auto full = code.jump_if_zero(r0);
  code.add_atomically(r0, at(offsetof(SwitchValue, cpu_ns)), now);
  const auto added = code.jump();
  code.here(full);
  code.load(8, r1, slot, at(offsetof(SwitchSlot, lost_ns)));
  code.add_register(r1, now);
  code.store(8, slot, at(offsetof(SwitchSlot, lost_ns)), r1);
  code.here(made);
  code.here(added);
  code.leave();
  return code.take();
}

// It moves nothing that the other program moves: an interrupt may run that one in the middle of this one.
std::vector<bpf_insn> exit_program(int slots_map, int uses_map) {
  Assembler code;
  code.call(BPF_FUNC_get_current_pid_tgid);
  code.copy(who, r0);
  code.copy(r1, who);
  code.shift_right(r1, 32);
  code.copy(r2, who);
  code.low_half(r2);
  const auto not_first = code.jump_if_unequal(r1, r2);
  find_slot(code, slots_map);
  make_key(code);
  look_up_use(code, uses_map);
  const auto known = code.jump_if_not_zero(r0);
  code.set(now, 0);
  create_use(code, uses_map);
  look_up_use(code, uses_map);
  const auto full = code.jump_if_zero(r0);
  code.here(known);
  code.copy(who, r0);
  code.call(BPF_FUNC_ktime_get_ns);
  code.load(8, r1, slot, at(offsetof(SwitchSlot, last_ns)));
  code.subtract(r0, r1);
  code.load(8, r1, who, at(offsetof(SwitchValue, cpu_ns)));
  code.add_register(r1, r0);
  code.store(8, who, at(offsetof(SwitchValue, at_exit_ns)), r1);
  code.load(4, r1, who, at(offsetof(SwitchValue, exits)));
  code.add(r1, 1);
  code.store(4, who, at(offsetof(SwitchValue, exits)), r1);
  describe(code, who, 0);
  code.here(full);
  code.here(not_first);
  code.leave();
  return code.take();
}

}  // namespace prony
