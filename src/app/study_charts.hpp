// Charts of a study's figures, as pictures (reports/svg.hpp) for a page that has the style sheet. Dots are runs; means
// are over cycles, or over all runs at a level where it says so; lines and bands say what they are in the picture.
// "": there is nothing that such a chart could show. Pure.
#pragma once

#include <string>

#include "app/study_data.hpp"

namespace prony::app {

// Each variant's runs on one line, the best mean first, with Student's t interval and how many times the best it is.
[[nodiscard]] std::string spread_chart(const StudyData& data, const StudyMeasure& measure);
// Over the levels of one setting, a line for each combination of the others (up to eight; else one over all runs), with
// a band of one standard deviation. `relative`: as a share of the mean at the first level of the same combination.
[[nodiscard]] std::string factor_chart(const StudyData& data, std::size_t factor, const StudyMeasure& measure,
                                       bool relative);
// Means at the levels of two settings, over all runs there; the best is ringed.
[[nodiscard]] std::string heat_chart(const StudyData& data, std::size_t down, std::size_t across,
                                     const StudyMeasure& measure);
// Two figures against each other, a dot a variant, in colours of the first setting's levels.
[[nodiscard]] std::string scatter_chart(const StudyData& data, const StudyMeasure& across, const StudyMeasure& up);
// A line for each variant through its levels and its figures; the darker the more of the first measure.
[[nodiscard]] std::string parallel_chart(const StudyData& data, const std::vector<StudyMeasure>& measures);
// Spearman's rank correlation of all figures over the variants' means; from five variants on.
[[nodiscard]] std::string correlation_chart(const StudyData& data, const std::vector<StudyMeasure>& measures);

}  // namespace prony::app
