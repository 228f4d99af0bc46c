#include "predict/model_file.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace prony::predict {

namespace {

using Json = nlohmann::json;

// --- writing ------------------------------------------------------------------------------------------------------

Json numbers(const Vector& v) { return std::vector<double>(v.begin(), v.end()); }
Json json_of(const RooflineModel& m) { return {{"costs", m.costs}, {"floor", m.floor}}; }
Json json_of(const MeanModel& m) { return {{"value", m.value}}; }
Json json_of(const FlopLinearModel& m) { return {{"base", m.base}, {"each", m.each}, {"floor", m.floor}}; }
Json json_of(const LassoModel& m) {
  Json weights = Json::object();
  for (Eigen::Index j = 0; j < m.weights.size(); ++j)
    if (m.weights[j] != 0) weights[std::to_string(j)] = m.weights[j];
  return {{"kind", m.kind},
          {"degree", m.degree},
          {"power", m.power},
          {"columns", m.weights.size()},
          {"weights", weights},
          {"centre", numbers(m.scaler.centre)},
          {"scale", numbers(m.scaler.scale)},
          {"intercept", m.intercept},
          {"alpha", m.alpha},
          {"floor", m.floor ? Json(*m.floor) : Json()}};
}
Json json_of(const TreesModel& m) {
  Json trees = Json::array();
  for (const auto& tree : m.trees) {
    Json nodes = Json::array();
    for (const TreeNode& n : tree)
      nodes.push_back(n.feature < 0 ? Json(n.value) : Json{n.feature, n.threshold, n.left, n.right});
    trees.push_back(nodes);
  }
  return {{"base", json_of(m.base)}, {"start", m.start}, {"trees", trees}};
}
Json json_of(const ProcessModel& m) {
  Json points = Json::array();
  for (Eigen::Index i = 0; i < m.points.rows(); ++i) points.push_back(numbers(m.points.row(i)));
  return {{"base", json_of(m.base)},   {"centre", numbers(m.centre)},
          {"scale", numbers(m.scale)}, {"lengths", m.scales.lengths},
          {"smooth", m.scales.smooth}, {"linear", m.scales.linear},
          {"noise", m.scales.noise},   {"mean", m.mean},
          {"points", points},          {"weights", numbers(m.weights)}};
}

Json json_of(const BlendModel& m) { return {{"trees", json_of(m.trees)}, {"gp", json_of(m.process)}}; }

Json json_of(const KindModel& k) {
  return {{"kind", k.kind},
          {"model", name_of(k.model)},
          {"parameters", std::visit([](const auto& m) { return json_of(m); }, k.model)},
          {"log_error_90", k.log_error},
          {"candidates", k.candidates},
          {"least", k.least},
          {"most", k.most},
          {"dtypes", k.dtypes},
          {"correction", k.correction},
          {"rows", k.rows},
          {"networks", k.networks},
          {"mean", json_of(k.mean)},
          {"flop_linear", json_of(k.flop_linear)},
          {"roofline", json_of(k.roofline)}};
}

// --- reading: every `take` throws what nlohmann throws, or Bad; caught once below
// ---------------------------------------

struct Bad {
  std::string what;
};

double number(const Json& j, const char* name) {
  const Json& value = j.at(name);
  if (!value.is_number() || !std::isfinite(value.get<double>())) throw Bad{std::string(name) + " is no number"};
  return value.get<double>();
}
std::size_t count(const Json& j, const char* name, std::size_t most) {
  const double value = number(j, name);
  if (value < 0 || value > static_cast<double>(most)) throw Bad{std::string(name) + " is out of range"};
  return static_cast<std::size_t>(value);
}
std::vector<double> list(const Json& values, const char* name, std::size_t size) {
  if (!values.is_array() || values.size() != size)
    throw Bad{std::string(name) + " has not " + std::to_string(size) + " numbers"};
  std::vector<double> found;
  for (const Json& v : values) {
    if (!v.is_number() || !std::isfinite(v.get<double>())) throw Bad{std::string(name) + " holds no number"};
    found.push_back(v.get<double>());
  }
  return found;
}
Vector vector(const Json& values, const char* name, std::size_t size) {
  const auto found = list(values, name, size);
  return Eigen::Map<const Vector>(found.data(), static_cast<Eigen::Index>(found.size()));
}

RooflineModel take_roofline(const Json& j) {
  RooflineModel m;
  const auto costs = list(j.at("costs"), "costs", m.costs.size());
  std::copy(costs.begin(), costs.end(), m.costs.begin());
  m.floor = number(j, "floor");
  if (!(m.floor > 0)) throw Bad{"a roofline's floor is not above 0"};
  return m;
}
FlopLinearModel take_flop_linear(const Json& j) { return {number(j, "base"), number(j, "each"), number(j, "floor")}; }

LassoModel take_lasso(const Json& j) {
  LassoModel m;
  m.kind = j.at("kind").get<std::string>();
  m.power = j.at("power").get<bool>();
  m.degree = static_cast<int>(count(j, "degree", 3));
  const std::size_t inputs = edgeprofiler_inputs(Layer{}, m.kind).size();
  if (inputs == 0 || m.degree < 1) throw Bad{"a lasso of a kind that has no inputs"};
  const auto columns = static_cast<std::size_t>(polynomial_columns(static_cast<Eigen::Index>(inputs), m.degree)) +
                       edgeprofiler_pipeline(m.kind, m.power).plan.products.size();
  if (count(j, "columns", 10000) != columns) throw Bad{"a lasso has another number of columns than its inputs make"};
  m.scaler.centre = vector(j.at("centre"), "centre", columns);
  m.scaler.scale = vector(j.at("scale"), "scale", columns);
  if (!(m.scaler.scale.minCoeff() > 0)) throw Bad{"a scale is not above 0"};
  m.weights = Vector::Zero(static_cast<Eigen::Index>(columns));
  for (const auto& [column, weight] : j.at("weights").items()) {
    const auto at = parse_u64(column);
    if (!at || *at >= columns || !weight.is_number()) throw Bad{"a weight of no column"};
    m.weights[static_cast<Eigen::Index>(*at)] = weight.get<double>();
  }
  m.intercept = number(j, "intercept"), m.alpha = number(j, "alpha");
  if (!j.at("floor").is_null()) m.floor = number(j, "floor");
  return m;
}

TreesModel take_trees(const Json& j) {
  TreesModel m;
  m.base = take_roofline(j.at("base")), m.start = number(j, "start");
  for (const Json& nodes : j.at("trees")) {
    if (!nodes.is_array() || nodes.empty() || nodes.size() > 4096) throw Bad{"a tree without nodes, or with too many"};
    auto& tree = m.trees.emplace_back();
    for (const Json& node : nodes) {
      TreeNode n;
      if (node.is_number()) {
        n.value = node.get<double>();
      } else {
        const auto four = list(node, "a node", 4);
        const auto index = static_cast<double>(tree.size()), size = static_cast<double>(nodes.size());
        // Children stand behind their parent: every walk ends.
        if (!(four[0] >= 0 && four[0] < static_cast<double>(feature_names().size())) ||
            !(four[2] > index && four[2] < size) || !(four[3] > index && four[3] < size))
          throw Bad{"a node that points nowhere"};
        n.feature = static_cast<std::int32_t>(four[0]), n.threshold = four[1];
        n.left = static_cast<std::int32_t>(four[2]), n.right = static_cast<std::int32_t>(four[3]);
      }
      tree.push_back(n);
    }
  }
  return m;
}

ProcessModel take_process(const Json& j) {
  ProcessModel m;
  const std::size_t width = feature_names().size(), rows = j.at("points").size();
  if (rows > 100000) throw Bad{"too many points"};
  m.base = take_roofline(j.at("base"));
  m.centre = vector(j.at("centre"), "centre", width), m.scale = vector(j.at("scale"), "scale", width);
  m.scales.lengths = list(j.at("lengths"), "lengths", width);
  for (const double length : m.scales.lengths)
    if (!(length > 0)) throw Bad{"a length is not above 0"};
  m.scales.smooth = number(j, "smooth"), m.scales.linear = number(j, "linear"), m.scales.noise = number(j, "noise"),
  m.mean = number(j, "mean");
  m.weights = vector(j.at("weights"), "weights", rows);
  m.points.resize(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(width));
  for (std::size_t i = 0; i < rows; ++i)
    m.points.row(static_cast<Eigen::Index>(i)) = vector(j.at("points").at(i), "a point", width).transpose();
  return m;
}

Regressor take_regressor(const std::string& name, const Json& j) {
  if (name == "mean") return MeanModel{number(j, "value")};
  if (name == "flop-linear") return take_flop_linear(j);
  if (name == "roofline") return take_roofline(j);
  if (name == "lasso") return take_lasso(j);
  if (name == "trees") return take_trees(j);
  if (name == "gp") return take_process(j);
  if (name == "blend") return BlendModel{take_trees(j.at("trees")), take_process(j.at("gp"))};
  throw Bad{"a model that this Prony does not know: " + printable(name, 40)};
}

KindModel take_kind(const Json& j) {
  KindModel k;
  k.kind = j.at("kind").get<std::string>();
  k.model = take_regressor(j.at("model").get<std::string>(), j.at("parameters"));
  if (const auto* lasso = std::get_if<LassoModel>(&k.model); lasso != nullptr && lasso->kind != k.kind)
    throw Bad{"a lasso of another kind"};
  k.log_error = number(j, "log_error_90");
  k.candidates = j.at("candidates").get<std::map<std::string, double>>();
  k.least = list(j.at("least"), "least", feature_names().size()),
  k.most = list(j.at("most"), "most", feature_names().size());
  k.dtypes = j.at("dtypes").get<std::set<std::string>>();
  const auto correction = list(j.at("correction"), "correction", k.correction.size());
  std::copy(correction.begin(), correction.end(), k.correction.begin());
  k.rows = count(j, "rows", 1'000'000'000), k.networks = count(j, "networks", 1'000'000'000);
  k.mean.value = number(j.at("mean"), "value");
  k.flop_linear = take_flop_linear(j.at("flop_linear")), k.roofline = take_roofline(j.at("roofline"));
  return k;
}

TargetModel take_target(const Json& j) {
  TargetModel t;
  const std::string target = j.at("target").get<std::string>();
  if (target != "runtime" && target != "energy") throw Bad{"a target that is neither runtime nor energy"};
  t.target = target == "energy" ? Target::energy : Target::runtime;
  for (const Json& kind : j.at("kinds")) t.kinds.push_back(take_kind(kind));
  t.any = take_roofline(j.at("any")), t.any_log_high = number(j, "any_log_95");
  const auto correction = list(j.at("any_correction"), "any_correction", t.any_correction.size());
  std::copy(correction.begin(), correction.end(), t.any_correction.begin());
  const Json& total = j.at("total");
  t.total.end_to_end = total.at("end_to_end").get<bool>();
  t.total.log_bias = number(total, "log_bias"), t.total.log_error = number(total, "log_error_90");
  if (total.contains("per_layer")) t.total.per_layer = number(total, "per_layer");  // older files have none: 0
  t.total.networks = count(total, "networks", 1'000'000'000);
  t.total.flop_linear = take_flop_linear(total.at("flop_linear"));
  return t;
}

}  // namespace

std::string to_text(const Predictor& predictor) {
  Json j = {{"format", model_format},
            {"version", model_version},
            {"made_by", std::string("prony ") + PRONY_VERSION},
            {"features", feature_names()},
            {"networks", predictor.networks},
            {"remarks", predictor.remarks},
            {"facts", predictor.facts},
            {"targets", Json::array()}};
  for (const TargetModel& t : predictor.targets) {
    Json kinds = Json::array();
    for (const KindModel& kind : t.kinds) kinds.push_back(json_of(kind));
    j["targets"].push_back({{"target", to_string(t.target)},
                            {"unit", unit_of(t.target)},
                            {"kinds", kinds},
                            {"any", json_of(t.any)},
                            {"any_log_95", t.any_log_high},
                            {"any_correction", t.any_correction},
                            {"total",
                             {{"end_to_end", t.total.end_to_end},
                              {"per_layer", t.total.per_layer},
                              {"log_bias", t.total.log_bias},
                              {"log_error_90", t.total.log_error},
                              {"networks", t.total.networks},
                              {"flop_linear", json_of(t.total.flop_linear)}}}});
  }
  return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Predictor> predictor_from_text(std::string_view text, const std::string& where) {
  const Json j = Json::parse(text, nullptr, false);
  const auto refuse = [&](const std::string& what) {
    return fail(ErrorCode::malformed, what, where, "Write it anew with `prony predict train`.");
  };
  if (!j.is_object() || j.value("format", Json()) != model_format) return refuse("not a predictor that Prony wrote");
  if (j.value("version", Json()) != model_version)
    return refuse("a version that this Prony does not know: " + j.value("version", Json()).dump());
  try {
    if (j.at("features") != feature_names()) return refuse("its features are not those of this Prony");
    Predictor predictor;
    for (const Json& target : j.at("targets")) predictor.targets.push_back(take_target(target));
    predictor.networks = j.at("networks").get<std::vector<std::string>>();
    predictor.remarks = j.at("remarks").get<std::vector<std::string>>();
    predictor.facts = j.at("facts").get<std::map<std::string, std::string>>();
    if (predictor.find(Target::runtime) == nullptr) return refuse("it has no model of runtime");
    return predictor;
  } catch (const Bad& bad) {
    return refuse(bad.what);
  } catch (const Json::exception& bad) {
    return refuse(bad.what());
  }
}

}  // namespace prony::predict
