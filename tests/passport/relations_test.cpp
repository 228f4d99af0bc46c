#include <gtest/gtest.h>

#include "stream.hpp"

namespace prony::passport {
namespace {

using test::Random;

constexpr std::int64_t length = 400'000'000;
const LearnContext context{"", "probe", "boot", true, {}};

struct Room {
  std::vector<Channel> channels;
  std::vector<test::Stream> streams;

  void add(const char* name, const std::vector<double>& uj, std::uint64_t poll_seed) {
    Random grid_random(1), polls(poll_seed);
    const auto updates = test::grid(1e6, 10'000, length, grid_random);
    channels.push_back(test::counter(name));
    streams.push_back(test::read(
        updates, [&](std::size_t k) { return static_cast<std::int64_t>(std::floor(uj[k] / 61) * 61); }, 50'000, 0,
        length, polls));
  }
  std::vector<ChannelPassport> learn() {
    std::vector<Ticks> ticks;
    std::vector<ChannelPassport> passports;
    for (std::size_t c = 0; c < channels.size(); ++c) {
      ticks.push_back(streams[c].ticks());
      passports.push_back(learn_channel(channels[c], ticks.back(), context));
    }
    learn_relations(channels, ticks, passports);
    return passports;
  }
};

std::vector<double> sums(double watts, double noise, std::uint64_t seed, const std::vector<double>* plus = nullptr) {
  Random random(seed);
  std::vector<double> all;
  double uj = 5'000;
  for (std::size_t k = 0; k < 500; ++k) {
    all.push_back(uj + (plus ? (*plus)[k] : 0));
    uj += watts * 1000 * (1 + noise * random.normal());
  }
  return all;
}

// Kills: two dies that show one counter added up to twice the joules (Threadripper), not noticed.
TEST(Relations, TwoCountersOfOneRegisterAreDuplicates) {
  Room room;
  const auto truth = sums(30, 0.05, 1);
  room.add("rapl.package-0.energy", truth, 3);
  room.add("rapl.package-0-die-1.energy", truth, 3);
  const auto p = room.learn();
  EXPECT_EQ(p[1].duplicate_of, "rapl.package-0.energy");
  EXPECT_EQ(p[0].duplicate_of, "");
  EXPECT_EQ(p[1].contained_in, "");
}

// Kills: two sockets with the same mean power taken for one.
TEST(Relations, TwoSocketsThatDrawAboutTheSameAreNot) {
  Room room;
  room.add("rapl.package-0.energy", sums(30, 0.05, 1), 3);
  room.add("rapl.package-1.energy", sums(30, 0.05, 2), 3);
  const auto p = room.learn();
  EXPECT_EQ(p[0].duplicate_of + p[1].duplicate_of, "");
  EXPECT_EQ(p[0].contained_in + p[1].contained_in, "");
}

// Constant power on both: equal increments prove nothing.
TEST(Relations, AreNotToldOfCountersThatNeverVary) {
  Room room;
  room.add("rapl.package-0.energy", sums(30.5, 0, 1), 3);
  room.add("rapl.package-1.energy", sums(30.5, 0, 1), 3);
  const auto p = room.learn();
  EXPECT_EQ(p[1].duplicate_of, "");
}

TEST(Relations, APartThatMovesWithTheWholeIsAHintAndAStrangerIsNot) {
  Room room;
  const auto core = sums(20, 0.3, 1);
  room.add("rapl.core.energy", core, 3);
  room.add("rapl.package-0.energy", sums(10, 0.05, 2, &core), 3);
  room.add("rapl.dram.energy", sums(3, 0.3, 7), 3);
  auto p = room.learn();
  EXPECT_EQ(p[0].contained_in, "rapl.package-0.energy");
  EXPECT_EQ(p[1].contained_in, "");
  EXPECT_EQ(p[2].contained_in, "");
  room.channels[0].part_of = ChannelId{1};  // known already: no hint
  p = room.learn();
  EXPECT_EQ(p[0].contained_in, "");
}

TEST(Relations, HoldAcrossAWrapOfOneOfThem) {
  Room room;
  const auto truth = sums(30, 0.05, 1);
  room.add("rapl.package-0.energy", truth, 3);
  room.add("rapl.package-0-die-1.energy", truth, 3);
  room.channels[1].range = 4'000'000;
  for (auto& raw : room.streams[1].raw) raw %= 4'000'000;
  EXPECT_EQ(room.learn()[1].duplicate_of, "rapl.package-0.energy");
}

}  // namespace
}  // namespace prony::passport
