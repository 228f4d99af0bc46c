// What strangers send. Bugs in mind: a frame with too few values whose last ones are read from beyond, NaN by a large
// exponent, a number that is text, a stream name that is a path, brackets that exhaust memory, a form's escape at its
// end, a percentage taken for bytes.
#include "collect/batch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "collect/form.hpp"

namespace prony::collect {
namespace {

using ::testing::HasSubstr;

const std::string stream = "0123456789abcdef0123456789abcdef";
const std::string head_member =
    R"("head":{"host":"box","boot":"b","begun_wall_ns":7,"interval_ns":1000000000,"series":[{"name":"a_j","unit":"J","kind":"counter","origin":"measured","domain":"package-0"},{"name":"t_c","kind":"gauge"}]})";

std::string header(const std::string& more = {}) {
  return R"({"prony_remote":1,"client":"me","stream":")" + stream + R"(","sent_wall_ns":5)" +
         (more.empty() ? "" : "," + more) + "}\n";
}

TEST(Batches, HeadFramesClockAndCountsAreRead) {
  const auto batch = parse_batch(header(R"("lost_frames":3,"clock":{"offset_ns":-9,"doubt_ns":4},)" + head_member) +
                                 R"({"sequence":1,"wall_ns":8,"monotonic_ns":2,"values":[1.5,null]})" + "\n\n" +
                                 R"({"sequence":2,"wall_ns":9,"monotonic_ns":3,"dropped":6,"values":[2,-1e-3]})");
  ASSERT_TRUE(batch) << batch.error().error.what;
  EXPECT_EQ(batch->client, "me");
  EXPECT_EQ(batch->lost_frames, 3u);
  EXPECT_EQ(batch->clock->offset_ns, -9);
  EXPECT_EQ(batch->facts->series[0].domain, "package-0");
  EXPECT_TRUE(batch->facts->series[0].counter);
  EXPECT_FALSE(batch->facts->series[1].counter);
  ASSERT_EQ(batch->frames.size(), 2u);
  EXPECT_EQ(batch->frames[0].values, (std::vector<std::optional<double>>{1.5, std::nullopt}));
  EXPECT_EQ(batch->frames[1].dropped, 6u);
  EXPECT_TRUE(parse_batch(header())->frames.empty());
}

TEST(Batches, WhatIsWrongInTheHeaderIsNotBlamedOnAFrame) {
  const std::string frame = R"({"sequence":1,"wall_ns":8,"monotonic_ns":2,"values":[]})";
  for (const std::string& wrong :
       {std::string(), std::string("[]"), std::string("{"), header().substr(0, 30),
        R"({"prony_remote":2,"client":"me","stream":")" + stream + R"(","sent_wall_ns":5})",
        R"({"prony_remote":1,"client":"","stream":")" + stream + R"(","sent_wall_ns":5})",
        std::string(R"({"prony_remote":1,"client":"me","stream":"../../x","sent_wall_ns":5})"),
        R"({"prony_remote":1,"client":"me","stream":")" + stream + R"("})",
        R"({"prony_remote":1,"client":"me","stream":")" + stream + R"(","sent_wall_ns":1.5})",
        header(R"("clock":{"offset_ns":1,"doubt_ns":-1})"), header(R"("head":[])"), header(R"("head":{"host":"x"})"),
        header(R"("lost_frames":-1)"), std::string(R"({"client":"a\u0000b"})")}) {
    const auto batch = parse_batch(wrong + "\n" + frame);
    ASSERT_FALSE(batch) << wrong;
    EXPECT_NE(batch.error().part, BatchPart::frame) << wrong;
  }
}

// Kills: a stream set aside for ever for what only this request, or this version, had wrong; one that is wrong for ever
// sent again and again.
TEST(Batches, OnlyWhatAStreamAlwaysSaysIsBlamedOnTheStream) {
  const auto part = [](const std::string& text) {
    const auto batch = parse_batch(text + "\n");
    EXPECT_FALSE(batch) << text;
    return batch ? BatchPart::frame : batch.error().part;
  };
  const std::string begin = R"({"prony_remote":1,"sent_wall_ns":5,)",
                    named = begin + R"("stream":")" + stream + R"(",)";
  for (const std::string& always :
       {named + R"("client":""})", named + R"("client":")" + std::string(201, 'x') + "\"}",
        begin + R"("client":"me","stream":"../../x"})", header(R"("head":[])"), header(R"("head":{"host":"x"})")})
    EXPECT_EQ(part(always), BatchPart::stream) << always;
  for (const std::string& now : {std::string("x"), std::string("{}"),
                                 header(R"("clock":{"offset_ns":1,"doubt_ns":-1})"), header(R"("lost_frames":-1)"),
                                 R"({"prony_remote":2,"client":"me","stream":")" + stream + R"(","sent_wall_ns":5})"})
    EXPECT_EQ(part(now), BatchPart::request) << now;
}

TEST(Batches, AFrameThatIsNoneIsNamedByItsLine) {
  for (const std::string wrong :
       {"x", "[1]", R"({"sequence":0,"wall_ns":8,"monotonic_ns":2,"values":[]})",
        R"({"sequence":-1,"wall_ns":8,"monotonic_ns":2,"values":[]})", R"({"sequence":1,"wall_ns":8,"values":[]})",
        R"({"sequence":1,"wall_ns":8,"monotonic_ns":2,"values":["1"]})",
        R"({"sequence":1,"wall_ns":8,"monotonic_ns":2,"values":[1e999]})",
        R"({"sequence":1,"wall_ns":18446744073709551615,"monotonic_ns":2,"values":[]})",
        R"({"sequence":1,"wall_ns":8,"monotonic_ns":2,"values":{"0":1}})"}) {
    const auto batch = parse_batch(header() + "\n" + wrong);
    ASSERT_FALSE(batch) << wrong;
    EXPECT_EQ(batch.error().part, BatchPart::frame) << wrong;
    EXPECT_THAT(batch.error().error.what, HasSubstr("line 3")) << wrong;
  }
}

TEST(Batches, BracketsWithoutEndAreRefusedBeforeTheyAreRead) {
  EXPECT_EQ(nesting_of(R"({"a":[[1],"[[[[\"[["]})"), 3u);
  EXPECT_EQ(nesting_of("]]]][["), 2u);
  const auto deep = parse_batch(std::string(1'000'000, '['));
  ASSERT_FALSE(deep);
  EXPECT_THAT(deep.error().error.what, HasSubstr("deep"));
}

TEST(Forms, AreDecodedAndTheFirstOfANameStands) {
  const auto fields = parse_form("a=1+2%2B%c3%a9&b&a=9&=x&c=%4&d=%zz&&e=%");
  ASSERT_TRUE(fields);
  EXPECT_EQ(fields->at("a"), "1 2+\u00e9");
  EXPECT_EQ(fields->at("b"), "");
  EXPECT_EQ(fields->at(""), "x");
  EXPECT_EQ(fields->at("c"), "%4");
  EXPECT_EQ(fields->at("d"), "%zz");
  EXPECT_EQ(fields->at("e"), "%");
  std::string many;
  for (int i = 0; i < 300; ++i) many += "k" + std::to_string(i) + "=&";
  EXPECT_FALSE(parse_form(many));
}

TEST(Forms, RowsOfHeflwrsMonitorsBecomeNumbersWithTheirUnits) {
  const LogNumbers numbers = numbers_of(
      "Cpu Usage: 0.9%, Memory Usage: 1.66%, Bytes Sent: 21859, Bytes Recv: 64543, VDD In: 5000, VDD Cpu_Gpu_Cv: 1500, "
      "VDD Soc: 1200, ");
  EXPECT_EQ(numbers, (LogNumbers{0.9, 1.66, 5000, 1500, 1200, 21859, 64543}));
  EXPECT_EQ(numbers_of("CPU Usage: 3.5%").cpu_percent, 3.5);
  EXPECT_EQ(numbers_of("Bytes Sent: -3, Cpu Usage: nan%, hello"), LogNumbers());
}

TEST(Forms, ALogEntryNeedsAnIdentifierAndKnowsItsTimeAndNumber) {
  const auto entry = parse_log_entry(
      "identifier=c1&message=hi&levelname=INFO&created=1732166770.25&name=HeFlwr&stream=abc&sequence=4");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->created_ns, 1'732'166'770'250'000'000);
  EXPECT_EQ(entry->level, "INFO");
  EXPECT_EQ(entry->sequence, 4u);
  EXPECT_EQ(parse_log_entry("identifier=c1&message=hi&sequence=4")->sequence, std::nullopt);  // of which stream?
  EXPECT_EQ(parse_log_entry("identifier=c1&message=")->message, "");
  for (const std::string& wrong :
       {std::string("message=hi"), std::string("identifier=c1"), std::string("identifier=%00&message=x"),
        "identifier=" + std::string(300, 'x') + "&message=y", std::string()})
    EXPECT_FALSE(parse_log_entry(wrong)) << wrong;
}

}  // namespace
}  // namespace prony::collect
