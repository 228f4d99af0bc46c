#include "http_response.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "url.hpp"

namespace prony_http {

namespace {

struct Read {
  int status = 0;
  std::string body, error;
  bool complete = false, keeps_alive = false;
  bool operator==(const Read&) const = default;
};

Read read(const std::vector<std::string>& pieces, bool closed = false) {
  HttpResponse response;
  Read result;
  for (const std::string& piece : pieces) response.feed(piece, [&](std::string_view part) { result.body += part; });
  if (closed) (void)response.close();
  result.status = response.status();
  result.error = response.error();
  result.complete = response.complete();
  result.keeps_alive = response.keeps_alive();
  return result;
}

const std::string chunked =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;name=value\r\nhello\r\n1\r\n \r\n00a\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";

// Kills: a read that reaches into the next chunk, whose pieces would then have that one's stamp.
TEST(HttpResponse, ReadsOfWhatIsWantedKeepChunksApartUnlessOneIsShorterThanAllBefore) {
  HttpResponse response;
  response.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", [](std::string_view) {});
  EXPECT_TRUE(response.between_chunks());
  const std::vector<std::size_t> sizes{200, 200, 260, 1, 300, 201, 1, 70'000, 2};
  std::string bytes, all, got;
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::string text(sizes[i], static_cast<char>('a' + i));
    std::array<char, 32> line{};
    std::snprintf(line.data(), line.size(), "%zx\r\n", sizes[i]);
    bytes += line.data() + text + "\r\n";
    ends.push_back(bytes.size());
    all += text;
  }
  bytes += "0\r\n\r\n";
  ends.push_back(bytes.size());
  std::size_t at = 0, reads = 0, crossings = 0;
  while (at < bytes.size()) {
    const std::size_t wanted = response.wanted();
    ASSERT_GE(wanted, 1U);
    const std::size_t end = *std::upper_bound(ends.begin(), ends.end(), at);
    crossings += at + wanted > end && end != bytes.size() ? 1 : 0;
    const std::size_t size = std::min(wanted, bytes.size() - at);
    response.feed(std::string_view(bytes).substr(at, size), [&](std::string_view body) { got += body; });
    at += size;
    ++reads;
  }
  EXPECT_TRUE(response.complete());
  EXPECT_EQ(got, all);
  EXPECT_LE(crossings, 1U);  // by the first chunk of one byte
  EXPECT_LE(reads, 3 * sizes.size() + 2);
}

}  // namespace

TEST(Response, TheBodyIsTheSameWhereverTheBytesAreCut) {
  const std::vector<std::string> answers = {
      chunked,
      "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 2\r\n\r\nbusy",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 2\nConnection: close\n\nok",
      "HTTP/1.0 200 OK\r\n\r\nup to the close",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n\r\n"};
  for (const std::string& answer : answers) {
    const Read whole = read({answer}, true);
    for (std::size_t at = 0; at <= answer.size(); ++at)
      EXPECT_EQ(read({answer.substr(0, at), answer.substr(at)}, true), whole) << answer << " cut at " << at;
  }
  EXPECT_EQ(read({chunked}), (Read{200, "hello 0123456789", "", true, true}));
  EXPECT_EQ(read({answers[2]}), (Read{200, "ok", "", true, false}));
}

// A connection that ends in mid-answer must never look like the end of the answer.
TEST(Response, CutShortAnywhereItIsNotCompleteAndSaysSo) {
  for (std::size_t length = 0; length < chunked.size(); ++length) {
    const Read cut = read({chunked.substr(0, length)}, true);
    EXPECT_FALSE(cut.complete) << length;
    EXPECT_NE(cut.error.find("closed the connection"), std::string::npos) << cut.error;
  }
  EXPECT_FALSE(read({"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbus"}, true).complete);
  EXPECT_TRUE(read({"HTTP/1.1 200 OK\r\n\r\nall there is"}, true).complete);
}

TEST(Response, WhatIsNoHttpAndWhatHasNoEndOfHeadIsRefusedInWords) {
  EXPECT_NE(read({"+OK ready\r\n"}).error.find("no HTTP"), std::string::npos);
  EXPECT_NE(read({"HTTP/1.1 200 OK\r\n" + std::string(70'000, 'a')}).error.find("64 KiB"), std::string::npos);
  EXPECT_NE(read({"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"}).error, "");
  EXPECT_NE(read({"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"}).error, "");
}

TEST(Address, HostPortAndBaseAreToldApart) {
  const auto text = [](std::string_view address, std::uint16_t port = 0) {
    const auto url = parse_url(address, port);
    return url ? url->text() : std::string("none");
  };
  EXPECT_EQ(text("localhost", 11434), "http://localhost:11434");
  EXPECT_EQ(text("http://[::1]:8080/base/"), "http://[::1]:8080/base");
  EXPECT_EQ(text("https://api.example.org/v1"), "https://api.example.org:443/v1");
  EXPECT_EQ(text("127.0.0.1:8000"), "http://127.0.0.1:8000");
  for (const char* bad : {"", "http://", "ftp://a", "http://a:0", "http://a:70000", "http://a:8x", "http://u:p@a/",
                          "http://[::1", "http://a/b?c", "http://a b", "http://a/\r\nX: y", ":80"})
    EXPECT_EQ(text(bad), "none") << bad;
}

}  // namespace prony_http
