// Baselines that are kept.
#include "calibrate/baseline.hpp"

#include <gtest/gtest.h>

namespace prony::calibrate {
namespace {

constexpr std::int64_t day_ns = 86'400'000'000'000;

KeptBaseline kept() {
  KeptBaseline b;
  b.taken_wall_ns = 1'790'000'000'000'000'000;
  b.length_s = 10;
  b.kernel = "6.1.0-13";
  b.governor = "powersave";
  b.temperature_celsius = 38.5;
  b.foreign_cpus = 0.01;
  b.channels = {{"rapl.package-0.energy", {10, 9.8, 10.2, EstimateKind::interval_95}, 0.3}};
  return b;
}

TEST(KeptBaseline, ComesBackFromItsFileAsItWasKept) {
  const auto back = baseline_from_text(to_text(kept()));
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->taken_wall_ns, kept().taken_wall_ns);
  EXPECT_EQ(back->kernel, "6.1.0-13");
  EXPECT_EQ(back->firmware, "");
  EXPECT_EQ(back->temperature_celsius, 38.5);
  EXPECT_FALSE(back->clock_hz);
  ASSERT_EQ(back->channels.size(), 1u);
  EXPECT_EQ(back->channels[0].watts.low, 9.8);
  EXPECT_EQ(back->channels[0].spread_w, 0.3);
}

TEST(KeptBaseline, AFileThatIsNoneIsRefused) {
  for (const char* text : {"", "{}", "[]", "rubbish", R"({"format":"prony.baseline/2"})",
                           R"({"format":"prony.baseline/1","taken_wall_ns":1,"length_s":0,"channels":[]})",
                           R"({"format":"prony.baseline/1","taken_wall_ns":-9223372036854775808,"length_s":1,"channels":
                              [{"channel":"a","value":1,"low":1,"high":1}]})"})
    EXPECT_FALSE(baseline_from_text(text)) << text;
}

// Kills: a baseline of another kernel or of last month that goes on being believed; a reason that is not said.
TEST(KeptBaseline, ExpiresWithAgeAndWithAnotherKernelFirmwareOrGovernorAndSaysWhy) {
  KeptBaseline now = kept();
  now.taken_wall_ns += 6 * day_ns;
  EXPECT_EQ(why_expired(kept(), now), "");
  now.taken_wall_ns += 2 * day_ns;
  EXPECT_NE(why_expired(kept(), now).find("8.0 days old"), std::string::npos);
  now = kept();
  now.taken_wall_ns -= 1;
  EXPECT_NE(why_expired(kept(), now).find("later than now"), std::string::npos);
  now = kept();
  now.kernel = "6.1.0-14";
  EXPECT_EQ(why_expired(kept(), now), "another kernel: 6.1.0-13 then, 6.1.0-14 now");
  now = kept();
  now.governor = "performance";
  EXPECT_NE(why_expired(kept(), now).find("another governor"), std::string::npos);
  now = kept();
  now.firmware = "1.22";
  EXPECT_NE(why_expired(kept(), now).find("another firmware: none was told then, 1.22 now"), std::string::npos);
}

// Kills: a week-old baseline as sure as a fresh one.
TEST(KeptBaseline, ItsDoubtGrowsWithItsAge) {
  const Estimate watts{10, 9.8, 10.2, EstimateKind::bound};
  EXPECT_EQ(aged(watts, {}).low, 9.8);
  EXPECT_EQ(aged(watts, {}).kind, EstimateKind::interval_95);  // no longer a bound on another day's idle
  EXPECT_NEAR(aged(watts, baseline_life).low, 9.8 - 0.5, 1e-12);
  EXPECT_NEAR(aged(watts, Duration{baseline_life.ns / 2}).high, 10.2 + 0.25, 1e-12);
  EXPECT_EQ(aged(watts, {}).value, aged(watts, baseline_life).value);
}

TEST(KeptBaseline, ARunHoldsWhatItUsedOfIt) {
  Manifest manifest;
  manifest.facts = facts_of(kept(), kept().taken_wall_ns + baseline_life.ns);
  EXPECT_EQ(manifest.get("baseline.source"), "stored");
  EXPECT_EQ(manifest.get("baseline.age_s"), "604800");
  const auto known = known_idle(manifest);
  ASSERT_EQ(known.size(), 1u);
  EXPECT_EQ(known[0].channel, "rapl.package-0.energy");
  EXPECT_EQ(known[0].watts.value, 10);
  EXPECT_NEAR(known[0].watts.high, 10.7, 1e-12);
  manifest.set("baseline.watts.x", "3 4 5 bound", "file");  // low above value: damaged, and not believed
  EXPECT_EQ(known_idle(manifest).size(), 1u);
}

}  // namespace
}  // namespace prony::calibrate
