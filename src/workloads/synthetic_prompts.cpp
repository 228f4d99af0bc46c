#include "workloads/synthetic_prompts.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::int64_t most_tokens = 1'000'000;
constexpr std::size_t most_prompts = 10'000'000;

Unexpected<Error> refuse(std::string_view text, std::string_view option, std::string fix) {
  return fail(ErrorCode::usage, "'" + printable(text, 60) + "' makes no sense here", std::string(option),
              std::move(fix));
}

constexpr const char* how = "Write for example:  --synthetic \"100 in:normal(550,150) out:128\"  (prony help prompts)";

std::optional<std::int64_t> tokens_from(std::string_view text) {
  const auto value = parse_i64(text);
  if (!value || *value < 1 || *value > most_tokens) return std::nullopt;
  return value;
}

Result<std::vector<LengthPair>> pairs_from(std::string_view text) {
  std::vector<LengthPair> pairs;
  for (const std::string_view item : split(text, ',')) {
    const std::size_t at = item.find('@');
    const std::string_view lengths = item.substr(0, at);
    const std::size_t colon = lengths.find(':');
    if (colon == std::string_view::npos) return refuse(item, "--synthetic", how);
    const auto in = tokens_from(lengths.substr(0, colon)), out = tokens_from(lengths.substr(colon + 1));
    const auto weight = at == std::string_view::npos ? std::optional(1.0) : parse_finite(item.substr(at + 1));
    if (!in || !out || !weight || *weight <= 0 || *weight > 1e9) return refuse(item, "--synthetic", how);
    pairs.push_back({*in, *out, *weight});
  }
  return pairs;
}

const LengthPair& drawn_pair(const std::vector<LengthPair>& pairs, Draw& draw) {
  double sum = 0;
  for (const LengthPair& pair : pairs) sum += pair.weight;
  double at = draw.uniform() * sum;
  for (const LengthPair& pair : pairs) {
    if (at < pair.weight) return pair;
    at -= pair.weight;
  }
  return pairs.back();
}

// The number of a group's text: another for every seed, so that no cache of an earlier run holds it.
std::uint64_t group_number(std::uint64_t seed, std::size_t group) {
  Draw draw(seed ^ (0x9e3779b97f4a7c15U * (static_cast<std::uint64_t>(group) + 1)));
  return draw.bits();
}

std::string group_name(std::size_t group) { return "prefix " + std::to_string(group + 1); }

}  // namespace

Result<LengthDistribution> length_distribution_from(std::string_view text) {
  LengthDistribution made;
  text = trim(text);
  if (const auto fixed = tokens_from(text)) {
    made.mean = static_cast<double>(*fixed);
    return made;
  }
  const std::size_t open = text.find('(');
  if (open == std::string_view::npos || !text.ends_with(')')) return refuse(text, "--synthetic", how);
  const std::string_view name = text.substr(0, open);
  std::vector<double> numbers;
  for (const std::string_view part : split(text.substr(open + 1, text.size() - open - 2), ',')) {
    const auto number = parse_finite(part);
    if (!number || *number < 0 || *number > static_cast<double>(most_tokens)) return refuse(text, "--synthetic", how);
    numbers.push_back(*number);
  }
  if (name == "uniform" && numbers.size() == 2 && numbers[0] >= 1 && numbers[1] >= numbers[0]) {
    made.kind = LengthDistribution::Kind::uniform;
    made.least = std::llround(numbers[0]);
    made.most = std::llround(numbers[1]);
    made.mean = (numbers[0] + numbers[1]) / 2;
    return made;
  }
  const bool has_ends = numbers.size() == 4;
  if ((name != "normal" && name != "lognormal") || (numbers.size() != 2 && !has_ends) || numbers[0] < 1)
    return refuse(text, "--synthetic", how);
  if (has_ends && (numbers[2] < 1 || numbers[3] < numbers[2])) return refuse(text, "--synthetic", how);
  made.kind = name == "normal" ? LengthDistribution::Kind::normal : LengthDistribution::Kind::lognormal;
  made.mean = numbers[0];
  made.deviation = numbers[1];
  if (has_ends) {
    made.least = std::llround(numbers[2]);
    made.most = std::llround(numbers[3]);
  }
  return made;
}

