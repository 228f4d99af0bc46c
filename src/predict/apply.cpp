#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.hpp"
#include "predict/predictor.hpp"

namespace prony::predict {

namespace {

// "" where the layer is like those that were learned from; a tenth of an octave beyond is no other world.
std::string outside_of(const KindModel& kind, const Layer& layer) {
  if (!kind.dtypes.contains(layer.dtype)) return "number type " + layer.dtype + " was not learned from";
  const auto features = features_of(layer);
  for (std::size_t j = 0; j < features.size() && j < kind.least.size(); ++j) {
    constexpr double slack = 0.15;
    if (features[j] < kind.least[j] - slack)
      return feature_in_words(j, features[j]) + " is below " + feature_in_words(j, kind.least[j]);
    if (features[j] > kind.most[j] + slack)
      return feature_in_words(j, features[j]) + " is above " + feature_in_words(j, kind.most[j]);
  }
  return {};
}

double corrected(double value, const std::array<double, 4>& correction, const Layer& layer) {
  const auto terms = correction_terms(layer);
  double log_factor = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) log_factor += correction[i] * terms[i];
  return value * std::exp(std::clamp(log_factor, -20.0, 20.0));
}

PredictedLayer predict_layer(const TargetModel& model, const Layer& layer) {
  PredictedLayer row;
  row.name = layer.name, row.kind = layer.kind;
  const KindModel* kind = model.find(layer.kind);
  const std::string broken = why_unusable(layer);
  if (kind != nullptr && broken.empty()) {
    row.covered = true;
    row.model = name_of(kind->model);
    row.value = predict_layer_of(*kind, layer);
    row.low = row.value * std::exp(-kind->log_error), row.high = row.value * std::exp(kind->log_error);
    row.why = outside_of(*kind, layer);
    row.outside = !row.why.empty();
    return row;
  }
  row.why =
      broken.empty() ? "kind " + layer.kind + " was not learned: bounded by what layers of any kind take" : broken;
  // Whose sizes or work are not known may take anything.
  row.high = broken.empty()
                 ? corrected(predict(model.any, layer), model.any_correction, layer) * std::exp(model.any_log_high)
                 : std::numeric_limits<double>::infinity();
  return row;
}

}  // namespace

std::array<double, 4> correction_terms(const Layer& layer) {
  const auto features = features_of(layer);
  return {1, features[0], features[1], features[3]};
}

double predict_layer_of(const KindModel& kind, const Layer& layer) {
  return corrected(predict(kind.model, layer), kind.correction, layer);
}

double PredictedTotal::covered_share() const noexcept {
  return unbounded_layers == 0 && covered + uncovered_high > 0 ? covered / (covered + uncovered_high) : 0;
}

double whole_of(const TotalModel& model, double sum, std::size_t layers) noexcept {
  // What is taken off is never most of it: of tiny networks the rule says too much.
  return std::max(sum / 4, sum + model.per_layer * static_cast<double>(layers)) * std::exp(model.log_bias);
}

Prediction predict_network(const TargetModel& model, const std::vector<Layer>& layers) {
  Prediction prediction;
  PredictedTotal& total = prediction.total;
  for (const Layer& layer : layers) {
    const PredictedLayer row = predict_layer(model, layer);
    ++total.layers;
    if (row.covered)
      ++total.covered_layers, total.covered += row.value;
    else if (std::isfinite(row.high))
      total.uncovered_high += row.high;
    else
      ++total.unbounded_layers;
    total.outside_layers += row.outside ? 1U : 0U;
    prediction.layers.push_back(row);
  }
  total.end_to_end = model.total.end_to_end;
  total.value = whole_of(model.total, total.covered, total.covered_layers);
  total.low = total.value * std::exp(-model.total.log_error);
  total.high = total.unbounded_layers > 0 ? std::numeric_limits<double>::infinity()
                                          : total.value * std::exp(model.total.log_error) + total.uncovered_high;
  return prediction;
}

