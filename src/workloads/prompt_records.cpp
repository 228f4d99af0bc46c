#include "workloads/prompt_records.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace prony {

namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> id_fields{"id", "key", "custom_id", "conversation_id", "request_id"};
constexpr std::array<std::string_view, 5> limit_fields{"max_tokens", "output_tokens", "output_length",
                                                       "max_completion_tokens", "max_new_tokens"};
constexpr std::array<std::string_view, 2> session_fields{"session", "session_id"};
constexpr std::array<std::string_view, 2> group_fields{"group", "source"};

constexpr const char* example =
    R"(each record is an object such as {"id": "sky", "prompt": "Why is the sky blue?", "max_tokens": 64})";

template <class Fields>
bool among(const Fields& fields, std::string_view key) {
  return std::find(std::begin(fields), std::end(fields), key) != std::end(fields);
}

std::string field_name(std::string_view field) { return "\"" + printable(field, 60) + "\""; }

std::size_t words_in(std::string_view text) {
  std::size_t count = 0;
  bool within = false;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!blank && !within) ++count;
    within = !blank;
  }
  return count;
}

// Names of who speaks, as the sets of conversations have them.
std::string role_of(std::string_view from) {
  if (from == "human" || from == "user") return "user";
  if (from == "gpt" || from == "assistant" || from == "chatgpt" || from == "bing" || from == "bard" || from == "model")
    return "assistant";
  return std::string(from);
}

}  // namespace

void PromptRecords::refuse(std::string what, std::string fix) {
  if (error_) return;
  error_ =
      Error{ErrorCode::malformed, std::move(what), std::string(name_) + ":" + std::to_string(line_), std::move(fix)};
}

void PromptRecords::take_line_of_text(std::string_view line) {
  if (trim(line).empty()) {
    ++set_.empty_lines;
    return;
  }
  if (!is_utf8(line)) return refuse("the line is not UTF-8", "save the file as UTF-8");
  if (line.find('\0') != std::string_view::npos) return refuse("the line holds a zero byte");
  Prompt prompt;
  prompt.text = line;
  set_.prompts.push_back(std::move(prompt));
}

void PromptRecords::take_json(std::string_view text, PromptFormat format) {
  if (trim(text).empty()) {
    ++set_.empty_lines;
    return;
  }
  if (!is_utf8(text)) return refuse("the record is not UTF-8", "save the file as UTF-8");
  const auto object = json::parse(text, nullptr, false);
  if (!object.is_object()) return refuse("the record is not a JSON object", example);
  // AIEnergyScore's file as some tools keep it begins with where it is from: members that begin with "_" alone.
  const bool header = !object.empty() && std::all_of(object.items().begin(), object.items().end(),
                                                     [](const auto& item) { return item.key().starts_with("_"); });
  if (header) {
    ++headers_;
    return;
  }
  switch (format) {
    case PromptFormat::sharegpt: return take_sharegpt(object);
    case PromptFormat::messages: return take_messages(object);
    case PromptFormat::ifeval: return take_ifeval(object);
    case PromptFormat::jsonl:
    case PromptFormat::ai_energy_score: return take_plain(object);
    case PromptFormat::text:
    case PromptFormat::csv: return refuse("this format has no JSON records");
  }
}

bool PromptRecords::text_of(const std::string& field, const json& value, std::string& text) {
  if (!value.is_string()) {
    refuse(field_name(field) + " is not a text", example);
    return false;
  }
  text = value.get<std::string>();
  if (text.find('\0') != std::string::npos) refuse(field_name(field) + " holds a zero byte");
  return !error_;
}

bool PromptRecords::take_id(std::string_view field, const json& value, Prompt& prompt) {
  if (value.is_number_integer())
    prompt.id = value.dump();
  else if (value.is_string())
    prompt.id = value.get<std::string>();
  else
    refuse(field_name(field) + " is not a text");
  if (!error_ && (prompt.id.empty() || prompt.id.size() > 200 || prompt.id.find('\0') != std::string::npos))
    refuse(field_name(field) + " is empty, longer than 200 bytes or holds a zero byte");
  if (error_) return false;
  const auto [first, fresh] = lines_of_ids_.emplace(prompt.id, line_);
  if (!fresh)
    refuse("id \"" + printable(prompt.id, 60) + "\" is already used in line " + std::to_string(first->second),
           "ids must differ");
  return !error_;
}

bool PromptRecords::take_limit(std::string_view field, const json& value, Prompt& prompt) {
  if (!value.is_number_integer() || value.get<double>() < 1 ||
      value.get<double>() > std::numeric_limits<std::int32_t>::max()) {
    refuse(field_name(field) + " is not a whole number from 1", example);
    return false;
  }
  prompt.max_tokens = value.get<std::int32_t>();
  return true;
}

