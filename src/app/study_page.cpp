#include "app/study_page.hpp"

#include <algorithm>
#include <set>

#include "app/study_charts.hpp"
#include "app/study_data.hpp"
#include "app/study_front.hpp"
#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/figures.hpp"
#include "reports/svg.hpp"
#include "statistics/describe.hpp"

namespace prony::app {

namespace {

using Cells = std::vector<std::string>;

constexpr std::size_t most_factors = 8, most_pairs = 6, most_table_rows = 500;
constexpr std::string_view none = "–";

std::string html(std::string_view text) { return svg::escaped(text, 300); }

std::string table_row(const Cells& cells, const char* kind) {
  std::string out = "<tr>";
  for (const std::string& cell : cells)
    out += "<" + std::string(kind) + ">" + html(cell) + "</" + std::string(kind) + ">";
  return out + "</tr>\n";
}

std::string table_of(const Cells& head, const std::vector<Cells>& rows, const std::string& caption) {
  if (rows.empty()) return {};
  std::string out =
      "<table><caption>" + html(caption) + "</caption>\n<thead>" + table_row(head, "th") + "</thead><tbody>\n";
  for (const Cells& row : rows) out += table_row(row, "td");
  return out + "</tbody></table>\n";
}

std::string section(const std::string& title, const std::string& body) {
  return body.empty() ? body : "<section><h2>" + html(title) + "</h2>\n" + body + "</section>\n";
}

std::string figure(std::optional<double> value, const StudyMeasure& measure) {
  return value ? figures::significant(*value * measure.times, 4) : std::string(none);
}

// What it is, by what, and of which machine.
std::string page_head(const StudyManifest& manifest, const StudyData& data) {
  const auto good = std::ranges::count_if(manifest.runs, [](const StudyRun& run) { return run.good() != nullptr; });
  std::string out = "<h1>" + html(manifest.name) + "</h1>\n<p>A study by Prony " + html(manifest.version) + " on " +
                    html(manifest.host) + ", begun " + html(manifest.begun_utc) + ": " +
                    std::to_string(manifest.variants.size()) + " variants, " + std::to_string(good) + " of " +
                    std::to_string(manifest.runs.size()) + " runs done (" + html(manifest.status) + "). Its id is " +
                    html(manifest.id) + ".</p>\n";
  if (data.origin == simulated_origin)
    out += "<p class=\"warning\">Simulated: no joule on this page is real.</p>\n";
  else if (!data.origin.empty())
    out += "<p>Joules are " + html(data.origin) +
           (data.origin == "measured" ? "" : ": they are told from use, and no sensor has seen them") + ".</p>\n";
  if (data.other_origins > 0)
    out += "<p class=\"warning\">" + std::to_string(data.other_origins) +
           " runs have joules of another origin: these are not laid beside the others.</p>\n";
  return out;
}

std::string variants_table(const StudyManifest& manifest, const StudyData& data,
                           const std::vector<StudyMeasure>& measures) {
  Cells head{"variant", "runs"};
  for (const StudyMeasure& measure : measures) {
    head.push_back(measure.label);
    head.emplace_back("95 %");
  }
  head.emplace_back("CV");
  std::vector<Cells> rows;
  for (std::size_t variant = 0; variant < data.variants.size() && rows.size() < most_table_rows; ++variant) {
    const std::string& name = data.variants[variant];
    std::size_t planned = 0, done = 0;
    for (const StudyRun& run : manifest.runs)
      if (run.variant == name) {
        ++planned;
        done += run.good() != nullptr ? 1 : 0;
      }
    Cells row{name, std::to_string(done) + "/" + std::to_string(planned)};
    std::string cv(none);
    for (std::size_t i = 0; i < measures.size(); ++i) {
      const std::vector<double> values = data.values(variant, measures[i].figure);
      const auto mean = metrics::mean(values);
      const auto interval = metrics::mean_interval_95(values);
      row.push_back(figure(mean ? std::optional(*mean) : std::nullopt, measures[i]));
      row.push_back(interval ? figure(interval->low, measures[i]) + "…" + figure(interval->high, measures[i])
                             : std::string(none));
      if (const auto all = statistics::describe(values); i == 0 && all && all->cv) cv = figures::percent(*all->cv);
    }
    row.push_back(cv);
    rows.push_back(std::move(row));
  }
  std::string caption = "Means over cycles; 95 %: Student's t interval of the mean; CV: of " +
                        (measures.empty() ? std::string() : measures.front().label);
  if (data.variants.size() > rows.size())
    caption += "; the first " + std::to_string(rows.size()) + ", all are in results_variants.csv";
  return table_of(head, rows, caption);
}

// How far apart the variants are: of their means.
std::string spread_table(const StudyData& data, const std::vector<StudyMeasure>& measures) {
  std::vector<Cells> rows;
  for (const StudyMeasure& measure : measures) {
    std::vector<double> means;
    for (std::size_t variant = 0; variant < data.variants.size(); ++variant)
      if (const auto mean = metrics::mean(data.values(variant, measure.figure))) means.push_back(*mean);
    const auto all = statistics::describe(means);
    if (!all || means.size() < 2) continue;
    std::ranges::sort(means);
    const auto at = [&](double p) {
      return statistics::quantile_of_sorted(means, p, statistics::QuantileRule::linear);
    };
    const auto times = [](double above, double below) {
      return below > 0 ? format_fixed(above / below, 2) : std::string(none);
    };
    const double best = measure.less_is_better ? all->min : all->max;
    rows.push_back({measure.label, std::to_string(means.size()), figure(all->mean, measure), figure(all->sd, measure),
                    all->cv ? figures::percent(*all->cv) : std::string(none), figure(all->min, measure),
                    figure(at(0.25), measure), figure(all->median, measure), figure(at(0.75), measure),
                    figure(all->max, measure), times(all->max, all->min), times(at(0.95), at(0.05)),
                    all->mean > 0 ? figures::percent(best / all->mean - 1) : std::string(none)});
  }
  return table_of({"figure", "variants", "mean", "sd", "CV", "least", "25 %", "median", "75 %", "most", "most/least",
                   "95 %/5 %", "best against mean"},
                  rows, "Of the variants' means; quartiles as NumPy and R interpolate them");
}

std::string factor_section(const StudyData& data, const std::vector<StudyMeasure>& measures) {
  std::string out;
  if (measures.empty()) return out;
  for (std::size_t factor = 0; factor < std::min(data.factors.size(), most_factors); ++factor) {
    std::string charts =
        factor_chart(data, factor, measures.front(), false) + factor_chart(data, factor, measures.front(), true);
    for (std::size_t i = 1; i < measures.size(); ++i) charts += factor_chart(data, factor, measures[i], false);
    if (!charts.empty()) out += "<h3>" + html(data.factors[factor].key) + "</h3>\n" + charts;
  }
  return out;
}

std::string pairs_section(const StudyData& data, const std::vector<StudyMeasure>& measures) {
  std::string out;
  std::size_t pairs = 0;
  if (measures.empty()) return out;
  for (std::size_t down = 0; down < data.factors.size(); ++down)
    for (std::size_t across = down + 1; across < data.factors.size() && pairs < most_pairs; ++across) {
      const std::string chart = heat_chart(data, down, across, measures.front());
      pairs += chart.empty() ? 0 : 1;
      out += chart;
    }
  return out;
}

// Runs that do not count and why, flags of those that do, and whether the work was the same.
std::string checks_section(const StudyManifest& manifest, const StudyData& data) {
  std::vector<Cells> rows;
  for (const StudyRun& run : manifest.runs) {
    const std::string number =
        std::to_string(run.number) + " · " + run.variant + " · cycle " + std::to_string(run.cycle + 1);
    if (run.attempts.empty() && rows.size() < most_table_rows) rows.push_back({number, "not run", ""});
    for (const StudyAttempt& attempt : run.attempts) {
      if (rows.size() >= most_table_rows) break;
      if (attempt.status != "done") rows.push_back({number, attempt.status, attempt.reason});
      for (const std::string& flag : attempt.flags) rows.push_back({number, "flag", flag});
    }
  }
  std::string out = table_of({"run", "what", "why"}, rows, "Runs that do not count, and flags of those that do");
  std::vector<Cells> work;
  for (const char* name : {"requests", "prompt_tokens", "output_tokens"}) {
    std::set<double> values;
    std::size_t moving = 0;
    for (std::size_t variant = 0; variant < data.variants.size(); ++variant) {
      const std::vector<double> all = data.values(variant, name);
      values.insert(all.begin(), all.end());
      moving += std::set<double>(all.begin(), all.end()).size() > 1 ? 1 : 0;
    }
    if (values.empty()) continue;
    work.push_back({name, figures::count(*values.begin()), figures::count(*values.rbegin()),
                    values.size() == 1 ? "the same in every run"
                    : moving == 0      ? "the same in every cycle, not in every variant"
                                       : std::to_string(moving) + " variants had other work from cycle to cycle"});
  }
  return out + table_of({"of a run", "least", "most", ""}, work,
                        "Whether the work was the same: joules a token say less where it was not");
}

constexpr std::string_view style =
    "body{font:15px/1.5 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0;font-size:13px;display:block;overflow-x:auto}"
    "caption{text-align:left;color:#555;padding:.3em 0}th,td{border-bottom:1px solid #ddd;padding:.25em .6em;"
    "text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left}"
    ".warning{background:#fff3cd;border-left:4px solid #d55e00;padding:.5em 1em}svg{max-width:100%;height:auto;"
    "display:block;margin:1em 0}h3{font-family:monospace}";

}  // namespace

std::string study_page(const StudyManifest& manifest, const std::vector<PowerTrace>& traces) {
  const StudyData data = study_data(manifest);
  const std::vector<StudyMeasure> measures = study_measures(data);
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + html(manifest.name) +
                    "</title>\n<meta name=\"viewport\" content=\"width=device-width\"><style>" + std::string(style) +
                    std::string(svg::style_sheet()) + "</style></head>\n<body>\n" + page_head(manifest, data);
  out += section("Variants", variants_table(manifest, data, measures));
  std::string spread;
  for (const StudyMeasure& measure : measures) spread += spread_chart(data, measure);
  out += section("How far they are apart", spread_table(data, measures) + spread);
  out += section("Setting by setting", factor_section(data, measures));
  out += section("Two settings together", pairs_section(data, measures));
  std::string against = front_svg(study_front(manifest), manifest.name, false);
  for (std::size_t i = against.empty() ? 1 : 2; i < measures.size(); ++i)
    against += scatter_chart(data, measures[i], measures.front());
  out += section("Energy against speed", against);
  out += section("All at once", parallel_chart(data, measures) + correlation_chart(data, measures));
  const std::string power = trace_chart(traces);
  const std::string whose =
      "<p>Of " + std::to_string(traces.size()) + " of " + std::to_string(data.variants.size()) +
      " variants: of at most eight, and of those whose runs are long enough for their sensor.</p>\n";
  out += section("Power over time", power.empty() ? power : whose + power);
  out += section("What was left out, and why", checks_section(manifest, data));
  return out +
         "<section><h2>How this was measured</h2>\n<p>Each run is a recording of its own (runs/), with its sensors, "
         "their "
         "resolution, gaps and doubts: <code>prony show runs/…</code>. Every figure of every run is in "
         "results_long.csv and results_wide.csv, what they come to in results_variants.csv. "
         "<code>prony compare</code> tells differences with their intervals.</p></section>\n</body></html>\n";
}

}  // namespace prony::app
