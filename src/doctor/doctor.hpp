// doctor: what can be measured on a machine and how well, what is missing and what mends it. Pure over a Machine and
// the facts that the app gathers from the system itself; nothing here prints, sleeps or exits. Units are in the names.
// Thread promise: one thread. Errors: a check that cannot tell says so in its text; none of them fails.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "machine/machine.hpp"
#include "sensors/report.hpp"

namespace prony::doctor {

enum class Verdict {
  ok,
  note,     // worth knowing; numbers are right all the same
  poor,     // numbers are worse for it than they need be
  missing,  // something that could be measured is not, and `remedy` mends it
};
[[nodiscard]] std::string_view to_string(Verdict verdict) noexcept;

struct Finding {
  std::string check;  // the row's name
  Verdict verdict = Verdict::note;
  std::string text;                                          // one sentence without a full stop
  std::string remedy;                                        // a command or what to do; may be empty
  std::vector<std::pair<std::string, double>> numbers = {};  // "foreign_cpus" → 0.4; unit in the name
};

// One channel that gives joules here.
struct EnergySource {
  std::string domain, within, sensor, channel;  // within: the domain that holds this one's energy; "" = none
  bool modelled = false, coverage_known = true;
  bool calibrated = false;                // a model held to a better meter: derived
  bool doubted = false;                   // it was not seen to count when it was looked at: nothing is measured yet
  std::optional<double> update_period_s;  // not known: the source renews its value at every read, or nobody told
  double step = 0;
  std::string step_unit;         // "J", "W"; of a modelled channel "s" of CPU time
  double shortest_window_s = 0;  // see shortest_window_s()
  bool window_is_least = false;  // the source's period is not known: it may take longer
};

// What lies outside the Machine port: the app measures it on the machine that Prony runs on. Absent: not asked.
struct HostFacts {
  std::int64_t own_pid = 0;
  bool root = false;
  struct Ntp {
    bool synchronised = false;
    double most_error_s = 0;
  };
  struct Timers {  // how late a sleeping thread wakes
    double p50_s = 0, p99_s = 0;
  };
  struct Place {  // where Runs and their span files go
    std::string path;
    std::uint64_t free_bytes = 0;
    std::string trouble;  // why a file that two processes write cannot lie there; "" = it can
    bool network = false;
  };
  std::optional<Ntp> ntp;
  std::optional<Timers> timers;
  std::optional<Place> place;
};

// Counters that must be read twice: load, throttling, swapping.
struct Snapshot {
  struct Process {
    std::int64_t pid = 0;
    std::string name;
    std::uint64_t ticks = 0, start_ticks = 0;
  };
  std::uint64_t busy_ticks = 0, stolen_ticks = 0, all_ticks = 0;  // of all CPUs
  bool cpu_known = false;
  std::vector<Process> processes;               // by pid
  std::optional<std::uint64_t> throttled;       // events since boot, of the cores and packages
  std::optional<std::uint64_t> swapped_pages;   // in and out
  std::optional<std::uint64_t> firmware_flags;  // Raspberry Pi: throttled and under-voltage bits
};
[[nodiscard]] Snapshot take_snapshot(Machine& machine);

// All that a check may look at.
struct Patient {
  Machine& machine;
  const HostFacts& host;
  const std::vector<SensorReport>& sensors;
  Snapshot before, after;
  bool virtual_machine = false;
};

struct Check {
  std::string_view name;
  Finding (*run)(const Patient&);
};
[[nodiscard]] std::span<const Check> checks();

struct Report {
  std::string machine;  // "AMD EPYC (VM) · 2 CPUs · Linux 6.1"
  std::vector<EnergySource> energy;
  std::vector<Finding> findings;  // the worst first, else in the order of the table
};

// `wait`: lets that much time pass on the machine (about 300 ms in all).
[[nodiscard]] Report examine(Machine& machine, const HostFacts& host, const SensorOptions& options,
                             const std::function<void(Duration)>& wait);

// The window from which on the doubt of the edges alone is less than a quarter of the energy, at 1 W or more, read at
// the default interval: docs/doctor.md derives it. `poll_s`: time between reads.
[[nodiscard]] double shortest_window_s(const Channel& channel, double poll_s);
[[nodiscard]] std::vector<EnergySource> energy_sources(const std::vector<SensorReport>& sensors);
// One for each sensor that could give more than it does, and one for those that are not here.
[[nodiscard]] std::vector<Finding> sensor_findings(const std::vector<SensorReport>& sensors);

// 0: all that measured energy needs is there; 1: something is missing or makes numbers poor.
[[nodiscard]] int exit_code_of(const Report& report) noexcept;
// One screen, no line longer than `width` columns except where a single word is; and the same as JSON, schema 1.
[[nodiscard]] std::string to_text(const Report& report, std::size_t width, bool colour);
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace prony::doctor
