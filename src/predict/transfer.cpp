#include "predict/transfer.hpp"

#include <algorithm>
#include <cmath>

#include <Eigen/Cholesky>

namespace prony::predict {

namespace {

constexpr double prior_offset = 4, prior_kind = 0.5, prior_slope = 0.35, prior_cost = 1;  // standard deviations, of ln

// An offset, three slopes of standardised logarithms, and an offset for each kind.
struct Design {
  std::array<double, 4> centre{}, scale{1, 1, 1, 1};
  std::vector<std::string> kinds;

  Design(const TargetModel& model) {
    for (const KindModel& kind : model.kinds) kinds.push_back(kind.kind);
    // The middle and half the width of what was learned from.
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
      const std::size_t feature = i == 3 ? 3 : i - 1;
      double low = INFINITY, high = -INFINITY;
      for (const KindModel& kind : model.kinds)
        low = std::min(low, kind.least[feature]), high = std::max(high, kind.most[feature]);
      if (high > low) centre[i] = (low + high) / 2, scale[i] = (high - low) / 2;
    }
  }

  [[nodiscard]] Eigen::Index size() const { return static_cast<Eigen::Index>(4 + kinds.size()); }
  [[nodiscard]] Vector row(const Layer& layer) const {
    Vector phi = Vector::Zero(size());
    const auto terms = correction_terms(layer);
    phi[0] = 1;
    for (std::size_t i = 1; i < 4; ++i) phi[static_cast<Eigen::Index>(i)] = (terms[i] - centre[i]) / scale[i];
    for (std::size_t k = 0; k < kinds.size(); ++k)
      if (kinds[k] == layer.kind) phi[static_cast<Eigen::Index>(4 + k)] = 1;
    return phi;
  }
  [[nodiscard]] Vector prior() const {  // variances
    Vector variance = Vector::Constant(size(), prior_kind * prior_kind);
    variance[0] = prior_offset * prior_offset;
    for (Eigen::Index i = 1; i < 4; ++i) variance[i] = prior_slope * prior_slope;
    return variance;
  }
  // In the terms that a KindModel keeps.
  [[nodiscard]] std::array<double, 4> correction(const Vector& c, const std::string& kind) const {
    std::array<double, 4> out{c[0], 0, 0, 0};
    for (std::size_t k = 0; k < kinds.size(); ++k)
      if (kinds[k] == kind) out[0] += c[static_cast<Eigen::Index>(4 + k)];
    for (std::size_t i = 1; i < 4; ++i) {
      out[i] = c[static_cast<Eigen::Index>(i)] / scale[i];
      out[0] -= out[i] * centre[i];
    }
    return out;
  }
};

struct Probe {
  const DatasetRow* row;
  double value;
};

Vector fit_line(const Design& design, const std::vector<Probe>& probes, const std::vector<double>& logs) {
  const auto n = static_cast<Eigen::Index>(probes.size());
  Matrix x(n, design.size());
  for (Eigen::Index i = 0; i < n; ++i)
    x.row(i) = design.row(probes[static_cast<std::size_t>(i)].row->layer).transpose();
  const Vector y = Eigen::Map<const Vector>(logs.data(), n);
  double noise = 0.05 * 0.05;
  Vector coefficients;
  for (int round = 0; round < 5; ++round) {  // the noise is what the line leaves
    Matrix precision = x.transpose() * x / noise;
    precision.diagonal() += design.prior().cwiseInverse();
    const Eigen::LDLT<Matrix> factor(precision);
    coefficients = factor.solve(Vector(x.transpose() * y / noise));
    const double used = (x * factor.solve(Matrix(x.transpose()))).trace() / noise;
    const double freedom = std::max(1.0, static_cast<double>(n) - used);
    noise = std::clamp((y - x * coefficients).squaredNorm() / freedom, 1e-4, 1.0);
  }
  return coefficients;
}

// Trees and processes stand on a roofline: the device's own takes its place, what they learned of layers stays.
void set_base(Regressor& model, const RooflineModel& base) {
  if (auto* roofline = std::get_if<RooflineModel>(&model)) *roofline = base;
  if (auto* trees = std::get_if<TreesModel>(&model)) trees->base = base;
  if (auto* process = std::get_if<ProcessModel>(&model)) process->base = base;
  if (auto* blend = std::get_if<BlendModel>(&model)) blend->trees.base = blend->process.base = base;
}

const RooflineModel* base_of(const Regressor& model) {
  if (const auto* roofline = std::get_if<RooflineModel>(&model)) return roofline;
  if (const auto* trees = std::get_if<TreesModel>(&model)) return &trees->base;
  if (const auto* process = std::get_if<ProcessModel>(&model)) return &process->base;
  if (const auto* blend = std::get_if<BlendModel>(&model)) return &blend->trees.base;
  return nullptr;
}

// What a layer says of each cost of the roofline, should another device have another: the share that the cost has in
// its time, for ∂ln Σcx ÷ ∂ln c is that. So a kernel that few layers use is probed too.
Vector shares_of_costs(const TargetModel& model, const Layer& layer) {
  Vector shares = Vector::Zero(roofline_columns);
  const KindModel* kind = model.find(layer.kind);
  const RooflineModel* base = kind != nullptr ? base_of(kind->model) : nullptr;
  if (base == nullptr) return shares;
  const auto columns = roofline_of(layer);
  for (std::size_t j = 0; j < columns.size(); ++j)
    shares[static_cast<Eigen::Index>(j)] = std::max(0.0, base->costs[j] * columns[j]);
  const double sum = shares.sum();
  return sum > 0 ? Vector(shares / sum) : shares;
}

TargetModel carried_by(const TargetModel& old, const std::vector<Probe>& probes, bool own_roofline) {
  TargetModel model = old;
  const auto roofline_from = [&](std::string_view kind) {
    Examples examples;
    for (const Probe& probe : probes)
      if (kind.empty() || probe.row->layer.kind == kind) {
        examples.layers.push_back(&probe.row->layer);
        examples.values.push_back(probe.value);
        examples.groups.push_back(0);
      }
    return std::pair{examples.size(), examples.size() > 0 ? fit_roofline(examples) : RooflineModel{}};
  };
  if (own_roofline) {
    const RooflineModel every = roofline_from("").second;
    for (KindModel& kind : model.kinds) {
      const auto [count, own] = roofline_from(kind.kind);
      set_base(kind.model, count >= 8 ? own : every);
    }
    model.any = every;
  }
  std::vector<double> logs;
  for (const Probe& probe : probes)
    logs.push_back(std::log(probe.value / predict(model.find(probe.row->layer.kind)->model, probe.row->layer)));
  const Design design(old);
  const Vector line = fit_line(design, probes, logs);
  for (KindModel& kind : model.kinds) kind.correction = design.correction(line, kind.kind);
  if (!own_roofline) model.any_correction = design.correction(line, "");
  return model;
}

// |ln(measured ÷ predicted)| of each probe by a predictor that was carried without it (and a fifth of the others).
std::vector<std::pair<double, double>> left_out_errors(const TargetModel& old, const std::vector<Probe>& probes,
                                                       bool own_roofline) {
  constexpr std::size_t folds = 5;
  std::vector<std::pair<double, double>> errors;
  for (std::size_t fold = 0; fold < folds; ++fold) {
    std::vector<Probe> rest;
    for (std::size_t i = 0; i < probes.size(); ++i)
      if (i % folds != fold) rest.push_back(probes[i]);
    const TargetModel model = carried_by(old, rest, own_roofline);
    for (std::size_t i = fold; i < probes.size(); i += folds)
      errors.emplace_back(std::abs(std::log(probes[i].value / predict_layer_of(*model.find(probes[i].row->layer.kind),
                                                                               probes[i].row->layer))),
                          1);
  }
  return errors;
}

double mean_of(const std::vector<std::pair<double, double>>& errors) {
  double sum = 0;
  for (const auto& [error, weight] : errors) sum += error / static_cast<double>(errors.size());
  return sum;
}

}  // namespace

