#include "collect/form.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "base/text.hpp"

namespace prony::collect {

namespace {

constexpr std::size_t most_fields = 200, most_identifier_bytes = 200, most_message_bytes = 64 * 1024,
                      most_stream_bytes = 64;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::string decoded(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = i + 2 < text.size() && text[i] == '%' ? digit(text[i + 1]) : -1;
    const int low = high >= 0 ? digit(text[i + 2]) : -1;
    if (low >= 0) {
      plain += static_cast<char>(static_cast<unsigned char>(high * 16 + low));
      i += 2;
    } else {
      plain += text[i] == '+' ? ' ' : text[i];
    }
  }
  return plain;
}

std::string small_letters(std::string_view text) {
  std::string small(text);
  std::ranges::transform(small, small.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return small;
}

Unexpected<Error> refused(const std::string& what) {
  return fail(ErrorCode::malformed, what, {}, "docs/collect.md has the form.");
}

}  // namespace

Result<std::map<std::string, std::string>> parse_form(std::string_view body) {
  std::map<std::string, std::string> fields;
  while (!body.empty()) {
    const std::size_t end = std::min(body.find('&'), body.size());
    const std::string_view part = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    if (part.empty()) continue;
    if (fields.size() >= most_fields) return fail(ErrorCode::full, "too many fields in a form");
    const std::size_t equals = std::min(part.find('='), part.size());
    fields.emplace(decoded(part.substr(0, equals)), decoded(part.substr(std::min(equals + 1, part.size()))));
  }
  return fields;
}

LogNumbers numbers_of(std::string_view message) {
  LogNumbers numbers;
  const std::array<std::pair<std::string_view, std::optional<double>*>, 5> gauges{
      {{"cpu usage", &numbers.cpu_percent},
       {"memory usage", &numbers.memory_percent},
       {"vdd in", &numbers.vdd_in_mw},
       {"vdd cpu_gpu_cv", &numbers.vdd_cpu_gpu_cv_mw},
       {"vdd soc", &numbers.vdd_soc_mw}}};
  for (const std::string_view part : split(message, ',')) {
    const std::size_t colon = part.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string name = small_letters(trim(part.substr(0, colon)));
    std::string_view value = trim(part.substr(colon + 1));
    if (value.ends_with('%')) value.remove_suffix(1);
    if (name == "bytes sent") numbers.bytes_sent = parse_u64(value);
    if (name == "bytes recv") numbers.bytes_received = parse_u64(value);
    for (const auto& [known, number] : gauges)
      if (name == known) *number = parse_finite(value);
  }
  return numbers;
}

Result<LogEntry> parse_log_entry(std::string_view body) {
  auto fields = parse_form(body);
  if (!fields) return Unexpected<Error>(fields.error());
  LogEntry entry;
  const bool said = fields->contains("message");
  entry.identifier = (*fields)["identifier"];
  entry.message = (*fields)["message"];
  if (entry.identifier.empty() || entry.identifier.size() > most_identifier_bytes ||
      entry.identifier.find('\0') != std::string::npos)
    return refused("'identifier' is missing or too long");
  if (!said || entry.message.size() > most_message_bytes) return refused("'message' is missing or too long");
  entry.level = (*fields)["levelname"].substr(0, 40);
  if (const auto created = parse_finite((*fields)["created"]); created && std::abs(*created) < 9e9)
    entry.created_ns = static_cast<std::int64_t>(std::floor(*created)) * 1'000'000'000 +
                       static_cast<std::int64_t>(std::round((*created - std::floor(*created)) * 1e9));
  entry.stream = (*fields)["stream"];
  entry.sequence = parse_u64((*fields)["sequence"]);
  if (entry.stream.size() > most_stream_bytes || entry.stream.empty() || entry.sequence.value_or(0) > INT64_MAX)
    entry.sequence.reset();
  if (!entry.sequence) entry.stream.clear();
  entry.numbers = numbers_of(entry.message);
  return entry;
}

}  // namespace prony::collect
