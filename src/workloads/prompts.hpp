// Prompts from a file or from the built-in set: JSON Lines (`prompt`, optional `id`, `max_tokens`) or text, one a line.
// A bad line is an error that names file and line; what is passed over (empty lines, unknown members) is told in
// `notes`. Thread promise: pure. Errors: usage/malformed, with `where` = "file:line".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony {

struct Prompt {
  std::string id;    // unique within a set; without one in the file: the prompt's number from 1
  std::string text;  // valid UTF-8, not empty
  std::optional<std::int32_t> max_tokens;
};

struct PromptSet {
  std::vector<Prompt> prompts;     // never empty
  std::size_t empty_lines = 0;     // skipped
  std::vector<std::string> notes;  // one line each, for the user
};

enum class PromptFormat { jsonl, text };
// .jsonl and .ndjson are JSON Lines, .txt is text; any other: JSON Lines if the first line that is not empty begins
// with "{".
[[nodiscard]] PromptFormat prompt_format_of(std::string_view name, std::string_view content) noexcept;

// `name` stands in errors: the file's name, or "-".
[[nodiscard]] Result<PromptSet> parse_prompts(std::string_view content, std::string_view name, PromptFormat format);
// Reads `path` (at most 64 MiB) and parses it. "-" is the caller's affair: read standard input, then parse_prompts.
[[nodiscard]] Result<PromptSet> load_prompts(const std::string& path);
// Eight prompts of different kinds and lengths.
[[nodiscard]] PromptSet built_in_prompts();

}  // namespace prony
