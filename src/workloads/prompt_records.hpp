// The records of a prompts file, taken one by one into a set: what each field means in which format, and what is wrong
// with it, by line and field. A part of prompts.cpp. Pure; one thread. Errors: kept, the first; finish() gives it.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/prompts.hpp"

namespace prony {

// Well-formed UTF-8: no overlong forms, no surrogates, at most U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

class PromptRecords {
 public:
  PromptRecords(std::string_view name, const PromptReading& reading) : name_(name), reading_(reading) {}

  // The line that the next record begins in, from 1.
  void at_line(std::size_t line) noexcept { line_ = line; }
  [[nodiscard]] bool failed() const noexcept { return error_.has_value(); }
  void refuse(std::string what, std::string fix = {});

  void take_line_of_text(std::string_view line);
  void take_json(std::string_view text, PromptFormat format);
  // A row of CSV: the names of the columns, lower case, and its fields.
  void take_row(const std::vector<std::string>& columns, const std::vector<std::string>& fields);
  [[nodiscard]] Result<PromptSet> finish(PromptFormat format);

 private:
  struct Turn {
    std::string text;
    std::optional<std::int32_t> max_tokens;
  };
  void take_plain(const nlohmann::json& object);
  void take_ifeval(const nlohmann::json& object);
  void take_messages(const nlohmann::json& object);
  void take_sharegpt(const nlohmann::json& object);
  void take_conversation(std::vector<Message> messages, Prompt first, bool lengths_from_answers);
  bool take_common(const nlohmann::json& object, Prompt& prompt, const std::vector<std::string_view>& also_known);
  bool take_id(std::string_view field, const nlohmann::json& value, Prompt& prompt);
  bool take_limit(std::string_view field, const nlohmann::json& value, Prompt& prompt);
  bool text_of(const std::string& field, const nlohmann::json& value, std::string& text);
  void add(Prompt prompt);

  std::string_view name_;
  const PromptReading& reading_;
  PromptSet set_;
  std::size_t line_ = 1;
  std::map<std::string, std::size_t> lines_of_ids_, unknown_;
  std::size_t without_user_ = 0, trailing_answers_ = 0, estimated_lengths_ = 0, headers_ = 0;
  std::optional<Error> error_;
};

// Calls `take` for each record of a file in JSON: its lines, or the elements of its one array, with the line that each
// begins in. What stands between elements and does not belong there goes to `refuse`; nothing follows then.
void for_each_json_record(std::string_view content, const std::function<void(std::string_view, std::size_t)>& take,
                          const std::function<void(std::size_t, std::string)>& refuse);
// RFC 4180: each record's fields, with the line that it begins in. A quote that never ends goes to `refuse`.
void for_each_csv_record(std::string_view content,
                         const std::function<bool(std::vector<std::string>&&, std::size_t)>& take,
                         const std::function<void(std::size_t, std::string)>& refuse);
// Which column or member holds the prompt: the first of these.
inline constexpr std::string_view prompt_fields[] = {"prompt", "text", "instruction", "input", "question"};

}  // namespace prony
