#include "dialect.hpp"

#include <algorithm>
#include <cmath>

#include "header_text.hpp"

namespace prony_http {

namespace {

constexpr std::int64_t most_whole = std::int64_t{1} << 60;

bool says_any(const std::string& text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const char* word) { return text.find(word) != std::string::npos; });
}

// The protocol's code for what a server says, from its status and its words.
std::string code_for(int status, const std::string& type, const std::string& message) {
  const std::string words = lower(type + " " + message);
  if (says_any(words, {"exceed_context_size", "context_length_exceeded", "context length", "context size",
                       "context window", "exceeds the available context", "input length exceeds"}))
    return "context";
  if (status == 401 || status == 403) return "denied";
  if (status == 404) return "model";
  if (status == 429 || status == 503) return "busy";
  if (says_any(words, {"out of memory", "requires more system memory"})) return "memory";
  return status >= 400 && status < 500 ? "refused" : "internal";
}

}  // namespace

std::optional<std::int64_t> whole(const json& object, const char* key) {
  const json& value = member(object, key);
  if (value.is_number_unsigned())
    return value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most_whole)
               ? std::optional(static_cast<std::int64_t>(value.get<std::uint64_t>()))
               : std::nullopt;
  if (value.is_number_integer() && value.get<std::int64_t>() >= 0) return value.get<std::int64_t>();
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (number >= 0 && number <= 1e15 && std::floor(number) == number) return static_cast<std::int64_t>(number);
  }
  return std::nullopt;
}

std::optional<std::int64_t> ms_as_ns(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_number()) return std::nullopt;
  const double ms = value.get<double>();
  if (!(ms >= 0 && ms < 1e11)) return std::nullopt;  // NaN is refused too
  return static_cast<std::int64_t>(std::llround(ms * 1e6));
}

std::string text_of(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

const json& member(const json& object, const char* key) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(key);
  return found == object.end() ? nothing : *found;
}

std::string one_line(std::string_view text, std::size_t most) {
  std::string result(text.substr(0, most));
  while (!result.empty() && text.size() > most && (static_cast<unsigned char>(result.back()) & 0xC0) == 0x80)
    result.pop_back();  // no half characters where it was cut
  if (text.size() > most && !result.empty() && static_cast<unsigned char>(result.back()) >= 0xC0) result.pop_back();
  for (char& c : result)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  return text.size() > most ? result + "…" : result;
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::optional<Failure> told_error(const json& message, int status) {
  if (!message.is_object()) return std::nullopt;
  const json& error = member(message, "error");
  const json* told = nullptr;
  if (error.is_object())
    told = &error;
  else if (text_of(message, "object") == "error" || text_of(message, "type") == "error")
    told = &message;
  else if (member(message, "code").is_number() && member(message, "message").is_string() &&
           !message.contains("choices"))
    told = &message;  // an error of its own kind under status 200
  std::string words = error.is_string() ? error.get<std::string>() : told != nullptr ? text_of(*told, "message") : "";
  if (words.empty() && told == nullptr && !error.is_string()) {
    const json& detail = member(message, "detail");  // FastAPI's
    if (status == 200 || detail.is_null()) return std::nullopt;
    words = detail.is_string() ? detail.get<std::string>() : dump(detail);
  }
  if (words.empty()) words = told != nullptr ? dump(*told) : "an error without words";
  const int code =
      told != nullptr ? static_cast<int>(std::min<std::int64_t>(whole(*told, "code").value_or(status), 999)) : status;
  const std::string type = told != nullptr ? text_of(*told, "type") + " " + text_of(*told, "code") : std::string();
  return Failure{code_for(status == 200 ? code : status, type, words), one_line(words)};
}

Failure refusal(int status, const std::string& body, const std::string& retry_after) {
  const json message = json::parse(body, nullptr, false);
  Failure failure{code_for(status, "", ""), body.empty() ? "no words" : one_line(body, 120)};
  if (const auto told = told_error(message, status)) failure = *told;
  failure.message = "HTTP " + std::to_string(status) + ": " + failure.message;
  // Seconds, or a date.
  const bool seconds = retry_after.find_first_not_of("0123456789") == std::string::npos;
  if (!retry_after.empty())
    failure.message += " (it asks to come again after " + one_line(retry_after, 40) + (seconds ? " s)" : ")");
  return failure;
}

Failure our_refusal(int status, const std::string& body, const std::string& retry_after) {
  Failure failure = refusal(status, body, retry_after);
  if (failure.code == "denied") failure.message += " (the key is named by --api-key-file FILE)";
  return failure;
}

namespace {

Fallible<json> document(const Fallible<Reply>& reply, const std::string& path) {
  if (!reply) return tl::unexpected<Failure>(reply.error());
  if (reply->status != 200) return tl::unexpected<Failure>(our_refusal(reply->status, reply->body, ""));
  json message = json::parse(reply->body, nullptr, false);
  if (message.is_discarded())
    return failed("refused", path + " answered no JSON: \"" + one_line(reply->body, 60) + "\"");
  return message;
}

}  // namespace

Fallible<json> get_json(const Caller& call, const std::string& path, std::int64_t patience_ns) {
  return document(call({"GET", path, ""}, patience_ns), path);
}

Fallible<json> post_json(const Caller& call, const std::string& path, const json& body, std::int64_t patience_ns) {
  return document(call({"POST", path, dump(body)}, patience_ns), path);
}

json messages_of(const PromptSettings& settings) {
  json messages = json::array();
  for (const auto& [role, content] : settings.before) messages.push_back({{"role", role}, {"content", content}});
  messages.push_back({{"role", "user"}, {"content", settings.text}});
  return messages;
}

std::string joined_text(const PromptSettings& settings) {
  std::string all;
  for (const auto& [role, content] : settings.before) all += content + "\n";
  return all + settings.text;
}

}  // namespace prony_http
