#include "app/study_results.hpp"

#include <algorithm>
#include <cmath>

#include "app/study_front.hpp"
#include "app/study_judge.hpp"
#include "app/study_page.hpp"
#include "app/study_variants.hpp"
#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"

namespace prony::app {

namespace {

// All runs of one variant that count.
struct VariantRuns {
  std::string name;
  std::size_t planned = 0, failed = 0, attempts = 0;
  std::vector<const StudyAttempt*> good;
  [[nodiscard]] std::vector<double> values(const std::string& figure) const {
    std::vector<double> all;
    for (const StudyAttempt* attempt : good)
      if (const auto at = attempt->figures.find(figure); at != attempt->figures.end()) all.push_back(at->second);
    return all;
  }
};

std::vector<VariantRuns> by_variant(const StudyManifest& manifest) {
  std::vector<VariantRuns> rows;
  for (const auto& variant : manifest.variants) rows.push_back({variant.at("name").get<std::string>(), 0, 0, 0, {}});
  for (const StudyRun& run : manifest.runs) {
    const auto row = std::ranges::find(rows, run.variant, &VariantRuns::name);
    if (row == rows.end()) continue;
    ++row->planned;
    row->attempts += run.attempts.size();
    row->failed += run.status == "failed" ? 1 : 0;
    if (const StudyAttempt* good = run.good()) row->good.push_back(good);
  }
  return rows;
}

figures::Mark mark_of_origin(const std::string& origin) {
  if (origin == "modelled") return figures::Mark::modelled;
  return origin == "derived" ? figures::Mark::derived : figures::Mark::unmarked;
}

figures::Mark mark_of_runs(const VariantRuns& row) {
  for (const StudyAttempt* attempt : row.good)
    if (const auto mark = mark_of_origin(attempt->origin); mark != figures::Mark::unmarked) return mark;
  return figures::Mark::unmarked;
}

constexpr int shown_digits = 4;

std::string mean_cell(const std::vector<double>& values, double unit, figures::Mark mark) {
  const auto mean = metrics::mean(values);
  if (!mean) return std::string(figures::none);
  return figures::significant(*mean * unit, shown_digits) + std::string(figures::sign(mark));
}

std::string sd_cell(const std::vector<double>& values, double unit) {
  const auto sd = metrics::sd(values);
  return sd ? figures::significant(*sd * unit, 2) : std::string(figures::none);
}

std::string cv_cell(const std::vector<double>& values) {
  const auto sd = metrics::sd(values);
  const auto mean = metrics::mean(values);
  if (!sd || !mean || *mean == 0) return std::string(figures::none);
  return format_fixed(100 * *sd / std::abs(*mean), 1) + " %";
}

std::string interval_cell(const std::vector<double>& values, double unit) {
  const auto interval = metrics::mean_interval_95(values);
  if (!interval) return std::string(figures::none);
  return figures::significant(interval->low * unit, shown_digits) + "…" +
         figures::significant(interval->high * unit, shown_digits);
}

struct Metric {
  const char* figure;
  std::string header;
  double unit = 1;
  bool joules = false, spread = false;
};

// What of joules all runs have: what is charged to requests where every one of them has it.
std::vector<Metric> metrics_of(const StudyManifest& manifest, const std::vector<VariantRuns>& rows) {
  if (manifest.kind == "run")
    return {{"gross_j", "J per run", 1, true, true}, {"run_s", "s per run"}, {"mean_w", "mean W", 1, true, false}};
  if (manifest.kind == "cold-start")
    return {{"cold_first_token_j", "J to first token", 1, true, true},
            {"cold_first_token_s", "s to first token"},
            {"load_s", "s to load"}};
  const bool charged = std::ranges::all_of(
      rows, [](const VariantRuns& row) { return row.values("charged_j_per_output_token").size() == row.good.size(); });
  return {{charged ? "charged_j_per_output_token" : "gross_j_per_output_token", charged ? "mJ/token" : "gross mJ/token",
           1e3, true, true},
          {"output_tokens_per_s", "tokens/s"},
          {"ttft_s", "TTFT ms", 1e3}};
}

void add_cells(std::vector<std::string>& cells, const VariantRuns& row, const Metric& metric) {
  const std::vector<double> values = row.values(metric.figure);
  cells.push_back(mean_cell(values, metric.unit, metric.joules ? mark_of_runs(row) : figures::Mark::unmarked));
  if (metric.spread) {
    cells.push_back(sd_cell(values, metric.unit));
    cells.push_back(cv_cell(values));
  }
  cells.push_back(interval_cell(values, metric.unit));
}

layout::TextTable means_table(const std::vector<VariantRuns>& rows, const std::vector<Metric>& shown) {
  layout::TextTable table;
  table.columns.push_back({"variant", false, 0, 12});
  table.columns.push_back({"runs", true, 0, 0});
  for (const Metric& metric : shown) {
    table.columns.push_back({metric.header, true, 0, 0});
    if (metric.spread) {
      table.columns.push_back({"sd", true, 0, 0});
      table.columns.push_back({"CV", true, 2, 0});
    }
    table.columns.push_back({"95 %", true, metric.spread ? 1 : 3, 0});
  }
  for (const VariantRuns& row : rows) {
    std::vector<std::string> cells{printable(row.name, 60),
                                   std::to_string(row.good.size()) + "/" + std::to_string(row.planned)};
    for (const Metric& metric : shown) add_cells(cells, row, metric);
    table.rows.push_back(std::move(cells));
  }
  return table;
}

// Which variants' joules are not real; a column of them beside those of a real machine compares nothing.
std::string simulated_words(const std::vector<VariantRuns>& rows) {
  std::string names;
  bool all = true;
  for (const VariantRuns& row : rows) {
    if (row.good.empty()) continue;
    const bool simulated =
        std::ranges::any_of(row.good, [](const StudyAttempt* attempt) { return attempt->origin == simulated_origin; });
    all = all && simulated;
    if (simulated) names += (names.empty() ? "" : ", ") + printable(row.name, 40);
  }
  if (names.empty()) return {};
  return all ? "simulated: no joule here is real" : "simulated: no joule of " + names + " is real";
}

// How the limit of memory was kept, where it was the same in all runs; else of how many the kernel kept it.
std::string memory_words_of(const StudyManifest& manifest) {
  std::size_t enforced = 0, all = 0;
  std::string words;
  for (const StudyRun& run : manifest.runs)
    for (const StudyAttempt& attempt : run.attempts) {
      if (attempt.memory_limit.empty()) continue;
      ++all;
      enforced += attempt.memory_limit.starts_with("enforced") ? 1 : 0;
      words = attempt.memory_limit;
    }
  if (all == 0) return {};
  if (enforced == 0 || enforced == all) return "limit of memory " + printable(words, 120);
  return "limit of memory enforced in " + std::to_string(enforced) + " of " + std::to_string(all) + " attempts";
}

// Where runs that count have no joules: a mean of the others would look like one of all.
std::string runs_without_joules(const std::vector<VariantRuns>& rows, const std::vector<Metric>& shown) {
  const auto joules = std::ranges::find(shown, true, &Metric::joules);
  if (joules == shown.end()) return {};
  const StudyAttempt* first = nullptr;
  std::size_t without = 0, all = 0;
  for (const VariantRuns& row : rows)
    for (const StudyAttempt* attempt : row.good) {
      ++all;
      if (attempt->figures.contains(joules->figure)) continue;
      if (++without == 1) first = attempt;
    }
  if (without == 0) return {};
  return "no joules in " + std::to_string(without) + " of " + std::to_string(all) + " runs: `prony show` of " +
         first->run + " says why";
}

std::vector<std::string> doubts(const StudyManifest& manifest, const std::vector<VariantRuns>& rows,
                                const std::vector<Metric>& shown) {
  std::vector<std::string> items;
  if (std::string simulated = simulated_words(rows); !simulated.empty()) items.push_back(std::move(simulated));
  if (std::ranges::any_of(rows, [](const VariantRuns& row) { return mark_of_runs(row) == figures::Mark::modelled; }))
    items.emplace_back("~ joules are modelled: no energy sensor here, see `prony doctor`");
  if (std::string lacking = runs_without_joules(rows, shown); !lacking.empty()) items.push_back(std::move(lacking));
  if (std::ranges::any_of(shown,
                          [](const Metric& m) { return std::string_view(m.figure) == "gross_j_per_output_token"; }))
    items.emplace_back("gross: all that was drawn, for not each request's own joules can be told in each run");
  if (std::ranges::any_of(rows, [](const VariantRuns& row) { return row.good.size() == 1; }))
    items.emplace_back("one cycle has no interval: run more with  --resume … --cycles 5");
  for (const VariantRuns& row : rows) {
    std::map<std::string, std::size_t> flags;
    for (const StudyAttempt* attempt : row.good)
      for (const std::string& flag : attempt->flags) ++flags[flag];
    for (const auto& [flag, count] : flags)
      items.push_back(printable(row.name, 40) + ": " + flag + " (" + std::to_string(count) + " of " +
                      std::to_string(row.good.size()) + " runs)");
  }
  if (const std::string kept = memory_words_of(manifest); !kept.empty()) items.push_back(kept);
  if (!manifest.machine_before.empty())
    items.emplace_back("settings of the machine are not yet put back: prony study --restore FOLDER");
  return items;
}

std::string failed_runs(const StudyManifest& manifest, std::size_t width, bool colour) {
  constexpr std::size_t most = 8;
  std::vector<std::pair<std::string, std::vector<const StudyRun*>>> reasons;  // what has one cause is one line
  for (const StudyRun& run : manifest.runs) {
    if (run.status != "failed" || run.attempts.empty()) continue;
    const std::string& reason = run.attempts.back().reason;
    auto at = std::ranges::find(reasons, reason, [](const auto& one) { return one.first; });
    if (at == reasons.end()) at = reasons.insert(reasons.end(), {reason, {}});
    at->second.push_back(&run);
  }
  std::string out;
  for (std::size_t i = 0; i < reasons.size() && i < most; ++i) {
    const auto& [reason, runs] = reasons[i];
    const StudyRun& first = *runs.front();
    const std::size_t others = runs.size() - 1;
    out += layout::labelled("failed",
                            {"run " + std::to_string(first.number) + " (" + printable(first.variant, 40) + ", cycle " +
                             std::to_string(first.cycle + 1) + ", " + std::to_string(first.attempts.size()) +
                             (first.attempts.size() == 1 ? " attempt)" : " attempts)") +
                             (others > 0 ? " and " + std::to_string(others) + " more: " : ": ") +
                             printable(reason, 160) + ", see " + first.attempts.back().log},
                            width, layout::Tone::warning, colour);
  }
  if (reasons.size() > most)
    out += layout::labelled("failed", {std::to_string(reasons.size() - most) + " more reasons, see manifest.json"},
                            width, layout::Tone::warning, colour);
  return out;
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i) line += (i > 0 ? "," : "") + csv_field(fields[i]);
  return line + "\n";
}

std::vector<std::string> run_fields(const StudyManifest& manifest, const StudyRun& run) {
  const StudyAttempt* good = run.good();
  const StudyAttempt* told = good != nullptr ? good : run.attempts.empty() ? nullptr : &run.attempts.back();
  std::string flags;
  if (told != nullptr)
    for (const std::string& flag : told->flags) flags += (flags.empty() ? "" : "; ") + flag;
  return {manifest.id,
          manifest.name,
          std::to_string(run.number),
          run.variant,
          run.hash,
          std::to_string(run.cycle + 1),
          run.status,
          std::to_string(run.attempts.size()),
          told != nullptr ? told->id : "",
          told != nullptr ? told->begun_utc : "",
          told != nullptr ? told->run : "",
          told != nullptr ? told->reason : "",
          told != nullptr ? told->origin : "",
          flags};
}

const std::vector<std::string>& run_columns() {
  static const std::vector<std::string> names{"study_id", "study",  "run",           "variant",    "variant_hash",
                                              "cycle",    "status", "attempts",      "attempt_id", "begun_utc",
                                              "run_file", "reason", "joules_origin", "flags"};
  return names;
}

}  // namespace

