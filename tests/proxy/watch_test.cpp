#include "watch.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>

using prony_proxy::Audience;
using prony_proxy::Seen;
using prony_proxy::Watch;

namespace {

class Notes final : public Audience {
 public:
  std::uint64_t began(const Seen& seen) override {
    begun.push_back(seen.model);
    return begun.size();
  }
  void ended(Seen&& seen) override { all.push_back(std::move(seen)); }
  std::vector<std::string> begun;
  std::vector<Seen> all;
};

std::string post(const std::string& path, const std::string& body) {
  return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string document(const std::string& body, int status = 200) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string stream(const std::string& type, const std::vector<std::string>& parts) {
  std::string text = "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& part : parts) {
    std::array<char, 32> size{};
    std::snprintf(size.data(), size.size(), "%zx\r\n", part.size());
    text += size.data() + part + "\r\n";
  }
  return text + "0\r\n\r\n";
}

const std::vector<std::string> ollama_parts = {
    "{\"model\":\"tiny\",\"message\":{\"content\":\"One\"},\"done\":false}\n",
    "{\"model\":\"tiny\",\"message\":{\"content\":\" two\"},\"done\":false}\n",
    "{\"model\":\"tiny\",\"done\":true,\"done_reason\":\"length\",\"prompt_eval_count\":20,\"eval_count\":7,"
    "\"total_duration\":9,\"load_duration\":1,\"prompt_eval_duration\":2,\"eval_duration\":5}\n"};

}  // namespace

TEST(Watch, AnOllamaStreamHasItsTokensAndStampsHoweverItIsCut) {
  const std::string answer = stream("application/x-ndjson", ollama_parts);
  for (std::size_t piece : {std::size_t{1}, std::size_t{7}, answer.size()}) {
    Notes notes;
    Watch watch(notes);
    watch.from_client(post("/api/chat", "{\"model\":\"tiny\"}"), 100);
    EXPECT_TRUE(watch.busy());
    for (std::size_t at = 0; at < answer.size(); at += piece)
      watch.from_server(std::string_view(answer).substr(at, piece), 200 + static_cast<std::int64_t>(at));
    ASSERT_EQ(notes.all.size(), 1U);
    const Seen& seen = notes.all.front();
    EXPECT_EQ(notes.begun, (std::vector<std::string>{"tiny"}));
    EXPECT_EQ(seen.number, 1U);
    EXPECT_EQ(seen.dialect, "ollama");
    EXPECT_EQ(seen.outcome, "ok");
    EXPECT_EQ(seen.finish, "length");
    EXPECT_EQ(seen.prompt_tokens, 20);
    EXPECT_EQ(seen.output_tokens, 7);
    EXPECT_EQ(seen.queue_ns, 1);
    EXPECT_EQ(seen.chunks, 2);
    EXPECT_EQ(seen.begin_ns, 100);
    EXPECT_GE(seen.first_ns, 200);
    EXPECT_LE(seen.first_ns, seen.last_ns);
    EXPECT_GE(seen.end_ns, seen.last_ns);
    EXPECT_FALSE(watch.busy());
  }
}

TEST(Watch, KeptAndPipelinedRequestsEachHaveTheirOwnAnswer) {
  Notes notes;
  Watch watch(notes);
  watch.from_client("GET /api/tags HTTP/1.1\r\n\r\n" + post("/completion", "{\"prompt\":\"a\"}") +
                        post("/v1/chat/completions", "{\"model\":\"m\"}"),
                    1);
  watch.from_server(document("{\"models\":[]}") +
                        document("{\"content\":\"x\",\"stop\":true,\"stop_type\":\"limit\",\"tokens_evaluated\":3,"
                                 "\"tokens_predicted\":4}") +
                        document("{\"choices\":[{\"message\":{\"content\":\"y\"},\"finish_reason\":\"stop\"}],"
                                 "\"model\":\"other\",\"usage\":"
                                 "{\"prompt_tokens\":5,\"completion_tokens\":6}}"),
                    2);
  EXPECT_EQ(watch.passed(), 1U);
  ASSERT_EQ(notes.all.size(), 2U);
  EXPECT_EQ(notes.all[0].dialect, "llama-server");
  EXPECT_EQ(notes.all[0].output_tokens, 4);
  EXPECT_EQ(notes.all[0].first_ns, 0);  // no stream: when its first token was made is not known
  EXPECT_EQ(notes.all[1].dialect, "openai");
  EXPECT_EQ(notes.all[1].output_tokens, 6);
  EXPECT_EQ(notes.all[1].finish, "eos");
  EXPECT_EQ(notes.all[1].model, "m");  // what was asked for
}

