// ProxyRequests: what a proxy saw becomes spans of the Run, lines of a log with joules, and counts for Prometheus; the
// meter's half of `prony proxy`, as a guest of the monitor. Nothing that goes wrong here (a full disk, a log that
// cannot be written) reaches the traffic. Thread promise: as MonitorGuest; lines of the worker come from its thread,
// and are only queued there, but for the estimates that it waits for. Ownership: borrows the worker. Errors: the log's
// at open_log(); later ones are said once.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "app/live_charges.hpp"
#include "app/monitor_run.hpp"
#include "app/proxy_worker.hpp"
#include "sinks/append_file.hpp"

namespace prony::app {

struct ProxyPlan {
  std::string log;              // a file of JSON lines, "-" for standard output; empty: none
  std::string requests_target;  // empty: the server is on another host
  std::string elsewhere;        // that host
  bool quiet = false;
};

// The span of a request that the proxy tells, with its prefill and decode where it was streamed; empty: no such line.
// Ids from `id` on, of which it takes at most three.
[[nodiscard]] std::vector<Span> spans_of_request(const nlohmann::json& line, SpanId id);

class ProxyRequests final : public MonitorGuest {
 public:
  ProxyRequests(ProxyWorker& worker, ProxyPlan plan) : worker_(worker), plan_(std::move(plan)) {}

  [[nodiscard]] Result<void> open_log();
  void begin(Session& session, Machine& machine, const std::vector<std::string>& targets,
             std::function<void()> stop) override;
  void see(const TickBlock& block) override;
  void carry() override;
  void tell(Frame& frame) override;
  void wind_down() override;
  void end() override;
  [[nodiscard]] bool worker_died() const noexcept { return died_; }

 private:
  struct Request {
    Span span;
    nlohmann::json line;
  };
  void take(const nlohmann::json& line);
  void answer(const nlohmann::json& ask);
  void take_ended(nlohmann::json line);
  void settle(bool last);
  void leave_open();
  void log(const Request& request, const LiveCharge& charge);
  void count(const Request& request, const LiveCharge& charge);

  ProxyWorker& worker_;
  ProxyPlan plan_;
  Session* session_ = nullptr;
  Machine* machine_ = nullptr;
  std::optional<AppendFile> log_;
  bool log_failed_ = false, stopping_ = false;
  std::atomic<bool> died_ = false;
  std::function<void()> stop_;
  std::mutex mutex_;  // of what follows
  std::deque<nlohmann::json> lines_;
  std::unique_ptr<LiveCharges> charges_;
  std::map<std::uint64_t, Span> open_;          // by the worker's number
  std::map<std::uint64_t, Request> unsettled_;  // by span
  std::map<std::tuple<std::string, std::string, std::string>, RequestCount> counts_;
  std::uint64_t next_span_ = 16, ended_ = 0;
};

}  // namespace prony::app
