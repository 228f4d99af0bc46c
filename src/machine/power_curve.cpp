#include "machine/power_curve.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace prony {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t block_cells = 16, half_block = block_cells / 2;

// Quotient rounded down and the rest that is never negative, for times before the start too.
struct Divided {
  std::int64_t whole, rest;
};
constexpr Divided divide(std::int64_t value, std::int64_t by) noexcept {
  const auto rest = ((value % by) + by) % by;
  return {(value - rest) / by, rest};
}

}  // namespace

std::uint64_t mixed_hash(std::uint64_t seed, std::uint64_t index) noexcept {
  std::uint64_t z = seed * 0xd1342543de82ef95u + (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void ExactJoules::add(double joules) noexcept {
  const double sum = high + joules;
  const double part = sum - high;
  low += (high - (sum - part)) + (joules - part);  // what the sum lost (D. E. Knuth's two-sum)
  high = sum + low;
  low = low - (high - sum);
}

void ExactJoules::add_product(double watts, std::int64_t length_ns) noexcept {
  const auto [whole, rest] = divide(length_ns, second_ns);
  const auto seconds = static_cast<double>(whole);  // exact: 2^63 ns are fewer than 2^53 s
  const double product = watts * seconds;
  add(product);
  add(std::fma(watts, seconds, -product));
  add(watts * (static_cast<double>(rest) / static_cast<double>(second_ns)));
}

std::int64_t ExactJoules::quanta(double quantum_j, double offset_j) const noexcept {
  ExactJoules sum = *this;
  sum.add(offset_j);
  const double rest = std::fmod(sum.high, quantum_j);  // exact, unlike the quotient
  const double whole = std::nearbyint((sum.high - rest) / quantum_j);
  if (std::abs(whole) > 9e18) return whole > 0 ? INT64_MAX : INT64_MIN;
  return static_cast<std::int64_t>(whole) + static_cast<std::int64_t>(std::floor((rest + sum.low) / quantum_j));
}

ExactJoules operator-(const ExactJoules& a, const ExactJoules& b) noexcept {
  ExactJoules sum = a;
  sum.add(-b.high);
  sum.add(-b.low);
  return sum;
}

double PowerCurve::Term::cell_watts(std::int64_t cell) const noexcept {
  const auto [block, at] = divide(cell, block_cells);
  // The second half of each block mirrors the first in an order of its own: so every block's sum is the mean, and the
  // integral from 0 needs one block only, however late it is.
  const auto twin = at < half_block ? at : (at * 5 + 3) % half_block;
  const auto hash = mixed_hash(seed, static_cast<std::uint64_t>(block * half_block + twin));
  const double unit = static_cast<double>(hash >> 11) * 0x1p-52 - 1;  // −1 … 1
  return base_w + (at < half_block ? unit : -unit) * amplitude_w;
}

double PowerCurve::Term::step_watts(std::int64_t rest_ns) const noexcept {
  const auto next = std::upper_bound(steps.begin(), steps.end(), rest_ns,
                                     [](std::int64_t t, const Step& step) { return t < step.begin_ns; });
  return next == steps.begin() ? steps.front().watts : std::prev(next)->watts;
}

double PowerCurve::Term::watts(std::int64_t t_ns) const noexcept {
  switch (shape) {
    case Shape::constant: return base_w;
    case Shape::sine: {
      const auto rest = static_cast<double>(divide(t_ns, period_ns).rest) / static_cast<double>(period_ns);
      return base_w + amplitude_w * std::sin(2 * std::numbers::pi * (rest + phase));
    }
    case Shape::square: return divide(t_ns, period_ns).rest < high_ns ? base_w + amplitude_w : base_w;
    case Shape::steps: return step_watts(period_ns > 0 ? divide(t_ns, period_ns).rest : t_ns);
    case Shape::noise: return cell_watts(divide(t_ns, period_ns).whole);
  }
  return 0;
}

void PowerCurve::Term::add_joules(ExactJoules& sum, std::int64_t t_ns) const noexcept {
  switch (shape) {
    case Shape::constant: sum.add_product(base_w, t_ns); return;
    case Shape::sine: {
      sum.add_product(base_w, t_ns);
      const auto rest = static_cast<double>(divide(t_ns, period_ns).rest) / static_cast<double>(period_ns);
      const double turn = 2 * std::numbers::pi;
      const double period_s = static_cast<double>(period_ns) / static_cast<double>(second_ns);
      sum.add(amplitude_w * period_s / turn * (std::cos(turn * phase) - std::cos(turn * (rest + phase))));
      return;
    }
    case Shape::square: {
      sum.add_product(base_w, t_ns);
      const auto [whole, rest] = divide(t_ns, period_ns);
      sum.add_product(amplitude_w, whole * high_ns + std::min(rest, high_ns));
      return;
    }
    case Shape::steps: {
      const auto [whole, rest] = period_ns > 0 ? divide(t_ns, period_ns) : Divided{0, t_ns};
      if (rest < 0) return sum.add_product(steps.front().watts, rest);
      for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto begin = steps[i].begin_ns;
        const auto end = i + 1 < steps.size() ? steps[i + 1].begin_ns : period_ns;
        const auto in_this = rest <= begin ? 0 : (i + 1 < steps.size() ? std::min(rest, end) : rest) - begin;
        sum.add_product(steps[i].watts, whole * (end - begin) + in_this);
      }
      return;
    }
    case Shape::noise: {
      sum.add_product(base_w, t_ns);
      const auto [block, in_block] = divide(t_ns, period_ns * block_cells);
      for (std::int64_t cell = 0; cell * period_ns < in_block; ++cell)
        sum.add_product(cell_watts(block * block_cells + cell) - base_w,
                        std::min(period_ns, in_block - cell * period_ns));
      return;
    }
  }
}

double PowerCurve::Term::extreme(std::int64_t from_ns, std::int64_t to_ns, int sign) const noexcept {
  const auto better = [sign](double a, double b) { return sign > 0 ? std::max(a, b) : std::min(a, b); };
  double best = better(watts(from_ns), watts(to_ns));
  switch (shape) {
    case Shape::constant: return best;
    case Shape::sine: {
      // Crests lie at a quarter of a turn, troughs at three quarters: is one of them between the two?
      const double at = (sign * (amplitude_w < 0 ? -1 : 1) > 0 ? 0.25 : 0.75) - phase;
      const auto period = static_cast<double>(period_ns);
      const double rest = static_cast<double>(divide(from_ns, period_ns).rest) / period;
      const double next = at + std::ceil(rest - at) - rest;  // periods from `from` to the next one
      return next * period <= static_cast<double>(to_ns - from_ns) ? base_w + sign * std::abs(amplitude_w) : best;
    }
    case Shape::square: {
      const auto [whole, rest] = divide(from_ns, period_ns);
      for (const auto edge : {whole * period_ns + high_ns, (whole + 1) * period_ns})
        if (edge > from_ns && edge <= to_ns) best = better(best, watts(edge));
      return best;
    }
    case Shape::steps: {
      const auto start = period_ns > 0 ? divide(from_ns, period_ns).whole * period_ns : 0;
      for (const Step& step : steps)
        for (const auto edge : {start + step.begin_ns, start + period_ns + step.begin_ns})
          if (edge > from_ns && edge <= to_ns) best = better(best, step.watts);
      return best;
    }
    case Shape::noise: {
      const auto first = divide(from_ns, period_ns).whole, last = divide(to_ns, period_ns).whole;
      if (last - first > 4096) return base_w + sign * std::abs(amplitude_w);
      for (auto cell = first + 1; cell < last; ++cell) best = better(best, cell_watts(cell));
      return best;
    }
  }
  return best;
}

PowerCurve PowerCurve::constant(Watts watts) {
  PowerCurve curve;
  curve.terms_.emplace_back();
  curve.terms_.back().base_w = watts.value();
  return curve;
}

PowerCurve PowerCurve::scaled(double factor) const {
  PowerCurve curve = *this;
  for (Term& term : curve.terms_) {
    term.base_w *= factor;
    term.amplitude_w *= factor;
    term.high_w *= factor;
    for (Step& step : term.steps) step.watts *= factor;
  }
  return curve;
}

PowerCurve PowerCurve::plus(const PowerCurve& other) const {
  PowerCurve curve = *this;
  curve.terms_.insert(curve.terms_.end(), other.terms_.begin(), other.terms_.end());
  return curve;
}

Watts PowerCurve::watts(Duration t) const noexcept {
  double sum = 0;
  for (const Term& term : terms_) sum += term.watts(t.ns);
  return Watts(sum);
}

ExactJoules PowerCurve::joules(Duration t) const noexcept {
  ExactJoules sum;
  for (const Term& term : terms_) term.add_joules(sum, t.ns);
  return sum;
}

Joules PowerCurve::joules(Duration from, Duration to) const noexcept { return (joules(to) - joules(from)).value(); }

Watts PowerCurve::least(Duration from, Duration to) const noexcept {
  double sum = 0;
  for (const Term& term : terms_) sum += term.extreme(from.ns, to.ns, -1);
  return Watts(sum);
}

Watts PowerCurve::most(Duration from, Duration to) const noexcept {
  double sum = 0;
  for (const Term& term : terms_) sum += term.extreme(from.ns, to.ns, +1);
  return Watts(sum);
}

}  // namespace prony
