// The driver's messages read: members of a type and within bounds, or a BadMessage. Thread promise: pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "llama_engine.hpp"

namespace prony_engine {

// What the driver sent is not what the protocol says; caught where a line is handled, never further.
struct BadMessage {
  std::string code, message;
};

// An integer member within bounds; absent or null → nullopt.
[[nodiscard]] std::optional<std::int64_t> integer(const nlohmann::json& message, const char* key, std::int64_t least,
                                                  std::int64_t most);
[[nodiscard]] double number(const nlohmann::json& message, const char* key, double otherwise);
[[nodiscard]] bool yes(const nlohmann::json& message, const char* key, bool otherwise);
[[nodiscard]] std::string text(const nlohmann::json& message, const char* key);

// One prompt, as the protocol has it.
struct PromptMessage {
  std::string id;
  PromptSettings settings;  // keep_output: the text is wanted, here or in the Run
  bool keep_in_run = false, return_text = false, warm_up = false;
  std::int64_t repeat = 1;
  std::vector<std::pair<std::string, std::int64_t>> counts;  // of the driver's, for the span
  std::vector<std::pair<std::string, std::string>> attributes;
};
[[nodiscard]] PromptMessage prompt_message(const nlohmann::json& message, std::uint32_t seed);
[[nodiscard]] LoadSettings load_settings(const nlohmann::json& message);

[[nodiscard]] CorpusSettings corpus_settings(const nlohmann::json& message);

// Any bytes as valid UTF-8: a token may hold half a character.
[[nodiscard]] std::string valid_utf8(const std::string& bytes);

}  // namespace prony_engine
