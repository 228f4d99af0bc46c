// The buffer of the remote sink on disk. Bugs in mind: a buffer that grows for ever, the newest frames given up instead
// of the oldest, a torn line sent, a live monitor's frames taken over, frames that nobody takes kept before those that
// somebody would.
#include "sinks/spool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "spool_rig.hpp"

namespace prony::test {
namespace {

using ::testing::ElementsAre;

TEST_F(Spools, LinesComeBackInOrderAndWhatIsDoneLeavesNothingBehind) {
  auto spool = open(stream_a);
  fill(*spool, 1, 500, 1000);
  EXPECT_EQ(spool->waiting_frames(), 500u);
  const auto all = drain(*spool);
  ASSERT_EQ(all.size(), 500u);
  EXPECT_TRUE(std::ranges::is_sorted(all));
  EXPECT_EQ(spool->waiting_bytes(), 0u);
  EXPECT_LE(files(), 2u);  // the head, and at most the file in use
  fill(*spool, 501, 501);
  EXPECT_THAT(drain(*spool), ElementsAre(501));
  spool.reset();
  EXPECT_TRUE(std::filesystem::is_empty(scratch.file("buffer")));
}

TEST_F(Spools, WhatIsNotDoneComesAgainAndAFrameLargerThanABatchComesAlone) {
  auto spool = open(stream_a);
  fill(*spool, 1, 3);
  fill(*spool, 4, 4, 50'000);
  auto batch = spool->peek(10'000, 2);
  EXPECT_THAT(numbers(batch->lines), ElementsAre(1, 2));
  spool->give_back();
  batch = spool->peek(10'000, 1000);
  EXPECT_THAT(numbers(batch->lines), ElementsAre(1, 2, 3));
  spool->done(*batch);
  batch = spool->peek(10'000, 1000);
  EXPECT_THAT(numbers(batch->lines), ElementsAre(4));
}

TEST_F(Spools, BeyondTheBoundTheOldestAreGivenUpAndCounted) {
  auto spool = open(stream_a, 1'000'000);
  fill(*spool, 1, 3000, 1000);  // three times as much as it takes
  EXPECT_LE(spool->waiting_bytes(), 1'000'000u);
  EXPECT_GT(spool->waiting_bytes(), 900'000u);
  const std::uint64_t lost = spool->lost_frames();
  const auto batch = spool->peek(10, 1);
  EXPECT_EQ(batch->lost, lost);
  const auto left = drain(*spool);
  EXPECT_EQ(left.front(), lost + 1);
  EXPECT_EQ(left.back(), 3000u);
  EXPECT_EQ(left.size() + lost, 3000u);
}

TEST_F(Spools, WhatIsUnderWayIsNotGivenUpMeanwhile) {
  auto spool = open(stream_a, 1'000'000);
  fill(*spool, 1, 100, 1000);
  const auto batch = spool->peek(10'000, 5);
  fill(*spool, 101, 2000, 1000);
  spool->done(*batch);
  const auto left = drain(*spool);
  EXPECT_EQ(left.front(), 6u);  // of the file that was read from
  EXPECT_EQ(left.size() + spool->lost_frames() + 5, 2000u);
}

TEST_F(Spools, AKilledMonitorsFramesAreTakenOverWithoutTheTornLineAndALiveOnesAreNot) {
  {
    auto killed = open(stream_a);
    fill(*killed, 1, 20);
    std::filesystem::copy(scratch.file("buffer"), scratch.file("as it was"), std::filesystem::copy_options::recursive);
  }
  std::filesystem::remove_all(scratch.file("buffer"));
  std::filesystem::rename(scratch.file("as it was"), scratch.file("buffer"));
  std::ofstream(scratch.file("buffer/" + stream_a + "/00000000000000000001.frames"), std::ios::app)
      << "{\"sequence\":21,";
  auto next = open(stream_b);
  EXPECT_EQ(next->adopted_frames(), 20u);
  fill(*next, 1, 1);
  auto third = open(std::string(32, 'c'));
  EXPECT_EQ(third->adopted_frames(), 0u);  // both are somebody's
  const auto batch = next->peek(100'000, 1000);
  EXPECT_EQ(batch->stream, stream_a);
  EXPECT_EQ(batch->head, head);
  EXPECT_EQ(batch->frames, 20u);
  next->done(*batch);
  EXPECT_FALSE(std::filesystem::exists(scratch.file("buffer/" + stream_a)));
  EXPECT_THAT(drain(*next), ElementsAre(1));
}

TEST_F(Spools, FilesThatSomebodyTookAwayAreLostAndSaidToBe) {
  auto spool = open(stream_a);
  fill(*spool, 1, 10);
  for (const auto& entry : std::filesystem::directory_iterator(scratch.file("buffer/" + stream_a)))
    if (entry.path().extension() == ".frames") std::filesystem::remove(entry.path());
  EXPECT_EQ(spool->peek(1000, 10), std::nullopt);
  EXPECT_EQ(spool->lost_frames(), 10u);
  fill(*spool, 11, 12);
  EXPECT_THAT(drain(*spool), ElementsAre(11, 12));
}

// Kills: frames that nobody takes kept for ever, or before those that somebody would.
TEST_F(Spools, WhatIsSetAsideIsKeptWithItsReasonGoesFirstWhenThereIsNoRoomAndIsFoundByTheNext) {
  auto spool = open(stream_a, 1'000'000);
  fill(*spool, 1, 300, 1000);
  EXPECT_EQ(spool->set_aside(stream_a, "no such client"), 300u);
  EXPECT_EQ(spool->set_aside(stream_a, "again"), 0u);
  EXPECT_EQ(spool->peek(10'000, 10), std::nullopt);
  EXPECT_EQ(spool->waiting_frames(), 0u);
  EXPECT_EQ(spool->waiting_bytes(), 0u);
  fill(*spool, 301, 400, 1000);  // goes there, too
  EXPECT_EQ(spool->aside_frames(), 400u);
  EXPECT_EQ(spool->lost_frames(), 0u);
  spool.reset();
  const std::string place = scratch.file("buffer") + "/set-aside/" + stream_a;
  std::string why;
  std::getline(std::ifstream(place + "/why.txt"), why);
  EXPECT_EQ(why, "no such client");
  auto next = open(stream_b, 1'000'000);
  EXPECT_EQ(next->adopted_frames(), 0u);
  EXPECT_EQ(next->aside_frames(), 400u);
  fill(*next, 1, 900, 1000);
  EXPECT_GT(next->lost_frames(), 300u);
  EXPECT_LE(next->lost_frames(), 400u);
  EXPECT_EQ(drain(*next).size(), 900u);
  // Whoever has mended what was wrong moves it back.
  next.reset();
  std::filesystem::rename(place, scratch.file("buffer/") + stream_a);
  next = open(std::string(32, 'c'));
  EXPECT_GT(next->adopted_frames(), 0u);
  (void)drain(*next);
  next.reset();
  EXPECT_TRUE(std::filesystem::is_empty(scratch.file("buffer")));
}

}  // namespace
}  // namespace prony::test
