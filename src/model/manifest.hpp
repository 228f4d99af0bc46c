// Manifest and the small plain records of a Run that are neither samples nor spans.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/time.hpp"

namespace prony {

// One statement about the Run: machine, versions, effective settings. `origin` says where it came from: "flag",
// "environment", "file", "default" for settings; "machine" for facts; "prony" for versions.
struct Fact {
  std::string key;  // "machine.cpu_model", "setting.interval", "tag.experiment"
  std::string value;
  std::string origin;
};

// What could not be measured, why, and what would mend it. Absent is absent with a reason.
struct Unavailable {
  std::string subject;  // "rapl", "energy.idle_j", …
  std::string reason;
  std::string remedy;  // may be empty
};

struct Manifest {
  std::vector<Fact> facts;
  std::vector<Unavailable> unavailable;

  void set(std::string key, std::string value, std::string origin);
  [[nodiscard]] std::optional<std::string> get(std::string_view key) const;
};

// A total of the measured command or of Prony, known only at the end: "target" "cpu_user_s" 22.9.
struct Total {
  std::string subject;  // "target", "prony", "sampler.fast"
  std::string name;     // with its unit: "cpu_user_s", "rss_peak_bytes", "ticks"
  double value = 0;
  std::string method;  // "cgroup cpu.stat", "wait4", "sampled every 10 ms"
};

struct ProcessRecord {
  std::int64_t pid = 0;
  // Field 22 of /proc/PID/stat: with the pid, the identity. nullopt: it had ended before anybody looked.
  std::optional<std::uint64_t> start_ticks = {};
  std::int64_t parent = 0;
  std::string name;  // comm
  Interval seen;     // first and last time it was seen alive (or its exit event)
  std::int64_t cpu_user_ns = 0;
  std::int64_t cpu_system_ns = 0;
  bool exited = false;
  std::uint32_t number = 0;  // what ProcessUse calls it, unique in a Run; 0: its use was not followed look by look
  std::string target = {};   // the Target that it belongs to; "": none, or one tree is all that was followed
};

// Something that happened: a sensor lost, a throttle reason, recording stopped.
struct Event {
  Instant at;
  std::string kind;     // "sensor-lost", "sensor-back", "counter-reset", "ticks-dropped", "spans-lost", "note"
  std::string subject;  // channel or sensor
  std::string text;
};

enum class RunState { recording, complete, interrupted };
[[nodiscard]] std::string_view to_string(RunState state) noexcept;

inline constexpr int schema_version = 3;

}  // namespace prony
