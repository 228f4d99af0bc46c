// Channel: what one stream of numbers *is*. Readings stay integers as read; everything needed to turn them into units,
// and to know what they may and may not be added to, is here and is stored with the Run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/time.hpp"
#include "model/units.hpp"

namespace prony {

struct ChannelId {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const ChannelId&) const = default;
};
struct GroupId {
  std::uint32_t value = 0;
  constexpr auto operator<=>(const GroupId&) const = default;
};

// The physical quantity, which fixes the unit that `scale` leads to.
enum class Measure {
  energy,         // J
  power,          // W
  voltage,        // V
  current,        // A
  temperature,    // celsius
  frequency,      // Hz
  fan_speed,      // rpm
  cpu_time,       // s (of one CPU)
  memory,         // bytes held now
  data,           // bytes moved since a start
  count,          // 1
  time,           // s of wall time (residency of a state, time stalled)
  stored_energy,  // J that a battery holds now: what is left, not what was used
  fraction,       // 1 (a battery's charge, a pressure)
};
[[nodiscard]] std::string_view to_string(Measure measure) noexcept;  // "energy"
[[nodiscard]] std::string_view unit_of(Measure measure) noexcept;    // "J"
[[nodiscard]] std::optional<Measure> measure_from(std::string_view text) noexcept;

enum class ChannelKind { counter, gauge };  // counter: only differences mean something; gauge: each reading does
enum class Origin { measured, derived, modelled };
// Who is seen through the channel. A host channel sees everybody; the others see one party of the split.
enum class Scope { host, target, prony };
[[nodiscard]] std::string_view to_string(ChannelKind kind) noexcept;
[[nodiscard]] std::string_view to_string(Origin origin) noexcept;
[[nodiscard]] std::string_view to_string(Scope scope) noexcept;
[[nodiscard]] std::optional<ChannelKind> channel_kind_from(std::string_view text) noexcept;
[[nodiscard]] std::optional<Origin> origin_from(std::string_view text) noexcept;
[[nodiscard]] std::optional<Scope> scope_from(std::string_view text) noexcept;

// Coefficients of a modelled power channel. Its readings are the host's busy CPU time (scale → seconds of CPU);
// readers compute  E = idle · Δt + (full − idle) · factor · Δbusy / cpus.  low/high are the documented span of each
// figure and lead to a `range`, for which no coverage is claimed. The factor is what the recorded clocks make of the
// load's part (attribute/clock_factor.hpp); 1 where none were recorded: then `full` and `full_low` hold as they stand
// here.
struct PowerModel {
  std::string name;    // table row, e.g. "server, AMD EPYC 4th generation"
  std::string source;  // where the figures come from
  double cpus = 1;     // logical CPUs that `busy` can fill
  Watts idle, idle_low, idle_high;
  Watts full, full_low, full_high;
  // Mean over the frequency policies, in Hz; absent: not told. Published machines ran at the reference clock or above
  // it when their `full` was taken (the base clock; the highest where there is no turbo), and at the highest at most.
  std::optional<double> reference_clock_hz = {}, highest_clock_hz = {};
  // For a Run without clocks these are already in the load's part: `clock_limit` once in full, `clock_floor` once and
  // `clock_limit` cubed in full_low. 1: nothing is.
  double clock_floor = 1, clock_limit = 1;
};

// How far apart a source's updates are on average, as an earlier watch told: never exact, unlike what a document may
// promise.
struct LearnedPeriod {
  double mean_ns = 0;
  double sigma_ns = 0;   // standard deviation of that mean
  double jitter_ns = 0;  // RMS distance of single updates from their grid; 0: none could be told
};

struct Channel {
  ChannelId id;
  std::string name;    // unique in a Run, stable between Runs: "rapl.package-0.energy"
  std::string sensor;  // catalogue row: "rapl"
  std::string device;  // "intel-rapl:0"
  std::string domain;  // what of the machine: "package-0", "core", "dram", "cpu"; free of the device's accidents
  Measure measure = Measure::count;
  ChannelKind kind = ChannelKind::gauge;
  Origin origin = Origin::measured;
  Scope scope = Scope::host;
  std::string target = {};  // scope target: the name of the Target it sees; "": the measured command's tree
  double scale = 1;         // unit per count; reading × scale is in unit_of(measure)
  std::uint64_t range = 0;  // counter: the reading wraps to 0 at this count (readings are < range); 0 = never wraps
  double max_rate = 0;      // largest believable |change| in unit per second (W for energy); 0 = not known
  Duration update_period;   // documented period at which the source renews its value; 0 = at every read or not known.
                            // With a learned period: as long as a single update may take to come
  double resolution = 1;    // step of the reading, in counts
  Duration
      averaging_window;  // gauge: each reading is the mean over this long before it; 0 = instantaneous or not known
  std::optional<ChannelId> part_of;  // this channel's energy is inside that one's: never add the two
  bool coverage_known = true;  // false: nobody told whether it overlaps other sensors' domains; never added to them
  std::optional<LearnedPeriod> learned_period = {};  // where nothing documents the period, or a watch refuted that
  std::optional<PowerModel> model;                   // set for modelled power: see PowerModel
};

// Channels that give joules: energy counters, power gauges, modelled channels.
[[nodiscard]] constexpr bool gives_energy(const Channel& channel) noexcept {
  return channel.measure == Measure::energy || channel.measure == Measure::power;
}

}  // namespace prony