std::string study_table(const StudyManifest& manifest, std::size_t width, bool colour) {
  const std::vector<VariantRuns> rows = by_variant(manifest);
  std::size_t good = 0, attempts = 0;
  for (const VariantRuns& row : rows) {
    good += row.good.size();
    attempts += row.attempts;
  }
  std::vector<std::string> head{"prony study", printable(manifest.name, 40),
                                figures::count_of(rows.size()) + (rows.size() == 1 ? " variant" : " variants"),
                                std::to_string(good) + " of " + std::to_string(manifest.runs.size()) + " runs done"};
  if (attempts > good) head.push_back(std::to_string(attempts) + " attempts");
  head.push_back(manifest.begun_utc.substr(0, 10));
  std::string out = layout::joined(head, width, 1) + "\n";
  std::vector<std::string> left_out;
  const std::vector<Metric> shown = metrics_of(manifest, rows);
  layout::TextTable table = means_table(rows, shown);
  out += table.render(width, colour, left_out) + "\n";
  std::vector<std::string> legend{"means over cycles; sd with n − 1; 95 %: Student's t interval of the mean"};
  if (manifest.kind == "llm")
    legend.insert(legend.begin(), "mJ/token: joules per output token, see docs/metrics-energy.md");
  out += layout::labelled("figures", legend, width, layout::Tone::dim, colour);
  if (!left_out.empty()) {
    std::string names;
    for (const std::string& name : left_out) names += (names.empty() ? "" : ", ") + name;
    out += layout::labelled(
        "left out", {names + ": no room in " + std::to_string(width) + " columns, they are in results_variants.csv"},
        width, layout::Tone::dim, colour);
  }
  if (const std::string front = front_words(study_front(manifest)); !front.empty())
    out += layout::labelled("front", {front}, width, layout::Tone::plain, colour);
  out += layout::labelled("conditions", doubts(manifest, rows, shown), width, layout::Tone::plain, colour);
  out += failed_runs(manifest, width, colour);
  if (!manifest.why.empty()) out += layout::labelled("stopped", {manifest.why}, width, layout::Tone::warning, colour);
  return out;
}

