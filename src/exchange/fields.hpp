// What the writers share: a Run's model, its requests' ends, JSON text. Pure; internal to exchange.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "exchange/writers.hpp"
#include "reports/json_put.hpp"
#include "reports/load_figures.hpp"

namespace prony::exchange {

using Json = nlohmann::ordered_json;

[[nodiscard]] inline std::string json_text(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}
[[nodiscard]] inline Unexpected<Error> nothing_to_write(const Summary& summary, std::string_view format) {
  if (!summary.requests.empty())
    return fail(ErrorCode::usage,
                "of " + std::to_string(summary.requests.size()) + " requests none was answered with a time that " +
                    std::string(format) + " has a row for",
                summary.path,
                "It has prefill, and the time between tokens where an answer came in more than one piece; "
                "--format csv has all that is known.");
  return fail(ErrorCode::usage, "the Run has no requests, and " + std::string(format) + " has a row for each",
              summary.path, "`prony llm` and `prony proxy` record requests; for others there are csv and jsonl.");
}
[[nodiscard]] inline std::string model_of(const Summary& summary) {
  for (const char* key : {"model.name", "model.path", "setting.model"})
    if (std::string name = summary.fact(key); !name.empty()) return name;
  return {};
}
[[nodiscard]] inline std::vector<const RequestRow*> answered(const Summary& summary) {
  std::vector<const RequestRow*> rows;
  for (const RequestRow& row : summary.requests)
    if (end_of(row) == RequestEnd::ok) rows.push_back(&row);
  return rows;
}

// (tn − t1) / (O − 1) as other tools take it: an answer that came in one piece has 0 there and is in their means.
// Prony's own has none of it (metrics::tpot_s), for no time between tokens was seen.
[[nodiscard]] inline std::optional<double> after_first_s(const RequestRow& row) {
  if (!row.e2e_s || !row.ttft_s || !row.output_tokens || *row.output_tokens < 2) return std::nullopt;
  return (*row.e2e_s - *row.ttft_s) / static_cast<double>(*row.output_tokens - 1);
}

}  // namespace prony::exchange
