// `prony inspect` on a terminal.
#include <array>
#include <cmath>
#include <string_view>

#include "app/attention_groups.hpp"
#include "app/inspect_report.hpp"
#include "base/text.hpp"
#include "reports/text_layout.hpp"

namespace prony::app {

namespace {

using complexity::ModelShape;

std::string with_prefix(double value, std::string_view unit) {
  constexpr std::array<std::string_view, 7> prefixes{"", "k", "M", "G", "T", "P", "E"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < prefixes.size()) value /= 1000, ++prefix;
  const int digits = value >= 100 || (prefix == 0 && value == std::floor(value)) ? 0 : value >= 10 ? 1 : 2;
  return format_fixed(value, digits) + " " + std::string(prefixes[prefix]) + std::string(unit);
}

// 8 030 261 248: parameters are compared digit by digit.
std::string grouped(double value) {
  std::string digits = format_fixed(value, 0);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, " ");
  return digits;
}

std::string shown(const std::string& text) { return printable(text, 80); }

std::vector<std::string> attention_words(const ModelShape& shape) {
  std::vector<std::string> words;
  for (const AttentionGroup& group : attention_groups(shape)) {
    const complexity::BlockShape& like = group.like;
    std::string word = std::to_string(group.layers) + (group.layers == 1 ? " layer: " : " layers: ");
    if (like.heads > 0 && shape.latent())
      word += std::to_string(like.heads) + " heads on one latent vector of " + std::to_string(shape.kv_rank) + " + " +
              std::to_string(shape.rope_length);
    else if (like.heads > 0)
      word += std::to_string(like.heads) + " heads on " + std::to_string(like.kv_heads) + " KV heads of " +
              std::to_string(like.key_length);
    else
      word += like.recurrent ? "recurrent" : "no attention";
    if (like.window > 0) word += ", the last " + std::to_string(like.window) + " tokens";
    if (!like.owns_cache) word += ", another layer's cache";
    words.push_back(std::move(word));
  }
  return words;
}

std::vector<std::string> weight_words(const ModelShape& shape) {
  std::vector<std::string> words;
  if (shape.weights_bytes) words.push_back(with_prefix(static_cast<double>(*shape.weights_bytes), "B"));
  if (shape.bits_per_weight() > 0) words.push_back(format_fixed(shape.bits_per_weight(), 2) + " bits per weight");
  for (const complexity::TypeUse& use : shape.types)
    words.push_back(use.type + " " + (use.bytes ? with_prefix(static_cast<double>(*use.bytes), "B") : "? B") + " in " +
                    std::to_string(use.tensors));
  return words;
}

std::vector<std::string> cache_words(const ModelShape& shape, const InspectQuestion& question,
                                     const InspectFigures& figures) {
  const complexity::KvSize kv = complexity::kv_size(shape, question.cache_bytes_per_number);
  std::vector<std::string> words{question.cache_type};
  if (kv.bytes_per_token > 0) words.push_back(with_prefix(kv.bytes_per_token, "B") + " per token");
  if (kv.windowed_bytes_per_token > 0)
    words.push_back(with_prefix(kv.windowed_bytes_per_token, "B") + " per token up to " + grouped(kv.window_tokens) +
                    " tokens");
  if (kv.state_bytes > 0) words.push_back(with_prefix(kv.state_bytes, "B") + " of state");
  words.push_back(with_prefix(figures.kv_bytes, "B") + " at the end of the answer");
  return words;
}

std::vector<std::string> cost_cells(std::string label, const complexity::ModelCost& cost,
                                    const std::optional<Roofline>& roof) {
  std::vector<std::string> cells{std::move(label),
                                 with_prefix(cost.flop(), "FLOP"),
                                 format_fixed(cost.flop() > 0 ? 100 * cost.attention_flop / cost.flop() : 0, 1) + " %",
                                 with_prefix(cost.weight_bytes, "B"),
                                 with_prefix(cost.kv_read_bytes, "B"),
                                 format_fixed(cost.flop_per_byte(), cost.flop_per_byte() < 10 ? 2 : 0)};
  cells.push_back(roof ? with_prefix(roof->tokens_per_s, "") : std::string());
  while (!cells.back().empty() && cells.back().back() == ' ') cells.back().pop_back();
  cells.push_back(roof ? (roof->memory_bound ? "memory" : "compute") : "");
  return cells;
}

std::string cost_table(const InspectQuestion& question, const InspectFigures& figures, std::size_t width, bool colour) {
  layout::TextTable table;
  table.columns = {{.header = "", .right = false},
                   {.header = "FLOP"},
                   {.header = "attention"},
                   {.header = "weights read", .priority = 1},
                   {.header = "KV read", .priority = 2},
                   {.header = "FLOP/B", .priority = 3},
                   {.header = "tokens/s ≤"},
                   {.header = "bound by", .right = false}};
  const std::string together = question.sequences > 1 ? " of " + grouped(question.sequences) + " requests" : "";
  table.rows.push_back(
      cost_cells("prompt of " + grouped(question.prompt_tokens), figures.prefill, figures.prefill_roof));
  if (figures.generated_tokens > 0)
    table.rows.push_back(cost_cells(grouped(question.output_tokens - 1) + " tokens after the first" + together,
                                    figures.generation, figures.generation_roof));
  std::vector<std::string> left_out;
  return table.render(width, colour, left_out);
}

std::vector<std::string> assumed(const InspectQuestion& question, const InspectFigures& figures) {
  std::vector<std::string> words{"1 multiply-add = 2 FLOP",
                                 "prompts one by one, in steps of " + grouped(prefill_step_tokens),
                                 "each step reads the weights once"};
  if (question.sequences > 1) words.push_back("all requests in one step");
  if (!figures.prefill_roof) return words;
  words.push_back("a ceiling at " + with_prefix(*question.peak_flop_per_s, "FLOP/s") + " and " +
                  with_prefix(*question.memory_bytes_per_s, "B/s") +
                  (question.peak_source.empty() ? "" : " (" + question.peak_source + ")") +
                  ": weights and cache all in that memory, computing and reading fully overlapped, nothing else done");
  return words;
}

}  // namespace

