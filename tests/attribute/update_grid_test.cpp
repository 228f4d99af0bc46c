// When a counter renews itself, learned from polls; and the curve between two updates.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "attribute/edge.hpp"
#include "attribute/update_clock.hpp"

namespace prony::attribution {
namespace {

constexpr double true_period_ns = 100'003'000, true_phase_ns = 41'000'000;

// Feeds the clock what polls every `poll_ns` (with a little jitter) prove of updates on a grid; returns how many
// fitted.
std::uint64_t feed(UpdateClock& clock, int updates, std::int64_t poll_ns, double jitter_ns = 0) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> unit(0, 1);
  std::uint64_t fitted = 0;
  for (int k = 0; k < updates; ++k) {
    const double at = 1e9 + true_phase_ns + k * true_period_ns + jitter_ns * (2 * unit(random) - 1);
    const auto before = static_cast<std::int64_t>(at - unit(random) * static_cast<double>(poll_ns));
    if (k == 0) {
      clock.begin(before, before + poll_ns, 95e6);
      ++fitted;
    } else {
      fitted += clock.add(before, before + poll_ns);
    }
  }
  return fitted;
}

// Kills: a period that is only as good as a poll's distance.
TEST(UpdateClock, AfterAHundredUpdatesThePeriodIsKnownAHundredTimesBetterThanAPoll) {
  UpdateClock clock(0);
  ASSERT_EQ(feed(clock, 100, 10'000'000), 100u);
  const auto grid = clock.grid();
  ASSERT_TRUE(grid);
  EXPECT_NEAR(grid->period_ns, true_period_ns, 10e6 / 100);
  EXPECT_GT(grid->period_sigma_ns, 0);
  EXPECT_LT(std::abs(grid->period_ns - true_period_ns), 4 * grid->period_sigma_ns);
  const double at_50 = static_cast<double>(grid->origin_ns) + grid->at(50);
  EXPECT_NEAR(at_50, 1e9 + true_phase_ns + 50 * true_period_ns, 1e6) << "a tenth of a poll";
}

// Kills: a documented period that the transitions contradict.
TEST(UpdateClock, ADocumentedPeriodIsTakenOnlyWhereNoTransitionContradictsIt) {
  UpdateClock right(static_cast<std::int64_t>(true_period_ns)), wrong(99'000'000);
  feed(right, 100, 10'000'000);
  feed(wrong, 100, 10'000'000);
  EXPECT_EQ(right.grid()->period_ns, true_period_ns);
  EXPECT_EQ(right.grid()->period_sigma_ns, 0);
  EXPECT_NEAR(wrong.grid()->period_ns, true_period_ns, 10e6 / 100);
}

// Kills: a learned period taken to the letter, or for nothing; one that has changed since and still pulls.
TEST(UpdateClock, ALearnedPeriodHelpsAsFarAsItIsKnownAndNotWhereTheTransitionsRefuteIt) {
  const auto grid_with = [](std::optional<LearnedPeriod> learned) {
    UpdateClock clock(0, learned);
    feed(clock, 12, 10'000'000);
    return *clock.grid();
  };
  const auto alone = grid_with({});
  const auto helped = grid_with(LearnedPeriod{true_period_ns + 10'000, 10'000, 0});
  EXPECT_NEAR(helped.period_ns, true_period_ns, 20'000);
  EXPECT_GT(helped.period_sigma_ns, 5'000);
  EXPECT_LT(helped.period_sigma_ns, 11'000);
  EXPECT_GT(alone.period_sigma_ns, 5 * helped.period_sigma_ns);
  EXPECT_LT(helped.phase_sigma_ns, 1.01 * alone.phase_sigma_ns);
  const auto refuted = grid_with(LearnedPeriod{true_period_ns * 1.05, 10'000, 0});
  EXPECT_EQ(refuted.period_ns, alone.period_ns);
  EXPECT_EQ(refuted.period_sigma_ns, alone.period_sigma_ns);
}

// What is said of the doubt is what comes out over many phases of polls and updates. Kills: half the range between the
// steepest and the flattest line taken for a deviation, doubts of phase and period that are not independent.
TEST(UpdateClock, TheDoubtOfEveryUpdateIsThatOfAllLinesThatFit) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> unit(0, 1);
  constexpr int rounds = 400, updates = 20;
  for (const double k : {0.0, 9.5, 19.0, 40.0}) {
    double squares = 0;
    for (int round = 0; round < rounds; ++round) {
      UpdateClock clock(0);
      for (int i = 0; i < updates; ++i) {
        const double at = 1e9 + i * true_period_ns;
        const auto before = static_cast<std::int64_t>(at - unit(random) * 10e6);
        if (i == 0)
          clock.begin(before, before + 10'000'000, 100e6);
        else
          ASSERT_TRUE(clock.add(before, before + 10'000'000));
      }
      const auto grid = *clock.grid();
      const double error = static_cast<double>(grid.origin_ns) + grid.at(k) - (1e9 + k * true_period_ns);
      const double sigma = std::hypot(grid.phase_sigma_ns, (k - grid.centre_k) * grid.period_sigma_ns);
      squares += error * error / (sigma * sigma);
    }
    // Below 1 for what is granted to the source and to the stamps: a fiftieth of a poll's distance, on either side.
    EXPECT_GT(std::sqrt(squares / rounds), 0.7) << "at update " << k;
    EXPECT_LT(std::sqrt(squares / rounds), 1.1) << "at update " << k;
  }
}

// Kills: a line through a few points taken for a law.
TEST(UpdateClock, FewerThanEightUpdatesAreNoEvidence) {
  UpdateClock clock(0);
  feed(clock, 7, 10'000'000);
  EXPECT_FALSE(clock.grid());
}

// Kills: jitter swallowed in silence; jitter that is allowed for but not told.
TEST(UpdateClock, AnUpdateThatComesTooEarlyOrLateIsRefusedAndSaysByHowMuchUnlessJitterIsAllowed) {
  UpdateClock strict(0);
  EXPECT_LT(feed(strict, 60, 1'000'000, 5e6), 60u);
  EXPECT_GT(strict.missed_by_ns(), 0);
  UpdateClock lenient(0);
  lenient.allow_jitter(5e6);
  EXPECT_EQ(feed(lenient, 60, 1'000'000, 5e6), 60u);
  EXPECT_EQ(lenient.grid()->jitter_ns, 5e6);
}

UpdateGrid grid_of_a_second() {
  UpdateGrid grid;
  grid.period_ns = 1e9;
  return grid;
}

// Updates once a second, from k = 0, of a curve whose energy until t is `energy(t)`.
template <class F>
Edge edge_of(F energy, double at_s, int from = 0, int count = 8) {
  Edge edge;
  edge.at_ns = static_cast<std::int64_t>(at_s * 1e9);
  for (int k = from; k < from + count; ++k)
    edge.updates[edge.count++] = {k, energy(static_cast<double>(k)), k * 1'000'000'000LL, k * 1'000'000'000LL};
  return edge;
}

// Kills: a bend of the wrong sign or size.
TEST(Edge, RampingPowerIsFollowedExactly) {
  const auto energy = [](double t) { return 5 * t + 2 * t * t; };
  const auto placed = place_edge(edge_of(energy, 3.3), grid_of_a_second(), 1e-6);
  ASSERT_TRUE(placed);
  EXPECT_NEAR(placed->value, energy(3.3), 1e-9);
  EXPECT_NEAR(placed->rate, 5 + 4 * 3.3, 1e-9);
}

// Kills: a step smeared over the whole update.
TEST(Edge, OneStepBetweenFlatSidesIsPlacedWhereTheMeanSaysItWas) {
  const auto energy = [](double t) { return t < 3.7 ? 10 * t : 37 + 50 * (t - 3.7); };
  for (const double at : {3.2, 3.6, 3.8, 3.95}) {
    const auto placed = place_edge(edge_of(energy, at), grid_of_a_second(), 1e-6);
    ASSERT_TRUE(placed);
    EXPECT_NEAR(placed->value, energy(at), 1e-9) << at;
    EXPECT_NEAR(placed->rate, at < 3.7 ? 10 : 50, 1e-9);
  }
}

// Kills: a missing neighbour read as a flat one, which would promise an edge that nobody knows.
TEST(Edge, WhatNoNeighbourVouchesForIsOpenAndConstantPowerBetweenTwoNeighboursIsNot) {
  const auto energy = [](double t) { return 10 * t; };
  const auto inside = place_edge(edge_of(energy, 3.5), grid_of_a_second(), 1e-6);
  const auto alone = place_edge(edge_of(energy, 3.5, 3, 2), grid_of_a_second(), 1e-6);
  ASSERT_TRUE(inside && alone);
  EXPECT_LT(inside->sigma, 1e-6);
  EXPECT_GT(alone->sigma, 0.5);
}

// Kills: the last digit of a mean that is its neighbour's read as a step inside the stretch; the first stretch of a
// recording taken for open although the one after it has the same power.
TEST(Edge, AMeanThatIsANeighboursToRoundingIsFlatBesideAStepAndAtTheBegin) {
  constexpr double step = 1e-3;
  const auto energy = [](double t) { return std::floor((t < 3 ? 10 * t : 30 + 50.0004 * (t - 3)) / step) * step; };
  const auto beside = place_edge(edge_of(energy, 3.4), grid_of_a_second(), step);
  const auto first = place_edge(edge_of(energy, 0.4), grid_of_a_second(), step);
  const auto peak = [](double t) { return t < 3 ? 10 * t : t < 4 ? 30 + 50 * (t - 3) : 80 + 20 * (t - 4); };
  const auto between = place_edge(edge_of(peak, 3.4), grid_of_a_second(), step);
  ASSERT_TRUE(beside && first && between);
  EXPECT_LT(beside->sigma, 2 * step);
  EXPECT_LT(first->sigma, 2 * step);
  EXPECT_GT(between->sigma, 1) << "what differs from both its neighbours is open";
}

// Kills: energy spread over updates in which the counter stood still.
TEST(Edge, ACounterThatStoodStillForSecondsUsedNothingUntilItsLastUpdate) {
  Edge edge;
  edge.at_ns = 2'500'000'000;
  for (const auto& [k, value] : {std::pair{0, 0.0}, std::pair{1, 10.0}, std::pair{5, 20.0}, std::pair{6, 30.0}})
    edge.updates[edge.count++] = {k, value, k * 1'000'000'000LL, k * 1'000'000'000LL};
  EXPECT_EQ(place_edge(edge, grid_of_a_second(), 1e-6)->value, 10);
  edge.at_ns = 4'500'000'000;
  EXPECT_NEAR(place_edge(edge, grid_of_a_second(), 1e-6)->value, 15, 1.3);
}

// Kills: an edge answered from updates that do not hold it.
TEST(Edge, AnInstantBeforeOrAfterAllUpdatesHasNoValue) {
  const auto energy = [](double t) { return 10 * t; };
  EXPECT_FALSE(place_edge(edge_of(energy, -0.5), grid_of_a_second(), 1e-6));
  EXPECT_FALSE(place_edge(edge_of(energy, 7.5), grid_of_a_second(), 1e-6));
}

}  // namespace
}  // namespace prony::attribution