// What every format may have beside its prompt. `also_known`: members that the format itself reads.
bool PromptRecords::take_common(const json& object, Prompt& prompt, const std::vector<std::string_view>& also_known) {
  for (const auto& [key, value] : object.items()) {
    if (among(also_known, key)) continue;
    if (value.is_null()) continue;
    if (among(id_fields, key)) {
      if (prompt.id.empty() && !take_id(key, value, prompt)) return false;
    } else if (among(limit_fields, key)) {
      if (!take_limit(key, value, prompt)) return false;
    } else if (among(session_fields, key)) {
      if (value.is_number_integer())
        prompt.session = value.dump();
      else if (!text_of(key, value, prompt.session))
        return false;
    } else if (among(group_fields, key)) {
      if (value.is_string()) prompt.group = value.get<std::string>();
    } else {
      unknown_.emplace(key, line_);
    }
  }
  return true;
}

void PromptRecords::take_plain(const json& object) {
  Prompt prompt;
  const auto field = std::find_if(std::begin(prompt_fields), std::end(prompt_fields),
                                  [&](std::string_view name) { return object.contains(std::string(name)); });
  if (field == std::end(prompt_fields)) return refuse("\"prompt\" is missing", example);
  const std::string name(*field);
  if (!text_of(name, object[name], prompt.text)) return;
  if (trim(prompt.text).empty()) return refuse(field_name(name) + " is empty", example);
  if (take_common(object, prompt, {name})) add(std::move(prompt));
}

void PromptRecords::take_ifeval(const json& object) {
  Prompt prompt;
  for (const char* field : {"key", "prompt", "instruction_id_list", "kwargs"})
    if (!object.contains(field))
      return refuse(field_name(field) + " is missing",
                    R"(IFEval's records have "key", "prompt", "instruction_id_list" and "kwargs")");
  if (!text_of("prompt", object["prompt"], prompt.text)) return;
  if (trim(prompt.text).empty()) return refuse("\"prompt\" is empty");
  const json &ids = object["instruction_id_list"], &kwargs = object["kwargs"];
  if (!ids.is_array() || !std::all_of(ids.begin(), ids.end(), [](const json& id) { return id.is_string(); }))
    return refuse("\"instruction_id_list\" is not a list of texts");
  if (!kwargs.is_array() || kwargs.size() != ids.size())
    return refuse("\"kwargs\" does not have as many elements as \"instruction_id_list\"");
  if (!take_common(object, prompt, {"prompt", "instruction_id_list", "kwargs"})) return;
  prompt.instructions = json{{"instruction_id_list", ids}, {"kwargs", kwargs}}.dump();
  add(std::move(prompt));
}

void PromptRecords::take_messages(const json& object) {
  Prompt prompt;
  // OpenAI's batch files wrap the request.
  const bool wrapped = object.contains("body") && object["body"].is_object();
  const json& request = wrapped ? object["body"] : object;
  const std::string within = wrapped ? "body.messages" : "messages";
  if (!request.contains("messages") || !request["messages"].is_array() || request["messages"].empty())
    return refuse(field_name(within) + " is missing or no list of messages",
                  R"(each record is an object such as {"messages": [{"role": "user", "content": "Why?"}]})");
  if (wrapped && !take_common(object, prompt, {"body", "method", "url"})) return;
  if (!take_common(request, prompt, {"messages", "model", "temperature", "stream", "top_p", "seed"})) return;
  std::vector<Message> messages;
  for (std::size_t i = 0; i < request["messages"].size(); ++i) {
    const json& entry = request["messages"][i];
    const std::string field = within + "[" + std::to_string(i) + "]";
    if (!entry.is_object()) return refuse(field_name(field) + " is not an object");
    Message message;
    if (!text_of(field + ".role", entry.value("role", json()), message.role)) return;
    const json content = entry.value("content", json());
    if (!content.is_array()) {
      if (!text_of(field + ".content", content, message.content)) return;
    } else {
      for (const json& part : content) {
        std::string text;
        if (!part.is_object() || part.value("type", json()) != "text")
          return refuse(field_name(field + ".content") + " holds something else than text");
        if (!text_of(field + ".content.text", part.value("text", json()), text)) return;
        message.content += text;
      }
    }
    messages.push_back(std::move(message));
  }
  take_conversation(std::move(messages), std::move(prompt), false);
}

void PromptRecords::take_sharegpt(const json& object) {
  Prompt prompt;
  const char* field = object.contains("conversations") ? "conversations" : "conversation";
  if (!object.contains(field) || !object[field].is_array())
    return refuse("\"conversations\" is missing or no list",
                  R"(ShareGPT's records are {"id": "a", "conversations": [{"from": "human", "value": "Why?"}]})");
  if (!take_common(object, prompt, {field})) return;
  std::vector<Message> messages;
  for (std::size_t i = 0; i < object[field].size(); ++i) {
    const json& entry = object[field][i];
    const std::string name = std::string(field) + "[" + std::to_string(i) + "]";
    Message message;
    if (!entry.is_object()) return refuse(field_name(name) + " is not an object");
    if (!text_of(name + ".from", entry.value("from", entry.value("role", json())), message.role)) return;
    if (!text_of(name + ".value", entry.value("value", entry.value("content", json())), message.content)) return;
    message.role = role_of(message.role);
    messages.push_back(std::move(message));
  }
  take_conversation(std::move(messages), std::move(prompt), true);
}

