// Checks of what stands around a measurement: energy at all, the clock and timers, where Runs go, memory, limits.
#include <algorithm>

#include "base/text.hpp"
#include "doctor/checks.hpp"

namespace prony::doctor {

namespace {

constexpr double kib = 1024, mib = 1024 * kib, gib = 1024 * mib;

// The value of "NAME:   123 kB" in bytes.
std::optional<double> memory_field(std::string_view text, std::string_view name) {
  std::optional<double> found;
  for_each_line(text, [&](std::string_view line) {
    if (found || !line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') return;
    std::string_view value = trim(line.substr(name.size() + 1));
    if (value.ends_with("kB")) value.remove_suffix(2);
    if (const auto number = parse_u64(value); number && *number < (std::uint64_t{1} << 50))
      found = static_cast<double>(*number) * kib;
  });
  return found;
}

// The path of this process in the hierarchy of `controller` ("" = the unified one): "0::/a/b" or "4:memory:/a".
std::string cgroup_path(const std::string& text, std::string_view controller) {
  std::string found;
  for_each_line(text, [&](std::string_view line) {
    const auto parts = split(line, ':');
    if (parts.size() < 3) return;
    const auto controllers = split(parts[1], ',');
    const bool here = controller.empty()
                          ? parts[0] == "0" && parts[1].empty()
                          : std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
    if (here) found = std::string(line.substr(parts[0].size() + parts[1].size() + 2));
  });
  return found;
}

// `name` in the group at `path` and in all above it, as far as they can be seen (a container sees its own as the root).
std::vector<std::string> along_path(Machine& machine, const std::string& root, std::string path,
                                    const std::string& name) {
  std::vector<std::string> texts;
  for (int depth = 0; depth < 64; ++depth) {
    if (auto text = machine.read_text(root + (path == "/" ? "" : path) + "/" + name)) texts.push_back(std::move(*text));
    if (path.empty() || path == "/") break;
    path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
  return texts;
}

struct Limits {
  std::optional<double> cpus, memory_bytes;
};

void lower(std::optional<double>& limit, double value) { limit = limit ? std::min(*limit, value) : value; }

Limits limits_of(Machine& machine, unsigned cpus) {
  Limits limits;
  const std::string groups = machine.read_text("/proc/self/cgroup").value_or("");
  const std::string unified = cgroup_path(groups, "");
  for (const std::string& text : along_path(machine, "/sys/fs/cgroup", unified, "cpu.max")) {
    const auto words = split(text, ' ');
    const auto quota = parse_u64(words[0]), period = words.size() > 1 ? parse_u64(words[1]) : std::nullopt;
    if (quota && period && *period > 0) lower(limits.cpus, static_cast<double>(*quota) / static_cast<double>(*period));
  }
  for (const std::string& text : along_path(machine, "/sys/fs/cgroup", unified, "memory.max"))
    if (const auto bytes = parse_u64(text)) lower(limits.memory_bytes, static_cast<double>(*bytes));
  // Version 1; its "no limit" is −1 for CPUs, and a number near 2^63 for memory.
  const std::string cpu = cgroup_path(groups, "cpu"), memory = cgroup_path(groups, "memory");
  const auto quotas = along_path(machine, "/sys/fs/cgroup/cpu", cpu, "cpu.cfs_quota_us");
  const auto periods = along_path(machine, "/sys/fs/cgroup/cpu", cpu, "cpu.cfs_period_us");
  for (std::size_t i = 0; i < quotas.size() && i < periods.size(); ++i) {
    const auto quota = parse_u64(quotas[i]), period = parse_u64(periods[i]);
    if (quota && period && *period > 0) lower(limits.cpus, static_cast<double>(*quota) / static_cast<double>(*period));
  }
  for (const std::string& text : along_path(machine, "/sys/fs/cgroup/memory", memory, "memory.limit_in_bytes"))
    if (const auto bytes = parse_u64(text); bytes && *bytes < (std::uint64_t{1} << 60))
      lower(limits.memory_bytes, static_cast<double>(*bytes));
  if (limits.cpus && *limits.cpus >= cpus) limits.cpus.reset();  // no limit, seen from here
  return limits;
}

}  // namespace

Finding check_energy(const Patient& patient) {
  double measured = 0, modelled = 0, doubted = 0, derived = 0;
  for (const EnergySource& source : energy_sources(patient.sensors))
    ++(source.modelled ? modelled : source.calibrated ? derived : source.doubted ? doubted : measured);
  Finding finding;
  finding.numbers = {{"measured_channels", measured}, {"modelled_channels", modelled}};
  if (doubted > 0) finding.numbers.emplace_back("channels_not_seen_to_count", doubted);
  if (measured > 0) {
    finding.verdict = Verdict::ok;
    finding.text = "measured by " + number_words(measured) + (measured == 1 ? " channel" : " channels");
    return finding;
  }
  if (derived > 0) {
    finding.numbers.emplace_back("derived_channels", derived);
    finding.verdict = Verdict::note;
    finding.text = "nothing here measures joules: they are derived from CPU time by a calibration against a meter";
    return finding;
  }
  finding.verdict = Verdict::poor;
  finding.text = doubted > 0 && modelled > 0
                     ? "energy counters are here but do not count: joules are modelled from CPU time, a wide range"
                 : modelled > 0 ? "nothing here measures joules: they are modelled from CPU time, a wide range"
                                : "nothing here measures joules or CPU time: there will be none";
  // Where a zone is there and denied, the sensor's own finding has the command.
  for (const SensorReport& report : patient.sensors)
    if (report.name == "rapl" && report.state == SensorState::not_here && !report.unavailable.empty()) {
      finding.remedy = report.unavailable.front().remedy;
      if (finding.remedy.empty()) finding.remedy = "a plug or a meter that tells watts: `prony help meters`";
    }
  return finding;
}

Finding check_clocks(const Patient& patient) {
  Finding finding{{}, Verdict::ok, {}, {}};
  const auto source = patient.machine.read_text("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  const std::string name = source ? printable(*source, 20) : "";
  finding.text = name.empty() ? "clock source not told" : "clock source " + name;
  if (name == "hpet" || name == "acpi_pm" || name == "pit" || name == "jiffies" || name == "refined-jiffies") {
    finding.verdict = Verdict::poor;
    finding.text += ": slow to read, every time stamp costs microseconds";
    finding.remedy = "look for the reason with: sudo dmesg | grep -i clocksource";
  }
  if (name.empty()) finding.verdict = Verdict::note;
  if (const auto& ntp = patient.host.ntp) {
    finding.numbers = {{"ntp_synchronised", ntp->synchronised ? 1.0 : 0.0}};
    if (ntp->synchronised) {
      finding.numbers.emplace_back("ntp_most_error_s", ntp->most_error_s);
      finding.text += ", wall clock right to " + time_words(ntp->most_error_s);
    } else {
      finding.verdict = std::max(finding.verdict, Verdict::note);
      finding.text += "; nobody keeps the wall clock in step (matters where Runs of several machines are merged)";
      if (finding.remedy.empty()) finding.remedy = "sudo timedatectl set-ntp true";
    }
  }
  return finding;
}

Finding check_timers(const Patient& patient) {
  const auto& timers = patient.host.timers;
  if (!timers) return {{}, Verdict::note, "not asked", {}};
  Finding finding{{}, Verdict::ok, {}, {}, {{"lateness_p50_s", timers->p50_s}, {"lateness_p99_s", timers->p99_s}}};
  finding.text =
      "wake-ups late by " + time_words(timers->p50_s) + " (half), " + time_words(timers->p99_s) + " (1 in 100)";
  if (timers->p99_s > 0.005) {
    finding.verdict = Verdict::poor;
    finding.text += ": half of a default interval and more; window edges blur";
    finding.remedy = "free a core for Prony (fewer --threads), or run it as root, whose lanes go first";
  } else if (timers->p99_s > 0.001) {
    finding.verdict = Verdict::note;
  }
  return finding;
}

Finding check_place(const Patient& patient) {
  const auto& place = patient.host.place;
  if (!place) return {{}, Verdict::note, "not asked", {}};
  Finding finding{{}, Verdict::ok, {}, {}, {{"free_bytes", static_cast<double>(place->free_bytes)}}};
  finding.text = size_words(static_cast<double>(place->free_bytes)) + " free in " + printable(place->path, 60);
  if (!place->trouble.empty()) {
    finding.verdict = Verdict::missing;
    finding.text = printable(place->path, 60) + " cannot hold a Run and its span file: " + place->trouble;
    finding.remedy = "name another place: prony run --out /tmp/x.prony -- …";
  } else if (static_cast<double>(place->free_bytes) < 100 * mib) {
    finding.verdict = Verdict::poor;
    finding.remedy = "make room, or name another place with --out; an hour at 10 ms takes tens of MiB";
  } else if (place->network) {
    finding.verdict = Verdict::note;
    finding.text += ", on a network: writes go over the wire that is perhaps measured";
  }
  return finding;
}

Finding check_limits(const Patient& patient) {
  const Limits limits = limits_of(patient.machine, patient.machine.cpu_count());
  if (!limits.cpus && !limits.memory_bytes) return {{}, Verdict::ok, "no cgroup limit below the machine's own", {}};
  Finding finding{{}, Verdict::note, {}, {}};
  if (limits.cpus) {
    finding.numbers.emplace_back("cpus", *limits.cpus);
    finding.text =
        "at most " + number_words(*limits.cpus) + " CPUs for this cgroup: a longer run time may be the limit's";
  }
  if (limits.memory_bytes) {
    finding.numbers.emplace_back("memory_bytes", *limits.memory_bytes);
    finding.text += (finding.text.empty() ? "at most " : "; ") + size_words(*limits.memory_bytes) + " of memory";
  }
  return finding;
}

Finding check_memory(const Patient& patient) {
  const auto text = patient.machine.read_text("/proc/meminfo");
  const auto total = text ? memory_field(*text, "MemTotal") : std::nullopt;
  const auto free = text ? memory_field(*text, "MemAvailable") : std::nullopt;
  if (!total || !free) return {{}, Verdict::note, "/proc/meminfo does not tell how much there is", {}};
  Finding finding{{}, Verdict::ok, {}, {}, {{"total_bytes", *total}, {"available_bytes", *free}}};
  finding.text = size_words(*free) + " of " + size_words(*total) + " free";
  if (*free < 0.05 * *total || *free < 0.125 * gib) {
    finding.verdict = Verdict::poor;
    finding.text += ": a workload that needs more is measured while it swaps or dies";
    finding.remedy = "close what holds it:  ps aux --sort=-rss | head";
  }
  return finding;
}

Finding check_swap(const Patient& patient) {
  const auto text = patient.machine.read_text("/proc/meminfo");
  const auto total = text ? memory_field(*text, "SwapTotal") : std::nullopt;
  const auto free = text ? memory_field(*text, "SwapFree") : std::nullopt;
  if (!total || !free) return {{}, Verdict::note, "/proc/meminfo does not tell of it", {}};
  if (*total <= 0) return {{}, Verdict::ok, "none", {}, {{"used_bytes", 0}}};
  const double used = std::max(0.0, *total - *free);
  Finding finding{{}, used > 0 ? Verdict::note : Verdict::ok, {}, {}, {{"used_bytes", used}, {"total_bytes", *total}}};
  finding.text = used > 0 ? size_words(used) + " of " + size_words(*total) + " in use"
                          : "none of " + size_words(*total) + " in use";
  const auto before = patient.before.swapped_pages, after = patient.after.swapped_pages;
  if (before && after && *after > *before) {
    finding.numbers.emplace_back("pages_swapped_now", static_cast<double>(*after - *before));
    finding.verdict = Verdict::poor;
    finding.text += ", and pages are moving now: memory is too small for what runs";
    finding.remedy = "close what holds memory:  ps aux --sort=-rss | head";
  }
  return finding;
}

}  // namespace prony::doctor