std::string study_csv_wide(const StudyManifest& manifest) {
  std::vector<std::string> header = run_columns();
  for (const StudyColumn& column : study_columns()) header.emplace_back(column.name);
  std::string text = csv_line(header);
  for (const StudyRun& run : manifest.runs) {
    std::vector<std::string> fields = run_fields(manifest, run);
    const StudyAttempt* good = run.good();
    for (const StudyColumn& column : study_columns()) {
      const auto at = good == nullptr ? StudyFigures::const_iterator{} : good->figures.find(column.name);
      fields.push_back(good == nullptr || at == good->figures.end() ? "" : format_number(at->second));
    }
    text += csv_line(fields);
  }
  return text;
}

std::string study_csv_long(const StudyManifest& manifest) {
  std::vector<std::string> header = run_columns();
  header.insert(header.end(), {"figure", "unit", "value"});
  std::string text = csv_line(header);
  for (const StudyRun& run : manifest.runs) {
    const StudyAttempt* good = run.good();
    if (good == nullptr) continue;
    for (const StudyColumn& column : study_columns()) {
      const auto at = good->figures.find(column.name);
      if (at == good->figures.end()) continue;
      std::vector<std::string> fields = run_fields(manifest, run);
      fields.insert(fields.end(), {column.name, column.unit, format_number(at->second)});
      text += csv_line(fields);
    }
  }
  return text;
}

