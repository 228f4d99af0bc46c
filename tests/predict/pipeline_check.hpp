// One of EdgeProfiler's pipelines fitted by Prony, held against one that scikit-learn fitted.
#pragma once

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "predict/regressors.hpp"

namespace prony::predict {

// A layer with these inputs of EdgeProfiler's.
inline Layer layer_of_inputs(const std::string& kind, const std::vector<double>& in) {
  Layer l;
  l.kind = kind, l.batch = in[0];
  if (kind == "dense") {
    l.in[0] = in[1] / in[0], l.out[0] = in[2] / in[0];
    return l;
  }
  const std::size_t stride = kind == "pooling" ? 9 : 11;
  l.in = {in[1], in[2], in[3]}, l.out = {in[4], in[5], in[6]}, l.kernel = {in[7], in[8]};
  if (kind != "pooling") l.padding = {in[9], in[10]};
  l.stride = {in[stride], in[stride + 1]};
  return l;
}

// Of weights, intercept and α: the largest difference, relative to the largest weight where a weight is next to
// nothing.
inline double largest_difference(const nlohmann::json& settings, const nlohmann::json& one) {
  const std::string kind = one["kind"];
  std::vector<Layer> layers;
  Examples examples;
  for (const auto& inputs : one["inputs"]) layers.push_back(layer_of_inputs(kind, inputs));
  for (const Layer& layer : layers) examples.layers.push_back(&layer);
  examples.values = one["values"].get<std::vector<double>>();
  examples.groups.assign(layers.size(), 0);
  Pipeline pipeline = edgeprofiler_pipeline(kind, one["power"]);
  pipeline.lasso.alphas = settings["alphas"], pipeline.lasso.max_iterations = settings["max_iter"],
  pipeline.lasso.tolerance = settings["tol"];
  const auto fit = fit_pipeline(examples, kind, one["power"], pipeline);
  if (!fit || fit->model.weights.size() != one["columns"].get<Eigen::Index>()) return INFINITY;
  const auto off = [](double ours, double theirs, double least) {
    return std::abs(ours - theirs) / std::max(std::abs(theirs), least);
  };
  double largest = 0,
         worst = std::max(off(fit->model.alpha, one["alpha"], 0), off(fit->model.intercept, one["intercept"], 0));
  for (const auto& [column, weight] : one["weights"].items())
    largest = std::max(largest, std::abs(weight.get<double>()));
  for (Eigen::Index j = 0; j < fit->model.weights.size(); ++j) {
    const auto found = one["weights"].find(std::to_string(j));
    const double theirs = found == one["weights"].end() ? 0 : found->get<double>();
    if (theirs == 0 && fit->model.weights[j] == 0) continue;
    worst = std::max(worst, off(fit->model.weights[j], theirs, 1e-6 * largest));
  }
  return worst;
}

}  // namespace prony::predict
