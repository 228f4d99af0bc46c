// engine: what a server of language models tells Prometheus of itself.
// reads       GET /metrics: llama-server's llamacpp:*, vLLM's vllm:*
// sees        all requests of the server, whoever asked: tokens in and out, steps, requests in work and waiting
// period      at every read; read once a second;  wrap none: a smaller total is the server started again
// privilege   none; llama-server must have been started with --metrics
// part_of     nothing
// lane        blocking, a thread of its own; a server that does not answer is asked ever more rarely, every 10 s at
// last source      llama.cpp tools/server/README.md (GET /metrics); vLLM docs/design/metrics.md
#include "sensors/engine_metrics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>
#include <optional>
#include <utility>

#include "base/interruptible.hpp"
#include "base/text.hpp"
#include "sensors/prometheus_text.hpp"
#include "sensors/retry_pause.hpp"

namespace prony {

namespace {

constexpr Duration scrape_deadline = milliseconds(3000);
constexpr std::size_t most_scraped_bytes = std::size_t{4} << 20;

struct Row {
  std::string_view what;  // of the channel: engine.WHAT
  std::string_view domain;
  Measure measure = Measure::count;
  ChannelKind kind = ChannelKind::counter;
  double scale = 1;
  // Names that versions of the server gave it; of several label sets the sum.
  std::array<std::string_view, 3> metrics = {};
};
using Rows = std::vector<Row>;

const Rows& llama_server() {
  using enum ChannelKind;
  static const Rows rows = {
      {"prompt_tokens", prompt_tokens_domain, Measure::count, counter, 1, {"llamacpp:prompt_tokens_total"}},
      {"output_tokens", output_tokens_domain, Measure::count, counter, 1, {"llamacpp:tokens_predicted_total"}},
      {"prompt_time", "prompt-time", Measure::time, counter, 1e-6, {"llamacpp:prompt_seconds_total"}},
      {"output_time", "output-time", Measure::time, counter, 1e-6, {"llamacpp:tokens_predicted_seconds_total"}},
      {"steps", "steps", Measure::count, counter, 1, {"llamacpp:n_decode_total"}},
      {"requests_running", "requests-running", Measure::count, gauge, 1, {"llamacpp:requests_processing"}},
      {"requests_waiting", "requests-waiting", Measure::count, gauge, 1, {"llamacpp:requests_deferred"}}};
  return rows;
}

const Rows& vllm() {
  using enum ChannelKind;
  static const Rows rows = {
      {"prompt_tokens", prompt_tokens_domain, Measure::count, counter, 1, {"vllm:prompt_tokens_total"}},
      {"output_tokens", output_tokens_domain, Measure::count, counter, 1, {"vllm:generation_tokens_total"}},
      {"cached_tokens",
       "cached-tokens",
       Measure::count,
       counter,
       1,
       {"vllm:prefix_cache_hits_total", "vllm:prefix_cache_hits", "vllm:gpu_prefix_cache_hits_total"}},
      {"steps", "steps", Measure::count, counter, 1, {"vllm:iteration_tokens_total_count"}},
      {"requests_running", "requests-running", Measure::count, gauge, 1, {"vllm:num_requests_running"}},
      {"requests_waiting", "requests-waiting", Measure::count, gauge, 1, {"vllm:num_requests_waiting"}},
      {"cache_used",
       "cache-used",
       Measure::fraction,
       gauge,
       1e-6,
       {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"}}};
  return rows;
}

// Counts of the rows in a text; nullopt: the text does not have it.
std::vector<std::optional<std::int64_t>> counts_in(const Rows& rows, std::string_view text) {
  // By name, not by row: the first of a row's names that is there counts, and only that.
  std::vector<std::array<std::optional<double>, 3>> sums(rows.size());
  for_each_metric(text, [&](const MetricLine& line) {
    for (std::size_t r = 0; r < rows.size(); ++r)
      for (std::size_t n = 0; n < rows[r].metrics.size(); ++n)
        if (!rows[r].metrics[n].empty() && line.name == rows[r].metrics[n])
          sums[r][n] = sums[r][n].value_or(0) + line.value;
  });
  std::vector<std::optional<std::int64_t>> counts(rows.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto told = std::ranges::find_if(sums[r], [](const auto& sum) { return sum.has_value(); });
    if (told == sums[r].end()) continue;
    const double raw = **told / rows[r].scale;
    if (raw >= 0 && raw < 9e15) counts[r] = std::llround(raw);
  }
  return counts;
}

const Rows* family_of(std::string_view text) {
  for (const Rows* rows : {&llama_server(), &vllm()})
    if (std::ranges::any_of(counts_in(*rows, text), [](const auto& count) { return count.has_value(); })) return rows;
  return nullptr;
}

// Without what may be a secret: keys of gateways stand behind the "?".
std::string shown_address(const std::string& url) { return url.substr(0, url.find_first_of("?#")); }

class EngineSensor final : public Sensor, public Interruptible {
 public:
  EngineSensor(Machine& machine, std::unique_ptr<Network> network, std::string url)
      : machine_(machine), network_(std::move(network)), url_(std::move(url)), place_(shown_address(url_)) {}

  [[nodiscard]] Result<std::string> ask() {
    HttpRequest request;
    request.url = url_;
    request.deadline = scrape_deadline;
    request.most_bytes = most_scraped_bytes;
    auto answer = network_->http(request);
    // Its own words on where and what to do are a plug's, and the address in them is whole.
    if (!answer)
      return fail(answer.error().code, answer.error().what, place_,
                  "See that the server runs and that this is its address.");
    if (answer->status == 501 || answer->status == 404)
      return fail(ErrorCode::absent, "it tells no metrics (HTTP " + std::to_string(answer->status) + ")", place_,
                  "llama-server must be started with --metrics; vLLM tells them at /metrics by itself.");
    if (answer->status != 200)
      return fail(ErrorCode::transient, "it answers with HTTP " + std::to_string(answer->status), place_);
    return std::move(answer->body);
  }

  // What it has of them becomes channels; what it lacks is told.
  [[nodiscard]] Result<std::vector<Unavailable>> look(const std::string& name, std::string_view text) {
    const Rows* rows = family_of(text);
    if (rows == nullptr)
      return fail(ErrorCode::absent, "its metrics are neither llama-server's (llamacpp:) nor vLLM's (vllm:)", place_,
                  "Ollama has none: put `prony proxy` in front of it.");
    std::vector<Unavailable> missing;
    const auto counts = counts_in(*rows, text);
    const std::string prefix = std::string(engine_sensor) + "." + (name.empty() ? "" : name + ".");
    for (std::size_t r = 0; r < rows->size(); ++r) {
      const Row& row = (*rows)[r];
      if (!counts[r]) {
        missing.push_back(
            {prefix + std::string(row.what), "the server does not tell " + std::string(row.metrics[0]), {}});
        continue;
      }
      Channel channel;
      channel.id = {static_cast<std::uint32_t>(channels_.size())};
      channel.name = prefix + std::string(row.what);
      channel.sensor = engine_sensor;
      channel.device = std::string(rows == &llama_server() ? "llama-server" : "vLLM") + ", " + place_;
      channel.domain = row.domain;
      channel.measure = row.measure;
      channel.kind = row.kind;
      channel.scale = row.scale;
      channels_.push_back(std::move(channel));
      rows_.push_back(row);
    }
    return missing;
  }

  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void interrupt() noexcept override { network_->interrupt(); }

  // Allocates: a request costs a thousand times what that does, and the lane is its own.
  void read(std::span<Reading> out) noexcept override {
    std::ranges::fill(out, Reading{});
    if (machine_.now() < not_before_) return;
    const auto text = ask();
    if (!text) tell(text.error());
    bool whole = text.has_value();
    if (text) {
      const auto counts = counts_in(rows_, *text);
      for (std::size_t i = 0; i < out.size() && i < counts.size(); ++i) {
        if (counts[i]) out[i] = {*counts[i], Quality::ok};
        if (counts[i]) continue;
        whole = false;
        tell({ErrorCode::malformed, "its answer has no " + std::string(rows_[i].metrics[0]), place_, {}});
      }
    }
    pause_ = whole ? Duration{0} : longer_pause(pause_);
    not_before_ = machine_.now() + pause_;
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    const std::lock_guard lock(mutex_);
    if (!trouble_ || channels_.empty()) return {};
    const Error error = *std::exchange(trouble_, std::nullopt);
    return {{channels_.front().device, error.what, error.fix}};
  }

 private:
  void tell(Error error) {
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(error);
  }

  Machine& machine_;
  std::unique_ptr<Network> network_;
  std::string url_, place_;  // whole; as it is shown and kept
  std::vector<Channel> channels_;
  Rows rows_;  // as many as channels
  Duration pause_;
  Instant not_before_;
  std::mutex mutex_;
  std::optional<Error> trouble_;
};

}  // namespace

Result<EngineMetrics> make_engine_metrics(Machine& machine, std::unique_ptr<Network> network,
                                          const std::string& address, const std::string& name) {
  if (address.find('@') != std::string::npos)  // before anything else is said, which would repeat it
    return fail(
        ErrorCode::usage, "a name or password does not belong into an address", "--engine-metrics",
        "Everybody who reads the Run would see it. Let the server tell its metrics without, to this machine alone.");
  if (!address.starts_with("http://") && !address.starts_with("https://"))
    return fail(ErrorCode::usage, "'" + printable(shown_address(address), 80) + "' is no address of a server",
                "--engine-metrics", "Write for example:  --engine-metrics http://127.0.0.1:8080");
  const std::string query = address.substr(shown_address(address).size());
  std::string url = shown_address(address);
  while (url.ends_with('/')) url.pop_back();
  if (url.find('/', url.find("://") + 3) == std::string::npos) url += "/metrics";
  url += query;
  auto sensor = std::make_unique<EngineSensor>(machine, std::move(network), url);
  const auto text = sensor->ask();
  if (!text) return Unexpected<Error>(text.error());
  auto missing = sensor->look(name, *text);
  if (!missing) return Unexpected<Error>(missing.error());
  return EngineMetrics{std::move(sensor), std::move(*missing)};
}

}  // namespace prony
