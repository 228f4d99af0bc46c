#include "layers/small_algebra.hpp"

#include <algorithm>
#include <cmath>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>

namespace prony::layers {

namespace {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Map<const RowMatrix> as_eigen(const SquareMatrix& matrix) {
  const auto size = static_cast<Eigen::Index>(matrix.size);
  return {matrix.values.data(), size, size};
}

constexpr double no_pivot = 1e-13;  // of the diagonal: a column that is a sum of those before it

}  // namespace

std::optional<std::vector<double>> solve_symmetric(const SquareMatrix& matrix, const std::vector<double>& right,
                                                   const std::vector<std::size_t>& at) {
  const auto whole = as_eigen(matrix);
  const auto n = static_cast<Eigen::Index>(at.size());
  Eigen::MatrixXd part(n, n);
  Eigen::VectorXd with(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const auto row = static_cast<Eigen::Index>(at[static_cast<std::size_t>(i)]);
    for (Eigen::Index j = 0; j <= i; ++j)
      part(i, j) = whole(row, static_cast<Eigen::Index>(at[static_cast<std::size_t>(j)]));
    with[i] = right[static_cast<std::size_t>(row)];
  }
  const Eigen::LLT<Eigen::MatrixXd> factor(part);  // reads what is below the diagonal
  if (factor.info() != Eigen::Success) return std::nullopt;
  const Eigen::VectorXd pivots = factor.matrixLLT().diagonal().array().square();
  for (Eigen::Index i = 0; i < n; ++i)
    if (!(pivots[i] > no_pivot * part(i, i))) return std::nullopt;
  const Eigen::VectorXd x = factor.solve(with);
  return std::vector<double>(x.begin(), x.end());
}

std::vector<double> symmetric_eigenvalues(const SquareMatrix& matrix) {
  if (matrix.size == 0) return {};
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(as_eigen(matrix), Eigen::EigenvaluesOnly);
  const auto& values = solver.eigenvalues();  // the smallest first
  return {values.begin(), values.end()};
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
