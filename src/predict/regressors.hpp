// The candidates: what a layer of one kind takes (seconds or joules), learned from layers that were measured.
//
//   mean, flop-linear   baselines, to be told beside: no better than these is no prediction
//   roofline            non-negative costs of a launch, of FLOP by the kernel that computes them, of bytes; relative
//                       errors count
//   lasso               EdgeProfiler's polynomials of its own inputs, degree 2, α by cross-validation
//   trees               boosted trees on the logarithm of what the roofline leaves
//   gp                  a Gaussian process (a length for each feature, a linear part, noise) on the same
//   blend               the geometric mean of trees and gp
//
// All are fitted the same way twice: no chance, no threads. Predictions are above 0. Pure; plain values; any thread.
// Source: Friedman 2001 (Ann. Stat. 29(5)) for boosting; Rasmussen & Williams 2006, algorithm 2.1, for the process;
// Williams, Waterman & Patterson 2009 (CACM 52(4)) for the roofline.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "predict/columns.hpp"
#include "predict/layer.hpp"

namespace prony::predict {

struct Examples {
  std::vector<const Layer*> layers;
  std::vector<double> values;       // above 0
  std::vector<std::size_t> groups;  // the network of each
  [[nodiscard]] std::size_t size() const noexcept { return layers.size(); }
};

struct MeanModel {
  double value = 0;
};
struct FlopLinearModel {  // base + each·FLOP, by ordinary least squares
  double base = 0, each = 0;
  double floor = 0;  // the least value that was seen: no prediction is below it
};
struct RooflineModel {
  std::array<double, roofline_columns> costs{};
  double floor = 0;  // a tenth of the least value that was seen
};
struct LassoModel {
  std::string kind;  // whose inputs and products it has
  int degree = 2;
  bool power = false;  // the plan of EdgeProfiler for power, else that for runtime
  Scaler scaler;
  Vector weights;
  double intercept = 0, alpha = 0;
  std::optional<double> floor;  // absent: as EdgeProfiler, whatever comes out
};

struct TreeNode {
  std::int32_t feature = -1;         // −1: a leaf
  double threshold = 0;              // up to it: left
  std::int32_t left = 0, right = 0;  // both behind their parent
  double value = 0;                  // of a leaf
};
struct TreesModel {
  RooflineModel base;
  double start = 0;
  std::vector<std::vector<TreeNode>> trees;
};

struct ProcessScales {  // of the kernel; lengths of features in their standard deviations
  std::vector<double> lengths;
  double smooth = 1, linear = 0.1, noise = 0.1;  // variances
};
struct ProcessModel {
  RooflineModel base;
  Vector centre, scale;  // of features; 0 in scale: one that never changed, left out
  ProcessScales scales;
  double mean = 0;
  Matrix points;   // standardised, a row each
  Vector weights;  // K⁻¹·(r − mean)
};

struct BlendModel {
  TreesModel trees;
  ProcessModel process;
};

using Regressor =
    std::variant<MeanModel, FlopLinearModel, RooflineModel, LassoModel, TreesModel, ProcessModel, BlendModel>;
[[nodiscard]] std::string_view name_of(const Regressor& model) noexcept;
[[nodiscard]] double predict(const Regressor& model, const Layer& layer);

[[nodiscard]] MeanModel fit_mean(const Examples& examples);
[[nodiscard]] FlopLinearModel fit_flop_linear(const Examples& examples);
[[nodiscard]] RooflineModel fit_roofline(const Examples& examples);
[[nodiscard]] TreesModel fit_trees(const Examples& examples);
// Scales by the largest marginal likelihood among bounded steps; on every n-th row where there are many.
[[nodiscard]] ProcessScales learn_scales(const Examples& examples);
[[nodiscard]] ProcessModel fit_process(const Examples& examples, const ProcessScales& scales);
// Errors: unavailable (a kind that EdgeProfiler has no inputs for), and those of choose_lasso.
[[nodiscard]] Result<LassoModel> fit_lasso_candidate(const Examples& examples, const std::string& kind);

// min Σ(xᵢ·c − yᵢ)² with every c ≥ 0.
[[nodiscard]] Vector non_negative(const Matrix& x, const Vector& y);

// --- EdgeProfiler's six pipelines ------------------------------------------------------------------------------------
struct Pipeline {
  ColumnPlan plan;
  LassoOptions lasso;
};
// Its inputs of that kind, in its order; empty: it has none for that kind.
[[nodiscard]] std::vector<double> edgeprofiler_inputs(const Layer& layer, const std::string& kind);
[[nodiscard]] Pipeline edgeprofiler_pipeline(const std::string& kind, bool power);
struct PipelineFit {
  LassoModel model;
  LassoChoice choice;
};
// `values` in W (power) or ms, as EdgeProfiler has them.
[[nodiscard]] Result<PipelineFit> fit_pipeline(const Examples& examples, const std::string& kind, bool power,
                                               const Pipeline& pipeline);

}  // namespace prony::predict
