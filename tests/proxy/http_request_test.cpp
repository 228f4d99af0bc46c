#include "http_request.hpp"

#include <gtest/gtest.h>

using prony_proxy::HttpRequest;

namespace {

HttpRequest fed(std::string_view bytes, std::string_view* rest = nullptr) {
  HttpRequest request;
  const std::string_view left = request.feed(bytes);
  if (rest != nullptr) *rest = left;
  return request;
}

}  // namespace

TEST(HttpRequest, IsReadAlikeHoweverItIsCut) {
  const std::string text =
      "POST /api/chat?x=1 HTTP/1.1\r\nHost: a\r\nContent-Type:  application/json \r\nContent-Length: "
      "7\r\n\r\n{\"a\":1}GET";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    HttpRequest request;
    std::string_view left = request.feed(std::string_view(text).substr(0, cut));
    std::string rest(left);
    rest += request.feed(std::string_view(text).substr(cut));
    EXPECT_TRUE(request.complete()) << cut;
    EXPECT_EQ(request.method(), "POST");
    EXPECT_EQ(request.target(), "/api/chat?x=1");
    EXPECT_EQ(request.header("content-type"), "application/json");
    EXPECT_EQ(request.body(), "{\"a\":1}");
    EXPECT_TRUE(std::string("GET").ends_with(rest) && !rest.empty()) << rest;
  }
}

TEST(HttpRequest, AChunkedBodyIsPutTogetherAndItsTrailersAreNotTheNextRequest) {
  std::string_view rest;
  const HttpRequest request =
      fed("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: "
          "1\r\n\r\nG",
          &rest);
  EXPECT_TRUE(request.complete()) << request.error();
  EXPECT_EQ(request.body(), "abc0123456789");
  EXPECT_EQ(request.body_bytes(), 13U);
  EXPECT_EQ(rest, "G");
}

TEST(HttpRequest, WhatTwoReadersCouldReadInTwoWaysIsNotReadAtAll) {
  const char* head = "POST / HTTP/1.1\r\n";
  for (const char* lines :
       {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", "Content-Length: 4\r\nContent-Length: 5\r\n\r\n",
        "Content-Length: +4\r\n\r\n", "Content-Length: 4, 4\r\n\r\n", "Content-Length: -1\r\n\r\n",
        "Content-Length: 99999999999999999999\r\n\r\n", "Content-Length: 0x4\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n", "Content-Length : 4\r\n\r\n", "X: 1\r\n folded\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        "Transfer-Encoding: chunked\r\n\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"}) {
    const HttpRequest request = fed(std::string(head) + lines);
    EXPECT_FALSE(request.error().empty()) << lines;
    EXPECT_FALSE(request.complete()) << lines;
  }
}

TEST(HttpRequest, TheSameLengthTwiceIsOneLength) {
  EXPECT_TRUE(fed("POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab").complete());
}

TEST(HttpRequest, AHeadWithoutAnEndIsGivenUpAt64KiBWhereverItIsCut) {
  const std::string line = "X-Flood: " + std::string(1000, 'a') + "\r\n";
  HttpRequest request;
  (void)request.feed("GET / HTTP/1.1\r\n");
  std::size_t fed_bytes = 0;
  while (request.error().empty() && fed_bytes < (1U << 20)) {
    (void)request.feed(line);
    fed_bytes += line.size();
  }
  EXPECT_NE(request.error().find("64 KiB"), std::string::npos);
  EXPECT_LE(fed_bytes, HttpRequest::most_head_bytes + line.size());
  HttpRequest one_line;
  for (int i = 0; i < 200 && one_line.error().empty(); ++i) (void)one_line.feed(std::string(1000, 'G'));
  EXPECT_FALSE(one_line.error().empty());
}

TEST(HttpRequest, ALongBodyIsCountedAndNotKept) {
  HttpRequest request;
  (void)request.feed("POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n");
  for (int i = 0; i < 1000; ++i) (void)request.feed(std::string(1000, 'a'));
  EXPECT_TRUE(request.complete());
  EXPECT_EQ(request.body_bytes(), 1'000'000U);
  EXPECT_FALSE(request.body().has_value());
}

TEST(HttpRequest, EmptyLinesBeforeARequestAreNoBeginOfOne) {
  HttpRequest request;
  (void)request.feed("\r\n\r\n");
  EXPECT_FALSE(request.started());
  (void)request.feed("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(request.complete());
}

TEST(HttpRequest, AnotherProtocolIsNamedAndNotGuessed) {
  for (const char* bytes : {"\x16\x03\x01\x02\x01 hello\n", "PRI * HTTP/2.0\r\n", "GET /\r\n", "GET  / HTTP/1.1\r\n",
                            "GE(T / HTTP/1.1\r\n", "GET / HTTP/1.11\r\n"})
    EXPECT_FALSE(fed(bytes).error().empty()) << bytes;
}