std::int64_t drawn_length(const LengthDistribution& distribution, Draw& draw) {
  double length = distribution.mean;
  switch (distribution.kind) {
    case LengthDistribution::Kind::fixed: break;
    case LengthDistribution::Kind::uniform:
      return distribution.least + static_cast<std::int64_t>(draw.below(
                                      static_cast<std::uint64_t>(distribution.most - distribution.least) + 1));
    case LengthDistribution::Kind::normal: length += distribution.deviation * draw.normal(); break;
    case LengthDistribution::Kind::lognormal: {
      // Of a length with this mean and deviation; those of its logarithm follow.
      const double relative = distribution.deviation / distribution.mean;
      const double variance = std::log1p(relative * relative);
      length = distribution.mean * std::exp(std::sqrt(variance) * draw.normal() - variance / 2);
      break;
    }
  }
  return std::llround(
      std::clamp(length, static_cast<double>(distribution.least), static_cast<double>(distribution.most)));
}

Result<SyntheticSpec> synthetic_spec_from(std::string_view text) {
  SyntheticSpec spec;
  bool counted = false, has_in = false;
  for (const std::string_view word : split(text, ' ')) {
    if (trim(word).empty()) continue;
    if (const auto count = parse_u64(word)) {
      if (counted || *count < 1 || *count > most_prompts) return refuse(word, "--synthetic", how);
      spec.count = static_cast<std::size_t>(*count);
      counted = true;
    } else if (word.starts_with("in:") || word.starts_with("out:")) {
      const bool in = word.starts_with("in:");
      auto distribution = length_distribution_from(word.substr(in ? 3 : 4));
      if (!distribution) return Unexpected<Error>(distribution.error());
      if (in)
        spec.in = *distribution;
      else
        spec.out = *distribution;
      has_in = has_in || in;
    } else if (word.starts_with("pairs:")) {
      auto pairs = pairs_from(word.substr(6));
      if (!pairs) return Unexpected<Error>(pairs.error());
      spec.pairs = std::move(*pairs);
    } else {
      return refuse(word, "--synthetic", how);
    }
  }
  if (spec.pairs.empty() == !has_in) return refuse(text, "--synthetic", how);
  if (!spec.pairs.empty() && spec.out) return refuse(text, "--synthetic", how);
  return spec;
}

Result<SharedPrefix> shared_prefix_from(std::string_view text) {
  const std::size_t colon = text.find(':');
  SharedPrefix prefix;
  const auto tokens = tokens_from(text.substr(0, colon));
  const auto groups =
      colon == std::string_view::npos ? std::optional<std::int64_t>(1) : tokens_from(text.substr(colon + 1));
  if (!tokens || !groups)
    return refuse(text, "--shared-prefix", "Write for example:  --shared-prefix 512  or, for four of them,  512:4");
  prefix.tokens = *tokens;
  prefix.groups = static_cast<std::size_t>(*groups);
  return prefix;
}

PromptSet synthetic_prompts(const SyntheticSpec& spec, const std::optional<SharedPrefix>& prefix, std::uint64_t seed) {
  PromptSet set;
  set.format = "synthetic";
  set.prompts.reserve(spec.count);
  Draw draw(seed);
  std::vector<std::uint64_t> groups;
  for (std::size_t i = 0; prefix && i < std::min(prefix->groups, spec.count); ++i)
    groups.push_back(group_number(seed, i));
  for (std::size_t i = 0; i < spec.count; ++i) {
    Prompt prompt;
    prompt.id = std::to_string(i + 1);
    std::int64_t tokens = 0;
    if (spec.pairs.empty()) {
      tokens = drawn_length(spec.in, draw);
      if (spec.out) prompt.max_tokens = static_cast<std::int32_t>(drawn_length(*spec.out, draw));
    } else {
      const LengthPair& pair = drawn_pair(spec.pairs, draw);
      tokens = pair.prompt_tokens;
      prompt.max_tokens = static_cast<std::int32_t>(pair.output_tokens);
    }
    SyntheticText text;
    text.seed = draw.bits();
    if (prefix) {
      text.blocks = {groups[i % groups.size()]};
      text.block_tokens = static_cast<std::size_t>(prefix->tokens);
      prompt.group = group_name(i % groups.size());
      tokens += prefix->tokens;
    }
    text.tokens = static_cast<std::size_t>(tokens);
    prompt.asked_tokens = tokens;
    prompt.synthetic = std::move(text);
    set.prompts.push_back(std::move(prompt));
  }
  return set;
}

void add_shared_prefix(PromptSet& set, const SharedPrefix& prefix, std::uint64_t seed) {
  std::set<std::string> begun;
  std::size_t number = 0;
  for (Prompt& prompt : set.prompts) {
    if (!prompt.session.empty() && !begun.insert(prompt.session).second) continue;
    const std::size_t group = number++ % prefix.groups;
    SyntheticText text{static_cast<std::size_t>(prefix.tokens), 1, {group_number(seed, group)}};
    text.block_tokens = text.tokens;
    prompt.synthetic = std::move(text);  // it stands before the prompt's own text
    if (prompt.group.empty()) prompt.group = group_name(group);
  }
}

}  // namespace prony
