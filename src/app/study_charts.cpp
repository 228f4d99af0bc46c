#include "app/study_charts.hpp"

#include <algorithm>
#include <cmath>

#include "app/study_chart_parts.hpp"
#include "base/stable_sort.hpp"
#include "base/text.hpp"
#include "model/metrics.hpp"
#include "statistics/describe.hpp"
#include "statistics/rank_correlation.hpp"

namespace prony::app {

namespace {

using charts::axis_words, charts::colour, charts::figure, charts::legend, charts::range_of, charts::upright_axis,
    charts::wide;
using svg::box, svg::dot, svg::label, svg::line, svg::Place, svg::Scale;
using Values = std::vector<double>;

constexpr std::size_t most_rows = 60;

struct Row {
  std::size_t variant = 0;
  double mean = 0;
  Values values;
};

std::vector<Row> rows_by_mean(const StudyData& data, const StudyMeasure& measure) {
  std::vector<Row> rows;
  for (std::size_t variant = 0; variant < data.variants.size(); ++variant)
    if (Values values = data.values(variant, measure.figure); !values.empty())
      rows.push_back({variant, metrics::mean(values).value_or(0), values});
  sort_stably(rows,
              [&](const Row& a, const Row& b) { return measure.less_is_better ? a.mean < b.mean : a.mean > b.mean; });
  return rows;
}

struct Means {
  std::size_t variant = 0;
  double across = 0, up = 0;
};

}  // namespace

std::string spread_chart(const StudyData& data, const StudyMeasure& measure) {
  std::vector<Row> rows = rows_by_mean(data, measure);
  if (rows.size() < 2) return {};
  const std::size_t all = rows.size();
  rows.resize(std::min(all, most_rows));
  Values values;
  for (const Row& row : rows) values.insert(values.end(), row.values.begin(), row.values.end());
  const auto [least, most] = range_of(values);
  constexpr double left = 240, right = wide - 80, top = 40, each = 22;
  const double height = top + each * static_cast<double>(rows.size()) + 50;
  const Scale x = svg::scale_of(least, most, left, right);
  std::string out;
  for (const double tick : x.ticks)
    out += line(x.at(tick), top - 8, x.at(tick), height - 44, "grid") +
           label(x.at(tick), height - 28, "middle", svg::tick_words(tick * measure.times));
  const double best = rows.front().mean;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const double y = top + each * (static_cast<double>(i) + 0.5);
    const std::string name = data.variants[row.variant];
    out += label(left - 10, y + 4, "end", printable(name, 36));
    if (const auto interval = metrics::mean_interval_95(row.values))
      out += line(x.at(interval->low), y, x.at(interval->high), y, "range");
    if (row.values.size() >= 4) {
      Values sorted = row.values;
      std::ranges::sort(sorted);
      const double low = x.at(statistics::quantile_of_sorted(sorted, 0.25, statistics::QuantileRule::linear));
      const double high = x.at(statistics::quantile_of_sorted(sorted, 0.75, statistics::QuantileRule::linear));
      out += box(low, y - 6, std::max(high - low, 0.5), 12, "faint f5");
    }
    for (const double value : row.values)
      out += dot(x.at(value), y, 3, "faint f0", name + ": " + figure(value, measure));
    out += line(x.at(row.mean), y - 7, x.at(row.mean), y + 7, "mean");
    if (best > 0) out += label(right + 10, y + 4, "start", "× " + format_fixed(row.mean / best, 2));
  }
  out += label((left + right) / 2, height - 10, "middle", axis_words(data, measure));
  const std::string more =
      all > rows.size() ? "; the first " + std::to_string(rows.size()) + " of " + std::to_string(all) : "";
  out += label(12, 20, "start",
               "dots: runs; bars: means; lines: Student's t, 95 %; boxes: the middle half, from four runs on" + more);
  return svg::picture(wide, height, measure.label + " of each variant",
                      "best mean: " + data.variants[rows.front().variant], out, false);
}

std::string scatter_chart(const StudyData& data, const StudyMeasure& across, const StudyMeasure& up) {
  std::vector<Means> all;
  Values xs, ys;
  for (std::size_t variant = 0; variant < data.variants.size(); ++variant) {
    const auto x = metrics::mean(data.values(variant, across.figure)),
               y = metrics::mean(data.values(variant, up.figure));
    if (!x || !y) continue;
    all.push_back({variant, *x, *y});
    xs.push_back(*x);
    ys.push_back(*y);
  }
  if (all.size() < 2) return {};
  constexpr double left = 80, right = 500, top = 40, low = 330;
  const auto [x_least, x_most] = range_of(xs);
  const auto [y_least, y_most] = range_of(ys);
  const Scale x = svg::scale_of(x_least, x_most, left, right), y = svg::scale_of(y_least, y_most, low, top);
  std::string out = upright_axis(y, left, right, axis_words(data, up), up.times);
  for (const double tick : x.ticks)
    out += line(x.at(tick), top, x.at(tick), low, "grid") +
           label(x.at(tick), low + 18, "middle", svg::tick_words(tick * across.times));
  out += label((left + right) / 2, low + 40, "middle", axis_words(data, across));
  const bool coloured = !data.factors.empty() && data.factors[0].levels.size() <= svg::colours;
  for (const Means& one : all) {
    const std::size_t place = coloured ? data.levels[one.variant][0].value_or(6) : 0;
    out += dot(x.at(one.across), y.at(one.up), 5, colour("f", place),
               data.variants[one.variant] + ": " + figure(one.up, up) + " " + up.label + ", " +
                   figure(one.across, across) + " " + across.label);
  }
  if (coloured) {
    std::vector<std::string> names;
    for (const std::string& level : data.factors[0].levels)
      names.push_back(printable(data.factors[0].key, 16) + " " + printable(level, 16));
    out += legend(names, right + 14, top + 6);
  }
  out += label(12, 20, "start", "means over cycles, a dot a variant");
  return svg::picture(wide, low + 60, up.label + " against " + across.label, "a dot a variant", out, false);
}

