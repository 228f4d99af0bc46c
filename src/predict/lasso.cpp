#include "predict/lasso.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.hpp"

namespace prony::predict {

namespace {

// Centred rows as their sums of products: all that the descent needs, whatever the number of rows.
struct Products {
  Matrix gram;       // XᵀX
  Vector with_y;     // Xᵀy
  double y_squared;  // yᵀy
  Vector x_mean;
  double y_mean;
  double rows;
};

Products products_of(const Matrix& x, const Vector& y) {
  Products sums;
  sums.rows = static_cast<double>(x.rows());
  sums.x_mean = x.colwise().mean();
  sums.y_mean = y.mean();
  const Matrix centred = x.rowwise() - sums.x_mean.transpose();
  const Vector target = y.array() - sums.y_mean;
  sums.gram = Matrix::Zero(x.cols(), x.cols());
  sums.gram.selfadjointView<Eigen::Lower>().rankUpdate(centred.transpose());
  sums.gram.triangularView<Eigen::StrictlyUpper>() = sums.gram.transpose();
  sums.with_y = centred.transpose() * target;
  sums.y_squared = target.squaredNorm();
  return sums;
}

class Descent {
 public:
  Descent(const Products& sums, const LassoOptions& options) : sums_(sums), options_(options) {
    w_ = Vector::Zero(sums.gram.cols());
    gram_w_ = Vector::Zero(sums.gram.cols());
  }

  // From where the last α ended; `penalty` is α times the rows.
  void solve(double penalty) {
    const double enough = options_.tolerance * sums_.y_squared;
    converged = true;
    iterations = 0;
    measure_gap(penalty);
    if (gap >= 0 && gap <= enough) return;
    active_.clear();
    for (Eigen::Index j = 0; j < w_.size(); ++j) active_.push_back(j);
    leave_out(penalty);
    for (iterations = 1; iterations <= options_.max_iterations; ++iterations) {
      const auto [largest_step, largest] = pass(penalty);
      const bool last = iterations == options_.max_iterations;
      if (!(largest == 0 || largest_step <= options_.tolerance * largest || last)) continue;
      measure_gap(penalty);
      if (gap <= enough) return;
      leave_out(penalty);
      if (last) break;
    }
    converged = false;
  }

  [[nodiscard]] const Vector& weights() const { return w_; }
  int iterations = 0;
  double gap = 0;
  bool converged = false;

 private:
  struct Step {
    double largest_step, largest;
  };

  Step pass(double penalty) {
    Step step{0, 0};
    for (const Eigen::Index j : active_) {
      const double square = sums_.gram(j, j);
      const double before = w_[j];
      const double slope = sums_.with_y[j] - gram_w_[j] + before * square;
      double after = std::max(std::abs(slope) - penalty, 0.0) / square;
      if (slope < 0) after = options_.positive ? 0.0 : -after;
      if (after != before) {
        gram_w_.noalias() += (after - before) * sums_.gram.col(j);
        w_[j] = after;
      }
      step.largest_step = std::max(step.largest_step, std::abs(after - before));
      step.largest = std::max(step.largest, std::abs(after));
    }
    return step;
  }

  // The duality gap of Fercoq et al., equation 2, from sums of products.
  void measure_gap(double penalty) {
    slopes_ = sums_.with_y - gram_w_;
    largest_slope_ = options_.positive ? slopes_.maxCoeff() : slopes_.cwiseAbs().maxCoeff();
    const double explained = w_.dot(sums_.with_y);
    const double residual = sums_.y_squared + w_.dot(gram_w_) - 2 * explained;
    const double scale = largest_slope_ > penalty ? penalty / largest_slope_ : 1;
    const double primal = 0.5 * residual + penalty * w_.lpNorm<1>();
    gap = primal - (scale * (sums_.y_squared - explained) - 0.5 * scale * scale * residual);
  }

  // What can only be 0 at the solution is visited no more.
  void leave_out(double penalty) {
    const double radius = std::sqrt(2 * std::abs(gap)) / penalty;
    std::erase_if(active_, [&](Eigen::Index j) {
      const double square = sums_.gram(j, j);
      if (square > 0) {
        const double angle = std::abs(slopes_[j] / std::max(penalty, largest_slope_));
        if ((1 - angle) / std::sqrt(square) <= radius) return false;
      }
      if (w_[j] != 0) {
        gram_w_.noalias() -= w_[j] * sums_.gram.col(j);
        w_[j] = 0;
      }
      return true;
    });
  }

