#include "workloads/network_runs.hpp"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "workloads/network_replies.hpp"
#include "workloads/worker_link.hpp"

namespace prony {

namespace {

using nlohmann::json;

class NetworkRuns final : public Workload {
 public:
  explicit NetworkRuns(NetworkRunOptions options) : options_(std::move(options)) {}

  SpawnOptions command() override { return link_.command(options_.arguments); }

  Result<WorkloadOutcome> run(Child& child, const std::function<void(const Progress&)>& progress) override {
    link_.drop_child_ends();
    WorkloadOutcome outcome;
    Result<void> well;
    if (link_.error()) well = Unexpected<Error>(*link_.error());
    const auto tell = [&](std::string note) {
      if (progress) progress({done_, 2 * options_.parts.size(), 0, std::move(note)});
    };
    tell("loading");
    if (well) well = greet_network_worker(link_, options_.arguments, options_.timeout_ns, {"infer"}, outcome);
    if (well) well = load(outcome);
    std::vector<NetworkRunTimes> all;
    for (const std::string& part : options_.parts) {
      NetworkRunTimes times;
      times.part = part;
      const std::string ending = part.empty() ? "" : "-" + part;
      tell(plain_phase + ending);
      if (well) well = infer(plain_phase + ending, options_.runs, {}, times);
      ++done_;
      tell(profiled_phase + ending);
      if (well) well = infer(profiled_phase + ending, options_.profiled_runs, options_.profile_prefix, times);
      ++done_;
      all.push_back(std::move(times));
    }
    end_network_worker(link_, child, outcome, well.has_value());
    if (!well) return Unexpected<Error>(well.error());
    if (options_.describe)
      for (auto& fact : options_.describe(all)) outcome.facts.push_back(std::move(fact));
    return outcome;
  }

  void cancel(int) noexcept override {
    cancelled_ = true;
    link_.wake();
  }

 private:
  Reply ask(const json& request) {
    const std::int64_t deadline = WorkerLink::now_ns() + options_.timeout_ns;
    if (cancelled_) return {{}, Trouble::woken, {}};
    if (!link_.send(request, deadline)) return {{}, Trouble::ended, {}};
    return link_.receive(deadline, true);
  }

  Result<void> load(WorkloadOutcome& outcome) {
    const Reply reply = ask({{"type", "load"},
                             {"model", options_.model},
                             {"threads", options_.threads},
                             {"shapes", json(options_.shapes)}});
    if (!reply.trouble && reply.message["type"] == "loaded") {
      // Of an engine that is a program of its own, the version is known now.
      const json facts = reply.message.value("facts", json::object());
      if (const std::string told = facts.is_object() ? reply_words(facts, "engine.version") : ""; !told.empty())
        outcome.facts.emplace_back("engine.version", told);
      return {};
    }
    const bool own_program = std::ranges::any_of(outcome.facts, [](const auto& fact) {
      return fact.first == "engine.name" && fact.second.starts_with("TensorRT");
    });
    return fail(ErrorCode::unavailable, "the network was not loaded: " + reply_trouble(reply, options_.timeout_ns),
                options_.model,
                own_program
                    ? "See that trtexec builds the file by itself: trtexec --onnx=FILE"
                    : "See that the file is whole, that its external weights lie beside it, and that memory suffices.");
  }

  Result<void> infer(const std::string& id, std::int64_t runs, const std::string& profile, NetworkRunTimes& times) {
    json request = {{"type", "infer"}, {"id", id}, {"runs", runs}, {"warm_up", options_.warm_up}};
    if (!times.part.empty()) request["part"] = times.part, request["threads"] = options_.threads;
    if (options_.tokens > 0) request["tokens"] = options_.tokens;
    if (!profile.empty()) request["profile"] = profile, request["optimised"] = options_.optimised_model;
    const Reply reply = ask(request);
    if (reply.trouble || reply.message["type"] != "result") {
      const bool memory = !reply.trouble && reply_words(reply.message, "code") == "memory";
      return fail(ErrorCode::unavailable, "the " + id + " were not made: " + reply_trouble(reply, options_.timeout_ns),
                  options_.model, memory ? "A smaller batch or resolution needs less memory." : "");
    }
    auto took = reply_numbers(reply.message, "durations_ns");
    if (!took || static_cast<std::int64_t>(took->size()) != runs)
      return fail(ErrorCode::malformed, "the worker did not tell how long each run took", options_.arguments.front());
    (profile.empty() ? times.plain_ns : times.profiled_ns) = std::move(*took);
    return profile.empty() ? Result<void>{} : take_nodes(reply.message, times);
  }

  Result<void> take_nodes(const json& message, NetworkRunTimes& times) const {
    const auto off = [&] {
      return fail(ErrorCode::malformed, "the worker did not tell what each node took", options_.arguments.front());
    };
    const auto nodes = message.find("nodes");
    if (nodes == message.end() || !nodes->is_array()) return off();
    std::vector<std::int64_t> no_numbers;
    for (const json& one : *nodes) {
      if (!one.is_object()) return off();
      auto took = reply_numbers(one, "durations_ns");
      if (!took) {  // of an engine that tells microseconds
        took = reply_numbers(one, "durations_us");
        for (std::int64_t& each : took ? *took : no_numbers) each *= 1000;
      }
      if (!took || took->size() != times.profiled_ns.size()) return off();
      times.nodes.push_back(
          {reply_words(one, "name"), reply_words(one, "op"), reply_words(one, "provider"), std::move(*took)});
    }
    const json nested = message.value("nested_events", json(0));
    if (nested.is_number_integer()) times.nested_events = nested.get<std::int64_t>();
    return {};
  }

  NetworkRunOptions options_;
  WorkerLink link_;
  std::size_t done_ = 0;
  std::atomic<bool> cancelled_{false};
};

}  // namespace

std::unique_ptr<Workload> make_network_runs(NetworkRunOptions options) {
  return std::make_unique<NetworkRuns>(std::move(options));
}

}  // namespace prony
