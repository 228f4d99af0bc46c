#include "study/ranks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony::study {
namespace {

using ::testing::HasSubstr;

// Four replicas on one node with four GPUs, as published: every rank makes all 16 384 tokens and meters all GPUs.
std::vector<RankRecording> four_replicas() {
  std::vector<RankRecording> ranks;
  for (std::size_t rank = 0; rank < 4; ++rank) {
    RankRecording one;
    one.name = "rank" + std::to_string(rank) + ".prony";
    one.host = "node";
    one.rank = rank;
    one.world = 4;
    one.begin_s = 100;
    one.end_s = 119.5;
    one.tokens = 16'384;
    const double share = 1 + 0.01 * (static_cast<double>(rank) - 1.5);  // they agree within two per cent
    for (std::size_t gpu = 0; gpu < 4; ++gpu) one.domains.push_back({"GPU-" + std::to_string(gpu), 4434.0 * share});
    ranks.push_back(std::move(one));
  }
  return ranks;
}

TEST(Ranks, FourReplicasCostTwentySevenHundredthsOfAJouleATokenAndNotFourAndAThird) {
  const auto sum = sum_ranks(four_replicas());
  ASSERT_TRUE(sum) << sum.error().what;
  EXPECT_EQ(sum->ranks, 4U);
  EXPECT_EQ(sum->hosts, 1U);
  EXPECT_EQ(sum->domains, 4U);
  EXPECT_EQ(sum->tokens, 65'536);
  EXPECT_NEAR(*sum->joules_per_token, 0.27, 0.005);
  // What was published: joules summed over ranks, tokens of the first.
  ASSERT_TRUE(sum->counted_per_rank_j);
  EXPECT_NEAR(*sum->counted_per_rank_j / 16'384, 4.33, 0.01);
  EXPECT_NEAR(sum->tokens_per_s, 65'536 / 19.5, 1e-9);
  EXPECT_NEAR(sum->mean_rank_tokens_per_s, 16'384 / 19.5, 1e-9);
  EXPECT_TRUE(sum->notes.empty());
}

TEST(Ranks, OneRankAloneAddsUpAsItIs) {
  auto ranks = four_replicas();
  ranks.resize(1);
  ranks[0].world = 1;
  const auto sum = sum_ranks(ranks);
  ASSERT_TRUE(sum);
  EXPECT_FALSE(sum->counted_per_rank_j);
  EXPECT_NEAR(*sum->joules_per_token, 17'736.0 * 0.985 / 16'384, 1e-6);
}

TEST(Ranks, DevicesOfOneNameOnTwoHostsAreTwo) {
  auto ranks = four_replicas();
  ranks[2].host = ranks[3].host = "other";
  const auto sum = sum_ranks(ranks);
  ASSERT_TRUE(sum);
  EXPECT_EQ(sum->hosts, 2U);
  EXPECT_EQ(sum->domains, 8U);
  EXPECT_NEAR(*sum->joules_per_token, 0.54, 0.01);
}

TEST(Ranks, AMissingADoubleAndALateRankAreRefusedByName) {
  auto ranks = four_replicas();
  ranks.pop_back();
  EXPECT_THAT(sum_ranks(ranks).error().what, HasSubstr("rank 3 of 4 is missing"));
  ranks = four_replicas();
  ranks[3].rank = 1;
  EXPECT_THAT(sum_ranks(ranks).error().what, HasSubstr("rank 1 is there twice"));
  ranks = four_replicas();
  ranks[2].begin_s = 118;
  ranks[2].end_s = 140;
  EXPECT_EQ(sum_ranks(ranks).error().where, "rank2.prony");
  ranks = four_replicas();
  ranks[1].world = 8;
  EXPECT_THAT(sum_ranks(ranks).error().what, HasSubstr("different sizes"));
  EXPECT_FALSE(sum_ranks({}));
}

// Two ranks of 2.1 s at 25.1 W, the second 0.8 s later: the machine drew 25.1 W for 2.9 s.
TEST(Ranks, JoulesAreOfAllTheTimeInWhichARankRanAndNotOfTheLongestRecordingAlone) {
  std::vector<RankRecording> ranks(2);
  for (std::size_t rank = 0; rank < 2; ++rank) {
    ranks[rank].name = "rank" + std::to_string(rank);
    ranks[rank].host = "node";
    ranks[rank].rank = rank;
    ranks[rank].world = 2;
    ranks[rank].begin_s = 100 + 0.8 * static_cast<double>(rank);
    ranks[rank].end_s = ranks[rank].begin_s + 2.1;
    ranks[rank].origin = "measured";
    ranks[rank].domains.push_back({"package", 52.71, Estimate{52.71, 52.0, 53.0}});
  }
  const auto sum = sum_ranks(ranks);
  ASSERT_TRUE(sum);
  EXPECT_NEAR(sum->wall_s, 2.9, 1e-9);
  EXPECT_NEAR(sum->joules, 25.1 * 2.9, 0.01);
  EXPECT_NEAR(sum->bounds.low, 52.0, 1e-9);
  EXPECT_NEAR(sum->bounds.high, 53.0 + 2 * 25.1 * 0.8, 0.01);
  EXPECT_EQ(sum->origin, "derived");
  ASSERT_EQ(sum->notes.size(), 1U);
  EXPECT_THAT(sum->notes[0], HasSubstr("20.1 J"));
}

TEST(Ranks, AHostThatWasNotWatchedFromTheFirstBeginToTheLastEndIsTold) {
  auto ranks = four_replicas();
  for (std::size_t rank = 2; rank < 4; ++rank) {
    ranks[rank].host = "other";
    ranks[rank].begin_s += 5;
    ranks[rank].end_s += 5;
  }
  const auto sum = sum_ranks(ranks);
  ASSERT_TRUE(sum);
  ASSERT_EQ(sum->notes.size(), 1U);
  EXPECT_THAT(sum->notes[0], HasSubstr("19.50 s of the 24.50 s"));
}

TEST(Ranks, TwoReadingsOfOneMeterThatDisagreeAreTold) {
  auto ranks = four_replicas();
  ranks[3].domains[0].joules *= 1.5;
  const auto sum = sum_ranks(ranks);
  ASSERT_TRUE(sum);
  ASSERT_EQ(sum->notes.size(), 1U);
  EXPECT_THAT(sum->notes[0], HasSubstr("GPU-0 on node"));
}

// One rank answers 90 requests in a second each, the other 60 in ten: each rank's p90 is 1 s and 10 s, their mean 5.5
// s, which no request took. Of all 150 the 135th is one of ten seconds.
TEST(Ranks, PercentilesAreOfTheRequestsOfAllRanksInOnePoolAndNoMeanOfPercentiles) {
  auto ranks = four_replicas();
  ranks.resize(2);
  for (auto& rank : ranks) rank.world = 2;
  ranks[0].times.e2e_s.assign(90, 1.0);
  ranks[1].times.e2e_s.assign(60, 10.0);
  ranks[0].times.ttft_s.assign(10, 0.5);
  const auto sum = sum_ranks(ranks);
  ASSERT_TRUE(sum);
  EXPECT_EQ(sum->e2e_s.count, 150U);
  EXPECT_EQ(*sum->e2e_s.p50, 1.0);
  EXPECT_EQ(*sum->e2e_s.p90, 10.0);
  EXPECT_EQ(*sum->e2e_s.p95, 10.0);
  EXPECT_FALSE(sum->e2e_s.p99);  // of too few
  EXPECT_NEAR(*sum->e2e_s.mean, (90 * 1.0 + 60 * 10.0) / 150, 1e-12);
  EXPECT_EQ(sum->ttft_s.count, 10U);
  EXPECT_FALSE(sum->ttft_s.p50);
  EXPECT_FALSE(sum->tpot_s.mean);
}

}  // namespace
}  // namespace prony::study
