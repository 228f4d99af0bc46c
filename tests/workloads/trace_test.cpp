#include "workloads/trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Trace trace_of(std::string_view text, double scale = 1) {
  auto trace = parse_trace(text, "t", scale);
  EXPECT_TRUE(trace) << (trace ? "" : trace.error().what + " " + trace.error().where);
  return trace ? std::move(*trace) : Trace{};
}

std::vector<std::int64_t> due_times(const Trace& trace) {
  std::vector<std::int64_t> all;
  for (const TraceEntry& entry : trace.entries) all.push_back(entry.at_ns);
  return all;
}

// The line at fault and the words of it.
void expect_refused(std::string_view text, std::string_view where, std::string_view words) {
  const auto trace = parse_trace(text, "t");
  ASSERT_FALSE(trace) << text;
  EXPECT_EQ(trace.error().where, where) << text;
  EXPECT_THAT(trace.error().what, HasSubstr(std::string(words))) << text;
}

TEST(Trace, MooncakesLinesHaveTheirTimesLengthsAndCommonBlocks) {
  const Trace trace = trace_of(
      R"({"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, 2353]}
{"timestamp": 30535, "input_length": 6472, "output_length": 26, "hash_ids": [46, 47, 2366]}
)");
  EXPECT_EQ(trace.form, "mooncake");
  EXPECT_THAT(due_times(trace), ElementsAre(0, 3'053'000'000));  // the first one's time is where the trace begins
  EXPECT_EQ(trace.entries[0].prompt_tokens, 6955);
  EXPECT_EQ(trace.entries[0].output_tokens, 52);
  EXPECT_THAT(trace.entries[1].blocks, ElementsAre(46, 47, 2366));
  EXPECT_THAT(trace.notes, IsEmpty());
}

TEST(Trace, LinesWithPromptsAndDelaysAddUp) {
  const Trace trace = trace_of(
      "{\"delay\": 500, \"prompt\": \"a\"}\n\n{\"delay\": 1500, \"text\": \"b\", "
      "\"output_tokens\": 7}\r\n{\"timestamp\": 2500.5, \"prompt\": \"c\", \"max_tokens\": 9}");
  EXPECT_EQ(trace.form, "jsonl");
  EXPECT_THAT(due_times(trace), ElementsAre(0, 1'500'000'000, 2'000'500'000));
  EXPECT_EQ(trace.entries[1].text, "b");
  EXPECT_EQ(trace.entries[1].output_tokens, 7);
  EXPECT_EQ(trace.entries[0].output_tokens, std::nullopt);
}

TEST(Trace, TheColumnsOfBurstGptAreInSecondsAndUnansweredRequestsArePassedOver) {
  const Trace trace = trace_of(
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
      "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,0,1087,API log\n118,GPT-4,417,276,693,API log\n");
  EXPECT_EQ(trace.form, "csv");
  EXPECT_THAT(due_times(trace), ElementsAre(0, 113'000'000'000));
  EXPECT_EQ(trace.entries[1].prompt_tokens, 417);
  EXPECT_EQ(trace.entries[1].output_tokens, 276);
  EXPECT_THAT(trace.notes, Contains(HasSubstr("1 request(s) without tokens")));
}

TEST(Trace, AQuotedFieldMayHoldCommasQuotesAndLineEnds) {
  const Trace trace =
      trace_of("timestamp_ms,prompt,output_tokens\r\n0,\"Say \"\"hi\"\", twice\nor so\",4\r\n250,b,5\r\n");
  EXPECT_EQ(trace.entries[0].text, "Say \"hi\", twice\nor so");
  EXPECT_THAT(due_times(trace), ElementsAre(0, 250'000'000));
  // A fault after it is told by the line that an editor shows.
  expect_refused("timestamp_ms,prompt\n0,\"a\nb\nc\"\n1,x,y\n", "t:5", "3 fields");
}

TEST(Trace, TheScaleStretchesGapsAndNotLengths) {
  const char* text = "{\"timestamp\":1000,\"input_length\":10}\n{\"timestamp\":3000,\"input_length\":20}\n";
  EXPECT_THAT(due_times(trace_of(text, 0.5)), ElementsAre(0, 1'000'000'000));
  EXPECT_THAT(due_times(trace_of(text, 3)), ElementsAre(0, 6'000'000'000));
  EXPECT_EQ(trace_of(text, 0.5).entries[1].prompt_tokens, 20);
  for (const double scale : {0.0, -1.0, 1e9}) EXPECT_FALSE(parse_trace(text, "t", scale)) << scale;
}

TEST(Trace, TimesOutOfOrderAreSortedAndSaidSo) {
  const Trace trace = trace_of("timestamp_s,input_tokens\n9,1\n7,2\n8,3\n");
  EXPECT_THAT(due_times(trace), ElementsAre(0, 1'000'000'000, 2'000'000'000));
  EXPECT_EQ(trace.entries[0].prompt_tokens, 2);
  EXPECT_THAT(trace.notes, Contains(HasSubstr("sorted")));
}

TEST(Trace, TimesOfAWallClockInMillisecondsKeepTheirMicroseconds) {
  const Trace trace = trace_of(
      "{\"timestamp\":1732233600000.125,\"input_length\":1}\n{\"timestamp\":1732233600000.625,"
      "\"input_length\":1}");
  EXPECT_NEAR(static_cast<double>(due_times(trace)[1]), 500'000, 1000);
}

TEST(Trace, WhatIsNoTraceIsRefusedByItsLineAndItsField) {
  expect_refused("", "t", "empty");
  expect_refused(" \n\n", "t", "empty");
  expect_refused("{\"timestamp\": 1, \"input_length\": 5}\n{\"timestamp\": 1", "t:2", "not a JSON object");
  expect_refused("{\"input_length\": 5}", "t:1", "timestamp");
  expect_refused("{\"timestamp\": \"1\", \"input_length\": 5}", "t:1", "\"timestamp\" is not a time");
  expect_refused("{\"timestamp\": -1, \"input_length\": 5}", "t:1", "not a time");
  expect_refused("{\"timestamp\": 1e300, \"input_length\": 5}", "t:1", "not a time");
  expect_refused("{\"timestamp\": 1}", "t:1", "neither a prompt nor its length");
  expect_refused("{\"timestamp\": 1, \"prompt\": \" \"}", "t:1", "empty");
  expect_refused("{\"timestamp\": 1, \"prompt\": 7}", "t:1", "not a text");
  expect_refused("{\"timestamp\": 1, \"prompt\": \"a\\u0000b\"}", "t:1", "zero byte");
  expect_refused("{\"timestamp\": 1, \"input_length\": 1.5}", "t:1", "whole number");
  expect_refused("{\"timestamp\": 1, \"input_length\": 1e12}", "t:1", "whole number");
  expect_refused("{\"timestamp\": 1, \"input_length\": 5, \"output_length\": -2}", "t:1", "\"output_length\"");
  expect_refused("{\"timestamp\": 1, \"input_length\": 5, \"hash_ids\": [1, -2]}", "t:1", "hash_ids");
  expect_refused("{\"timestamp\": 1, \"input_length\": 5, \"hash_ids\": 3}", "t:1", "hash_ids");
  expect_refused("{\"timestamp\": 1, \"input_length\": 0}", "t", "no request");
  expect_refused("{\"timestamp\":0,\"input_length\":1}\n{\"timestamp\":9e15,\"input_length\":1}", "t", "30 days");
  expect_refused("prompt,tokens\na,1\n", "t:1", "no column holds times");
  expect_refused("timestamp,tokens\n1,1\n", "t:1", "no column holds prompts");
  expect_refused("timestamp,prompt\nx,a\n", "t:2", "not a time");
  expect_refused("timestamp,input_tokens\n1\n", "t:2", "1 fields");
  expect_refused("timestamp,prompt\n1,\"a\n", "t:2", "never closed");
}

TEST(Trace, AFileThatIsNotThereIsNamed) {
  const auto trace = load_trace("/no/such/trace.jsonl");
  ASSERT_FALSE(trace);
  EXPECT_THAT(trace.error().where, HasSubstr("/no/such/trace.jsonl"));
}

}  // namespace
}  // namespace prony
