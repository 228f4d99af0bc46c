#include "process/switch_meter.hpp"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/text.hpp"
#include "machine/machine.hpp"
#include "machine/names.hpp"
#include "process/bpf_calls.hpp"

namespace prony {

namespace {

// PROC_PID_INIT_INO of include/linux/proc_ns.h: the inode of the namespace in which the kernel numbers processes.
constexpr const char* first_namespace = "pid:[4026531836]";
constexpr std::array<std::uint64_t, 3> no_switch{};  // arguments by which the program knows that nobody leaves
// An entry that nothing was added to for so many looks is asked whether its process is still there.
constexpr std::uint32_t looks_between_checks = 16;

// Packages by CPU; always of the machine this runs on: no --sysfs can move its programs elsewhere.
Result<std::vector<unsigned>> possible_cpus(Machine& machine) {
  const std::string path = "/sys/devices/system/cpu/possible";
  const auto text = machine.read_text(path);
  auto cpus = text ? cpus_of_list(trim(*text)) : std::nullopt;
  if (!cpus || cpus->empty())
    return fail(ErrorCode::absent, "which CPUs this machine can have is not readable", path, "mount /sys");
  return std::move(*cpus);
}

std::uint32_t package_of(Machine& machine, unsigned cpu) {
  const auto text =
      machine.read_text("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/physical_package_id");
  const auto number = text ? parse_u64(trim(*text)) : std::nullopt;
  return number && *number < 65536 ? static_cast<std::uint32_t>(*number) : 0;  // "-1": the only one
}

Instant monotonic_now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant{static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec};
}

}  // namespace

Result<SwitchMeter> SwitchMeter::create(const SwitchMeterOptions& options) {
  const auto machine = make_live_machine();
  const auto space = machine->read_link("/proc/self/ns/pid");
  if (!space || *space != first_namespace)
    return fail(ErrorCode::absent, "this container numbers processes in its own way: the kernel's numbers mean nothing",
                "/proc/self/ns/pid", "start the container with the host's PID namespace (--pid=host)");
  auto cpus = possible_cpus(*machine);
  if (!cpus) return Unexpected<Error>(cpus.error());

  SwitchMeter meter;
  meter.cpus_ = std::move(*cpus);
  meter.slots_.resize(meter.cpus_.size());
  const std::size_t entries = std::max<std::size_t>(options.most_entries, 1);
  auto slots = make_bpf_map(BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(std::uint32_t), sizeof(SwitchSlot), 1, "prony_slots");
  if (!slots) return Unexpected<Error>(slots.error());
  auto uses = make_bpf_map(BPF_MAP_TYPE_HASH, sizeof(SwitchKey), sizeof(SwitchValue), entries, "prony_uses");
  if (!uses) return Unexpected<Error>(uses.error());
  meter.slots_map_ = std::move(*slots);
  meter.uses_map_ = std::move(*uses);
  for (std::size_t i = 0; i < meter.cpus_.size(); ++i) meter.slots_[i].package = package_of(*machine, meter.cpus_[i]);
  const std::uint32_t zero = 0;
  if (const int status = bpf_write(meter.slots_map_, &zero, meter.slots_.data()); status != 0)
    return Unexpected<Error>(error_from_errno(-status, "bpf()", "cannot write a BPF map"));

  const int slots_fd = meter.slots_map_.get(), uses_fd = meter.uses_map_.get();
  auto on_switch = load_bpf_program(prony::switch_program(slots_fd, uses_fd), "prony_switch");
  if (!on_switch) return Unexpected<Error>(on_switch.error());
  auto on_exit = load_bpf_program(exit_program(slots_fd, uses_fd), "prony_exit");
  if (!on_exit) return Unexpected<Error>(on_exit.error());
  meter.switch_ = std::move(*on_switch);
  meter.exit_ = std::move(*on_exit);
  auto link = attach_to_tracepoint(meter.switch_, "sched_switch");
  if (!link) return Unexpected<Error>(link.error());
  meter.switch_link_ = std::move(*link);
  link = attach_to_tracepoint(meter.exit_, "sched_process_exit");
  if (!link) return Unexpected<Error>(link.error());
  meter.exit_link_ = std::move(*link);

  // From here on every CPU has a beginning. A CPU that is off answers ENXIO.
  bool any = false;
  int status = 0;
  for (const unsigned cpu : meter.cpus_) {
    status = bpf_run_on(meter.switch_, cpu, no_switch);
    any = any || status == 0;
  }
  if (!any)
    return fail(ErrorCode::absent, "this kernel cannot run a program of a tracepoint on a given CPU (Linux 5.10 can)",
                "bpf()");
  meter.values_.resize(entries);
  meter.keys_.resize(entries);
  meter.last_ = monotonic_now();
  SwitchLook until_now;
  if (auto looked = meter.look(until_now); !looked) return Unexpected<Error>(looked.error());
  return meter;
}

