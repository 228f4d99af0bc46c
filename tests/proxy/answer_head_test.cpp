#include "answer_head.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using prony_proxy::AnswerHead;
using prony_proxy::look_at_head;
using Kind = prony_proxy::AnswerHead::Kind;

TEST(AnswerHead, APlainDocumentMayTakeAHeaderAtItsEndAndNowhereElse) {
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n";
  const AnswerHead found = look_at_head(head + "{}");
  ASSERT_EQ(found.kind, Kind::may_take);
  EXPECT_EQ(found.length, head.size());
  std::string with = head + "{}";
  with.insert(found.length - 2, "Prony-Energy-Estimate: 1 J\r\n");
  EXPECT_EQ(with, head.substr(0, head.size() - 2) + "Prony-Energy-Estimate: 1 J\r\n\r\n{}");
}

TEST(AnswerHead, NothingIsSaidBeforeTheWholeHeadIsThere) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
  for (std::size_t cut = 0; cut < head.size(); ++cut)
    EXPECT_EQ(look_at_head(head.substr(0, cut)).kind, Kind::incomplete) << cut;
}

TEST(AnswerHead, StreamsRefusalsAndOddHeadsAreLeftAsTheyAre) {
  const std::string type = "Content-Type: application/json\r\n";
  const std::vector<std::string> heads = {std::string("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"),
                                          std::string("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"),
                                          std::string("HTTP/1.1 200 OK\r\n\r\n"),
                                          "HTTP/1.1 500 Oh\r\n" + type + "\r\n",
                                          "HTTP/1.1 101 Up\r\n" + type + "\r\n",
                                          "HTTP/1.1 200 OK\r\n" + type + " folded\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nX: 1\n" + type + "\r\n",
                                          "+OK POP3 ready\r\n\r\n",
                                          "HTTP/1.1 200\r\n\r\n" + std::string(10, ' ')};
  for (const std::string& head : heads) EXPECT_EQ(look_at_head(head).kind, Kind::plain) << head;
}

TEST(AnswerHead, AnInterimAnswerGoesAheadOfTheOneThatMayTakeIt) {
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  const AnswerHead found = look_at_head(interim + "HTTP/1.1 200 OK\r\n");
  EXPECT_EQ(found.kind, Kind::interim);
  EXPECT_EQ(found.length, interim.size());
}

TEST(AnswerHead, AHeadWithoutAnEndIsNotHeldForEver) {
  EXPECT_EQ(look_at_head("HTTP/1.1 200 OK\r\n" + std::string(70'000, 'a')).kind, Kind::plain);
}
