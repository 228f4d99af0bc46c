// Text in and out: what counts as a number, and numbers that every locale writes alike.
#include "base/text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace prony {
namespace {

TEST(ParseNumber, TheWholeFieldMustBeTheNumber) {
  EXPECT_EQ(parse_u64(" 42\n"), 42u);
  EXPECT_EQ(parse_u64("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  for (const char* bad : {"", " ", "-1", "+1", "1x", "1 2", "0x10", "18446744073709551616", "1.0", "nan"})
    EXPECT_FALSE(parse_u64(bad)) << bad;
  EXPECT_EQ(parse_i64("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_FALSE(parse_i64("9223372036854775808"));
}

TEST(ParseNumber, NanAndInfinityAreRefused) {
  EXPECT_DOUBLE_EQ(parse_finite("1e3").value_or(0), 1000);
  for (const char* bad : {"nan", "inf", "-inf", "infinity", "1e999", "1,5", ""}) EXPECT_FALSE(parse_finite(bad)) << bad;
}

TEST(ParseDuration, AUnitIsPartOfTheValue) {
  EXPECT_EQ(parse_duration_ns("10ms"), 10'000'000);
  EXPECT_EQ(parse_duration_ns("1.5h"), 5'400'000'000'000);
  EXPECT_EQ(parse_duration_ns("3m"), 180'000'000'000);
  EXPECT_EQ(parse_duration_ns("500us"), 500'000);
  EXPECT_EQ(parse_duration_ns("7ns"), 7);
  for (const char* bad : {"10", "", "ms", "-1s", "1 s", "1sec", "1.2.3s", "9e99s", "99999999999999h"})
    EXPECT_FALSE(parse_duration_ns(bad)) << bad;
}

TEST(FormatNumber, ReadsBackAsTheSameDouble) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = random();
    double value = 0;
    static_assert(sizeof value == sizeof bits);
    __builtin_memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value)) {
      EXPECT_EQ(format_number(value), "");
      continue;
    }
    EXPECT_EQ(parse_finite(format_number(value)), value);
  }
}

TEST(FormatFixed, RoundsAndNeverClaimsASignThatWasRoundedAway) {
  EXPECT_EQ(format_fixed(1.25, 1), "1.2");
  EXPECT_EQ(format_fixed(-0.04, 1), "0.0");
  EXPECT_EQ(format_fixed(-0.06, 1), "-0.1");
  EXPECT_EQ(format_fixed(1e300, 0).size(), 301u);
  EXPECT_EQ(format_fixed(std::numeric_limits<double>::quiet_NaN(), 2), "");
}

TEST(FormatUtc, KnowsLeapYearsAndTimesBefore1970) {
  EXPECT_EQ(format_utc(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_utc(951'782'400'000'000'000), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(format_utc(1'795'228'842'250'333'555), "2026-11-21T02:40:42.250Z");
  EXPECT_EQ(compact_utc(1'795'228'842'250'333'555), "20261121T024042");
  EXPECT_EQ(format_utc(-1'000'000), "1969-12-31T23:59:59.999Z");
}

TEST(CsvField, IsQuotedOnlyWhereItMustBe) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"x\""), "\"say \"\"x\"\"\"");
  EXPECT_EQ(csv_field("two\nlines"), "\"two\nlines\"");
  EXPECT_EQ(csv_field(" edge"), "\" edge\"");
}

TEST(Printable, ControlCharactersAndBrokenUtf8NeverReachATerminal) {
  EXPECT_EQ(printable("a\x1b[31m", 10), "a\uFFFD[31m");
  EXPECT_EQ(printable("\xff\xc0\x80", 10), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(printable("\xed\xa0\x80", 10), "\uFFFD\uFFFD\uFFFD");  // a surrogate is no character
  EXPECT_EQ(printable("naïve", 10), "naïve");
}

TEST(Printable, IsCutToItsColumnsWithAnEllipsis) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abcde…");
  EXPECT_EQ(display_width(printable("日本語日本語", 7)), 7u);
  EXPECT_EQ(printable("abc", 0), "");
}

TEST(NearestName, FindsASlipOfTheFingerAndNothingFarther) {
  EXPECT_EQ(nearest_name("intervall", {"interval", "json"}), "interval");
  EXPECT_EQ(nearest_name("rpal", {"rapl", "hwmon"}), "rapl");
  EXPECT_FALSE(nearest_name("banana", {"rapl", "hwmon"}));
}

TEST(Lines, EndsOfBothKindsAndALastLineWithoutOne) {
  std::vector<std::string> lines;
  for_each_line("a\r\n\nb", [&](std::string_view line) { lines.emplace_back(line); });
  EXPECT_EQ(lines, (std::vector<std::string>{"a", "", "b"}));
}

TEST(WholeFile, OneThatIsTooLongIsAnErrorNotACut) {
  const auto read = read_whole_file("/proc/self/maps", 10);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::full);
  EXPECT_EQ(read_whole_file("/no/such/file", 10).error().code, ErrorCode::absent);
}

}  // namespace
}  // namespace prony