TEST(Watch, AFailureNeverLooksLikeASuccess) {
  struct Row {
    std::string answer, words;
    bool closes;
  };
  const std::vector<Row> rows = {
      {document("{\"error\":\"model 'x' not found\"}", 404), "404: model 'x' not found", false},
      {document("{\"error\":{\"message\":\"busy\"}}", 503), "503: busy", false},
      {stream("application/x-ndjson", {ollama_parts[0], "{\"error\":\"out of memory\"}\n"}), "out of memory", false},
      {stream("application/x-ndjson", {ollama_parts[0]}), "ended before the answer did", false},
      {stream("application/x-ndjson", {ollama_parts[0], "<html>\n"}), "no JSON object", false},
      {"+OK POP3\r\n", "no HTTP", false},
      {stream("application/x-ndjson", ollama_parts).substr(0, 150), "mid-answer", true},
      {"", "without an answer", true}};
  for (const Row& row : rows) {
    Notes notes;
    Watch watch(notes);
    watch.from_client(post("/api/chat", "{\"model\":\"x\"}"), 1);
    watch.from_server(row.answer, 2);
    if (row.closes) watch.ended(false, 3);
    ASSERT_EQ(notes.all.size(), 1U) << row.words;
    EXPECT_EQ(notes.all[0].outcome, "failed") << row.words;
    EXPECT_NE(notes.all[0].error.find(row.words), std::string::npos) << notes.all[0].error;
    EXPECT_EQ(notes.all[0].model, "x") << row.words;
  }
}

TEST(Watch, AClientThatGoesFirstHasCancelled) {
  Notes notes;
  Watch watch(notes);
  watch.from_client(post("/api/chat", "{}"), 1);
  watch.from_server(stream("application/x-ndjson", ollama_parts).substr(0, 150), 2);
  watch.ended(true, 3);
  watch.ended(false, 4);
  ASSERT_EQ(notes.all.size(), 1U);
  EXPECT_EQ(notes.all[0].outcome, "cancelled");
  EXPECT_EQ(notes.all[0].end_ns, 3);
  EXPECT_EQ(notes.all[0].status, 200);
}

TEST(Watch, AnAnswerUpToTheCloseIsWholeWhenTheServerCloses) {
  Notes notes;
  Watch watch(notes);
  watch.from_client(post("/api/embed", "{\"model\":\"e\"}"), 1);
  watch.from_server("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"prompt_eval_count\":9}", 2);
  watch.ended(false, 3);
  ASSERT_EQ(notes.all.size(), 1U);
  EXPECT_EQ(notes.all[0].outcome, "ok");
  EXPECT_EQ(notes.all[0].prompt_tokens, 9);
  EXPECT_FALSE(notes.all[0].output_tokens.has_value());
  EXPECT_FALSE(notes.all[0].no_tokens.empty());
}

TEST(Watch, HttpThatCouldBeReadInTwoWaysIsNotReadAndSaysSo) {
  Notes notes;
  Watch watch(notes);
  watch.from_client("POST /api/chat HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
                    1);
  EXPECT_NE(watch.lost_sense().find("not certain"), std::string::npos);
  watch.from_server(document("{}"), 2);
  watch.ended(true, 3);
  EXPECT_TRUE(notes.all.empty());
  EXPECT_FALSE(watch.busy());
}

TEST(Watch, AModelOfAnotherHostIsKnownByWhatTheAnswerSays) {
  Notes notes;
  Watch watch(notes);
  watch.from_client(post("/api/chat", "{\"model\":\"big-cloud\"}"), 1);
  watch.from_server(document("{\"model\":\"big\",\"remote_model\":\"big\",\"remote_host\":\"https://ollama.com:443\","
                             "\"message\":{\"content\":\"x\"},\"done\":true,\"eval_count\":3}"),
                    2);
  ASSERT_EQ(notes.all.size(), 1U);
  EXPECT_EQ(notes.all[0].elsewhere, "https://ollama.com:443");
}

TEST(Watch, CompressedAnswersHaveNoTokensAndSayWhy) {
  Notes notes;
  Watch watch(notes);
  watch.from_client(post("/v1/completions", "{\"model\":\"m\"}"), 1);
  watch.from_server("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 2);
  ASSERT_EQ(notes.all.size(), 1U);
  EXPECT_EQ(notes.all[0].outcome, "ok");
  EXPECT_NE(notes.all[0].no_tokens.find("gzip"), std::string::npos);
}

TEST(Watch, AStreamWithoutUsageHasTheTimingsOfLlamaServerOrNoTokens) {
  const std::string first = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
  const std::string last = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]";
  for (const bool timings : {true, false}) {
    Notes notes;
    Watch watch(notes);
    watch.from_client(post("/v1/chat/completions", "{\"model\":\"m\",\"stream\":true}"), 1);
    watch.from_server(
        stream(
            "text/event-stream",
            {first, last + (timings ? ",\"timings\":{\"prompt_n\":5,\"cache_n\":2,\"predicted_n\":9}" : "") + "}\n\n",
             "data: [DONE]\n\n"}),
        2);
    ASSERT_EQ(notes.all.size(), 1U);
    EXPECT_EQ(notes.all[0].outcome, "ok");
    EXPECT_EQ(notes.all[0].output_tokens.has_value(), timings);
    EXPECT_EQ(notes.all[0].no_tokens.empty(), timings);
    EXPECT_EQ(notes.all[0].prompt_tokens.value_or(-1), timings ? 7 : -1);
  }
}

