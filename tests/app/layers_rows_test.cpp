// What becomes of a worker's words on a network's runs.
#include "app/layers_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace prony::app {
namespace {

// Kills: times within an If, a Loop or a Scan that are left out without a word.
TEST(LayerRows, WhatRanWithinAnotherNodeIsSaidToBeThere) {
  NetworkRunTimes times;
  times.plain_ns = {1000, 1100};
  times.profiled_ns = {2000, 2100};
  EXPECT_FALSE(nlohmann::json::parse(layer_times({}, {}, nullptr, times)).contains("notes"));
  times.nested_events = 6;
  const auto told = nlohmann::json::parse(layer_times({}, {}, nullptr, times));
  ASSERT_EQ(told["notes"].size(), 1U);
  EXPECT_THAT(told["notes"][0].get<std::string>(), ::testing::HasSubstr("6 times of nodes inside If, Loop or Scan"));
}

}  // namespace
}  // namespace prony::app
