// Lasso by coordinate descent, as scikit-learn fits it: min 1/(2n)·‖y − b − X·w‖² + α·‖w‖₁, the intercept b by
// centring, every w ≥ 0 where asked for; a path of α from the one that leaves nothing (the largest) down to `eps` of
// it; α chosen by cross-validation over folds of neighbouring rows. Features that the duality gap proves to be 0 are
// left out while it converges (they change no result). Pure; plain values; any thread. Units: those of X and y. Source:
// Friedman, Hastie & Tibshirani 2010 (J. Stat. Softw. 33(1)) for the descent on sums of products; Fercoq, Gramfort &
// Salmon 2015 (arXiv:1505.03410) for what may be left out; scikit-learn 1.9 for defaults, order and stops.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <vector>

#include "base/result.hpp"

namespace prony::predict {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

struct LassoOptions {
  double tolerance = 1e-4;    // of the duality gap, as a share of ‖y − mean‖²; and of the largest step
  int max_iterations = 1000;  // passes over all features, for each α
  bool positive = false;
  int alphas = 100;   // of the path
  double eps = 1e-3;  // smallest ÷ largest α
  std::size_t folds = 10;
};

struct LassoFit {
  Vector weights;
  double intercept = 0;
  double alpha = 0;
  int iterations = 0;
  double gap = 0;  // of the duality gap, divided by ‖y − mean‖²
  bool converged = false;
};

struct LassoChoice {
  LassoFit fit;                 // on all rows, at the α chosen
  std::vector<double> alphas;   // falling
  std::vector<double> errors;   // mean squared error of each α over the folds
  std::size_t unconverged = 0;  // fits of the folds that stopped at max_iterations
};

// At one α. Errors: malformed (no rows, rows that do not match, numbers that are not finite).
[[nodiscard]] Result<LassoFit> fit_lasso(const Matrix& x, const Vector& y, double alpha, const LassoOptions& options);
// The path of α for these rows.
[[nodiscard]] std::vector<double> lasso_alphas(const Matrix& x, const Vector& y, const LassoOptions& options);
// Errors: as fit_lasso; also malformed where there are fewer rows than folds.
[[nodiscard]] Result<LassoChoice> choose_lasso(const Matrix& x, const Vector& y, const LassoOptions& options);

}  // namespace prony::predict
