// The readings of a Run that is longer than a batch of the stream.
#include <gtest/gtest.h>
#include <prony/meter.h>
#include <sqlite3.h>

#include "../support/scratch.hpp"
#include "reading.hpp"
#include "store/recorder.hpp"

namespace prony::test {
namespace {

constexpr std::int64_t batch_rows = std::int64_t{1} << 18;
constexpr std::int64_t ticks = 2 * batch_rows + 5;
constexpr std::int64_t interval_ns = 1'000'000;

struct LongReadings : testing::Test {
  LongReadings() : file(scratch.file("long.prony")) {
    Channel channel;
    channel.name = "made.up";
    channel.measure = Measure::count;
    channel.kind = ChannelKind::gauge;
    const Group group{{1}, "fast", {interval_ns}, {ChannelId{0}}};
    auto recorder = Recorder::create(file, {});
    EXPECT_TRUE(recorder);
    EXPECT_TRUE((*recorder)->begin({}, std::span(&channel, 1), std::span(&group, 1), {}));
    TickBlock block(group.id, 1, 1024);
    for (std::int64_t tick = 0; tick < ticks; ++tick) {
      const Reading reading{tick * 7 % 1009, Quality::ok};
      block.push({at(tick)}, {at(tick) + 10}, std::span(&reading, 1));
      if (!block.full() && tick + 1 < ticks) continue;
      EXPECT_TRUE((*recorder)->append(block));
      block.clear();
    }
    EXPECT_TRUE((*recorder)->close(RunState::complete));
  }
  // Two ticks on each side of a batch's end begin at one time: where a batch goes on by time alone, one is lost or
  // twice.
  static std::int64_t at(std::int64_t tick) {
    return (tick == batch_rows - 1 || tick == batch_rows ? batch_rows - 2 : tick) * interval_ns;
  }
  void damage(std::int64_t first_tick) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
    const std::string sql =
        "UPDATE chunk SET data = zeroblob(length(data)) WHERE first_tick <= " + std::to_string(first_tick);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  ScratchFolder scratch{"library-readings"};
  std::string file;
};

// Kills: a row at the seam of two batches that is told twice or by neither.
TEST_F(LongReadings, AreEachToldOnceWhateverBatchTheyComeIn) {
  const RunHandle run = open_run(file);
  ArrowArrayStream stream{};
  ASSERT_EQ(prony_run_readings(run.get(), "made.up", 0, latest_ns, &stream), 0) << prony_last_error();
  std::int64_t row = 0;
  int batches = 0;
  while (true) {
    ArrowArray batch{};
    ASSERT_EQ(stream.get_next(&stream, &batch), 0) << stream.get_last_error(&stream);
    if (batch.release == nullptr) break;
    ++batches;
    const auto* begins = static_cast<const std::int64_t*>(batch.children[0]->buffers[1]);
    const auto* raws = static_cast<const std::int64_t*>(batch.children[2]->buffers[1]);
    for (std::int64_t k = 0; k < batch.length; ++k, ++row) {
      ASSERT_EQ(begins[k], at(row));
      ASSERT_EQ(raws[k], row * 7 % 1009);
    }
    batch.release(&batch);
  }
  stream.release(&stream);
  EXPECT_EQ(row, ticks);
  EXPECT_EQ(batches, 3);
}

// Kills: a batch that decodes all that came before it, which makes reading a day cost the square of a day.
TEST_F(LongReadings, WhatLiesBeforeABatchIsNotDecodedAgain) {
  damage(0);
  const RunHandle run = open_run(file);
  ArrowArrayStream stream{};
  ASSERT_EQ(prony_run_readings(run.get(), "made.up", at(batch_rows + 100), latest_ns, &stream), 0)
      << prony_last_error();
  std::int64_t rows = 0;
  while (true) {
    ArrowArray batch{};
    ASSERT_EQ(stream.get_next(&stream, &batch), 0) << stream.get_last_error(&stream);
    if (batch.release == nullptr) break;
    rows += batch.length;
    batch.release(&batch);
  }
  stream.release(&stream);
  EXPECT_EQ(rows, ticks - batch_rows - 100);
}

}  // namespace
}  // namespace prony::test
