#include "layers/energy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "../support/emulated.hpp"
#include "../support/sanitizer.hpp"
#include "layers/regression.hpp"
#include "layers/small_algebra.hpp"
#include "layers/truth.hpp"
#include "layers/truth_device.hpp"

namespace prony::layers {
namespace {

using ::testing::HasSubstr;

const PowerSensor ina3221{0.0066, 0.0066, 0.040, 0.020};

TEST(Identifiability, LayersShorterThanTheSensorsWindowAreNotResolvableAndWhatItNeedsIsSaid) {
  const auto told = identify(ina3221, {{"a", 0.0001}, {"b", 0.0003}, {"none", 0}}, 5.0);
  EXPECT_EQ(told.in_place, 0u);
  EXPECT_THAT(told.verdict, HasSubstr("not resolvable: needs each layer looped for"));
  EXPECT_GE(told.readings, least_readings);
  EXPECT_NEAR(*told.layers[0].repetitions, std::ceil(told.loop_s / 0.0001), 1);
  EXPECT_FALSE(told.layers[2].repetitions);
  // A weak network on a coarse sensor needs more readings.
  EXPECT_GT(identify({0.1, 0.1, 0.040, 0.2}, {{"a", 0.0001}}, 0.5).readings, 400u);
}

TEST(Identifiability, ALayerThatOutlastsTheWindowIsSeenInPlace) {
  const auto told = identify(ina3221, {{"a", 0.0132}, {"b", 0.5}}, 5.0);
  EXPECT_EQ(told.in_place, 2u);
  EXPECT_THAT(told.verdict, HasSubstr("resolvable in place"));
  EXPECT_EQ(identify(ina3221, {{"a", 0.0131}}, 5.0).in_place, 0u);
}

// EdgeProfiler's own means of 20 networks: layers of 0.01 to 0.3 ms, sensor of 6.6 ms. None of them can be told.
TEST(Identifiability, EveryNetworkThatEdgeProfilerPublishedIsNotResolvableInPlace) {
  for (const double active_w : {6.535, 4.721, 2.051, 1.183, 2.360, 1.384, 4.292, 5.173, 7.190, 7.825}) {
    const auto told = identify(ina3221, {{"first", 0.00001}, {"last", 0.0003}}, active_w);
    EXPECT_EQ(told.in_place, 0u) << active_w;
    EXPECT_THAT(told.verdict, HasSubstr("not resolvable: needs")) << active_w;
  }
}

TEST(PowerIn, CountsOnlyReadingsWhoseWholeWindowLiesInTheStint) {
  std::vector<SensorReading> readings;
  for (int i = 1; i <= 100; ++i) readings.push_back({0.01 * i, i <= 50 ? 2.0 : 8.0});
  const PowerSensor sensor{0.01, 0.01, 0.04, 0};
  const auto power = power_in(readings, sensor, 0.505, 1.0);
  ASSERT_TRUE(power);
  EXPECT_DOUBLE_EQ(power->value, 8.0);
  EXPECT_NEAR(power->high - power->value, 0.02, 1e-9);  // without noise, half a step
  const auto few = power_in(readings, sensor, 0.5, 0.6);
  ASSERT_FALSE(few);
  EXPECT_THAT(few.error(), HasSubstr("not resolvable"));
}

TEST(Isolated, TheIdleShareOfALoopIsTakenOutAndWithoutItThereIsNoFigure) {
  std::vector<SensorReading> readings;
  for (int i = 1; i <= 40; ++i) readings.push_back({0.01 * i, 4 + 0.9 * 5});
  const PowerSensor sensor{0.01, 0.01, 0, 0};
  const LayerJoules told = isolated({"a", 0.0002}, readings, sensor, 0, 1, 0.9, {4, 4, 4});
  ASSERT_TRUE(told.above_idle_w);
  EXPECT_NEAR(told.above_idle_w->value, 5, 1e-9);
  EXPECT_NEAR(told.above_idle_j->value, 0.001, 1e-12);
  EXPECT_FALSE(isolated({"a", 0.0002}, readings, sensor, 0, 1, 0, {4, 4, 4}).above_idle_w);
  EXPECT_THAT(isolated({"a", 0.0002}, readings, sensor, 0, 0.05, 0.9, {4, 4, 4}).absent, HasSubstr("not resolvable"));
}

TEST(Ablated, TheDifferenceCarriesTheDoubtOfBoth) {
  const LayerJoules told = ablated({"a", 0.001}, {0.010, 0.007, 0.013}, {0.006, 0.002, 0.010});
  EXPECT_NEAR(told.above_idle_j->value, 0.004, 1e-12);
  EXPECT_NEAR(told.above_idle_j->high - told.above_idle_j->value, 0.005, 1e-12);
  EXPECT_NEAR(told.above_idle_w->value, 4, 1e-9);
}

TEST(Modelled, JoulesAreSplitByWorkAndBytesAndNeverMoreThanThereAre) {
  std::vector<NetworkLayer> layers(4);
  layers[0].macs = 3e6, layers[0].bytes_read = 10, layers[0].bytes_written = 10;
  layers[1].macs = 1e6, layers[1].bytes_read = 40, layers[1].bytes_written = 20;
  layers[2].bytes_read = 15, layers[2].bytes_written = 5;
  const auto told = modelled(layers, 8);
  for (const LayerJoules& one : told) EXPECT_EQ(to_string(one.method), "modelled");
  EXPECT_DOUBLE_EQ(told[0].above_idle_j->high, 6);
  EXPECT_DOUBLE_EQ(told[0].above_idle_j->low, 1.6);
  EXPECT_FALSE(told[3].above_idle_j);
  EXPECT_FALSE(told[3].absent.empty());
  const Balance sums = balance(20, 12, told);
  EXPECT_LE(sums.layers_j, 8 + 1e-12);
  EXPECT_DOUBLE_EQ(sums.layers_j + sums.idle_j + sums.unattributed_j(), 20);
}

TEST(SmallAlgebra, EigenvaluesAndSolutionsAreThoseThatAreKnown) {
  SquareMatrix matrix(3);
  matrix.values = {2, 1, 0, 1, 2, 1, 0, 1, 2};
  const auto values = symmetric_eigenvalues(matrix);
  EXPECT_NEAR(values[0], 2 - std::sqrt(2.0), 1e-12);
  EXPECT_NEAR(values[2], 2 + std::sqrt(2.0), 1e-12);
  const auto x = solve_symmetric(matrix, {1, 2, 3}, {0, 1, 2});
  ASSERT_TRUE(x);
  EXPECT_NEAR((*x)[0], 0.5, 1e-12);
  EXPECT_NEAR((*x)[2], 1.5, 1e-12);
  SquareMatrix singular(2);
  singular.values = {1, 1, 1, 1};
  EXPECT_FALSE(solve_symmetric(singular, {1, 1}, {0, 1}));
}

// Held against elimination in extended precision, which shares nothing with what is tested but the numbers.
TEST(SmallAlgebra, SolutionsAreThoseOfEliminationTo1eMinus9AndEigenvaluesThoseThatTheMatrixWasMadeOf) {
  TruthRandom random(11);
  const std::size_t n = 24;
  SquareMatrix matrix(n);
  std::vector<double> right(n, 0.0), wanted;
  for (int row = 0; row < 60; ++row) {
    std::vector<double> x;
    for (std::size_t i = 0; i < n; ++i) x.push_back(random.normal());
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) matrix.at(i, j) += x[i] * x[j];
      right[i] += x[i] * random.normal();
    }
  }
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < n; i += 2) at.push_back(i);
  std::vector<std::vector<long double>> rows;
  for (const std::size_t i : at) {
    std::vector<long double> row;
    for (const std::size_t j : at) row.push_back(matrix.at(i, j));
    row.push_back(right[i]);
    rows.push_back(row);
  }
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t k = 0; k < rows.size(); ++k) {
      if (k == i) continue;
      const long double times = rows[k][i] / rows[i][i];
      for (std::size_t j = i; j < rows[i].size(); ++j) rows[k][j] -= times * rows[i][j];
    }
  const auto solved = solve_symmetric(matrix, right, at);
  ASSERT_TRUE(solved);
  for (std::size_t i = 0; i < at.size(); ++i) {
    const auto expected = static_cast<double>(rows[i].back() / rows[i][i]);
    EXPECT_NEAR((*solved)[i], expected, 1e-9 * std::abs(expected)) << i;
  }
  // (I − 2vvᵀ)·D·(I − 2vvᵀ) has what is on D's diagonal.
  std::vector<double> v;
  double length = 0;
  for (std::size_t i = 0; i < n; ++i) v.push_back(random.normal()), length += v[i] * v[i];
  for (double& one : v) one /= std::sqrt(length);
  for (std::size_t i = 0; i < n; ++i) wanted.push_back(std::pow(10.0, static_cast<double>(i) / 4 - 3));
  SquareMatrix turned(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t k = 0; k < n; ++k)
        turned.at(i, j) +=
            ((i == k ? 1.0 : 0.0) - 2 * v[i] * v[k]) * wanted[k] * ((j == k ? 1.0 : 0.0) - 2 * v[j] * v[k]);
  const auto values = symmetric_eigenvalues(turned);
  ASSERT_EQ(values.size(), n);
  for (std::size_t i = 0; i < n; ++i) EXPECT_NEAR(values[i], wanted[i], 1e-9 * wanted.back()) << i;
}

