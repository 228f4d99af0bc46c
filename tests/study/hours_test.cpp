#include "study/hours.hpp"

#include <gtest/gtest.h>

namespace prony::study {
namespace {

constexpr int sunday = 0, monday = 1, tuesday = 2, friday = 5, saturday = 6;

int at(int hour, int minute) { return hour * 60 + minute; }

TEST(Hours, AreReadAsPeopleWriteThemAndNothingElseIs) {
  EXPECT_EQ(minute_of_day("22:30"), at(22, 30));
  EXPECT_EQ(minute_of_day("0:00"), 0);
  for (const char* bad : {"", "24:00", "22:60", "2230", "22:3", ":30", "-1:00", "22:300", "a:bc", "022:30"})
    EXPECT_FALSE(minute_of_day(bad)) << bad;
  EXPECT_EQ(window_of("22:00 - 06:00"), std::pair(at(22, 0), at(6, 0)));
  EXPECT_EQ(window_of("08:00-24:00"), std::pair(at(8, 0), at(24, 0)));
  for (const char* bad : {"", "22:00", "22:00-22:00", "22:00-", "-06:00", "24:00-06:00", "1-2"})
    EXPECT_FALSE(window_of(bad)) << bad;
}

TEST(Hours, AWindowIsOpenFromItsFirstMinuteToBeforeItsLast) {
  Hours hours;
  EXPECT_FALSE(hours.limited());
  EXPECT_TRUE(open_at(hours, sunday, 0));
  hours.window = window_of("08:00-17:30");
  EXPECT_TRUE(hours.limited());
  EXPECT_FALSE(open_at(hours, monday, at(7, 59)));
  EXPECT_TRUE(open_at(hours, monday, at(8, 0)));
  EXPECT_TRUE(open_at(hours, monday, at(17, 29)));
  EXPECT_FALSE(open_at(hours, monday, at(17, 30)));
}

TEST(Hours, AWindowOverMidnightBelongsToTheDayOnWhichItBegan) {
  Hours hours;
  hours.window = window_of("22:00-06:00");
  hours.days.fill(false);
  ASSERT_TRUE(add_days("fri", hours.days));
  ASSERT_FALSE(add_days("friday", hours.days));
  EXPECT_TRUE(open_at(hours, friday, at(22, 0)));
  EXPECT_TRUE(open_at(hours, saturday, at(5, 59)));
  EXPECT_FALSE(open_at(hours, saturday, at(6, 0)));
  EXPECT_FALSE(open_at(hours, saturday, at(22, 0)));
  EXPECT_FALSE(open_at(hours, friday, at(5, 0)));
  hours.days.fill(false);
  ASSERT_TRUE(add_days("sat", hours.days));
  EXPECT_TRUE(open_at(hours, sunday, at(5, 59)));  // the week's own edge
}

TEST(Hours, DaysWithoutAWindowAreWholeDays) {
  Hours hours;
  hours.days.fill(false);
  ASSERT_TRUE(add_days("weekend", hours.days));
  EXPECT_TRUE(open_at(hours, sunday, at(0, 0)));
  EXPECT_TRUE(open_at(hours, saturday, at(23, 59)));
  EXPECT_FALSE(open_at(hours, tuesday, at(12, 0)));
  EXPECT_EQ(words_of(hours), "begun only on sun sat");
  hours.at = at(22, 5);
  EXPECT_EQ(words_of(hours), "from the next 22:05 on, begun only on sun sat");
  EXPECT_EQ(words_of({}), "");
}

}  // namespace
}  // namespace prony::study
