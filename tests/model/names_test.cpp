#include <gtest/gtest.h>

#include "model/channel.hpp"
#include "model/span.hpp"

namespace prony {
namespace {

TEST(Names, EveryWordReadsBackAsWhatItWasWrittenFrom) {
  for (int i = 0; i <= static_cast<int>(Measure::count); ++i) {
    const auto measure = static_cast<Measure>(i);
    EXPECT_EQ(measure_from(to_string(measure)), measure);
    EXPECT_NE(unit_of(measure), "unknown");
  }
  for (std::uint16_t i = 0; i <= static_cast<std::uint16_t>(SpanKind::user); ++i) {
    const auto kind = static_cast<SpanKind>(i);
    EXPECT_EQ(span_kind_from(to_string(kind)), kind);
  }
  for (const auto scope : {Scope::host, Scope::target, Scope::prony}) EXPECT_EQ(scope_from(to_string(scope)), scope);
  for (const auto origin : {Origin::measured, Origin::derived, Origin::modelled})
    EXPECT_EQ(origin_from(to_string(origin)), origin);
  for (const auto kind : {ChannelKind::counter, ChannelKind::gauge})
    EXPECT_EQ(channel_kind_from(to_string(kind)), kind);
}

TEST(Names, AnUnknownWordIsNothing) {
  EXPECT_FALSE(measure_from("joules"));
  EXPECT_FALSE(measure_from(""));
  EXPECT_FALSE(span_kind_from("unknown"));
}

}  // namespace
}  // namespace prony