std::vector<std::size_t> choose_probes(const TargetModel& model, const std::vector<Layer>& layers, std::size_t count) {
  if (model.kinds.empty()) return {};
  const Design design(model);
  const Eigen::Index size = design.size() + roofline_columns;
  Vector prior = Vector::Constant(size, prior_cost * prior_cost);
  prior.head(design.size()) = design.prior();
  Matrix covariance = prior.asDiagonal();
  std::vector<std::size_t> chosen;
  std::vector<Vector> rows;
  for (const Layer& layer : layers) {
    Vector row(size);
    row << design.row(layer), shares_of_costs(model, layer);
    rows.push_back(row);
  }
  std::vector<bool> usable(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i)
    usable[i] = model.find(layers[i].kind) != nullptr && why_unusable(layers[i]).empty();
  constexpr double noise = 0.1 * 0.1;
  while (chosen.size() < std::min(count, most_probes)) {
    double largest = -1;
    std::size_t best = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!usable[i]) continue;
      const double variance = rows[i].dot(covariance * rows[i]);
      if (variance > largest * (1 + 1e-9)) largest = variance, best = i;
    }
    if (largest < 0) break;
    usable[best] = false;
    chosen.push_back(best);
    const Vector along = covariance * rows[best];
    covariance -= along * along.transpose() / (noise + largest);
  }
  return chosen;
}

Result<Transfer> transfer(const Predictor& predictor, const Dataset& probes) {
  Transfer result;
  result.predictor = predictor;
  std::vector<TargetModel> carried;
  for (const TargetModel& old : predictor.targets) {
    std::vector<Probe> usable;
    for (const DatasetRow& row : probes.rows)
      if (old.find(row.layer.kind) != nullptr && row.flag.empty() && value_of(row, old.target) > 0)
        usable.push_back({&row, value_of(row, old.target)});
      else if (old.target == Target::runtime)
        result.unused.push_back(row.layer.name + ": " +
                                (!row.flag.empty() ? row.flag : "kind " + row.layer.kind + " was not learned"));
    if (usable.size() < 5) {
      if (old.target != Target::runtime) continue;  // energy was not measured there
      return fail(ErrorCode::malformed,
                  "only " + std::to_string(usable.size()) + " probes can be used, and five are needed" +
                      (result.unused.empty() ? std::string() : "; not " + result.unused.front()),
                  {}, "`prony predict probes` names the layers to measure.");
    }
    const auto kept = left_out_errors(old, usable, false), own = left_out_errors(old, usable, true);
    const bool own_roofline = mean_of(own) < mean_of(kept);
    TargetModel model = carried_by(old, usable, own_roofline);
    const double log_error = conformal_quantile(own_roofline ? own : kept, 0.9);
    // Twice that: probes are chosen, not drawn, and those that were left out resemble those that were not.
    for (KindModel& kind : model.kinds) kind.log_error = 2 * log_error;
    model.any_log_high += 2 * log_error;
    model.total.log_error =
        std::hypot(model.total.log_error, 2 * log_error / std::sqrt(static_cast<double>(usable.size())));
    if (old.target == Target::runtime) result.probes = usable.size(), result.log_error = log_error;
    carried.push_back(std::move(model));
  }
  result.predictor.targets = std::move(carried);
  result.predictor.facts = probes.facts;
  result.predictor.remarks.push_back("carried to another device with " + std::to_string(result.probes) + " probes");
  return result;
}

}  // namespace prony::predict
