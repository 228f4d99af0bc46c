#include "layers/timeline.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony::layers {
namespace {

const std::vector<double> three{1.0, 0.5, 0.25};

TEST(Timelines, LayersFollowOneAnotherFromTheBeginningOrUpToTheEnd) {
  const auto forward = lay_out(three, 1'000'000, std::nullopt);
  ASSERT_TRUE(forward);
  EXPECT_EQ(forward->windows[0].begin_ns, 1'000'000);
  EXPECT_EQ(forward->windows[1].begin_ns, 2'000'000);
  EXPECT_EQ(forward->windows[2].end_ns, 2'750'000);
  const auto backward = lay_out(three, std::nullopt, 2'750'000);
  ASSERT_TRUE(backward);
  EXPECT_EQ(backward->windows[0].begin_ns, 1'000'000);
}

TEST(Timelines, BetweenBothEndsTheRestIsSlackAndASmallExcessIsScaledAndALargeOneRefused) {
  const auto slack = lay_out(three, 0, 2'000'000);
  ASSERT_TRUE(slack);
  EXPECT_EQ(slack->slack_ns, 250'000);
  EXPECT_EQ(slack->scaled, 1);
  const auto scaled = lay_out(three, 0, 1'740'000);
  ASSERT_TRUE(scaled);
  EXPECT_LT(scaled->scaled, 1);
  EXPECT_EQ(scaled->windows.back().end_ns, 1'740'000);
  const auto refused = lay_out(three, 0, 1'000'000);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), ::testing::HasSubstr("timed in another run"));
  EXPECT_FALSE(lay_out(three, std::nullopt, std::nullopt));
  EXPECT_FALSE(lay_out(three, 5, 1));
  EXPECT_FALSE(lay_out(std::vector<double>{-1}, 0, std::nullopt));
}

// Told one after the other within microseconds once the inference is over, as TensorRT does.
Recording told_afterwards(std::size_t inferences, std::int64_t every_us) {
  Recording recording;
  recording.layers.resize(4);
  for (std::size_t i = 0; i < inferences; ++i)
    for (std::size_t k = 0; k < 4; ++k) {
      recording.layers[k].ms.push_back(0.1 * static_cast<double>(k + 1));
      recording.layers[k].told_us.push_back(1'000'000 + static_cast<std::int64_t>(i) * every_us +
                                            static_cast<std::int64_t>(k) * 3);
    }
  return recording;
}

void expect_no_overlap(const Recording& recording, std::size_t& seen) {
  std::int64_t before = 0;
  const auto rebuilt = rebuild(recording, [&](std::size_t, std::span<const LayerWindow> windows) {
    for (const LayerWindow& window : windows) {
      EXPECT_GE(window.begin_ns, before);
      EXPECT_GE(window.end_ns, window.begin_ns);
      before = window.end_ns;
      ++seen;
    }
  });
  ASSERT_TRUE(rebuilt);
}

TEST(Timelines, DataToldAfterTheExecutionGiveWindowsThatDoNotOverlap) {
  const Recording recording = told_afterwards(100, 1500);
  std::size_t seen = 0;
  expect_no_overlap(recording, seen);
  EXPECT_EQ(seen, 400u);
  std::vector<std::int64_t> ends;
  const auto rebuilt = rebuild(recording, [&](std::size_t, std::span<const LayerWindow> windows) {
    ends.push_back(windows.back().end_ns);
    EXPECT_EQ(windows.back().end_ns - windows.front().begin_ns, 1'000'000);
  });
  EXPECT_TRUE(rebuilt->told_afterwards);
  EXPECT_EQ(rebuilt->squeezed, 0u);
  EXPECT_EQ(ends[0], 1'000'000'000);  // when the first of them was told
  // EdgeProfiler's windows, each ending when it was told, all overlap.
  std::int64_t overlapping = 0;
  for (std::size_t k = 1; k < 4; ++k)
    overlapping += recording.layers[k].told_us[0] - static_cast<std::int64_t>(recording.layers[k].ms[0] * 1000) <
                   recording.layers[k - 1].told_us[0];
  EXPECT_EQ(overlapping, 3);
}

TEST(Timelines, WhatWasToldLateIsSqueezedBehindTheInferenceBeforeAndCounted) {
  const Recording recording = told_afterwards(50, 700);  // 1 ms of layers every 0.7 ms cannot be
  std::size_t seen = 0;
  expect_no_overlap(recording, seen);
  EXPECT_EQ(seen, 200u);
  EXPECT_EQ(rebuild(recording, [](std::size_t, std::span<const LayerWindow>) {})->squeezed, 49u);
  Recording backwards = told_afterwards(10, -900);
  seen = 0;
  expect_no_overlap(backwards, seen);
}

TEST(Timelines, ARecordingWithoutTimesOfTellingHasNone) {
  Recording recording;
  recording.layers.resize(1);
  recording.layers[0].ms = {1};
  EXPECT_FALSE(rebuild(recording, [](std::size_t, std::span<const LayerWindow>) {}));
  EXPECT_FALSE(rebuild({}, [](std::size_t, std::span<const LayerWindow>) {}));
}

}  // namespace
}  // namespace prony::layers
