// Rollup: per channel and second of the Run: n, min, mean, max in the channel's unit and, where the channel gives
// joules, the energy of that second. A convenience for other tools; Prony itself computes from the samples. Gauges: of
// the readings. Counters: of the growth since the Run's first reading, wraps undone. energy_j: a counter's step belongs
// to the second in which the reading that closes it was read (so the sum is last − first); a power gauge is integrated
// by trapezoids, never across a gap; a modelled channel by its formula. Thread promise: one thread. Memory: fixed per
// channel.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/sample.hpp"

namespace prony {

struct RollupRow {
  ChannelId channel;
  std::int64_t second = 0;  // since the start of the Run, rounded down
  std::uint64_t n = 0;
  double min = 0, mean = 0, max = 0;
  std::optional<double> energy_j;
};

class Rollup {
 public:
  Rollup() = default;
  Rollup(std::span<const Channel> channels, std::span<const Group> groups, Instant start);

  void add(const TickBlock& block);
  // Rows that changed since the last call; a second that still goes on comes again, more complete, later.
  [[nodiscard]] Result<void> take(const std::function<Result<void>(const RollupRow&)>& write);

 private:
  struct State {
    Channel channel;
    RollupRow now;
    double sum = 0;
    double cumulative = 0;  // counters: growth since the first reading, in the unit
    bool changed = false;
    bool seen = false;  // `raw` and `at` hold a reading
    std::int64_t raw = 0;
    Instant at;
  };
  void add_reading(State& state, Instant at, Reading reading);

  std::unordered_map<std::uint32_t, std::vector<State>> groups_;
  std::vector<RollupRow> finished_;
  Instant start_;
};

}  // namespace prony
