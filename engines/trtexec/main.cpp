// prony-engine-trtexec [--precision fp32|fp16|int8] TRTEXEC [OPTIONS…]: the worker protocol of docs/worker-protocol.md
// on one side, a trtexec on the other. A network is built into an engine when it is loaded; each series of runs is a
// trtexec of its own, which writes its times. Beside the reply to a series with `profile` lie PROFILE.profile.json and
// PROFILE.layers.json as trtexec wrote them. Standard output carries protocol lines and nothing else.
#include <prony/prony.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "exported_times.hpp"
#include "trtexec_run.hpp"

namespace prony_engine {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct Refusal {
  std::string code, message;
};

std::string words_in(const json& message, const char* key, bool needed) {
  const auto found = message.find(key);
  if (found != message.end() && found->is_string()) return found->get<std::string>();
  if (needed) throw Refusal{"protocol", std::string(key) + " is missing or no text"};
  return {};
}
std::int64_t count_in(const json& message, const char* key, std::int64_t least, std::int64_t otherwise) {
  const auto found = message.find(key);
  if (found == message.end() || found->is_null()) return otherwise;
  if (!found->is_number_integer() || *found < least || *found > 10'000'000)
    throw Refusal{"protocol", std::string(key) + " is no number from " + std::to_string(least) + " to 10000000"};
  return found->get<std::int64_t>();
}

class TrtexecWorker {
 public:
  // `folder`: where the engine and its times go, the caller's own, who may have to kill this program; empty: a new one.
  TrtexecWorker(int out, std::vector<std::string> program, std::string precision, std::string folder)
      : out_(out), program_(std::move(program)), precision_(std::move(precision)), folder_(std::move(folder)) {
    if (!folder_.empty()) return;
    own_folder_ = true;
    std::string name = (fs::temp_directory_path() / "prony-trtexec-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) folder_ = name;
  }
  ~TrtexecWorker() {
    std::error_code ignored;
    if (own_folder_ && !folder_.empty()) fs::remove_all(folder_, ignored);
  }
  TrtexecWorker(const TrtexecWorker&) = delete;
  TrtexecWorker& operator=(const TrtexecWorker&) = delete;

  void run() {
    say({{"type", "hello"},
         {"protocol", 1},
         {"worker", "prony-engine-trtexec"},
         {"version", PRONY_VERSION},
         {"engine", "TensorRT " + precision_},
         {"engine_version", ""},
         {"capabilities", {"infer"}}});
    std::string line;
    while (!stopped_ && std::getline(std::cin, line)) handle(line);
  }

 private:
  void handle(const std::string& line) {
    const json message = json::parse(line, nullptr, false);
    std::string id;
    try {
      if (!message.is_object()) throw Refusal{"protocol", "the line is not a JSON object"};
      const std::string type = words_in(message, "type", true);
      if (type == "load") return load(message);
      if (type == "infer") {
        id = words_in(message, "id", true);
        return infer(message, id);
      }
      if (type == "cancel") return;
      if (type != "stop") throw Refusal{"unsupported", "unknown type \"" + type.substr(0, 40) + "\""};
      say({{"type", "bye"}});
      stopped_ = true;
    } catch (const Refusal& refusal) {
      json error{{"code", refusal.code}, {"message", refusal.message}};
      if (!id.empty()) error["id"] = id;
      say({{"type", "error"}, {"error", std::move(error)}});
    } catch (const json::exception& bad) {
      say({{"type", "error"}, {"error", {{"code", "protocol"}, {"message", bad.what()}}}});
    }
  }

  [[nodiscard]] std::vector<std::string> words(std::initializer_list<std::string> more) const {
    std::vector<std::string> all = program_;
    all.insert(all.end(), more);
    all.emplace_back("--duration=0");
    all.emplace_back("--noDataTransfers");
    all.push_back("--exportTimes=" + times_file());
    if (!shapes_.empty()) all.push_back("--shapes=" + shapes_);
    return all;
  }
  [[nodiscard]] std::string times_file() const { return folder_ + "/times.json"; }
  [[nodiscard]] std::string engine_file() const { return folder_ + "/engine.plan"; }

  // Runs it and reads its times; what is wrong is thrown.
  ExportedTimes times_of(const std::vector<std::string>& all, TrtexecRun& run, const char* code) {
    std::error_code ignored;
    fs::remove(times_file(), ignored);
    run = run_trtexec(all);
    if (!run.problem.empty()) throw Refusal{code, "trtexec: " + run.problem};
    std::ifstream in(times_file());
    ExportedTimes times = read_exported_times(in);
    if (!times.problem.empty()) throw Refusal{"internal", "trtexec: " + times.problem};
    return times;
  }

  void load(const json& message) {
    loaded_ = false;
    if (folder_.empty()) throw Refusal{"internal", "no folder could be made for the engine"};
    shapes_.clear();
    if (const auto shapes = message.find("shapes"); shapes != message.end() && shapes->is_object())
      for (const auto& [name, shape] : shapes->items()) {
        shapes_ += (shapes_.empty() ? "" : ",") + name + ":";
        for (std::size_t i = 0; i < shape.size(); ++i)
          shapes_ += (i > 0 ? "x" : "") + std::to_string(shape[i].get<std::int64_t>());
      }
    std::vector<std::string> all = words({"--onnx=" + words_in(message, "model", true), "--saveEngine=" + engine_file(),
                                          "--profilingVerbosity=detailed", "--iterations=1", "--warmUp=0"});
    if (precision_ != "fp32") all.push_back("--" + precision_);
    const prony_span span = prony_span_begin(PRONY_PHASE, "load", 0);
    TrtexecRun run;
    try {
      const ExportedTimes times = times_of(all, run, "model");
      once_ms_ = static_cast<double>(times.latencies_ns.back()) * 1e-6;
    } catch (const Refusal&) {
      prony_span_end(span, PRONY_FAILED);
      throw;
    }
    prony_span_end(span, PRONY_OK);
    loaded_ = true;
    say({{"type", "loaded"}, {"facts", {{"engine.version", run.version}}}});
  }

  void infer(const json& message, const std::string& id) {
    if (!loaded_) throw Refusal{"state", "no model is loaded"};
    const auto runs = static_cast<std::size_t>(count_in(message, "runs", 1, 1));
    const auto warm_up = count_in(message, "warm_up", 0, 0);
    const std::string profile = words_in(message, "profile", false);
    std::vector<std::string> all =
        words({"--loadEngine=" + engine_file(), "--iterations=" + std::to_string(runs),
               "--warmUp=" + std::to_string(std::llround(std::ceil(static_cast<double>(warm_up) * once_ms_)))});
    if (!profile.empty())
      for (const std::string& one :
           {std::string("--dumpProfile"), std::string("--profilingVerbosity=detailed"),
            "--exportProfile=" + profile + ".profile.json", "--exportLayerInfo=" + profile + ".layers.json"})
        all.push_back(one);
    TrtexecRun run;
    ExportedTimes times = times_of(all, run, "internal");
    if (times.latencies_ns.size() < runs)
      throw Refusal{"internal", "trtexec: it wrote times of " + std::to_string(times.latencies_ns.size()) +
                                    " inferences where " + std::to_string(runs) + " were asked for"};
    // Where the inferences lay is known from when it said that they were over, and how long all of them took.
    if (run.measured_ns > 0 && times.whole_ns > 0) {
      const prony_span span =
          prony_span_complete(PRONY_PHASE, id.c_str(), 0, run.measured_ns - times.whole_ns, run.measured_ns);
      prony_span_count(span, "runs", static_cast<std::int64_t>(times.latencies_ns.size()));
    }
    const auto first = times.latencies_ns.end() - static_cast<std::ptrdiff_t>(runs);
    json reply{
        {"type", "result"}, {"id", id}, {"durations_ns", std::vector<std::int64_t>(first, times.latencies_ns.end())}};
    if (!profile.empty()) reply["nodes"] = json::array();
    say(reply);
  }

  void say(const json& message) {
    std::string line = message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    for (std::size_t done = 0; done < line.size();) {
      const ssize_t got = ::write(out_, line.data() + done, line.size() - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {  // nobody listens any more
        stopped_ = true;
        return;
      }
      done += static_cast<std::size_t>(got);
    }
  }

  int out_;
  std::vector<std::string> program_;
  std::string precision_, folder_, shapes_;
  double once_ms_ = 1;
  bool loaded_ = false, stopped_ = false, own_folder_ = false;
};

}  // namespace
}  // namespace prony_engine

int main(int count, char** arguments) {
  std::vector<std::string> words(arguments + 1, arguments + count);
  std::string precision = "fp32", folder;
  while (words.size() >= 2 && (words[0] == "--precision" || words[0] == "--folder")) {
    (words[0] == "--folder" ? folder : precision) = words[1];
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.empty() || (precision != "fp32" && precision != "fp16" && precision != "int8")) {
    std::cerr << "usage: prony-engine-trtexec [--precision fp32|fp16|int8] [--folder DIR] TRTEXEC [OPTIONS…]\n";
    return 2;
  }
  const int out = ::dup(STDOUT_FILENO);
  if (out < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return 1;
  std::signal(SIGPIPE, SIG_IGN);
  (void)prony_open(nullptr);  // nobody recording is no failure
  prony_engine::TrtexecWorker(out, std::move(words), std::move(precision), std::move(folder)).run();
  ::close(out);
  prony_close();
  return 0;
}
