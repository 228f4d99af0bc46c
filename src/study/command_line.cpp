// From a variant's settings to the words of its run's command line.
#include "base/text.hpp"
#include "study/plan.hpp"

namespace prony::study {

namespace {

constexpr std::size_t longest_name = 64;

bool is_option(const Setting& setting) {
  return setting.key.find('.') == std::string::npos && setting.key != "command" && setting.key != "worker";
}

void add_option_words(const Variant& variant, const Setting& setting, std::vector<std::string>& words) {
  const Value& value = setting.value;
  if (value.is(Value::Kind::null)) return;  // what the program does by itself
  const std::string flag = "--" + setting.key;
  if (value.is(Value::Kind::boolean)) {
    if (value.boolean) words.push_back(flag);
    return;
  }
  const std::vector<Value> values = value.is(Value::Kind::list) ? value.list : std::vector<Value>{value};
  for (const Value& one : values) words.push_back(flag + "=" + filled(variant, word_of(one)));
}

}  // namespace

// One pass: a value that holds braces itself is not filled again.
std::string filled(const Variant& variant, std::string text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view near = std::string_view(text).substr(at, longest_name + 2);
    const std::size_t end = near.front() == '{' ? near.find('}') : std::string_view::npos;
    if (end != std::string_view::npos) {
      const Value* value = variant.find("vars." + std::string(near.substr(1, end - 1)));
      if (value != nullptr) {
        out += word_of(*value);
        at += end + 1;
        continue;
      }
    }
    out += text[at++];
  }
  return out;
}

std::vector<std::string> command_line(const Plan& plan, const Variant& variant) {
  const bool layers = plan.kind == Kind::layers;  // its model is no option
  std::vector<std::string> words{plan.kind == Kind::run ? "run" : layers ? "layers" : "llm"};
  for (const Setting& setting : variant.settings)
    if (is_option(setting) && !(layers && setting.key == "model")) add_option_words(variant, setting, words);
  if (plan.kind == Kind::cold_start && variant.word("engine") == "ollama" && variant.find("cold") == nullptr)
    words.emplace_back("--cold");
  if (layers) words.push_back(variant.word("model"));
  const Value* command = variant.find(plan.kind == Kind::run ? "command" : "worker");
  if (command == nullptr || command->is(Value::Kind::null)) return words;
  words.emplace_back("--");
  if (!command->is(Value::Kind::list)) {  // as a shell reads it
    words.insert(words.end(), {"/bin/sh", "-c", filled(variant, word_of(*command))});
    return words;
  }
  for (const Value& word : command->list) words.push_back(filled(variant, word_of(word)));
  return words;
}

std::vector<std::pair<std::string, std::string>> environment(const Variant& variant) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const Setting& setting : variant.settings)
    if (setting.key.starts_with("env.") && !setting.value.is(Value::Kind::null))
      all.emplace_back(setting.key.substr(4), filled(variant, word_of(setting.value)));
  return all;
}

}  // namespace prony::study
