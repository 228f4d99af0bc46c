// cgroup: CPU time and memory of the control group that Prony itself runs in: in a container, that container's.
// reads       version 2: cpu.stat (usage_usec, throttled_usec), memory.current;  version 1: cpuacct.usage (ns),
//             cpu.stat (throttled_time, ns), memory.usage_in_bytes
// unit        µs or ns of CPU (counter), bytes;  throttled: wall time of a CPU in which the group had used up its quota
// period      CPU time at the scheduler tick, the rest at every read;  privilege none
// part_of     nothing; the measured command is in it unless it was given a group elsewhere, and so is Prony
// absent      in the root group: that is the whole machine, which cpu and memory tell
// source      Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/cpuacct.rst, scheduler/sched-bwc.rst
#include "base/text.hpp"
#include "sensors/own_cgroup.hpp"
#include "sensors/rows.hpp"
#include "sensors/text_file.hpp"

namespace prony {

namespace {

Channel cgroup_channel(std::string name, Measure measure, double scale) {
  Channel channel;
  channel.name = "cgroup." + std::move(name);
  channel.sensor = "cgroup";
  channel.domain = "cgroup";
  channel.measure = measure;
  channel.scale = scale;
  if (measure == Measure::time) channel.kind = ChannelKind::counter;
  return channel;
}

TextValue of_line(std::string key) {
  return [key = std::move(key)](std::string_view text) { return number_of_line(text, key); };
}
std::optional<std::int64_t> whole_text(std::string_view text) noexcept { return number_in_line(text, 0); }

// CPU time of a group is Measure::time: cpu_time stands for what splits the whole machine's energy.
void add_cpu(Machine& machine, TextSensorBuilder& builder) {
  const auto cpu = own_cgroup(machine, "cpu");
  if (cpu && cpu->version_2 && !cpu->top) {
    std::vector<TextField> fields;
    fields.push_back({cgroup_channel("cpu", Measure::time, 1e-6), of_line("usage_usec")});
    // Only with the cpu controller switched on for this group.
    const auto text = machine.read_text(cpu->path + "/cpu.stat");
    if (text && number_of_line(*text, "throttled_usec"))
      fields.push_back({cgroup_channel("throttled", Measure::time, 1e-6), of_line("throttled_usec")});
    builder.add(cpu->path + "/cpu.stat", std::move(fields));
    return;
  }
  const auto account = own_cgroup(machine, "cpuacct");
  if (account && !account->version_2 && !account->top)
    builder.add(account->path + "/cpuacct.usage", {{cgroup_channel("cpu", Measure::time, 1e-9), whole_text}});
  if (cpu && !cpu->version_2 && !cpu->top)
    builder.add(cpu->path + "/cpu.stat",
                {{cgroup_channel("throttled", Measure::time, 1e-9), of_line("throttled_time")}});
}

void add_memory(Machine& machine, TextSensorBuilder& builder) {
  const auto memory = own_cgroup(machine, "memory");
  if (!memory || memory->top) return;
  const auto path = memory->path + (memory->version_2 ? "/memory.current" : "/memory.usage_in_bytes");
  if (memory->version_2 && !machine.exists(path)) return;  // the controller is not switched on for this group
  builder.add(path, {{cgroup_channel("memory", Measure::memory, 1), whole_text}});
}

}  // namespace

Probe make_cgroup(Machine& machine, const SensorOptions&) {
  TextSensorBuilder builder(machine);
  add_cpu(machine, builder);
  add_memory(machine, builder);
  if (builder.size() == 0 && builder.unavailable().empty()) {
    const auto groups = machine.read_text("/proc/self/cgroup");
    builder.unavailable().push_back(
        {"cgroup",
         groups ? "Prony runs in the root control group, which is the whole machine, or in one that it cannot see"
                : "/proc/self/cgroup: " + groups.error().what,
         {}});
  }
  return builder.finish(LaneKind::slow);
}

}  // namespace prony
