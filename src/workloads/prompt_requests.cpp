#include "workloads/prompt_requests.hpp"

#include <nlohmann/json.hpp>

#include "workloads/draw.hpp"

namespace prony {

namespace {

using nlohmann::json;

// A conversation as one text, for a model without a template for chats.
std::string whole_conversation(const std::vector<Message>& before, const std::string& text) {
  std::string all;
  for (const Message& message : before) all += message.content + "\n";
  return all + text;
}

json as_json(const std::vector<Message>& messages) {
  json list = json::array();
  for (const Message& message : messages) list.push_back({{"role", message.role}, {"content", message.content}});
  return list;
}

}  // namespace

std::string PromptRequests::key(const Prompt& prompt, std::int32_t round) {
  return prompt.session + "#" + std::to_string(round);
}

std::string PromptRequests::text_of(const Prompt& prompt) const {
  if (!prompt.synthetic) return prompt.text;
  const std::string made = synthetic_text(*prompt.synthetic, ratio_);
  return prompt.text.empty() ? made : made + "\n\n" + prompt.text;
}

PromptRequests::State PromptRequests::state(const Prompt& prompt, std::int32_t round) const {
  if (prompt.session.empty()) return State::ready;
  const auto found = sessions_.find(key(prompt, round));
  if (found == sessions_.end()) return State::ready;
  return found->second.over ? State::never : found->second.under_way ? State::waits : State::ready;
}

bool PromptRequests::continues(const Prompt& prompt, std::int32_t round) const {
  return !prompt.session.empty() && sessions_.contains(key(prompt, round));
}

json PromptRequests::request(const Prompt& prompt, const std::string& id, std::int32_t round, std::uint64_t number) {
  const AskSettings& s = settings_;
  const std::string text = text_of(prompt);
  std::vector<Message> before = prompt.before;
  json counts = json::object(), attributes = json::object();
  if (!prompt.session.empty()) {
    Session& session = sessions_[key(prompt, round)];
    before.insert(before.begin(), session.messages.begin(), session.messages.end());
    session.messages = before;
    session.messages.push_back({"user", text});
    session.under_way = true;
    attributes["session"] = prompt.session;
  }
  json made = {{"type", "prompt"},
               {"id", id},
               {"text", reads_messages_ ? text : whole_conversation(before, text)},
               {"max_tokens", prompt.max_tokens.value_or(s.max_tokens)},
               {"temperature", s.temperature},
               {"top_k", s.top_k},
               {"top_p", s.top_p},
               {"seed", s.seed},
               {"ignore_eos", s.ignore_eos},
               {"keep_output", s.keep_output}};
  if (reads_messages_ && !before.empty()) made["before"] = as_json(before);
  if (!prompt.session.empty()) {
    made["return_text"] = true;
    made["cache_prompt"] = true;  // a conversation is what such caches are for
  }
  if (round > 1) made["repeat"] = round;
  if (s.min_tokens) made["min_tokens"] = *s.min_tokens;
  if (s.truncate_tokens) made["truncate_prompt_tokens"] = *s.truncate_tokens;
  // What was asked stands beside what came, so that the Run itself tells whether it was kept to.
  if (prompt.asked_tokens) counts["asked_prompt_tokens"] = *prompt.asked_tokens;
  if (s.ignore_eos)
    counts["asked_output_tokens"] = made["max_tokens"];
  else if (s.min_tokens)
    counts["asked_min_output_tokens"] = *s.min_tokens;
  if (!prompt.group.empty()) attributes["group"] = prompt.group;
  if (!prompt.instructions.empty()) attributes["instructions"] = prompt.instructions;  // answers are scored by it later
  if (s.cancel_rate > 0) {
    Draw draw(((static_cast<std::uint64_t>(s.seed) << 32) ^ number) * 0x9e3779b97f4a7c15U + 1);
    if (draw.uniform() < s.cancel_rate) made["cancel_after_ns"] = s.cancel_after_ns;
  }
  if (!counts.empty()) made["counts"] = counts;
  if (!attributes.empty()) made["attributes"] = attributes;
  return made;
}

void PromptRequests::answered(const Prompt& prompt, std::int32_t round, const json& result) {
  if (prompt.session.empty()) return;
  Session& session = sessions_[key(prompt, round)];
  const json text = result.value("text", json());
  session.messages.push_back({"assistant", text.is_string() ? text.get<std::string>() : std::string()});
  session.under_way = false;
}

void PromptRequests::failed(const Prompt& prompt, std::int32_t round) {
  if (!prompt.session.empty()) sessions_[key(prompt, round)].over = true;
}

}  // namespace prony
