// EdgeProfiler's six pipelines: inputs, products and settings as its configuration has them, with what is odd in them:
// the "operations" of a convolution multiply the output's width where NeuralPower's layout had its channels.
#include <algorithm>
#include <cmath>

#include "predict/regressors.hpp"

namespace prony::predict {

std::vector<double> edgeprofiler_inputs(const Layer& l, const std::string& kind) {
  if (kind == "convolution")
    return {l.batch,     l.in[0],     l.in[1],      l.in[2],      l.out[0],    l.out[1],   l.out[2],
            l.kernel[0], l.kernel[1], l.padding[0], l.padding[1], l.stride[0], l.stride[1]};
  if (kind == "pooling")
    return {l.batch,  l.in[0],     l.in[1],     l.in[2],     l.out[0],   l.out[1],
            l.out[2], l.kernel[0], l.kernel[1], l.stride[0], l.stride[1]};
  if (kind == "dense")
    return {l.batch, l.batch * l.in[0] * l.in[1] * l.in[2], l.batch * l.out[0] * l.out[1] * l.out[2]};
  return {};
}

Pipeline edgeprofiler_pipeline(const std::string& kind, bool power) {
  Pipeline pipeline;
  pipeline.lasso.alphas = 500;
  pipeline.lasso.max_iterations = 10000;
  pipeline.lasso.positive = true;
  if (kind == "convolution") {
    pipeline.plan.log_inputs = power;
    pipeline.plan.products = {{1, 2, 3, 7, 8, 6}, {0, 1, 2, 3, 7, 8, 6}};
  } else if (kind == "pooling") {
    pipeline.plan.scaling = power ? Scaling::robust : Scaling::standard;
    pipeline.plan.products = {{0, 1, 2, 3}, {0, 4, 5, 6}, {0, 1, 2, 3, 7, 8}};
    pipeline.lasso.positive = power;
  }
  return pipeline;
}

Result<PipelineFit> fit_pipeline(const Examples& examples, const std::string& kind, bool power,
                                 const Pipeline& pipeline) {
  if (examples.size() == 0) return fail(ErrorCode::malformed, "no rows of the kind " + kind);
  const std::size_t width = edgeprofiler_inputs(*examples.layers.front(), kind).size();
  if (width == 0) return fail(ErrorCode::unavailable, "EdgeProfiler has no inputs for the kind " + kind);
  const auto rows = static_cast<Eigen::Index>(examples.size());
  Matrix inputs(rows, static_cast<Eigen::Index>(width));
  Vector values(rows);
  for (Eigen::Index i = 0; i < rows; ++i) {
    const auto row = edgeprofiler_inputs(*examples.layers[static_cast<std::size_t>(i)], kind);
    inputs.row(i) = Eigen::Map<const Vector>(row.data(), static_cast<Eigen::Index>(width));
    values[i] = examples.values[static_cast<std::size_t>(i)];
  }
  const Matrix columns = columns_of(inputs, pipeline.plan);
  PipelineFit fit;
  fit.model.kind = kind, fit.model.power = power, fit.model.degree = pipeline.plan.degree;
  fit.model.scaler = learn_scaler(columns, pipeline.plan.scaling);
  auto choice = choose_lasso(fit.model.scaler.apply(columns), values, pipeline.lasso);
  if (!choice) return Unexpected<Error>(choice.error());
  fit.choice = std::move(*choice);
  fit.model.weights = fit.choice.fit.weights;
  fit.model.intercept = fit.choice.fit.intercept, fit.model.alpha = fit.choice.fit.alpha;
  return fit;
}

Result<LassoModel> fit_lasso_candidate(const Examples& examples, const std::string& kind) {
  Pipeline pipeline = edgeprofiler_pipeline(kind, false);
  pipeline.plan.degree = 2;
  pipeline.lasso.alphas = 40, pipeline.lasso.max_iterations = 300;
  pipeline.lasso.folds = std::min<std::size_t>(5, examples.size());
  auto fit = fit_pipeline(examples, kind, false, pipeline);
  if (!fit) return Unexpected<Error>(fit.error());
  fit->model.floor = *std::min_element(examples.values.begin(), examples.values.end());
  return fit->model;
}

}  // namespace prony::predict
