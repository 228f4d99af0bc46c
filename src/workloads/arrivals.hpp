// Arrivals: when requests are to be sent, as offsets in ns from the begin of the load, ascending. An open load: what
// the server does changes none of them. Pure; the same seed gives the same times on every machine (workloads/draw.hpp).
// Errors: usage, in words of the option concerned. Definitions and sources: docs/load.md; gamma "burstiness" and ramps
// as in vLLM's bench serve.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony {

struct Arrivals {
  enum class Kind { rate, ramp, bursts, at_once };
  // Of the gaps between requests, each with mean 1 / rate: all alike; exponential; gamma with shape b, whose
  // coefficient of variation is 1/√b: b < 1 comes in bursts, 1 is Poisson, more is steadier.
  enum class Gaps { constant, poisson, gamma };
  Kind kind = Kind::at_once;
  Gaps gaps = Gaps::poisson;
  double burstiness = 1;
  double rate_per_s = 0;     // of a ramp: its first
  double ramp_to_per_s = 0;  // of a ramp: its last
  bool exponential = false;  // r0·(r1/r0)^p in place of r0 + (r1 − r0)·p; p: the request's place, 0 … 1
  std::size_t burst_size = 0;
  std::int64_t burst_gap_ns = 0;  // from one burst's begin to the next one's
};

inline constexpr std::size_t most_requests = 10'000'000;
inline constexpr double most_rate_per_s = 1e6;

// "constant", "poisson" or "gamma:B" into gaps and burstiness.
[[nodiscard]] Result<void> parse_gaps(std::string_view text, Arrivals& arrivals);
// "A:B" or "A:B:exp", rates per second.
[[nodiscard]] Result<Arrivals> parse_ramp(std::string_view text);
// "N:GAP", e.g. "8:2s".
[[nodiscard]] Result<Arrivals> parse_bursts(std::string_view text);
// For people: "Poisson, 5/s", "8 every 2 s".
[[nodiscard]] std::string describe(const Arrivals& arrivals);

// At least one of `count` and `for_ns` must be given; with both, whichever ends first. Times lie before `for_ns`.
// Gamma with a count and a fixed rate is stretched so that the last request comes at count / rate.
[[nodiscard]] Result<std::vector<std::int64_t>> arrival_times_ns(const Arrivals& arrivals,
                                                                 std::optional<std::size_t> count,
                                                                 std::optional<std::int64_t> for_ns,
                                                                 std::uint64_t seed);

}  // namespace prony
