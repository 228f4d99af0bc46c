#include "workloads/prompts.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "workloads/prompt_records.hpp"

namespace prony {

namespace {

constexpr std::size_t prompt_file_limit = std::size_t{256} << 20;

constexpr std::array<std::pair<PromptFormat, std::string_view>, 7> format_names{
    {{PromptFormat::jsonl, "jsonl"},
     {PromptFormat::text, "text"},
     {PromptFormat::csv, "csv"},
     {PromptFormat::sharegpt, "sharegpt"},
     {PromptFormat::messages, "messages"},
     {PromptFormat::ifeval, "ifeval"},
     {PromptFormat::ai_energy_score, "aienergyscore"}}};

std::string_view without_mark(std::string_view content) noexcept {
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
  return content;
}

std::vector<std::string> lower_case(std::vector<std::string> columns) {
  for (std::string& column : columns) {
    column = trim(column);
    for (char& c : column)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return columns;
}

bool names_a_prompt(const std::vector<std::string>& columns) {
  return std::ranges::any_of(columns, [](const std::string& column) {
    return std::ranges::find(prompt_fields, column) != std::end(prompt_fields);
  });
}

// The first record that is an object and not only a header of "_" members.
PromptFormat json_format_of(std::string_view content) {
  PromptFormat format = PromptFormat::jsonl;
  bool found = false;
  const auto look = [&](std::string_view text, std::size_t) {
    if (found || trim(text).empty()) return;
    const auto object = nlohmann::json::parse(text, nullptr, false);
    found = true;
    if (!object.is_object() || object.empty()) return;
    const auto has = [&](const char* member) { return object.contains(member); };
    if (std::all_of(object.items().begin(), object.items().end(),
                    [](const auto& item) { return item.key().starts_with("_"); })) {
      format = PromptFormat::ai_energy_score;
    } else if (has("conversations") || has("conversation")) {
      format = PromptFormat::sharegpt;
    } else if (has("messages") || (has("body") && object["body"].is_object() && object["body"].contains("messages"))) {
      format = PromptFormat::messages;
    } else if (has("instruction_id_list")) {
      format = PromptFormat::ifeval;
    } else if (has("text") && !has("prompt")) {
      format = PromptFormat::ai_energy_score;
    }
  };
  // The first megabytes are enough to know.
  for_each_json_record(content.substr(0, std::size_t{4} << 20), look, [](std::size_t, const std::string&) {});
  return format;
}

void parse_csv(std::string_view content, PromptRecords& records) {
  std::vector<std::string> columns;
  for_each_csv_record(
      content,
      [&](std::vector<std::string>&& fields, std::size_t line) {
        records.at_line(line);
        if (!columns.empty()) {
          records.take_row(columns, fields);
          return !records.failed();
        }
        columns = lower_case(std::move(fields));
        std::vector<std::string> sorted = columns;
        std::ranges::sort(sorted);
        if (!names_a_prompt(columns))
          records.refuse("no column of the header is called prompt, text, instruction, input or question",
                         "the first line names the columns, for example: id,prompt,max_tokens");
        else if (std::ranges::adjacent_find(sorted) != sorted.end())
          records.refuse("two columns have one name");
        return !records.failed();
      },
      [&](std::size_t line, std::string what) {
        records.at_line(line);
        records.refuse(std::move(what), "fields with commas, quotes or line breaks stand in double quotes");
      });
}

Result<PromptSet> load_folder(const std::string& path) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
    if (entry->is_regular_file(error) && !entry->path().filename().string().starts_with(".")) files.push_back(*entry);
  if (error) return Unexpected<Error>(error_from_errno(error.value(), path, "cannot read the folder"));
  std::ranges::sort(files);
  PromptSet set;
  set.format = "text, a file a prompt";
  for (const auto& file : files) {
    auto content = read_whole_file(file.string(), prompt_file_limit);
    if (!content) return Unexpected<Error>(content.error());
    const std::string_view text = without_mark(*content);
    if (!is_utf8(text) || text.find('\0') != std::string_view::npos)
      return fail(ErrorCode::malformed, "the file is not a text in UTF-8", file.string(),
                  "every file of the folder is a prompt; those whose name begins with a dot are passed over");
    if (trim(text).empty()) {
      set.notes.push_back(file.string() + ": empty, skipped");
      continue;
    }
    set.prompts.push_back({file.filename().string(), std::string(text)});
  }
  if (set.prompts.empty()) return fail(ErrorCode::usage, "there is no prompt in it", path, "put a file a prompt there");
  return set;
}

}  // namespace

std::string_view to_string(PromptFormat format) noexcept {
  for (const auto& [value, name] : format_names)
    if (value == format) return name;
  return {};
}

Result<PromptFormat> prompt_format_from(std::string_view word) {
  std::string all;
  for (const auto& [value, name] : format_names) {
    if (name == word) return value;
    all += (all.empty() ? "" : ", ") + std::string(name);
  }
  return fail(ErrorCode::usage, "no format of prompts is called '" + printable(word, 40) + "'", "--prompts-format",
              "There are: " + all);
}

PromptFormat prompt_format_of(std::string_view name, std::string_view content) noexcept {
  content = without_mark(content);
  const std::string_view body = trim(content);
  if (name.ends_with(".txt")) return PromptFormat::text;
  if (name.ends_with(".csv")) return PromptFormat::csv;
  if (body.starts_with("{") || (body.starts_with("[") && trim(body.substr(1)).starts_with("{")))
    return json_format_of(content);
  if (name.ends_with(".jsonl") || name.ends_with(".ndjson") || name.ends_with(".json")) return PromptFormat::jsonl;
  const std::string_view first = body.substr(0, body.find('\n'));
  std::vector<std::string> columns;
  for (const std::string_view column : split(first, ',')) columns.emplace_back(column);
  return columns.size() > 1 && names_a_prompt(lower_case(columns)) ? PromptFormat::csv : PromptFormat::text;
}

Result<PromptSet> parse_prompts(std::string_view content, std::string_view name, const PromptReading& reading) {
  const PromptFormat format = reading.format ? *reading.format : prompt_format_of(name, content);
  content = without_mark(content);
  PromptRecords records(name, reading);
  if (format == PromptFormat::csv) {
    parse_csv(content, records);
  } else if (format == PromptFormat::text) {
    std::size_t line = 0;
    for_each_line(content, [&](std::string_view text) {
      records.at_line(++line);
      if (!records.failed()) records.take_line_of_text(text);
    });
  } else {
    for_each_json_record(
        content,
        [&](std::string_view text, std::size_t line) {
          if (records.failed()) return;
          records.at_line(line);
          records.take_json(text, format);
        },
        [&](std::size_t line, std::string what) {
          if (records.failed()) return;
          records.at_line(line);
          records.refuse(std::move(what));
        });
  }
  return records.finish(format);
}

Result<PromptSet> parse_prompts(std::string_view content, std::string_view name, PromptFormat format) {
  return parse_prompts(content, name, PromptReading{.format = format});
}

Result<PromptSet> load_prompts(const std::string& path, const PromptReading& reading) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return load_folder(path);
  auto content = read_whole_file(path, prompt_file_limit);
  if (!content) return Unexpected<Error>(content.error());
  return parse_prompts(*content, path, reading);
}

PromptSet built_in_prompts() {
  PromptSet set;
  for (const auto& [id, text] : {
           std::pair{"sky", "Explain in simple words why the sky is blue and why sunsets are red."},
           {"haiku", "Write a haiku about the first snow of the year."},
           {"sum", "A train leaves at 9:40 and arrives at 13:05. How long does it travel? Show each step."},
           {"code", "Write a function in C that reverses a string in place, and say what it costs."},
           {"list", "List ten things to check before a long bicycle tour, the most important first."},
           {"translate", "Translate into French: The measured energy is never less than the energy used."},
           {"story",
            "Tell a short story of a lighthouse keeper who finds a message in a bottle, with a surprising end."},
           {"summary",
            "Summarise in two sentences: In 1821 Gaspard de Prony described a brake that measures the power of an "
            "engine. A "
            "belt or blocks press on a turning wheel; the friction tries to turn a lever, and weights on the lever "
            "hold it "
            "still. From the weights, the length of the lever and the speed of the wheel follows the power that the "
            "engine "
            "really delivers, which is seldom what its maker promised."},
       })
    set.prompts.push_back({id, text});
  return set;
}

}  // namespace prony
