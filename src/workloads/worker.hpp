// Drives any worker by docs/worker-protocol.md: loads a model, sends prompts one after another or as a load with many
// under way, watches over each answer. Knows nothing of energy. A worker that dies, hangs or talks rubbish ends the run
// with words; what was answered stays. Thread promise: command() then run() from one thread; cancel() from any.
// Failures are lines of WorkloadOutcome; a Result error only if the worker could not be driven at all (its hello or
// load).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "workloads/load_plan.hpp"
#include "workloads/prompt_order.hpp"
#include "workloads/prompt_requests.hpp"
#include "workloads/prompts.hpp"
#include "workloads/warm_up.hpp"
#include "workloads/workload.hpp"

namespace prony {

struct WorkerOptions : AskSettings {   // and how every prompt is asked
  std::vector<std::string> arguments;  // the worker's program (looked up in PATH) and its arguments
  // load; what is left out is the worker's default
  std::string model;
  std::optional<std::int32_t> threads, ctx, batch;
  bool use_mmap = true;
  std::string load_advice;               // what to do if it does not load; empty: what there is to say of a file
  std::vector<std::string> more_models;  // asked the same after the first; requests are then named "model/id"
  std::int64_t model_gap_ns = 0;         // rest before each of them
  std::string batching;  // "static:8", …: how the engine itself puts prompts together; empty: it does not
  // prompts
  std::vector<Prompt> prompts;
  PromptOrder order = PromptOrder::as_is;
  std::uint64_t order_seed = 1;
  std::optional<TokenRange> prompt_tokens;  // only prompts of such length are asked
  std::int64_t turn_think_ns = 0;           // between the turns of a session
  std::int32_t repeat = 1;                  // of the whole set; above 1 the requests are named "id#1", "id#2", …
  std::int32_t warm_up = 0;                 // prompts before the first that counts; the set's, from its beginning
  std::optional<WarmUpRule> warm_up_until;  // then more of them until this says that it is enough
  std::function<WarmUpDrift()> drift;       // what the machine does meanwhile; empty: nobody watches it
  std::int64_t loaded_baseline_ns = 0;      // rest after loading, before the first prompt; whole milliseconds
  std::int64_t gap_ns = 0;                  // between prompts, whole milliseconds; not in a load
  std::optional<LoadPlan> load;             // how requests arrive; absent: one after another, the set `repeat` times
  // watching
  std::int64_t load_timeout_ns = 600'000'000'000, request_timeout_ns = 600'000'000'000;
};

// Facts of the outcome: the worker's (model.name, engine.threads, …; of further models model.2.name, …), engine.name,
// engine.version, engine.worker, and where they apply requests.failed, requests.cancelled and requests.not_run (ids,
// comma-separated, as model/request_names.hpp says), prompts.tokens_per_word, prompts.tokens_around, prompts.lengths,
// prompts.left_out, warmup.prompts, warmup.steady ("no: …"), warmup.cv; of a load also load.sent, load.ok, load.failed,
// load.cancelled and load.not_begun.
[[nodiscard]] std::unique_ptr<Workload> make_worker_workload(WorkerOptions options);
// What is said of a load of several requests under way to an engine that cannot have them.
[[nodiscard]] Error streams_refused();

}  // namespace prony
