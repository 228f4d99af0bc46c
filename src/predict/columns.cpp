#include "predict/columns.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace prony::predict {

namespace {

// Where column i of the last degree ends up: each input times the columns of the degree below that begin with no
// earlier input. Calls `make(column, left, right)`: column = input `left` times earlier column `right`.
template <class Make>
Eigen::Index for_each_product(Eigen::Index inputs, int degree, Make make) {
  Eigen::Index column = 1;  // behind the 1
  std::vector<Eigen::Index> starts;
  for (Eigen::Index i = 0; i < inputs; ++i, ++column) {
    starts.push_back(column);
    make(column, i, Eigen::Index{0});
  }
  starts.push_back(column);
  for (int power = 2; power <= degree; ++power) {
    const Eigen::Index end = starts.back();
    std::vector<Eigen::Index> next;
    for (Eigen::Index i = 0; i < inputs; ++i) {
      next.push_back(column);
      for (Eigen::Index right = starts[static_cast<std::size_t>(i)]; right < end; ++right, ++column)
        make(column, i, right);
    }
    next.push_back(column);
    starts = std::move(next);
  }
  return column;
}

// numpy's percentile: linear between the two readings around it.
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - static_cast<double>(below));
}

}  // namespace

Matrix Scaler::apply(const Matrix& x) const {
  return (x.rowwise() - centre.transpose()).array().rowwise() / scale.transpose().array();
}

Eigen::Index polynomial_columns(Eigen::Index inputs, int degree) {
  return for_each_product(inputs, degree, [](Eigen::Index, Eigen::Index, Eigen::Index) {});
}

Matrix polynomial(const Matrix& x, int degree) {
  Matrix out(x.rows(), polynomial_columns(x.cols(), degree));
  out.col(0).setOnes();
  for_each_product(x.cols(), degree, [&](Eigen::Index column, Eigen::Index left, Eigen::Index right) {
    out.col(column) = x.col(left).cwiseProduct(out.col(right));
  });
  return out;
}

Matrix columns_of(const Matrix& x, const ColumnPlan& plan) {
  const Matrix poly = polynomial(plan.log_inputs ? Matrix(x.array().log1p()) : x, plan.degree);
  Matrix out(x.rows(), poly.cols() + static_cast<Eigen::Index>(plan.products.size()));
  out.leftCols(poly.cols()) = poly;
  Eigen::Index column = poly.cols();
  for (const auto& product : plan.products) {
    out.col(column).setOnes();
    for (const Eigen::Index input : product) out.col(column).array() *= x.col(input).array();
    ++column;
  }
  return out;
}

Scaler learn_scaler(const Matrix& x, Scaling scaling) {
  constexpr double eps = std::numeric_limits<double>::epsilon();
  const auto rows = static_cast<double>(x.rows());
  Scaler scaler{Vector::Zero(x.cols()), Vector::Ones(x.cols())};
  if (x.rows() == 0) return scaler;
  for (Eigen::Index j = 0; j < x.cols(); ++j) {
    if (scaling == Scaling::standard) {
      const double mean = x.col(j).mean();
      const double variance = (x.col(j).array() - mean).square().mean();
      scaler.centre[j] = mean;
      // Not told apart from a constant: what rounding alone makes of one (Chan, Golub & LeVeque 1983).
      const double doubt = rows * mean * eps;
      if (variance > rows * eps * variance + doubt * doubt) scaler.scale[j] = std::sqrt(variance);
    } else {
      std::vector<double> sorted(x.col(j).begin(), x.col(j).end());
      std::sort(sorted.begin(), sorted.end());
      scaler.centre[j] = quantile(sorted, 0.5);
      const double spread = quantile(sorted, 0.75) - quantile(sorted, 0.25);
      if (spread >= 10 * eps) scaler.scale[j] = spread;
    }
  }
  return scaler;
}

}  // namespace prony::predict
