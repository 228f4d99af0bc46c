// Charts over the levels of settings: lines over one, a map over two.
#include <algorithm>
#include <cmath>
#include <map>

#include "app/study_chart_parts.hpp"
#include "app/study_charts.hpp"
#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/figures.hpp"

namespace prony::app {

namespace {

using charts::axis_words, charts::colour, charts::range_of, charts::wide;
using svg::box, svg::dot, svg::label, svg::Place, svg::Scale;
using Values = std::vector<double>;

constexpr std::size_t most_lines = 8, most_levels = 24;
constexpr std::size_t most_dots = 1000;  // beyond that nobody sees one, and a page grows by megabytes

struct Level {
  double mean = 0;
  std::optional<double> sd;
  Values values;
};

Level level_of(Values values) {
  Level level{metrics::mean(values).value_or(0), std::nullopt, {}};
  if (const auto sd = metrics::sd(values)) level.sd = *sd;
  level.values = std::move(values);
  return level;
}

// The runs of a setting's levels, as lines: by the combination of the other settings, or all as one.
struct Lines {
  std::vector<std::string> names;
  std::vector<std::map<std::size_t, Level>> lines;  // by level
};

std::string combination_of(const StudyData& data, std::size_t variant, std::size_t without) {
  std::string name;
  for (std::size_t other = 0; other < data.factors.size(); ++other) {
    if (other == without) continue;
    const auto level = data.levels[variant][other];
    name += (name.empty() ? "" : " · ") + printable(data.factors[other].key, 20) + " " +
            (level ? printable(data.factors[other].levels[*level], 20) : "its own");
  }
  return name;
}

Lines lines_of(const StudyData& data, std::size_t factor, const StudyMeasure& measure, bool apart) {
  Lines out;
  std::vector<std::map<std::size_t, Values>> values;
  for (const StudyPoint& point : data.points) {
    const auto level = data.levels[point.variant][factor];
    const auto at = point.figures.find(measure.figure);
    if (!level || at == point.figures.end()) continue;
    const std::string name = apart ? combination_of(data, point.variant, factor) : std::string();
    const auto line = static_cast<std::size_t>(std::ranges::find(out.names, name) - out.names.begin());
    if (line == out.names.size()) {
      out.names.push_back(name);
      values.emplace_back();
    }
    values[line][*level].push_back(at->second);
  }
  for (auto& one : values) {
    auto& levels = out.lines.emplace_back();
    for (auto& [level, all] : one) levels.emplace(level, level_of(std::move(all)));
  }
  return out;
}

// What has no first level has nothing to be a share of.
void make_relative(Lines& all) {
  for (auto& levels : all.lines) {
    const auto first = levels.find(0);
    const double base = first == levels.end() ? 0 : first->second.mean;
    if (!(std::abs(base) > 0)) {
      levels.clear();
      continue;
    }
    for (auto& [level, one] : levels) {
      for (double& value : one.values) value /= base;
      one = level_of(std::move(one.values));
    }
  }
}

std::string line_of(const std::map<std::size_t, Level>& levels, std::size_t place, const Scale& y,
                    const std::vector<double>& x, const std::string& name, double times, bool dots) {
  std::string out;
  std::vector<Place> means, above, below;
  for (const auto& [level, one] : levels) {
    means.push_back({x[level], y.at(one.mean)});
    above.push_back({x[level], y.at(one.mean + one.sd.value_or(0))});
    below.push_back({x[level], y.at(one.mean - one.sd.value_or(0))});
    if (!dots) continue;
    for (const double value : one.values)
      out += dot(x[level], y.at(value), 3, "faint " + colour("f", place),
                 (name.empty() ? "" : name + ": ") + figures::significant(value * times, 4));
  }
  above.insert(above.end(), below.rbegin(), below.rend());
  return svg::patch(above, "band " + colour("f", place)) + svg::path(means, "lines " + colour("s", place)) + out;
}

}  // namespace

std::string factor_chart(const StudyData& data, std::size_t factor, const StudyMeasure& measure, bool relative) {
  Lines all = lines_of(data, factor, measure, true);
  const bool apart = all.names.size() <= most_lines;
  if (!apart) all = lines_of(data, factor, measure, false);
  if (relative) make_relative(all);
  Values values;
  std::size_t points = 0, runs = 0;
  for (const auto& levels : all.lines) {
    points = std::max(points, levels.size());
    for (const auto& [level, one] : levels) {
      values.insert(values.end(), one.values.begin(), one.values.end());
      runs += one.values.size();
      if (one.sd) values.insert(values.end(), {one.mean - *one.sd, one.mean + *one.sd});
    }
  }
  if (points < 2) return {};
  const StudyFactor& axis = data.factors[factor];
  const bool dots = runs <= most_dots;
  const bool named = apart && all.names.size() > 1;
  constexpr double left = 80, right = 440, top = 40, low = 280;
  const double height = std::max(low + 60, named ? top + 16 * static_cast<double>(all.names.size()) + 20 : 0.0);
  const auto [least, most] = range_of(values);
  const Scale y = svg::scale_of(least, most, low, top);
  std::vector<double> x;
  for (std::size_t level = 0; level < axis.levels.size(); ++level)
    x.push_back(left + (right - left) * (static_cast<double>(level) + 0.5) / static_cast<double>(axis.levels.size()));
  const double times = relative ? 1 : measure.times;
  const std::string words =
      relative ? "times " + printable(axis.key, 20) + " " + printable(axis.levels[0], 20) : axis_words(data, measure);
  std::string out = charts::upright_axis(y, left, right, words, times);
  const std::size_t every = (axis.levels.size() + 11) / 12;
  for (std::size_t level = 0; level < axis.levels.size(); level += every)
    out += label(x[level], low + 18, "middle", printable(axis.levels[level], axis.levels.size() > 6 ? 8 : 16));
  out += label((left + right) / 2, low + 40, "middle", axis.key);
  for (std::size_t i = 0; i < all.lines.size(); ++i)
    if (!all.lines[i].empty()) out += line_of(all.lines[i], i, y, x, all.names[i], times, dots);
  if (named) out += charts::legend(all.names, right + 14, top + 6);
  out += label(12, 20, "start",
               (dots ? "dots: runs" : "of " + std::to_string(runs) + " runs") +
                   std::string("; line: mean; band: ± 1 standard deviation; levels equally far apart") +
                   (apart ? "" : "; all combinations of the other settings together"));
  return svg::picture(wide, height, measure.label + " over " + axis.key + (relative ? ", relative" : ""),
                      "by the levels of " + axis.key, out, false);
}

std::string heat_chart(const StudyData& data, std::size_t down, std::size_t across, const StudyMeasure& measure) {
  const StudyFactor &rows = data.factors[down], &columns = data.factors[across];
  if (rows.levels.size() > most_levels || columns.levels.size() > most_levels) return {};
  std::map<std::pair<std::size_t, std::size_t>, Values> cells;
  for (const StudyPoint& point : data.points) {
    const auto row = data.levels[point.variant][down], column = data.levels[point.variant][across];
    const auto at = point.figures.find(measure.figure);
    if (row && column && at != point.figures.end()) cells[{*row, *column}].push_back(at->second);
  }
  if (cells.size() < 2) return {};
  Values means;
  for (const auto& [place, values] : cells) means.push_back(metrics::mean(values).value_or(0));
  const auto [least, most] = range_of(means);
  const double best = measure.less_is_better ? least : most;
  constexpr double left = 150, top = 60, each_y = 30;
  const double each_x = std::clamp((wide - left - 20) / static_cast<double>(columns.levels.size()), 20.0, 90.0);
  const double height = top + each_y * static_cast<double>(rows.levels.size()) + 20;
  std::string out =
      label(12, 20, "start", "means of " + axis_words(data, measure) + " over all runs there; ringed: the best");
  out += label(left, top - 24, "start", columns.key) + label(left - 10, top - 8, "end", rows.key);
  for (std::size_t i = 0; i < columns.levels.size(); ++i)
    out += label(left + each_x * (static_cast<double>(i) + 0.5), top - 8, "middle", printable(columns.levels[i], 12));
  for (std::size_t i = 0; i < rows.levels.size(); ++i)
    out += label(left - 10, top + each_y * (static_cast<double>(i) + 0.65), "end", printable(rows.levels[i], 18));
  std::string ring;
  for (const auto& [place, values] : cells) {
    const double mean = metrics::mean(values).value_or(0);
    const double share = most > least ? (mean - least) / (most - least) : 0;
    const double x = left + each_x * static_cast<double>(place.second),
                 y = top + each_y * static_cast<double>(place.first);
    out += box(x, y, each_x, each_y, "cell", std::to_string(values.size()) + (values.size() == 1 ? " run" : " runs"),
               " fill=\"" + svg::shade(share) + "\"");
    if (each_x >= 44)
      out += label(x + each_x / 2, y + each_y * 0.65, "middle", charts::figure(mean, measure),
                   share > 0.55 ? " fill=\"#fff\"" : "");
    if (ring.empty() && mean == best) ring = box(x + 1, y + 1, each_x - 2, each_y - 2, "ring");
  }
  return svg::picture(wide, height, measure.label + " by " + rows.key + " and " + columns.key, "the darker the more",
                      out + ring, false);
}

}  // namespace prony::app
