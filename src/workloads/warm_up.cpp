#include "workloads/warm_up.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t most_seen = 20'000;

// "5%" or "5%/min" → 0.05.
std::optional<double> share_of(std::string_view text) {
  if (text.ends_with("/min")) text.remove_suffix(4);
  if (!text.ends_with('%')) return std::nullopt;
  const auto percent = parse_finite(text.substr(0, text.size() - 1));
  return percent && *percent > 0 && *percent <= 1000 ? std::optional(*percent / 100) : std::nullopt;
}

std::optional<double> degrees_of(std::string_view text) {
  if (text.ends_with("/min")) text.remove_suffix(4);
  if (text.ends_with('C')) text.remove_suffix(1);
  const auto degrees = parse_finite(text);
  return degrees && *degrees > 0 && *degrees <= 1000 ? degrees : std::nullopt;
}

bool take_whole(std::string_view text, std::uint64_t least, std::size_t& into) {
  const auto number = parse_u64(text);
  if (!number || *number < least || *number > 100'000) return false;
  into = static_cast<std::size_t>(*number);
  return true;
}

bool take_time(std::string_view text, std::int64_t& into) {
  const auto ns = parse_duration_ns(text);
  if (!ns || *ns <= 0 || *ns > 86'400'000'000'000) return false;
  into = *ns;
  return true;
}

bool take_part(std::string_view key, std::string_view text, WarmUpRule& rule) {
  if (key == "cv") return (rule.cv = share_of(text)).has_value();
  if (key == "temp") return (rule.celsius_per_min = degrees_of(text)).has_value();
  if (key == "power") return (rule.power_share_per_min = share_of(text)).has_value();
  if (key == "window") return take_whole(text, 2, rule.window);
  if (key == "most") return take_whole(text, 1, rule.most);
  if (key == "over") return take_time(text, rule.over_ns);
  return key == "limit" && take_time(text, rule.limit_ns);
}

std::string rounded(double value) {
  const double size = value == 0 ? 0 : std::floor(std::log10(std::abs(value)));
  const double unit = std::pow(10.0, size - 3);
  return format_number(std::round(value / unit) * unit);
}

}  // namespace

Result<WarmUpRule> warm_up_rule(const std::string& text) {
  constexpr const char* form =
      "Write what is to be steady:  cv=5%  (of the last answers' times),  temp=1C  or  power=5%  (by the minute), with "
      "commas between; beside them window=5, over=30s, most=50, limit=10m.";
  WarmUpRule rule;
  for (const std::string_view part : split(text, ',')) {
    const std::string_view word = trim(part);
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos || !take_part(word.substr(0, equals), word.substr(equals + 1), rule))
      return fail(ErrorCode::usage, "'" + printable(word, 40) + "' does not say when a warm-up is over",
                  "--warmup-until", form);
  }
  if (!rule.cv && !rule.celsius_per_min && !rule.power_share_per_min)
    return fail(ErrorCode::usage, "'" + printable(text, 40) + "' says nothing that is to be steady", "--warmup-until",
                form);
  if (rule.cv && rule.most < rule.window)
    return fail(
        ErrorCode::usage,
        "at most " + std::to_string(rule.most) + " prompts never fill a window of " + std::to_string(rule.window),
        "--warmup-until", "Make window smaller or most larger.");
  return rule;
}

void Drift::add(double at_s, double value) {
  if (!seen_.empty() && at_s <= seen_.back().first) return;
  seen_.emplace_back(at_s, value);
  if (seen_.size() > most_seen) seen_.pop_front();
}

void Drift::forget_before(double at_s) {
  while (!seen_.empty() && seen_.front().first < at_s) seen_.pop_front();
}

std::optional<Drift::Line> Drift::line(double over_s) const {
  if (seen_.empty()) return std::nullopt;
  const double from = seen_.back().first - over_s;
  if (seen_.front().first > from) return std::nullopt;
  double count = 0, sum_t = 0, sum_v = 0;
  for (const auto& [at, value] : seen_) {
    if (at < from) continue;
    ++count;
    sum_t += at - from;
    sum_v += value;
  }
  if (count < 3) return std::nullopt;
  const double mean_t = sum_t / count, mean_v = sum_v / count;
  double across = 0, along = 0;
  for (const auto& [at, value] : seen_) {
    if (at < from) continue;
    across += (at - from - mean_t) * (value - mean_v);
    along += (at - from - mean_t) * (at - from - mean_t);
  }
  if (!(along > 0)) return std::nullopt;
  return Line{across / along, mean_v};
}

void WarmUpJudge::answered(double seconds, const std::optional<double>& seconds_a_token) {
  times_.emplace_back(seconds, seconds_a_token);
  if (times_.size() > rule_.window) times_.pop_front();
}

std::optional<double> WarmUpJudge::cv() const {
  if (times_.size() < rule_.window) return std::nullopt;
  const bool by_token = std::ranges::all_of(times_, [](const auto& time) { return time.second.has_value(); });
  double sum = 0, squares = 0;
  for (const auto& [whole, token] : times_) sum += by_token ? token.value_or(0) : whole;
  const auto count = static_cast<double>(times_.size());
  const double mean = sum / count;
  for (const auto& [whole, token] : times_) {
    const double off = (by_token ? token.value_or(0) : whole) - mean;
    squares += off * off;
  }
  if (!(mean > 0)) return std::nullopt;
  return std::sqrt(squares / (count - 1)) / mean;
}

bool WarmUpJudge::steady(const WarmUpDrift& drift) const {
  const auto now = cv();
  if (rule_.cv && !(now && *now <= *rule_.cv)) return false;
  const auto still = [](const std::optional<double>& limit, const std::optional<double>& value) {
    return !limit || (value && std::abs(*value) <= *limit);
  };
  return still(rule_.celsius_per_min, drift.celsius_per_min) &&
         still(rule_.power_share_per_min, drift.power_share_per_min);
}

std::string WarmUpJudge::cap(std::size_t prompts, std::int64_t elapsed_ns) const {
  if (prompts >= rule_.most) return "at most " + std::to_string(rule_.most) + " prompts";
  if (elapsed_ns >= rule_.limit_ns) return "at most " + format_number(static_cast<double>(rule_.limit_ns) / 1e9) + " s";
  return {};
}

std::vector<std::pair<std::string, std::string>> WarmUpJudge::facts(std::size_t prompts, const WarmUpDrift& drift,
                                                                    const std::string& cap) const {
  std::vector<std::pair<std::string, std::string>> out{{"warmup.prompts", std::to_string(prompts)},
                                                       {"warmup.steady", cap.empty() ? "yes" : "no: " + cap}};
  if (const auto now = cv()) out.emplace_back("warmup.cv", rounded(*now));
  if (rule_.celsius_per_min && drift.celsius_per_min)
    out.emplace_back("warmup.celsius_per_min", rounded(*drift.celsius_per_min));
  if (rule_.power_share_per_min && drift.power_share_per_min)
    out.emplace_back("warmup.power_share_per_min", rounded(*drift.power_share_per_min));
  return out;
}

}  // namespace prony
