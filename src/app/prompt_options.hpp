// Options of `prony llm` about what is asked: where prompts come from, their lengths and order, how long answers are,
// conversations, requests called off, several models, and how the engine and the sampler go about it. They stand on the
// page `prony help prompts`. Thread promise: one thread. Errors: usage, in words of the option concerned.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/sampling_mode.hpp"
#include "app/settings.hpp"
#include "base/result.hpp"
#include "workloads/worker.hpp"

namespace prony::app {

struct PromptOptions {
  std::string source;  // a file, a folder, "-"; empty: built in
  std::string format, synthetic, shared_prefix, prompt_tokens, batching;
  std::string order = "as-is", turns = "1", turn_think = "0ms", cancel_after = "1s", model_gap = "0ms";
  std::string sampling = "continuous";
  std::vector<std::string> models;
  double cancel_rate = 0;
  std::int32_t min_tokens = 0, truncate = 0;
  bool intrusion_test = false;
};

void add_prompt_options(CLI::App& command, PromptOptions& options, Settings& settings);
[[nodiscard]] std::string prompts_help_text();
[[nodiscard]] std::vector<std::string> prompt_config_keys();

// The prompts and all that is said of them, into `worker`; notes for the user.
[[nodiscard]] Result<std::vector<std::string>> take_prompts(const PromptOptions& options, WorkerOptions& worker);
// Whether an engine can put prompts together at all, and in the way that was asked for. `engine` "": a worker of the
// user's own, which knows itself what it can.
[[nodiscard]] Result<void> batching_goes_with(const std::string& batching, std::string_view engine, bool server);
// Once the load is planned: what does not go together with requests that arrive by a plan is refused by name.
[[nodiscard]] Result<void> goes_with_load(const PromptOptions& options, const WorkerOptions& worker);
[[nodiscard]] Result<SamplingMode> sampling_mode(const PromptOptions& options);

}  // namespace prony::app
