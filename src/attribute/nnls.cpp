#include "attribute/nnls.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

namespace prony::attribution {

namespace {

using Matrix = std::array<FitVector, fit_columns>;

// Products of columns that are scaled to length 1; those that hold nothing are left out.
struct Scaled {
  std::vector<std::size_t> columns;
  FitVector length{};
  Matrix products{};  // by place in `columns`
  FitVector with_y{};
};

Scaled scaled(const FitSums& sums, const FitColumns& allowed) {
  Scaled result;
  for (std::size_t i = 0; i < fit_columns; ++i) {
    result.length[i] = std::sqrt(std::max(sums.products[i][i], 0.0));
    if (allowed[i] && result.length[i] > 0) result.columns.push_back(i);
  }
  for (std::size_t a = 0; a < result.columns.size(); ++a) {
    const std::size_t i = result.columns[a];
    result.with_y[a] = sums.with_y[i] / result.length[i];
    for (std::size_t b = 0; b < result.columns.size(); ++b) {
      const std::size_t j = result.columns[b];
      result.products[a][b] = sums.products[i][j] / (result.length[i] * result.length[j]);
    }
  }
  return result;
}

// Least squares on the columns whose bit is set, by Cholesky; absent where they are not independent.
std::optional<FitVector> solve(const Scaled& scaled, unsigned set) {
  constexpr double dependent = 1e-12;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < scaled.columns.size(); ++i)
    if (set >> i & 1u) at.push_back(i);
  Matrix lower{};
  FitVector half{}, result{};
  for (std::size_t i = 0; i < at.size(); ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = scaled.products[at[i]][at[j]];
      for (std::size_t k = 0; k < j; ++k) sum -= lower[i][k] * lower[j][k];
      if (i == j && sum < dependent) return std::nullopt;
      lower[i][j] = i == j ? std::sqrt(sum) : sum / lower[j][j];
    }
    double sum = scaled.with_y[at[i]];
    for (std::size_t k = 0; k < i; ++k) sum -= lower[i][k] * half[k];
    half[i] = sum / lower[i][i];
  }
  for (std::size_t left = at.size(); left > 0; --left) {
    const std::size_t i = left - 1;
    double sum = half[i];
    for (std::size_t k = i + 1; k < at.size(); ++k) sum -= lower[k][i] * result[at[k]];
    result[at[i]] = sum / lower[i][i];
  }
  return result;
}

// Eigenvalues of a symmetric matrix by Jacobi's rotations.
FitVector eigenvalues(Matrix matrix, std::size_t size) {
  constexpr int sweeps = 30;
  for (int sweep = 0; sweep < sweeps; ++sweep)
    for (std::size_t p = 0; p < size; ++p)
      for (std::size_t q = p + 1; q < size; ++q) {
        if (matrix[p][q] == 0) continue;
        const double angle = std::atan2(2 * matrix[p][q], matrix[p][p] - matrix[q][q]) / 2;
        const double c = std::cos(angle), s = std::sin(angle);
        for (std::size_t k = 0; k < size; ++k) {
          const double a = matrix[k][p], b = matrix[k][q];
          matrix[k][p] = c * a + s * b;
          matrix[k][q] = c * b - s * a;
        }
        for (std::size_t k = 0; k < size; ++k) {
          const double a = matrix[p][k], b = matrix[q][k];
          matrix[p][k] = c * a + s * b;
          matrix[q][k] = c * b - s * a;
        }
      }
  FitVector result{};
  for (std::size_t i = 0; i < size; ++i) result[i] = matrix[i][i];
  return result;
}

}  // namespace

void FitSums::add(const FitVector& x, double y) {
  for (std::size_t i = 0; i < fit_columns; ++i) {
    for (std::size_t j = 0; j < fit_columns; ++j) products[i][j] += x[i] * x[j];
    with_y[i] += x[i] * y;
  }
  y_squared += y * y;
  ++rows;
}

FitSums& FitSums::operator+=(const FitSums& other) {
  for (std::size_t i = 0; i < fit_columns; ++i) {
    for (std::size_t j = 0; j < fit_columns; ++j) products[i][j] += other.products[i][j];
    with_y[i] += other.with_y[i];
  }
  y_squared += other.y_squared;
  rows += other.rows;
  return *this;
}

FitVector non_negative_least_squares(const FitSums& sums, const FitColumns& columns) {
  const Scaled problem = scaled(sums, columns);
  FitVector best{};
  double explained = 0;  // ‖y‖² − ‖X·c − y‖² of the best: for an ordinary solution it is cᵀ·Xᵀ·y
  for (unsigned set = 1; set < 1u << problem.columns.size(); ++set) {
    const auto found = solve(problem, set);
    if (!found || std::ranges::any_of(*found, [](double value) { return value < 0; })) continue;
    double of_this = 0;
    for (std::size_t i = 0; i < problem.columns.size(); ++i) of_this += (*found)[i] * problem.with_y[i];
    if (of_this > explained) explained = of_this, best = *found;
  }
  FitVector result{};
  for (std::size_t i = 0; i < problem.columns.size(); ++i)
    result[problem.columns[i]] = best[i] / problem.length[problem.columns[i]];
  return result;
}

double condition_of(const FitSums& sums, const FitColumns& columns) {
  const Scaled problem = scaled(sums, columns);
  const std::size_t size = problem.columns.size();
  if (size < 2) return 1;
  const FitVector values = eigenvalues(problem.products, size);
  const auto [least, most] = std::minmax_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(size));
  constexpr double nothing = 1e-14;
  if (*least <= nothing * *most) return std::numeric_limits<double>::infinity();
  return std::sqrt(*most / *least);
}

}  // namespace prony::attribution
