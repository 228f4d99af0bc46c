// Runs read through the C ABI, and their tables through the Arrow C data interface.
#include <gtest/gtest.h>
#include <prony/meter.h>
#include <prony/prony.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "../support/scratch.hpp"
#include "reading.hpp"

namespace prony::test {
namespace {

struct LibraryRun : testing::Test {
  LibraryRun() {
    const std::string kept = scratch.file("kept.prony");
    std::filesystem::copy_file(PRONY_SOURCE_DIR "/tests/runs/v3.prony", kept);
    run = open_run(kept);
  }
  ScratchFolder scratch{"library-run"};
  RunHandle run;
};

// Kills: a party that is left out or told twice, which no single row would show.
TEST_F(LibraryRun, TheRowsOfEachChannelAddUpToWhatWasRecorded) {
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(prony_run_state(run.get()), PRONY_RUN_COMPLETE);
  const SummaryHandle summary = summary_of(run.get());
  std::map<std::string, double> recorded, parts;
  const std::set<std::string> adding{"target", "foreign", "prony", "idle", "unattributed"};
  for (const prony_joules& row : joules_of(summary.get())) {
    EXPECT_EQ(row.present == 1, row.kind != nullptr);
    EXPECT_EQ(row.present == 0, row.absent != nullptr) << row.channel << " " << row.party;
    EXPECT_EQ(row.target != nullptr && row.present == 1, std::string(row.party) == "target" && row.present == 1);
    if (row.present == 0) continue;
    EXPECT_LE(row.low_j, row.value_j);
    EXPECT_LE(row.value_j, row.high_j);
    if (std::string(row.party) == "recorded") recorded[row.channel] = row.value_j;
    if (adding.contains(row.party)) parts[row.channel] += row.value_j;
  }
  ASSERT_FALSE(recorded.empty());
  for (const auto& [channel, joules] : recorded) EXPECT_NEAR(parts[channel], joules, 1e-9 * joules) << channel;
}

TEST_F(LibraryRun, TheTableOfPartiesSaysWhatTheRowsSay) {
  const SummaryHandle summary = summary_of(run.get());
  const auto rows = joules_of(summary.get());
  const ReadTable table = table_of(run.get(), "parties");
  ASSERT_EQ(table.at("channel").size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(table.at("party").texts[i], rows[i].party);
    EXPECT_EQ(table.at("value_j").numbers[i].has_value(), rows[i].present == 1);
    if (rows[i].present == 1) {
      EXPECT_EQ(table.at("low_j").numbers[i], rows[i].low_j);
    }
  }
}

// Kills: an energy that the header tells of one channel and the stream reads of its neighbour; a batch that ends one
// reading early; a reading of the next batch that is told twice.
TEST_F(LibraryRun, AChannelsReadingsAreItsColumnOfTheSamplesWhateverThePartsThatTheyComeIn) {
  const ReadTable samples = table_of(run.get(), "samples");
  std::size_t compared = 0;
  for (std::size_t i = 0; i < prony_run_channel_count(run.get()); ++i) {
    prony_channel channel{};
    channel.struct_size = sizeof channel;
    ASSERT_EQ(prony_run_channel(run.get(), i, &channel), 0) << prony_last_error();
    const auto column = std::find_if(samples.begin(), samples.end(), [&](const auto& entry) {
      return entry.first.starts_with(std::string(channel.name) + "_") ||
             entry.first == std::string(channel.name) + ".busy_s";
    });
    ASSERT_NE(column, samples.end()) << channel.name;
    ArrowArrayStream stream{};
    ASSERT_EQ(prony_run_readings(run.get(), channel.name, earliest_ns, latest_ns, &stream), 0) << prony_last_error();
    ArrowSchema schema{};
    ASSERT_EQ(stream.get_schema(&stream, &schema), 0);
    std::size_t row = 0;
    const auto present = [&](std::size_t at) {
      return column->second.format == "l" ? column->second.integers[at].has_value()
                                          : column->second.numbers[at].has_value();
    };
    while (true) {
      ArrowArray batch{};
      ASSERT_EQ(stream.get_next(&stream, &batch), 0) << stream.get_last_error(&stream);
      if (batch.release == nullptr) break;
      ArrowSchema again{};
      ASSERT_EQ(stream.get_schema(&stream, &again), 0);
      const ReadTable readings = read_table(again, batch);
      for (std::size_t k = 0; k < readings.at("raw").size(); ++k) {
        const auto value = readings.at("value").numbers[k];
        EXPECT_EQ(value.has_value(), readings.at("quality").texts[k] != "gap");
        if (!value) continue;
        while (row < column->second.size() && !present(row)) ++row;
        ASSERT_LT(row, column->second.size()) << channel.name;
        const double expected = column->second.format == "l" ? static_cast<double>(*column->second.integers[row])
                                                             : *column->second.numbers[row];
        EXPECT_EQ(*value, expected) << channel.name;
        EXPECT_EQ(readings.at("begin_ns").integers[k], samples.at("begin_ns").integers[row]);
        ++row, ++compared;
      }
    }
    while (row < column->second.size() && !present(row)) ++row;
    EXPECT_EQ(row, column->second.size()) << channel.name << " has readings that the stream did not give";
    schema.release(&schema);
    stream.release(&stream);
    EXPECT_EQ(stream.release, nullptr);
  }
  EXPECT_GT(compared, 0U);
}

// Kills: an end that is counted in, a begin that is left out.
TEST_F(LibraryRun, ReadingsOfAPartOfTheTimeAreThoseThatBeginInIt) {
  prony_channel channel{};
  channel.struct_size = sizeof channel;
  ASSERT_EQ(prony_run_channel(run.get(), 0, &channel), 0);
  const auto begins = [&](std::int64_t from, std::int64_t to) {
    ArrowArrayStream stream{};
    EXPECT_EQ(prony_run_readings(run.get(), channel.name, from, to, &stream), 0) << prony_last_error();
    std::vector<std::int64_t> out;
    ArrowArray batch{};
    while (stream.get_next(&stream, &batch) == 0 && batch.release != nullptr) {
      ArrowSchema schema{};
      EXPECT_EQ(stream.get_schema(&stream, &schema), 0);
      const ReadTable table = read_table(schema, batch);
      for (const auto& begin : table.at("begin_ns").integers) out.push_back(*begin);
    }
    stream.release(&stream);
    return out;
  };
  const auto all = begins(earliest_ns, latest_ns);
  ASSERT_GT(all.size(), 4U);
  EXPECT_EQ(begins(all[1], all[3]), (std::vector<std::int64_t>{all[1], all[2]}));
  EXPECT_TRUE(begins(latest_ns, latest_ns).empty());
}

// A consumer may take single columns and let go of the rest first.
TEST_F(LibraryRun, AColumnThatWasTakenOutOutlivesItsTable) {
  ArrowSchema schema{};
  ArrowArray array{};
  ASSERT_EQ(prony_run_table(run.get(), "channels", &schema, &array), 0) << prony_last_error();
  ArrowArray taken = *array.children[0];
  ArrowSchema taken_schema = *schema.children[0];
  array.children[0]->release = nullptr;
  schema.children[0]->release = nullptr;
  array.release(&array);
  schema.release(&schema);
  const ReadColumn names = read_column(taken_schema, taken);
  EXPECT_EQ(names.size(), prony_run_channel_count(run.get()));
  taken.release(&taken);
  taken_schema.release(&taken_schema);
}

TEST_F(LibraryRun, SpansAreOrderedAndTellTheirCounts) {
  const ReadTable table = table_of(run.get(), "spans");
  ASSERT_EQ(table.at("id").size(), prony_run_span_count(run.get()));
  std::int64_t before = earliest_ns;
  for (std::size_t i = 0; i < prony_run_span_count(run.get()); ++i) {
    prony_span_record span{};
    span.struct_size = sizeof span;
    ASSERT_EQ(prony_run_span(run.get(), i, &span), 0) << prony_last_error();
    EXPECT_GE(span.begin_ns, before);
    before = span.begin_ns;
    EXPECT_EQ(table.at("end_ns").integers[i], span.end_ns);
    std::int64_t value = 0;
    EXPECT_EQ(prony_run_span_value(run.get(), i, "no such count", &value), PRONY_ERROR_ABSENT);
    const char* text = nullptr;
    EXPECT_EQ(prony_run_span_text(run.get(), i, "no such text", &text), PRONY_ERROR_ABSENT);
  }
}

TEST_F(LibraryRun, TheJsonIsThatOfShow) {
  const SummaryHandle summary = summary_of(run.get());
  const char* const json = prony_summary_json(summary.get());
  ASSERT_NE(json, nullptr);
  EXPECT_NE(std::string(json).find("\"prony.summary/1\""), std::string::npos);
  EXPECT_EQ(prony_summary_json(summary.get()), json) << "made once";
}

TEST_F(LibraryRun, AnOlderCallersSmallerStructIsFilledAsFarAsItGoes) {
  prony_joules row{};
  std::memset(&row, 0x5a, sizeof row);
  row.struct_size = offsetof(prony_joules, absent);
  const SummaryHandle summary = summary_of(run.get());
  ASSERT_EQ(prony_summary_joules(summary.get(), 0, &row), 0) << prony_last_error();
  EXPECT_EQ(row.struct_size, offsetof(prony_joules, absent));
  EXPECT_STREQ(row.party, "recorded");
  double untouched = 0;
  std::memset(&untouched, 0x5a, sizeof untouched);
  EXPECT_EQ(row.high_j, untouched) << "beyond the struct that the caller has";
}

TEST_F(LibraryRun, WhatIsOffIsToldAndNothingCrashes) {
  prony_run* none = nullptr;
  EXPECT_EQ(prony_run_open("/nowhere/x.prony", &none), PRONY_ERROR_ABSENT);
  EXPECT_EQ(none, nullptr);
  EXPECT_NE(std::string(prony_last_error()).find("/nowhere/x.prony"), std::string::npos);
  EXPECT_EQ(prony_run_open(PRONY_SOURCE_DIR "/CMakeLists.txt", &none), PRONY_ERROR_MALFORMED);
  EXPECT_EQ(prony_run_open(nullptr, &none), PRONY_ERROR_USAGE);
  EXPECT_EQ(prony_run_open("x", nullptr), PRONY_ERROR_USAGE);
  ArrowSchema schema{};
  ArrowArray array{};
  EXPECT_EQ(prony_run_table(run.get(), "sample", &schema, &array), PRONY_ERROR_USAGE);
  EXPECT_NE(std::string(prony_last_error()).find("samples"), std::string::npos) << "the nearest is named";
  EXPECT_EQ(schema.release, nullptr);
  EXPECT_EQ(array.release, nullptr);
  ArrowArrayStream stream{};
  EXPECT_EQ(prony_run_readings(run.get(), "no.such.channel", 0, 1, &stream), PRONY_ERROR_USAGE);
  EXPECT_EQ(stream.release, nullptr);
  prony_channel channel{};
  EXPECT_EQ(prony_run_channel(run.get(), 0, &channel), PRONY_ERROR_USAGE) << "struct_size was not set";
  channel.struct_size = sizeof channel;
  EXPECT_EQ(prony_run_channel(run.get(), 1'000'000, &channel), PRONY_ERROR_USAGE);
  EXPECT_EQ(prony_run_state(nullptr), -1);
  EXPECT_EQ(prony_run_fact(run.get(), "no such fact"), nullptr);
  prony_run_close(nullptr);
  prony_summary_free(nullptr);
}

}  // namespace
}  // namespace prony::test