// The user's turns of a conversation. One: the first of ShareGPT (as serving benchmarks take it), the last of a request
// in OpenAI's form, which is asked with all that stands before it. More: each is a prompt of one session, and the
// answers of the file stand aside for those that the engine gives.
void PromptRecords::take_conversation(std::vector<Message> messages, Prompt first, bool lengths_from_answers) {
  std::vector<Turn> turns;
  std::vector<Message> before, opening;
  std::size_t last_user = messages.size();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == "user" && !trim(messages[i].content).empty()) {
      turns.push_back({messages[i].content, first.max_tokens});
      last_user = i;
    } else if (turns.empty() && messages[i].role != "assistant") {
      opening.push_back(messages[i]);  // the system's
    } else if (messages[i].role == "assistant" && !turns.empty() && lengths_from_answers && !first.max_tokens) {
      const std::size_t words = std::min<std::size_t>(words_in(messages[i].content), 1'000'000);
      if (words == 0) continue;
      turns.back().max_tokens = static_cast<std::int32_t>((words * 4 + 2) / 3);
      ++estimated_lengths_;
    }
  }
  if (turns.empty()) {
    ++without_user_;
    if (!first.id.empty()) lines_of_ids_.erase(first.id);
    return;
  }
  if (last_user + 1 < messages.size() && !lengths_from_answers) ++trailing_answers_;
  if (reading_.turns == 1 && !lengths_from_answers) {
    first.text = messages[last_user].content;
    messages.resize(last_user);
    first.before = std::move(messages);
    return add(std::move(first));
  }
  const std::size_t count = reading_.turns == 0 ? turns.size() : std::min(reading_.turns, turns.size());
  const std::string base = first.id.empty() ? "line " + std::to_string(line_) : first.id;
  for (std::size_t i = 0; i < count; ++i) {
    Prompt prompt = first;
    prompt.text = std::move(turns[i].text);
    prompt.max_tokens = turns[i].max_tokens;
    if (i == 0) prompt.before = opening;
    if (count > 1) {
      prompt.session = base;
      prompt.id = base + "." + std::to_string(i + 1);
      const auto [line, fresh] = lines_of_ids_.emplace(prompt.id, line_);
      if (!fresh) return refuse("id \"" + printable(prompt.id, 60) + "\" is already used", "ids must differ");
    }
    add(std::move(prompt));
  }
}

void PromptRecords::take_row(const std::vector<std::string>& columns, const std::vector<std::string>& fields) {
  if (fields.size() == 1 && trim(fields.front()).empty()) {
    ++set_.empty_lines;
    return;
  }
  if (fields.size() != columns.size())
    return refuse("the row has " + std::to_string(fields.size()) + " fields, the header " +
                  std::to_string(columns.size()));
  json object = json::object();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!is_utf8(fields[i])) return refuse(field_name(columns[i]) + " is not UTF-8", "save the file as UTF-8");
    if (fields[i].empty() && !among(prompt_fields, columns[i])) continue;
    const auto whole = among(limit_fields, columns[i]) ? parse_i64(fields[i]) : std::nullopt;
    object[columns[i]] = whole ? json(*whole) : json(fields[i]);
  }
  take_plain(object);
}

void PromptRecords::add(Prompt prompt) {
  if (!error_) set_.prompts.push_back(std::move(prompt));
}

Result<PromptSet> PromptRecords::finish(PromptFormat format) {
  if (error_) return Unexpected<Error>(*error_);
  if (set_.prompts.empty())
    return fail(ErrorCode::usage, "there is no prompt in it", std::string(name_), "write one prompt a line");
  // A prompt without an id gets its number; should somebody else carry that name, a stroke is added.
  for (std::size_t i = 0; i < set_.prompts.size(); ++i) {
    Prompt& prompt = set_.prompts[i];
    if (!prompt.id.empty()) continue;
    prompt.id = std::to_string(i + 1);
    while (lines_of_ids_.contains(prompt.id)) prompt.id += "'";
    lines_of_ids_.emplace(prompt.id, i + 1);
  }
  set_.format = to_string(format);
  const auto note = [&](std::size_t count, const std::string& words) {
    if (count > 0) set_.notes.push_back(std::string(name_) + ": " + std::to_string(count) + " " + words);
  };
  note(set_.empty_lines, "empty line(s) skipped");
  note(headers_, "line(s) tell where the file is from and were skipped");
  note(without_user_, "conversation(s) without a word of the user skipped");
  note(trailing_answers_, "conversation(s) go on after the user's last word; that is not asked");
  note(estimated_lengths_, "length(s) of answers are estimated from the file's own, at four tokens for three words");
  for (const auto& [key, line] : unknown_)
    set_.notes.push_back(std::string(name_) + ": member \"" + printable(key, 60) +
                         "\" is not known here and is ignored (first in line " + std::to_string(line) + ")");
  return std::move(set_);
}

bool is_utf8(std::string_view text) noexcept {
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

}  // namespace prony
