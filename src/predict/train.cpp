#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "predict/predictor.hpp"

namespace prony::predict {

namespace {

constexpr std::size_t least_rows = 6;  // of a kind that is learned
constexpr double covering = 0.9;

// Rows that can be learned from, with the number of their network.
struct Learnable {
  std::vector<const DatasetRow*> rows;
  std::vector<std::size_t> group;
  std::vector<std::string> networks;
};

Learnable learnable(const Dataset& dataset, Target target, const std::set<std::string>& left_out) {
  Learnable found;
  std::map<std::string, std::size_t> number;
  for (const DatasetRow& row : dataset.rows)
    if (row.flag.empty() && value_of(row, target) > 0 && !left_out.contains(row.network))
      number.emplace(row.network, 0);
  for (auto& [name, n] : number) n = found.networks.size(), found.networks.push_back(name);
  for (const DatasetRow& row : dataset.rows) {
    if (!row.flag.empty() || !(value_of(row, target) > 0) || left_out.contains(row.network)) continue;
    found.rows.push_back(&row);
    found.group.push_back(number[row.network]);
  }
  return found;
}

void add_example(Examples& examples, const DatasetRow& row, Target target, std::size_t group) {
  examples.layers.push_back(&row.layer);
  examples.values.push_back(value_of(row, target));
  examples.groups.push_back(group);
}

// Networks dealt to folds, those with the most rows first, each to the fold that has the fewest rows.
std::vector<std::size_t> fold_of_groups(const Examples& examples, std::size_t folds) {
  std::map<std::size_t, std::size_t> rows;
  for (const std::size_t group : examples.groups) ++rows[group];
  std::vector<std::pair<std::size_t, std::size_t>> by_size;
  for (const auto& [group, count] : rows) by_size.emplace_back(count, group);
  std::sort(by_size.begin(), by_size.end(),
            [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  std::vector<std::size_t> load(std::min(folds, by_size.size()), 0);
  std::vector<std::size_t> fold(rows.empty() ? 0 : rows.rbegin()->first + 1, 0);
  for (const auto& [count, group] : by_size) {
    const auto least = static_cast<std::size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    fold[group] = least, load[least] += count;
  }
  return fold;
}

std::optional<Regressor> fit_candidate(const std::string& name, const Examples& examples, const std::string& kind,
                                       const ProcessScales& scales) {
  if (name == "roofline") return fit_roofline(examples);
  if (name == "trees") return fit_trees(examples);
  if (name == "gp") return fit_process(examples, scales);
  if (name == "blend") return BlendModel{fit_trees(examples), fit_process(examples, scales)};
  if (name == "lasso") {
    if (edgeprofiler_inputs(*examples.layers.front(), kind).empty()) return std::nullopt;
    if (auto model = fit_lasso_candidate(examples, kind)) return std::move(*model);
  }
  return std::nullopt;
}

// Of |ln(measured ÷ predicted)|: each network counts alike; within it half by layers, half by the time that they took.
double error_of(const Examples& examples, const std::vector<double>& predicted) {
  std::map<std::size_t, std::array<double, 4>> sums;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const double off = std::abs(std::log(examples.values[i] / predicted[i]));
    auto& [count, plain, weight, weighted] = sums[examples.groups[i]];
    count += 1, plain += off, weight += examples.values[i], weighted += examples.values[i] * off;
  }
  double error = 0;
  for (const auto& [group, s] : sums)
    error += (0.5 * s[1] / s[0] + 0.5 * s[3] / s[2]) / static_cast<double>(sums.size());
  return error;
}

struct Held {  // predictions of layers by models that had not seen their network
  std::map<std::string, std::vector<double>> by_candidate;
};

Held held_out(const Examples& examples, const std::string& kind, const TrainOptions& options,
              const ProcessScales& scales) {
  const auto folds = fold_of_groups(examples, options.folds);
  const std::size_t count = 1 + *std::max_element(folds.begin(), folds.end());
  Held held;
  std::set<std::string> failed;
  for (const std::string& name : options.candidates) held.by_candidate[name].assign(examples.size(), 0);
  for (std::size_t fold = 0; fold < count; ++fold) {
    Examples rest;
    for (std::size_t i = 0; i < examples.size(); ++i)
      if (folds[examples.groups[i]] != fold) {
        rest.layers.push_back(examples.layers[i]);
        rest.values.push_back(examples.values[i]);
        rest.groups.push_back(examples.groups[i]);
      }
    for (const std::string& name : options.candidates) {
      const auto model = rest.size() == 0 ? std::nullopt : fit_candidate(name, rest, kind, scales);
      if (!model) {
        failed.insert(name);
        continue;
      }
      for (std::size_t i = 0; i < examples.size(); ++i)
        if (folds[examples.groups[i]] == fold) held.by_candidate[name][i] = predict(*model, *examples.layers[i]);
    }
  }
  for (const std::string& name : failed) held.by_candidate.erase(name);
  return held;
}

double group_quantile(const Examples& examples, const std::vector<double>& values, double share) {
  std::map<std::size_t, double> rows;
  for (const std::size_t group : examples.groups) rows[group] += 1;
  std::vector<std::pair<double, double>> weighted;
  for (std::size_t i = 0; i < values.size(); ++i) weighted.emplace_back(values[i], 1 / rows[examples.groups[i]]);
  return conformal_quantile(std::move(weighted), share);
}

void learn_domain(const Examples& examples, KindModel& kind) {
  for (const Layer* layer : examples.layers) {
    const auto features = features_of(*layer);
    if (kind.least.empty()) kind.least = kind.most = features;
    for (std::size_t j = 0; j < features.size(); ++j) {
      kind.least[j] = std::min(kind.least[j], features[j]);
      kind.most[j] = std::max(kind.most[j], features[j]);
    }
    kind.dtypes.insert(layer->dtype);
  }
}

// nullopt: no candidate could be fitted. `held` gets what the chosen one predicted of layers it had not seen.
std::optional<KindModel> learn_kind(const std::string& name, const Examples& examples, const TrainOptions& options,
                                    std::vector<double>& held) {
  ProcessScales scales;
  const auto wanted = [&](const char* which) {
    return std::find(options.candidates.begin(), options.candidates.end(), which) != options.candidates.end();
  };
  if (wanted("gp") || wanted("blend")) scales = learn_scales(examples);
  const Held all = held_out(examples, name, options, scales);
  KindModel kind;
  kind.kind = name;
  std::string best;
  for (const auto& [candidate, predicted] : all.by_candidate) {
    const double error = error_of(examples, predicted);
    kind.candidates[candidate] = error;
    if (best.empty() || error < kind.candidates[best]) best = candidate;
  }
  if (best.empty()) return std::nullopt;
  auto model = fit_candidate(best, examples, name, scales);
  if (!model) return std::nullopt;
  kind.model = std::move(*model);
  held = all.by_candidate.at(best);
  std::vector<double> off(examples.size());
  for (std::size_t i = 0; i < off.size(); ++i) off[i] = std::abs(std::log(examples.values[i] / held[i]));
  kind.log_error = group_quantile(examples, off, covering);
  kind.mean = fit_mean(examples), kind.flop_linear = fit_flop_linear(examples), kind.roofline = fit_roofline(examples);
  learn_domain(examples, kind);
  kind.rows = examples.size();
  kind.networks = std::set<std::size_t>(examples.groups.begin(), examples.groups.end()).size();
  return kind;
}

using ConfigKey = std::pair<std::string, std::string>;

struct LayerSum {  // of one configuration
  double measured = 0, predicted = 0, flop = 0;
  std::size_t layers = 0;
};

// Of whole = a·sum + b·layers, by least squares of relative errors, each network alike: b ÷ a. Too few networks to tell
// the two apart: 0.
double per_layer_of(const std::map<ConfigKey, LayerSum>& sums, const std::map<ConfigKey, double>& whole) {
  std::map<std::string, double> configs;
  for (const auto& [key, sum] : sums) configs[key.first] += 1;
  constexpr std::size_t least_networks = 5;
  if (configs.size() < least_networks) return 0;
  double ss = 0, sn = 0, nn = 0, sy = 0, ny = 0;
  for (const auto& [key, sum] : sums) {
    const double y = whole.at(key), weight = 1 / (configs[key.first] * y * y), n = static_cast<double>(sum.layers);
    if (!(sum.predicted > 0)) continue;
    ss += weight * sum.predicted * sum.predicted, sn += weight * sum.predicted * n, nn += weight * n * n;
    sy += weight * sum.predicted * y, ny += weight * n * y;
  }
  const double determinant = ss * nn - sn * sn;
  if (!(determinant > 1e-6 * ss * nn)) return 0;
  const double a = (sy * nn - ny * sn) / determinant, b = (ny * ss - sy * sn) / determinant;
  return a > 0 && std::isfinite(b / a) ? b / a : 0;
}

double whole_value(const MeasuredNetwork& network, Target target) noexcept {
  return target == Target::runtime ? network.latency_s : network.energy_j;
}

// Of how many configurations with usable rows the whole was measured, too: those that are held out count as well, so
// that what is learned does not change with who is held out.
struct WholeOf {
  std::size_t measured = 0, configurations = 0;
  [[nodiscard]] bool all() const noexcept { return configurations > 0 && measured == configurations; }
};
WholeOf whole_of_configurations(const Dataset& dataset, Target target) {
  std::set<ConfigKey> all, measured;
  for (const DatasetRow& row : dataset.rows)
    if (row.flag.empty() && value_of(row, target) > 0) all.insert({row.network, row.config});
  for (const MeasuredNetwork& network : dataset.networks)
    if (whole_value(network, target) > 0 && all.contains({network.network, network.config}))
      measured.insert({network.network, network.config});
  return {measured.size(), all.size()};
}

// Sums of layers against what the whole took, over networks that the layers' models had not seen.
TotalModel learn_total(const Dataset& dataset, const Learnable& learned, Target target,
                       const std::map<const DatasetRow*, double>& held) {
  std::map<ConfigKey, LayerSum> sums;
  for (const DatasetRow* row : learned.rows) {
    LayerSum& sum = sums[{row->network, row->config}];
    sum.flop += row->layer.flop();
    if (const auto found = held.find(row); found != held.end())
      sum.measured += value_of(*row, target), sum.predicted += found->second, ++sum.layers;
  }
  TotalModel total;
  std::map<ConfigKey, double> whole;
  for (const MeasuredNetwork& n : dataset.networks) {
    const double value = whole_value(n, target);
    if (value > 0 && sums.contains({n.network, n.config})) whole[{n.network, n.config}] = value;
  }
  total.end_to_end = whole_of_configurations(dataset, target).all();  // of some only: sums of layers are what all have
  if (total.end_to_end && target == Target::runtime) total.per_layer = per_layer_of(sums, whole);
  std::map<std::string, std::vector<double>> ratios;
  Examples flops;
  std::vector<Layer> stand_ins;
  stand_ins.reserve(sums.size());
  for (const auto& [key, sum] : sums) {
    const double measured = total.end_to_end ? whole[key] : sum.measured;
    if (!(measured > 0 && sum.predicted > 0)) continue;
    ratios[key.first].push_back(std::log(measured / whole_of(total, sum.predicted, sum.layers)));
    Layer stand_in;
    stand_in.macs = 0, stand_in.other_operations = sum.flop;
    stand_ins.push_back(stand_in);
    flops.layers.push_back(&stand_ins.back());
    flops.values.push_back(measured);
    flops.groups.push_back(0);
  }
  if (flops.size() > 0) total.flop_linear = fit_flop_linear(flops);
  total.networks = ratios.size();
  if (ratios.empty()) return total;
  const auto n = static_cast<double>(ratios.size());
  for (const auto& [network, of] : ratios)
    for (const double r : of) total.log_bias += r / static_cast<double>(of.size()) / n;
  double variance = 0;
  for (const auto& [network, of] : ratios)
    for (const double r : of)
      variance += (r - total.log_bias) * (r - total.log_bias) / static_cast<double>(of.size()) / std::max(n - 1, 1.0);
  total.log_error = ratios.size() < 2 ? 5 : student_t(covering, ratios.size() - 1) * std::sqrt(variance * (1 + 1 / n));
  return total;
}

TargetModel learn_target(const Dataset& dataset, const Learnable& learned, Target target, const TrainOptions& options,
                         std::vector<std::string>& remarks) {
  TargetModel model;
  model.target = target;
  std::map<std::string, Examples> kinds;
  std::map<std::string, std::vector<const DatasetRow*>> rows;
  Examples every;
  for (std::size_t i = 0; i < learned.rows.size(); ++i) {
    const DatasetRow& row = *learned.rows[i];
    add_example(kinds[row.layer.kind], row, target, learned.group[i]);
    rows[row.layer.kind].push_back(&row);
    add_example(every, row, target, learned.group[i]);
  }
  std::map<const DatasetRow*, double> held;
  for (const auto& [name, examples] : kinds) {
    const std::size_t networks = std::set<std::size_t>(examples.groups.begin(), examples.groups.end()).size();
    std::vector<double> predicted;
    const bool enough = examples.size() >= least_rows && networks >= 2;
    auto kind = enough ? learn_kind(name, examples, options, predicted) : std::nullopt;
    if (!kind) {
      remarks.push_back(std::string(to_string(target)) + " of " + name +
                        " is not learned: " + std::to_string(examples.size()) + " rows of " + std::to_string(networks) +
                        (networks == 1 ? " network" : " networks"));
      continue;
    }
    for (std::size_t i = 0; i < predicted.size(); ++i) held[rows[name][i]] = predicted[i];
    model.kinds.push_back(std::move(*kind));
  }
  model.any = fit_roofline(every);
  std::vector<double> over(every.size());
  for (std::size_t i = 0; i < over.size(); ++i)
    over[i] = std::log(every.values[i] / predict(model.any, *every.layers[i]));
  model.any_log_high = std::max(0.0, group_quantile(every, over, 0.95));
  model.total = learn_total(dataset, learned, target, held);
  return model;
}

}  // namespace

std::string_view to_string(Target target) noexcept { return target == Target::runtime ? "runtime" : "energy"; }
std::string_view unit_of(Target target) noexcept { return target == Target::runtime ? "s" : "J"; }
double value_of(const DatasetRow& row, Target target) noexcept {
  return target == Target::runtime ? row.runtime_s : row.energy_j;
}

const KindModel* TargetModel::find(std::string_view kind) const {
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const KindModel& k) { return k.kind == kind; });
  return found == kinds.end() ? nullptr : &*found;
}
const TargetModel* Predictor::find(Target target) const {
  const auto found =
      std::find_if(targets.begin(), targets.end(), [&](const TargetModel& t) { return t.target == target; });
  return found == targets.end() ? nullptr : &*found;
}

