#include "workloads/network_runs.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "workloads/worker_link.hpp"

namespace prony {

namespace {

using nlohmann::json;

std::string words_of(const json& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// What went wrong, from a reply that is not the one that was asked for.
std::string trouble_words(const Reply& reply, std::int64_t timeout_ns) {
  if (!reply.trouble) {
    const json error = reply.message.value("error", json::object());
    if (reply.message["type"] == "error" && error.is_object())
      return printable(words_of(error, "message"), 400) + " (" + printable(words_of(error, "code"), 40) + ")";
    return "the worker replied with \"" + printable(reply.message["type"].get<std::string>(), 60) +
           "\", which was not asked for";
  }
  switch (*reply.trouble) {
    case Trouble::ended: return "the worker ended before it answered";
    case Trouble::timeout:
      return "the worker did not answer within " + format_number(static_cast<double>(timeout_ns) / 1e9) + " s";
    case Trouble::garbage: return reply.detail;
    case Trouble::woken: return "cancelled";
  }
  return {};
}

constexpr std::int64_t longest = 4'000'000'000'000'000;  // 46 days in ns

// A list of whole numbers that are not below zero; absent: it is something else.
std::optional<std::vector<std::int64_t>> numbers_of(const json& from, const char* key) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_array()) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const json& one : *found) {
    if (!one.is_number_integer() || one < 0 || one > longest) return std::nullopt;
    numbers.push_back(one.get<std::int64_t>());
  }
  return numbers;
}

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
    if (well) well = greet(outcome);
    if (well) well = load();
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
    end(child, outcome, well.has_value());
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

  Result<void> greet(WorkloadOutcome& outcome) {
    const Reply hello = link_.receive(WorkerLink::now_ns() + options_.timeout_ns, true);
    if (hello.trouble || hello.message["type"] != "hello" || hello.message.value("protocol", json()) != 1)
      return fail(ErrorCode::unavailable, "the worker did not say hello: " + trouble_words(hello, options_.timeout_ns),
                  options_.arguments.front(),
                  "Run it by itself: its first line must be as docs/worker-protocol.md says.");
    const json capabilities = hello.message.value("capabilities", json::array());
    if (!capabilities.is_array() ||
        std::find(capabilities.begin(), capabilities.end(), json("infer")) == capabilities.end())
      return fail(ErrorCode::unavailable, "this worker does not run networks (capability infer)",
                  options_.arguments.front());
    for (const auto& [member, fact] :
         {std::pair{"engine", "engine.name"}, {"engine_version", "engine.version"}, {"worker", "engine.worker"}})
      outcome.facts.emplace_back(fact, words_of(hello.message, member));
    return {};
  }

  Result<void> load() {
    const Reply reply = ask({{"type", "load"},
                             {"model", options_.model},
                             {"threads", options_.threads},
                             {"shapes", json(options_.shapes)}});
    if (!reply.trouble && reply.message["type"] == "loaded") return {};
    return fail(ErrorCode::unavailable, "the network was not loaded: " + trouble_words(reply, options_.timeout_ns),
                options_.model,
                "See that the file is whole, that its external weights lie beside it, and that memory suffices.");
  }

  Result<void> infer(const std::string& id, std::int64_t runs, const std::string& profile, NetworkRunTimes& times) {
    json request = {{"type", "infer"}, {"id", id}, {"runs", runs}, {"warm_up", options_.warm_up}};
    if (!times.part.empty()) request["part"] = times.part, request["threads"] = options_.threads;
    if (options_.tokens > 0) request["tokens"] = options_.tokens;
    if (!profile.empty()) request["profile"] = profile, request["optimised"] = options_.optimised_model;
    const Reply reply = ask(request);
    if (reply.trouble || reply.message["type"] != "result")
      return fail(ErrorCode::unavailable, "the " + id + " were not made: " + trouble_words(reply, options_.timeout_ns),
                  options_.model);
    auto took = numbers_of(reply.message, "durations_ns");
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
      auto took = numbers_of(one, "durations_ns");
      if (!took) {  // of an engine that tells microseconds
        took = numbers_of(one, "durations_us");
        for (std::int64_t& each : took ? *took : no_numbers) each *= 1000;
      }
      if (!took || took->size() != times.profiled_ns.size()) return off();
      times.nodes.push_back({words_of(one, "name"), words_of(one, "op"), words_of(one, "provider"), std::move(*took)});
    }
    const json nested = message.value("nested_events", json(0));
    if (nested.is_number_integer()) times.nested_events = nested.get<std::int64_t>();
    return {};
  }

  // Gently where all went well; what computes for minutes is not waited for.
  void end(Child& child, WorkloadOutcome& outcome, bool well) {
    if (well && link_.send({{"type", "stop"}}, WorkerLink::now_ns() + wind_up_ns))
      (void)link_.receive(WorkerLink::now_ns() + wind_up_ns, false);
    link_.close_input();
    auto status = child.wait(well ? wind_up_ns : wind_up_ns / 10);
    if (status && !*status) {
      child.signal(SIGKILL);
      status = child.wait();
      if (well) outcome.failures.emplace_back("the worker did not end by itself and was killed");
    }
    link_.close_output();
    if (status && *status) outcome.exit = **status;
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
