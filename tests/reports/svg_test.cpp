#include "reports/svg.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony::svg {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Svg, AScaleHasRoundTicksWithinItAndDrawsWhatIsBeyondAtItsEdge) {
  const Scale scale = scale_of(10, 30, 0, 100);
  EXPECT_DOUBLE_EQ(scale.low, 5);
  EXPECT_DOUBLE_EQ(scale.high, 35);
  EXPECT_THAT(scale.ticks, ElementsAre(5, 10, 15, 20, 25, 30, 35));
  EXPECT_DOUBLE_EQ(scale.at(20), 50);
  EXPECT_DOUBLE_EQ(scale.at(-7), 0);
  EXPECT_DOUBLE_EQ(scale.at(1e9), 100);
  // Upside down, as pictures have it.
  EXPECT_DOUBLE_EQ(scale_of(10, 30, 100, 0).at(5), 100);
}

TEST(Svg, AScaleOfOneValueOrOfNoneIsOneAllTheSame) {
  for (const double value : {0.0, 5.0, 1e-9}) {
    const Scale scale = scale_of(value, value, 0, 10);
    EXPECT_LT(scale.low, scale.high);
    EXPECT_GE(scale.low, 0);
    EXPECT_LE(scale.ticks.size(), 20U);
  }
  EXPECT_LT(scale_of(-2, 1, 0, 10).low, -2);  // what may be negative has its room below 0
}

TEST(Svg, TicksHaveNoZerosBehindTheirLastDigit) {
  EXPECT_EQ(tick_words(0), "0");
  EXPECT_EQ(tick_words(0.5), "0.5");
  EXPECT_EQ(tick_words(100), "100");
  EXPECT_EQ(tick_words(1500), "1 500");
  EXPECT_EQ(tick_words(0.025), "0.025");
}

TEST(Svg, WhatIsWrittenIsNoMarkupWhateverItHolds) {
  const std::string said = label(1, 2, "start", "<script>&\"x\"");
  EXPECT_THAT(said, HasSubstr("&lt;script&gt;&amp;&quot;x&quot;"));
  EXPECT_THAT(said, Not(HasSubstr("<script")));
  EXPECT_THAT(dot(1, 2, 3, "f0", "a<b"), HasSubstr("<title>a&lt;b</title></circle>"));
  EXPECT_THAT(dot(1, 2, 3, "f0"), HasSubstr("/>"));
  EXPECT_THAT(picture(1, 1, "t</title>", "d</desc>", "", true), HasSubstr("t&lt;/title&gt;"));
}

TEST(Svg, ShadesGoFromLightToDarkAndOverWhite) {
  EXPECT_EQ(two_sided_shade(0), "rgb(255,255,255)");
  EXPECT_EQ(two_sided_shade(1), "rgb(0,114,178)");
  EXPECT_EQ(two_sided_shade(-5), "rgb(213,94,0)");
  EXPECT_EQ(shade(1), "rgb(0,114,178)");
  EXPECT_EQ(shade(-1), shade(0));
}

TEST(Svg, ADocumentOfItsOwnBringsItsColoursAndOneOfAPageDoesNot) {
  EXPECT_THAT(picture(1, 1, "t", "d", "", true), HasSubstr("<style>"));
  EXPECT_THAT(picture(1, 1, "t", "d", "", false), Not(HasSubstr("<style>")));
}

}  // namespace
}  // namespace prony::svg
