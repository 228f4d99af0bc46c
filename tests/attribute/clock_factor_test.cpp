// The clocks that a Run recorded, in a modelled channel's joules: figures worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rig.hpp"

namespace prony {
namespace {

using namespace prony::rig;

constexpr double ghz = 1e9;

// A machine whose every CPU is busy (or not, by `load`), whose policies show `khz(policy, t)` every 100 ms: 2 CPUs,
// idle 10 W (5…20), full 50 W (30…90) at 2 GHz or above, at most 3 GHz; the measured window is second 3 to 9 of 10.
struct Room {
  std::vector<std::string> policies{"policy0", "policy1"};
  std::function<std::int64_t(std::size_t, std::int64_t)> khz;
  std::function<double(std::int64_t)> busy_s = [](std::int64_t t) { return 2e-9 * static_cast<double>(t - origin); };
  PowerModel model{"m",       "s",       2,       Watts(10), Watts(5), Watts(20), Watts(50),
                   Watts(30), Watts(90), 2 * ghz, 3 * ghz,   1,        1};
  Interval window{Instant{origin + 3 * second}, Instant{origin + 9 * second}};
  bool quiet = false;  // no clock can be read

  [[nodiscard]] Recording recording() const {
    Recording run;
    Group fast{GroupId{1}, "fast", Duration{10 * millisecond}, {}};
    Group slow{GroupId{2}, "slow", Duration{100 * millisecond}, {}};
    run.sources.resize(2);
    Channel modelled = energy_counter(10 * millisecond, "cpu-model.cpu.power");
    modelled.measure = Measure::power, modelled.origin = Origin::modelled, modelled.scale = 1e-9;
    modelled.max_rate = 0;
    modelled.model = model;
    run.add(fast, run.sources[0], modelled, [this](std::int64_t t) {
      return Reading{static_cast<std::int64_t>(busy_s(t / (10 * millisecond) * (10 * millisecond)) * 1e9), Quality::ok};
    });
    for (std::size_t i = 0; khz && i < policies.size(); ++i) {
      Channel clock;
      clock.name = "cpufreq." + policies[i] + ".frequency", clock.sensor = "cpufreq", clock.domain = policies[i];
      clock.measure = Measure::frequency, clock.kind = ChannelKind::gauge, clock.scale = 1e3;
      run.add(slow, run.sources[1], clock,
              [this, i](std::int64_t t) { return quiet ? Reading{0, Quality::gap} : Reading{khz(i, t), Quality::ok}; });
    }
    run.groups = {fast, slow};
    run.spans = {span(1, SpanKind::run, "run", window.begin.ns, window.end.ns)};
    return run;
  }

