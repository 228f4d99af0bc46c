// Prony's own cost is measured with the clock of the whole program, not of one thread.
#include <gtest/gtest.h>

#include <time.h>

#include <thread>

#include "sensors/rows.hpp"

namespace prony {
namespace {

// Burns CPU time of the calling thread until its own clock has moved by `ns`.
void burn(std::int64_t ns) {
  const auto now = [] {
    struct timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
  };
  const std::int64_t end = now() + ns;
  while (now() < end) {
  }
}

TEST(Self, WorkOfAnotherThreadThatHasEndedIsPartOfPronysOwnCost) {
  const auto machine = make_live_machine();
  Probe probe = make_self(*machine, {});
  ASSERT_TRUE(probe.sensor);
  ASSERT_EQ(probe.sensor->channels().size(), 1u);
  const Channel& channel = probe.sensor->channels()[0];
  EXPECT_EQ(channel.name, "prony.cpu");
  EXPECT_EQ(channel.scope, Scope::prony);
  EXPECT_EQ(channel.measure, Measure::cpu_time);
  Reading before, after;
  probe.sensor->read({&before, 1});
  std::thread(burn, 20'000'000).join();
  probe.sensor->read({&after, 1});
  ASSERT_EQ(before.quality, Quality::ok);
  ASSERT_EQ(after.quality, Quality::ok);
  EXPECT_GE(static_cast<double>(after.raw - before.raw) * channel.scale, 0.020);
}

}  // namespace
}  // namespace prony
