// Which variant of a study is the best by one figure, among those that keep to limits on others: ranked by their means
// over cycles, with what each saves against the first. A limit is kept by the mean; where its interval (Student's t,
// 95 %) reaches beyond, or there is one run alone, it is kept and not sure. Pure. Units: of the figures
// (app/study_judge.hpp). Errors: usage, with the nearest name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/study_data.hpp"
#include "base/result.hpp"

namespace prony::app {

struct StudyLimit {
  std::string figure;  // "ttft_s"
  bool below = true;   // or above
  double value = 0;
  std::string text;  // as it was written
};
[[nodiscard]] Result<StudyLimit> study_limit_from(const std::string& text);  // "ttft_s < 0.5", "output_tokens_per_s>20"

struct RankedVariant {
  std::string name;
  std::size_t runs = 0;
  double mean = 0;
  std::optional<double> low, high;      // Student's t, 95 %
  std::optional<double> against_first;  // mean / mean of the study's first variant − 1
  std::vector<std::string> broken;      // "ttft_s 0.61"; of a figure that no run has: "ttft_s –"
  bool sure = true;                     // no limit lies in its interval
};
struct StudyRanking {
  std::string figure, unit, first;  // first: the variant that others are held against
  bool less_is_better = true;
  std::vector<RankedVariant> variants;  // those that keep to all limits first, the best first in each part
  [[nodiscard]] const RankedVariant* best() const noexcept;  // null: none keeps to all
};
[[nodiscard]] Result<StudyRanking> study_ranking(const StudyData& data, const std::string& figure,
                                                 const std::vector<StudyLimit>& limits);
[[nodiscard]] std::string ranking_text(const StudyRanking& ranking, const std::vector<StudyLimit>& limits,
                                       const std::string& origin, std::size_t width, bool colour);

}  // namespace prony::app
