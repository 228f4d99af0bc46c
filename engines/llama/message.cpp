#include "message.hpp"

#include <algorithm>
#include <limits>

namespace prony_engine {

using nlohmann::json;

std::optional<std::int64_t> integer(const json& message, const char* key, std::int64_t least, std::int64_t most) {
  const auto found = message.find(key);
  if (found == message.end() || found->is_null()) return std::nullopt;
  const bool fits = found->is_number_unsigned() ? found->get<std::uint64_t>() <= static_cast<std::uint64_t>(most)
                                                : found->is_number_integer() && found->get<std::int64_t>() <= most;
  if (!fits || (!found->is_number_unsigned() && found->get<std::int64_t>() < least) ||
      (found->is_number_unsigned() && least > 0 && found->get<std::uint64_t>() < static_cast<std::uint64_t>(least)))
    throw BadMessage{"protocol", std::string(key) + " must be a whole number from " + std::to_string(least) + " to " +
                                     std::to_string(most)};
  return found->get<std::int64_t>();
}

double number(const json& message, const char* key, double otherwise) {
  const auto found = message.find(key);
  if (found == message.end() || found->is_null()) return otherwise;
  if (!found->is_number()) throw BadMessage{"protocol", std::string(key) + " must be a number"};
  return found->get<double>();
}

bool yes(const json& message, const char* key, bool otherwise) {
  const auto found = message.find(key);
  if (found == message.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) throw BadMessage{"protocol", std::string(key) + " must be true or false"};
  return found->get<bool>();
}

std::string text(const json& message, const char* key) {
  const auto found = message.find(key);
  if (found == message.end() || !found->is_string())
    throw BadMessage{"protocol", std::string(key) + " is missing or not a text"};
  return found->get<std::string>();
}

PromptMessage prompt_message(const json& message, std::uint32_t seed) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const auto small = [&](const char* key, std::int64_t least) -> std::optional<std::int32_t> {
    const auto value = integer(message, key, least, most);
    return value ? std::optional(static_cast<std::int32_t>(*value)) : std::nullopt;
  };
  PromptMessage prompt;
  prompt.id = text(message, "id");
  PromptSettings& settings = prompt.settings;
  settings.text = text(message, "text");
  settings.max_tokens = small("max_tokens", 1).value_or(128);
  settings.min_tokens = small("min_tokens", 0).value_or(0);
  settings.truncate_tokens = small("truncate_prompt_tokens", 2);
  settings.temperature = number(message, "temperature", 0);
  settings.top_k = small("top_k", 0).value_or(0);
  settings.top_p = number(message, "top_p", 1);
  if (settings.top_p <= 0 || settings.top_p > 1) throw BadMessage{"protocol", "top_p must be above 0 and at most 1"};
  settings.seed =
      static_cast<std::uint32_t>(integer(message, "seed", 0, std::numeric_limits<std::uint32_t>::max()).value_or(seed));
  settings.ignore_eos = yes(message, "ignore_eos", false);
  settings.cache_prompt = yes(message, "cache_prompt", false);
  settings.cancel_after_ns =
      integer(message, "cancel_after_ns", 0, std::numeric_limits<std::int64_t>::max()).value_or(-1);
  prompt.keep_in_run = yes(message, "keep_output", false);
  prompt.return_text = yes(message, "return_text", false);
  settings.keep_output = prompt.keep_in_run || prompt.return_text;
  prompt.warm_up = yes(message, "warm_up", false);
  prompt.repeat = integer(message, "repeat", 1, most).value_or(1);
  if (const auto counts = message.find("counts"); counts != message.end() && counts->is_object())
    for (const auto& [key, value] : counts->items())
      if (value.is_number_integer()) prompt.counts.emplace_back(key, value.get<std::int64_t>());
  if (const auto attributes = message.find("attributes"); attributes != message.end() && attributes->is_object())
    for (const auto& [key, value] : attributes->items())
      if (value.is_string()) prompt.attributes.emplace_back(key, value.get<std::string>());
  return prompt;
}

LoadSettings load_settings(const json& message) {
  const auto small = [&](const char* key, std::int64_t least, std::int64_t most) -> std::optional<std::int32_t> {
    const auto value = integer(message, key, least, most);
    return value ? std::optional(static_cast<std::int32_t>(*value)) : std::nullopt;
  };
  LoadSettings settings;
  settings.model = text(message, "model");
  settings.threads = small("threads", 1, 1024);
  settings.ctx = small("ctx", 8, std::numeric_limits<std::int32_t>::max());
  settings.batch = small("batch", 1, 65536);
  settings.use_mmap = yes(message, "use_mmap", true);
  if (const auto found = message.find("batching"); found != message.end() && !found->is_null()) {
    const auto batching = batching_from(text(message, "batching"));
    if (!batching)
      throw BadMessage{"protocol",
                       "batching must be static:N, sorted:N or continuous:N (N prompts, to 256) or dynamic:TOKENS"};
    settings.batching = *batching;
  }
  return settings;
}

CorpusSettings corpus_settings(const json& message) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  CorpusSettings settings;
  settings.text = text(message, "text");
  settings.window = static_cast<std::int32_t>(integer(message, "window", 2, most).value_or(settings.window));
  settings.stride = static_cast<std::int32_t>(integer(message, "stride", 1, most).value_or(settings.window));
  settings.stride = std::min(settings.stride, settings.window);
  settings.most_tokens = integer(message, "most_tokens", 1, most);
  return settings;
}

std::string valid_utf8(const std::string& bytes) {
  const std::string quoted = json(bytes).dump(-1, ' ', false, json::error_handler_t::replace);
  return json::parse(quoted).get<std::string>();
}

}  // namespace prony_engine
