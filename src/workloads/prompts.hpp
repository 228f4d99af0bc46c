// Prompts: what is asked, from a file, a folder or the built-in set, in any of the forms that benchmarks use.
// The form is told by the content unless it is named. A bad record is an error that names file, line and field; what is
// passed over (empty lines, unknown members) is told in `notes`. Thread promise: pure, but for load_prompts(). Errors:
// usage/malformed, with `where` = "file:line". Sources: google-research/instruction_following_eval (IFEval);
// AIEnergyScore/text_generation; ShareGPT as vLLM's benchmarks read it; OpenAI's chat and batch interfaces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "workloads/synthetic_text.hpp"

namespace prony {

// What stands in a conversation before the text that is asked.
struct Message {
  std::string role;  // system, user, assistant; or what else the file says
  std::string content;
  bool operator==(const Message&) const = default;
};

struct Prompt {
  std::string id;    // unique within a set; without one in the file: the prompt's number from 1
  std::string text;  // valid UTF-8, not empty; of a synthetic one: empty until it is asked
  // The most output tokens; what a file tells of the length of its answers, if no more.
  std::optional<std::int32_t> max_tokens = std::nullopt;
  std::vector<Message> before = {};  // as the file has it, its answers too
  // Prompts of one session are the turns of one conversation, in the order of the set: each is asked with the turns
  // before it and the answers that they got.
  std::string session = {};
  std::string group = {};  // what a file calls it: source, group; or of which shared prefix it is
  std::optional<SyntheticText> synthetic = std::nullopt;
  std::optional<std::int64_t> asked_tokens = std::nullopt;  // synthetic: the prompt tokens that were wanted
  std::string instructions = {};                            // IFEval: instruction_id_list and kwargs, as JSON
};

struct PromptSet {
  std::vector<Prompt> prompts;     // never empty
  std::size_t empty_lines = 0;     // skipped
  std::vector<std::string> notes;  // one line each, for the user
  std::string format = {};         // its name
};

enum class PromptFormat { jsonl, text, csv, sharegpt, messages, ifeval, ai_energy_score };
[[nodiscard]] std::string_view to_string(PromptFormat format) noexcept;
[[nodiscard]] Result<PromptFormat> prompt_format_from(std::string_view word);
// By the content; a name that ends in .txt is text, in .csv CSV, whatever it holds.
[[nodiscard]] PromptFormat prompt_format_of(std::string_view name, std::string_view content) noexcept;

struct PromptReading {
  std::optional<PromptFormat> format = std::nullopt;  // absent: told by the content
  // Of conversations: how many of the user's turns are asked, 0: all. Above one they are turns of a session.
  std::size_t turns = 1;
};

// `name` stands in errors: the file's name, or "-".
[[nodiscard]] Result<PromptSet> parse_prompts(std::string_view content, std::string_view name,
                                              const PromptReading& reading);
[[nodiscard]] Result<PromptSet> parse_prompts(std::string_view content, std::string_view name, PromptFormat format);
// Reads `path` (at most 256 MiB) and parses it. A folder: its files in the order of their names, a prompt each. "-" is
// the caller's affair: read standard input, then parse_prompts.
[[nodiscard]] Result<PromptSet> load_prompts(const std::string& path, const PromptReading& reading = {});
// Eight prompts of different kinds and lengths.
[[nodiscard]] PromptSet built_in_prompts();

}  // namespace prony
