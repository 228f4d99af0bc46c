#include <gtest/gtest.h>

#include <clocale>
#include <limits>
#include <locale>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "sinks/sink.hpp"
#include "sinks/utf8.hpp"

namespace prony {
namespace {

class FakeTable final : public Table {
 public:
  FakeTable(std::vector<std::string> names, std::vector<std::vector<Cell>> rows) : rows_(std::move(rows)) {
    for (auto& name : names) columns_.push_back({std::move(name), ""});
  }
  const std::vector<Column>& columns() const noexcept override { return columns_; }
  Result<bool> next(std::vector<Cell>& row) override {
    if (at_ == fail_at) return fail(ErrorCode::malformed, "chunk 3 is damaged", "run.prony");
    if (at_ == rows_.size()) return false;
    row = rows_[at_++];
    return true;
  }
  std::size_t fail_at = std::numeric_limits<std::size_t>::max();

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
  std::size_t at_ = 0;
};

std::string written(std::string_view format, Table& table) {
  std::ostringstream out;
  const auto rows = make_sink(format).value()->write(table, out);
  EXPECT_TRUE(rows.has_value());
  return out.str();
}

FakeTable hostile() {
  return FakeTable({"id", "say \"hi\", \nyou", "e2e_s"},
                   {{std::int64_t{1}, std::string("a,b"), 0.1},
                    {std::int64_t{-2}, std::string("line\r\nbreak \"q\""), 1e-300},
                    {Cell{}, std::string("für 日本 🙂"), Cell{}},
                    {std::int64_t{9007199254740993}, std::string("nul\0byte\xFFx\xED\xA0\x80", 13), 12345678.0},
                    {std::numeric_limits<std::int64_t>::min(), std::string(), 1.0 / 3}});
}

TEST(Csv, HostileTextComesOutAsRfc4180Bytes) {
  FakeTable table = hostile();
  EXPECT_EQ(written("csv", table),
            "id,\"say \"\"hi\"\", \nyou\",e2e_s\r\n"
            "1,\"a,b\",0.1\r\n"
            "-2,\"line\r\nbreak \"\"q\"\"\",1e-300\r\n"
            ",für 日本 🙂,\r\n"
            "9007199254740993,nul\uFFFDbyte\uFFFDx\uFFFD\uFFFD\uFFFD,12345678\r\n"
            "-9223372036854775808,\"\",0.3333333333333333\r\n");
}

TEST(Jsonl, HostileTextIsOneParsableObjectPerLine) {
  FakeTable table = hostile();
  std::istringstream in(written("jsonl", table));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[1]["say \"hi\", \nyou"], "line\r\nbreak \"q\"");
  EXPECT_EQ(lines[3]["id"].get<std::int64_t>(), 9007199254740993);  // kills integers through double
  EXPECT_EQ(lines[4]["e2e_s"].get<double>(), 1.0 / 3);
}

TEST(Jsonl, AnAbsentCellIsLeftOutAndNeverNull) {
  FakeTable table({"a", "b", "c"}, {{Cell{}, std::numeric_limits<double>::quiet_NaN(), std::int64_t{0}}});
  EXPECT_EQ(written("jsonl", table), "{\"c\":0}\n");
}

TEST(Csv, AnAbsentNumberIsEmptyAndZeroIsZero) {
  FakeTable table({"a", "b"}, {{Cell{}, 0.0}});
  EXPECT_EQ(written("csv", table), "a,b\r\n,0\r\n");
}

TEST(Csv, ATableWithoutRowsStillHasItsHeader) {
  FakeTable table({"a", "b"}, {});
  EXPECT_EQ(written("csv", table), "a,b\r\n");
}

class CommaPoint : public std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

TEST(Sinks, TheLocaleOfTheStreamChangesNoByte) {
  for (const char* format : {"csv", "jsonl"}) {
    FakeTable table({"a", "b"}, {{std::int64_t{1234567}, 1234567.5}});
    std::ostringstream out;
    out.imbue(std::locale(std::locale::classic(), new CommaPoint));
    ASSERT_TRUE(make_sink(format).value()->write(table, out).has_value());
    EXPECT_NE(out.str().find("1234567.5"), std::string::npos) << out.str();
    EXPECT_EQ(out.str().find("1.234"), std::string::npos) << out.str();
  }
}

class TinyDisk : public std::streambuf {
 public:
  explicit TinyDisk(std::size_t room) : room_(room) {}

 protected:
  std::streamsize xsputn(const char*, std::streamsize n) override {
    if (static_cast<std::size_t>(n) > room_) return 0;
    room_ -= static_cast<std::size_t>(n);
    return n;
  }
  int overflow(int c) override { return room_ == 0 ? traits_type::eof() : (--room_, c); }

 private:
  std::size_t room_;
};

TEST(Sinks, AFullDiskIsAnErrorAndNotAShortFile) {
  for (const char* format : {"csv", "jsonl"}) {
    FakeTable table({"a"}, {{std::int64_t{1}}, {std::int64_t{2}}, {std::int64_t{3}}});
    TinyDisk disk(10);
    std::ostream out(&disk);
    const auto rows = make_sink(format).value()->write(table, out);
    ASSERT_FALSE(rows.has_value());
    EXPECT_EQ(rows.error().code, ErrorCode::full);
  }
}

TEST(Sinks, AnErrorOfTheTableIsPassedOn) {
  FakeTable table({"a"}, {{std::int64_t{1}}, {std::int64_t{2}}});
  table.fail_at = 1;
  std::ostringstream out;
  const auto rows = make_csv_sink()->write(table, out);
  ASSERT_FALSE(rows.has_value());
  EXPECT_EQ(rows.error().what, "chunk 3 is damaged");
}

TEST(Sinks, AWrongFormatNamesTheNearestOne) {
  const auto sink = make_sink("csvs");
  ASSERT_FALSE(sink.has_value());
  EXPECT_EQ(sink.error().code, ErrorCode::usage);
  EXPECT_NE(sink.error().fix.find("did you mean 'csv'"), std::string::npos) << sink.error().fix;
  EXPECT_NE(sink.error().fix.find("csv, jsonl"), std::string::npos);
}

TEST(ValidText, OverlongAndSurrogateBytesAreReplacedOneByOne) {
  EXPECT_EQ(valid_text("\xC0\xAF"), "\uFFFD\uFFFD");
  EXPECT_EQ(valid_text("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(valid_text("ok \xF0\x9F\x99\x82"), "ok 🙂");
  EXPECT_EQ(valid_text("cut \xE6\x97"), "cut \uFFFD\uFFFD");
}

}  // namespace
}  // namespace prony
