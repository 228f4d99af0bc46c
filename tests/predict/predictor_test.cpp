// Predictors on simulated devices, whose law and noise are known: what they must find, hold back and refuse.
#include "predict/predictor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "predict/model_file.hpp"
#include "predict/transfer.hpp"
#include "simulated_device.hpp"

namespace prony::predict {
namespace {

double share_inside(const Scores& scores) {
  double inside = 0;
  for (const ScoredRow& row : scores.rows) inside += row.low <= row.measured && row.measured <= row.high ? 1 : 0;
  return inside / static_cast<double>(scores.rows.size());
}

TrainOptions quick() {
  TrainOptions options;
  options.candidates = {"roofline", "trees"};
  options.folds = 3;
  return options;
}

FitMetrics metrics(const Scores& scores, double ScoredRow::* what) {
  std::vector<double> measured, predicted;
  for (const ScoredRow& row : scores.rows) measured.push_back(row.measured), predicted.push_back(row.*what);
  return metrics_of(measured, predicted);
}

TEST(Predictor, NetworksThatItNeverSawAreNearAndTheIntervalsCoverWhatTheyClaim) {
  const Dataset dataset = measured_on(Device{}, 8, 0.05);
  const auto scores = cross_score(dataset, quick());
  ASSERT_TRUE(scores) << scores.error().what;
  ASSERT_EQ(scores->size(), 2U);  // runtime and energy
  const Scores& runtime = scores->front();
  const FitMetrics ours = metrics(runtime, &ScoredRow::predicted), flop = metrics(runtime, &ScoredRow::flop_linear);
  EXPECT_LT(ours.mape, 20);
  EXPECT_LT(ours.mape * 3, flop.mape);
  EXPECT_GT(share_inside(runtime), 0.80);
  EXPECT_LT(share_inside(runtime), 0.99);
  for (const ScoredNetwork& n : runtime.networks) EXPECT_NEAR(n.predicted / n.measured, 1, 0.25) << n.network;
}

// Kills: a test network that is looked at after all.
TEST(Predictor, WhatIsMeasuredOfTestNetworksChangesNothing) {
  Dataset dataset = measured_on(Device{}, 5, 0.05);
  TrainOptions options = quick();
  options.test_networks = {"net2"};
  const auto before = train(dataset, options);
  ASSERT_TRUE(before) << before.error().what;
  for (DatasetRow& row : dataset.rows)
    if (row.network == "net2") row.runtime_s *= 100, row.layer.kernel = {9, 9};
  const auto after = train(dataset, options);
  ASSERT_TRUE(after);
  EXPECT_EQ(to_text(*before), to_text(*after));
}

TEST(Predictor, TheLayersOfANetworkAddUpAndWhatWasNotLearnedIsBoundedAndNamed) {
  const Dataset dataset = measured_on(Device{}, 6, 0.05);
  const auto predictor = train(dataset, quick());
  ASSERT_TRUE(predictor);
  const TargetModel& model = *predictor->find(Target::runtime);
  std::vector<Layer> layers;
  for (const DatasetRow& row : dataset.rows)
    if (row.network == "net1" && row.config == "b1") layers.push_back(row.layer);
  const Prediction known = predict_network(model, layers);
  Layer strange = layers.front();
  strange.kind = "warp", strange.name = "odd one";
  layers.push_back(strange);
  const Prediction with_strange = predict_network(model, layers);
  double sum = 0;
  for (const PredictedLayer& layer : known.layers) sum += layer.value;
  EXPECT_DOUBLE_EQ(known.total.covered, sum);
  EXPECT_DOUBLE_EQ(known.total.covered_share(), 1);
  EXPECT_DOUBLE_EQ(with_strange.total.value, known.total.value);
  EXPECT_NE(with_strange.layers.back().why.find("warp"), std::string::npos);
  EXPECT_GT(with_strange.layers.back().high, 0);
  EXPECT_DOUBLE_EQ(with_strange.total.high, known.total.high + with_strange.layers.back().high);
  EXPECT_LT(with_strange.total.covered_share(), 1);
}

// Kills: a layer of unknown sizes that is predicted as one element, or bounded by nothing.
TEST(Predictor, ALayerWhoseSizesOrWorkAreNotKnownIsInNoFigureAndTheTotalHasNoUpperEnd) {
  const Dataset dataset = measured_on(Device{}, 5, 0.05);
  const auto predictor = train(dataset, quick());
  ASSERT_TRUE(predictor);
  const TargetModel& model = *predictor->find(Target::runtime);
  const Layer known = convolution(1, 64, 56, 64, 3, 1);
  Layer open = known, empty = known;
  open.unknown = "the shape of 'x' is not known";
  empty.out[1] = 0;
  for (const Layer& layer : {open, empty}) {
    const Prediction with = predict_network(model, {known, layer});
    EXPECT_FALSE(with.layers[1].covered);
    EXPECT_TRUE(std::isinf(with.layers[1].high));
    EXPECT_FALSE(with.layers[1].why.empty());
    EXPECT_DOUBLE_EQ(with.total.value, predict_network(model, {known}).total.value);
    EXPECT_TRUE(std::isinf(with.total.high));
    EXPECT_EQ(with.total.unbounded_layers, 1U);
    EXPECT_EQ(with.total.uncovered_high, 0);
    EXPECT_EQ(with.total.covered_share(), 0);
  }
}

TEST(Predictor, ALayerBeyondWhatWasMeasuredSaysWhichOfItsSizesIs) {
  const Dataset dataset = measured_on(Device{}, 5, 0.05);
  const auto predictor = train(dataset, quick());
  ASSERT_TRUE(predictor);
  Layer layer = convolution(1, 64, 56, 64, 3, 1);
  EXPECT_FALSE(predict_network(*predictor->find(Target::runtime), {layer}).layers.front().outside);
  layer.batch = 4096, layer.macs = absent, layer.bytes_read = layer.bytes_written = absent;
  complete(layer);
  const PredictedLayer far = predict_network(*predictor->find(Target::runtime), {layer}).layers.front();
  EXPECT_TRUE(far.outside);
  EXPECT_NE(far.why.find("above"), std::string::npos) << far.why;
  layer = convolution(1, 64, 56, 64, 3, 1);
  layer.dtype = "int8";
  EXPECT_NE(predict_network(*predictor->find(Target::runtime), {layer}).layers.front().why.find("int8"),
            std::string::npos);
}

TEST(Predictor, AModelFileReadAgainPredictsTheSameAndADamagedOneIsRefused) {
  const Dataset dataset = measured_on(Device{}, 5, 0.05);
  for (const char* candidate : {"roofline", "lasso", "trees", "gp"}) {
    TrainOptions options = quick();
    options.candidates = {candidate};
    const auto predictor = train(dataset, options);
    ASSERT_TRUE(predictor) << candidate;
    const std::string text = to_text(*predictor);
    const auto again = predictor_from_text(text, "kept");
    ASSERT_TRUE(again) << again.error().what;
    EXPECT_EQ(to_text(*again), text);
    for (const DatasetRow& row : dataset.rows) {
      const KindModel* kind = predictor->find(Target::runtime)->find(row.layer.kind);
      if (kind != nullptr) {
        EXPECT_EQ(predict_layer_of(*kind, row.layer),
                  predict_layer_of(*again->find(Target::runtime)->find(row.layer.kind), row.layer));
      }
    }
    EXPECT_FALSE(predictor_from_text(text.substr(0, text.size() / 2), "cut"));
    std::string newer = text;
    newer.replace(newer.find("\"version\": 1"), 12, "\"version\": 9");
    EXPECT_NE(predictor_from_text(newer, "newer").error().what.find("version"), std::string::npos);
  }
}

TEST(Predictor, DataThatCannotTeachIsRefusedOrFlaggedNeverDropped) {
  Dataset one = measured_on(Device{}, 1, 0.05);
  EXPECT_NE(check_dataset(one).error().what.find("one network"), std::string::npos);
  EXPECT_FALSE(train(one, quick()));
  Dataset none;
  EXPECT_FALSE(check_dataset(none));
  Dataset dataset = measured_on(Device{}, 4, 0.05);
  TrainOptions options = quick();
  options.test_networks = {"no such"};
  EXPECT_NE(train(dataset, options).error().fix.find("net1"), std::string::npos);
  // A kind that one network only has is told, and is not learned.
  for (DatasetRow& row : dataset.rows)
    if (row.network == "net0" && row.layer.kind == "pooling") row.layer.kind = "resize";
  const auto predictor = train(dataset, quick());
  ASSERT_TRUE(predictor);
  EXPECT_EQ(predictor->find(Target::runtime)->find("resize"), nullptr);
  bool told = false;
  for (const std::string& remark : predictor->remarks) told = told || remark.find("resize") != std::string::npos;
  EXPECT_TRUE(told);
}

TEST(Predictor, EqualAndConstantColumnsAreNoTrouble) {
  Dataset dataset = measured_on(Device{}, 4, 0.05);
  for (DatasetRow& row : dataset.rows)
    row.layer.in[2] = row.layer.in[1], row.layer.clock_hz = 1e9, row.layer.threads = 1;
  TrainOptions options = quick();
  options.candidates = {"lasso", "gp", "trees"};
  const auto predictor = train(dataset, options);
  ASSERT_TRUE(predictor) << predictor.error().what;
  for (const DatasetRow& row : dataset.rows)
    if (const KindModel* kind = predictor->find(Target::runtime)->find(row.layer.kind)) {
      const double value = predict_layer_of(*kind, row.layer);
      EXPECT_TRUE(std::isfinite(value) && value > 0);
    }
}

TEST(Transfer, FiftyProbesThatItChoseCarryItToADeviceWithOtherCosts) {
  const Dataset here = measured_on(Device{}, 8, 0.04);
  Device other;
  other.flop_s *= 0.2, other.byte_s *= 3, other.launch_s *= 10, other.grouped = 2;
  const Dataset there = measured_on(other, 8, 0.04);
  const auto predictor = train(here, quick());
  ASSERT_TRUE(predictor);
  std::vector<Layer> layers;
  for (const DatasetRow& row : there.rows) layers.push_back(row.layer);
  const auto chosen = choose_probes(*predictor->find(Target::runtime), layers, 50);
  ASSERT_EQ(chosen.size(), 50U);
  Dataset probes;
  for (const std::size_t i : chosen) probes.rows.push_back(there.rows[i]);
  const auto carried = transfer(*predictor, probes);
  ASSERT_TRUE(carried) << carried.error().what;
  const double before = metrics(score(*predictor->find(Target::runtime), there, {}), &ScoredRow::predicted).mape;
  const Scores after = score(*carried->predictor.find(Target::runtime), there, {});
  EXPECT_GT(before, 50);
  EXPECT_LT(metrics(after, &ScoredRow::predicted).mape, 20);
  EXPECT_GT(share_inside(after), 0.8);
  probes.rows.resize(4);
  EXPECT_NE(transfer(*predictor, probes).error().what.find("five"), std::string::npos);
}

// Whole runs have no profiler: each of their layers takes 0.2 ms less than what its row says, and all is 5 % slower.
TEST(Totals, WhatAProfilerAddsToEachLayerIsLearnedAndTakenOffTheSum) {
  Dataset dataset = measured_on(Device{}, 8, 0.01);
  std::map<std::pair<std::string, std::string>, std::pair<double, double>> sums;
  for (DatasetRow& row : dataset.rows) {
    auto& [seconds, layers] = sums[{row.network, row.config}];
    seconds += row.runtime_s, layers += 1;
    row.runtime_s += 2e-4;
  }
  for (const auto& [key, sum] : sums) {
    MeasuredNetwork whole;
    whole.network = key.first, whole.config = key.second, whole.latency_s = 1.05 * sum.first;
    dataset.networks.push_back(whole);
  }
  const auto predictor = train(dataset, quick());
  ASSERT_TRUE(predictor) << predictor.error().what;
  const TotalModel& total = predictor->find(Target::runtime)->total;
  ASSERT_TRUE(total.end_to_end);
  EXPECT_NEAR(total.per_layer, -2e-4, 1e-4);
  EXPECT_DOUBLE_EQ(whole_of(total, 1e-1, 10), (1e-1 + 10 * total.per_layer) * std::exp(total.log_bias));
  EXPECT_DOUBLE_EQ(whole_of(total, 1e-6, 10), 0.25e-6 * std::exp(total.log_bias));  // never most of it
  const auto again = predictor_from_text(to_text(*predictor), "m");
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_EQ(again->find(Target::runtime)->total.per_layer, total.per_layer);
}

// Bug: the fold that holds the one without a whole out learns by wholes, has none to score, and says nothing.
TEST(Totals, WhoIsHeldOutDoesNotDecideWhetherWholesAreLearnedFrom) {
  Dataset dataset = measured_on(Device{}, 6, 0.01);
  std::map<std::pair<std::string, std::string>, double> sums;
  for (const DatasetRow& row : dataset.rows) sums[{row.network, row.config}] += row.runtime_s;
  const std::string lacking = sums.rbegin()->first.first;
  for (const auto& [key, seconds] : sums) {
    if (key == sums.rbegin()->first) continue;
    MeasuredNetwork whole;
    whole.network = key.first, whole.config = key.second, whole.latency_s = seconds;
    dataset.networks.push_back(whole);
  }
  for (const bool held_out : {false, true}) {
    TrainOptions options = quick();
    if (held_out) options.test_networks = {lacking};
    const auto predictor = train(dataset, options);
    ASSERT_TRUE(predictor) << predictor.error().what;
    EXPECT_FALSE(predictor->find(Target::runtime)->total.end_to_end) << held_out;
    std::string told;
    for (const std::string& remark : predictor->remarks) told += remark;
    EXPECT_NE(told.find("of " + std::to_string(sums.size()) + " configurations"), std::string::npos) << told;
  }
}

}  // namespace
}  // namespace prony::predict
