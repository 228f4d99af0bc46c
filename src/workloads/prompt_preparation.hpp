// What must be known of a loaded model before the first prompt: how its tokeniser counts words (synthetic texts), and
// how long each prompt is (to choose and to sort). The worker is asked through `ask`. Pure otherwise; one thread.
// Errors: usage, where nothing is left to ask.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "workloads/prompt_order.hpp"
#include "workloads/prompts.hpp"

namespace prony {

// A request of the protocol → its reply; null if there was none, or an error.
using AskWorker = std::function<nlohmann::json(const nlohmann::json&)>;
using WorkloadFacts = std::vector<std::pair<std::string, std::string>>;

[[nodiscard]] bool any_synthetic(const std::vector<Prompt>& prompts);

// Two requests of one output token, in the warm-up. Absent: the engine does not count prompt tokens.
[[nodiscard]] std::optional<TokensPerWord> learn_tokens_per_word(const AskWorker& ask);

struct PromptSelection {
  PromptOrder order = PromptOrder::as_is;
  std::uint64_t seed = 1;
  std::optional<TokenRange> range = std::nullopt;
  [[nodiscard]] bool needs_lengths() const noexcept {
    return range || order == PromptOrder::sorted || order == PromptOrder::sorted_down;
  }
};
// `tokenises`: the worker has the capability `tokenise`; else lengths are estimated from bytes, and a fact says so.
[[nodiscard]] Result<std::vector<Prompt>> selected_prompts(std::vector<Prompt> prompts,
                                                           const PromptSelection& selection, bool tokenises,
                                                           const AskWorker& ask, WorkloadFacts& facts);

}  // namespace prony
