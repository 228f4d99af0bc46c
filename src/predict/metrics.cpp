#include "predict/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace prony::predict {

FitMetrics metrics_of(const std::vector<double>& measured, const std::vector<double>& predicted) {
  FitMetrics m;
  m.count = std::min(measured.size(), predicted.size());
  if (m.count == 0) return m;
  const auto n = static_cast<double>(m.count);
  double mean = 0, spread = 0, squares = 0, relative = 0;
  for (std::size_t i = 0; i < m.count; ++i) mean += measured[i] / n;
  for (std::size_t i = 0; i < m.count; ++i) {
    const double off = predicted[i] - measured[i], share = std::abs(off / measured[i]);
    squares += off * off, relative += share * share;
    spread += (measured[i] - mean) * (measured[i] - mean);
    m.mae += std::abs(off) / n, m.mape += 100 * share / n;
    m.within_5 += share <= 0.05 ? 100 / n : 0, m.within_10 += share <= 0.10 ? 100 / n : 0;
  }
  m.rmse = std::sqrt(squares / n);
  m.rmspe = 100 * std::sqrt(relative / n);
  m.r2 = spread > 0 ? 1 - squares / spread : 0;
  return m;
}

double conformal_quantile(std::vector<std::pair<double, double>> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  double total = 0;
  for (const auto& [value, weight] : values) total += weight;
  // One value more, as heavy as the mean of these, stands for the one to come.
  const double wanted = share * total * (1 + 1 / static_cast<double>(values.size()));
  double sum = 0;
  for (const auto& [value, weight] : values)
    if ((sum += weight) >= wanted * (1 - 1e-12)) return value;
  return values.back().first;
}

double student_t(double coverage, std::size_t degrees) {
  if (degrees == 0) return INFINITY;
  // Its distribution function by Simpson's rule in the angle: t = √n·tan θ, density ∝ cosⁿ⁻¹ θ.
  const auto n = static_cast<double>(degrees);
  const auto mass = [&](double to) {
    constexpr int steps = 400;
    double sum = 0;
    for (int i = 0; i <= steps; ++i)
      sum += (i == 0 || i == steps ? 1 : i % 2 == 1 ? 4 : 2) * std::pow(std::cos(to * i / steps), n - 1);
    return sum * to / (3.0 * steps);
  };
  const double whole = mass(std::acos(0.0));
  double low = 0, high = std::acos(0.0);
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (mass(middle) < coverage * whole ? low : high) = middle;
  }
  return std::sqrt(n) * std::tan((low + high) / 2);
}

}  // namespace prony::predict
