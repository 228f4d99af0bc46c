#include "interface.hpp"

#include <array>

namespace prony_proxy {

using prony_http::json;
using prony_http::member;
using prony_http::text_of;
using prony_http::whole;

namespace {

struct Row {
  std::string_view ending;
  Interface spoken;
};

const prony_http::Dialect* ollama() {
  static const auto dialect = prony_http::make_ollama(false);
  return dialect.get();
}
const prony_http::Dialect* llama_server() {
  static const auto dialect = prony_http::make_llama_server();
  return dialect.get();
}
const prony_http::Dialect* openai() {
  static const auto dialect = prony_http::make_openai(true);
  return dialect.get();
}

void take_usage(const json& usage, prony_http::Answer& answer) {
  if (!usage.is_object()) return;
  if (const auto count = whole(usage, "input_tokens")) answer.prompt_tokens = count;
  if (const auto count = whole(usage, "output_tokens")) answer.output_tokens = count;
  if (const auto count = whole(member(usage, "input_tokens_details"), "cached_tokens")) answer.cached_tokens = count;
  if (const auto count = whole(usage, "cache_read_input_tokens")) answer.cached_tokens = count;
}

}  // namespace

const Interface* interface_of(std::string_view path) {
  static const std::array<Row, 14> rows{{
      {"/api/generate", {"ollama", ollama()}},
      {"/api/chat", {"ollama", ollama()}},
      {"/api/embed", {"ollama", ollama()}},
      {"/api/embeddings", {"ollama", ollama()}},
      {"/chat/completions", {"openai", openai()}},
      {"/v1/completions", {"openai", openai()}},
      {"/v1/embeddings", {"openai", openai()}},
      {"/v1/responses", {"openai-responses", nullptr}},
      {"/v1/messages", {"anthropic", nullptr}},
      {"/completion", {"llama-server", llama_server()}},
      {"/completions", {"llama-server", llama_server()}},
      {"/infill", {"llama-server", llama_server()}},
      {"/embedding", {"llama-server", llama_server()}},
      {"/rerank", {"openai", openai()}},
  }};
  for (const Row& row : rows)
    if (path.ends_with(row.ending)) return &row.spoken;
  return nullptr;
}

bool read_message(const json& message, std::string& model, prony_http::Answer& answer) {
  if (const auto told = prony_http::told_error(message, 200)) {
    answer.failure = told;
    return false;
  }
  // Events have the document inside: "response" (responses), "message" (messages).
  const json& inner = member(message, "response").is_object()  ? member(message, "response")
                      : member(message, "message").is_object() ? member(message, "message")
                                                               : message;
  if (model.empty()) model = prony_http::one_line(text_of(inner, "model"), 120);
  take_usage(member(inner, "usage"), answer);
  take_usage(member(message, "usage"), answer);
  const std::string type = text_of(message, "type");
  const std::string why = text_of(inner, "stop_reason") + text_of(member(message, "delta"), "stop_reason");
  if (!why.empty()) answer.finish = why == "end_turn" ? "eos" : why == "max_tokens" ? "length" : why;
  const std::string status = text_of(inner, "status");
  if (type == "response.failed" || status == "failed")
    answer.failure = prony_http::Failure{"internal", "the server says that it failed"};
  if (type == "message_stop" || type == "response.completed" || type == "response.incomplete") answer.ended = true;
  if (answer.finish.empty() && (status == "completed" || status == "incomplete"))
    answer.finish = status == "completed" ? "eos" : "length";
  return type == "content_block_delta" || (type.starts_with("response.") && type.ends_with(".delta"));
}

void take_other_counts(const json& message, prony_http::Answer& answer) {
  const json& timings = member(message, "timings");
  if (timings.is_object()) {
    if (!answer.output_tokens) answer.output_tokens = whole(timings, "predicted_n");
    const auto computed = whole(timings, "prompt_n"), cached = whole(timings, "cache_n");
    if (!answer.prompt_tokens && computed) answer.prompt_tokens = *computed + cached.value_or(0);
  }
  if (!answer.prompt_tokens) answer.prompt_tokens = whole(message, "prompt_eval_count");  // Ollama's embeddings
}

std::string model_in(std::string_view body) {
  if (body.empty()) return {};
  const json message = json::parse(body, nullptr, false);
  return prony_http::one_line(text_of(message, "model"), 120);
}

}  // namespace prony_proxy
