// A study's finished runs as its charts take them: which settings were varied over which levels, and each run's figures
// at its levels. Joules of one origin alone are laid side by side: those of runs of another are left out, and counted.
// Pure; plain values. Units: those of the figures (app/study_judge.hpp).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "app/study_folder.hpp"

namespace prony::app {

struct StudyFactor {
  std::string key;                  // "threads"
  std::vector<std::string> levels;  // numbers ascending, words as the study's file has them
};

struct StudyPoint {
  std::size_t variant = 0;  // a place in StudyData::variants
  std::size_t cycle = 0;    // from 0
  StudyFigures figures;     // without joules where their origin is another
};

struct StudyData {
  std::string name, kind, origin;  // origin: of all joules in it
  std::vector<std::string> variants;
  std::vector<StudyFactor> factors;  // with two levels or more
  // By variant and factor: the place of its level; absent: the variant does not have the setting.
  std::vector<std::vector<std::optional<std::size_t>>> levels;
  std::vector<StudyPoint> points;  // a finished run each
  std::size_t other_origins = 0;   // runs whose joules are left out

  // Of the runs of a variant that have the figure, in the order of the cycles.
  [[nodiscard]] std::vector<double> values(std::size_t variant, const std::string& figure) const;
  [[nodiscard]] bool everywhere(const std::string& figure) const;  // every run has it
};
[[nodiscard]] StudyData study_data(const StudyManifest& manifest);

// What charts are of, where any run has it, best known first: energy a token, or of the run; speed; a time of waiting.
struct StudyMeasure {
  std::string figure;  // "charged_j_per_output_token"
  std::string label;   // "mJ per output token"
  double times = 1;    // from the figure's unit to the label's
  bool less_is_better = true;
};
// Of all figures, tokens a second alone are the better the more of them.
[[nodiscard]] bool is_better_less(const std::string& figure);
[[nodiscard]] std::vector<StudyMeasure> study_measures(const StudyData& data);

}  // namespace prony::app
