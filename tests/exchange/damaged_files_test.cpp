// Files that lost entries or have them twice: nothing is passed over without a word, and nothing counts twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "exchange/readers.hpp"

namespace prony::exchange {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using DamagedFile = nlohmann::json;

std::size_t requests_in(const Imported& imported) {
  std::size_t count = 0;
  for (const Span& span : imported.spans) count += span.kind == SpanKind::request ? 1 : 0;
  return count;
}

DamagedFile vllm_of_three() {
  return {{"completed", 3},
          {"total_output_tokens", 6},
          {"input_lens", {5, 5, 5}},
          {"output_lens", {2, 2, 2}},
          {"ttfts", {0.1, 0.2, 0.3}},
          {"itls", {{0.01}, {0.01}, {0.01}}},
          {"start_times", {0.0, 1.0, 2.0}},
          {"errors", {"", "", ""}}};
}

TEST(DamagedFiles, AVllmFileWhoseArraysDifferInLengthLosesNoRequestInSilence) {
  EXPECT_THAT(read_vllm(vllm_of_three().dump(), {}).value().notes, IsEmpty());
  for (const char* name : {"ttfts", "output_lens"}) {
    DamagedFile file = vllm_of_three();
    file[name].erase(1);
    const auto short_of_one = read_vllm(file.dump(), {});
    ASSERT_FALSE(short_of_one) << name;
    EXPECT_EQ(short_of_one.error().where, name);
    EXPECT_THAT(short_of_one.error().what, HasSubstr("2 entries, and"));
    EXPECT_THAT(short_of_one.error().what, HasSubstr("has 3"));
  }
  DamagedFile file = vllm_of_three();
  file["itls"].erase(0);
  file["start_times"].push_back(3.0);
  EXPECT_FALSE(read_vllm(file.dump(), {})) << "a fourth request begun, of which nothing else is told";
  file = vllm_of_three();
  file["start_times"].erase(2);
  file["itls"].erase(0);
  const auto out = read_vllm(file.dump(), {}).value();
  EXPECT_EQ(requests_in(out), 3U);
  EXPECT_THAT(out.notes, Contains(HasSubstr("start_times has 2 entries, and ttfts has 3")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("itls has 2 entries")));
  EXPECT_THAT(out.notes, Contains(HasSubstr("one after the other")));
  for (const Span& span : out.spans) EXPECT_NE(span.kind, SpanKind::token) << "gaps of whom nobody knows";
}

TEST(DamagedFiles, WhatAVllmFileCountedItselfIsHeldAgainstItsArrays) {
  DamagedFile file = vllm_of_three();
  for (const char* name : {"input_lens", "output_lens", "ttfts", "itls", "start_times", "errors"}) file[name].erase(2);
  auto out = read_vllm(file.dump(), {}).value();
  EXPECT_THAT(out.notes, Contains("completed is 3 in the file, and its arrays hold 2 answered requests"));
  EXPECT_THAT(out.notes,
              Contains("total_output_tokens is 6 in the file, and its arrays hold 4 tokens of answered requests"));
  file["completed"] = 2;
  file["total_output_tokens"] = 4;
  EXPECT_THAT(read_vllm(file.dump(), {}).value().notes, IsEmpty());
}

}  // namespace
}  // namespace prony::exchange
