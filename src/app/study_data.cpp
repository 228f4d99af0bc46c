#include "app/study_data.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "base/stable_sort.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

// Figures that are joules, or made of them.
bool is_energy(const std::string& figure) {
  return figure.starts_with("gross_j") || figure.starts_with("charged_j") || figure.starts_with("load_j") ||
         figure.starts_with("cold_first_token_j") || figure == "mean_w";
}

using SettingValues = std::map<std::string, std::string>;  // of one variant: setting → value as it was written

std::vector<SettingValues> settings_of(const StudyManifest& manifest) {
  std::vector<SettingValues> all;
  for (const auto& variant : manifest.variants) {
    SettingValues& values = all.emplace_back();
    const auto settings = variant.find("settings");
    if (settings == variant.end() || !settings->is_array()) continue;
    for (const auto& setting : *settings)
      if (setting.is_object() && setting.contains("key") && setting["key"].is_string() && setting.contains("value") &&
          setting["value"].is_string())
        values[setting["key"].get<std::string>()] = setting["value"].get<std::string>();
  }
  return all;
}

void sort_levels(std::vector<std::string>& levels) {
  if (std::ranges::all_of(levels, [](const std::string& level) { return parse_finite(level).has_value(); }))
    sort_stably(levels, [](const std::string& a, const std::string& b) { return *parse_finite(a) < *parse_finite(b); });
}

void add_factors(const std::vector<SettingValues>& settings, StudyData& data) {
  std::vector<std::string> keys;
  for (const SettingValues& values : settings)
    for (const auto& [key, value] : values)
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
  for (const std::string& key : keys) {
    StudyFactor factor{key, {}};
    for (const SettingValues& values : settings)
      if (const auto at = values.find(key);
          at != values.end() && std::ranges::find(factor.levels, at->second) == factor.levels.end())
        factor.levels.push_back(at->second);
    if (factor.levels.size() < 2) continue;
    sort_levels(factor.levels);
    data.factors.push_back(std::move(factor));
  }
  for (const SettingValues& values : settings) {
    auto& row = data.levels.emplace_back();
    for (const StudyFactor& factor : data.factors) {
      const auto at = values.find(factor.key);
      row.push_back(at == values.end() ? std::nullopt
                                       : std::optional(static_cast<std::size_t>(
                                             std::ranges::find(factor.levels, at->second) - factor.levels.begin())));
    }
  }
}

// Of the runs whose joules have an origin, that of most; of as many the first.
std::string usual_origin(const std::vector<const StudyAttempt*>& attempts) {
  std::vector<std::pair<std::string, std::size_t>> counts;
  for (const StudyAttempt* attempt : attempts) {
    if (attempt->origin.empty()) continue;
    const auto at = std::ranges::find(counts, attempt->origin, &std::pair<std::string, std::size_t>::first);
    if (at == counts.end())
      counts.emplace_back(attempt->origin, 1);
    else
      ++at->second;
  }
  const auto most = std::ranges::max_element(counts, {}, &std::pair<std::string, std::size_t>::second);
  return most == counts.end() ? std::string() : most->first;
}

}  // namespace

std::vector<double> StudyData::values(std::size_t variant, const std::string& figure) const {
  std::vector<double> out;
  for (const StudyPoint& point : points)
    if (point.variant == variant)
      if (const auto at = point.figures.find(figure); at != point.figures.end()) out.push_back(at->second);
  return out;
}

bool StudyData::everywhere(const std::string& figure) const {
  return !points.empty() &&
         std::ranges::all_of(points, [&](const StudyPoint& point) { return point.figures.contains(figure); });
}

StudyData study_data(const StudyManifest& manifest) {
  StudyData data;
  data.name = manifest.name;
  data.kind = manifest.kind;
  for (const auto& variant : manifest.variants) data.variants.push_back(variant.at("name").get<std::string>());
  add_factors(settings_of(manifest), data);
  std::vector<const StudyAttempt*> attempts;
  for (const StudyRun& run : manifest.runs)
    if (const StudyAttempt* good = run.good()) attempts.push_back(good);
  data.origin = usual_origin(attempts);
  for (const StudyRun& run : manifest.runs) {
    const StudyAttempt* good = run.good();
    const auto variant = std::ranges::find(data.variants, run.variant);
    if (good == nullptr || variant == data.variants.end()) continue;
    StudyPoint point{static_cast<std::size_t>(variant - data.variants.begin()), run.cycle, good->figures};
    if (good->origin != data.origin)
      if (std::erase_if(point.figures, [](const auto& figure) { return is_energy(figure.first); }) > 0)
        ++data.other_origins;
    data.points.push_back(std::move(point));
  }
  sort_stably(data.points, [](const StudyPoint& a, const StudyPoint& b) { return a.cycle < b.cycle; });
  return data;
}

bool is_better_less(const std::string& figure) { return figure != "output_tokens_per_s"; }

std::vector<StudyMeasure> study_measures(const StudyData& data) {
  static const std::array<std::vector<StudyMeasure>, 4> by_kind{{
      {{"charged_j_per_output_token", "mJ per output token", 1e3},
       {"gross_j_per_output_token", "gross mJ per output token", 1e3},
       {"cold_first_token_j", "J to the first token", 1},
       {"gross_j", "J of a run", 1}},
      {{"output_tokens_per_s", "output tokens/s", 1},
       {"cold_first_token_s", "s to the first token", 1},
       {"run_s", "s of a run", 1}},
      {{"ttft_s", "ms to the first token", 1e3}},
      {{"mean_w", "W in the mean of a run", 1}},
  }};
  // Of a cold start what counts is the start, not the answers after it.
  const auto fits = [&](const StudyMeasure& row) {
    return data.kind != "cold-start" || row.figure.starts_with("cold_") || row.figure == "mean_w";
  };
  std::vector<StudyMeasure> out;
  for (const auto& rows : by_kind) {
    const StudyMeasure* some = nullptr;  // one that every run has is worth more than a better one that some have
    const StudyMeasure* all = nullptr;
    for (const StudyMeasure& row : rows) {
      if (!fits(row)) continue;
      if (all == nullptr && data.everywhere(row.figure)) all = &row;
      if (some == nullptr &&
          std::ranges::any_of(data.points, [&](const StudyPoint& point) { return point.figures.contains(row.figure); }))
        some = &row;
    }
    if (all == nullptr) all = some;
    if (all == nullptr) continue;
    out.push_back(*all);
    out.back().less_is_better = is_better_less(all->figure);
  }
  return out;
}

}  // namespace prony::app
