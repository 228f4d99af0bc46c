// Lanes that change their pace, that block, that stay on one CPU.
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>

#include "fakes.hpp"

namespace prony::test {
namespace {

// Kills: the new interval counted from when it was set (deadlines drift), or old deadlines counted as missed.
TEST(LanePace, ASlowerLaneTicksOnTheNewGridAndMissesNothingOfTheOld) {
  FakeMachine machine;
  FakeSensor sensor(1);
  auto sampler = Sampler::create(machine, {lane_of(0, 5 * ms, {&sensor})});
  ASSERT_TRUE(sampler->start());
  while (sensor.reads.load() < 4) sleep_for(ms);
  sampler->set_interval({0}, 200 * ms);
  EXPECT_EQ(sampler->stats()[0].interval.ns, 200'000'000);
  sleep_for(50 * ms);  // the wait in which it was set ends on either grid
  const int before = sensor.reads.load();
  const std::uint64_t missed_before = sampler->stats()[0].missed;
  sleep_for(500 * ms);
  sampler->stop();
  const auto ticks = drain(*sampler, 1)[0];
  // At most one tick per 200 ms of the time that has passed by the stamps, and the last one, which stop() makes.
  const auto first = static_cast<std::size_t>(before);
  ASSERT_GT(ticks.size(), first + 1);
  const std::int64_t length = ticks.back().begin.ns - ticks[first].begin.ns;
  EXPECT_LE(static_cast<std::int64_t>(ticks.size() - 1 - first), length / 200'000'000 + 2);
  const std::uint64_t missed = sampler->stats()[0].missed - missed_before;
  EXPECT_LE(missed, static_cast<std::uint64_t>(length / 200'000'000) + 1) << "not one per 5 ms";
}

// Kills: a lane that sleeps out its long interval first, and one that calls the short deadlines before now missed.
TEST(LanePace, AQuickerLaneWakesForItAndCallsNothingMissed) {
  FakeMachine machine;
  FakeSensor sensor(1);
  auto sampler = Sampler::create(machine, {lane_of(0, {3600'000'000'000}, {&sensor})});
  ASSERT_TRUE(sampler->start());
  sleep_for(300 * ms);
  sampler->set_interval({0}, 100 * ms);
  while (sensor.reads.load() < 4) {       // an hour, if it slept on
    sampler->set_interval({0}, 99 * ms);  // a wake-up may fall between its look and its sleep
    sleep_for(5 * ms);
    sampler->set_interval({0}, 100 * ms);
    sleep_for(5 * ms);
  }
  sampler->stop();
  const auto ticks = drain(*sampler, 1)[0];
  const LaneStats stats = sampler->stats()[0];
  const std::int64_t length = ticks.back().begin.ns - ticks[1].begin.ns;
  EXPECT_LE(stats.missed, static_cast<std::uint64_t>(length / 99'000'000)) << "the 300 ms before it were nobody's";
}

TEST(LanePace, AnImpossibleIntervalOrGroupChangesNothing) {
  FakeMachine machine;
  FakeSensor sensor(1);
  auto sampler = Sampler::create(machine, {lane_of(0, 20 * ms, {&sensor})});
  ASSERT_TRUE(sampler->start());
  sampler->set_interval({0}, {0});
  sampler->set_interval({0}, {-5});
  sampler->set_interval({77}, 500 * ms);
  EXPECT_EQ(sampler->stats()[0].interval.ns, 20'000'000);
  sampler->stop();
}

std::int64_t median_lateness(const std::vector<Tick>& ticks, std::int64_t interval_ns) {
  std::vector<std::int64_t> lateness;
  for (std::size_t t = 1; t + 1 < ticks.size(); ++t) {
    const std::int64_t since = ticks[t].begin.ns - ticks[0].begin.ns;
    lateness.push_back(since % interval_ns);  // deadlines lie on the first tick's grid, and its own lateness
  }
  if (lateness.empty()) return 0;
  std::nth_element(lateness.begin(), lateness.begin() + static_cast<std::ptrdiff_t>(lateness.size() / 2),
                   lateness.end());
  return lateness[lateness.size() / 2];
}

// Two seconds inside one read of a blocking sensor: structurally, the fast lane must have ticked through them. Kills:
// a lock held across a read, lanes that share a thread, a tick_now() or take() that waits for the blocking one.
TEST(Lanes, ASensorThatBlocksForTwoSecondsKeepsNoFastTickWaiting) {
  FakeMachine machine;
  std::atomic<std::int64_t> blocked_from{0}, blocked_to{0};
  FakeSensor quick(1);
  FakeSensor blocking(1, LaneKind::blocking, [&](int n) {
    if (n != 1) return;
    blocked_from = now_ns();
    sleep_for(2000 * ms);
    blocked_to = now_ns();
  });
  auto sampler = Sampler::create(machine, {lane_of(0, 10 * ms, {&quick}), lane_of(1, 50 * ms, {&blocking})});
  ASSERT_TRUE(sampler->start());
  std::vector<Tick> ticks;
  const auto collect = [&] {
    auto taken = drain(*sampler, 2);
    for (Tick& tick : taken[0]) ticks.push_back(std::move(tick));
  };
  while (blocked_to == 0) {
    collect();
    if (blocked_from != 0) sampler->tick_now();
    sleep_for(20 * ms);
  }
  sampler->stop();
  collect();
  const auto inside = [&](const Tick& tick) {
    return tick.begin.ns > blocked_from.load() && tick.end.ns < blocked_to.load();
  };
  const auto during = std::count_if(ticks.begin(), ticks.end(), inside);
  // 200 deadlines; a machine may be busy, but a lane that waits has none.
  EXPECT_GE(during, 50);
  EXPECT_EQ(sampler->stats()[0].dropped, 0U);
  EXPECT_GE(sampler->stats()[1].worst_tick.ns, 2'000'000'000);
}

// Whole milliseconds of delay would be waiting; timer noise is not: the two medians may differ by half an interval.
TEST(Lanes, TheFastLanesLatenessIsTheSameWithAndWithoutABlockedNeighbour) {
  const auto lateness = [](bool with) {
    FakeMachine machine;
    FakeSensor quick(1);
    FakeSensor blocking(1, LaneKind::blocking, [](int n) { sleep_for(n == 0 ? ms : 700 * ms); });
    std::vector<LanePlan> plans{lane_of(0, 10 * ms, {&quick})};
    if (with) plans.push_back(lane_of(1, ms, {&blocking}));
    auto sampler = Sampler::create(machine, plans);
    EXPECT_TRUE(sampler->start());
    sleep_for(600 * ms);
    sampler->stop();
    return median_lateness(drain(*sampler, plans.size())[0], 10'000'000);
  };
  EXPECT_LT(lateness(true), lateness(false) + 5'000'000);
}

TEST(Lanes, APinnedLaneRunsOnItsCpuAndAnotherLaneAnywhere) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  unsigned last = 0;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) last = cpu;
  FakeMachine machine;
  std::atomic<int> elsewhere{0}, free_cpus{0}, pinned_cpus{0};
  FakeSensor pinned(1, LaneKind::fast, [&](int) {
    elsewhere += sched_getcpu() != static_cast<int>(last);
    cpu_set_t own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof own, &own) == 0) pinned_cpus = CPU_COUNT(&own);
  });
  FakeSensor free_one(1, LaneKind::fast, [&](int) {
    cpu_set_t own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof own, &own) == 0) free_cpus = CPU_COUNT(&own);
  });
  LanePlan plan = lane_of(0, 2 * ms, {&pinned});
  plan.cpu = last;
  auto sampler = Sampler::create(machine, {plan, lane_of(1, 2 * ms, {&free_one})});
  ASSERT_TRUE(sampler->start());
  while (pinned.reads.load() < 50 || free_one.reads.load() < 5) sleep_for(ms);
  sampler->stop();
  EXPECT_EQ(elsewhere, 0);
  EXPECT_EQ(pinned_cpus, 1) << "not there by chance";
  EXPECT_EQ(free_cpus, CPU_COUNT(&allowed)) << "the pin is the lane's own";
}

// Kills: a lane that goes first only within its session, and waits for somebody else's compiler; one whose readings are
// never done and that keeps its CPU from everybody; a slow sensor that does.
TEST(Lanes, AFastLaneIsARealTimeThreadUntilItsReadingsTakeMostOfItsIntervalAndNoOtherEverIs) {
  struct sched_param one{};
  one.sched_priority = 1;
  std::thread([&] { one.sched_priority = sched_setscheduler(0, SCHED_FIFO, &one) == 0 ? 1 : 0; }).join();
  if (one.sched_priority == 0) GTEST_SKIP() << "no thread may be a real-time one here (CAP_SYS_NICE, RLIMIT_RTPRIO)";
  constexpr int many_reads = 20;
  FakeMachine machine;
  std::atomic<int> quick{-1}, first{-1}, last{-1}, slow{-1};
  const auto policy = [] { return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK; };
  FakeSensor quick_one(1, LaneKind::fast, [&](int) { quick = policy(); });
  FakeSensor long_one(1, LaneKind::fast, [&](int n) {
    (n == 0 ? first : last) = policy();
    sleep_for(4 * ms);  // of an interval of 5
  });
  FakeSensor slow_one(1, LaneKind::slow, [&](int) { slow = policy(); });
  auto sampler = Sampler::create(
      machine, {lane_of(0, 100 * ms, {&quick_one}), lane_of(1, 5 * ms, {&long_one}), lane_of(2, 5 * ms, {&slow_one})});
  ASSERT_TRUE(sampler->start());
  while (quick_one.reads.load() < 4 || long_one.reads.load() < many_reads || slow_one.reads.load() < 4) sleep_for(ms);
  sampler->stop();
  EXPECT_EQ(quick, SCHED_FIFO);
  EXPECT_EQ(first, SCHED_FIFO);
  EXPECT_EQ(last, SCHED_OTHER);
  EXPECT_EQ(slow, SCHED_OTHER);
}

TEST(Lanes, ACpuThatIsNotThereDoesNotStopALane) {
  for (const unsigned cpu : {unsigned{CPU_SETSIZE} - 1, unsigned{CPU_SETSIZE}, 4'000'000'000U}) {
    FakeMachine machine;
    FakeSensor sensor(1);
    LanePlan plan = lane_of(0, 2 * ms, {&sensor});
    plan.cpu = cpu;
    auto sampler = Sampler::create(machine, {plan});
    ASSERT_TRUE(sampler->start());
    while (sensor.reads.load() < 3) sleep_for(ms);
    sampler->stop();
    EXPECT_GE(drain(*sampler, 1)[0].size(), 3U);
  }
}

}  // namespace
}  // namespace prony::test