  // `clocks_first`: in which order the groups' blocks come.
  [[nodiscard]] Ledger attribute(bool clocks_first = false, std::size_t block = 64) const {
    const Recording run = recording();
    Attribution fold(run.channels, run.groups, run.spans);
    for (const std::size_t g : clocks_first ? std::vector<std::size_t>{1, 0} : std::vector<std::size_t>{0, 1}) {
      if (run.sources[g].empty()) continue;
      const auto ticks = poll(run.sources[g], origin, origin + 10 * second, run.groups[g].interval.ns);
      for (const TickBlock& ready : in_blocks(run.groups[g].id, ticks, block)) fold.push(ready);
    }
    return fold.finish();
  }
};

const ChannelLedger& modelled(const Ledger& ledger) { return ledger.energy.at(0); }

Room at(std::int64_t khz) {
  Room room;
  room.khz = [khz](std::size_t, std::int64_t) { return khz; };
  return room;
}

std::string why(const Ledger& ledger) {
  for (const auto& [field, reason] : modelled(ledger).absent)
    if (field == "clock") return reason;
  return {};
}

// Kills: the factor on idle too (then 15 W); kHz taken for Hz (then the load is nothing); linear or cube for the value.
TEST(ModelClock, HalfTheClockIsAQuarterOfWhatLoadAddsAndIdleStaysAsItIs) {
  const Ledger ledger = at(1'000'000).attribute();
  const ChannelLedger& row = modelled(ledger);
  ASSERT_TRUE(row.clock && row.gross);
  EXPECT_NEAR(row.gross->value, 6 * (10 + 40 * 0.25), 0.5);
  EXPECT_NEAR(row.gross->low, 6 * (5 + 25 * 2.0 / 3 * 0.125), 0.5);  // the published machine ran at 3 GHz at most
  EXPECT_NEAR(row.gross->high, 6 * (20 + 70 * 0.5), 0.5);
  EXPECT_EQ(row.gross->kind, EstimateKind::range);
  EXPECT_NEAR(row.clock->mean_hz, 1 * ghz, 1);
  EXPECT_EQ(row.clock->reference_hz, 2 * ghz);
  EXPECT_NEAR(row.recorded.value, 10 * (10 + 40 * 0.25), 0.5);
  EXPECT_EQ(why(ledger), "");
}

// Kills: the factor on what an idle machine draws.
TEST(ModelClock, AMachineThatDoesNothingDrawsItsIdleAtAnyClock) {
  for (const std::int64_t khz : {400'000, 1'000'000, 2'000'000}) {
    Room room = at(khz);
    room.busy_s = [](std::int64_t) { return 0.0; };
    EXPECT_NEAR(modelled(room.attribute()).recorded.value, 10 * 10, 0.01) << khz;
  }
}

// Kills: turbo that adds to figures which were published with it.
TEST(ModelClock, AtTheReferenceClockAndAboveTheFiguresHoldAndOnlyTheLowEndRises) {
  for (const auto& [khz, low_factor] :
       {std::pair{2'000'000, 2.0 / 3}, {2'400'000, 0.8}, {3'000'000, 1.0}, {3'600'000, 1.0}}) {
    const Ledger ledger = at(khz).attribute();
    const Estimate& gross = *modelled(ledger).gross;
    EXPECT_NEAR(gross.value, 6 * 50, 0.5) << khz;
    EXPECT_NEAR(gross.low, 6 * (5 + 25 * low_factor), 1) << khz;
    EXPECT_NEAR(gross.high, 6 * 90, 1) << khz;
  }
}

// Kills: a Run without clocks that loses the widening, or says nothing of it.
TEST(ModelClock, WithoutClocksTheFactorIsOneTheRangeIsWiderAndTheReasonIsSaid) {
  Room with = at(3'000'000);
  with.model.full_low = Watts(5 + 25 * 2.0 / 3), with.model.clock_floor = 2.0 / 3;  // as a Run without clocks needs it
  Room without = with, quiet = with, old = with;
  without.khz = nullptr;
  quiet.quiet = true;
  old.model.reference_clock_hz.reset();
  const Ledger known = with.attribute();
  EXPECT_NEAR(modelled(known).gross->low, 6 * 30, 1);
  for (const Room* room : {&without, &quiet, &old}) {
    const Ledger ledger = room->attribute();
    const ChannelLedger& row = modelled(ledger);
    EXPECT_FALSE(row.clock);
    EXPECT_NEAR(row.gross->value, 6 * 50, 0.5);
    EXPECT_NEAR(row.gross->low, 6 * (5 + 25 * 2.0 / 3), 1);
    EXPECT_GT(row.gross->high - row.gross->low, modelled(known).gross->high - modelled(known).gross->low + 40);
    EXPECT_FALSE(why(ledger).empty());
  }
  EXPECT_THAT(why(without.attribute()), ::testing::HasSubstr("no clock of the processor was recorded"));
  EXPECT_THAT(why(quiet.attribute()), ::testing::HasSubstr("was read in the window"));
  EXPECT_THAT(why(old.attribute()), ::testing::HasSubstr("figures hold"));
}

// Kills: a limit that is taken off by the model and by the recorded clocks again.
TEST(ModelClock, ALimitThatTheCoefficientsAlreadyHoldIsNotTakenOffTwice) {
  Room room = at(1'000'000);
  const Ledger plain = room.attribute();
  room.model.clock_limit = 0.5, room.model.clock_floor = 0.8;
  room.model.full = Watts(10 + 40 * 0.5), room.model.full_low = Watts(5 + 25 * 0.8 * 0.125);
  const Ledger limited = room.attribute();
  EXPECT_NEAR(modelled(limited).gross->value, modelled(plain).gross->value, 1e-9);
  EXPECT_NEAR(modelled(limited).gross->low, modelled(plain).gross->low, 0.01);
  EXPECT_NEAR(modelled(limited).gross->high, modelled(plain).gross->high, 1e-9);
}

// Kills: the mean taken over what was recorded before and after the measured window.
TEST(ModelClock, OnlyClocksInTheMeasuredWindowCount) {
  Room room = at(0);
  room.khz = [w = room.window](std::size_t, std::int64_t t) {
    return w.contains(Instant{t}) ? std::int64_t{2'000'000} : std::int64_t{500'000};
  };
  EXPECT_NEAR(modelled(room.attribute()).clock->mean_hz, 2 * ghz, 1);
}

// Kills: a mean over time, to which the clock of an idle machine adds as much as that of a busy one: 10 of 12 J·s⁻¹
// wrong.
TEST(ModelClock, ClocksCountByTheBusyTimeThatWentByAtThem) {
  Room room = at(0);
  const std::int64_t middle = origin + 6 * second;
  room.khz = [=](std::size_t, std::int64_t t) { return t < middle ? std::int64_t{500'000} : std::int64_t{2'000'000}; };
  room.busy_s = [=](std::int64_t t) { return 2e-9 * static_cast<double>(std::max<std::int64_t>(0, t - middle)); };
  const Ledger ledger = room.attribute();
  EXPECT_NEAR(modelled(ledger).clock->mean_hz, 2 * ghz, 0.02 * ghz);
  EXPECT_NEAR(modelled(ledger).gross->value, 6 * 10 + 3 * 40, 2);
}

// Kills: one policy's clock taken for all, lowest and highest of policies lost for low and high; the summary's three
// channels averaged as if they were policies.
TEST(ModelClock, TheMeanOfThePoliciesGivesTheValueLowestAndHighestTheEnds) {
  Room two;
  two.khz = [](std::size_t i, std::int64_t) { return i == 0 ? std::int64_t{500'000} : std::int64_t{1'500'000}; };
  Room many;
  many.policies = {"cpus-lowest", "cpus-mean", "cpus-highest"};
  many.khz = [](std::size_t i, std::int64_t) { return std::array<std::int64_t, 3>{500'000, 1'000'000, 1'500'000}[i]; };
  Room skewed = many;
  skewed.khz = [](std::size_t i, std::int64_t) { return std::array<std::int64_t, 3>{500'000, 600'000, 1'500'000}[i]; };
  for (const Room* room : {&two, &many}) {
    const Ledger ledger = room->attribute();
    const ModelClock& clock = *modelled(ledger).clock;
    EXPECT_NEAR(clock.value, 0.25, 1e-9);
    EXPECT_NEAR(clock.low, 2.0 / 3 / 64, 1e-9);
    EXPECT_NEAR(clock.high, 0.75, 1e-9);
  }
  EXPECT_NEAR(modelled(skewed.attribute()).clock->value, 0.09, 1e-9);
}

// Kills: idle CPUs' low clocks taken for those of the busy one.
TEST(ModelClock, WithFewCpusBusyTheClockIsNearTheHighestOfThePolicies) {
  Room room;
  room.khz = [](std::size_t i, std::int64_t) { return i == 0 ? std::int64_t{500'000} : std::int64_t{1'500'000}; };
  room.busy_s = [](std::int64_t t) { return 0.5e-9 * static_cast<double>(t - origin); };  // a quarter of two CPUs
  const ModelClock clock = *modelled(room.attribute()).clock;
  EXPECT_NEAR(clock.mean_hz, 0.25 * 1 * ghz + 0.75 * 1.5 * ghz, 0.01 * ghz);
  EXPECT_NEAR(clock.value, 0.6875 * 0.6875, 0.01);
  EXPECT_NEAR(clock.high, 0.75, 1e-9);
}

// Kills: a factor that depends on block sizes or on which group came first; a fold that finish() spoils.
TEST(ModelClock, ChargesCloseAndTheOrderOfBlocksChangesNothing) {
  Room room;
  room.khz = [](std::size_t i, std::int64_t t) {
    return std::int64_t{700'000} + 300'000 * static_cast<std::int64_t>(i) + (t - origin) / 10'000;
  };
  const Ledger first = room.attribute(false, 64), second_one = room.attribute(true, 7);
  const ChannelLedger &a = modelled(first), &b = modelled(second_one);
  EXPECT_EQ(a.gross->value, b.gross->value);
  EXPECT_EQ(a.gross->low, b.gross->low);
  EXPECT_EQ(a.gross->high, b.gross->high);
  EXPECT_EQ(a.clock->mean_hz, b.clock->mean_hz);
  EXPECT_NEAR(sum_of_charges(first, a.channel), a.recorded.value, 1e-9 * a.recorded.value);
  EXPECT_LT(a.recorded.value, 10 * 50 * 0.9);
}

// Kills: a division by what a damaged file says.
TEST(ModelClock, RubbishCoefficientsOfTheClockGiveNoRubbishEnergy) {
  for (const double rubbish : {0.0, -1.0, std::nan(""), 1e300}) {
    Room room = at(1'000'000);
    room.model.clock_floor = room.model.clock_limit = rubbish;
    room.model.highest_clock_hz = rubbish;
    const Ledger ledger = room.attribute();
    EXPECT_TRUE(std::isfinite(modelled(ledger).gross->value)) << rubbish;
    EXPECT_TRUE(std::isfinite(modelled(ledger).gross->low)) << rubbish;
    room.model.reference_clock_hz = rubbish;
    const Ledger without = room.attribute();
    EXPECT_TRUE(std::isfinite(modelled(without).gross->value)) << rubbish;
  }
}

}  // namespace
}  // namespace prony
