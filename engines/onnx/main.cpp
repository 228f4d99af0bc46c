// prony-engine-onnx: the worker protocol of docs/worker-protocol.md on one side, ONNX Runtime on the other. It answers
// no prompts: it runs a network so many times, with its nodes timed or without. Standard output carries protocol lines
// and nothing else; when things happened is told as spans through libprony.
#include <prony/prony.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "onnx_session.hpp"
#include "profile.hpp"

namespace prony_engine {
namespace {

using nlohmann::json;

struct BadMessage {
  std::string code, message;
};

std::int64_t integer(const json& message, const char* key, std::int64_t least, std::int64_t most,
                     std::int64_t otherwise) {
  const auto found = message.find(key);
  if (found == message.end() || found->is_null()) return otherwise;
  if (!found->is_number_integer() || *found < least || *found > most)
    throw BadMessage{"protocol", std::string(key) + " is not a whole number from " + std::to_string(least) + " to " +
                                     std::to_string(most)};
  return found->get<std::int64_t>();
}

std::string text(const json& message, const char* key, bool needed) {
  const auto found = message.find(key);
  if (found != message.end() && found->is_string()) return found->get<std::string>();
  if (needed) throw BadMessage{"protocol", std::string(key) + " is missing or no text"};
  return {};
}

bool flag(const json& message, const char* key) {
  const auto found = message.find(key);
  return found != message.end() && found->is_boolean() && found->get<bool>();
}

struct Runs {
  std::vector<std::int64_t> begin_ns, end_ns;
};

class Worker {
 public:
  explicit Worker(int out) : out_(out) {}

  int run() {
    say({{"type", "hello"},
         {"protocol", 1},
         {"worker", "prony-engine-onnx"},
         {"version", PRONY_VERSION},
         {"engine", "ONNX Runtime"},
         {"engine_version", OnnxSession::version()},
         {"capabilities", {"infer", "isolate", "phase"}}});
    std::string line;
    while (!stopped_ && std::getline(std::cin, line)) handle(line);
    return write_failed_ ? 1 : 0;
  }

 private:
  void handle(const std::string& line) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) return;
    const json message = json::parse(line, nullptr, false);
    if (!message.is_object()) return error("protocol", "the line is not a JSON object");
    try {
      const std::string type = text(message, "type", true);
      if (type == "load") return load(message);
      if (type == "infer") return infer(message);
      if (type == "phase") return phase(message);
      if (type == "cancel") return;
      if (type != "stop") throw BadMessage{"protocol", "unknown type \"" + type.substr(0, 40) + "\""};
      say({{"type", "bye"}});
      stopped_ = true;
    } catch (const BadMessage& bad) {
      error(bad.code, bad.message);
    } catch (const json::exception& bad) {  // a member of another type than the protocol says
      error("protocol", bad.what());
    }
  }

  void load(const json& message) {
    settings_ = {};
    settings_.model = text(message, "model", true);
    settings_.threads = static_cast<int>(integer(message, "threads", 1, 4096, 1));
    settings_.as_it_is = flag(message, "as_it_is");
    const bool keep = flag(message, "keep_outputs"), from_kept = !keep && flag(message, "kept_inputs");
    shapes_.clear();
    if (const auto shapes = message.find("shapes"); shapes != message.end() && shapes->is_object())
      for (const auto& [name, shape] : shapes->items()) {
        for (const json& one : shape)
          if (!one.is_number_integer()) throw BadMessage{"protocol", "shapes holds something else than whole numbers"};
        shapes_[name] = shape.get<std::vector<std::int64_t>>();
      }
    const prony_span span = prony_span_begin(PRONY_PHASE, "load", 0);
    auto failure = session_.open(settings_);
    if (!failure) failure = session_.make_inputs(shapes_, from_kept ? &kept_ : nullptr);
    json outputs = json::array();
    if (!failure && keep) failure = keep_outputs(outputs);
    loaded_ = !failure;
    prony_span_end(span, failure ? PRONY_FAILED : PRONY_OK);
    if (failure) return error(failure->code, failure->message);
    json reply{{"type", "loaded"}, {"facts", {{"model.path", settings_.model}, {"engine.threads", settings_.threads}}}};
    if (keep) reply["tensors"] = std::move(outputs);
    say(reply);
  }