std::string parallel_chart(const StudyData& data, const std::vector<StudyMeasure>& measures) {
  struct Axis {
    std::string name;
    std::vector<std::optional<double>> at;  // of each variant, 0 … 1 from below
    std::string below, above;
  };
  std::vector<Axis> axes;
  for (std::size_t factor = 0; factor < data.factors.size(); ++factor) {
    const StudyFactor& one = data.factors[factor];
    Axis axis{one.key, {}, one.levels.front(), one.levels.back()};
    for (const auto& levels : data.levels)
      axis.at.push_back(levels[factor] ? std::optional(static_cast<double>(*levels[factor]) /
                                                       static_cast<double>(one.levels.size() - 1))
                                       : std::nullopt);
    axes.push_back(std::move(axis));
  }
  std::vector<std::optional<double>> first;  // by which lines are dark
  for (const StudyMeasure& measure : measures) {
    std::vector<std::optional<double>> means;
    Values known;
    for (std::size_t variant = 0; variant < data.variants.size(); ++variant) {
      const auto mean = metrics::mean(data.values(variant, measure.figure));
      means.push_back(mean ? std::optional(*mean) : std::nullopt);
      if (mean) known.push_back(*mean);
    }
    if (known.size() < 3) continue;
    const auto [least, most] = range_of(known);
    for (auto& mean : means)
      if (mean) mean = most > least ? (*mean - least) / (most - least) : 0.5;
    if (first.empty()) first = means;
    axes.push_back({measure.label, std::move(means), figure(least, measure), figure(most, measure)});
  }
  if (axes.size() < 3 || first.empty()) return {};
  constexpr double left = 60, right = wide - 60, top = 60, low = 300;
  const double each = (right - left) / static_cast<double>(axes.size() - 1);
  std::string out = label(12, 20, "start", "a line a variant; the darker the more " + measures.front().label);
  for (std::size_t variant = 0; variant < data.variants.size(); ++variant) {
    std::vector<Place> places;
    for (std::size_t i = 0; i < axes.size(); ++i)
      if (axes[i].at[variant])
        places.push_back({left + each * static_cast<double>(i), low + (top - low) * *axes[i].at[variant]});
    if (places.size() < 2 || !first[variant]) continue;
    out += "<g style=\"stroke:" + svg::shade(0.2 + 0.8 * *first[variant]) + "\"><title>" +
           svg::escaped(data.variants[variant]) + "</title>" + svg::path(places, "lines") + "</g>\n";
  }
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const double x = left + each * static_cast<double>(i);
    const double name_y = i % 2 == 0 ? top - 26 : top - 12;                         // long names beside each other
    const char* side = i == 0 ? "start" : i + 1 == axes.size() ? "end" : "middle";  // none beyond the picture
    out += line(x, top, x, low, "range") +
           label(i == 0                 ? 12
                 : i + 1 == axes.size() ? wide - 4
                                        : x,
                 name_y, side, printable(axes[i].name, 28)) +
           label(x, low + 16, "middle", printable(axes[i].below, 12)) +
           label(x + 4, top + 4, "start", printable(axes[i].above, 12));
  }
  return svg::picture(wide, low + 40, "settings and figures of each variant", "a line a variant", out, false);
}

std::string correlation_chart(const StudyData& data, const std::vector<StudyMeasure>& measures) {
  std::vector<std::string> names;
  std::vector<Values> columns;
  for (const StudyMeasure& measure : measures) {
    Values means;
    for (std::size_t variant = 0; variant < data.variants.size(); ++variant)
      if (const auto mean = metrics::mean(data.values(variant, measure.figure))) means.push_back(*mean);
    if (means.size() != data.variants.size()) continue;  // pairs need both
    names.push_back(measure.label);
    columns.push_back(std::move(means));
  }
  constexpr std::size_t fewest = 5;
  if (data.variants.size() < fewest || columns.size() < 2) return {};
  constexpr double left = 200, top = 40, each = 100, tall = 34;
  std::string out =
      label(12, 20, "start",
            "Spearman's rank correlation of the means of " + std::to_string(data.variants.size()) + " variants");
  for (std::size_t row = 0; row < columns.size(); ++row) {
    const double y = top + tall * static_cast<double>(row);
    out += label(left - 10, y + tall * 0.65, "end", printable(names[row], 30));
    for (std::size_t column = 0; column < columns.size(); ++column) {
      const auto value = statistics::rank_correlation(columns[row], columns[column]);
      const double x = left + each * static_cast<double>(column);
      out += box(x, y, each, tall, "cell", names[row] + ", " + names[column],
                 " fill=\"" + svg::two_sided_shade(value.value_or(0)) + "\"");
      out += label(x + each / 2, y + tall * 0.65, "middle", value ? format_fixed(*value, 2) : "–",
                   value && std::abs(*value) > 0.7 ? " fill=\"#fff\"" : "");
    }
  }
  const double low = top + tall * static_cast<double>(columns.size());
  for (std::size_t column = 0; column < columns.size(); ++column)
    out += label(left + each * (static_cast<double>(column) + 0.5), low + (column % 2 == 0 ? 16 : 32), "middle",
                 printable(names[column], 30));
  return svg::picture(wide, low + 44, "which figures rise together", "Spearman's rank correlation", out, false);
}

}  // namespace prony::app
