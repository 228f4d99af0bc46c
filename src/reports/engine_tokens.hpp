// Engine tokens: what servers of language models counted themselves (sensor `engine`), and what a proxy saw of
// requests, beside the joules of the same window: every quotient with its denominator in its name. Pure; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/charge.hpp"
#include "reports/summary.hpp"

namespace prony {

struct EngineTokens {
  std::string device;  // "llama-server, http://127.0.0.1:8080/metrics"
  std::optional<double> prompt_tokens, output_tokens, steps;
  // Of the headline domains in the measured window; absent where that or the count is, or where there were none.
  std::optional<Estimate> gross_per_output_token_j, gross_per_token_j;
};
// One row a server. Where there are several their joules cannot be told apart: then only counts.
[[nodiscard]] std::vector<EngineTokens> engine_tokens(const Summary& summary);
[[nodiscard]] std::vector<std::string> engine_words(const Summary& summary);
[[nodiscard]] nlohmann::ordered_json engine_json(const Summary& summary);

// Of a proxy's Run: one item for each model and outcome.
[[nodiscard]] std::vector<std::string> proxied_words(const Summary& summary);

}  // namespace prony
