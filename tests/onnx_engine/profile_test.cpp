// The profile that ONNX Runtime writes, as text: what of it becomes layers.
#include "profile.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace prony_engine {
namespace {

std::string node(const std::string& name, const std::string& op, int at, int took) {
  return R"({"cat" : "Node","pid" :1,"tid" :1,"dur" :)" + std::to_string(took) + R"(,"ts" :)" + std::to_string(at) +
         R"(,"ph" : "X","name" :")" + name + R"(_kernel_time","args" : {"op_name" : ")" + op +
         R"(","provider" : "CPUExecutionProvider","node_index" : "0"}},)"
         "\n";
}
std::string run(int at, int took) {
  return R"({"cat" : "Session","pid" :1,"tid" :1,"dur" :)" + std::to_string(took) + R"(,"ts" :)" + std::to_string(at) +
         R"(,"ph" : "X","name" :"model_run","args" : {}},)"
         "\n";
}
Profile profile_of(const std::string& text) {
  std::istringstream in(text);
  return read_profile(in);
}

TEST(Profile, NodesBelongToTheRunThatEndsAfterThemAndNamesLoseTheirEnding) {
  const Profile profile = profile_of("[\n" + node("conv", "Conv", 10, 5) + node("relu", "Relu", 16, 0) + run(9, 9) +
                                     node("conv", "Conv", 20, 4) + node("relu", "Relu", 25, 1) + run(19, 8) + "]\n");
  EXPECT_EQ(profile.problem, "");
  ASSERT_EQ(profile.nodes.size(), 2U);
  EXPECT_EQ(profile.nodes[0].name, "conv");
  EXPECT_EQ(profile.nodes[1].op, "Relu");
  ASSERT_EQ(profile.runs.size(), 2U);
  ASSERT_EQ(profile.runs[1].nodes.size(), 2U);
  EXPECT_EQ(profile.runs[1].nodes[0].duration_us, 4);
  EXPECT_EQ(profile.runs[0].nodes[1].duration_us, 0);
}

// Kills: a subgraph's nodes counted beside the node that holds them.
TEST(Profile, WhatRunsWithinAnIfIsInItsTimeAndCountsOnce) {
  const Profile profile = profile_of(node("inner", "MatMul", 11, 6) + node("inner2", "Relu", 17, 2) +
                                     node("choice", "If", 10, 10) + node("after", "Add", 20, 3) + run(9, 15));
  ASSERT_EQ(profile.runs.size(), 1U);
  EXPECT_EQ(profile.nested, 2U);
  ASSERT_EQ(profile.runs[0].nodes.size(), 2U);
  std::int64_t sum = 0;
  for (const NodeTime& one : profile.runs[0].nodes) sum += one.duration_us;
  EXPECT_EQ(sum, 13);
}

// Kills: rows of "0 s" for what takes most of an If's time, and times that are another node's once such rows are gone.
TEST(Profile, NodesThatRanNowhereButWithinAnIfAreNoneOfTheNodes) {
  const Profile profile =
      profile_of(node("inner", "MatMul", 11, 6) + node("choice", "If", 10, 10) + node("both", "Relu", 21, 4) +
                 run(9, 17) + node("both", "Relu", 31, 6) + node("choice", "If", 30, 10) + run(29, 12));
  ASSERT_EQ(profile.nodes.size(), 2U);
  EXPECT_EQ(profile.nodes[0].name, "choice");
  EXPECT_EQ(profile.nodes[1].name, "both");
  EXPECT_EQ(profile.nested, 2U);
  ASSERT_EQ(profile.runs.size(), 2U);
  ASSERT_EQ(profile.runs[0].nodes.size(), 2U);
  EXPECT_EQ(profile.runs[0].nodes[1].node, 1U);
  EXPECT_EQ(profile.runs[0].nodes[1].duration_us, 4);
}

TEST(Profile, OtherEventsAreNoNodes) {
  const Profile profile =
      profile_of(R"({"cat" : "Session","dur" :5,"ts" :1,"name" :"session_initialization","args" : {}},)"
                 "\n"
                 R"({"cat" : "Node","dur" :5,"ts" :1,"name" :"conv_fence_before","args" : {"op_name" : "Conv"}},)"
                 "\n"
                 R"({"cat" : "Session","dur" :5,"ts" :1,"name" :"SequentialExecutor::Execute","args" : {}},)"
                 "\n");
  EXPECT_TRUE(profile.nodes.empty());
  EXPECT_TRUE(profile.runs.empty());
}

TEST(Profile, AFileThatIsCutOffSaysSoAndWhatIsNoNumberIsPassedOver) {
  EXPECT_NE(profile_of(node("conv", "Conv", 10, 5) + "{\"cat\" : \"No}\n").problem, "");
  EXPECT_EQ(profile_of("").runs.size(), 0U);
  EXPECT_EQ(profile_of(R"({"cat":"Node","name":"a_kernel_time","ts":"x","dur":1.5})"
                       "\n" +
                       run(1, 1))
                .nodes.size(),
            0U);
}

}  // namespace
}  // namespace prony_engine
