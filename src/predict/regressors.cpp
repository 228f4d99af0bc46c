#include "predict/regressors.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <Eigen/Cholesky>

#include "layers/small_algebra.hpp"

namespace prony::predict {

namespace {

double least_of(const Examples& examples) {
  return examples.size() == 0 ? 0 : *std::min_element(examples.values.begin(), examples.values.end());
}

double predict_one(const MeanModel& model, const Layer&) { return model.value; }
double predict_one(const FlopLinearModel& model, const Layer& layer) {
  return std::max(model.floor, model.base + model.each * layer.flop());
}
double predict_one(const RooflineModel& model, const Layer& layer) {
  const auto columns = roofline_of(layer);
  double sum = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) sum += model.costs[i] * columns[i];
  return std::max(sum, model.floor);
}
double predict_one(const LassoModel& model, const Layer& layer) {
  const auto inputs = edgeprofiler_inputs(layer, model.kind);
  ColumnPlan plan = edgeprofiler_pipeline(model.kind, model.power).plan;
  plan.degree = model.degree;
  const Matrix row = Eigen::Map<const Vector>(inputs.data(), static_cast<Eigen::Index>(inputs.size())).transpose();
  const double value = model.scaler.apply(columns_of(row, plan)).row(0).dot(model.weights) + model.intercept;
  return model.floor ? std::max(*model.floor, value) : value;
}
double predict_one(const TreesModel& model, const Layer& layer) {
  const auto features = features_of(layer);
  double sum = model.start;
  for (const auto& tree : model.trees) {
    std::size_t at = 0;
    while (tree[at].feature >= 0)
      at = static_cast<std::size_t>(
          features[static_cast<std::size_t>(tree[at].feature)] <= tree[at].threshold ? tree[at].left : tree[at].right);
    sum += tree[at].value;
  }
  return predict_one(model.base, layer) * std::exp(std::clamp(sum, -20.0, 20.0));
}

// Of standardised rows: exp(−½Σ(dₖ/lₖ)²), and their product over the number of features.
Matrix kernel(const Matrix& a, const Matrix& b, const ProcessScales& scales) {
  const auto columns = a.cols();
  Vector inverse(columns);
  for (Eigen::Index j = 0; j < columns; ++j) inverse[j] = 1 / scales.lengths[static_cast<std::size_t>(j)];
  const Matrix left = a * inverse.asDiagonal(), right = b * inverse.asDiagonal();
  Matrix squares = -2 * left * right.transpose();
  squares.colwise() += left.rowwise().squaredNorm();
  squares.rowwise() += right.rowwise().squaredNorm().transpose();
  return scales.smooth * (-0.5 * squares.array().max(0)).exp().matrix() +
         scales.linear / static_cast<double>(std::max<Eigen::Index>(columns, 1)) * a * b.transpose();
}

double predict_one(const ProcessModel& model, const Layer& layer) {
  const auto features = features_of(layer);
  Matrix row = Matrix::Zero(1, model.centre.size());
  for (Eigen::Index j = 0; j < row.cols(); ++j)
    if (model.scale[j] > 0) row(0, j) = (features[static_cast<std::size_t>(j)] - model.centre[j]) / model.scale[j];
  const double sum = model.mean + kernel(row, model.points, model.scales).row(0).dot(model.weights);
  return predict_one(model.base, layer) * std::exp(std::clamp(sum, -20.0, 20.0));
}

double predict_one(const BlendModel& model, const Layer& layer) {
  return std::sqrt(predict_one(model.trees, layer) * predict_one(model.process, layer));
}

Matrix feature_matrix(const Examples& examples) {
  Matrix x(static_cast<Eigen::Index>(examples.size()), static_cast<Eigen::Index>(feature_names().size()));
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const auto row = features_of(*examples.layers[i]);
    x.row(static_cast<Eigen::Index>(i)) = Eigen::Map<const Vector>(row.data(), x.cols());
  }
  return x;
}