TEST(Watch, OtherInterfacesOfOpenAiAndAnthropicHaveTheirTokens) {
  Notes notes;
  Watch watch(notes);
  watch.from_client(post("/v1/messages", "{\"model\":\"c\"}") + post("/v1/responses", "{\"model\":\"r\"}"), 1);
  watch.from_server(
      stream(
          "text/event-stream",
          {"event: message_start\ndata: "
           "{\"type\":\"message_start\",\"message\":{\"model\":\"c\",\"usage\":{\"input_tokens\":25,"
           "\"output_tokens\":1}}}\n\n",
           "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"Hi\"}}\n\n",
           "event: message_delta\ndata: "
           "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n",
           "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"}) +
          stream(
              "text/event-stream",
              {"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n",
               "event: response.completed\ndata: "
               "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":3,"
               "\"output_"
               "tokens\":4}}}\n\n"}),
      2);
  ASSERT_EQ(notes.all.size(), 2U);
  for (const Seen& seen : notes.all) EXPECT_EQ(seen.outcome, "ok") << seen.error;
  EXPECT_EQ(notes.all[0].prompt_tokens, 25);
  EXPECT_EQ(notes.all[0].output_tokens, 15);
  EXPECT_EQ(notes.all[0].chunks, 1);
  EXPECT_EQ(notes.all[1].output_tokens, 4);
}

TEST(Watch, ASlowHeadIsKnownByWhenItBegan) {
  Notes notes;
  Watch watch(notes);
  EXPECT_FALSE(watch.head_since_ns());
  watch.from_client("POST /api/ch", 50);
  watch.from_client("at HTTP/1.1\r\n", 70);
  EXPECT_EQ(watch.head_since_ns(), 50);
  watch.from_client("\r\n", 90);
  EXPECT_FALSE(watch.head_since_ns());
}

// Kills: an end that is taken from an older clock reading, and a request that is dropped for it.
TEST(Watch, ARequestNeverEndsBeforeItBegan) {
  Notes notes;
  Watch watch(notes);
  watch.from_client(post("/api/chat", "{}"), 100);
  watch.ended(false, 90);
  ASSERT_EQ(notes.all.size(), 1U);
  EXPECT_EQ(notes.all[0].end_ns, 100);
}

// Kills: a client's key in the log, the Run and what is shown, because the server repeated it.
TEST(Watch, AKeyThatTheServerRepeatsIsNotInTheWordsOfTheFailure) {
  for (const std::string header : {"Authorization: Bearer ", "Authorization: Basic ", "x-api-key: ", "api-key: "}) {
    Notes notes;
    Watch watch(notes);
    std::string request = post("/v1/chat/completions", "{\"model\":\"tiny\"}");
    request.insert(request.find("\r\n") + 2, header + "sekretKEY\r\n");
    watch.from_client(request, 1);
    watch.from_server(document("{\"error\":{\"message\":\"no such key: sekretKEY\"}}", 401), 2);
    ASSERT_EQ(notes.all.size(), 1U);
    EXPECT_EQ(notes.all[0].outcome, "failed");
    EXPECT_NE(notes.all[0].error.find("no such key: ***"), std::string::npos) << notes.all[0].error;
  }
}

// Kills: advice to a client by an option that `prony proxy` does not have; a date in seconds.
TEST(Watch, ARefusalIsToldInWordsThatHoldForAProxy) {
  Notes notes;
  Watch watch(notes);
  watch.from_client(post("/api/chat", "{}"), 1);
  watch.from_server(document("{\"error\":\"no\"}", 401), 2);
  for (const std::string after : {"7", "Wed, 21 Oct 2026 07:28:00 GMT"}) {
    std::string answer = document("{\"error\":\"later\"}", 429);
    answer.insert(answer.find("\r\n") + 2, "Retry-After: " + after + "\r\n");
    watch.from_client(post("/api/chat", "{}"), 3);
    watch.from_server(answer, 4);
  }
  ASSERT_EQ(notes.all.size(), 3U);
  EXPECT_EQ(notes.all[0].error, "HTTP 401: no");
  EXPECT_EQ(notes.all[1].error, "HTTP 429: later (it asks to come again after 7 s)");
  EXPECT_EQ(notes.all[2].error, "HTTP 429: later (it asks to come again after Wed, 21 Oct 2026 07:28:00 GMT)");
}

TEST(Watch, ABodyOfHeadIsNotWaitedFor) {
  Notes notes;
  Watch watch(notes);
  watch.from_client("HEAD / HTTP/1.1\r\n\r\n" + post("/api/chat", "{}"), 1);
  watch.from_server("HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + document("{\"done\":true}"), 2);
  EXPECT_EQ(watch.passed(), 1U);
  EXPECT_EQ(notes.all.size(), 1U);
}

TEST(Watch, MoreThan64RequestsAheadOfTheirAnswersAreNotKept) {
  Notes notes;
  Watch watch(notes);
  std::string many;
  for (int i = 0; i < 100; ++i) many += "GET / HTTP/1.1\r\n\r\n";
  watch.from_client(many, 1);
  EXPECT_NE(watch.lost_sense().find("64"), std::string::npos);
}
