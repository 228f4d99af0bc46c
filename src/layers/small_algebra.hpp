// Dense symmetric systems of a few hundred unknowns, by Eigen, which stays inside; what Eigen 3.4 has not (least
// squares with nothing below zero) is here. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace prony::layers {

struct SquareMatrix {
  explicit SquareMatrix(std::size_t of_size) : size(of_size), values(of_size * of_size) {}
  double& at(std::size_t row, std::size_t column) { return values[row * size + column]; }
  [[nodiscard]] double at(std::size_t row, std::size_t column) const { return values[row * size + column]; }
  std::size_t size;
  std::vector<double> values;
};

// Of the rows and columns `at` alone, by Cholesky. Absent: not positive definite.
[[nodiscard]] std::optional<std::vector<double>> solve_symmetric(const SquareMatrix& matrix,
                                                                 const std::vector<double>& right,
                                                                 const std::vector<std::size_t>& at);
// The smallest first; of a matrix that is not symmetric what is above its diagonal does not count.
[[nodiscard]] std::vector<double> symmetric_eigenvalues(const SquareMatrix& matrix);

// min ‖X·c − y‖² with every c ≥ 0, from XᵀX and Xᵀy (Lawson and Hanson, algorithm NNLS).
[[nodiscard]] std::vector<double> non_negative(const SquareMatrix& products, const std::vector<double>& with_y);

}  // namespace prony::layers