Result<void> write_study_results(const StudyFolder& folder, const StudyManifest& manifest) {
  if (auto written = replace_durably(folder.file("results_wide.csv"), study_csv_wide(manifest)); !written)
    return written;
  if (auto written = replace_durably(folder.file("results_long.csv"), study_csv_long(manifest)); !written)
    return written;
  for (const auto& [name, text] : {std::pair{"results_variants.csv", variants_csv(manifest)},
                                   std::pair{"results_variants.jsonl", variants_jsonl(manifest)},
                                   std::pair{"results_runs.jsonl", runs_jsonl(manifest)}})
    if (auto written = replace_durably(folder.file(name), text); !written) return written;
  if (auto written =
          replace_durably(folder.file("results.html"), study_page(manifest, power_traces(folder.path(), manifest)));
      !written)
    return written;
  const std::string picture = front_svg(study_front(manifest), manifest.name);
  return picture.empty() ? Result<void>{} : replace_durably(folder.file("results.svg"), picture);
}

std::string study_run_words(const StudyAttempt& attempt) {
  const auto figure = [&](const char* name) -> std::optional<double> {
    const auto at = attempt.figures.find(name);
    return at == attempt.figures.end() ? std::nullopt : std::optional(at->second);
  };
  const std::string mark(figures::sign(mark_of_origin(attempt.origin)));
  const std::string simulated = attempt.origin == simulated_origin ? " (simulated)" : "";
  std::vector<std::string> items;
  if (const auto latency = figure("latency_s"))
    items.push_back("latency " + figures::seconds(*latency));
  else if (const auto seconds = figure("run_s"))
    items.push_back(figures::seconds(*seconds));
  const auto charged = figure("charged_j_per_output_token"), gross = figure("gross_j_per_output_token"),
             all = figure("gross_j");
  if (charged || gross)
    items.push_back(figures::significant(charged.value_or(gross.value_or(0)) * 1e3, shown_digits) +
                    (charged ? " mJ/token" : " gross mJ/token") + mark + simulated);
  else if (all && !figure("latency_s"))
    items.push_back(figures::significant(*all, shown_digits) + " J" + mark + simulated);
  if (const auto rate = figure("output_tokens_per_s"))
    items.push_back(figures::significant(*rate, shown_digits) + " tokens/s");
  if (!attempt.flags.empty()) items.push_back("FLAG " + printable(attempt.flags.front(), 80));
  std::string words;
  for (const std::string& item : items) words += (words.empty() ? "" : " · ") + item;
  return words;
}

}  // namespace prony::app
