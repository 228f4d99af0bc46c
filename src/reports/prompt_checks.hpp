// What was asked of the requests held against what came: lengths of prompts and answers, answers that end in a loop,
// requests that their client called off, turns of conversations; several models side by side; and what measuring cost
// (an intrusion test). Pure; plain values. Absent is absent: a length that nobody asked for is not checked.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reports/summary.hpp"

namespace prony {

struct RequestCheck {
  std::optional<std::int64_t> asked_prompt_tokens, asked_output_tokens, asked_min_output_tokens;
  // Whether it came as asked: an answer exactly, a made prompt within 5 % and 4 tokens. Absent: not asked, not told by
  // the engine, or the request failed or was called off.
  std::optional<bool> prompt_kept, output_kept;
  std::optional<double> loop_share;  // of the answer: its end repeats one piece again and again
  bool cancelled = false;
};
[[nodiscard]] RequestCheck check_request(const RequestRow& row);

// Whether two requests ever ran at once. Then what was drawn while each ran holds the others' too: such joules (gross)
// must not be summed, nor divided by one request's tokens; what each is charged may.
[[nodiscard]] bool ran_at_once(const Summary& summary);

// One sentence each, for WARNING lines.
[[nodiscard]] std::vector<std::string> length_warnings(const Summary& summary);
// That the context is longer than what the model was trained for, as the engine tells both; "": it is not, or nobody
// tells.
[[nodiscard]] std::string context_warning(const Summary& summary);
// Items of the labelled lines "lengths", "loops", "cancelled", "conversations"; empty where there is nothing to say.
[[nodiscard]] std::vector<std::string> length_items(const Summary& summary);
[[nodiscard]] std::vector<std::string> loop_items(const Summary& summary);
[[nodiscard]] std::vector<std::string> cancel_items(const Summary& summary);

// Of a server's answers: pieces of their streams, and those of them that were read in one go with a later one, whose
// time they then have: sent together, or the client did not get to read in time. Absent: no client of a server told.
struct PiecesRead {
  std::int64_t pieces = 0, together = 0;
  // So many that times to the first token are too long and gaps and decode too short.
  [[nodiscard]] bool too_late() const noexcept { return together * 10 > pieces; }
};
[[nodiscard]] std::optional<PiecesRead> pieces_read(const Summary& summary);
[[nodiscard]] std::vector<std::string> pieces_warnings(const Summary& summary);
[[nodiscard]] std::vector<std::string> conversation_items(const Summary& summary);

// Requests of one --model.
struct ModelRow {
  std::string name;
  std::size_t requests = 0, ok = 0;
  std::int64_t prompt_tokens = 0, output_tokens = 0;
  std::optional<double> ttft_s, decode_tokens_per_s;  // means of those that have them
  // Of the requests that have both joules and tokens; gross is absent where requests ran at once.
  std::optional<Estimate> gross, gross_per_output_token, charged, charged_per_output_token;
};
// Empty where the Run has one model.
[[nodiscard]] std::vector<ModelRow> model_rows(const Summary& summary);
[[nodiscard]] std::string models_table(const Summary& summary, std::size_t width, bool colour);

// Differences on − off of the time per output token, pairwise over prompts and over rounds on, off, off, on.
struct Intrusion {
  std::size_t pairs = 0;
  double on_s = 0, off_s = 0;             // means of seconds per output token
  double difference_s = 0;                // mean of the pairs
  std::optional<double> low_s, high_s;    // 95 % interval of that mean; absent with fewer than two pairs
  std::optional<double> cpu_on, cpu_off;  // of Prony: share of one core while requests ran
};
// Absent: the Run is no intrusion test, or no pair is complete.
[[nodiscard]] std::optional<Intrusion> intrusion_of(const Summary& summary);
[[nodiscard]] std::vector<std::string> intrusion_items(const Summary& summary);

void put_request_check(nlohmann::ordered_json& request, const RequestRow& row);
// "prompt_checks", "models", "intrusion": where there is something to tell.
void put_prompt_checks(nlohmann::ordered_json& out, const Summary& summary);

}  // namespace prony
