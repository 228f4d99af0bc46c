// What a proxy tells of a request, as spans. Bugs in mind: a failure that looks like a success, a prefill that holds
// the queue and does not say so, times that lie outside of the request, lines that are none.
#include "app/proxy_requests.hpp"

#include <gtest/gtest.h>

namespace prony::app {
namespace {

using nlohmann::json;

json line() {
  return {{"type", "request"},   {"n", 7},
          {"dialect", "ollama"}, {"path", "/api/chat"},
          {"model", "tiny"},     {"outcome", "ok"},
          {"streamed", true},    {"begin_ns", 1000},
          {"end_ns", 9000},      {"first_ns", 4000},
          {"last_ns", 8000},     {"chunks", 5},
          {"finish", "length"},  {"output_tokens", 6},
          {"prompt_tokens", 20}, {"server_prefill_ns", 500}};
}

TEST(ProxyRequests, AStreamedRequestHasItsPartsAndItsCounts) {
  const auto spans = spans_of_request(line(), SpanId{30});
  ASSERT_EQ(spans.size(), 3U);
  EXPECT_EQ(spans[0].kind, SpanKind::request);
  EXPECT_EQ(spans[0].name, "tiny #7");
  EXPECT_EQ(spans[0].status, SpanStatus::ok);
  EXPECT_EQ(spans[0].count("output_tokens"), 6);
  EXPECT_EQ(spans[0].attribute("finish"), "length");
  EXPECT_EQ(spans[1].kind, SpanKind::prefill);
  EXPECT_EQ(spans[1].parent, SpanId{30});
  EXPECT_EQ(spans[1].interval,
            (Interval{Instant{3500}, Instant{4000}}));  // as long as the server told, up to the first text
  EXPECT_FALSE(spans[1].attribute("holds"));
  EXPECT_EQ(spans[2].interval, (Interval{Instant{4000}, Instant{8000}}));
}

TEST(ProxyRequests, APrefillThatNobodyToldHoldsAllThatCameBeforeAndSaysSo) {
  json told = line();
  told.erase("server_prefill_ns");
  EXPECT_EQ(spans_of_request(told, SpanId{30})[1].interval.begin, Instant{1000});
  EXPECT_TRUE(spans_of_request(told, SpanId{30})[1].attribute("holds"));
  told["server_prefill_ns"] = 5000;  // longer than there was time
  EXPECT_EQ(spans_of_request(told, SpanId{30})[1].interval.begin, Instant{1000});
}

TEST(ProxyRequests, WhatFailedOrWasCancelledIsNoSuccess) {
  for (const char* outcome : {"failed", "cancelled", "", "fine"}) {
    json told = line();
    told["outcome"] = outcome;
    EXPECT_EQ(spans_of_request(told, SpanId{30})[0].status, SpanStatus::failed) << outcome;
  }
}

TEST(ProxyRequests, LoadingAModelIsAPhaseAndNoRequest) {
  json told = line();
  told["finish"] = "load";
  told.erase("first_ns");
  const auto spans = spans_of_request(told, SpanId{30});
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].kind, SpanKind::phase);
  EXPECT_EQ(spans[0].name, "load");
}

TEST(ProxyRequests, LinesThatMakeNoSenseGiveNoSpans) {
  for (const char* key : {"n", "begin_ns", "end_ns"}) {
    json told = line();
    told.erase(key);
    EXPECT_TRUE(spans_of_request(told, SpanId{30}).empty()) << key;
    told[key] = "soon";
    EXPECT_TRUE(spans_of_request(told, SpanId{30}).empty()) << key;
  }
  json told = line();
  told["end_ns"] = 999;
  EXPECT_TRUE(spans_of_request(told, SpanId{30}).empty());
  told = line();
  told["first_ns"] = 9500;  // after the end: no parts
  EXPECT_EQ(spans_of_request(told, SpanId{30}).size(), 1U);
  EXPECT_TRUE(spans_of_request(json::array(), SpanId{30}).empty());
}

}  // namespace
}  // namespace prony::app