int SwitchMeter::read_slots() noexcept {
  const std::uint32_t zero = 0;
  return bpf_read(slots_map_, &zero, slots_.data());
}

// Adds what runs now to its process. An idle CPU is left alone: it would have to be woken for it.
void SwitchMeter::count_running() noexcept {
  for (std::size_t i = 0; i < cpus_.size(); ++i) {
    const auto& slot = slots_[i];
    const bool idle = slot.idle_task != 0 && slot.next_task == slot.idle_task;
    if (!idle) (void)bpf_run_on(switch_, cpus_[i], no_switch);  // ENXIO: that CPU is off
  }
}

void SwitchMeter::take_use(const SwitchKey& key, const SwitchValue& value, SwitchLook& out) {
  const auto process = static_cast<pid_t>(key.process);
  auto& seen = seen_[key];
  const bool news = value.cpu_ns != seen.cpu_ns || value.exits != seen.exits;
  if (news) {
    SwitchUse use;
    use.process = process;
    use.package = key.package;
    use.cpu_ns = static_cast<std::int64_t>(value.cpu_ns - seen.cpu_ns);
    use.exits = value.exits - seen.exits;
    use.before_exit_ns = use.exits > 0 ? std::clamp<std::int64_t>(
                                             static_cast<std::int64_t>(value.at_exit_ns - seen.cpu_ns), 0, use.cpu_ns)
                                       : 0;
    use.user = value.user;
    use.cgroup = value.cgroup;
    use.name = value.name;
    use.name.back() = 0;
    out.uses.push_back(use);
    seen = {value.cpu_ns, value.exits, 0};
    return;
  }
  ++seen.quiet_looks;
  const bool check = value.exits > 0 || seen.quiet_looks % looks_between_checks == 0;
  // Who did not run in a whole look and is no more will not run again: nothing can be added to what is erased here.
  if (check && ::kill(process, 0) != 0 && errno == ESRCH) gone_.push_back(key);
}

int SwitchMeter::read_uses(SwitchLook& out) {
  gone_.clear();
  std::uint32_t cookie = 0;
  for (bool begin = true;; begin = false) {
    auto count = static_cast<std::uint32_t>(keys_.size());
    const int status = bpf_read_many(uses_map_, begin, cookie, keys_.data(), values_.data(), count);
    if (status != 0 && status != -ENOENT) return status;
    for (std::uint32_t i = 0; i < count; ++i) take_use(keys_[i], values_[i], out);
    if (status == -ENOENT) break;
  }
  for (const SwitchKey& key : gone_) {
    (void)bpf_erase(uses_map_, &key);
    seen_.erase(key);
  }
  return 0;
}

void SwitchMeter::add_slots(SwitchLook& out, Instant now) noexcept {
  std::uint64_t idle = 0, lost = 0, switches = 0;
  for (const SwitchSlot& slot : slots_) {
    idle += slot.idle_ns;
    const auto until = static_cast<std::uint64_t>(now.ns);
    if (slot.idle_task != 0 && slot.next_task == slot.idle_task && until > slot.last_ns) idle += until - slot.last_ns;
    lost += slot.lost_ns;
    switches += slot.switches;
  }
  out.idle_ns = static_cast<std::int64_t>(idle - idle_ns_);
  out.lost_ns = static_cast<std::int64_t>(lost - lost_ns_);
  out.switches = switches - switches_;
  idle_ns_ = idle;
  lost_ns_ = lost;
  switches_ = switches;
}

Result<void> SwitchMeter::look(SwitchLook& out) {
  out.uses.clear();
  const auto refused = [](int status) {
    return Unexpected<Error>(error_from_errno(-status, "bpf()", "cannot read what processes used"));
  };
  if (const int status = read_slots(); status != 0) return refused(status);
  count_running();
  const auto now = monotonic_now();
  if (const int status = read_slots(); status != 0) return refused(status);
  if (const int status = read_uses(out); status != 0) return refused(status);
  add_slots(out, now);
  out.between = {last_, now};
  last_ = now;
  return {};
}

}  // namespace prony
