#include "store/rollup.hpp"

#include <algorithm>
#include <cmath>

namespace prony {
namespace {

std::int64_t floor_seconds(std::int64_t ns) noexcept {
  constexpr std::int64_t second = 1'000'000'000;
  return ns >= 0 ? ns / second : -((-ns + second - 1) / second);
}

// Growth of a counter between two readings, in counts. A reset, or more than the channel can do, is no growth.
double growth(const Channel& channel, std::int64_t before, std::int64_t after, double elapsed_s) noexcept {
  const auto from = static_cast<std::uint64_t>(before);
  const auto to = static_cast<std::uint64_t>(after);
  std::uint64_t step = 0;
  if (to >= from) {
    step = to - from;
  } else if (channel.range != 0 && from < channel.range) {
    step = channel.range - from + to;
  } else {
    return 0;
  }
  const auto believable = channel.max_rate * std::max(elapsed_s, channel.update_period.seconds().value());
  const auto grown = static_cast<double>(step) * channel.scale;
  if (channel.max_rate > 0 && grown > 2 * believable + channel.resolution * channel.scale) return 0;
  return static_cast<double>(step);
}

}  // namespace

Rollup::Rollup(std::span<const Channel> channels, std::span<const Group> groups, Instant start) : start_(start) {
  for (const auto& group : groups) {
    auto& states = groups_[group.id.value];
    for (const auto id : group.channels)
      for (const auto& channel : channels)
        if (channel.id == id) {
          State state;
          state.channel = channel;
          states.push_back(std::move(state));
        }
  }
}

void Rollup::add(const TickBlock& block) {
  const auto found = groups_.find(block.group().value);
  if (found == groups_.end()) return;
  auto& states = found->second;
  for (std::size_t c = 0; c < std::min(states.size(), block.channels()); ++c)
    for (std::size_t t = 0; t < block.ticks(); ++t) add_reading(states[c], block.begin(t), block.reading(c, t));
}

void Rollup::add_reading(State& state, Instant at, Reading reading) {
  const auto& channel = state.channel;
  const auto counter = channel.kind == ChannelKind::counter;
  if (reading.quality == Quality::gap) {
    if (!counter) state.seen = false;  // a gap is not zero watts, and not the last watts either
    return;
  }
  const auto second = floor_seconds((at - start_).ns);
  if (state.now.n == 0 || second != state.now.second) {
    if (state.changed) finished_.push_back(state.now);
    state.now = {channel.id, second, 0, 0, 0, 0, std::nullopt};
    state.sum = 0;
  }
  std::optional<double> energy;
  const auto elapsed_s = state.seen ? (at - state.at).seconds().value() : 0.0;
  double value = static_cast<double>(reading.raw) * channel.scale;
  if (counter) {
    const auto grown = state.seen ? growth(channel, state.raw, reading.raw, elapsed_s) * channel.scale : 0.0;
    state.cumulative += grown;
    value = state.cumulative;
    if (channel.measure == Measure::energy) energy = grown;
    if (channel.model) {
      const auto& model = *channel.model;
      energy = model.idle.value() * elapsed_s + (model.full - model.idle).value() * grown / std::max(model.cpus, 1.0);
    }
  } else if (channel.measure == Measure::power && state.seen) {
    energy = 0.5 * (value + static_cast<double>(state.raw) * channel.scale) * elapsed_s;
  }
  auto& now = state.now;
  now.min = now.n == 0 ? value : std::min(now.min, value);
  now.max = now.n == 0 ? value : std::max(now.max, value);
  state.sum += value;
  ++now.n;
  now.mean = std::clamp(state.sum / static_cast<double>(now.n), now.min, now.max);  // rounding must not leave min … max
  if (energy) now.energy_j = now.energy_j.value_or(0) + *energy;
  state.changed = state.seen = true;
  state.raw = reading.raw;
  state.at = at;
}

Result<void> Rollup::take(const std::function<Result<void>(const RollupRow&)>& write) {
  for (const auto& row : finished_)
    if (auto done = write(row); !done) return done;
  finished_.clear();
  for (auto& [group, states] : groups_)
    for (auto& state : states) {
      if (!state.changed) continue;
      if (auto done = write(state.now); !done) return done;
      state.changed = false;
    }
  return {};
}

}  // namespace prony
