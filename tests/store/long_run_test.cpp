// Two hours at 1 kHz × 20 channels are 7.2 million ticks. Here a quarter of them go through the recorder and back
// through attribute() as fast as they can: what either keeps per tick shows as megabytes.
#include <malloc.h>

#include <iostream>

#include "../support/emulated.hpp"
#include "../support/sanitizer.hpp"
#include "attribute/attribute.hpp"
#include "resident_bytes.hpp"
#include "store_test_support.hpp"

namespace prony {
namespace {

using test::Folder;
using test::open_run;
using test::record;

// Under a sanitizer or an emulator: the way, not the figure (an emulator keeps translated code in the same memory).
const bool memory_counts = test::memory_counts && !test::emulated();
const std::int64_t all_ticks = memory_counts ? 1'800'000 : 120'000;
constexpr std::int64_t interval_ns = 1'000'000, block_ticks = 500;
constexpr std::size_t channel_count = 20;
constexpr std::int64_t first_tick_ns = 2'000'000'000;

std::size_t trimmed_resident_bytes() {
  ::malloc_trim(0);  // what was freed is not growth
  return test::resident_bytes();
}

// Eighteen energy counters, the CPU time of the target and of all: what a Run with a split consists of.
test::Plan two_hours_plan() {
  test::Plan plan = test::fast_plan(channel_count);
  for (const std::size_t c : {channel_count - 2, channel_count - 1}) {
    Channel& channel = plan.channels[c];
    channel.measure = Measure::cpu_time;
    channel.domain = "";  // of the whole machine, not of a package
    channel.scope = c == channel_count - 2 ? Scope::target : Scope::host;
    channel.name = c == channel_count - 2 ? "target.cpu" : "cpu.busy";
    channel.range = 0;
    channel.max_rate = 0;
    channel.scale = 1e-9;
  }
  return plan;
}

// 30 W, ± 256 µJ a tick; the target has half of the CPU.
class TwoHoursSource {
 public:
  TwoHoursSource() : readings_(channel_count, {1'000'000, Quality::ok}) {}
  void push(TickBlock& block, std::int64_t tick) {
    for (std::size_t c = 0; c + 2 < channel_count; ++c) readings_[c].raw += 30'000 + noise();
    readings_[channel_count - 2].raw += 500'000 + noise();
    readings_[channel_count - 1].raw += 1'000'000 + noise();
    const std::int64_t at = first_tick_ns + tick * interval_ns + (noise() + 128) * 64;
    block.push({at}, {at + 8'000}, readings_);
  }
  [[nodiscard]] std::int64_t first_counter() const { return readings_[0].raw; }

 private:
  std::int64_t noise() {  // one byte of a 64-bit linear congruential generator
    state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::int64_t>(state_ >> 56) - 128;
  }
  std::vector<Reading> readings_;
  std::uint64_t state_ = 7;
};

struct Growth {
  std::size_t early = 0, late = 0;
  void look(std::int64_t tick) {
    if (tick % (all_ticks / 8) != 0) return;
    const std::size_t now = trimmed_resident_bytes();
    if (tick <= all_ticks / 4) early = now;  // caches and pools have their size by then
    late = std::max(late, now);
  }
  [[nodiscard]] std::size_t bytes() const { return late > early ? late - early : 0; }
};

// A reading kept per tick, eight bytes, would be 10 MiB from a quarter on; whole ticks 220 MiB. What attribute() does
// keep is one number per channel and window of 100 ms (two hours × 20 channels: 12 MB), which is 3 to 6 MiB here.
constexpr std::size_t allowed_growth = std::size_t{7} << 20;

TEST(LongRun, MillionsOfTicksAreRecordedAndFoldedInBoundedMemory) {
  const Folder folder;
  const test::Plan plan = two_hours_plan();
  auto recorder = record(folder.file(), plan, {.if_exists = IfExists::refuse, .commit_every = milliseconds(3'600'000)});
  TwoHoursSource source;
  std::int64_t first = 0;
  TickBlock block({1}, channel_count, block_ticks);
  Growth recording;
  for (std::int64_t tick = 0; tick < all_ticks; ++tick) {
    source.push(block, tick);
    if (tick == 0) first = source.first_counter();
    if (!block.full() && tick + 1 < all_ticks) continue;
    ASSERT_TRUE(recorder->append(block));
    ASSERT_TRUE(recorder->flush());  // as every half second does
    block.clear();
    recording.look(tick + 1);
  }
  Span whole;
  whole.id = {1};
  whole.kind = SpanKind::run;
  whole.status = SpanStatus::ok;
  whole.interval = {{first_tick_ns + 100 * interval_ns}, {first_tick_ns + (all_ticks - 100) * interval_ns}};
  ASSERT_TRUE(recorder->add_span(whole));
  ASSERT_TRUE(recorder->close(RunState::complete));
  recorder.reset();

  const auto run = open_run(folder.file());
  Attribution attribution(run->channels(), run->groups(), run->spans());
  Growth folding;
  std::int64_t read = 0, next_look = all_ticks / 8;
  ASSERT_TRUE(run->for_each_block({1}, [&](const TickBlock& stored) {
    attribution.push(stored);
    read += static_cast<std::int64_t>(stored.ticks());
    for (; read >= next_look; next_look += all_ticks / 8) folding.look(next_look);
    return true;
  }));
  EXPECT_EQ(read, all_ticks);
  const Ledger ledger = attribution.finish();
  ASSERT_FALSE(ledger.energy.empty());
  const double expected_j = static_cast<double>(source.first_counter() - first) * 1e-6;
  EXPECT_NEAR(ledger.energy[0].recorded.value, expected_j, 1e-9 * expected_j);
  ASSERT_TRUE(ledger.energy[0].target);
  EXPECT_NEAR(ledger.energy[0].target->value, expected_j / 2, 0.01 * expected_j);
  std::cout << all_ticks << " ticks: recording grew by " << recording.bytes() / 1024 << " KiB, folding by "
            << folding.bytes() / 1024 << " KiB, " << std::filesystem::file_size(folder.file()) / 1024
            << " KiB on disk\n";
  if (!memory_counts) return;
  ASSERT_GT(recording.early, 0U);
  ASSERT_GT(folding.early, 0U);
  EXPECT_LE(recording.bytes(), allowed_growth);
  EXPECT_LE(folding.bytes(), allowed_growth);
}

}  // namespace
}  // namespace prony
