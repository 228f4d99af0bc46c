#include "attribute/curve.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace prony::attribution {

namespace {
constexpr double normal_95 = 1.96;  // standard deviations to either side
}

Curve::Curve(const Fold& fold, const Attribution::State& state)
    : channel_(&fold.channel),
      plan_(fold.plan),
      counter_(fold.counter),
      gauge_(fold.gauge),
      read_every_s_(static_cast<double>(fold.pace.now_ns()) * 1e-9) {
  close(state);
}

Curve::Curve(Fold&& fold, const Attribution::State& state)
    : channel_(&fold.channel),
      plan_(fold.plan),
      counter_(std::exchange(fold.counter, std::nullopt)),
      gauge_(std::exchange(fold.gauge, std::nullopt)),
      read_every_s_(static_cast<double>(fold.pace.now_ns()) * 1e-9) {
  close(state);
}

void Curve::close(const Attribution::State& state) {
  if (counter_) counter_->close();
  if (gauge_) gauge_->close();
  if (channel_->model) take_clock(state);
}

double Curve::own_at(std::int64_t ns) const {
  const std::size_t index = plan_->index_of(ns);
  if (index < plan_->fixed.size() && plan_->fixed[index] == ns) return instants().fixed_value(index);
  return instants().grid(ns);
}

// The clocks take the place of the doubt that the coefficients hold for a Run without any.
void Curve::take_clock(const Attribution::State& state) {
  const PowerModel& model = *channel_->model;
  load_low_ = model.full_low - model.idle_low;
  load_ = model.full - model.idle;
  load_high_ = model.full_high - model.idle_high;
  if (!any()) return;
  clock_ = state.clocks.factor(model, *plan_, state.run, [&](std::int64_t ns) { return own_at(ns); });
  if (!clock_) return;
  const auto share = [](double told) { return std::isfinite(told) && told > 0 && told <= 1 ? told : 1; };
  const double limit = share(model.clock_limit), floor = share(model.clock_floor);
  if (channel_->origin == Origin::derived) {  // the line was fitted to the value: what is open is the line's own doubt
    for (Watts* load : {&load_low_, &load_, &load_high_}) *load = clock_->value / limit * *load;
    return;
  }
  load_low_ = clock_->low / (floor * limit * limit * limit) * load_low_;
  load_ = clock_->value / limit * load_;
  load_high_ = clock_->high * load_high_;
}

bool Curve::any() const noexcept { return counter_ ? counter_->any() : gauge_->any(); }

// A modelled channel's curve is busy time: E = idle · Δt + load · Δbusy / cpus.
double Curve::joules(double own, std::int64_t ns) const {
  if (!channel_->model) return own;
  const PowerModel& model = *channel_->model;
  const double since_s = static_cast<double>(std::clamp(ns, first_ns(), last_ns()) - first_ns()) * 1e-9;
  return model.idle.value() * since_s + load_.value() * own / model.cpus;
}

double Curve::total() const { return joules(counter_ ? counter_->total() : gauge_->total(), last_ns()); }
double Curve::at_fixed(std::size_t index) const { return joules(instants().fixed_value(index), plan_->fixed[index]); }
double Curve::at_grid(std::int64_t ns) const { return joules(instants().grid(ns), ns); }

double Curve::at(std::int64_t ns) const {
  const std::size_t index = plan_->index_of(ns);
  if (index < plan_->fixed.size() && plan_->fixed[index] == ns) return at_fixed(index);
  if (ns <= first_ns()) return 0;
  if (ns >= last_ns()) return total();
  return at_grid(ns);
}

// Two edges on one grid share the error of its phase, which then costs only the difference of their powers; what the
// period leaves open grows with the distance from the grid's middle. All else is each edge's own.
Estimate Curve::interval_of(const Point& a, const Point& b, const Estimate& bound) {
  double variance = a.sigma * a.sigma + b.sigma * b.sigma;
  const auto add = [&](double error) { variance += error * error; };
  if (a.timed && b.timed && a.segment == b.segment) {
    add((b.rate - a.rate) * a.phase_sigma_s);
    add(b.rate * b.period_error_s - a.rate * a.period_error_s);
  } else {
    for (const Point* edge : {&a, &b}) add(edge->rate * edge->phase_sigma_s), add(edge->rate * edge->period_error_s);
  }
  const double half = normal_95 * std::sqrt(variance);
  return {bound.value, std::max(bound.low, bound.value - half), std::min(bound.high, bound.value + half),
          EstimateKind::interval_95};
}