Vector log_residuals(const RooflineModel& base, const Examples& examples) {
  Vector r(static_cast<Eigen::Index>(examples.size()));
  for (std::size_t i = 0; i < examples.size(); ++i)
    r[static_cast<Eigen::Index>(i)] = std::log(examples.values[i] / predict_one(base, *examples.layers[i]));
  return r;
}

// Layers that are alike (in every feature) as one, with the geometric mean of what they took: a block that a network
// repeats says no more than once, and makes no matrix larger.
Examples alike_as_one(const Examples& examples) {
  struct Sum {
    std::size_t first = 0, count = 0;
    double logs = 0;
  };
  std::map<std::vector<double>, Sum> sums;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    Sum& sum = sums.try_emplace(features_of(*examples.layers[i]), Sum{i, 0, 0}).first->second;
    ++sum.count, sum.logs += std::log(examples.values[i]);
  }
  std::map<std::size_t, double> by_place;
  for (const auto& [features, sum] : sums) by_place[sum.first] = std::exp(sum.logs / static_cast<double>(sum.count));
  Examples some;
  for (const auto& [place, value] : by_place) {
    some.layers.push_back(examples.layers[place]);
    some.values.push_back(value);
    some.groups.push_back(examples.groups[place]);
  }
  return some;
}

// Every n-th row, so that no more than `most` remain.
Examples thinned(const Examples& examples, std::size_t most) {
  const std::size_t step = std::max<std::size_t>(1, (examples.size() + most - 1) / most);
  if (step == 1) return examples;
  Examples some;
  for (std::size_t i = 0; i < examples.size(); i += step) {
    some.layers.push_back(examples.layers[i]);
    some.values.push_back(examples.values[i]);
    some.groups.push_back(examples.groups[i]);
  }
  return some;
}

struct Standardised {
  Matrix x;
  Vector centre, scale, residual;
  double mean;
};
Standardised standardise(const RooflineModel& base, const Examples& examples) {
  Standardised s;
  s.x = feature_matrix(examples);
  s.centre = s.x.colwise().mean();
  s.x.rowwise() -= s.centre.transpose();
  s.scale = s.x.array().square().colwise().mean().sqrt();
  for (Eigen::Index j = 0; j < s.x.cols(); ++j) {
    if (s.scale[j] < 1e-9) s.scale[j] = 0;
    s.x.col(j) *= s.scale[j] > 0 ? 1 / s.scale[j] : 0;
  }
  s.residual = log_residuals(base, examples);
  s.mean = s.residual.mean();
  s.residual.array() -= s.mean;
  return s;
}

// The logarithm of the marginal likelihood, but for a constant; −∞ where the matrix is none of a process.
double likelihood(const Standardised& data, const ProcessScales& scales) {
  Matrix k = kernel(data.x, data.x, scales);
  k.diagonal().array() += scales.noise;
  const Eigen::LLT<Matrix> factor(k);
  if (factor.info() != Eigen::Success) return -INFINITY;
  const Vector solved = factor.solve(data.residual);
  return -0.5 * data.residual.dot(solved) - factor.matrixLLT().diagonal().array().log().sum();
}

}  // namespace

std::string_view name_of(const Regressor& model) noexcept {
  constexpr std::array<std::string_view, 7> names = {"mean",  "flop-linear", "roofline", "lasso",
                                                     "trees", "gp",          "blend"};
  return names[model.index()];
}

double predict(const Regressor& model, const Layer& layer) {
  return std::visit([&](const auto& one) { return predict_one(one, layer); }, model);
}

MeanModel fit_mean(const Examples& examples) {
  MeanModel model;
  for (const double value : examples.values) model.value += value / static_cast<double>(examples.size());
  return model;
}

FlopLinearModel fit_flop_linear(const Examples& examples) {
  const auto n = static_cast<double>(examples.size());
  double x = 0, y = 0, xx = 0, xy = 0;
  for (std::size_t i = 0; i < examples.size(); ++i) x += examples.layers[i]->flop() / n, y += examples.values[i] / n;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const double off = examples.layers[i]->flop() - x;
    xx += off * off, xy += off * (examples.values[i] - y);
  }
  FlopLinearModel model;
  model.each = xx > 0 ? xy / xx : 0;
  model.base = y - model.each * x;
  model.floor = least_of(examples);
  return model;
}

