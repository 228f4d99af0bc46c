// The sampler's promises: no drift, every missed deadline counted, a slow consumer or sensor harms nobody but itself.
// Nothing here asserts a timing: bounds are on what was counted against what the stamps say.
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "allocations.hpp"
#include "base/fd.hpp"
#include "fakes.hpp"

namespace prony::test {
namespace {

TEST(Sampler, EveryTickHoldsWhatTheSensorsReadInTheirOrder) {
  FakeMachine machine;
  FakeSensor one(2), two(3);
  two.gap_channel = 1;
  auto sampler = Sampler::create(machine, {lane_of(0, 5 * ms, {&one, &two})});
  ASSERT_TRUE(sampler->start());
  sleep_for(60 * ms);
  sampler->stop();
  const auto ticks = drain(*sampler, 1)[0];
  ASSERT_GE(ticks.size(), 2U);
  for (std::size_t t = 0; t < ticks.size(); ++t) {
    const auto n = static_cast<std::int64_t>(t) * 1000;
    std::vector<std::int64_t> raws;
    for (const Reading& reading : ticks[t].readings) raws.push_back(reading.raw);
    EXPECT_EQ(raws, (std::vector<std::int64_t>{n, n + 1, n, n + 1, n + 2}));
    EXPECT_EQ(ticks[t].readings[3].quality, Quality::gap) << "a gap stays a gap";
    EXPECT_NE(ticks[t].readings[0].quality, Quality::gap);
    EXPECT_LE(ticks[t].begin, ticks[t].end);
    if (t > 0) {
      EXPECT_LE(ticks[t - 1].end, ticks[t].begin);
    }
  }
  EXPECT_EQ(sampler->stats()[0].ticks, ticks.size());
  EXPECT_EQ(static_cast<std::size_t>(one.reads.load()), ticks.size());
}

// Kills: sleeping `interval` after each tick (the work's time adds up), and deadlines that restart at a late tick.
TEST(Sampler, DeadlinesDoNotDriftWhateverATickTakes) {
  FakeMachine machine;
  FakeSensor sensor(1, LaneKind::fast, [](int) { sleep_for(2 * ms); });
  auto sampler = Sampler::create(machine, {lane_of(0, 5 * ms, {&sensor})});
  ASSERT_TRUE(sampler->start());
  sleep_for(300 * ms);
  sampler->stop();
  const auto ticks = drain(*sampler, 1)[0];
  const LaneStats stats = sampler->stats()[0];
  ASSERT_GE(ticks.size(), 4U);
  // The last tick is stop()'s own. The one before it served deadline number ticks + missed − 2.
  const std::int64_t served = static_cast<std::int64_t>(stats.ticks + stats.missed) - 2;
  const std::int64_t lateness = ticks[ticks.size() - 2].begin.ns - (ticks[0].begin.ns + served * 5'000'000);
  EXPECT_GE(lateness, -stats.worst_lateness.ns);
  EXPECT_LT(lateness, 5'000'000) << "every deadline up to the last tick was either ticked or counted as missed";
}

// Kills: a schedule that goes on from when a tick happened and not from when it was due. Of ten thousand ticks each
// some microseconds late that makes a second; deadlines that are added up make nothing, however late a tick comes.
TEST(Sampler, AfterTenThousandDeadlinesTheScheduleLiesWhereItBegan) {
  FakeMachine machine;
  FakeSensor sensor(1);
  const std::int64_t interval = 100'000;
  auto sampler = Sampler::create(machine, {lane_of(0, Duration{interval}, {&sensor})});
  ASSERT_TRUE(sampler->start());
  Instant first{}, last_but_one{}, last{};
  std::uint64_t seen = 0;
  const auto take_all = [&](Duration wait) {
    while (auto block = sampler->take(wait, {0})) {
      for (std::size_t t = 0; t < block->ticks(); ++t) {
        if (seen++ == 0) first = block->begin(t);
        last_but_one = last;
        last = block->begin(t);
      }
      sampler->recycle(std::move(block));
      wait = {0};
    }
  };
  while (sampler->stats()[0].ticks + sampler->stats()[0].missed < 10'001) take_all(10 * ms);
  sampler->stop();
  take_all({0});
  const LaneStats stats = sampler->stats()[0];
  ASSERT_EQ(stats.dropped, 0U);
  ASSERT_EQ(seen, stats.ticks);
  // The last tick is stop()'s own; the one before it served deadline number ticks + missed − 2.
  const auto served = static_cast<std::int64_t>(stats.ticks + stats.missed) - 2;
  EXPECT_GE(served, 9'999);
  const std::int64_t lateness = last_but_one.ns - (first.ns + served * interval);
  EXPECT_GE(lateness, -stats.worst_lateness.ns);  // the first tick may itself have been late
  EXPECT_LT(lateness, interval) << "a tick later than an interval counts the deadlines it passed as missed";
}

// A read that takes 3½ intervals: deadline 1 is served late, 2 and 3 are missed. Kills: counting 1 miss per slow tick,
// serving the missed ones in a burst afterwards, or calling the late tick ok.
TEST(Sampler, ASlowReadCostsExactlyTheDeadlinesItCovered) {
  FakeMachine machine;
  std::atomic<std::int64_t> woke{0};
  FakeSensor sensor(1, LaneKind::fast, [&](int n) {
    if (n != 3) return;
    sleep_for(175 * ms);
    woke = now_ns();
  });
  auto sampler = Sampler::create(machine, {lane_of(0, 50 * ms, {&sensor})});
  ASSERT_TRUE(sampler->start());
  while (sensor.reads.load() < 6) sleep_for(10 * ms);
  sampler->stop();
  const auto ticks = drain(*sampler, 1)[0];
  const LaneStats stats = sampler->stats()[0];
  ASSERT_GE(ticks.size(), 7U);
  const std::int64_t slot_3 = (ticks[3].begin.ns - ticks[0].begin.ns + 25'000'000) / 50'000'000;
  const std::int64_t slot_5 = (ticks[5].begin.ns - ticks[0].begin.ns + 25'000'000) / 50'000'000;
  // Between the slow tick and the second one after it: slot_5 − slot_3 deadlines, of which two were ticked.
  EXPECT_GE(static_cast<std::int64_t>(stats.missed), slot_5 - slot_3 - 2);
  EXPECT_GE(stats.missed, 2U);
  EXPECT_EQ(ticks[4].readings[0].quality, Quality::late);
  EXPECT_GE(stats.late, 1U);
  EXPECT_GE(stats.worst_tick.ns, 175'000'000);
  EXPECT_GE(stats.worst_lateness.ns, 100'000'000);
  EXPECT_LT(stats.ticks + stats.missed, static_cast<std::uint64_t>(slot_5) + 100);
}

TEST(Sampler, NothingIsAllocatedOnATick) {
  const int before = counted_allocations();  // other tests of this program count too
  FakeMachine machine;
  FakeSensor sensor(20, LaneKind::fast, [](int) { count_allocations_of_this_thread(); });
  auto sampler = Sampler::create(machine, {lane_of(0, {200'000}, {&sensor})});
  ASSERT_TRUE(sampler->start());
  while (sensor.reads.load() < 2500) drain(*sampler, 1, ms);  // several blocks long
  for (int i = 0; i < 20; ++i) sampler->tick_now();
  sampler->stop();
  EXPECT_EQ(counted_allocations() - before, 0);
}

// The consumer takes nothing until the lane has filled all it has; what was dropped is counted, what was kept is whole.
TEST(Sampler, AConsumerThatSleepsCostsWholeTicksAndEachIsCounted) {
  FakeMachine machine;
  FakeSensor sensor(2);
  auto sampler = Sampler::create(machine, {lane_of(0, {20'000'000'000}, {&sensor})});  // blocks of 16 ticks
  ASSERT_TRUE(sampler->start());
  for (int i = 0; i < 400; ++i) sampler->tick_now();
  LaneStats stats = sampler->stats()[0];
  EXPECT_EQ(stats.ticks, 401U);
  EXPECT_EQ(stats.dropped, 401U - 16 * 16);
  auto ticks = drain(*sampler, 1)[0];
  EXPECT_EQ(ticks.size(), 256U);
  EXPECT_EQ(ticks.back().readings[1].raw, 255'001) << "the oldest are kept, the newest dropped";
  for (int i = 0; i < 100; ++i) sampler->tick_now();  // drained: it goes on
  EXPECT_EQ(sampler->stats()[0].dropped, stats.dropped);
  sampler->stop();
  ticks = drain(*sampler, 1)[0];
  EXPECT_EQ(ticks.size(), 101U);
  EXPECT_EQ(ticks.front().readings[0].raw, 401'000);
}

TEST(Sampler, ASensorThatHangsDelaysNoOtherLane) {
  FakeMachine machine;
  Door door;
  FakeSensor quick(1);
  FakeSensor hanging(1, LaneKind::blocking, [&](int) { door.wait(); });
  auto sampler = Sampler::create(machine, {lane_of(0, 2 * ms, {&quick}), lane_of(1, 2 * ms, {&hanging})});
  ASSERT_TRUE(sampler->start()) << "a blocking lane is not waited for";
  sampler->tick_now();
  while (quick.reads.load() < 20) sleep_for(ms);
  EXPECT_EQ(hanging.reads.load(), 0);
  EXPECT_EQ(sampler->stats()[1].ticks, 0U);
  Instant at;
  EXPECT_TRUE(sampler->latest({1}, at).empty());
  EXPECT_EQ(sampler->latest({0}, at).size(), 1U);
  door.open();
  sampler->stop();
  EXPECT_FALSE(sampler->stats()[1].stuck);
  const auto ticks = drain(*sampler, 2);
  EXPECT_GE(ticks[0].size(), 20U);
  EXPECT_GE(ticks[1].size(), 1U);
}

// The lane's state must survive the Sampler: the sanitizers see it if it does not.
TEST(Sampler, StopLeavesALaneBehindThatHangsForEver) {
  // Leaked, as stop() says: the lane that is left behind goes on using them.
  static FakeMachine& machine = *new FakeMachine;
  static Door& door = *new Door;
  FakeSensor quick(1);
  static FakeSensor& hanging = *new FakeSensor(1, LaneKind::blocking, [](int n) {
    if (n > 0) door.wait();
  });
  auto sampler = Sampler::create(machine, {lane_of(0, 5 * ms, {&quick}), lane_of(1, 5 * ms, {&hanging})});
  ASSERT_TRUE(sampler->start());
  while (hanging.reads.load() < 1) sleep_for(ms);
  sleep_for(20 * ms);
  sampler->stop();
  EXPECT_TRUE(sampler->stats()[1].stuck);
  EXPECT_FALSE(sampler->stats()[0].stuck);
  const auto ticks = drain(*sampler, 2);
  EXPECT_EQ(ticks[1].size(), 1U) << "what it read before is not lost";
  sampler.reset();
  door.open();
  while (hanging.reads.load() < 3) sleep_for(ms);  // the read it hung in, and stop()'s last tick
}

TEST(Sampler, TickNowIsATickOutsideTheScheduleAndCostsNoDeadline) {
  FakeMachine machine;
  FakeSensor a(1), b(1);
  auto sampler = Sampler::create(machine, {lane_of(0, {60'000'000'000}, {&a}), lane_of(1, {60'000'000'000}, {&b})});
  ASSERT_TRUE(sampler->start());
  EXPECT_EQ(a.reads.load(), 1);
  for (int i = 0; i < 5; ++i) {
    const std::int64_t before = now_ns();
    sampler->tick_now();
    Instant at;
    EXPECT_EQ(sampler->latest({1}, at)[0].raw, 1000 * (i + 1));
    EXPECT_GE(at.ns, before);
    EXPECT_EQ(a.reads.load(), i + 2);
    EXPECT_EQ(b.reads.load(), i + 2);
  }
  sampler->stop();
  EXPECT_EQ(sampler->stats()[0].missed, 0U);
  EXPECT_EQ(sampler->stats()[0].late, 0U);
  EXPECT_EQ(drain(*sampler, 2)[1].size(), 7U) << "first, five, last";
}

TEST(Sampler, StopIsIdempotentAndNothingComesAfterTheLastTick) {
  FakeMachine machine;
  FakeSensor sensor(1);
  auto sampler = Sampler::create(machine, {lane_of(0, ms, {&sensor})});
  ASSERT_TRUE(sampler->start());
  sampler->stop();
  const int reads = sensor.reads.load();
  sampler->stop();
  sampler->tick_now();
  EXPECT_EQ(sensor.reads.load(), reads);
  EXPECT_GE(reads, 2) << "a first tick and a last one";
  EXPECT_EQ(drain(*sampler, 1)[0].size(), static_cast<std::size_t>(reads));
  EXPECT_EQ(sampler->take(1000 * ms, {0}), nullptr);
}

TEST(Sampler, ABlockIsHandedOverWhenItIsOldEnoughEvenIfItsLaneSleeps) {
  FakeMachine machine;
  FakeSensor sensor(1);
  auto sampler = Sampler::create(machine, {lane_of(0, {60'000'000'000}, {&sensor})});
  ASSERT_TRUE(sampler->start());
  EXPECT_EQ(sampler->take({0}, {3'600'000'000'000}), nullptr) << "too young";
  auto block = sampler->take({10'000'000'000}, 20 * ms);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->ticks(), 1U);
  sampler->recycle(std::move(block));
}

// Kills: a consumer that hears only of blocks, and one that no longer hears of blocks.
TEST(Sampler, AConsumerCanWaitForADescriptorAsWell) {
  FakeMachine machine;
  FakeSensor sensor(1);
  auto sampler = Sampler::create(machine, {lane_of(0, 60'000 * ms, {&sensor})});
  ASSERT_TRUE(sampler->start());
  ASSERT_TRUE(sampler->take({0}, {0})) << "the first tick";
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  const Fd reading(ends[0]), writing(ends[1]);
  sampler->also_wait_for(reading.get());
  std::jthread other([&] {
    sleep_for(30 * ms);
    ASSERT_EQ(::write(writing.get(), "x", 1), 1);
  });
  const Instant begin = machine.now();
  EXPECT_FALSE(sampler->take(60'000 * ms, 60'000 * ms));
  EXPECT_LT(machine.now() - begin, 30'000 * ms) << "it waited for its time to be up";
  sampler->tick_now();
  EXPECT_TRUE(sampler->take({0}, {0})) << "a descriptor that can be read hides no block";
  sampler->also_wait_for(-1);
  other.join();
  std::jthread third([&] {
    sleep_for(30 * ms);
    sampler->tick_now();
  });
  EXPECT_TRUE(sampler->take(1000 * ms, {0})) << "and is forgotten when that is wished";
}

// Kills: a half-filled block that is handed over before an older full one.
TEST(Sampler, UnderAGreedyConsumerNoTickIsLostDoubledOrOutOfOrder) {
  FakeMachine machine;
  FakeSensor sensor(3);
  auto sampler = Sampler::create(machine, {lane_of(0, {50'000}, {&sensor})});
  ASSERT_TRUE(sampler->start());
  std::int64_t next = 0;
  const auto check = [&](const std::vector<Tick>& ticks) {
    for (const Tick& tick : ticks) {
      ASSERT_EQ(tick.readings[2].raw, next * 1000 + 2);
      ASSERT_EQ(tick.readings[0].raw, next * 1000);
      ++next;
    }
  };
  while (sensor.reads.load() < 5000) {
    check(drain(*sampler, 1)[0]);
    Instant at;
    const auto newest = sampler->latest({0}, at);
    EXPECT_EQ(newest[0].raw + 2, newest[2].raw) << "one tick's readings, never two mixed";
  }
  sampler->stop();
  check(drain(*sampler, 1)[0]);
  const LaneStats stats = sampler->stats()[0];
  EXPECT_EQ(stats.dropped, 0U);
  EXPECT_EQ(next, static_cast<std::int64_t>(stats.ticks));
}

TEST(Sampler, ALanesCpuTimeIsItsThreadsAndStaysAfterwards) {
  FakeMachine machine;
  FakeSensor sensor(1, LaneKind::fast, [](int) {
    struct timespec t{};
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    while (t.tv_sec == 0 && t.tv_nsec < 30'000'000);
  });
  auto sampler = Sampler::create(machine, {lane_of(0, 10 * ms, {&sensor})});
  ASSERT_TRUE(sampler->start());
  EXPECT_GE(sampler->stats()[0].cpu.ns, 30'000'000);
  sampler->stop();
  EXPECT_GE(sampler->stats()[0].cpu.ns, 30'000'000);
}

TEST(Sampler, StampsAreOnTheMachinesClockAndDeadlinesOnTheRealOne) {
  FakeMachine machine;
  machine.simulated_offset = 1'000'000'000'000'000;
  FakeSensor sensor(1);
  auto sampler = Sampler::create(machine, {lane_of(0, 2 * ms, {&sensor})});
  ASSERT_TRUE(sampler->start());
  while (sensor.reads.load() < 10) sleep_for(ms);
  sampler->stop();
  const auto ticks = drain(*sampler, 1)[0];
  ASSERT_GE(ticks.size(), 10U);
  EXPECT_GT(ticks[0].begin.ns, machine.simulated_offset);
  EXPECT_LT(sampler->stats()[0].worst_lateness.ns, machine.simulated_offset / 2);
}

TEST(Sampler, APlanThatDoesNotAddUpIsRefused) {
  FakeMachine machine;
  FakeSensor sensor(2);
  LanePlan plan = lane_of(0, ms, {&sensor});
  plan.group.channels.pop_back();
  auto wrong = Sampler::create(machine, {plan})->start();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::usage);
  auto never = Sampler::create(machine, {lane_of(0, {0}, {&sensor})})->start();
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().where, "lane0");
}

}  // namespace
}  // namespace prony::test
