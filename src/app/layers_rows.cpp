#include "app/layers_rows.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

namespace prony::app {

namespace {

using nlohmann::ordered_json;

struct Figures {
  double mean = 0, sd = 0, median = 0, p90 = 0, least = 0, most = 0;
};

Figures figures_of(const std::vector<std::int64_t>& values, double unit) {
  Figures out;
  if (values.empty()) return out;
  std::vector<double> sorted;
  for (const std::int64_t one : values) sorted.push_back(static_cast<double>(one) * unit);
  std::ranges::sort(sorted);
  const auto count = static_cast<double>(sorted.size());
  for (const double one : sorted) out.mean += one / count;
  double squares = 0;
  for (const double one : sorted) squares += (one - out.mean) * (one - out.mean);
  if (sorted.size() > 1) out.sd = std::sqrt(squares / (count - 1));
  const auto rank = [&](double share) {  // nearest rank
    const auto place = static_cast<std::size_t>(std::ceil(share * count));
    return sorted[std::clamp<std::size_t>(place, 1, sorted.size()) - 1];
  };
  out.median = sorted.size() % 2 == 1 ? rank(0.5) : (sorted[sorted.size() / 2 - 1] + sorted[sorted.size() / 2]) / 2;
  out.p90 = rank(0.9), out.least = sorted.front(), out.most = sorted.back();
  return out;
}

ordered_json series(const std::vector<std::int64_t>& values) {
  const Figures f = figures_of(values, 1e-9);
  ordered_json out{{"runs", values.size()}, {"mean_s", f.mean}, {"sd_s", f.sd}, {"median_s", f.median}};
  if (values.size() >= 10) out["p90_s"] = f.p90;
  out["min_s"] = f.least;
  out["max_s"] = f.most;
  return out;
}

// Nodes of the file by place, as layers; constants are no layers.
std::map<std::size_t, const NetworkLayer*> layers_by_node(const complexity::OnnxModel& model,
                                                          const NetworkLayers& network) {
  std::map<std::size_t, const NetworkLayer*> found;
  std::size_t next = 0;
  for (std::size_t i = 0; i < model.graph.nodes.size() && next < network.layers.size(); ++i) {
    const complexity::OnnxNode& node = model.graph.nodes[i];
    if (node.op != "Constant" || !node.domain.empty() || node.outputs.empty()) found[i] = &network.layers[next++];
  }
  return found;
}

// "com.microsoft.nchwc:Conv" → "Conv": a profile leaves the domain out.
std::string_view op_alone(std::string_view op) { return op.substr(op.rfind(':') + 1); }

bool moves_only(std::string_view op) {
  for (const char* word : {"Reorder", "Transpose", "MemcpyToHost", "MemcpyFromHost", "Cast", "Identity"})
    if (op.find(word) != std::string_view::npos) return true;
  return false;
}

// What the node computes of the file: by what costs most of it.
void describe(ordered_json& row, const complexity::EngineNode* node,
              const std::map<std::size_t, const NetworkLayer*>& layers, std::string_view op) {
  ordered_json covers = ordered_json::array();
  const NetworkLayer* dearest = nullptr;
  double macs = 0, parameters = 0, bytes = 0;
  bool bytes_known = true;
  bool known = node != nullptr && !node->covers.empty();
  for (const std::size_t place : node == nullptr ? std::vector<std::size_t>{} : node->covers) {
    const auto found = layers.find(place);
    if (found == layers.end()) continue;
    const NetworkLayer& layer = *found->second;
    covers.push_back(layer.name);
    known = known && layer.macs.has_value();
    macs += layer.macs.value_or(0);
    parameters += layer.parameters;
    bytes_known = bytes_known && layer.bytes_moved().has_value();
    bytes += layer.bytes_moved().value_or(0);  // of each as if it ran by itself: folded ones move less
    if (dearest == nullptr || layer.macs.value_or(0) > dearest->macs.value_or(0)) dearest = &layer;
  }
  const LayerKind kind = dearest != nullptr ? dearest->kind : moves_only(op) ? LayerKind::layout : LayerKind::unknown;
  row["kind"] = std::string(to_string(kind));
  row["covers"] = std::move(covers);
  if (known) row["macs"] = macs, row["parameters"] = parameters;
  if (known && bytes_known) row["bytes"] = bytes;
}

template <class Describe>
void add_times(ordered_json& out, const NetworkRunTimes& times, const Describe& describe_row) {
  out["plain"] = series(times.plain_ns);
  out["profiled"] = series(times.profiled_ns);
  double sum = 0;
  ordered_json rows = ordered_json::array();
  for (const NetworkNodeTimes& node : times.nodes) {
    const Figures f = figures_of(node.durations_ns, 1e-9);
    ordered_json row{{"name", node.name.empty() ? node.op : node.name}, {"op", node.op}};
    if (!node.provider.empty()) row["provider"] = node.provider;
    describe_row(row, node);
    row["mean_s"] = f.mean;
    row["sd_s"] = f.sd;
    row["median_s"] = f.median;
    row["min_s"] = f.least;
    row["max_s"] = f.most;
    row["runs"] = node.durations_ns.size();
    row["zero_runs"] = std::ranges::count(node.durations_ns, 0);  // shorter than the engine's step
    sum += f.mean;
    rows.push_back(std::move(row));
  }
  out["rows"] = std::move(rows);
  out["sum_s"] = sum;
  out["unattributed_s"] = figures_of(times.profiled_ns, 1e-9).mean - sum;
  out["nested_events"] = times.nested_events;
}

std::string layer_text_of(const ordered_json& out) {
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

std::string model_times(std::int64_t tokens, const std::vector<NetworkRunTimes>& parts) {
  ordered_json out{{"prompt_tokens", tokens}, {"parts", ordered_json::array()}};
  for (const NetworkRunTimes& times : parts) {
    ordered_json one{{"part", times.part}, {"batch", times.part == "prefill" ? tokens : 1}};
    add_times(one, times, [](ordered_json&, const NetworkNodeTimes&) {});
    out["parts"].push_back(std::move(one));
  }
  return layer_text_of(out);
}

std::string layer_times(const complexity::OnnxModel& model, const NetworkLayers& network,
                        const complexity::OnnxModel* engine, const NetworkRunTimes& times) {
  const auto layers = layers_by_node(model, network);
  complexity::EngineMapping mapping;
  if (engine != nullptr) mapping = complexity::map_engine_graph(model.graph, engine->graph);
  std::multimap<std::pair<std::string_view, std::string_view>, const complexity::EngineNode*> by_name;
  for (const auto& one : mapping.nodes)
    by_name.emplace(std::pair<std::string_view, std::string_view>(one.name, op_alone(one.op)), &one);
  ordered_json out;
  const LayerShape* input = network.inputs.empty() ? nullptr : &network.inputs.front().shape;
  out["batch"] = input == nullptr || input->empty() ? 1 : input->front();
  out["macs"] = network.macs;
  out["unknown_layers"] = network.unknown_layers;
  add_times(out, times, [&](ordered_json& row, const NetworkNodeTimes& node) {
    const std::pair<std::string_view, std::string_view> key(node.name, node.op);
    auto found = by_name.lower_bound(key);
    if (found != by_name.end() && found->first != key) found = by_name.end();
    describe(row, found == by_name.end() ? nullptr : found->second, layers, node.op);
    if (found != by_name.end()) by_name.erase(found);  // nodes without a name are met in their order
  });
  ordered_json left_out = ordered_json::array();
  for (const std::size_t place : mapping.left_out)
    if (const auto found = layers.find(place); found != layers.end()) left_out.push_back(found->second->name);
  out["left_out"] = std::move(left_out);
  if (times.nested_events > 0)
    out["notes"] = ordered_json::array({std::to_string(times.nested_events) +
                                        " times of nodes inside If, Loop or Scan have no rows: they are in the time "
                                        "of the node that holds them"});
  return layer_text_of(out);
}

}  // namespace prony::app