// The doubts of the two edges are each its own; what the means prove holds whatever ran. Readings are cut to whole
// steps.
Measured Curve::by_means(const Point& a, const Point& b, double length_s) const {
  // All readings may be late alike, which costs only the difference of the edges' powers.
  const double late = (b.rate - a.rate) * std::max(a.phase_sigma_s, b.phase_sigma_s);
  const double value = b.value - a.value, half = normal_95 * std::hypot(a.sigma, b.sigma, late);
  const double step = channel_->resolution * std::abs(channel_->scale) * length_s;
  Measured result;
  result.estimate = {value, std::min(value, std::max(value - half, b.least - a.most)) - step - b.edge_low - a.edge_high,
                     std::max(value, std::min(value + half, b.most - a.least)) + step + b.edge_high + a.edge_low,
                     EstimateKind::interval_95};
  result.edge_half = (a.edge_width + b.edge_width) / 2;
  return result;
}

Measured Curve::measure(const Point& a, const Point& b, double length_s) const {
  if (a.averaged && b.averaged && a.segment == b.segment) return by_means(a, b, length_s);
  Measured result;
  const double value = b.value - a.value;
  const double spread_low = b.spread_low - a.spread_low;
  const double spread_high = b.spread_high - a.spread_high;
  result.estimate.value = value;
  result.estimate.low = value - (b.edge_low + a.edge_high) - spread_low;
  result.estimate.high = value + (b.edge_high + a.edge_low) + spread_high;
  if (counter_) result.estimate.low = std::max(result.estimate.low, 0.0);  // a counter does not go back
  const bool bound = counter_ && a.strict && b.strict && spread_low == 0 && spread_high == 0;
  result.estimate.kind = bound ? EstimateKind::bound : EstimateKind::interval_95;
  if (bound && !channel_->model) result.interval = interval_of(a, b, result.estimate);
  result.edge_half = (a.edge_width + b.edge_width) / 2;
  result.known = a.known && b.known;
  return channel_->model ? modelled(result, length_s) : result;
}

Measured Curve::modelled(const Measured& busy, double length_s) const {
  const PowerModel& model = *channel_->model;
  const auto energy = [&](double busy_s, Watts idle, Watts load) {
    return idle.value() * length_s + load.value() * std::min(busy_s / model.cpus, length_s);
  };
  Measured result;
  result.known = busy.known;
  result.estimate.value = model.idle.value() * length_s + load_.value() * busy.estimate.value / model.cpus;
  // A line's low and high may lie so far apart at full load that one of them falls as the load rises.
  const auto at_either = [&](Watts idle, Watts load) {
    const double a = energy(busy.estimate.low, idle, load), b = energy(busy.estimate.high, idle, load);
    return std::pair(std::min(a, b), std::max(a, b));
  };
  result.estimate.low = std::min(result.estimate.value, at_either(model.idle_low, load_low_).first);
  result.estimate.high = std::max(result.estimate.value, at_either(model.idle_high, load_high_).second);
  result.estimate.kind = channel_->origin == Origin::derived ? EstimateKind::interval_95 : EstimateKind::range;
  result.edge_half = load_.value() / model.cpus * busy.edge_half;
  return result;
}

Measured Curve::between_fixed(std::int64_t begin, std::int64_t end) const {
  const auto from = std::clamp(begin, first_ns(), last_ns());
  const auto to = std::clamp(end, first_ns(), last_ns());
  return measure(instants().fixed(plan_->index_of(begin)), instants().fixed(plan_->index_of(end)),
                 static_cast<double>(to - from) * 1e-9);
}

Measured Curve::whole() const {
  return measure(counter_ ? counter_->first_point() : gauge_->first_point(),
                 counter_ ? counter_->last_point() : gauge_->last_point(),
                 static_cast<double>(last_ns() - first_ns()) * 1e-9);
}

}  // namespace prony::attribution
