// What a machine computes and reads at most, as it is kept.
#include "calibrate/peaks.hpp"

#include <gtest/gtest.h>

namespace prony::calibrate {
namespace {

MachinePeaks peaks() {
  MachinePeaks p;
  p.taken_wall_ns = 1'790'000'000'000'000'000;
  p.machine = "A CPU, a board, 4 CPUs";
  p.threads = 4;
  p.instructions = "avx2";
  p.flop = {2e11, 1.9e11, 300};
  p.read = {2e10, 1.9e10, 100};
  p.triad = {1.8e10, 1.7e10, 50};
  p.array_bytes = 128 << 20;
  p.cache_bytes = 32 << 20;
  return p;
}

TEST(MachinePeaks, ComeBackFromTheirFileAsTheyWereKept) {
  const auto back = peaks_from_text(to_text(peaks()));
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->taken_wall_ns, peaks().taken_wall_ns);
  EXPECT_EQ(back->machine, peaks().machine);
  EXPECT_EQ(back->threads, 4);
  EXPECT_EQ(back->flop.best, 2e11);
  EXPECT_EQ(back->triad.repetitions, 50);
  EXPECT_EQ(back->cache_bytes, 32 << 20);
  EXPECT_EQ(words_of(*back), "measured 2026-09-21, 4 threads, f32 avx2");
}

TEST(MachinePeaks, TheMostBytesOfAnyLoopAreThePeak) {
  EXPECT_EQ(peaks().bytes_per_s(), 2e10);
  MachinePeaks odd = peaks();
  odd.triad.best = 3e10;
  EXPECT_EQ(odd.bytes_per_s(), 3e10);
  const auto facts = facts_of(odd);
  ASSERT_EQ(facts.size(), 3u);
  EXPECT_EQ(std::stod(facts[0].value), 2e11);
  EXPECT_EQ(std::stod(facts[1].value), 3e10);
}

// Kills: a benchmark that ran in the cache, or beside others, and passes for the machine's best.
TEST(MachinePeaks, SayWhereTheyAreNotToBeTrusted) {
  EXPECT_FALSE(peaks().arrays_small());
  EXPECT_FALSE(peaks().unsteady());
  MachinePeaks odd = peaks();
  odd.cache_bytes = 33 << 20;
  EXPECT_TRUE(odd.arrays_small());
  odd.cache_bytes.reset();
  EXPECT_FALSE(odd.arrays_small());
  odd.read.median = 1.5e10;
  EXPECT_TRUE(odd.unsteady());
}

TEST(MachinePeaks, AFileThatIsNoneIsRefused) {
  const std::string whole = to_text(peaks());
  const auto with = [&whole](const std::string& from, const std::string& to) {
    std::string text = whole;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
  };
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[]"), std::string("rubbish"), with("peaks/1", "peaks/2"),
        with("\"threads\": 4", "\"threads\": 0"), with("\"flop\"", "\"flops\""), with("200000000000.0", "0"),
        with("\"median_per_s\": 19", "\"median_per_s\": 99"), with("\"repetitions\": 300", "\"repetitions\": -1"),
        with("1790000000000000000", "-1"), with("\"array_bytes\": 134217728", "\"array_bytes\": \"many\"")})
    EXPECT_FALSE(peaks_from_text(text)) << text;
}

}  // namespace
}  // namespace prony::calibrate
