#include "app/study_chart_parts.hpp"

#include <algorithm>

#include "reports/figures.hpp"

namespace prony::app::charts {

std::string figure(double value, const StudyMeasure& measure) { return figures::significant(value * measure.times, 4); }

std::string colour(const char* kind, std::size_t place) { return kind + std::to_string(place % svg::colours); }

std::string axis_words(const StudyData& data, const StudyMeasure& measure) {
  const bool energy = measure.label.find('J') != std::string::npos || measure.label.starts_with("W ");
  return measure.label + (energy && !data.origin.empty() && data.origin != "measured" ? ", " + data.origin : "");
}

std::pair<double, double> range_of(const std::vector<double>& values) {
  const auto [least, most] = std::ranges::minmax(values);
  return {least, most};
}

std::string upright_axis(const svg::Scale& y, double left, double right, const std::string& words, double times) {
  std::string out;
  for (const double tick : y.ticks)
    out += svg::line(left, y.at(tick), right, y.at(tick), "grid") +
           svg::label(left - 6, y.at(tick) + 4, "end", svg::tick_words(tick * times));
  const double middle = (y.from + y.to) / 2;
  return out + svg::label(16, middle, "middle", words, " transform=\"rotate(-90 16 " + svg::pixel(middle) + ")\"");
}

std::string legend(const std::vector<std::string>& names, double x, double y) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double at = y + static_cast<double>(i) * 16;
    out += svg::box(x, at - 9, 10, 10, colour("f", i)) + svg::label(x + 15, at, "start", names[i]);
  }
  return out;
}

}  // namespace prony::app::charts
