// Checks of the processors: who else uses them, what sets their clock, what is hidden by a VM or a container.
#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "doctor/checks.hpp"

namespace prony::doctor {

namespace {

constexpr double poor_foreign_share = 0.10;  // of the machine, as the summary's warning has it
constexpr double note_foreign_share = 0.02;
constexpr std::size_t shown_processes = 3;

struct User {
  std::string name;
  double ticks = 0;
};

// CPU ticks of every process but Prony's between the snapshots, the largest first. Identity is pid and start.
std::vector<User> users_between(const Patient& patient, double& own_ticks) {
  std::vector<User> users;
  for (const Snapshot::Process& now : patient.after.processes) {
    const auto before = std::ranges::lower_bound(patient.before.processes, now.pid, {}, &Snapshot::Process::pid);
    const bool same = before != patient.before.processes.end() && before->pid == now.pid &&
                      before->start_ticks == now.start_ticks && before->ticks <= now.ticks;
    const double ticks = static_cast<double>(now.ticks - (same ? before->ticks : 0));
    if (!same && before != patient.before.processes.end() && before->pid == now.pid &&
        before->start_ticks == now.start_ticks)
      continue;  // went backwards: rubbish
    if (now.pid == patient.host.own_pid) {
      own_ticks += ticks;
    } else if (ticks > 0) {
      users.push_back({now.name, ticks});
    }
  }
  std::ranges::sort(
      users, [](const User& a, const User& b) { return a.ticks != b.ticks ? a.ticks > b.ticks : a.name < b.name; });
  return users;
}

// "powersave on 8" for every value that `file` has in the folders of /sys/devices/system/cpu/cpufreq.
std::vector<std::pair<std::string, unsigned>> policy_values(Machine& machine, const std::string& file) {
  std::vector<std::pair<std::string, unsigned>> values;
  const std::string root = "/sys/devices/system/cpu/cpufreq";
  const auto policies = machine.list(root);
  if (!policies) return values;
  for (const std::string& policy : *policies) {
    if (!policy.starts_with("policy")) continue;
    const auto text = machine.read_text(root + "/" + policy + "/" + file);
    if (!text || text->empty()) continue;
    const std::string value = printable(*text, 24);
    const auto known = std::ranges::find(values, value, &std::pair<std::string, unsigned>::first);
    if (known == values.end())
      values.emplace_back(value, 1);
    else
      ++known->second;
  }
  return values;
}

std::string value_words(const std::vector<std::pair<std::string, unsigned>>& values) {
  std::string text;
  for (const auto& [value, count] : values)
    text += (text.empty() ? "" : ", ") + value + (values.size() > 1 ? " on " + std::to_string(count) : "");
  return text;
}

std::string container_of(Machine& machine) {
  if (machine.exists("/.dockerenv")) return "Docker";
  if (machine.exists("/run/.containerenv")) return "Podman";
  const std::string first =
      machine.read_text("/proc/1/cgroup").value_or("") + machine.read_text("/proc/self/cgroup").value_or("");
  constexpr std::array<std::pair<std::string_view, const char*>, 5> marks{{{"kubepods", "Kubernetes"},
                                                                           {"/docker", "Docker"},
                                                                           {"libpod", "Podman"},
                                                                           {"/lxc", "LXC"},
                                                                           {"containerd", "containerd"}}};
  for (const auto& [mark, name] : marks)
    if (first.find(mark) != std::string::npos) return name;
  const auto mounts = machine.read_text("/proc/self/mountinfo");
  if (mounts && mounts->find(" / / ") != std::string::npos && mounts->find(" - overlay ") != std::string::npos) {
    bool overlay_root = false;
    for_each_line(*mounts, [&](std::string_view line) {
      overlay_root = overlay_root || (line.find(" / / ") != std::string_view::npos &&
                                      line.find(" - overlay ") != std::string_view::npos);
    });
    if (overlay_root) return "a container (its root is an overlay)";
  }
  return {};
}

}  // namespace

Finding check_load(const Patient& patient) {
  const Snapshot &before = patient.before, &after = patient.after;
  if (!before.cpu_known || !after.cpu_known) return {{}, Verdict::note, "/proc/stat does not tell the load", {}};
  if (after.all_ticks <= before.all_ticks || after.busy_ticks < before.busy_ticks)
    return {{}, Verdict::note, "/proc/stat does not move: a recording, not a machine that runs", {}};
  double own_ticks = 0;
  const std::vector<User> users = users_between(patient, own_ticks);
  const double all = static_cast<double>(after.all_ticks - before.all_ticks);
  const double busy = std::max(0.0, static_cast<double>(after.busy_ticks - before.busy_ticks) - own_ticks);
  const double cpus = patient.machine.cpu_count();
  const double foreign_cpus = std::min(cpus, busy / all * cpus);
  Finding finding{{}, Verdict::ok, {}, {}, {{"foreign_cpus", foreign_cpus}, {"cpus", cpus}}};
  finding.text = "others use " + format_fixed(foreign_cpus, 2) + " of " + number_words(cpus) + " CPUs";
  if (after.stolen_ticks > before.stolen_ticks) {
    const double stolen = std::min(cpus, static_cast<double>(after.stolen_ticks - before.stolen_ticks) / all * cpus);
    finding.numbers.emplace_back("stolen_cpus", stolen);
    finding.text += ", the hypervisor keeps " + format_fixed(stolen, 2);
  }
  for (std::size_t i = 0; i < users.size() && i < shown_processes; ++i)
    finding.text +=
        (i == 0 ? ": " : ", ") + printable(users[i].name, 16) + " " + format_fixed(users[i].ticks / all * cpus, 2);
  if (foreign_cpus > poor_foreign_share * cpus) {
    finding.verdict = Verdict::poor;
    finding.remedy = "stop them, or read this program's share and not gross:  top -o %CPU";
  } else if (foreign_cpus > note_foreign_share * cpus) {
    finding.verdict = Verdict::note;
  }
  return finding;
}

Finding check_governor(const Patient& patient) {
  const auto governors = policy_values(patient.machine, "scaling_governor");
  const auto drivers = policy_values(patient.machine, "scaling_driver");
  if (governors.empty())
    return {{},
            Verdict::note,
            patient.virtual_machine ? "not told: the host of this VM sets the clock"
                                    : "not told: no frequency driver, the firmware sets the clock",
            {}};
  Finding finding{{}, Verdict::ok, value_words(governors), {}};
  if (!drivers.empty()) finding.text += " (" + value_words(drivers) + ")";
  if (governors.size() == 1 && governors.front().first == "performance") return finding;
  finding.verdict = Verdict::note;
  finding.text += ": the clock follows the load, so short runs differ from one another";
  finding.remedy = "for comparisons:  sudo cpupower frequency-set -g performance   (apt install linux-cpupower)";
  return finding;
}

Finding check_turbo(const Patient& patient) {
  const auto intel = patient.machine.read_text("/sys/devices/system/cpu/intel_pstate/no_turbo");
  const auto boost = patient.machine.read_text("/sys/devices/system/cpu/cpufreq/boost");
  const auto off = intel ? parse_u64(*intel) : std::nullopt, on = boost ? parse_u64(*boost) : std::nullopt;
  if (!off && !on) return {{}, Verdict::note, "not told", {}};
  const bool enabled = off ? *off == 0 : *on != 0;
  return {{},
          Verdict::ok,
          enabled ? "on: the first seconds run faster than the rest" : "off",
          {},
          {{"turbo_enabled", enabled ? 1.0 : 0.0}}};
}

Finding check_throttling(const Patient& patient) {
  const auto before = patient.before.throttled, after = patient.after.throttled;
  const auto flags = patient.after.firmware_flags;
  if (!after && !flags) return {{}, Verdict::note, "not told here", {}};
  Finding finding{{}, Verdict::ok, "none since boot", {}};
  constexpr std::uint64_t now_bits = 0xf, since_boot_bits = 0xf0000;
  const std::uint64_t events = after.value_or(0);
  const bool now = (before && after && *after > *before) || (flags && (*flags & now_bits) != 0);
  if (after) finding.numbers.emplace_back("events_since_boot", static_cast<double>(events));
  if (flags) finding.numbers.emplace_back("firmware_flags", static_cast<double>(*flags));
  if (now) {
    finding.verdict = Verdict::poor;
    finding.text = flags && (*flags & 1) != 0 ? "now: the supply's voltage is too low"
                                              : "now: the processor is too hot or draws too much";
    finding.remedy = flags && (*flags & 1) != 0 ? "use a stronger supply and a shorter cable"
                                                : "let it cool, mend the fan; `--max-temp 90C` stops a run in time";
  } else if (events > 0 || (flags && (*flags & since_boot_bits) != 0)) {
    finding.verdict = Verdict::note;
    finding.text =
        events > 0 ? number_words(static_cast<double>(events)) + " times since boot, not now" : "since boot, not now";
  }
  return finding;
}

Finding check_perf(const Patient& patient) {
  const bool power_pmu = patient.machine.exists("/sys/bus/event_source/devices/power/events/energy-pkg");
  const auto text = patient.machine.read_text("/proc/sys/kernel/perf_event_paranoid");
  const auto level = text ? parse_i64(*text) : std::nullopt;
  if (!level) return {{}, Verdict::note, "this kernel has none, or does not tell", {}};
  Finding finding{{},
                  Verdict::ok,
                  "perf_event_paranoid " + std::to_string(*level),
                  {},
                  {{"paranoid", static_cast<double>(*level)}}};
  finding.text += power_pmu ? ", energy counters by perf are there" : ", no energy counters by perf";
  if (power_pmu && *level > 0 && !patient.host.root) {
    const bool read_otherwise =
        std::any_of(patient.sensors.begin(), patient.sensors.end(),
                    [](const SensorReport& report) { return measures_cpu_energy(report.channels, report.doubted); });
    finding.verdict = read_otherwise ? Verdict::note : Verdict::missing;
    finding.text += ", not for this user";
    finding.remedy = "sudo sysctl kernel.perf_event_paranoid=0   (until reboot)";
  }
  return finding;
}

Finding check_enclosure(const Patient& patient) {
  const std::string container = container_of(patient.machine);
  Finding finding{
      {},
      Verdict::ok,
      "none: this is the machine itself, as far as it tells",
      {},
      {{"virtual_machine", patient.virtual_machine ? 1.0 : 0.0}, {"container", container.empty() ? 0.0 : 1.0}}};
  if (!patient.virtual_machine && container.empty()) return finding;
  finding.verdict = Verdict::note;
  finding.text.clear();
  if (patient.virtual_machine)
    finding.text =
        "a VM: energy counters, temperatures and real clocks stay with the host, and its other guests are unseen";
  if (!container.empty())
    finding.text +=
        (finding.text.empty() ? "" : "; ") + container +
        (trim(patient.machine.read_text("/proc/2/comm").value_or("")) == "kthreadd"  // of the host's list alone
             ? ": the whole machine's processes are seen, files may be masked"
             : ": processes outside are unseen, files may be masked");
  return finding;
}

}  // namespace prony::doctor
