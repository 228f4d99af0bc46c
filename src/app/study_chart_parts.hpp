// What a study's charts share: their width, words of figures and axes, colours, legends. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "app/study_data.hpp"
#include "reports/svg.hpp"

namespace prony::app::charts {

inline constexpr double wide = 720;  // pixels, of every chart

[[nodiscard]] std::string figure(double value, const StudyMeasure& measure);  // in the unit of its label
[[nodiscard]] std::string colour(const char* kind, std::size_t place);        // "f", 1 → "f1"
// "mJ per output token, modelled"
[[nodiscard]] std::string axis_words(const StudyData& data, const StudyMeasure& measure);
[[nodiscard]] std::pair<double, double> range_of(const std::vector<double>& values);  // there must be one
// Left of a vertical axis: its ticks, their words, and what it is of; lines at the ticks up to `right`.
[[nodiscard]] std::string upright_axis(const svg::Scale& y, double left, double right, const std::string& words,
                                       double times);
[[nodiscard]] std::string legend(const std::vector<std::string>& names, double x, double y);

}  // namespace prony::app::charts
