#include "process/bpf_calls.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace prony {

namespace {

// The kernel takes pointers as 64 bits everywhere.
template <class T>
std::uint64_t pointer(T* to) noexcept {
  return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(to));
}

bpf_attr blank() noexcept {
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);  // also the padding: the kernel refuses what it does not know
  return attributes;
}

long bpf(int command, bpf_attr& attributes) noexcept {
  return ::syscall(SYS_bpf, command, &attributes, static_cast<unsigned>(sizeof attributes));
}

int result_of(long answer) noexcept { return answer < 0 ? -errno : 0; }

Unexpected<Error> refused_call(int errno_value, const char* what) {
  if (errno_value == EPERM || errno_value == EACCES)
    return fail(ErrorCode::denied, std::string(what) + ": this user may not (CAP_BPF and CAP_PERFMON are needed)",
                "bpf()",
                "run Prony as root, or give it the capabilities: sudo setcap cap_bpf,cap_perfmon+ep \"$(command -v "
                "prony)\"; before Linux 5.11 also: ulimit -l unlimited");
  if (errno_value == ENOSYS) return fail(ErrorCode::absent, "this kernel has no bpf() system call", "bpf()");
  auto error = error_from_errno(errno_value, "bpf()", what);
  if (errno_value == EINVAL) error.code = ErrorCode::absent;  // an older kernel does not know the command
  return Unexpected<Error>(std::move(error));
}

void set_name(char (&field)[BPF_OBJ_NAME_LEN], const char* name) noexcept {
  std::strncpy(field, name, sizeof field - 1);
}

}  // namespace

Result<Fd> make_bpf_map(bpf_map_type type, std::size_t key_bytes, std::size_t value_bytes, std::size_t entries,
                        const char* name) {
  auto attributes = blank();
  attributes.map_type = type;
  attributes.key_size = static_cast<std::uint32_t>(key_bytes);
  attributes.value_size = static_cast<std::uint32_t>(value_bytes);
  attributes.max_entries = static_cast<std::uint32_t>(entries);
  set_name(attributes.map_name, name);
  const long map = bpf(BPF_MAP_CREATE, attributes);
  if (map < 0) return refused_call(errno, "cannot make a BPF map");
  return Fd(static_cast<int>(map));
}

Result<Fd> load_bpf_program(std::span<const bpf_insn> code, const char* name) {
  auto attributes = blank();
  attributes.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
  attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
  attributes.insns = pointer(code.data());
  attributes.license = pointer("Apache-2.0");
  set_name(attributes.prog_name, name);
  long program = bpf(BPF_PROG_LOAD, attributes);
  if (program >= 0) return Fd(static_cast<int>(program));
  const int why = errno;
  if (why == EPERM) return refused_call(why, "cannot load a BPF program");
  // Once more for the verifier's own words; the last line says what it did not like.
  std::array<char, 16384> log{};
  attributes.log_level = 1;
  attributes.log_buf = pointer(log.data());
  attributes.log_size = log.size();
  program = bpf(BPF_PROG_LOAD, attributes);
  if (program >= 0) return Fd(static_cast<int>(program));
  auto error = refused_call(why, "cannot load a BPF program");
  if (log[0] != 0) {
    std::string text(log.data(), ::strnlen(log.data(), log.size()));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const auto last = text.rfind("processed ");  // statistics, after the reason
    if (last != std::string::npos) text.resize(last);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const auto line = text.rfind('\n');
    return fail(error.value().code,
                "cannot load a BPF program; the kernel says: " + text.substr(line == std::string::npos ? 0 : line + 1),
                "bpf()", error.value().fix);
  }
  return error;
}

Result<Fd> attach_to_tracepoint(const Fd& program, const char* tracepoint) {
  auto attributes = blank();
  attributes.raw_tracepoint.name = pointer(tracepoint);
  attributes.raw_tracepoint.prog_fd = static_cast<std::uint32_t>(program.get());
  const long link = bpf(BPF_RAW_TRACEPOINT_OPEN, attributes);
  if (link >= 0) return Fd(static_cast<int>(link));
  return refused_call(errno, "cannot attach to a tracepoint of the scheduler");
}

int bpf_read(const Fd& map, const void* key, void* value) noexcept {
  auto attributes = blank();
  attributes.map_fd = static_cast<std::uint32_t>(map.get());
  attributes.key = pointer(key);
  attributes.value = pointer(value);
  return result_of(bpf(BPF_MAP_LOOKUP_ELEM, attributes));
}

int bpf_write(const Fd& map, const void* key, const void* value) noexcept {
  auto attributes = blank();
  attributes.map_fd = static_cast<std::uint32_t>(map.get());
  attributes.key = pointer(key);
  attributes.value = pointer(value);
  attributes.flags = BPF_ANY;
  return result_of(bpf(BPF_MAP_UPDATE_ELEM, attributes));
}

int bpf_erase(const Fd& map, const void* key) noexcept {
  auto attributes = blank();
  attributes.map_fd = static_cast<std::uint32_t>(map.get());
  attributes.key = pointer(key);
  return result_of(bpf(BPF_MAP_DELETE_ELEM, attributes));
}

int bpf_read_many(const Fd& map, bool begin, std::uint32_t& cookie, void* keys, void* values,
                  std::uint32_t& count) noexcept {
  auto attributes = blank();
  attributes.batch.in_batch = begin ? 0 : pointer(&cookie);
  attributes.batch.out_batch = pointer(&cookie);
  attributes.batch.keys = pointer(keys);
  attributes.batch.values = pointer(values);
  attributes.batch.count = count;
  attributes.batch.map_fd = static_cast<std::uint32_t>(map.get());
  const int status = result_of(bpf(BPF_MAP_LOOKUP_BATCH, attributes));
  count = attributes.batch.count;
  return status;
}

int bpf_run_on(const Fd& program, unsigned cpu, std::span<const std::uint64_t> arguments) noexcept {
  auto attributes = blank();
  attributes.test.prog_fd = static_cast<std::uint32_t>(program.get());
  attributes.test.ctx_in = pointer(arguments.data());
  attributes.test.ctx_size_in = static_cast<std::uint32_t>(arguments.size_bytes());
  attributes.test.flags = BPF_F_TEST_RUN_ON_CPU;
  attributes.test.cpu = cpu;
  return result_of(bpf(BPF_PROG_TEST_RUN, attributes));
}

}  // namespace prony
