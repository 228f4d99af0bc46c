// parts: http_engine
// Any JSON as an event of a stream or as a refusal: every dialect reads it without a crash, an answer that has failed
// is never taken for text, and no count or time is below 0.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dialect.hpp"

namespace {

void check(const std::optional<std::int64_t>& value) {
  if (value && *value < 0) std::abort();
}

void read(const prony_http::Dialect& dialect, const prony_http::json& event) {
  prony_http::Answer answer;
  const bool output = dialect.read(event, answer);
  if (output && answer.failure) std::abort();
  for (const auto& value : {answer.prompt_tokens, answer.cached_tokens, answer.output_tokens, answer.load_ns,
                            answer.queue_ns, answer.prefill_ns, answer.decode_ns, answer.total_ns})
    check(value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (prony_http::refusal(503, text, text).message.empty()) std::abort();
  const auto event = prony_http::json::parse(text, nullptr, false);
  if (!event.is_object()) return 0;
  for (const bool yes : {false, true}) {
    read(*prony_http::make_ollama(yes), event);
    const auto openai = prony_http::make_openai(yes);
    read(*openai, event);
    while (openai->ask_otherwise(400, text)) {  // it ends: each field is given up once
    }
  }
  read(*prony_http::make_llama_server(), event);
  return 0;
}
