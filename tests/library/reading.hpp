// What the tests of libprony-meter share: handles that free themselves, and a checker of Arrow arrays that believes
// nothing.
#pragma once

#include <gtest/gtest.h>
#include <prony/meter.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace prony::test {

// Of all times that the C ABI can be asked for.
inline constexpr std::int64_t earliest_ns = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t latest_ns = std::numeric_limits<std::int64_t>::max();

struct FreeRun {
  void operator()(prony_run* run) const { prony_run_close(run); }
};
struct FreeSummary {
  void operator()(prony_summary* summary) const { prony_summary_free(summary); }
};
using RunHandle = std::unique_ptr<prony_run, FreeRun>;
using SummaryHandle = std::unique_ptr<prony_summary, FreeSummary>;

inline RunHandle open_run(const std::string& path) {
  prony_run* run = nullptr;
  EXPECT_EQ(prony_run_open(path.c_str(), &run), 0) << prony_last_error();
  return RunHandle(run);
}
inline SummaryHandle summary_of(prony_run* run) {
  prony_summary* summary = nullptr;
  EXPECT_EQ(prony_run_summary(run, &summary), 0) << prony_last_error();
  return SummaryHandle(summary);
}
inline std::vector<prony_joules> joules_of(const prony_summary* summary) {
  std::vector<prony_joules> rows;
  for (std::size_t i = 0; i < prony_summary_count(summary); ++i) {
    prony_joules row{};
    row.struct_size = sizeof row;
    EXPECT_EQ(prony_summary_joules(summary, i, &row), 0) << prony_last_error();
    rows.push_back(row);
  }
  return rows;
}

// A column, copied out of the C data interface after each of its promises was checked.
struct ReadColumn {
  std::string format;
  std::vector<std::optional<std::int64_t>> integers;
  std::vector<std::optional<double>> numbers;
  std::vector<std::optional<std::string>> texts;
  [[nodiscard]] std::size_t size() const {
    return format == "l" ? integers.size() : format == "g" ? numbers.size() : texts.size();
  }
};

inline ReadColumn read_column(const ArrowSchema& schema, const ArrowArray& array) {
  ReadColumn column;
  column.format = schema.format;
  EXPECT_EQ(array.offset, 0);
  EXPECT_EQ(array.n_children, 0);
  EXPECT_EQ(array.n_buffers, column.format == "u" ? 3 : 2);
  const auto* valid = static_cast<const std::uint8_t*>(array.buffers[0]);
  std::int64_t absent = 0;
  for (std::int64_t i = 0; i < array.length; ++i) {
    const bool present = valid == nullptr || (valid[i / 8] >> (i % 8) & 1) != 0;
    absent += present ? 0 : 1;
    if (column.format == "l") {
      const auto value = static_cast<const std::int64_t*>(array.buffers[1])[i];
      column.integers.push_back(present ? std::optional(value) : std::nullopt);
    } else if (column.format == "g") {
      const auto value = static_cast<const double*>(array.buffers[1])[i];
      column.numbers.push_back(present ? std::optional(value) : std::nullopt);
    } else {
      const auto* offsets = static_cast<const std::int32_t*>(array.buffers[1]);
      EXPECT_LE(offsets[i], offsets[i + 1]);
      const std::string text(static_cast<const char*>(array.buffers[2]) + offsets[i],
                             static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
      column.texts.push_back(present ? std::optional(text) : std::nullopt);
    }
  }
  EXPECT_EQ(absent, array.null_count) << schema.name;
  return column;
}

using ReadTable = std::map<std::string, ReadColumn>;

// Reads and releases both.
inline ReadTable read_table(ArrowSchema& schema, ArrowArray& array) {
  ReadTable table;
  EXPECT_STREQ(schema.format, "+s");
  EXPECT_EQ(schema.n_children, array.n_children);
  EXPECT_EQ(array.n_buffers, 1);
  for (std::int64_t i = 0; i < array.n_children; ++i) {
    EXPECT_EQ(array.children[i]->length, array.length);
    table[schema.children[i]->name] = read_column(*schema.children[i], *array.children[i]);
  }
  array.release(&array);
  schema.release(&schema);
  EXPECT_EQ(array.release, nullptr);
  EXPECT_EQ(schema.release, nullptr);
  return table;
}

inline ReadTable table_of(prony_run* run, const char* name) {
  ArrowSchema schema{};
  ArrowArray array{};
  if (prony_run_table(run, name, &schema, &array) != 0) {
    ADD_FAILURE() << name << ": " << prony_last_error();
    return {};
  }
  return read_table(schema, array);
}

}  // namespace prony::test
