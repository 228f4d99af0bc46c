// What servers count themselves: read from what they tell Prometheus.
#include "sensors/engine_metrics.hpp"

#include <gtest/gtest.h>

#include "machine/simulated.hpp"
#include "sensors/prometheus_text.hpp"

namespace prony {
namespace {

constexpr const char* llama_text = R"(# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 1234
# TYPE llamacpp:prompt_seconds_total counter
llamacpp:prompt_seconds_total 1.5
llamacpp:tokens_predicted_total 5678
llamacpp:tokens_predicted_seconds_total 12.25
llamacpp:n_decode_total 900
llamacpp:requests_processing 2
llamacpp:requests_deferred 0
)";
constexpr const char* vllm_text = R"(# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 100.0
vllm:prompt_tokens_total{engine="1",model_name="a}\"b{"} 23.0
vllm:generation_tokens_total{engine="0",model_name="m"} 7.0 1712345678901
vllm:num_requests_running{engine="0"} 3.0
vllm:gpu_cache_usage_perc{engine="0"} 0.25
)";

struct Server {
  int status = 200;
  std::string body;
  int asked = 0;
  std::string url = {};
  [[nodiscard]] std::unique_ptr<Network> network() {
    return make_function_network([this](const HttpRequest& request) -> Result<HttpResponse> {
      ++asked;
      url = request.url;
      if (status == 0) return fail(ErrorCode::unavailable, "connection refused", request.url, "Is the plug on?");
      HttpResponse response;
      response.status = status;
      response.body = body;
      return response;
    });
  }
};

std::optional<double> read(Sensor& sensor, std::string_view name) {
  std::vector<Reading> out(sensor.channels().size());
  sensor.read(out);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (sensor.channels()[i].name == name && out[i].quality == Quality::ok)
      return static_cast<double>(out[i].raw) * sensor.channels()[i].scale;
  return std::nullopt;
}

TEST(EngineMetrics, LlamaServersCountersAreChannelsInTheirUnits) {
  SimulatedMachine machine;
  Server server{200, llama_text};
  auto engine = make_engine_metrics(machine, server.network(), "http://h:8080/", "");
  ASSERT_TRUE(engine) << engine.error().what;
  EXPECT_TRUE(engine->missing.empty());
  EXPECT_EQ(engine->sensor->lane(), LaneKind::blocking);
  EXPECT_DOUBLE_EQ(*read(*engine->sensor, "engine.prompt_tokens"), 1234);
  EXPECT_DOUBLE_EQ(*read(*engine->sensor, "engine.output_tokens"), 5678);
  EXPECT_DOUBLE_EQ(*read(*engine->sensor, "engine.prompt_time"), 1.5);
  EXPECT_DOUBLE_EQ(*read(*engine->sensor, "engine.steps"), 900);
  EXPECT_DOUBLE_EQ(*read(*engine->sensor, "engine.requests_running"), 2);
}

// Kills: only the last of several label sets; a brace or quote in a label's value taken for the end of it.
TEST(EngineMetrics, VllmsLabelSetsAreAddedUpAndWhatItLacksIsNamed) {
  SimulatedMachine machine;
  Server server{200, vllm_text};
  auto engine = make_engine_metrics(machine, server.network(), "http://h:8000/metrics", "gpu0");
  ASSERT_TRUE(engine) << engine.error().what;
  EXPECT_DOUBLE_EQ(*read(*engine->sensor, "engine.gpu0.prompt_tokens"), 123);
  EXPECT_DOUBLE_EQ(*read(*engine->sensor, "engine.gpu0.output_tokens"), 7);
  EXPECT_DOUBLE_EQ(*read(*engine->sensor, "engine.gpu0.cache_used"), 0.25);
  std::string names;
  for (const Unavailable& missing : engine->missing) names += missing.subject + " ";
  EXPECT_EQ(names, "engine.gpu0.cached_tokens engine.gpu0.steps engine.gpu0.requests_waiting ");
}

TEST(EngineMetrics, AServerWithoutThemSaysWhatToDo) {
  SimulatedMachine machine;
  for (const auto& [status, body, words] : {std::tuple{501, "{}", "HTTP 501"},
                                            {200, "# nothing\nup 1\n", "neither llama-server's"},
                                            {503, "", "HTTP 503"},
                                            {0, "", "connection refused"}}) {
    Server server{status, body};
    const auto engine = make_engine_metrics(machine, server.network(), "http://h:1", "");
    ASSERT_FALSE(engine);
    EXPECT_NE(engine.error().what.find(words), std::string::npos) << engine.error().what;
  }
  Server server{200, llama_text};
  EXPECT_EQ(make_engine_metrics(machine, server.network(), "h:1", "").error().code, ErrorCode::usage);
}

TEST(EngineMetrics, AServerThatIsGoneIsAGapAndIsAskedMoreRarely) {
  SimulatedMachine machine;
  Server server{200, llama_text};
  auto engine = make_engine_metrics(machine, server.network(), "http://h:1", "");
  ASSERT_TRUE(engine);
  server.status = 0;
  const int before = server.asked;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(read(*engine->sensor, "engine.output_tokens"));
  EXPECT_EQ(server.asked, before + 1);  // the clock stands still: the pause is not over
  ASSERT_EQ(engine->sensor->complaints().size(), 1U);
  EXPECT_TRUE(engine->sensor->complaints().empty());  // told once
}

// Kills: a password in the channels' device, which /metrics, the Run and every sink tell; one in the words of an error.
TEST(EngineMetrics, APasswordInTheAddressIsRefusedAndAKeyBehindItIsKeptNowhere) {
  SimulatedMachine machine;
  Server server{200, llama_text};
  for (const char* address : {"http://bob:hunter2@h:1", "bob:hunter2@h:1", "http://bob@h:1/metrics"}) {
    const auto engine = make_engine_metrics(machine, server.network(), address, "");
    ASSERT_FALSE(engine);
    EXPECT_EQ(engine.error().code, ErrorCode::usage);
    const std::string told = engine.error().what + engine.error().where + engine.error().fix;
    EXPECT_EQ(told.find("bob"), std::string::npos) << told;
  }
  EXPECT_EQ(server.asked, 0);
  auto engine = make_engine_metrics(machine, server.network(), "http://h:1/?api_key=hunter2", "");
  ASSERT_TRUE(engine) << engine.error().what;
  EXPECT_EQ(server.url, "http://h:1/metrics?api_key=hunter2");
  for (const Channel& channel : engine->sensor->channels())
    EXPECT_EQ(channel.device, "llama-server, http://h:1/metrics");
  server.status = 0;
  const auto gone = make_engine_metrics(machine, server.network(), "http://h:1/?api_key=hunter2", "");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().where, "http://h:1/metrics");
  EXPECT_EQ(gone.error().fix.find("plug"), std::string::npos) << gone.error().fix;
}

TEST(PrometheusText, OddLinesAreCountedAndNeverSamples) {
  std::string names;
  const std::size_t odd = for_each_metric(
      "a 1\n\nb{x=\"\\\"}\"} 2 3\r\n# c 4\nd\ne NaN\nf +Inf\n1g 2\nh{x=\"1\" 2\ni{} 1e3 # {trace_id=\"a\"} "
      "1\nj\t5\nk=6\n",
      [&](const MetricLine& line) { names += std::string(line.name) + " "; });
  EXPECT_EQ(names, "a b i j ");
  EXPECT_EQ(odd, 6U);
}

}  // namespace
}  // namespace prony