Result<Predictor> train(const Dataset& given, const TrainOptions& options) {
  Predictor predictor;
  for (const std::string& name : options.test_networks) {
    const auto names = given.network_names();
    if (std::find(names.begin(), names.end(), name) == names.end())
      return fail(
          ErrorCode::usage, "no network is called '" + name + "' in the data set", {}, "It has: " + [&] {
            std::string all;
            for (const std::string& n : names) all += (all.empty() ? "" : ", ") + n;
            return all;
          }());
  }
  predictor.facts = given.facts;
  for (const Target target : {Target::runtime, Target::energy}) {
    const Learnable learned = learnable(given, target, options.test_networks);
    if (learned.networks.size() < 2) {
      if (target == Target::runtime)
        return fail(ErrorCode::malformed,
                    "fewer than two networks to learn from: how well others are predicted cannot be known", {},
                    "Name fewer test networks, or measure more networks.");
      const auto with_joules = std::ranges::count_if(given.networks, [](const auto& n) { return n.energy_j > 0; });
      if (with_joules > 0)
        predictor.remarks.push_back("energy is not learned: " + std::to_string(with_joules) +
                                    " whole networks have joules, their layers have none (no sensor resolves them in "
                                    "place; prony layers --isolate does, one network at a time)");
      continue;
    }
    if (target == Target::runtime) predictor.networks = learned.networks;
    TargetModel model = learn_target(given, learned, target, options, predictor.remarks);
    if (model.kinds.empty()) {
      if (target == Target::runtime)
        return fail(ErrorCode::malformed, "no kind of layer has six rows of two networks: nothing can be learned");
      continue;
    }
    predictor.targets.push_back(std::move(model));
    const WholeOf whole = whole_of_configurations(given, target);
    if (whole.measured > 0 && !whole.all())
      predictor.remarks.push_back("networks.csv has the " + std::string(to_string(target)) + " of " +
                                  std::to_string(whole.measured) + " of " + std::to_string(whole.configurations) +
                                  " configurations: whole networks are held against the sums of their layers");
  }
  return predictor;
}

}  // namespace prony::predict
