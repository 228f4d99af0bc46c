// KeptBaseline: what a machine's channels drew while nothing was asked of it, kept for later Runs with the conditions
// it was taken under. It expires with age and with another kernel, firmware or governor, and its doubt grows with its
// age. Watts, seconds, °C, Hz; wall-clock ns since 1970. Pure; plain data. Errors: malformed (not such a file).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attribute/attribute.hpp"
#include "base/result.hpp"
#include "model/manifest.hpp"
#include "model/time.hpp"

namespace prony::calibrate {

struct KeptIdle {
  std::string channel;  // its name
  Estimate watts;
  std::optional<double> spread_w;  // standard deviation of the parts of the time; absent: too slow a sensor to tell
};

struct KeptBaseline {
  std::int64_t taken_wall_ns = 0;
  double length_s = 0;
  std::string kernel, firmware, governor;  // "": not told by this machine
  std::optional<double> temperature_celsius, clock_hz;
  std::optional<double> foreign_cpus;  // what others used meanwhile
  std::vector<KeptIdle> channels;
};

inline constexpr Duration baseline_life = milliseconds(7LL * 86'400'000);
// By how much a baseline may have changed when its life ends, as a share of it. Assumed, not measured: it is the change
// from which on two baselines of one Run are called drifted.
inline constexpr double change_over_life = 0.05;

// Why it is not to be used, in words; "": it may be. `now` has the conditions of now (its channels do not matter).
[[nodiscard]] std::string why_expired(const KeptBaseline& kept, const KeptBaseline& now);
// As it was measured, and wider by its age.
[[nodiscard]] Estimate aged(const Estimate& watts, Duration age);

// The facts that a Run holds of the kept baseline that it uses, and back.
[[nodiscard]] std::vector<Fact> facts_of(const KeptBaseline& kept, std::int64_t now_wall_ns);
[[nodiscard]] std::vector<KnownIdle> known_idle(const Manifest& manifest);

[[nodiscard]] std::string to_text(const KeptBaseline& kept);
[[nodiscard]] Result<KeptBaseline> baseline_from_text(std::string_view text);

}  // namespace prony::calibrate
