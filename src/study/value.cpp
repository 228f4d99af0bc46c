#include "study/value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/text.hpp"

namespace prony::study {

namespace {

std::string twelve_digits(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  if (value == 0) return "0";
  std::array<char, 40> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::general, 12).ptr;
  return {text.data(), end};
}

std::string quote_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

const Value* Value::find(std::string_view key) const noexcept {
  for (const Entry& entry : table)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

Value text_value(std::string text, std::size_t line) {
  Value value;
  value.kind = Value::Kind::text;
  value.text = std::move(text);
  value.line = line;
  return value;
}

std::string_view to_string(Value::Kind kind) noexcept {
  switch (kind) {
    case Value::Kind::null: return "nothing";
    case Value::Kind::boolean: return "true or false";
    case Value::Kind::integer:
    case Value::Kind::real: return "a number";
    case Value::Kind::text: return "a text";
    case Value::Kind::list: return "a list";
    case Value::Kind::table: return "a table";
  }
  return "?";
}

std::string word_of(const Value& value) {
  switch (value.kind) {
    case Value::Kind::boolean: return value.boolean ? "true" : "false";
    case Value::Kind::integer: return std::to_string(value.integer);
    case Value::Kind::real: return format_number(value.real);
    case Value::Kind::text: return value.text;
    default: return {};
  }
}

std::string canonical_word(const std::string& word) {
  if (const auto number = parse_finite(word)) return twelve_digits(*number);
  return quote_text(word);
}

std::string canonical(const Value& value) {
  switch (value.kind) {
    case Value::Kind::null: return "null";
    case Value::Kind::boolean: return quote_text(value.boolean ? "true" : "false");
    case Value::Kind::integer:
    case Value::Kind::real:
      return twelve_digits(value.kind == Value::Kind::real ? value.real : static_cast<double>(value.integer));
    case Value::Kind::text: return canonical_word(value.text);
    case Value::Kind::list: {
      std::string out = "[";
      for (const Value& item : value.list) out += (out.size() > 1 ? "," : "") + canonical(item);
      return out + "]";
    }
    case Value::Kind::table: {
      std::vector<std::string> items;
      for (const Entry& entry : value.table) items.push_back(quote_text(entry.key) + ":" + canonical(entry.value));
      std::ranges::sort(items);
      std::string out = "{";
      for (const std::string& item : items) out += (out.size() > 1 ? "," : "") + item;
      return out + "}";
    }
  }
  return {};
}

std::string hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += digits[hash >> shift & 0xf];
  return out;
}

Result<Value> read_study_text(std::string_view text, const std::string& name) {
  if (text.size() > longest_file)
    return fail(ErrorCode::full, "a study file of more than 4 MiB", name,
                "Lists of prompts go into files of their own.");
  if (text.find('\0') != std::string_view::npos)
    return fail(ErrorCode::malformed, "this is no text: it holds a zero byte", name);
  return name.ends_with(".yaml") || name.ends_with(".yml") ? read_yaml(text, name) : read_toml(text, name);
}

std::string at_line(const std::string& name, std::size_t line) {
  return line == 0 ? name : name + ":" + std::to_string(line);
}

}  // namespace prony::study
