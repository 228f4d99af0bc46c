#include "workloads/network_loops.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "workloads/network_replies.hpp"

namespace prony {

namespace {

using LoopMessage = nlohmann::json;

constexpr double most_loop_runs = 1e6;  // a reply has each one's time, and fits into a line

class NetworkLoops final : public Workload {
 public:
  explicit NetworkLoops(NetworkLoopOptions options) : options_(std::move(options)) {}

  SpawnOptions command() override { return link_.command(options_.arguments); }

  Result<WorkloadOutcome> run(Child& child, const std::function<void(const Progress&)>& progress) override {
    link_.drop_child_ends();
    WorkloadOutcome outcome;
    const auto tell = [&](std::size_t done, std::string note) {
      if (progress) progress({done, options_.loops.size(), 0, std::move(note)});
    };
    tell(0, "loading");
    Result<void> well;
    if (link_.error()) well = Unexpected<Error>(*link_.error());
    if (well)
      well =
          greet_network_worker(link_, options_.arguments, options_.timeout_ns, {"infer", "isolate", "phase"}, outcome);
    if (well) well = load_whole();
    for (std::size_t i = 0; well && i < options_.loops.size() && !lost_; ++i) {
      const NetworkLoop& one = options_.loops[i];
      tell(i, one.id);
      std::string reason = loop(i);
      if (cancelled_) well = fail(ErrorCode::unavailable, "cancelled", one.id);
      if (!well || reason.empty()) continue;
      if (lost_) outcome.failures.push_back(one.id + ": " + reason);
      outcome.facts.emplace_back(loop_reason_fact + one.id, std::move(reason));
    }
    if (well && !lost_ && !options_.loops.empty()) {
      rest(cool_down_phase, options_.cool_down_ns);
      rest(idle_phase + std::string("end"), options_.loops.back().loop_ns);
    }
    end_network_worker(link_, child, outcome, well.has_value() && !lost_);
    if (!well) return Unexpected<Error>(well.error());
    return outcome;
  }

  void cancel(int) noexcept override {
    cancelled_ = true;
    link_.wake();
  }

 private:
  Reply ask(const LoopMessage& request, std::int64_t longer_ns = 0) {
    const std::int64_t deadline = WorkerLink::now_ns() + options_.timeout_ns + longer_ns;
    if (cancelled_) return {{}, Trouble::woken, {}};
    if (!link_.send(request, deadline)) return {{}, Trouble::ended, {}};
    return link_.receive(deadline, true);
  }

  // "": it is the reply that was asked for. A worker that no longer answers is lost.
  std::string refusal(const Reply& reply, const char* wanted) {
    if (!reply.trouble && reply.message["type"] == wanted) return {};
    lost_ = lost_ || reply.trouble.has_value();
    return reply_trouble(reply, options_.timeout_ns);
  }

  Result<void> load_whole() {
    const Reply reply = ask({{"type", "load"},
                             {"model", options_.whole},
                             {"threads", options_.threads},
                             {"shapes", LoopMessage(options_.shapes)},
                             {"as_it_is", true},
                             {"keep_outputs", true}});
    if (const std::string why = refusal(reply, "loaded"); !why.empty())
      return fail(ErrorCode::unavailable, "the network was not run with all its tensors kept: " + why, options_.whole,
                  "See that memory suffices for everything that flows in it at once.");
    const auto told = reply.message.find("tensors");
    if (told == reply.message.end() || !told->is_array())
      return fail(ErrorCode::malformed, "the worker did not tell what flows in the network",
                  options_.arguments.front());
    for (const LoopMessage& one : *told) {
      const auto type = one.is_object() ? one.value("type", LoopMessage()) : LoopMessage();
      auto shape = one.is_object() ? reply_numbers(one, "shape") : std::nullopt;
      if (!type.is_number_integer() || type < 0 || type > 1000 || !shape) continue;
      tensors_[reply_words(one, "name")] = {type.get<std::int32_t>(), std::move(*shape)};
    }
    return {};
  }

  void rest(const std::string& phase, std::int64_t length_ns) {
    const std::int64_t ms = length_ns / 1'000'000;
    if (ms > 0) (void)refusal(ask({{"type", "phase"}, {"name", phase}, {"ms", ms}}, length_ns), "done");
  }

  // How long one run takes, from the trial; absent: why not is in `why`.
  std::optional<double> tried(const NetworkLoop& one, std::string& why) {
    const double wished = one.expected_s > 0 ? std::ceil(0.1 / one.expected_s) : 10;
    const auto runs = static_cast<std::int64_t>(std::clamp(wished, 3.0, 1000.0));
    const Reply reply = infer(trial_phase + one.id, runs, 0);
    why = refusal(reply, "result");
    if (!why.empty()) return std::nullopt;
    const auto took = reply_numbers(reply.message, "durations_ns");
    double sum = 0;
    for (const std::int64_t each : took ? *took : std::vector<std::int64_t>{}) sum += static_cast<double>(each);
    if (!took || took->empty() || sum <= 0) {
      why = "the worker did not tell how long each run took";
      return std::nullopt;
    }
    return sum * 1e-9 / static_cast<double>(took->size());
  }

  Reply infer(const std::string& id, std::int64_t runs, std::int64_t longer_ns) {
    return ask({{"type", "infer"}, {"id", id}, {"runs", runs}, {"warm_up", options_.warm_up}}, longer_ns);
  }

  // "": it ran; else why not.
  std::string loop(std::size_t place) {
    const NetworkLoop& one = options_.loops[place];
    const auto file = options_.part(place, tensors_);
    if (!file) return file.error().what;
    const Reply loaded = ask({{"type", "load"},
                              {"model", *file},
                              {"threads", options_.threads},
                              {"shapes", LoopMessage(options_.shapes)},
                              {"as_it_is", true},
                              {"kept_inputs", true}});
    std::string why = refusal(loaded, "loaded");
    if (!why.empty()) return why;
    const auto run_s = tried(one, why);
    if (!run_s) return why;
    const double runs = std::ceil(static_cast<double>(one.loop_ns) * 1e-9 / *run_s);
    rest(cool_down_phase, options_.cool_down_ns);
    rest(idle_phase + one.id, one.loop_ns);
    if (lost_) return "the worker ended while it was idle";
    return refusal(
        infer(loop_phase + one.id, static_cast<std::int64_t>(std::clamp(runs, 1.0, most_loop_runs)), 2 * one.loop_ns),
        "result");
  }

  NetworkLoopOptions options_;
  WorkerLink link_;
  std::map<std::string, NetworkTensor> tensors_;
  bool lost_ = false;
  std::atomic<bool> cancelled_{false};
};

}  // namespace

std::unique_ptr<Workload> make_network_loops(NetworkLoopOptions options) {
  return std::make_unique<NetworkLoops>(std::move(options));
}

}  // namespace prony
