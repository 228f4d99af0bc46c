// cpuidle: time that all CPUs together spent in each idle state, by the state's name.
// reads       /sys/devices/system/cpu/cpu*/cpuidle/state*/{name,time}
// unit        µs of one CPU, counter: two CPUs in C6 for a second add 2 s
// period      a CPU adds its stay when it leaves the state: a CPU that sleeps on is late by the length of that sleep
// wrap        64-bit, never;  privilege none;  part_of nothing
// bound       one channel per state name; each CPU's own only on request. Every file stays open: above three eighths
//             of the files that Prony may have (`ulimit -Hn`; 16384 at most) nothing is read, and it says so
// source      Documentation/admin-guide/pm/cpuidle.rst, Documentation/ABI/testing/sysfs-devices-system-cpu
#include <map>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"
#include "sensors/sum_sensor.hpp"

namespace prony {

namespace {

Channel state_channel(const std::string& who, const std::string& state) {
  Channel channel;
  channel.sensor = "cpuidle";
  channel.device = who;
  channel.domain = who + "-" + name_part(state);
  channel.name = "cpuidle." + (who == "cpu" ? "" : who + ".") + name_part(state) + ".time";
  channel.measure = Measure::time;
  channel.kind = ChannelKind::counter;
  channel.scale = 1e-6;
  return channel;
}

bool is_numbered(std::string_view name, std::string_view stem) {
  return name.starts_with(stem) && name.size() > stem.size() && parse_u64(name.substr(stem.size())).has_value();
}

}  // namespace

Probe make_cpuidle(Machine& machine, const SensorOptions& options) {
  const std::string top = "/sys/devices/system/cpu";
  SumSensorBuilder builder(machine);
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> states;                         // name → its files
  std::vector<std::pair<std::string, std::pair<std::string, std::string>>> each;  // CPU → name, file
  for (const auto& cpu : machine.list(top).value_or(std::vector<std::string>{})) {
    if (!is_numbered(cpu, "cpu")) continue;
    const auto folder = top + "/" + cpu + "/cpuidle";
    for (const auto& state : machine.list(folder).value_or(std::vector<std::string>{})) {
      if (!is_numbered(state, "state")) continue;
      const auto text = machine.read_text(folder + "/" + state + "/name");
      const auto name = text && !text->empty() ? *text : state;
      if (!states.contains(name)) order.push_back(name);
      states[name].push_back(folder + "/" + state + "/time");
      each.push_back({cpu, {name, states[name].back()}});
    }
  }
  const std::size_t files = options.every_channel ? 2 * each.size() : each.size();
  if (const auto most = most_files_of_sensor(machine); files > most) {
    builder.unavailable().push_back({"cpuidle",
                                     std::to_string(files) +
                                         " files of CPUs and states would have to stay open; one sensor of Prony "
                                         "keeps at most " +
                                         std::to_string(most),
                                     "allow Prony more open files: ulimit -Hn"});
    return builder.finish(LaneKind::slow);
  }
  for (const auto& name : order) builder.add(state_channel("cpu", name), states[name]);
  if (options.every_channel)
    for (const auto& [cpu, state] : each) builder.add(state_channel(cpu, state.first), {state.second});
  if (builder.size() == 0 && builder.unavailable().empty())
    builder.unavailable().push_back({"cpuidle", "the kernel has no idle-state driver here",
                                     "usual in a virtual machine: the host sees the idle states"});
  return builder.finish(LaneKind::slow);
}

}  // namespace prony