  // Runs once; what went in and came out is kept for the layers that are loaded after it, and told.
  std::optional<Failure> keep_outputs(json& told) {
    kept_.clear();
    if (auto failure = session_.run_and_keep(kept_)) return failure;
    std::vector<Port> ports;
    if (auto failure = kept_.describe(ports)) return failure;
    for (const Port& one : ports)
      told.push_back({{"name", one.name}, {"type", static_cast<int>(one.type)}, {"shape", one.shape}});
    return session_.make_inputs(shapes_, &kept_);
  }

  void infer(const json& message) {
    if (!loaded_) throw BadMessage{"state", "no model is loaded"};
    const std::string id = text(message, "id", true), profile = text(message, "profile", false);
    const auto runs = static_cast<std::size_t>(integer(message, "runs", 1, 10'000'000, 1));
    const auto warm_up = static_cast<std::size_t>(integer(message, "warm_up", 0, 1'000'000, 0));
    if (!profile.empty()) return infer_profiled(id, profile, text(message, "optimised", false), runs, warm_up);
    Runs times;
    if (auto failure = repeat(session_, id, runs, warm_up, times)) return error(failure->code, failure->message, id);
    say({{"type", "result"}, {"id", id}, {"durations_ns", durations(times)}});
  }

  // A session of its own, whose profiler is on from the beginning.
  void infer_profiled(const std::string& id, const std::string& prefix, const std::string& optimised, std::size_t runs,
                      std::size_t warm_up) {
    OnnxSession session;
    SessionSettings settings = settings_;
    settings.profile = true;
    settings.profile_prefix = prefix;
    settings.optimised_model = optimised;
    const prony_span span = prony_span_begin(PRONY_PHASE, "load-profiled", 0);
    auto failure = session.open(settings);
    if (!failure) failure = session.make_inputs(shapes_);
    prony_span_end(span, failure ? PRONY_FAILED : PRONY_OK);
    Runs times;
    if (!failure) failure = repeat(session, id, runs, warm_up, times);
    std::string file;
    if (!failure) failure = session.end_profiling(file);
    if (failure) return error(failure->code, failure->message, id);
    std::ifstream in(file);
    Profile profile = read_profile(in);
    in.close();
    (void)std::remove(file.c_str());
    if (profile.problem.empty() && profile.runs.size() != warm_up + runs)
      profile.problem = "it has " + std::to_string(profile.runs.size()) + " runs where " +
                        std::to_string(warm_up + runs) + " were made";
    if (!profile.problem.empty()) return error("internal", "ONNX Runtime's profile: " + profile.problem, id);
    profile.runs.erase(profile.runs.begin(), profile.runs.begin() + static_cast<std::ptrdiff_t>(warm_up));
    write_spans(id, profile, times);
    say({{"type", "result"},
         {"id", id},
         {"durations_ns", durations(times)},
         {"nodes", nodes_of(profile)},
         {"nested_events", profile.nested}});
  }

  // Warm-ups and then the runs that count, one after another, under a phase of this name.
  static std::optional<Failure> repeat(OnnxSession& session, const std::string& name, std::size_t runs,
                                       std::size_t warm_up, Runs& times) {
    if (warm_up > 0) {
      const prony_span span = prony_span_begin(PRONY_PHASE, "warm-up", 0);
      for (std::size_t i = 0; i < warm_up; ++i)
        if (auto failure = session.run()) {
          prony_span_end(span, PRONY_FAILED);
          return failure;
        }
      prony_span_end(span, PRONY_OK);
    }
    times.begin_ns.reserve(runs);
    times.end_ns.reserve(runs);
    const prony_span span = prony_span_begin(PRONY_PHASE, name.c_str(), 0);
    prony_span_count(span, "runs", static_cast<std::int64_t>(runs));
    std::optional<Failure> failure;
    for (std::size_t i = 0; i < runs && !failure; ++i) {
      times.begin_ns.push_back(prony_now_ns());
      failure = session.run();
      times.end_ns.push_back(prony_now_ns());
    }
    prony_span_end(span, failure ? PRONY_FAILED : PRONY_OK);
    return failure;
  }

  static json durations(const Runs& times) {
    json list = json::array();
    for (std::size_t i = 0; i < times.begin_ns.size(); ++i) list.push_back(times.end_ns[i] - times.begin_ns[i]);
    return list;
  }

