#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "sensors/machine_facts.hpp"

namespace prony::doctor {

namespace {

constexpr Duration between_snapshots = milliseconds(300);

constexpr std::array<Check, 13> rows{{{"energy", &check_energy},
                                      {"foreign load", &check_load},
                                      {"governor", &check_governor},
                                      {"turbo", &check_turbo},
                                      {"throttling", &check_throttling},
                                      {"clocks", &check_clocks},
                                      {"timers", &check_timers},
                                      {"place for Runs", &check_place},
                                      {"perf events", &check_perf},
                                      {"VM, container", &check_enclosure},
                                      {"limits", &check_limits},
                                      {"memory", &check_memory},
                                      {"swap", &check_swap}}};

std::string heading(const Manifest& manifest, bool virtual_machine) {
  std::string text = printable(manifest.get("machine.cpu_model").value_or("unknown processor"), 48);
  if (virtual_machine) text += " (VM)";
  const std::string cpus = manifest.get("machine.cpus").value_or("");
  if (!cpus.empty()) text += " · " + cpus + (cpus == "1" ? " CPU" : " CPUs");
  if (const auto kernel = manifest.get("machine.kernel")) text += " · Linux " + printable(*kernel, 24);
  return text;
}

std::string scaled(double value, std::initializer_list<std::pair<double, const char*>> units) {
  for (const auto& [factor, sign] : units)
    if (std::abs(value) >= factor * 0.9995) return number_words(value / factor) + " " + sign;
  return number_words(value / (units.end() - 1)->first) + " " + (units.end() - 1)->second;
}

}  // namespace

std::span<const Check> checks() { return rows; }

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::ok: return "ok";
    case Verdict::note: return "note";
    case Verdict::poor: return "poor";
    case Verdict::missing: return "missing";
  }
  return "unknown";
}

std::string number_words(double value) {
  const double size = std::abs(value);
  const int digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  std::string text = format_fixed(value, digits);
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string time_words(double seconds) { return scaled(seconds, {{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}, {1e-9, "ns"}}); }

std::string size_words(double bytes) {
  return scaled(bytes, {{1024.0 * 1024 * 1024 * 1024, "TiB"},
                        {1024.0 * 1024 * 1024, "GiB"},
                        {1024.0 * 1024, "MiB"},
                        {1024, "KiB"},
                        {1, "bytes"}});
}

Report examine(Machine& machine, const HostFacts& host, const SensorOptions& options,
               const std::function<void(Duration)>& wait) {
  Manifest manifest;
  describe_machine(machine, manifest);
  const std::vector<SensorReport> sensors = probe_sensors(machine, options);
  Patient patient{machine, host, sensors, {}, {}, false};
  patient.virtual_machine = manifest.get("machine.virtual").value_or("no") != "no";
  patient.before = take_snapshot(machine);
  wait(between_snapshots);
  patient.after = take_snapshot(machine);

  Report report;
  report.machine = heading(manifest, patient.virtual_machine);
  report.energy = energy_sources(sensors);
  std::vector<Finding> found;
  for (const Check& row : rows) {
    found.push_back(row.run(patient));
    found.back().check = row.name;
  }
  for (Finding& finding : sensor_findings(sensors)) found.push_back(std::move(finding));
  for (const Verdict verdict : {Verdict::missing, Verdict::poor, Verdict::note, Verdict::ok})
    for (const Finding& finding : found)
      if (finding.verdict == verdict) report.findings.push_back(finding);
  return report;
}

int exit_code_of(const Report& report) noexcept {
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [](const Finding& finding) {
                       return finding.verdict == Verdict::poor || finding.verdict == Verdict::missing;
                     })
             ? 1
             : 0;
}

}  // namespace prony::doctor
