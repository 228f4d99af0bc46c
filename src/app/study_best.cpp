#include "app/study_best.hpp"

#include <algorithm>

#include "app/study_judge.hpp"
#include "base/stable_sort.hpp"
#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"

namespace prony::app {

namespace {

Result<StudyColumn> known_figure(const std::string& name, const char* option) {
  std::vector<std::string> names;
  for (const StudyColumn& column : study_columns()) {
    if (name == column.name) return column;
    names.emplace_back(column.name);
  }
  const auto near = nearest_name(name, names);
  return fail(
      ErrorCode::usage, "no figure of a study is called '" + printable(name, 60) + "'", option,
      near ? "Did you mean '" + *near + "'?" : "The figures are the columns of results_wide.csv (docs/study.md).");
}

void hold_to(const StudyData& data, std::size_t variant, const std::vector<StudyLimit>& limits, RankedVariant& ranked) {
  for (const StudyLimit& limit : limits) {
    const std::vector<double> values = data.values(variant, limit.figure);
    const auto mean = metrics::mean(values);
    const bool kept = mean && (limit.below ? *mean < limit.value : *mean > limit.value);
    if (!kept) {
      ranked.broken.push_back(limit.figure + " " + (mean ? figures::significant(*mean, 4) : std::string("–")));
      continue;
    }
    const auto interval = metrics::mean_interval_95(values);
    ranked.sure = ranked.sure && interval && (limit.below ? interval->high < limit.value : interval->low > limit.value);
  }
}

std::string interval_words(const RankedVariant& one) {
  return one.low ? figures::significant(*one.low, 4) + "…" + figures::significant(*one.high, 4) : std::string("–");
}

}  // namespace

Result<StudyLimit> study_limit_from(const std::string& text) {
  const std::size_t at = text.find_first_of("<>");
  const auto value = at == std::string::npos ? std::nullopt : parse_finite(std::string(trim(text.substr(at + 1))));
  if (!value)
    return fail(ErrorCode::usage, "'" + printable(text, 60) + "' is no limit", "--under",
                "Write a figure, < or >, and a number in its unit:  --under \"ttft_s < 0.5\"");
  StudyLimit limit{std::string(trim(text.substr(0, at))), text[at] == '<', *value, std::string(trim(text))};
  if (const auto known = known_figure(limit.figure, "--under"); !known) return Unexpected<Error>(known.error());
  return limit;
}

const RankedVariant* StudyRanking::best() const noexcept {
  return variants.empty() || !variants.front().broken.empty() ? nullptr : &variants.front();
}

Result<StudyRanking> study_ranking(const StudyData& data, const std::string& figure,
                                   const std::vector<StudyLimit>& limits) {
  const auto column = known_figure(figure, "--best");
  if (!column) return Unexpected<Error>(column.error());
  StudyRanking out{figure, column->unit, {}, is_better_less(figure), {}};
  std::optional<double> first;
  for (std::size_t variant = 0; variant < data.variants.size(); ++variant) {
    const std::vector<double> values = data.values(variant, figure);
    const auto mean = metrics::mean(values);
    if (!mean) continue;
    RankedVariant one{data.variants[variant], values.size(), *mean, {}, {}, {}, {}, true};
    if (const auto interval = metrics::mean_interval_95(values)) {
      one.low = interval->low;
      one.high = interval->high;
    }
    if (variant == 0) {
      first = *mean;
      out.first = one.name;
    } else if (first && *first != 0) {
      one.against_first = *mean / *first - 1;
    }
    hold_to(data, variant, limits, one);
    out.variants.push_back(std::move(one));
  }
  if (out.variants.empty())
    return fail(ErrorCode::absent, "no run of this study has the figure " + figure, "--best",
                "results_wide.csv has those that there are.");
  sort_stably(out.variants, [&](const RankedVariant& a, const RankedVariant& b) {
    if (a.broken.empty() != b.broken.empty()) return a.broken.empty();
    return out.less_is_better ? a.mean < b.mean : a.mean > b.mean;
  });
  return out;
}

std::string ranking_text(const StudyRanking& ranking, const std::vector<StudyLimit>& limits, const std::string& origin,
                         std::size_t width, bool colour) {
  layout::TextTable table;
  table.columns = {{.header = ""},
                   {.header = "variant", .right = false},
                   {.header = "runs", .priority = 3},
                   {.header = ranking.figure},
                   {.header = "95 %", .priority = 2},
                   {.header = "against the first", .priority = 1}};
  if (!limits.empty()) table.columns.push_back({.header = "limits", .right = false});
  std::size_t place = 0;
  for (const RankedVariant& one : ranking.variants) {
    std::vector<std::string> cells{
        one.broken.empty() ? std::to_string(++place) : "–",
        printable(one.name, 40),
        std::to_string(one.runs),
        figures::significant(one.mean, 4),
        interval_words(one),
        one.against_first ? (*one.against_first > 0 ? "+" : "") + format_fixed(100 * *one.against_first, 1) + " %"
                          : "–"};
    if (!limits.empty()) {
      std::string broken;
      for (const std::string& words : one.broken) broken += (broken.empty() ? "" : ", ") + words;
      cells.push_back(!broken.empty() ? broken : one.sure ? "kept" : "kept, not sure");
    }
    table.rows.push_back(std::move(cells));
  }
  std::vector<std::string> left_out;
  std::string text = table.render(width, colour, left_out) + "\n";
  std::string asked;
  for (const StudyLimit& limit : limits) asked += (asked.empty() ? " with " : " and ") + printable(limit.text, 60);
  const RankedVariant* best = ranking.best();
  std::vector<std::string> words{best == nullptr ? "none" + asked : printable(best->name, 60) + asked};
  if (best != nullptr && best->against_first)
    words.push_back(format_fixed(100 * *best->against_first, 1) + " % against " + printable(ranking.first, 60));
  text += layout::labelled("best", words, width, layout::Tone::plain, colour);
  std::vector<std::string> notes{"means over cycles, in " + ranking.unit + "; 95 %: Student's t interval of the mean"};
  if (!origin.empty() && origin != "measured" && ranking.unit.find('J') != std::string::npos)
    notes.push_back("joules are " + origin);
  if (!limits.empty()) notes.emplace_back("not sure: the interval reaches beyond a limit, or there is one run");
  if (!left_out.empty()) {
    std::string columns;
    for (const std::string& name : left_out) columns += (columns.empty() ? "" : ", ") + name;
    notes.push_back("no room for: " + columns);
  }
  return text + layout::labelled("figures", notes, width, layout::Tone::plain, colour);
}

}  // namespace prony::app
