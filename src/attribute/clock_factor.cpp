#include "attribute/clock_factor.hpp"

#include <algorithm>
#include <cmath>

namespace prony::attribution {

namespace {

constexpr double most_hz = 1e12;  // no clock: rubbish

// Of the load's part as it was published, at one reading; `load`: the share of the CPUs that was busy. Idle CPUs clock
// down and busy ones up, so one busy CPU is taken to run at the highest of the clocks, all of them at their mean.
ModelClock at_clock(const ClockReading& reading, double load, double reference_hz, double highest_hz) {
  const auto share = [&](double hz) { return std::min(1.0, hz / reference_hz); };
  ModelClock clock;
  clock.mean_hz = load * reading.mean_hz + (1 - load) * reading.highest_hz;
  const double slow = share(reading.lowest_hz), mean = share(clock.mean_hz);
  clock.reference_hz = reference_hz;
  clock.value = mean * mean;
  clock.high = share(reading.highest_hz);
  // The published machine ran at the highest clock at most: down to the reference in proportion, below by the cube.
  clock.low = reading.lowest_hz < reference_hz ? reference_hz / highest_hz * slow * slow * slow
                                               : std::min(1.0, reading.lowest_hz / highest_hz);
  return clock;
}

}  // namespace

bool is_cpu_clock(const Channel& channel) {
  return channel.sensor == "cpufreq" && channel.measure == Measure::frequency && channel.kind == ChannelKind::gauge;
}

void ClockTick::add(const Channel& channel, std::int64_t raw) {
  const double hz = static_cast<double>(raw) * channel.scale;
  if (!(hz > 0) || hz > most_hz) return;  // a CPU that is switched off has no clock
  lowest_ = count_ == 0 ? hz : std::min(lowest_, hz);
  highest_ = std::max(highest_, hz);
  sum_ += hz;
  count_ += 1;
  if (channel.domain == "cpus-mean") mean_ = hz;
}

std::optional<ClockReading> ClockTick::reading() const {
  if (count_ == 0) return std::nullopt;
  return ClockReading{lowest_, mean_.value_or(sum_ / count_), highest_};
}

void Clocks::add(std::int64_t at_ns, const ClockReading& reading, const Plan& plan,
                 const std::optional<Interval>& window) {
  if (window && !window->contains(Instant{at_ns})) return;
  Cell& cell = cells_[window ? at_ns / plan.step_ns : 0];
  cell.sum.lowest_hz += reading.lowest_hz;
  cell.sum.mean_hz += reading.mean_hz;
  cell.sum.highest_hz += reading.highest_hz;
  cell.count += 1;
}

std::optional<ModelClock> Clocks::factor(const PowerModel& model, const Plan& plan,
                                         const std::optional<Interval>& window,
                                         const std::function<double(std::int64_t)>& busy_at) const {
  const double reference_hz = model.reference_clock_hz.value_or(0);
  if (!(reference_hz > 0) || cells_.empty()) return std::nullopt;
  const double highest_hz = std::max(reference_hz, model.highest_clock_hz.value_or(reference_hz));
  ModelClock busy, plain;  // sums over the cells: by busy time, and each cell alike
  double busy_s = 0;
  const auto add = [](ModelClock& sum, const ModelClock& one, double weight) {
    sum.mean_hz += weight * one.mean_hz, sum.low += weight * one.low;
    sum.value += weight * one.value, sum.high += weight * one.high;
  };
  busy.low = busy.value = busy.high = plain.low = plain.value = plain.high = 0;
  for (auto cell = cells_.begin(); cell != cells_.end(); ++cell) {
    const auto& [sum, count] = cell->second;
    const ClockReading reading{sum.lowest_hz / count, sum.mean_hz / count, sum.highest_hz / count};
    add(plain, at_clock(reading, 1, reference_hz, highest_hz), 1);
    if (!window) continue;
    // A clock holds until the next one was read; the first one from the window's begin on.
    const auto next = std::next(cell);
    const std::int64_t begin = cell == cells_.begin() ? window->begin.ns : cell->first * plan.step_ns;
    const std::int64_t end = next == cells_.end() ? window->end.ns : next->first * plan.step_ns;
    const double weight = std::max(0.0, busy_at(end) - busy_at(begin));
    const double capacity_s = std::max(1.0, model.cpus) * static_cast<double>(end - begin) * 1e-9;
    const double load = capacity_s > 0 ? std::min(1.0, weight / capacity_s) : 1;
    const ModelClock one = at_clock(reading, load, reference_hz, highest_hz);
    add(busy, one, weight);
    busy_s += weight;
  }
  const ModelClock& sum = busy_s > 0 ? busy : plain;
  const double weights = busy_s > 0 ? busy_s : static_cast<double>(cells_.size());
  return ModelClock{sum.mean_hz / weights, reference_hz, sum.low / weights, sum.value / weights, sum.high / weights};
}

}  // namespace prony::attribution
