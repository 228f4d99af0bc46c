#include "workloads/prompts.hpp"

#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t file_limit = std::size_t{64} << 20;

// Well-formed UTF-8: no overlong forms, no surrogates, at most U+10FFFF.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80                   ? 1
                             : lead >= 0xc2 && lead < 0xe0 ? 2
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xf0 && lead < 0xf5 ? 4
                                                           : 0;
    if (size == 0 || i + size > text.size()) return false;
    for (std::size_t j = 1; j < size; ++j)
      if ((static_cast<unsigned char>(text[i + j]) & 0xc0) != 0x80) return false;
    const auto second = size > 1 ? static_cast<unsigned char>(text[i + 1]) : 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f))
      return false;
    i += size;
  }
  return true;
}

class Parser {
 public:
  Parser(std::string_view name, PromptFormat format) : name_(name), format_(format) {}

  Result<PromptSet> parse(std::string_view content) {
    if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
    for_each_line(content, [this](std::string_view line) {
      ++line_;
      if (!error_) take(line);
    });
    if (error_) return Unexpected<Error>(*error_);
    if (set_.prompts.empty())
      return fail(ErrorCode::usage, "there is no prompt in it", std::string(name_), "write one prompt a line");
    number_the_nameless();
    if (set_.empty_lines > 0)
      set_.notes.push_back(std::string(name_) + ": " + std::to_string(set_.empty_lines) + " empty line(s) skipped");
    for (const auto& [key, line] : unknown_)
      set_.notes.push_back(std::string(name_) + ": member \"" + key +
                           "\" is not known here and is ignored (first in line " + std::to_string(line) + ")");
    return std::move(set_);
  }

 private:
  void refuse(std::string what, std::string fix = {}) {
    error_ =
        Error{ErrorCode::malformed, std::move(what), std::string(name_) + ":" + std::to_string(line_), std::move(fix)};
  }

  void take(std::string_view line) {
    if (trim(line).empty()) {
      ++set_.empty_lines;
      return;
    }
    if (!is_utf8(line)) return refuse("the line is not UTF-8", "save the file as UTF-8");
    if (format_ == PromptFormat::jsonl) return take_json(line);
    if (line.find('\0') != std::string_view::npos) return refuse("the line holds a zero byte");
    set_.prompts.push_back({{}, std::string(line), {}});
  }

  void take_json(std::string_view line) {
    const std::string example =
        R"(each line is an object such as {"id": "sky", "prompt": "Why is the sky blue?", "max_tokens": 64})";
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) return refuse("the line is not a JSON object", example);
    Prompt prompt;
    for (const auto& [key, value] : object.items()) {
      if (key == "prompt") {
        if (!value.is_string()) return refuse("\"prompt\" is not a text", example);
        prompt.text = value.get<std::string>();
      } else if (key == "id") {
        if (!take_id(value, prompt)) return;
      } else if (key == "max_tokens") {
        if (!value.is_number_integer() || value.get<double>() < 1 ||
            value.get<double>() > std::numeric_limits<std::int32_t>::max())
          return refuse("\"max_tokens\" is not a whole number from 1", example);
        prompt.max_tokens = value.get<std::int32_t>();
      } else {
        unknown_.emplace(key, line_);
      }
    }
    if (!object.contains("prompt")) return refuse("\"prompt\" is missing", example);
    if (trim(prompt.text).empty()) return refuse("\"prompt\" is empty", example);
    if (prompt.text.find('\0') != std::string::npos) return refuse("\"prompt\" holds a zero byte");
    set_.prompts.push_back(std::move(prompt));
  }

  bool take_id(const nlohmann::json& value, Prompt& prompt) {
    if (value.is_number_integer())
      prompt.id = value.dump();
    else if (value.is_string())
      prompt.id = value.get<std::string>();
    else
      refuse("\"id\" is not a text");
    if (!error_ && (prompt.id.empty() || prompt.id.size() > 200 || prompt.id.find('\0') != std::string::npos))
      refuse("\"id\" is empty, longer than 200 bytes or holds a zero byte");
    if (error_) return false;
    const auto [first, fresh] = lines_of_ids_.emplace(prompt.id, line_);
    if (!fresh)
      refuse("id \"" + prompt.id + "\" is already used in line " + std::to_string(first->second), "ids must differ");
    return !error_;
  }

  // A prompt without an id gets its number; should somebody else carry that name, a stroke is added.
  void number_the_nameless() {
    for (std::size_t i = 0; i < set_.prompts.size(); ++i) {
      Prompt& prompt = set_.prompts[i];
      if (!prompt.id.empty()) continue;
      prompt.id = std::to_string(i + 1);
      while (lines_of_ids_.contains(prompt.id)) prompt.id += "'";
      lines_of_ids_.emplace(prompt.id, i + 1);
    }
  }

  std::string_view name_;
  PromptFormat format_;
  PromptSet set_;
  std::size_t line_ = 0;
  std::map<std::string, std::size_t> lines_of_ids_, unknown_;
  std::optional<Error> error_;
};

}  // namespace

PromptFormat prompt_format_of(std::string_view name, std::string_view content) noexcept {
  if (name.ends_with(".jsonl") || name.ends_with(".ndjson")) return PromptFormat::jsonl;
  if (name.ends_with(".txt")) return PromptFormat::text;
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
  return trim(content).starts_with("{") ? PromptFormat::jsonl : PromptFormat::text;
}

Result<PromptSet> parse_prompts(std::string_view content, std::string_view name, PromptFormat format) {
  return Parser(name, format).parse(content);
}

Result<PromptSet> load_prompts(const std::string& path) {
  auto content = read_whole_file(path, file_limit);
  if (!content) return Unexpected<Error>(content.error());
  return parse_prompts(*content, path, prompt_format_of(path, *content));
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
    set.prompts.push_back({id, text, {}});
  return set;
}

}  // namespace prony