  const Products& sums_;
  const LassoOptions& options_;
  Vector w_, gram_w_, slopes_;
  double largest_slope_ = 0;
  std::vector<Eigen::Index> active_;
};

LassoFit fit_of(const Products& sums, const Descent& descent, double alpha) {
  LassoFit fit;
  fit.weights = descent.weights();
  fit.intercept = sums.y_mean - sums.x_mean.dot(fit.weights);
  fit.alpha = alpha;
  fit.iterations = descent.iterations;
  fit.gap = sums.y_squared > 0 ? descent.gap / sums.y_squared : 0;
  fit.converged = descent.converged;
  return fit;
}

Result<void> check(const Matrix& x, const Vector& y, std::size_t least) {
  if (x.rows() != y.size()) return fail(ErrorCode::malformed, "there are not as many targets as rows");
  if (static_cast<std::size_t>(x.rows()) < std::max<std::size_t>(least, 2))
    return fail(ErrorCode::malformed,
                "too few rows: " + std::to_string(x.rows()) + ", and " +
                    std::to_string(std::max<std::size_t>(least, 2)) + " are needed",
                {}, "Measure more layers of this kind.");
  if (!x.allFinite() || !y.allFinite()) return fail(ErrorCode::malformed, "a number is not finite");
  return {};
}

std::vector<double> alphas_of(const Products& sums, const LassoOptions& options) {
  const double slope = options.positive ? std::max(0.0, sums.with_y.maxCoeff()) : sums.with_y.cwiseAbs().maxCoeff();
  const double largest = slope / sums.rows;
  constexpr double least = 1e-15;  // what scikit-learn takes for 0 here
  const auto count = static_cast<std::size_t>(std::max(options.alphas, 1));
  if (!(largest > least)) return std::vector<double>(count, least);
  std::vector<double> alphas(count, largest);
  for (std::size_t i = 1; i < count; ++i)
    alphas[i] = largest * std::pow(options.eps, static_cast<double>(i) / static_cast<double>(count - 1));
  return alphas;
}

}  // namespace

std::vector<double> lasso_alphas(const Matrix& x, const Vector& y, const LassoOptions& options) {
  if (x.rows() == 0 || x.cols() == 0) return {};
  return alphas_of(products_of(x, y), options);
}

Result<LassoFit> fit_lasso(const Matrix& x, const Vector& y, double alpha, const LassoOptions& options) {
  if (const auto good = check(x, y, 2); !good) return Unexpected<Error>(good.error());
  if (!(alpha > 0) || x.cols() == 0) return fail(ErrorCode::malformed, "a Lasso needs columns and a penalty above 0");
  const Products sums = products_of(x, y);
  Descent descent(sums, options);
  descent.solve(alpha * sums.rows);
  return fit_of(sums, descent, alpha);
}

Result<LassoChoice> choose_lasso(const Matrix& x, const Vector& y, const LassoOptions& options) {
  if (const auto good = check(x, y, options.folds); !good) return Unexpected<Error>(good.error());
  if (x.cols() == 0 || options.folds < 2)
    return fail(ErrorCode::malformed, "a Lasso needs columns and two folds or more");
  const Products all = products_of(x, y);
  LassoChoice choice;
  choice.alphas = alphas_of(all, options);
  choice.errors.assign(choice.alphas.size(), 0);
  const auto folds = static_cast<Eigen::Index>(options.folds);
  const Eigen::Index rows = x.rows(), each = rows / folds, longer = rows % folds;
  Eigen::Index begin = 0;
  for (Eigen::Index fold = 0; fold < folds; ++fold) {
    const Eigen::Index count = each + (fold < longer ? 1 : 0), after = rows - begin - count;
    Matrix train_x(rows - count, x.cols());
    Vector train_y(rows - count);
    train_x.topRows(begin) = x.topRows(begin), train_x.bottomRows(after) = x.bottomRows(after);
    train_y.head(begin) = y.head(begin), train_y.tail(after) = y.tail(after);
    const Products sums = products_of(train_x, train_y);
    const auto test_x = x.middleRows(begin, count);
    const auto test_y = y.segment(begin, count);
    Descent descent(sums, options);
    for (std::size_t i = 0; i < choice.alphas.size(); ++i) {
      descent.solve(choice.alphas[i] * sums.rows);
      choice.unconverged += descent.converged ? 0U : 1U;
      const LassoFit fit = fit_of(sums, descent, choice.alphas[i]);
      const Vector off = (test_x * fit.weights - test_y).array() + fit.intercept;
      choice.errors[i] += off.squaredNorm() / static_cast<double>(count) / static_cast<double>(folds);
    }
    begin += count;
  }
  const auto best = std::min_element(choice.errors.begin(), choice.errors.end()) - choice.errors.begin();
  const double alpha = choice.alphas[static_cast<std::size_t>(best)];
  Descent descent(all, options);
  descent.solve(alpha * all.rows);
  choice.fit = fit_of(all, descent, alpha);
  return choice;
}

}  // namespace prony::predict
