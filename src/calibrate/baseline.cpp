#include "calibrate/baseline.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "calibrate/json_fields.hpp"

namespace prony::calibrate {

namespace {

constexpr std::string_view baseline_format = "prony.baseline/1";
constexpr std::string_view watts_prefix = "baseline.watts.";
constexpr std::int64_t latest_wall_ns = std::int64_t{1} << 62;  // the year 2116
constexpr double seconds_per_day = 86'400;

std::string changed(const char* what, const std::string& then, const std::string& now) {
  return std::string("another ") + what + ": " + (then.empty() ? "none was told" : then) + " then, " +
         (now.empty() ? "none is told" : now) + " now";
}

std::string words_of(const Estimate& watts) {
  return format_number(watts.value) + " " + format_number(watts.low) + " " + format_number(watts.high) + " " +
         std::string(to_string(watts.kind));
}

std::optional<Estimate> estimate_from(std::string_view words) {
  const auto parts = split(words, ' ');
  if (parts.size() != 4) return std::nullopt;
  const auto value = parse_finite(parts[0]), low = parse_finite(parts[1]), high = parse_finite(parts[2]);
  if (!value || !low || !high || *low > *value || *value > *high) return std::nullopt;
  const bool range = parts[3] == to_string(EstimateKind::range);
  return Estimate{*value, *low, *high, range ? EstimateKind::range : EstimateKind::interval_95};
}

}  // namespace

std::string why_expired(const KeptBaseline& kept, const KeptBaseline& now) {
  const auto age_ns = now.taken_wall_ns - kept.taken_wall_ns;
  if (age_ns < 0) return "it was taken " + format_utc(kept.taken_wall_ns) + ", which is later than now";
  if (age_ns > baseline_life.ns)
    return "it is " + format_fixed(static_cast<double>(age_ns) / 1e9 / seconds_per_day, 1) +
           " days old: more than the 7 that one is believed";
  if (kept.kernel != now.kernel) return changed("kernel", kept.kernel, now.kernel);
  if (kept.firmware != now.firmware) return changed("firmware", kept.firmware, now.firmware);
  if (kept.governor != now.governor) return changed("governor", kept.governor, now.governor);
  return {};
}

Estimate aged(const Estimate& watts, Duration age) {
  const double share = std::clamp(age.seconds().value() / baseline_life.seconds().value(), 0.0, 1.0);
  const double wider = change_over_life * share * std::abs(watts.value);
  return {watts.value, watts.low - wider, watts.high + wider, weaker(watts.kind, EstimateKind::interval_95)};
}

std::vector<Fact> facts_of(const KeptBaseline& kept, std::int64_t now_wall_ns) {
  const Duration age{now_wall_ns - kept.taken_wall_ns};
  std::vector<Fact> facts{{"baseline.source", "stored", "file"},
                          {"baseline.taken_utc", format_utc(kept.taken_wall_ns), "file"},
                          {"baseline.age_s", format_fixed(age.seconds().value(), 0), "file"},
                          {"baseline.length_s", format_number(kept.length_s), "file"}};
  const auto put = [&](const char* key, const std::optional<double>& value) {
    if (value) facts.push_back({key, format_number(*value), "file"});
  };
  put("baseline.temperature_celsius", kept.temperature_celsius);
  put("baseline.clock_hz", kept.clock_hz);
  put("baseline.foreign_cpus", kept.foreign_cpus);
  for (const KeptIdle& idle : kept.channels)
    facts.push_back({std::string(watts_prefix) + idle.channel, words_of(aged(idle.watts, age)), "file"});
  return facts;
}

std::vector<KnownIdle> known_idle(const Manifest& manifest) {
  std::vector<KnownIdle> known;
  for (const Fact& fact : manifest.facts) {
    if (!fact.key.starts_with(watts_prefix)) continue;
    if (const auto watts = estimate_from(fact.value)) known.push_back({fact.key.substr(watts_prefix.size()), *watts});
  }
  return known;
}

std::string to_text(const KeptBaseline& kept) {
  Json json{{"format", baseline_format},
            {"taken_utc", format_utc(kept.taken_wall_ns)},
            {"taken_wall_ns", kept.taken_wall_ns},
            {"length_s", kept.length_s},
            {"kernel", kept.kernel},
            {"firmware", kept.firmware},
            {"governor", kept.governor}};
  put(json, "temperature_celsius", kept.temperature_celsius);
  put(json, "clock_hz", kept.clock_hz);
  put(json, "foreign_cpus", kept.foreign_cpus);
  json["channels"] = Json::array();
  for (const KeptIdle& idle : kept.channels) {
    Json one = estimate_json(idle.watts);
    one["channel"] = idle.channel;
    put(one, "spread_w", idle.spread_w);
    json["channels"].push_back(std::move(one));
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<KeptBaseline> baseline_from_text(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  const auto damaged = [](const char* what) {
    return fail(ErrorCode::malformed, what, {}, "`prony baseline` measures it again.");
  };
  if (!json.is_object() || text_of(json, "format") != baseline_format) return damaged("this is no file of a baseline");
  KeptBaseline kept;
  const auto taken = json.find("taken_wall_ns");
  const auto length = real_of(json, "length_s");
  if (taken == json.end() || !taken->is_number_integer() || !length || *length <= 0)
    return damaged("the file of the baseline is damaged");
  if (*taken < 0 || *taken > latest_wall_ns) return damaged("the file of the baseline is of no time");
  kept.taken_wall_ns = taken->get<std::int64_t>();
  kept.length_s = *length;
  kept.kernel = text_of(json, "kernel");
  kept.firmware = text_of(json, "firmware");
  kept.governor = text_of(json, "governor");
  kept.temperature_celsius = real_of(json, "temperature_celsius");
  kept.clock_hz = real_of(json, "clock_hz");
  kept.foreign_cpus = real_of(json, "foreign_cpus");
  if (const auto channels = json.find("channels"); channels != json.end() && channels->is_array())
    for (const Json& one : *channels) {
      const auto watts = one.is_object() ? estimate_of(one) : std::nullopt;
      if (watts && !text_of(one, "channel").empty())
        kept.channels.push_back({text_of(one, "channel"), *watts, real_of(one, "spread_w")});
    }
  if (kept.channels.empty()) return damaged("the file of the baseline holds no channel");
  return kept;
}

}  // namespace prony::calibrate
