#include "workloads/prompt_preparation.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace prony {

namespace {

using nlohmann::json;

constexpr std::size_t most_texts = 256;                   // of one request
constexpr std::size_t most_bytes = std::size_t{4} << 20;  // of one request

std::string whole_text(const Prompt& prompt) {
  std::string all;
  for (const Message& message : prompt.before) all += message.content + "\n";
  return all + prompt.text;
}

// Lengths of those that are not known, by the engine's tokeniser. Stops at the first reply that does not help.
void count_by_engine(const std::vector<Prompt>& prompts, std::vector<PromptLength>& lengths, const AskWorker& ask) {
  for (std::size_t next = 0; next < prompts.size();) {
    json texts = json::array();
    std::vector<std::size_t> places;
    for (std::size_t bytes = 0; next < prompts.size() && places.size() < most_texts && bytes < most_bytes; ++next) {
      if (!lengths[next].estimated) continue;
      texts.push_back(whole_text(prompts[next]));
      bytes += prompts[next].text.size();
      places.push_back(next);
    }
    if (places.empty()) return;
    const json reply = ask({{"type", "tokenise"}, {"texts", texts}});
    const json counts = reply.is_object() ? reply.value("counts", json()) : json();
    if (!counts.is_array() || counts.size() != places.size()) return;
    for (std::size_t i = 0; i < places.size(); ++i)
      if (counts[i].is_number_integer() && counts[i].get<std::int64_t>() >= 0)
        lengths[places[i]] = {counts[i].get<std::int64_t>(), false};
  }
}

}  // namespace

bool any_synthetic(const std::vector<Prompt>& prompts) {
  return std::ranges::any_of(prompts, [](const Prompt& prompt) { return prompt.synthetic.has_value(); });
}

std::optional<TokensPerWord> learn_tokens_per_word(const AskWorker& ask) {
  std::pair<std::size_t, std::int64_t> seen[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const auto [text, words] = calibration_text(i + 1);
    const json reply = ask({{"type", "prompt"},
                            {"id", "calibration " + std::to_string(i + 1)},
                            {"text", text},
                            {"max_tokens", 1},
                            {"warm_up", true}});
    const json tokens = reply.is_object() ? reply.value("prompt_tokens", json()) : json();
    if (!tokens.is_number_integer()) return std::nullopt;
    seen[i] = {words, tokens.get<std::int64_t>()};
  }
  return tokens_per_word(seen[0], seen[1]);
}

Result<std::vector<Prompt>> selected_prompts(std::vector<Prompt> prompts, const PromptSelection& selection,
                                             bool tokenises, const AskWorker& ask, WorkloadFacts& facts) {
  std::vector<PromptLength> lengths;
  for (const Prompt& prompt : prompts) lengths.push_back(prompt_length(prompt));
  if (selection.needs_lengths()) {
    if (tokenises) count_by_engine(prompts, lengths, ask);
    const auto estimated = std::ranges::count_if(lengths, [](const PromptLength& length) { return length.estimated; });
    facts.emplace_back("prompts.lengths", estimated == 0 ? "by the engine's tokeniser, or as asked"
                                                         : std::to_string(estimated) +
                                                               " estimated at four bytes a token: this engine does "
                                                               "not count without answering");
  }
  if (selection.range) {
    const std::size_t all = prompts.size();
    prompts = within_range(std::move(prompts), lengths, *selection.range);
    if (prompts.empty())
      return fail(ErrorCode::usage, "none of the " + std::to_string(all) + " prompts is of the length asked for",
                  "--prompt-tokens", "Widen the range.");
    facts.emplace_back("prompts.left_out", std::to_string(all - prompts.size()));
    if (selection.order != PromptOrder::as_is) {
      lengths.clear();  // of those that are left; counting them again is cheap
      for (const Prompt& prompt : prompts) lengths.push_back(prompt_length(prompt));
      if (tokenises && selection.needs_lengths()) count_by_engine(prompts, lengths, ask);
    }
  }
  return ordered(std::move(prompts), lengths, selection.order, selection.seed);
}

}  // namespace prony
