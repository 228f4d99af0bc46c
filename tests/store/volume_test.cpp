// Much of it: what two hours at 1 kHz would ask for, scaled down in time, not in kind.
#include <sqlite3.h>
#include <time.h>

#include <cmath>
#include <iostream>

#include "../support/sanitizer.hpp"
#include "resident_bytes.hpp"
#include "store_test_support.hpp"

namespace prony {
namespace {

using test::fast_plan;
using test::Folder;
using test::open_run;
using test::record;

double own_cpu_s() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// RAPL-like: 50 W with a noise of 5 % of each step, in steps of 61 µJ; ticks jitter by some 20 µs.
struct RaplSource {
  explicit RaplSource(std::size_t channels, std::int64_t period) : energy(channels), period_ns(period) {}
  void fill(TickBlock& block, std::int64_t tick) {
    std::vector<Reading> readings(energy.size());
    for (std::size_t c = 0; c < energy.size(); ++c) {
      energy[c] += static_cast<double>(period_ns) * 1e-3 * 50 * (1 + 0.05 * random.normal());
      readings[c] = {static_cast<std::int64_t>(std::floor(energy[c] / 61.035) * 61.035), Quality::ok};
    }
    const auto begin = tick * period_ns + static_cast<std::int64_t>(20'000 * std::abs(random.normal()));
    block.push({begin}, {begin + 30'000 + static_cast<std::int64_t>(1'500 * std::abs(random.normal()))}, readings);
  }
  std::vector<double> energy;
  std::int64_t period_ns;
  test::Random random{77};
};

void leave_out_rollup(const std::filesystem::path& path) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, "DROP VIEW rollup; DROP TABLE rollup_second; VACUUM", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
}

struct Figures {
  double bytes_a_reading = 0, cpu_us_a_tick = 0;
  std::size_t growth = 0;
};

Figures record_much(const std::filesystem::path& path, Duration interval, std::int64_t ticks, std::size_t batch) {
  Figures figures;
  auto recorder =
      record(path, fast_plan(20, interval), {.if_exists = IfExists::refuse, .commit_every = milliseconds(3'600'000)});
  RaplSource source(20, interval.ns);
  TickBlock block({1}, 20, batch);
  std::size_t early = 0;
  double cpu = 0;
  for (std::int64_t t = 0; t < ticks;) {
    block.clear();
    for (; !block.full() && t < ticks; ++t) source.fill(block, t);
    const auto before = own_cpu_s();
    EXPECT_TRUE(recorder->append(block));
    EXPECT_TRUE(recorder->flush());  // as every half second does
    cpu += own_cpu_s() - before;
    if (t >= ticks / 4 && early == 0) early = test::resident_bytes();
  }
  const auto late = test::resident_bytes();
  figures.growth = late > early ? late - early : 0;
  EXPECT_TRUE(recorder->close(RunState::complete));
  figures.cpu_us_a_tick = cpu * 1e6 / static_cast<double>(ticks);
  std::uint64_t stored = 0;
  const auto run = open_run(path);
  EXPECT_EQ(test::ticks_of(*run, {1}).size(), static_cast<std::size_t>(ticks));
  leave_out_rollup(path);
  stored = std::filesystem::file_size(path);
  figures.bytes_a_reading = static_cast<double>(stored) / static_cast<double>(ticks * 20);
  return figures;
}

void print(const char* name, const Figures& figures) {
  ::testing::Test::RecordProperty(std::string(name) + "_bytes_a_reading", std::to_string(figures.bytes_a_reading));
  std::cout << name << ": " << figures.bytes_a_reading << " bytes a reading, " << figures.cpu_us_a_tick
            << " us of CPU a tick, memory grew by " << figures.growth / 1024 << " KiB\n";
}

TEST(Volume, AtOneKilohertzAReadingTakesAtMostTwoBytesAndMemoryIsBounded) {
  const Folder folder;
  const auto figures = record_much(folder.file(), milliseconds(1), 60'000, 500);
  print("1kHz", figures);
  EXPECT_LE(figures.bytes_a_reading, 2.0);
  if (test::memory_counts) {
    EXPECT_LE(figures.growth, std::size_t{6} << 20);
  }
}

TEST(Volume, AtTenHertzAReadingTakesAtMostFourBytes) {
  const Folder folder;
  const auto figures = record_much(folder.file(), milliseconds(100), 12'000, 50);
  print("10Hz", figures);
  EXPECT_LE(figures.bytes_a_reading, 4.0);
}

}  // namespace
}  // namespace prony