// Every set of columns that may be above zero is tried: the best of those whose solution is not below zero.
TEST(SmallAlgebra, NonNegativeSolutionsAreTheBestOfAllSetsOfColumns) {
  TruthRandom random(3);
  for (int round = 0; round < 200; ++round) {
    const std::size_t n = 4;
    SquareMatrix products(n);
    std::vector<double> with_y(n, 0.0);
    for (int row = 0; row < 12; ++row) {
      std::vector<double> x;
      for (std::size_t i = 0; i < n; ++i) x.push_back(random.normal());
      const double y = random.normal();
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) products.at(i, j) += x[i] * x[j];
        with_y[i] += x[i] * y;
      }
    }
    double best = 0;
    for (unsigned set = 1; set < 16; ++set) {
      std::vector<std::size_t> at;
      for (std::size_t i = 0; i < n; ++i)
        if (set >> i & 1u) at.push_back(i);
      const auto solved = solve_symmetric(products, with_y, at);
      if (!solved || std::ranges::any_of(*solved, [](double one) { return one < 0; })) continue;
      double explained = 0;
      for (std::size_t i = 0; i < at.size(); ++i) explained += (*solved)[i] * with_y[at[i]];
      best = std::max(best, explained);
    }
    const auto mine = non_negative(products, with_y);
    double explained = 0;
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_GE(mine[i], 0);
      explained += mine[i] * with_y[i];
    }
    EXPECT_NEAR(explained, best, 1e-9 * (1 + best));
  }
}