Vector non_negative(const Matrix& x, const Vector& y) {
  // Columns in units of their own, so that bytes and launches weigh alike.
  Vector unit = x.colwise().norm();
  for (Eigen::Index j = 0; j < unit.size(); ++j)
    if (!(unit[j] > 0)) unit[j] = 1;
  const Matrix scaled = x * unit.cwiseInverse().asDiagonal();
  const Matrix products = scaled.transpose() * scaled;
  const Vector with_y = scaled.transpose() * y;
  layers::SquareMatrix square(static_cast<std::size_t>(x.cols()));
  std::copy(products.data(), products.data() + products.size(), square.values.begin());  // symmetric: either order
  const auto found = layers::non_negative(square, {with_y.begin(), with_y.end()});
  return Eigen::Map<const Vector>(found.data(), x.cols()).cwiseQuotient(unit);
}

RooflineModel fit_roofline(const Examples& examples) {
  Matrix x(static_cast<Eigen::Index>(examples.size()), roofline_columns);
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const auto columns = roofline_of(*examples.layers[i]);
    for (std::size_t j = 0; j < columns.size(); ++j)
      x(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)) = columns[j] / examples.values[i];
  }
  const Vector costs = non_negative(x, Vector::Ones(x.rows()));
  RooflineModel model;
  for (std::size_t j = 0; j < model.costs.size(); ++j) model.costs[j] = costs[static_cast<Eigen::Index>(j)];
  model.floor = least_of(examples) / 10;
  return model;
}

ProcessScales learn_scales(const Examples& examples) {
  const Examples some = thinned(alike_as_one(examples), 160);
  const Standardised data = standardise(fit_roofline(some), some);
  const double variance = std::max(data.residual.squaredNorm() / static_cast<double>(data.residual.size()), 1e-6);
  ProcessScales best{std::vector<double>(feature_names().size(), 4.0), variance, variance / 4, variance / 10};
  double best_likelihood = likelihood(data, best);
  const auto better = [&](double& number, double low, double high) {
    const double kept = number;
    double chosen = kept;
    for (const double factor : {0.5, 2.0}) {
      number = std::clamp(kept * factor, low, high);
      if (number == kept) continue;
      const double now = likelihood(data, best);
      if (now > best_likelihood + 1e-6) best_likelihood = now, chosen = number;
    }
    number = chosen;
    return chosen != kept;
  };
  for (int round = 0; round < 5; ++round) {
    bool moved = false;
    moved |= better(best.smooth, variance * 1e-3, variance * 100);
    moved |= better(best.linear, variance * 1e-4, variance * 100);
    moved |= better(best.noise, variance * 1e-4, variance * 2);
    for (std::size_t j = 0; j < best.lengths.size(); ++j)
      if (data.scale[static_cast<Eigen::Index>(j)] > 0) moved |= better(best.lengths[j], 0.25, 64);
    if (!moved) break;
  }
  return best;
}

ProcessModel fit_process(const Examples& examples, const ProcessScales& scales) {
  const Examples some = thinned(alike_as_one(examples), 800);
  ProcessModel model;
  model.base = fit_roofline(examples);
  Standardised data = standardise(model.base, some);
  model.scales = scales;
  Matrix k = kernel(data.x, data.x, scales);
  for (double more = scales.noise; more < 1e6; more *= 10) {  // rows that are alike, and a noise too small for them
    Matrix with_noise = k;
    with_noise.diagonal().array() += more;
    const Eigen::LLT<Matrix> factor(with_noise);
    if (factor.info() != Eigen::Success) continue;
    model.weights = factor.solve(data.residual);
    break;
  }
  if (model.weights.size() == 0) model.weights = Vector::Zero(data.x.rows());
  model.points = std::move(data.x);
  model.centre = std::move(data.centre), model.scale = std::move(data.scale);
  model.mean = data.mean;
  return model;
}

}  // namespace prony::predict
