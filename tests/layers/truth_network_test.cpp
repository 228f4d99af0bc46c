// Regression and the split by a model on the layers of an engine, on a device that is simulated, so that the truth is
// known.
#include "layers/truth_network.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prony::layers {
namespace {

std::vector<EngineLayer> seven_layers() {
  std::vector<EngineLayer> layers;
  for (const double ms : {0.9, 0.4, 1.7, 0.25, 0.6, 1.1, 0.3}) {
    EngineLayer one;
    one.layer.name = "layer" + std::to_string(layers.size());
    one.layer.macs = ms * 1e9;
    one.layer.bytes_read = 1e6, one.layer.bytes_written = 0;
    one.seconds = ms * 1e-3;
    layers.push_back(one);
  }
  return layers;
}

// Kills: a regression whose figures are those of other layers, and one whose intervals mean nothing.
TEST(EngineTruth, RegressionFindsTheJoulesOfAnEnginesLayersAndTheNetworksMeanDoesNot) {
  const auto truth = engine_truth(seven_layers(), {});
  ASSERT_TRUE(truth) << truth.error();
  ASSERT_EQ(truth->rows.size(), 7U);
  std::size_t told = 0, inside = 0;
  double off = 0, mean_off = 0;
  for (const EngineTruthRow& row : truth->rows) {
    mean_off += std::fabs(row.mean_j / row.true_j - 1) / 7;
    if (!row.cut_j) continue;
    ++told;
    inside += row.cut_j->low <= row.true_j && row.true_j <= row.cut_j->high ? 1U : 0U;
    off += std::fabs(row.cut_j->value / row.true_j - 1);
  }
  EXPECT_GE(told, 6U);
  EXPECT_GE(inside + 1, told);
  EXPECT_LT(off / static_cast<double>(told), 0.05);
  EXPECT_GT(mean_off, 0.15);
}

// Kills: a modelled figure that is called measured, and joules that are given twice or lost.
TEST(EngineTruth, WhatTheModelSplitsIsWhatWasMeasuredAboveIdleAndSaysThatItIsModelled) {
  const auto truth = engine_truth(seven_layers(), {});
  ASSERT_TRUE(truth);
  const Balance sums = truth->balance();
  EXPECT_NEAR(sums.layers_j + sums.idle_j, sums.measured_j, 1e-9 * sums.measured_j);
  double true_j = 0;
  for (const EngineTruthRow& row : truth->rows) {
    EXPECT_EQ(row.modelled.method, Method::modelled);
    ASSERT_TRUE(row.modelled.above_idle_j);
    EXPECT_LE(row.modelled.above_idle_j->low, row.modelled.above_idle_j->high);
    true_j += row.true_j;
  }
  EXPECT_NEAR(sums.layers_j, true_j, 0.03 * true_j);
}

TEST(EngineTruth, OneSeedGivesOneTableAndALayerWithoutTimeIsNoneOfThem) {
  auto layers = seven_layers();
  layers[3].seconds = 0;
  const auto one = engine_truth(layers, {}), again = engine_truth(layers, {});
  ASSERT_TRUE(one && again);
  EXPECT_EQ(one->rows.size(), 6U);
  EXPECT_EQ(engine_truth_text(*one, {}), engine_truth_text(*again, {}));
  EXPECT_NE(engine_truth_text(*one, {}).find("no joule here is real"), std::string::npos);
}

TEST(EngineTruth, NoTimeAtAllAndTooManyLayersAreRefusedWithTheReason) {
  std::vector<EngineLayer> layers(3);
  EXPECT_FALSE(engine_truth(layers, {}));
  layers.resize(most_engine_layers + 1);
  for (EngineLayer& one : layers) one.seconds = 1e-3;
  const auto truth = engine_truth(layers, {});
  ASSERT_FALSE(truth);
  EXPECT_NE(truth.error().find("129 layers"), std::string::npos);
}

}  // namespace
}  // namespace prony::layers
