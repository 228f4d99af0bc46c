// Interface: which paths of which servers go to a model, and how their answers are read where engines/http has no
// dialect for them. Pure. Thread promise: any thread. Sources: Ollama docs/api.md; llama.cpp tools/server/README.md;
// OpenAI's API reference (chat, completions, embeddings, responses); Anthropic's API reference (messages).
#pragma once

#include <string>
#include <string_view>

#include "dialect.hpp"

namespace prony_proxy {

struct Interface {
  std::string_view name;                         // as Seen::dialect
  const prony_http::Dialect* dialect = nullptr;  // null: read_message()
};

// Null: the path is not one that makes a model work. Any prefix may stand before it ("/gateway/v1/completions").
[[nodiscard]] const Interface* interface_of(std::string_view path);

// One event, or the whole document, of OpenAI's responses and Anthropic's messages. True: it holds text.
bool read_message(const prony_http::json& message, std::string& model, prony_http::Answer& answer);
// Counts that stand elsewhere than the dialect looks: llama-server's timings in a stream without usage, embeddings.
void take_other_counts(const prony_http::json& message, prony_http::Answer& answer);
// The member "model" of a request's body; "" if there is none.
[[nodiscard]] std::string model_in(std::string_view body);

}  // namespace prony_proxy
