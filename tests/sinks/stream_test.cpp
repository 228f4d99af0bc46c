// Stream sinks that write files. Bugs in mind: a row appended behind half a row, a foreign file overwritten, rows of
// other columns under an old header, a full disk that leaves half a line, a turned file that takes the place of
// another.
#include "sinks/stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "../support/scratch.hpp"
#include "../support/wall_times.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string content(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}
void put(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::app) << text;
}

Series series(std::string name, SeriesKind kind = SeriesKind::reading) {
  Series made;
  made.name = std::move(name);
  made.kind = kind;
  made.channel.measure = Measure::energy;
  made.channel.kind = ChannelKind::counter;
  made.channel.domain = "package-0";
  return made;
}

StreamHead head_of(std::vector<std::string> names = {"rapl.package-0.gross_j", "say, \"x\"_c"}) {
  StreamHead made;
  made.host = "box";
  made.wall_ns = noon_ns;
  made.interval = Duration{second_ns};
  for (auto& name : names) made.series.push_back(series(std::move(name), SeriesKind::gross));
  return made;
}

Frame frame(int n, std::optional<double> first = 1.5, std::optional<double> second_value = std::nullopt) {
  return {Instant{n * second_ns}, noon_ns + n * second_ns, 0, {first, second_value}};
}

std::unique_ptr<StreamSink> made(const std::string& spec) {
  const auto parsed = parse_sink_spec(spec);
  EXPECT_TRUE(parsed.has_value());
  const auto row = find_stream(parsed->kind);
  EXPECT_TRUE(row.has_value());
  auto sink = (*row)->make(*parsed);
  EXPECT_TRUE(sink.has_value()) << (sink ? "" : sink.error().what);
  return sink ? std::move(*sink) : nullptr;
}

struct Files : ::testing::Test {
  ScratchFolder scratch{"streams"};
  std::filesystem::path path(const std::string& name) const { return scratch.file(name); }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
      found.push_back(entry.path().filename().string());
    std::ranges::sort(found);
    return found;
  }
};

TEST_F(Files, CsvRowsComeUnderAHeaderWithUnitsInAFixedOrderAndAbsentIsEmpty) {
  auto sink = made("csv:" + path("a.csv").string());
  ASSERT_TRUE(sink->open(head_of()));
  ASSERT_TRUE(sink->write(frame(1, 0.1, std::nullopt)));
  ASSERT_TRUE(sink->write(frame(2, std::nan(""), 0.0)));
  ASSERT_TRUE(sink->close());
  EXPECT_EQ(content(path("a.csv")),
            "utc,monotonic_ns,dropped_frames,rapl.package-0.gross_j,\"say, \"\"x\"\"_c\"\r\n"
            "2026-11-21T12:00:01.000Z,1000000000,0,0.1,\r\n"
            "2026-11-21T12:00:02.000Z,2000000000,0,,0\r\n");
}

TEST_F(Files, JsonlSaysFirstWhatItsKeysAreAndLeavesOutWhatIsAbsent) {
  auto sink = made("jsonl:" + path("a.jsonl").string());
  ASSERT_TRUE(sink->open(head_of()));
  ASSERT_TRUE(sink->write(frame(1, std::nullopt, 7.25)));
  ASSERT_TRUE(sink->close());
  std::istringstream in(content(path("a.jsonl")));
  std::string line;
  std::getline(in, line);
  const auto first = nlohmann::json::parse(line);
  EXPECT_EQ(first["series"][0]["unit"], "J");
  EXPECT_EQ(first["series"][0]["domain"], "package-0");
  EXPECT_EQ(first["series"][0]["kind"], "counter");
  std::getline(in, line);
  EXPECT_EQ(line,
            "{\"utc\":\"2026-11-21T12:00:01.000Z\",\"monotonic_ns\":1000000000,\"dropped_frames\":0,"
            "\"say, \\\"x\\\"_c\":7.25}");
}

