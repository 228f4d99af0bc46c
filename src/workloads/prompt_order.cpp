#include "workloads/prompt_order.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/text.hpp"
#include "workloads/draw.hpp"

namespace prony {

namespace {

constexpr std::array<std::pair<std::string_view, PromptOrder>, 5> orders{{{"as-is", PromptOrder::as_is},
                                                                          {"sorted", PromptOrder::sorted},
                                                                          {"sorted-down", PromptOrder::sorted_down},
                                                                          {"grouped", PromptOrder::grouped},
                                                                          {"shuffled", PromptOrder::shuffled}}};

// What moves as one: a prompt, or a session with all its turns.
struct Unit {
  std::vector<std::size_t> prompts;  // at least one; the first tells where the unit stood
  std::string group;
  std::int64_t tokens = 0;
};

std::vector<Unit> units_of(const std::vector<Prompt>& prompts, const std::vector<PromptLength>& lengths) {
  std::vector<Unit> units;
  std::map<std::string, std::size_t> of_session;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const Prompt& prompt = prompts[i];
    if (!prompt.session.empty()) {
      const auto [place, fresh] = of_session.emplace(prompt.session, units.size());
      if (!fresh) {
        units[place->second].prompts.push_back(i);
        continue;
      }
    }
    units.push_back({{i}, prompt.group, i < lengths.size() ? lengths[i].tokens : 0});
  }
  return units;
}

std::vector<Prompt> laid_out(std::vector<Prompt> prompts, const std::vector<Unit>& units) {
  std::vector<Prompt> out;
  out.reserve(prompts.size());
  for (const Unit& unit : units)
    for (const std::size_t index : unit.prompts) out.push_back(std::move(prompts[index]));
  return out;
}

}  // namespace

Result<PromptOrder> prompt_order_from(std::string_view word) {
  std::string all;
  for (const auto& [name, order] : orders) {
    if (name == word) return order;
    all += (all.empty() ? "" : ", ") + std::string(name);
  }
  return fail(ErrorCode::usage, "no order is called '" + printable(word, 40) + "'", "--order", "There are: " + all);
}

PromptLength prompt_length(const Prompt& prompt) {
  if (prompt.asked_tokens) return {*prompt.asked_tokens, false};
  std::size_t bytes = prompt.text.size();
  for (const Message& message : prompt.before) bytes += message.content.size();
  return {static_cast<std::int64_t>((bytes + 3) / 4), true};
}

std::vector<Prompt> ordered(std::vector<Prompt> prompts, const std::vector<PromptLength>& lengths, PromptOrder order,
                            std::uint64_t seed) {
  if (order == PromptOrder::as_is) return prompts;
  std::vector<Unit> units = units_of(prompts, lengths);
  if (order == PromptOrder::sorted)
    std::ranges::sort(units, [](const Unit& a, const Unit& b) {
      return std::pair(a.tokens, a.prompts.front()) < std::pair(b.tokens, b.prompts.front());
    });
  if (order == PromptOrder::sorted_down)
    std::ranges::sort(units, [](const Unit& a, const Unit& b) {
      return std::pair(b.tokens, a.prompts.front()) < std::pair(a.tokens, b.prompts.front());
    });
  if (order == PromptOrder::grouped) {
    std::map<std::string, std::size_t> first;
    for (const Unit& unit : units) first.emplace(unit.group, first.size());
    std::ranges::sort(units, [&](const Unit& a, const Unit& b) {
      return std::pair(first[a.group], a.prompts.front()) < std::pair(first[b.group], b.prompts.front());
    });
  }
  if (order == PromptOrder::shuffled) {
    Draw draw(seed);
    for (std::size_t left = units.size(); left > 1; --left)
      std::swap(units[left - 1], units[static_cast<std::size_t>(draw.below(left))]);
  }
  return laid_out(std::move(prompts), units);
}

Result<TokenRange> token_range_from(std::string_view text) {
  const auto refuse = [&] {
    return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is no range of lengths", "--prompt-tokens",
                "Write for example:  --prompt-tokens 16..512  or  ..512  or  16..");
  };
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return refuse();
  const std::string_view low = trim(text.substr(0, dots)), high = trim(text.substr(dots + 2));
  TokenRange range;
  if (!low.empty()) {
    const auto value = parse_i64(low);
    if (!value || *value < 0) return refuse();
    range.least = *value;
  }
  if (!high.empty()) {
    range.most = parse_i64(high);
    if (!range.most || *range.most < range.least) return refuse();
  }
  if (low.empty() && high.empty()) return refuse();
  return range;
}

std::vector<Prompt> within_range(std::vector<Prompt> prompts, const std::vector<PromptLength>& lengths,
                                 const TokenRange& range) {
  const auto fits = [&](std::size_t i) {
    const std::int64_t tokens = i < lengths.size() ? lengths[i].tokens : 0;
    return tokens >= range.least && (!range.most || tokens <= *range.most);
  };
  std::vector<Unit> units = units_of(prompts, lengths);
  std::erase_if(units, [&](const Unit& unit) { return !std::ranges::all_of(unit.prompts, fits); });
  return laid_out(std::move(prompts), units);
}

}  // namespace prony
