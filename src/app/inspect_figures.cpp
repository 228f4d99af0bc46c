// The figures of `prony inspect`, and their JSON.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/attention_groups.hpp"
#include "app/inspect_report.hpp"

namespace prony::app {

namespace {

using complexity::ModelCost;
using complexity::ModelShape;
using Json = nlohmann::ordered_json;

Json cost_json(const ModelCost& cost) {
  return {{"flop", cost.flop()},
          {"linear_flop", cost.linear_flop},
          {"attention_flop", cost.attention_flop},
          {"weight_bytes", cost.weight_bytes},
          {"kv_read_bytes", cost.kv_read_bytes},
          {"kv_written_bytes", cost.kv_written_bytes},
          {"flop_per_byte", cost.flop_per_byte()}};
}

Json roof_json(const Roofline& roof) {
  return {{"least_s", roof.seconds},
          {"most_tokens_per_s", roof.tokens_per_s},
          {"bound_by", roof.memory_bound ? "memory" : "compute"}};
}

Json model_json(const complexity::ModelFiles& model) {
  const ModelShape& shape = model.shape;
  Json json{{"format", model.format}, {"files", model.paths}, {"file_bytes", model.bytes}};
  if (!shape.name.empty()) json["name"] = shape.name;
  if (!shape.architecture.empty()) json["architecture"] = shape.architecture;
  if (shape.parameters > 0) json["parameters"] = shape.parameters;
  if (shape.weights_bytes) json["weights_bytes"] = *shape.weights_bytes;
  if (shape.bits_per_weight() > 0) json["bits_per_weight"] = shape.bits_per_weight();
  for (const complexity::TypeUse& use : shape.types) {
    Json type{{"type", use.type}, {"tensors", use.tensors}, {"elements", use.elements}};
    if (use.bytes) type["bytes"] = *use.bytes;
    json["types"].push_back(std::move(type));
  }
  return json;
}

void put_layers(Json& json, const ModelShape& shape) {
  json["layers"] = shape.layers.size();
  json["embedding"] = shape.embedding;
  json["vocabulary"] = shape.vocabulary;
  json["tied_embeddings"] = shape.tied;
  if (shape.context_length > 0) json["context_tokens"] = shape.context_length;
  if (shape.experts > 0) json["experts"] = shape.experts, json["experts_used"] = shape.experts_used;
  if (shape.latent()) json["latent"] = {{"kv_rank", shape.kv_rank}, {"rope_length", shape.rope_length}};
  json["attention"] = Json::array();
  for (const AttentionGroup& group : attention_groups(shape)) {
    Json row{{"layers", group.layers}};
    if (group.like.heads > 0) {
      row["heads"] = group.like.heads, row["kv_heads"] = group.like.kv_heads;
      row["key_length"] = group.like.key_length, row["value_length"] = group.like.value_length;
    }
    if (group.like.window > 0) row["window_tokens"] = group.like.window;
    if (group.like.recurrent) row["recurrent"] = true;
    if (!group.like.owns_cache) row["reads_the_cache_of_others"] = true;
    json["attention"].push_back(std::move(row));
  }
}

}  // namespace

std::vector<AttentionGroup> attention_groups(const ModelShape& shape) {
  std::vector<AttentionGroup> groups;
  for (const complexity::BlockShape& layer : shape.layers) {
    const auto alike = [&layer](const AttentionGroup& group) {
      const complexity::BlockShape& other = group.like;
      return layer.heads == other.heads && layer.kv_heads == other.kv_heads && layer.key_length == other.key_length &&
             layer.value_length == other.value_length && layer.window == other.window &&
             layer.owns_cache == other.owns_cache && layer.recurrent == other.recurrent;
    };
    const auto found = std::ranges::find_if(groups, alike);
    if (found == groups.end())
      groups.push_back({1, layer});
    else
      ++found->layers;
  }
  return groups;
}

Roofline roofline(const ModelCost& cost, double tokens, double peak_flop_per_s, double memory_bytes_per_s) {
  const double compute_s = cost.flop() / peak_flop_per_s, memory_s = cost.bytes() / memory_bytes_per_s;
  const double seconds = std::max(compute_s, memory_s);
  return {seconds, seconds > 0 ? tokens / seconds : 0, memory_s > compute_s};
}

InspectFigures inspect_figures(const ModelShape& shape, const InspectQuestion& question) {
  InspectFigures figures;
  const double number_bytes = question.cache_bytes_per_number;
  figures.prefill = complexity::prefill_cost(shape, question.prompt_tokens, 0, prefill_step_tokens, number_bytes);
  const double steps = std::max(question.output_tokens - 1, 0.0);
  figures.generation =
      complexity::generation_cost(shape, question.prompt_tokens, steps, question.sequences, number_bytes);
  figures.generated_tokens = steps * question.sequences;
  // The last token of the answer is nobody's input: its keys and values are never made.
  figures.kv_bytes = complexity::kv_size(shape, number_bytes).bytes(question.prompt_tokens + steps);
  figures.memory_bytes =
      complexity::memory_estimate(shape, question.prompt_tokens + steps, question.sequences, number_bytes).bytes();
  figures.active_parameters = static_cast<double>(shape.parameters);
  if (shape.experts > 0 && shape.experts_used > 0)
    for (const complexity::BlockShape& layer : shape.layers)
      figures.active_parameters -= static_cast<double>(layer.expert) *
                                   (1 - static_cast<double>(shape.experts_used) / static_cast<double>(shape.experts));
  if (question.peak_flop_per_s && question.memory_bytes_per_s) {
    const double peak = *question.peak_flop_per_s, bandwidth = *question.memory_bytes_per_s;
    figures.prefill_roof = roofline(figures.prefill, question.prompt_tokens, peak, bandwidth);
    if (steps > 0) figures.generation_roof = roofline(figures.generation, figures.generated_tokens, peak, bandwidth);
  }
  return figures;
}

Json inspect_json(const Inspected& inspected, const InspectQuestion& question) {
  const ModelShape& shape = inspected.model.shape;
  Json json{{"source", inspected.source}, {"model", model_json(inspected.model)}};
  if (!inspected.beside.empty()) json["model"]["not_counted"] = inspected.beside;
  if (!shape.unknown.empty()) json["unknown"] = shape.unknown;
  if (!inspected.model.why_no_costs.empty()) {
    json["why_no_costs"] = inspected.model.why_no_costs;
    return json;
  }
  const InspectFigures figures = inspect_figures(shape, question);
  put_layers(json["model"], shape);
  json["model"]["active_parameters"] = figures.active_parameters;
  const complexity::KvSize kv = complexity::kv_size(shape, question.cache_bytes_per_number);
  json["kv_cache"] = {{"type", question.cache_type},
                      {"bytes_per_token", kv.bytes_per_token},
                      {"windowed_bytes_per_token", kv.windowed_bytes_per_token}};
  if (kv.windowed_bytes_per_token > 0) json["kv_cache"]["window_tokens"] = kv.window_tokens;
  if (kv.state_bytes > 0) json["kv_cache"]["state_bytes"] = kv.state_bytes;
  json["kv_cache"]["bytes_per_sequence"] = figures.kv_bytes;
  json["question"] = {{"prompt_tokens", static_cast<std::uint64_t>(question.prompt_tokens)},
                      {"output_tokens", static_cast<std::uint64_t>(question.output_tokens)},
                      {"sequences", static_cast<std::uint64_t>(question.sequences)},
                      {"prefill_step_tokens", static_cast<std::uint64_t>(prefill_step_tokens)}};
  if (figures.memory_bytes) json["least_memory_bytes"] = *figures.memory_bytes;
  json["prefill"] = cost_json(figures.prefill);
  json["generation"] = cost_json(figures.generation);
  json["generation"]["tokens"] = static_cast<std::uint64_t>(figures.generated_tokens);
  if (figures.prefill_roof) {
    json["roofline"] = {{"peak_flop_per_s", *question.peak_flop_per_s},
                        {"peak_bytes_per_s", *question.memory_bytes_per_s},
                        {"peak_source", question.peak_source.empty() ? "flag" : question.peak_source},
                        {"prefill", roof_json(*figures.prefill_roof)}};
    if (figures.generation_roof) json["roofline"]["generation"] = roof_json(*figures.generation_roof);
  }
  return json;
}

}  // namespace prony::app