TEST_F(Files, ATornLastLineIsCutOffAtReopenAndSaidAndWholeOnesStay) {
  for (const std::string kind : {"csv", "jsonl"}) {
    const auto file = path("t." + kind);
    auto sink = made(kind + ":" + file.string());
    ASSERT_TRUE(sink->open(head_of()));
    ASSERT_TRUE(sink->write(frame(1)));
    ASSERT_TRUE(sink->close());
    const std::string whole = content(file);
    put(file, std::string("2026-11-21T12:00:02.000Z,20\0\0", 29));
    sink = made(kind + ":" + file.string());
    ASSERT_TRUE(sink->open(head_of()));
    EXPECT_THAT(sink->notes(), ElementsAre(HasSubstr("cut a torn last line of 29 bytes")));
    EXPECT_EQ(content(file), whole);
    ASSERT_TRUE(sink->write(frame(3)));
    ASSERT_TRUE(sink->close());
    EXPECT_TRUE(content(file).starts_with(whole + (kind == "csv" ? "2026-11-21T12:00:03" : "{\"utc\":")));
  }
}

TEST_F(Files, ATornHeaderIsWrittenAnewAndAnotherProgramsFileIsLeftAlone) {
  put(path("torn.csv"), "utc,monoto");
  auto sink = made("csv:" + path("torn.csv").string());
  ASSERT_TRUE(sink->open(head_of()));
  EXPECT_TRUE(content(path("torn.csv")).starts_with("utc,monotonic_ns,"));
  for (const std::string text : {"name,price\nbread,2\n", "no line end", "{\"prony_monitor\":1,"}) {
    std::filesystem::remove(path("mine.csv"));
    put(path("mine.csv"), text);
    const auto opened = made("csv:" + path("mine.csv").string())->open(head_of());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::usage);
    EXPECT_EQ(content(path("mine.csv")), text);
  }
}

TEST_F(Files, OtherColumnsBeginAnotherFileAndTheOldOneKeepsItsRows) {
  auto sink = made("csv:" + path("c.csv").string());
  ASSERT_TRUE(sink->open(head_of({"a_j", "b_j"})));
  ASSERT_TRUE(sink->write(frame(1)));
  ASSERT_TRUE(sink->close());
  const std::string before = content(path("c.csv"));
  sink = made("csv:" + path("c.csv").string());
  ASSERT_TRUE(sink->open(head_of({"b_j", "a_j"})));
  EXPECT_THAT(names(), ElementsAre("c.20261121T120000Z.csv", "c.csv"));
  EXPECT_EQ(content(path("c.20261121T120000Z.csv")), before);
  EXPECT_EQ(content(path("c.csv")), "utc,monotonic_ns,dropped_frames,b_j,a_j\r\n");
}

TEST_F(Files, ASizeAndAnAgeTurnTheFileOverNoRowIsLostAndOldestGoFirst) {
  auto sink = made("csv:" + path("r.csv").string() + ",rotate-size=200,rotate-every=10s,keep=2");
  ASSERT_TRUE(sink->open(head_of()));
  for (int n = 1; n <= 4; ++n) ASSERT_TRUE(sink->write(frame(n)));  // 77 + 4 × 42 bytes: two rows a file
  EXPECT_EQ(names().size(), 2u);
  for (const auto& name : names()) EXPECT_LE(content(path(name)).size(), 200u);
  std::string all;
  for (const auto& name : names()) all += content(path(name));
  for (const char* row : {"12:00:01", "12:00:02", "12:00:03", "12:00:04"}) EXPECT_THAT(all, HasSubstr(row));
  ASSERT_TRUE(sink->write(frame(30)));  // by age, though there is room
  ASSERT_TRUE(sink->write(frame(60)));
  ASSERT_TRUE(sink->write(frame(90)));
  const auto left = names();
  ASSERT_EQ(left.size(), 3u) << ::testing::PrintToString(left);  // two turned ones and the one in use
  EXPECT_THAT(content(path(left[0])), HasSubstr("12:00:30"));
  EXPECT_THAT(content(path("r.csv")), HasSubstr("12:01:30"));
}

TEST_F(Files, AFullDiskLosesTheLineAndNeverHalfOfItAndLaterLinesWork) {
  auto sink = made("csv:" + path("f.csv").string());
  ASSERT_TRUE(sink->open(head_of()));
  ASSERT_TRUE(sink->write(frame(1)));
  const std::string before = content(path("f.csv"));
  struct rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const auto was = ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = old;
  small.rlim_cur = before.size() + 10;  // room for ten bytes of the row
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto failed = sink->write(frame(2));
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, was);
  ASSERT_FALSE(failed);
  EXPECT_EQ(content(path("f.csv")), before);
  ASSERT_TRUE(sink->write(frame(3)));
  EXPECT_TRUE(content(path("f.csv")).starts_with(before + "2026-11-21T12:00:03"));
}

