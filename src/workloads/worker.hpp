// Drives any worker by docs/worker-protocol.md: loads a model, sends prompts one after another, watches over each
// answer. Knows nothing of energy. A worker that dies, hangs or talks rubbish ends the run with words; what was
// answered stays. Thread promise: command() then run() from one thread; cancel() from any. Failures are lines of
// WorkloadOutcome; a Result error only if the worker could not be driven at all (its hello or load).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "workloads/prompts.hpp"
#include "workloads/workload.hpp"

namespace prony {

struct WorkerOptions {
  std::vector<std::string> arguments;  // the worker's program (looked up in PATH) and its arguments
  // load; what is left out is the worker's default
  std::string model;
  std::optional<std::int32_t> threads, ctx, batch;
  bool use_mmap = true;
  std::string load_advice;  // what to do if it does not load; empty: what there is to say of a file
  // prompts
  std::vector<Prompt> prompts;
  std::int32_t max_tokens = 128;  // where the prompt does not say
  double temperature = 0;         // ≤ 0: greedy
  std::int32_t top_k = 0;         // 0 = off
  double top_p = 1;               // 1 = off
  std::uint32_t seed = 1;
  bool ignore_eos = false, keep_output = false;
  std::int32_t repeat = 1;              // of the whole set; above 1 the requests are named "id#1", "id#2", …
  std::int32_t warm_up = 0;             // prompts before the first that counts; the set's, from its beginning
  std::int64_t loaded_baseline_ns = 0;  // rest after loading, before the first prompt; whole milliseconds
  std::int64_t gap_ns = 0;              // between prompts, whole milliseconds
  // watching
  std::int64_t load_timeout_ns = 600'000'000'000, request_timeout_ns = 600'000'000'000;
};

// Facts of the outcome: the worker's (model.name, engine.threads, …), engine.name, engine.version, engine.worker,
// and where they apply requests.failed and requests.not_run (ids, comma-separated).
[[nodiscard]] std::unique_ptr<Workload> make_worker_workload(WorkerOptions options);

}  // namespace prony