Scores score(const TargetModel& model, const Dataset& dataset, const std::set<std::string>& networks) {
  Scores scores;
  scores.target = model.target;
  std::map<std::pair<std::string, std::string>, std::vector<const DatasetRow*>> configs;
  for (const DatasetRow& row : dataset.rows)
    if (row.flag.empty() && value_of(row, model.target) > 0 && (networks.empty() || networks.contains(row.network)))
      configs[{row.network, row.config}].push_back(&row);
  for (const auto& [key, rows] : configs) {
    std::vector<Layer> layers;
    Layer whole;
    whole.macs = 0, whole.other_operations = 0;
    for (const DatasetRow* row : rows) layers.push_back(row->layer), whole.other_operations += row->layer.flop();
    const Prediction prediction = predict_network(model, layers);
    double measured = 0, covered = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const PredictedLayer& p = prediction.layers[i];
      const double value = value_of(*rows[i], model.target);
      measured += value, covered += p.covered ? value : 0;
      const KindModel* kind = model.find(p.kind);
      if (!p.covered || kind == nullptr) continue;
      scores.rows.push_back({key.first, key.second, p.kind, value, p.value, p.low, p.high, kind->mean.value,
                             predict(kind->flop_linear, layers[i]), predict(kind->roofline, layers[i]), p.covered,
                             p.outside});
    }
    ScoredNetwork network{key.first,
                          key.second,
                          model.total.end_to_end ? 0 : covered,
                          prediction.total.value,
                          prediction.total.low,
                          prediction.total.high,
                          predict(model.total.flop_linear, whole),
                          absent,
                          measured > 0 ? covered / measured : 0,
                          model.total.end_to_end};
    for (const MeasuredNetwork& n : dataset.networks)
      if (n.network == key.first && n.config == key.second) {
        network.spread = n.spread;
        if (model.total.end_to_end) network.measured = model.target == Target::runtime ? n.latency_s : n.energy_j;
      }
    if (network.measured > 0) scores.networks.push_back(network);
  }
  return scores;
}

Result<std::vector<Scores>> cross_score(const Dataset& dataset, const TrainOptions& options) {
  std::vector<std::string> names;
  std::map<std::string, std::size_t> rows;
  for (const DatasetRow& row : dataset.rows)
    if (row.flag.empty() && !options.test_networks.contains(row.network)) ++rows[row.network];
  for (const auto& [name, count] : rows) names.push_back(name);
  std::sort(names.begin(), names.end(),
            [&](const auto& a, const auto& b) { return rows[a] != rows[b] ? rows[a] > rows[b] : a < b; });
  if (names.size() < 3)
    return fail(ErrorCode::malformed,
                "three networks or more are needed to hold one out and still choose between models", {},
                "Measure more networks.");
  const std::size_t folds = std::min<std::size_t>(names.size(), 8);
  std::vector<Scores> all;
  for (std::size_t fold = 0; fold < folds; ++fold) {
    std::set<std::string> held;
    for (std::size_t i = fold; i < names.size(); i += folds) held.insert(names[i]);
    TrainOptions inner = options;
    inner.test_networks.insert(held.begin(), held.end());
    const auto predictor = train(dataset, inner);
    if (!predictor) return Unexpected<Error>(predictor.error());
    for (const TargetModel& model : predictor->targets) {
      const Scores found = score(model, dataset, held);
      auto into = std::find_if(all.begin(), all.end(), [&](const Scores& s) { return s.target == model.target; });
      if (into == all.end()) into = all.insert(all.end(), Scores{model.target, {}, {}, {}});
      into->rows.insert(into->rows.end(), found.rows.begin(), found.rows.end());
      into->networks.insert(into->networks.end(), found.networks.begin(), found.networks.end());
      for (const KindModel& kind : model.kinds) ++into->chosen[kind.kind][std::string(name_of(kind.model))];
    }
  }
  return all;
}

}  // namespace prony::predict
