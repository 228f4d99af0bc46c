// What must be read twice. Sources: proc(5); Documentation/admin-guide/cpu-load; thermal_throttle of x86;
// vcgencmd get_throttled as the firmware driver of the Raspberry Pi shows it.
#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "base/text.hpp"
#include "doctor/doctor.hpp"
#include "process/proc_files.hpp"

namespace prony::doctor {

namespace {

constexpr std::size_t most_processes = 20'000;  // a screen about a machine must come within a second
constexpr std::size_t most_cpus = 4096;

// "cpu  user nice system idle iowait irq softirq steal …", all of it decimal.
void read_cpu_line(Machine& machine, Snapshot& snapshot) {
  const auto text = machine.read_text("/proc/stat");
  if (!text) return;
  const std::string line = text->substr(0, text->find('\n'));
  if (!line.starts_with("cpu ")) return;
  std::array<std::uint64_t, 8> fields{};
  std::size_t count = 0;
  for (const std::string_view word : split(std::string_view(line).substr(4), ' ')) {
    if (word.empty()) continue;
    const auto value = parse_u64(word);
    if (!value || *value > (std::uint64_t{1} << 60)) return;
    if (count < fields.size()) fields[count++] = *value;
  }
  if (count < 4) return;
  const auto [user, nice, system, idle, waiting, interrupt, soft, stolen] = fields;
  snapshot.busy_ticks = user + nice + system + interrupt + soft;
  snapshot.stolen_ticks = stolen;
  snapshot.all_ticks = snapshot.busy_ticks + idle + waiting + stolen;
  snapshot.cpu_known = true;
}

void read_processes(Machine& machine, Snapshot& snapshot) {
  const auto names = machine.list("/proc");
  if (!names) return;
  for (const std::string& name : *names) {
    if (!parse_u64(name)) continue;
    const auto text = machine.read_text("/proc/" + name + "/stat");
    if (!text) continue;  // it ended, or is not for us
    const auto stat = parse_process_stat(*text);
    if (!stat) continue;
    snapshot.processes.push_back(
        {stat->pid, std::string(stat->name.data()), stat->user_ticks + stat->system_ticks, stat->start_ticks});
    if (snapshot.processes.size() == most_processes) break;
  }
  std::ranges::sort(snapshot.processes, {}, &Snapshot::Process::pid);
}

// Every CPU of a core tells the core's count, and every CPU of a package the package's: each counts once.
std::optional<std::uint64_t> throttle_events(Machine& machine) {
  std::map<std::string, std::uint64_t> counts;
  const unsigned cpus = machine.cpu_count();
  for (unsigned cpu = 0; cpu < cpus && cpu < most_cpus; ++cpu) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/";
    const auto package = machine.read_text(folder + "topology/physical_package_id").value_or("");
    const auto core = machine.read_text(folder + "topology/core_id").value_or("of CPU " + std::to_string(cpu));
    for (const auto& [name, owner] :
         {std::pair{"core_throttle_count", package + " core " + core}, std::pair{"package_throttle_count", package}}) {
      const auto text = machine.read_text(folder + "thermal_throttle/" + name);
      const auto value = text ? parse_u64(*text) : std::nullopt;
      if (value) counts[owner] = std::max(counts[owner], *value);
    }
  }
  if (counts.empty()) return std::nullopt;
  std::uint64_t sum = 0;
  for (const auto& [owner, count] : counts) sum += count;
  return sum;
}

std::optional<std::uint64_t> swapped(Machine& machine) {
  const auto text = machine.read_text("/proc/vmstat");
  if (!text) return std::nullopt;
  std::optional<std::uint64_t> sum;
  for_each_line(*text, [&](std::string_view line) {
    for (const std::string_view name : {"pswpin ", "pswpout "})
      if (line.starts_with(name))
        if (const auto value = parse_u64(line.substr(name.size()))) sum = sum.value_or(0) + *value;
  });
  return sum;
}

// Hexadecimal, with or without 0x.
std::optional<std::uint64_t> firmware_flags(Machine& machine) {
  const auto text = machine.read_text("/sys/devices/platform/soc/soc:firmware/get_throttled");
  if (!text) return std::nullopt;
  std::string_view digits = trim(*text);
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc{} || end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
  return value;
}

}  // namespace

Snapshot take_snapshot(Machine& machine) {
  Snapshot snapshot;
  read_cpu_line(machine, snapshot);
  read_processes(machine, snapshot);
  snapshot.throttled = throttle_events(machine);
  snapshot.swapped_pages = swapped(machine);
  snapshot.firmware_flags = firmware_flags(machine);
  return snapshot;
}

}  // namespace prony::doctor
