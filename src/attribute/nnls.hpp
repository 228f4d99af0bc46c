// Non-negative least squares with few columns: min ‖X·c − y‖² with every c ≥ 0, from sums of products alone, so that
// rows can be added, put together again and drawn anew (bootstrap) without being kept. Pure; plain values; any thread.
// Source: the conditions of Karush, Kuhn and Tucker: the solution is the ordinary one on the columns that are above
// zero. Of four columns there are sixteen such sets: all are tried, which is exact and cannot cycle.
#pragma once

#include <array>
#include <cstddef>

namespace prony::attribution {

inline constexpr std::size_t fit_columns = 4;
using FitVector = std::array<double, fit_columns>;
using FitColumns = std::array<bool, fit_columns>;  // those that may be above zero

struct FitSums {
  std::array<FitVector, fit_columns> products{};  // Xᵀ·X
  FitVector with_y{};                             // Xᵀ·y
  double y_squared = 0;
  std::size_t rows = 0;

  void add(const FitVector& x, double y);
  FitSums& operator+=(const FitSums& other);
};

// Columns that hold nothing, or no more than the others do already, get 0.
[[nodiscard]] FitVector non_negative_least_squares(const FitSums& sums, const FitColumns& columns);

// Largest ÷ smallest singular value of the columns, each first scaled to length 1: 1 is orthogonal; infinite where one
// is a sum of the others. Columns that hold nothing are left out; without any it is 1. Above about 30 the parts can no
// longer be told apart (Belsley, Kuh and Welsch, Regression Diagnostics, 1980, ch. 3).
[[nodiscard]] double condition_of(const FitSums& sums, const FitColumns& columns);

}  // namespace prony::attribution
