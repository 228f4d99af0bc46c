// prometheus: answers scrapes with the newest frame. Each value is told once it was read and for as long as frames
// come; when they stop, or the monitor does, the series are gone and not frozen. On the loopback unless told otherwise.
// Source: Prometheus' docs/instrumenting/exposition_formats.md; OpenMetrics 1.0.
#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

#include "base/text.hpp"
#include "sinks/http_door.hpp"
#include "sinks/open_metrics.hpp"
#include "sinks/stream.hpp"

namespace prony {

namespace {

constexpr std::uint16_t usual_port = 9788;
constexpr std::chrono::seconds least_patience{10};

class PrometheusSink final : public StreamSink {
 public:
  explicit PrometheusSink(DoorPlan plan) : plan_(std::move(plan)) {}

  Result<void> open(const StreamHead& head) override {
    head_ = head;
    families_ = metric_families(head_);
    auto door = HttpDoor::open(plan_, [this](const HttpQuestion& question) { return answer(question); });
    if (!door) return Unexpected<Error>(door.error());
    door_ = std::move(*door);
    notes_.push_back("answers at " + door_->url() + "/metrics");
    if (!plan_.at.loopback() && plan_.web.users.empty())
      notes_.push_back("whoever reaches this address may read it; web-config=FILE asks for a password");
    return {};
  }

  Result<void> write(const Frame& frame) override {
    const std::scoped_lock lock(mutex_);
    frame_ = frame;
    came_ = std::chrono::steady_clock::now();
    return {};
  }

  Result<void> close() override {
    door_.reset();
    return {};
  }

  std::vector<std::string> notes() override { return std::exchange(notes_, {}); }

 private:
  // From the door's thread.
  HttpAnswer answer(const HttpQuestion& question) {
    if (question.path == "/" || question.path.empty())
      return {200, "text/html; charset=utf-8",
              "<!doctype html><title>Prony</title><h1>Prony</h1><p><a href=\"/metrics\">Metrics</a></p>\n"};
    if (question.path != "/metrics") return {404, "text/plain; charset=utf-8", "there is /metrics, and nothing else\n"};
    const bool open_metrics = question.accept.find("application/openmetrics-text") != std::string_view::npos;
    const std::scoped_lock lock(mutex_);
    const auto age = std::chrono::steady_clock::now() - came_;
    const auto patience =
        std::max<std::chrono::nanoseconds>(least_patience, std::chrono::nanoseconds(5 * head_.interval.ns));
    const bool fresh = frame_ && age <= patience;
    return {200,
            open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                         : "text/plain; version=0.0.4; charset=utf-8",
            exposition({head_, families_, fresh ? &*frame_ : nullptr, open_metrics})};
  }

  DoorPlan plan_;
  StreamHead head_;
  std::vector<MetricFamily> families_;
  std::mutex mutex_;
  std::optional<Frame> frame_;
  std::chrono::steady_clock::time_point came_;
  std::vector<std::string> notes_;
  std::unique_ptr<HttpDoor> door_;  // last: its thread uses the rest
};

}  // namespace

Result<std::unique_ptr<StreamSink>> make_prometheus_stream(const SinkSpec& spec) {
  static constexpr std::array<std::string_view, 2> known{"web-config", "answer-to"};
  if (auto sound = check_options(spec, known); !sound) return Unexpected<Error>(sound.error());
  auto address = parse_door_address(spec.target, usual_port);
  if (!address) return Unexpected<Error>(address.error());
  DoorPlan plan;
  plan.at = *address;
  plan.when_taken = "Another monitor? Give this one a port of its own:  --sink prometheus:9789";
  if (const auto file = spec.options.find("web-config"); file != spec.options.end()) {
    auto web = read_web_config(file->second);
    if (!web) return Unexpected<Error>(web.error());
    plan.web = std::move(*web);
  }
  if (const auto name = spec.options.find("answer-to"); name != spec.options.end()) plan.names = {name->second};
  return std::make_unique<PrometheusSink>(std::move(plan));
}

}  // namespace prony
