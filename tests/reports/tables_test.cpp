#include "reports/tables.hpp"

#include <gtest/gtest.h>

#include <array>

#include "fake_run.hpp"
#include "reports/samples_table.hpp"

namespace prony {
namespace {

using prony::testing::channel;
using prony::testing::FakeRun;

TickBlock block(std::uint32_t group, std::size_t channels,
                std::vector<std::pair<std::int64_t, std::vector<Reading>>> ticks) {
  TickBlock b(GroupId{group}, channels, ticks.size());
  for (const auto& [at, readings] : ticks) b.push({at}, {at + 5}, readings);
  return b;
}

// A fast group of two channels and a slow one of one, whose ticks interleave.
FakeRun two_groups() {
  FakeRun run;
  run.channel_list = {channel(7, "rapl.package-0.energy", "package-0", Measure::energy, ChannelKind::counter),
                      channel(8, "memory.used", "memory", Measure::memory, ChannelKind::gauge),
                      channel(9, "thermal.x86.temperature", "x86", Measure::temperature, ChannelKind::gauge),
                      channel(5, "cpu-model.cpu.power", "cpu", Measure::power, ChannelKind::counter)};
  run.channel_list[0].scale = 1e-6;
  run.channel_list[2].scale = 1e-3;
  run.channel_list[3].scale = 1e-9;
  run.channel_list[3].model = PowerModel{};
  run.group_list = {{GroupId{1}, "fast", milliseconds(10), {ChannelId{8}, ChannelId{7}, ChannelId{5}}},
                    {GroupId{2}, "slow", milliseconds(1000), {ChannelId{9}}}};
  run.anchor_list = {{{0}, 1'700'000'000'000'000'000, {0}}, {{30}, 1'700'000'100'000'000'000, {0}}};
  run.blocks.push_back(block(1, 3,
                             {{10, {{4096, Quality::ok}, {1'500'000, Quality::ok}, {2'000'000'000, Quality::ok}}},
                              {20, {{4097, Quality::late}, {0, Quality::gap}, {0, Quality::gap}}}}));
  run.blocks.push_back(block(2, 1, {{15, {{45'500, Quality::ok}}}, {40, {{46'000, Quality::ok}}}}));
  run.blocks.push_back(block(1, 3, {{30, {{4098, Quality::ok}, {-1, Quality::ok}, {3'000'000'000, Quality::ok}}}}));
  return run;
}

std::vector<std::vector<Cell>> rows_of(Table& table) {
  std::vector<std::vector<Cell>> rows;
  std::vector<Cell> row;
  while (table.next(row).value()) rows.push_back(row);
  return rows;
}

TEST(Samples, ColumnsCarryUnitsAndTheModelsInputIsNotCalledWatts) {
  const FakeRun run = two_groups();
  const auto table = make_table(run, "samples");
  ASSERT_TRUE(table.has_value());
  std::vector<std::string> names;
  for (const Column& column : (*table)->columns()) names.push_back(column.name);
  EXPECT_EQ(names, (std::vector<std::string>{"utc", "begin_ns", "end_ns", "group", "late", "rapl.package-0.energy_j",
                                             "memory.used_bytes", "thermal.x86.temperature_celsius",
                                             "cpu-model.cpu.power.busy_s"}));
}

TEST(Samples, GroupsAreMergedByTime) {
  const FakeRun run = two_groups();
  const auto table = make_table(run, "samples");
  std::vector<std::int64_t> begins;
  for (const auto& row : rows_of(**table)) begins.push_back(std::get<std::int64_t>(row[1]));
  EXPECT_EQ(begins, (std::vector<std::int64_t>{10, 15, 20, 30, 40}));
}

TEST(Samples,
     AReadingLandsInItsOwnChannelsColumnAndAGapIsAbsent) {  // kills columns by position: groups order otherwise
  const FakeRun run = two_groups();
  const auto table = make_table(run, "samples");
  const auto rows = rows_of(**table);
  EXPECT_EQ(rows[0][5], Cell{1.5});
  EXPECT_EQ(rows[0][6], Cell{std::int64_t{4096}});
  EXPECT_EQ(rows[0][7], Cell{});
  EXPECT_EQ(rows[0][8], Cell{2.0});
  EXPECT_EQ(rows[1][7], Cell{45.5});
  EXPECT_EQ(rows[2][5], Cell{});  // a gap is not zero
  EXPECT_EQ(rows[2][4], Cell{std::int64_t{1}});
}

TEST(Samples, ACounterWithItsHighestBitSetIsNotNegative) {
  const FakeRun run = two_groups();
  const auto table = make_table(run, "samples");
  EXPECT_NEAR(std::get<double>(rows_of(**table)[3][5]), 18446744073709.55, 0.01);
}

TEST(Samples, TheWallClockFollowsItsLastAnchor) {  // a step of the wall clock in mid-run shows, and only from there
  const FakeRun run = two_groups();
  const auto table = make_table(run, "samples");
  const auto rows = rows_of(**table);
  EXPECT_EQ(rows[0][0], Cell{std::string("2023-11-14T22:13:20.000Z")});
  EXPECT_EQ(rows[3][0], Cell{std::string("2023-11-14T22:15:00.000Z")});
}

TEST(Samples, SmallBatchesGiveTheSameRows) {
  const FakeRun run = two_groups();
  const auto whole = make_samples_table(run);
  const auto expected = rows_of(*whole);
  const std::size_t before = run.visits;
  const auto batched = make_samples_table(run, 1);  // a block at a time
  EXPECT_EQ(rows_of(*batched), expected);
  EXPECT_GT(run.visits - before, 2u);  // it did fetch anew
}

TEST(Samples, ADamagedChunkIsAnErrorAndNotTheEnd) {
  FakeRun run = two_groups();
  run.fail_at_block = 2;
  const auto table = make_samples_table(run, 1);
  std::vector<Cell> row;
  Result<bool> more = true;
  for (int i = 0; i < 10 && more && *more; ++i) more = table->next(row);
  ASSERT_FALSE(more.has_value());
  EXPECT_EQ(more.error().what, "chunk is damaged");
}

TEST(Spans, CountsAndAttributesAreColumnsAndANameThatIsTakenIsPrefixed) {
  FakeRun run;
  Span request = testing::span(3, 1, SpanKind::request, "p1", 1, 2.5);
  request.counts = {{"prompt_tokens", 14}};
  request.attributes = {{"finish", "length"}, {"name", "taken"}};
  run.span_list = {testing::span(1, 0, SpanKind::run, "llm", 0, 3), request};
  const auto table = make_table(run, "spans");
  ASSERT_TRUE(table.has_value());
  const auto& columns = (*table)->columns();
  ASSERT_EQ(columns.size(), 13u);
  EXPECT_EQ(columns[10].name, "prompt_tokens");
  EXPECT_EQ(columns[12].name, "attribute.name");
  const auto rows = rows_of(**table);
  EXPECT_EQ(rows[0][1], Cell{});
  EXPECT_EQ(rows[1][1], Cell{std::int64_t{1}});
  EXPECT_EQ(rows[1][7], Cell{1.5});
  EXPECT_EQ(rows[1][10], Cell{std::int64_t{14}});
  EXPECT_EQ(rows[0][10], Cell{});
  EXPECT_EQ(rows[1][12], Cell{std::string("taken")});
}

TEST(Tables, AWrongNameIsAnErrorThatNamesTheNearest) {
  const FakeRun run;
  const auto table = make_table(run, "sample");
  ASSERT_FALSE(table.has_value());
  EXPECT_EQ(table.error().code, ErrorCode::usage);
  EXPECT_NE(table.error().fix.find("did you mean 'samples'"), std::string::npos);
  for (const TableName& name : table_names()) EXPECT_NE(table.error().fix.find(name.name), std::string::npos);
}

TEST(Tables, EveryNameInTheListMakesATable) {
  const FakeRun run;
  for (const TableName& name : table_names()) EXPECT_TRUE(make_table(run, name.name).has_value()) << name.name;
}

}  // namespace
}  // namespace prony
