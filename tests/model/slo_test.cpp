#include "model/slo.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony {
namespace {

using ::testing::HasSubstr;

TEST(Slo, LimitsAreDurationsByName) {
  const auto slo = parse_slo("ttft=500ms, tpot=50ms,e2e=10s");
  ASSERT_TRUE(slo);
  EXPECT_DOUBLE_EQ(*slo->ttft_s, 0.5);
  EXPECT_DOUBLE_EQ(*slo->tpot_s, 0.05);
  EXPECT_DOUBLE_EQ(*slo->e2e_s, 10);
  EXPECT_EQ(describe(*slo), "TTFT ≤ 500 ms, TPOT ≤ 50 ms, E2E ≤ 10 s");
  EXPECT_FALSE(parse_slo("ttft=500ms")->tpot_s);
  EXPECT_EQ(describe(*parse_slo("tpot=30ms,e2e=1500ms")), "TPOT ≤ 30 ms, E2E ≤ 1.5 s");  // 0.03 is no binary fraction
}

TEST(Slo, PresetsGoByTheNamesOfMlperfsModels) {
  const auto slo = parse_slo("mlperf:llama2-70b-interactive");
  ASSERT_TRUE(slo);
  EXPECT_DOUBLE_EQ(*slo->ttft_s, 0.45);
  EXPECT_DOUBLE_EQ(*slo->tpot_s, 0.04);
  for (const std::string& name : slo_presets()) EXPECT_TRUE(parse_slo(name)) << name;
  EXPECT_EQ(slo_presets().size(), 11U);
}

TEST(Slo, WordsThatSetNoLimitAreRefusedWithWhatWould) {
  for (const char* text : {"", "ttft", "ttft=", "ttft=500", "ttft=0ms", "ttft=-1ms", "itl=5ms", "ttft=1s,ttft=2s",
                           "mlperf:", "mlperf:gpt-5", "ttft=1s,", "ttft=1s;tpot=2s", "TTFT=1s"}) {
    const auto slo = parse_slo(text);
    ASSERT_FALSE(slo) << text;
    EXPECT_THAT(slo.error().fix, HasSubstr("mlperf:llama2-70b")) << text;
  }
}

TEST(Slo, ARequestIsWithinOnlyIfItIsWithinAll) {
  const Slo slo = *parse_slo("ttft=500ms,tpot=50ms");
  EXPECT_EQ(within(slo, 0.5, 0.05, 9.0, 20), true);  // a limit is met by itself; E2E has none
  EXPECT_EQ(within(slo, 0.5001, 0.01, {}, 20), false);
  EXPECT_EQ(within(slo, 0.1, 0.051, {}, 20), false);
}

// Kills: a figure that nobody knows taken for one that is good, or for zero.
TEST(Slo, WhatIsNotKnownIsNoVerdictUnlessAnotherLimitIsBroken) {
  const Slo slo = *parse_slo("ttft=500ms,tpot=50ms");
  EXPECT_EQ(within(slo, 0.1, {}, {}, {}), std::nullopt);
  EXPECT_EQ(within(slo, {}, 0.01, {}, 20), std::nullopt);
  EXPECT_EQ(within(slo, 0.9, {}, {}, {}), false);
  EXPECT_EQ(within(slo, 0.1, {}, {}, 1), true);  // one token: there is no time between tokens
}

}  // namespace
}  // namespace prony