  static json nodes_of(const Profile& profile) {
    json list = json::array();
    std::vector<json> took(profile.nodes.size(), json::array());
    std::vector<std::int64_t> sums(profile.nodes.size());
    for (const ProfiledRun& run : profile.runs) {  // a node of a loop may run several times
      std::fill(sums.begin(), sums.end(), 0);
      for (const NodeTime& one : run.nodes) sums[one.node] += one.duration_us;
      for (std::size_t i = 0; i < sums.size(); ++i) took[i].push_back(sums[i]);
    }
    for (std::size_t i = 0; i < profile.nodes.size(); ++i)
      list.push_back({{"name", profile.nodes[i].name},
                      {"op", profile.nodes[i].op},
                      {"provider", profile.nodes[i].provider},
                      {"durations_us", std::move(took[i])}});
    return list;
  }

  // The nodes of the first runs as spans: where they lay within their run, laid onto the run's own stamps. Not of all:
  // a Run is no place for millions of them, and the reply has every duration.
  static void write_spans(const std::string& id, const Profile& profile, const Runs& times) {
    constexpr std::size_t most_runs = 10;
    for (std::size_t i = 0; i < std::min(most_runs, profile.runs.size()); ++i) {
      const ProfiledRun& run = profile.runs[i];
      wait_for_room();
      const prony_span whole = prony_span_complete(PRONY_BATCH, id.c_str(), 0, times.begin_ns[i], times.end_ns[i]);
      if (whole == 0) return;
      for (const NodeTime& one : run.nodes) {
        const ProfiledNode& node = profile.nodes[one.node];
        wait_for_room();
        const std::int64_t begin =
            std::clamp(times.begin_ns[i] + (one.begin_us - run.begin_us) * 1000, times.begin_ns[i], times.end_ns[i]);
        const std::int64_t end = std::clamp(begin + one.duration_us * 1000, begin, times.end_ns[i]);
        const prony_span layer =
            prony_span_complete(PRONY_LAYER, (node.name.empty() ? node.op : node.name).c_str(), whole, begin, end);
        prony_span_attribute(layer, "op", node.op.c_str());
      }
    }
  }

  // Nobody waits for a reader that has gone: a second in all.
  static void wait_for_room() {
    for (int i = 0; i < 100 && prony_recording() != 0 && prony_span_room() < 64; ++i) {
      const timespec pause{0, 10'000'000};
      ::nanosleep(&pause, nullptr);
    }
  }

  void phase(const json& message) {
    const std::string name = text(message, "name", true);
    const std::int64_t ms = integer(message, "ms", 0, 86'400'000, 0);
    const prony_span span = prony_span_begin(PRONY_PHASE, name.c_str(), 0);
    const timespec pause{static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000 * 1'000'000)};
    ::nanosleep(&pause, nullptr);
    prony_span_end(span, PRONY_OK);
    say({{"type", "done"}, {"name", name}});
  }

  void error(const std::string& code, const std::string& message, const std::string& id = {}) {
    json what = {{"code", code}, {"message", message}};
    if (!id.empty()) what["id"] = id;
    say({{"type", "error"}, {"error", what}});
  }

  void say(const json& message) {
    std::string line = message.dump(-1, ' ', false, json::error_handler_t::replace);
    line.push_back('\n');
    for (std::size_t done = 0; done < line.size();) {
      const ssize_t got = ::write(out_, line.data() + done, line.size() - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {  // nobody listens any more
        write_failed_ = stopped_ = true;
        return;
      }
      done += static_cast<std::size_t>(got);
    }
  }

  int out_;
  KeptValues kept_;  // before the session that is fed with them
  OnnxSession session_;
  SessionSettings settings_;
  std::map<std::string, std::vector<std::int64_t>> shapes_;
  bool loaded_ = false, stopped_ = false, write_failed_ = false;
};

}  // namespace
}  // namespace prony_engine

int main() {
  // Whatever a library prints goes to standard error: the protocol has standard output for itself.
  const int out = ::dup(STDOUT_FILENO);
  if (out < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return 1;
  std::signal(SIGPIPE, SIG_IGN);
  if (::isatty(STDIN_FILENO) == 0) std::signal(SIGINT, SIG_IGN);
  (void)prony_open(nullptr);  // nobody recording is no failure
  int status = 0;
  {
    prony_engine::Worker worker(out);
    status = worker.run();
  }
  prony_close();
  return status;
}