std::string inspect_text(const Inspected& inspected, const InspectQuestion& question, std::size_t width, bool colour) {
  using layout::Tone;
  const complexity::ModelFiles& model = inspected.model;
  const ModelShape& shape = model.shape;
  const auto line = [&](std::string_view label, const std::vector<std::string>& items) {
    return layout::labelled(label, items, width, Tone::plain, colour);
  };
  std::vector<std::string> title{"prony inspect"};
  for (const std::string& word : {shape.name, shape.architecture})
    if (!word.empty()) title.push_back(shown(word));
  title.push_back(model.format +
                  (model.paths.size() > 1 ? " in " + std::to_string(model.paths.size()) + " files" : ""));
  std::string text = layout::joined(title, width, 1) + "\n";
  const bool costs = model.why_no_costs.empty();
  const InspectFigures figures = costs ? inspect_figures(shape, question) : InspectFigures{};
  std::vector<std::string> parameters;
  if (shape.parameters > 0) parameters.push_back(grouped(static_cast<double>(shape.parameters)));
  if (costs && shape.experts > 0)
    parameters.push_back(grouped(figures.active_parameters) + " active: " + std::to_string(shape.experts_used) +
                         " of " + std::to_string(shape.experts) + " experts");
  if (costs && shape.tied) parameters.emplace_back("the embedding is the output matrix, too");
  text += line("parameters", parameters) + line("weights", weight_words(shape));
  if (costs) {
    text += line("attention", attention_words(shape));
    std::vector<std::string> sizes{"embedding " + std::to_string(shape.embedding),
                                   "vocabulary " + grouped(static_cast<double>(shape.vocabulary))};
    if (shape.context_length > 0)
      sizes.push_back("context " + grouped(static_cast<double>(shape.context_length)) + " tokens");
    text += line("sizes", sizes) + line("KV cache", cache_words(shape, question, figures));
    if (figures.memory_bytes)
      text += line("memory", {"at least " + with_prefix(*figures.memory_bytes, "B") + ": weights and " +
                              (question.sequences > 1 ? grouped(question.sequences) + " caches" : "the cache")});
    text += "\n" + cost_table(question, figures, width, colour) + "\n" + line("assumed", assumed(question, figures));
  }
  if (!costs) text += line("no costs", {printable(model.why_no_costs, 200)});
  if (!inspected.beside.empty()) text += line("not counted", inspected.beside);
  std::vector<std::string> unknown;
  for (const std::string& what : shape.unknown) unknown.push_back(printable(what, 200));
  const double context = question.prompt_tokens + question.output_tokens;
  if (costs && shape.context_length > 0 && context > static_cast<double>(shape.context_length))
    text += layout::labelled("WARNING",
                             {grouped(context) + " tokens are more than the model's context of " +
                              grouped(static_cast<double>(shape.context_length)) +
                              ": the figures are what computing them would cost, if an engine did"},
                             width, Tone::warning, colour);
  return text + layout::labelled("not told", unknown, width, Tone::warning, colour);
}

}  // namespace prony::app
