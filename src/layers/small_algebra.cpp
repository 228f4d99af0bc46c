#include "layers/small_algebra.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace prony::layers {

std::optional<std::vector<double>> solve_symmetric(const SquareMatrix& matrix, const std::vector<double>& right,
                                                   const std::vector<std::size_t>& at) {
  const std::size_t n = at.size();
  SquareMatrix lower(n);
  std::vector<double> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = matrix.at(at[i], at[j]);
      for (std::size_t k = 0; k < j; ++k) sum -= lower.at(i, k) * lower.at(j, k);
      if (i != j) {
        lower.at(i, j) = sum / lower.at(j, j);
        continue;
      }
      if (!(sum > 1e-13 * matrix.at(at[i], at[i]))) return std::nullopt;
      lower.at(i, i) = std::sqrt(sum);
    }
    double sum = right[at[i]];
    for (std::size_t k = 0; k < i; ++k) sum -= lower.at(i, k) * x[k];
    x[i] = sum / lower.at(i, i);
  }
  for (std::size_t left = n; left > 0; --left) {
    const std::size_t i = left - 1;
    for (std::size_t k = i + 1; k < n; ++k) x[i] -= lower.at(k, i) * x[k];
    x[i] /= lower.at(i, i);
  }
  return x;
}

std::vector<double> symmetric_eigenvalues(SquareMatrix m) {
  const std::size_t n = m.size;
  constexpr int most_sweeps = 30;
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    double off = 0, on = 0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) (i == j ? on : off) += m.at(i, j) * m.at(i, j);
    if (off <= 1e-26 * on) break;
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) {
        if (std::fabs(m.at(p, q)) < 1e-300) continue;
        const double angle = std::atan2(2 * m.at(p, q), m.at(p, p) - m.at(q, q)) / 2;
        const double c = std::cos(angle), s = std::sin(angle);
        for (std::size_t k = 0; k < n; ++k) {
          const double a = m.at(k, p), b = m.at(k, q);
          m.at(k, p) = c * a + s * b;
          m.at(k, q) = c * b - s * a;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double a = m.at(p, k), b = m.at(q, k);
          m.at(p, k) = c * a + s * b;
          m.at(q, k) = c * b - s * a;
        }
      }
  }
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = m.at(i, i);
  std::ranges::sort(values);
  return values;
}

std::vector<double> non_negative(const SquareMatrix& products, const std::vector<double>& with_y) {
  const std::size_t n = products.size;
  std::vector<double> x(n, 0.0);
  std::vector<char> free(n, 0), barred(n, 0);
  const auto places = [&] {
    std::vector<std::size_t> at;
    for (std::size_t i = 0; i < n; ++i)
      if (free[i]) at.push_back(i);
    return at;
  };
  for (std::size_t round = 0; round < 3 * n + 10; ++round) {
    // The column along which the sum of squares falls fastest becomes free.
    std::size_t best = n;
    double steepest = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (free[i] || barred[i]) continue;
      double slope = with_y[i];
      for (std::size_t k = 0; k < n; ++k) slope -= products.at(i, k) * x[k];
      if (slope > steepest + 1e-12 * std::fabs(with_y[i])) steepest = slope, best = i;
    }
    if (best == n) break;
    free[best] = 1;
    while (true) {
      const std::vector<std::size_t> at = places();
      const auto solved = solve_symmetric(products, with_y, at);
      if (!solved) {  // a sum of the others: it adds nothing
        free[best] = 0;
        barred[best] = 1;
        break;
      }
      double step = 1;
      for (std::size_t i = 0; i < at.size(); ++i)
        if ((*solved)[i] <= 0) step = std::min(step, x[at[i]] / (x[at[i]] - (*solved)[i]));
      bool cut = false;
      for (std::size_t i = 0; i < at.size(); ++i) {
        const bool below = (*solved)[i] <= 0;
        x[at[i]] += step * ((*solved)[i] - x[at[i]]);
        if (below && x[at[i]] <= 1e-15) {
          x[at[i]] = 0;
          free[at[i]] = 0;
          cut = true;
        }
      }
      if (step >= 1 || !cut) break;
    }
  }
  return x;
}

}  // namespace prony::layers
