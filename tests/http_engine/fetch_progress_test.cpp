#include "fetch_progress.hpp"

#include <gtest/gtest.h>

#include <string>

namespace prony_http {

namespace {

const std::string whole_fetch =
    "{\"status\":\"pulling manifest\"}\n"
    "{\"status\":\"pulling aaaa\",\"digest\":\"sha256:aaaa\",\"total\":1000}\n"  // what is 0 is left out
    "{\"status\":\"pulling aaaa\",\"digest\":\"sha256:aaaa\",\"total\":1000,\"completed\":400}\r\n"
    "{\"status\":\"pulling aaaa\",\"digest\":\"sha256:aaaa\",\"total\":1000,\"completed\":1000}\n"
    "{\"status\":\"pulling bbbb\",\"digest\":\"sha256:bbbb\",\"total\":20,\"completed\":20}\n"
    "{\"status\":\"verifying sha256 digest\"}\n{\"status\":\"writing manifest\"}\n";

FetchProgress after(const std::string& body) {
  FetchProgress progress;
  progress.feed(body);
  progress.finish();
  return progress;
}

}  // namespace

// Bug: completed counts added up from one event to the next, or the last layer taken for all of them.
TEST(Fetch, BytesAreTheSumOfTheLayersAsEachWasToldLast) {
  FetchProgress progress;
  progress.feed(whole_fetch.substr(0, whole_fetch.find("\r\n") + 2));
  EXPECT_EQ(progress.done_bytes(), 400);
  EXPECT_EQ(progress.total_bytes(), 1000);
  progress.feed(whole_fetch.substr(whole_fetch.find("\r\n") + 2) + "{\"status\":\"success\"}\n");
  EXPECT_EQ(progress.done_bytes(), 1020);
  EXPECT_EQ(progress.total_bytes(), 1020);
  EXPECT_FALSE(progress.failure());
}

TEST(Fetch, ItIsTheSameWhereverItIsCut) {
  const std::string body = whole_fetch + "{\"status\":\"success\"}";  // and without a last line end
  for (std::size_t at = 0; at <= body.size(); ++at) {
    FetchProgress progress;
    progress.feed(body.substr(0, at));
    progress.feed(body.substr(at));
    progress.finish();
    EXPECT_EQ(progress.total_bytes(), 1020) << "cut at " << at;
    EXPECT_FALSE(progress.failure()) << "cut at " << at;
  }
}

// A connection that closes in mid-fetch under status 200 is no success.
TEST(Fetch, OneThatEndsWithoutTheWordSuccessHasFailed) {
  for (const std::string& body : {std::string(), whole_fetch, std::string("<html>\n"), std::string("[1,2]\n\n7\n")}) {
    const auto failure = after(body).failure();
    ASSERT_TRUE(failure) << body;
    EXPECT_EQ(failure->code, "stream");
  }
  EXPECT_NE(after(whole_fetch).failure()->message.find("writing manifest"), std::string::npos);
}

TEST(Fetch, TheFirstErrorIsTheReasonWhateverComesAfterIt) {
  const auto failure = after(
                           "{\"error\":\"pull model manifest: file does not exist\"}\n{\"error\":\"other\"}\n"
                           "{\"status\":\"success\"}\n")
                           .failure();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->message, "pull model manifest: file does not exist");
}

TEST(Fetch, CountsWithoutSenseAreNoProgressAndOverflowNothing) {
  std::string body;
  for (int layer = 0; layer < 5000; ++layer)
    body += "{\"status\":\"x\",\"digest\":\"d" + std::to_string(layer) +
            "\",\"total\":1152921504606846976,\"completed\":1152921504606846976}\n";
  body += "{\"status\":\"x\",\"digest\":\"d1\",\"total\":-5,\"completed\":\"many\"}\n";
  body += "{\"status\":\"x\",\"digest\":\"d2\",\"total\":10,\"completed\":99}\n";
  const FetchProgress progress = after(body);
  EXPECT_GT(progress.total_bytes(), 0);
  EXPECT_EQ(progress.done_bytes(), progress.total_bytes());
}

}  // namespace prony_http
