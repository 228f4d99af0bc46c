// A load through the whole driver, against workers in Python that behave as each test says.
#pragma once

#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/spawn.hpp"
#include "workloads/worker.hpp"

namespace prony::load_worker {

// What comes before `answer`, which is run for each batch of lines that lay ready: `new` has their prompts.
inline std::string worker(const std::string& answer, const std::string& capabilities = "'streams','schedule'") {
  return R"(
import json, os, sys, time, select
held, most, done = [], 0, 0
def say(**m): os.write(1, (json.dumps(m) + "\n").encode())
def ok(m, **more): say(type="result", id=m["id"], finish="length", output_tokens=2, **more)
say(type="hello", protocol=1, worker="w", engine="e", engine_version="7", capabilities=["prompt",)" +
         capabilities + R"(])
rest = b""
while True:
    data = os.read(0, 1 << 20)
    if not data: break
    *lines, rest = (rest + data).split(b"\n")
    new, over = [], False
    for line in lines:
        m = json.loads(line)
        if m["type"] == "load": say(type="loaded", facts={"streams": m.get("streams", 1)})
        if m["type"] == "cancel": over = "only" if "only" in m else "all"
        if m["type"] == "prompt": new.append(m)
        if m["type"] == "stop": say(type="bye"); sys.exit()
    held += new
    most = max(most, len(held))
)" + answer;
}
inline const std::string answers_all = R"(
    for m in held: ok(m)
    held = []
)";

struct Load {
  explicit Load(std::string program) {
    options.arguments = {"python3", "-u", "-c", std::move(program)};
    options.model = "none";
    options.keep_output = true;
    options.request_timeout_ns = 20'000'000'000;
  }

  // One level; the prompts are as many as its requests, or as many as asked for.
  Result<WorkloadOutcome> run(LoadLevel level, std::size_t prompts = 0) {
    LoadPlan plan;
    plan.most_streams = level.streams;
    plan.requests = level.open() ? level.times_ns.size() : level.requests;
    for (std::size_t i = 1; options.prompts.size() < (prompts > 0 ? prompts : plan.requests.value_or(1)); ++i)
      options.prompts.push_back({std::to_string(i), "x", {}});
    plan.next_level = [this, level = std::move(level)](const LevelSeen* last) -> std::optional<LoadLevel> {
      if (last == nullptr) return level;
      seen.push_back(*last);
      return std::nullopt;
    };
    options.load = std::move(plan);
    return drive();
  }

  Result<WorkloadOutcome> drive() {
    workload = make_worker_workload(options);
    auto child = spawn(workload->command());
    if (!child) return Unexpected<Error>(child.error());
    started.set_value();
    return workload->run(*child, [this](const Progress& progress) { told = progress; });
  }

  WorkerOptions options;
  std::unique_ptr<Workload> workload;
  std::promise<void> started;
  std::vector<LevelSeen> seen;
  Progress told;
};

inline LoadLevel closed(std::size_t streams, std::size_t requests) {
  LoadLevel level;
  level.streams = streams;
  level.requests = requests;
  return level;
}
inline LoadLevel at_once(std::size_t requests, std::size_t streams = most_streams) {
  LoadLevel level;
  level.streams = streams;
  level.times_ns.assign(requests, 0);
  return level;
}

inline std::string fact(const WorkloadOutcome& outcome, const std::string& key) {
  for (const auto& [name, value] : outcome.facts)
    if (name == key) return value;
  return {};
}
// ok, failed, cancelled, not begun: their sum is what was asked for.
inline std::vector<std::string> ends(const WorkloadOutcome& outcome) {
  return {fact(outcome, "load.ok"), fact(outcome, "load.failed"), fact(outcome, "load.cancelled"),
          fact(outcome, "load.not_begun")};
}

}  // namespace prony::load_worker
