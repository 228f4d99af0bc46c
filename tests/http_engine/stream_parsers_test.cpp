#include "stream_parsers.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace prony_http {

namespace {

using Event = std::tuple<std::string, std::string, bool>;  // name, data, too long

template <class Parser>
std::vector<Event> events(const std::vector<std::string>& pieces,
                          std::size_t limit = StreamParser::default_limit_bytes) {
  std::vector<Event> found;
  const EventSink sink = [&](StreamEvent&& event) {
    found.emplace_back(std::move(event.name), std::move(event.data), event.too_long);
  };
  Parser parser(limit);
  for (const std::string& piece : pieces) parser.feed(piece, sink);
  parser.finish(sink);
  return found;
}

// At each byte in two, byte by byte, and in pieces of random lengths: always the events of the whole.
template <class Parser>
void expect_the_same_wherever_it_is_cut(const std::string& stream, std::size_t limit) {
  const auto whole = events<Parser>({stream}, limit);
  for (std::size_t at = 0; at <= stream.size(); ++at)
    EXPECT_EQ(events<Parser>({stream.substr(0, at), stream.substr(at)}, limit), whole) << "cut at " << at;
  std::vector<std::string> bytes;
  for (const char c : stream) bytes.emplace_back(1, c);
  EXPECT_EQ(events<Parser>(bytes, limit), whole);
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t length = 1 + random() % 7;
      pieces.push_back(stream.substr(at, length));
      at += length;
    }
    EXPECT_EQ(events<Parser>(pieces, limit), whole);
  }
}

const std::string odd_sse =
    "\xEF\xBB\xBF"
    "data: one\n\ndata:two\r\n\r\n: a comment\r\nevent: x\r\ndata: three\rdata: four\r\r"
    "id: 7\nretry: 10\n\n\n\r\n\r\rdata\n\ndata:  five\n: ping\n\nerror: {\"code\":500}\n\ndata: half \xC3\xA4\n\n"
    "data: [DONE]\n\ndata: last without its empty line";

}  // namespace

TEST(Sse, LinesEndInAnyOfThreeWaysCommentsAreNothingAndDataLinesAreJoined) {
  const std::vector<Event> expected = {{"", "one", false},
                                       {"", "two", false},
                                       {"x", "three\nfour", false},
                                       {"", "", false},
                                       {"", " five", false},
                                       {"error", "{\"code\":500}", false},
                                       {"", "half \xC3\xA4", false},
                                       {"", "[DONE]", false},
                                       {"", "last without its empty line", false}};
  EXPECT_EQ(events<SseParser>({odd_sse}), expected);
}

TEST(Sse, EventsAreTheSameWhereverTheStreamIsCut) {
  expect_the_same_wherever_it_is_cut<SseParser>(odd_sse, StreamParser::default_limit_bytes);
  expect_the_same_wherever_it_is_cut<SseParser>(odd_sse, 6);  // and with lines that are too long
}

// A parser that keeps the data of an event that was dispatched gives it twice.
TEST(Sse, AnEventIsGivenOnce) {
  EXPECT_EQ(events<SseParser>({"data: a\n\n\n\n: x\n\n"}), (std::vector<Event>{{"", "a", false}}));
}

TEST(Ndjson, EachLineIsAnEventEmptyOnesAreNoneAndTheLastNeedsNoEnd) {
  const std::vector<Event> expected = {{"", "{\"a\":1}", false}, {"", "{\"b\":2}", false}, {"", "{\"c\":3}", false}};
  EXPECT_EQ(events<NdjsonParser>({"{\"a\":1}\n\r\n  \n{\"b\":2}\r\n{\"c\":3}"}), expected);
}

TEST(Ndjson, EventsAreTheSameWhereverTheStreamIsCut) {
  const std::string stream = "{\"a\":\"\xC3\xA4\"}\r\n\n\r\n{\"b\":2}\n \n{\"c\":333333}\r\n{\"d\":4}";
  expect_the_same_wherever_it_is_cut<NdjsonParser>(stream, StreamParser::default_limit_bytes);
  expect_the_same_wherever_it_is_cut<NdjsonParser>(stream, 9);
}

TEST(Ndjson, ALineOfEightMebibytesIsWholeAndALongerOneSaysThatItWasCut) {
  const std::string line(StreamParser::default_limit_bytes, 'x');
  auto found = events<NdjsonParser>({line, "\n", line, "y\n", "{}\n"});
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(std::get<1>(found[0]).size(), line.size());
  EXPECT_FALSE(std::get<2>(found[0]));
  EXPECT_EQ(std::get<1>(found[1]).size(), line.size());
  EXPECT_TRUE(std::get<2>(found[1]));
  EXPECT_EQ(found[2], Event("", "{}", false));  // and what follows is not lost
}

TEST(Sse, ALineOfEightMebibytesIsWholeAndALongerOneSaysThatItWasCut) {
  const std::string data(StreamParser::default_limit_bytes - 6, 'x');
  auto found = events<SseParser>({"data: ", data, "\n\ndata: ", data, "y\n\ndata: z\n\n"});
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(std::get<1>(found[0]).size(), data.size());
  EXPECT_FALSE(std::get<2>(found[0]));
  EXPECT_TRUE(std::get<2>(found[1]));
  EXPECT_EQ(found[2], Event("", "z", false));
}

}  // namespace prony_http
