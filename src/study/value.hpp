// Value: what a study file holds, whichever language it is written in: a tree of texts, numbers, lists and tables that
// knows the line of each. Thread promise: plain values. Errors: malformed, with the line, where the text is no TOML or
// YAML, is nested too deep or holds too much (YAML's aliases can make much of little).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::study {

inline constexpr std::size_t most_values = 200'000, deepest_value = 40, longest_file = 4u << 20;

struct Entry;

struct Value {
  enum class Kind { null, boolean, integer, real, text, list, table };
  Kind kind = Kind::null;
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<Value> list;
  std::vector<Entry> table;  // in the order of the file
  std::size_t line = 0;      // from 1; 0: not from a file

  [[nodiscard]] bool is(Kind wanted) const noexcept { return kind == wanted; }
  [[nodiscard]] bool scalar() const noexcept { return kind != Kind::list && kind != Kind::table; }
  [[nodiscard]] const Value* find(std::string_view key) const noexcept;  // of a table; null: not there
};

struct Entry {
  std::string key;
  Value value;
  std::size_t line = 0;
};

[[nodiscard]] Value text_value(std::string text, std::size_t line = 0);
[[nodiscard]] std::string_view to_string(Value::Kind kind) noexcept;  // "a number", "a list", …

// As a word of a command line: "true", "12", "0.7"; lists and tables have none (""), null neither.
[[nodiscard]] std::string word_of(const Value& value);
// Equal for values that mean the same: keys sorted, numbers to twelve digits, a number written as text like the number.
// What is absent on purpose (null) differs from what is not there.
[[nodiscard]] std::string canonical(const Value& value);
[[nodiscard]] std::string canonical_word(const std::string& word);
// 16 hex digits of a text (FNV-1a): a label for people; what must not be confused is compared as text.
[[nodiscard]] std::string hash_of(std::string_view text);

// `name` is for errors alone.
[[nodiscard]] Result<Value> read_toml(std::string_view text, const std::string& name);
[[nodiscard]] Result<Value> read_yaml(std::string_view text, const std::string& name);
// By the ending of its name: .yaml and .yml; all else is TOML.
[[nodiscard]] Result<Value> read_study_text(std::string_view text, const std::string& name);

// "FILE:12" for errors.
[[nodiscard]] std::string at_line(const std::string& name, std::size_t line);

}  // namespace prony::study
