// The parts of what learns: non-negative least squares, trees, processes, figures of fit, EdgeProfiler's inputs.
#include "predict/regressors.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "predict/metrics.hpp"
#include "simulated_device.hpp"

namespace prony::predict {
namespace {

Examples examples_of(const Dataset& dataset, const std::string& kind) {
  Examples examples;
  for (const DatasetRow& row : dataset.rows)
    if (row.layer.kind == kind) {
      examples.layers.push_back(&row.layer);
      examples.values.push_back(row.runtime_s);
      examples.groups.push_back(0);
    }
  return examples;
}

double mean_error(const Regressor& model, const Examples& examples) {
  double sum = 0;
  for (std::size_t i = 0; i < examples.size(); ++i)
    sum += std::abs(std::log(predict(model, *examples.layers[i]) / examples.values[i]));
  return sum / static_cast<double>(examples.size());
}

TEST(NonNegative, ItIsTheOrdinarySolutionWhereThatIsPositiveAndTheBestOfTheRestElsewhere) {
  Matrix x(4, 3);
  x << 1, 0, 1, 0, 1, 1, 1, 1, 0, 2, 0, 1;
  Vector wanted(3);
  wanted << 2, 3, 0.5;
  EXPECT_LT((non_negative(x, x * wanted) - wanted).norm(), 1e-12);
  wanted << 2, -3, 0.5;
  const Vector y = x * wanted, found = non_negative(x, y);
  EXPECT_EQ(found[1], 0);
  EXPECT_GE(found.minCoeff(), 0);
  // No small step along any column that keeps it non-negative makes it better.
  const Vector slope = x.transpose() * (y - x * found);
  for (Eigen::Index j = 0; j < 3; ++j) EXPECT_LE(slope[j], found[j] > 0 ? 1e-9 : 1e-9) << j;
  // Columns that say the same: one of them has it all.
  Matrix twice(4, 2);
  twice.col(0) = twice.col(1) = x.col(0);
  EXPECT_NEAR(non_negative(twice, 5 * x.col(0)).sum(), 5, 1e-9);
}

// Kills: absolute errors where relative ones are meant, so that layers of microseconds count for nothing.
TEST(Roofline, TheCostsOfADeviceThatHasThemAreFoundWithSmallLayersAsNearAsLarge) {
  Dataset dataset = measured_on(Device{}, 3, 0);
  for (DatasetRow& row : dataset.rows) row.runtime_s = 3e-6 + row.layer.flop() * 2e-11 + row.layer.bytes_weights * 1e-9;
  const Examples examples = examples_of(dataset, "convolution");
  const RooflineModel model = fit_roofline(examples);
  EXPECT_NEAR(model.costs[0], 3e-6, 1e-9);
  EXPECT_NEAR(model.costs[1], 2e-11, 1e-14);
  EXPECT_LT(mean_error(model, examples), 1e-3);
}

TEST(Learners, EachDoesBetterThanTheRooflineAloneAndTwiceTheSame) {
  const Dataset dataset = measured_on(Device{}, 6, 0.02);
  const Examples examples = examples_of(dataset, "convolution");
  const double roofline = mean_error(fit_roofline(examples), examples);
  const ProcessScales scales = learn_scales(examples);
  EXPECT_LT(mean_error(fit_trees(examples), examples), roofline);
  EXPECT_LT(mean_error(fit_process(examples, scales), examples), roofline);
  EXPECT_LT(mean_error(fit_process(examples, scales), examples), 0.05);
  EXPECT_EQ(predict(fit_trees(examples), *examples.layers[5]), predict(fit_trees(examples), *examples.layers[5]));
}

TEST(Learners, OneRowAndRowsThatAreAllAlikeAreNoTrouble) {
  Layer layer = convolution(1, 8, 16, 8, 3, 1);
  for (const std::size_t rows : {std::size_t{1}, std::size_t{7}}) {
    Examples examples;
    for (std::size_t i = 0; i < rows; ++i)
      examples.layers.push_back(&layer), examples.values.push_back(1e-3), examples.groups.push_back(i);
    for (const Regressor& model :
         {Regressor(fit_mean(examples)), Regressor(fit_flop_linear(examples)), Regressor(fit_roofline(examples)),
          Regressor(fit_trees(examples)), Regressor(fit_process(examples, learn_scales(examples)))})
      EXPECT_NEAR(predict(model, layer), 1e-3, 1e-5) << name_of(model) << rows;
  }
}

// Kills: the figures of the wrong denominator; RMSPE is of measured values.
TEST(Metrics, TheyAreThoseOfTheirDefinitions) {
  const FitMetrics m = metrics_of({1, 2, 4}, {1.04, 2, 3});
  EXPECT_NEAR(m.rmspe, 100 * std::sqrt((0.04 * 0.04 + 0 + 0.25 * 0.25) / 3), 1e-12);
  EXPECT_NEAR(m.mape, 100 * 0.29 / 3, 1e-12);
  EXPECT_NEAR(m.mae, 1.04 / 3, 1e-12);
  EXPECT_NEAR(m.rmse, std::sqrt((0.04 * 0.04 + 1) / 3), 1e-12);
  EXPECT_NEAR(m.r2, 1 - (0.0016 + 1) / (14.0 / 3), 1e-12);
  EXPECT_NEAR(m.within_5, 200.0 / 3, 1e-9);
  EXPECT_NEAR(student_t(0.9, 4), 2.1318, 1e-3);
  EXPECT_NEAR(student_t(0.95, 1), 12.706, 1e-2);
  EXPECT_NEAR(student_t(0.95, 1000), 1.9623, 1e-3);
  EXPECT_DOUBLE_EQ(conformal_quantile({{3, 1}, {1, 1}, {2, 1}, {4, 1}, {5, 1}, {6, 1}, {7, 1}, {8, 1}, {9, 1}}, 0.9),
                   9);
  EXPECT_DOUBLE_EQ(conformal_quantile({{1, 1}, {2, 1}}, 0.9), 2);
}

// The special terms of EdgeProfiler take the output's width where its channels were meant: as it has them.
TEST(EdgeProfiler, ItsInputsAndColumnsAreAsManyAsItsConfigurationSays) {
  const Layer layer = convolution(2, 64, 56, 128, 3, 2);
  EXPECT_EQ(edgeprofiler_inputs(layer, "convolution"),
            (std::vector<double>{2, 64, 56, 56, 128, 28, 28, 3, 3, 2, 2, 2, 2}));
  const Pipeline pipeline = edgeprofiler_pipeline("convolution", true);
  const auto in = edgeprofiler_inputs(layer, "convolution");
  const Matrix columns = columns_of(Eigen::Map<const Vector>(in.data(), 13).transpose(), pipeline.plan);
  ASSERT_EQ(columns.cols(), 562);
  EXPECT_DOUBLE_EQ(columns(0, 560), 64.0 * 56 * 56 * 3 * 3 * 28);
  EXPECT_DOUBLE_EQ(columns(0, 561), 2 * 64.0 * 56 * 56 * 3 * 3 * 28);
  EXPECT_DOUBLE_EQ(columns(0, 1), std::log1p(2));
  EXPECT_TRUE(edgeprofiler_inputs(layer, "softmax").empty());
  EXPECT_FALSE(edgeprofiler_pipeline("pooling", false).lasso.positive);
}

}  // namespace
}  // namespace prony::predict