TEST(Regressions, WithoutNoiseEveryPowerComesOutAndRankIsFull) {
  TruthRandom random(5);
  const TrueNetwork network = true_network(12, random);
  const PowerSensor perfect{0.0066, 0.0066, 0, 0};
  const Watched watched = watch(network, with_cuts(network, perfect.window_s, random), perfect, 400, random);
  const auto told = regress(watched.occupancy);
  ASSERT_TRUE(told) << told.error();
  EXPECT_EQ(told->rank, 13u);
  EXPECT_NEAR(told->idle_w->value, 4, 1e-6);
  for (std::size_t i = 0; i < 12; ++i) {
    EXPECT_NEAR(told->layers[i].gross_w.value, 4 + network.above_idle_w[i], 1e-5);
    EXPECT_TRUE(told->layers[i].resolved);
  }
}

TEST(Regressions, LayersThatComeInTheSameMixInEveryWindowAreRefusedWithTheRank) {
  Occupancy occupancy;
  occupancy.layers = 3;
  for (int i = 0; i < 100; ++i) {
    const double all = 0.5 + 0.004 * i;
    for (const double share : {0.2, 0.3, 0.5}) occupancy.shares.push_back(share * all);
    occupancy.watts.push_back(4 + 5 * all);
  }
  const auto told = regress(occupancy);
  ASSERT_FALSE(told);
  EXPECT_THAT(told.error(), HasSubstr("rank 2 of 4"));
  occupancy.watts.resize(5);
  occupancy.shares.resize(15);
  EXPECT_THAT(regress(occupancy).error(), HasSubstr("needs 20"));
  EXPECT_FALSE(regress({}));
}

// The table of docs/layers-energy.md, smaller.
TEST(Truth, MethodsThatWorkFindTheTruthAndEdgeProfilersMeanDoesNot) {
  // A sanitizer or an emulator takes minutes for what takes seconds: shares of layers are told where there are enough
  // of them.
  const bool few = test::address_sanitizer || test::thread_sanitizer || test::emulated();
  const Truth truth = truth_table({.networks = few ? 2u : 22u, .layers = 23, .seed = 1});
  double covered = 0, pooled = 0;
  for (const TruthRow& row : truth.rows) {
    SCOPED_TRACE(row.method + " on " + row.on + ", " + std::to_string(row.window_s));
    if (row.method.starts_with("(a)")) {
      EXPECT_EQ(row.refused, 0u);
      EXPECT_LE(*row.error, 0.03);
      EXPECT_GE(*row.covered, few ? 0.8 : 0.92);
    } else if (row.method.starts_with("(c)")) {
      const auto layers = static_cast<double>(row.layers + row.refused);
      covered += *row.covered * layers;
      pooled += layers;
      if (row.layers >= 50) {
        EXPECT_LE(*row.error, 0.10);
      }
    } else if (row.method.starts_with("Edge")) {
      EXPECT_GE(*row.error, few ? 0.4 : 0.46);
      EXPECT_LE(*row.spread_told, 0.02);  // one figure for all, whatever the truth
    }
  }
  EXPECT_LE(truth.worst_unattributed, 0.005);
  if (few) return;
  EXPECT_GE(pooled, 2000);
  EXPECT_NEAR(covered / pooled, 0.95, 0.03);
  EXPECT_GE(truth.spread_true, 0.35);
}

TEST(Truth, IsTheSameEachTimeAndAnotherSeedIsAnother) {
  const auto text = [](std::uint64_t seed) {
    const TruthOptions options{.networks = 1, .layers = 5, .seed = seed};
    return truth_text(truth_table(options), options);
  };
  EXPECT_EQ(text(1), text(1));
  EXPECT_NE(text(1), text(2));
}

}  // namespace
}  // namespace prony::layers
