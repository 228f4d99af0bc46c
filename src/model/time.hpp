// Time on the monotonic clock: Instant and Duration are integers of nanoseconds; an Interval is half open.
// No wall clock lives here: it appears only in Anchors, which tie the two clocks together for manifest and sinks.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

#include "model/units.hpp"

namespace prony {

struct Duration {
  std::int64_t ns = 0;
  constexpr auto operator<=>(const Duration&) const = default;
  [[nodiscard]] constexpr Seconds seconds() const { return Seconds(static_cast<double>(ns) * 1e-9); }
};
constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
constexpr Duration operator*(std::int64_t k, Duration a) { return {k * a.ns}; }
constexpr Duration milliseconds(std::int64_t ms) { return {ms * 1'000'000}; }
constexpr double seconds_of(std::int64_t ns) noexcept { return static_cast<double>(ns) * 1e-9; }

struct Instant {
  std::int64_t ns = 0;  // CLOCK_MONOTONIC of the host that recorded it
  constexpr auto operator<=>(const Instant&) const = default;
};
constexpr Duration operator-(Instant a, Instant b) { return {a.ns - b.ns}; }
constexpr Instant operator+(Instant a, Duration d) { return {a.ns + d.ns}; }
constexpr Instant operator-(Instant a, Duration d) { return {a.ns - d.ns}; }

struct Interval {
  Instant begin;
  Instant end;  // not included
  constexpr bool operator==(const Interval&) const = default;
  [[nodiscard]] constexpr Duration length() const { return end - begin; }
  [[nodiscard]] constexpr bool contains(Instant t) const { return begin <= t && t < end; }
  [[nodiscard]] constexpr Duration overlap(Interval other) const {
    const auto from = std::max(begin.ns, other.begin.ns);
    const auto to = std::min(end.ns, other.end.ns);
    return {std::max<std::int64_t>(0, to - from)};
  }
};

// One pair of readings of the two clocks, taken within `width` of each other.
struct Anchor {
  Instant monotonic;
  std::int64_t wall_ns = 0;  // CLOCK_REALTIME, ns since 1970 UTC
  Duration width;
};

}  // namespace prony
