// From what a layer is to the columns that a linear model is fitted to: log1p, polynomials of every degree up to three
// (in the order of scikit-learn's PolynomialFeatures: 1, a, b, a², ab, b², a³, …), products by name beside them, and a
// scaler learned from the training rows (mean and standard deviation, or median and quartiles). A column that never
// changes is left at its scale. Pure; plain values; any thread.
// Source: scikit-learn 1.9, PolynomialFeatures, StandardScaler, RobustScaler.
#pragma once

#include <string>
#include <vector>

#include "predict/lasso.hpp"

namespace prony::predict {

enum class Scaling { standard, robust };

struct ColumnPlan {
  int degree = 3;           // 1 to 3
  bool log_inputs = false;  // log1p of what the polynomial is made of; products are of the plain inputs
  std::vector<std::vector<Eigen::Index>> products;  // each of the inputs whose numbers are multiplied
  Scaling scaling = Scaling::standard;
};

struct Scaler {
  Vector centre, scale;
  [[nodiscard]] Matrix apply(const Matrix& x) const;
};

// How many columns a polynomial of `inputs` inputs has, the 1 included.
[[nodiscard]] Eigen::Index polynomial_columns(Eigen::Index inputs, int degree);
[[nodiscard]] Matrix polynomial(const Matrix& x, int degree);
// Polynomial and products, not yet scaled. Inputs are not below 0 where log_inputs.
[[nodiscard]] Matrix columns_of(const Matrix& x, const ColumnPlan& plan);
[[nodiscard]] Scaler learn_scaler(const Matrix& x, Scaling scaling);

}  // namespace prony::predict