// Kills: rows without their header, after a disk that was full while a file was turned over; a file that is then
// refused.
TEST_F(Files, ADiskThatIsFullWhileAFileIsTurnedOverLeavesNoFileWithoutItsHeader) {
  auto sink = made("csv:" + path("t.csv").string() + ",rotate-every=2s");
  ASSERT_TRUE(sink->open(head_of()));
  ASSERT_TRUE(sink->write(frame(1)));
  struct rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const auto was = ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = old;
  small.rlim_cur = 20;  // less than a header
  ::setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_FALSE(sink->write(frame(4)));
  EXPECT_FALSE(sink->write(frame(5)));
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, was);
  ASSERT_TRUE(sink->write(frame(6)));
  const std::string text = content(path("t.csv"));
  EXPECT_NE(text.find("2026-11-21T12:00:06"), std::string::npos);
  EXPECT_FALSE(text.starts_with("2026")) << "the header is first";
  ASSERT_TRUE(sink->close());
  EXPECT_TRUE(made("csv:" + path("t.csv").string())->open(head_of()));
}

// Kills: rows lost, or the whole monitor, because a file could not be turned over.
TEST_F(Files, WhereAFileCannotBeTurnedOverItsRowsGoOnInItAndThatIsSaid) {
  const std::string name = std::string(248, 'n') + ".csv";  // a longer one is none
  auto sink = made("csv:" + path(name).string() + ",rotate-every=2s");
  ASSERT_TRUE(sink->open(head_of()));
  for (int s = 1; s < 9; ++s) ASSERT_TRUE(sink->write(frame(s))) << s;
  const std::string text = content(path(name));
  for (int s = 1; s < 9; ++s) EXPECT_NE(text.find("T12:00:0" + std::to_string(s)), std::string::npos) << s;
  EXPECT_THAT(sink->notes(), ::testing::ElementsAre(HasSubstr("could not be turned over")));
}

TEST_F(Files, TwoMonitorsDoNotWriteOneFile) {
  auto first = made("jsonl:" + path("one.jsonl").string());
  ASSERT_TRUE(first->open(head_of()));
  const auto second_open = made("jsonl:" + path("one.jsonl").string())->open(head_of());
  ASSERT_FALSE(second_open);
  EXPECT_THAT(second_open.error().what, HasSubstr("somebody else writes"));
}

TEST(SinkSpecs, AreAKindAPlaceAndOptionsAndSlipsAreNamed) {
  const auto spec = parse_sink_spec("csv:out.csv,rotate-size=10MB,keep=3");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->kind, "csv");
  EXPECT_EQ(spec->target, "out.csv");
  EXPECT_EQ(spec->options.at("keep"), "3");
  EXPECT_EQ(parse_sink_spec("prometheus:127.0.0.1:9100")->target, "127.0.0.1:9100");
  EXPECT_FALSE(parse_sink_spec(""));
  EXPECT_FALSE(parse_sink_spec("csv:x,keep"));
  EXPECT_FALSE(parse_sink_spec("csv:x,keep=1,keep=2"));
  EXPECT_THAT(find_stream("cvs").error().fix, HasSubstr("Did you mean 'csv'"));
  EXPECT_THAT(make_csv_stream(*parse_sink_spec("csv:x,rotate-sise=1MB")).error().fix, HasSubstr("rotate-size"));
  for (const char* wrong : {"csv:", "csv:x,rotate-size=0", "csv:x,rotate-size=-1", "csv:x,rotate-every=1",
                            "csv:x,rotate-every=1ms", "csv:x,keep=x", "csv:x,rotate-size=99999999999999GB"})
    EXPECT_FALSE(make_csv_stream(*parse_sink_spec(wrong))) << wrong;
}

TEST(SinkSpecs, EachRowMakesASinkButTheRunFileWhichTheRecorderWrites) {
  for (const StreamRow& row : stream_catalogue()) EXPECT_EQ(row.make == nullptr, row.name == "run") << row.name;
}

TEST(SinkSpecs, SizesAreDecimalOrBinaryAsTheirUnitSays) {
  EXPECT_EQ(parse_bytes("10MB"), 10'000'000u);
  EXPECT_EQ(parse_bytes("64KiB"), 65'536u);
  EXPECT_EQ(parse_bytes("1g"), 1'000'000'000u);
  EXPECT_EQ(parse_bytes("512"), 512u);
  EXPECT_EQ(parse_bytes("1.5MB"), std::nullopt);
}

}  // namespace
}  // namespace prony
