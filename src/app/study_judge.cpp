#include "app/study_judge.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "reports/load_figures.hpp"
#include "reports/network_report.hpp"
#include "reports/prompt_checks.hpp"
#include "reports/request_energy.hpp"
#include "reports/summary.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

using Json = nlohmann::ordered_json;

void set_figure(StudyFigures& figures, const char* name, const std::optional<double>& value) {
  if (value && std::isfinite(*value)) figures[name] = *value;
}

void set_joules(StudyFigures& figures, const std::string& name, const std::optional<Estimate>& value) {
  if (!value || !std::isfinite(value->value)) return;
  figures[name] = value->value;
  figures[name + "_low"] = value->low;
  figures[name + "_high"] = value->high;
}

// "": it counts.
std::string why_it_does_not_count(const Summary& summary, study::Kind kind) {
  for (const Event& event : summary.events)
    if (event.kind == "workload-failed") return printable(event.text, 160);
  if (kind == study::Kind::run) {
    if (summary.exit_signal.value_or(0) != 0)
      return "its command was ended by signal " + std::to_string(*summary.exit_signal);
    if (!summary.exit_code) return "its command's end was not recorded";
    return *summary.exit_code == 0 ? "" : "its command ended with code " + std::to_string(*summary.exit_code);
  }
  if (kind == study::Kind::layers)
    return summary.exit_code.value_or(0) == 0 && !summary.fact(layer_times_fact).empty() ? ""
                                                                                         : "it has no times of layers";
  if (kind == study::Kind::cold_start && summary.fact("engine.was_loaded") == "yes")
    return "its model was in the server's memory already: no cold start";
  std::size_t ok = 0, failed = 0;
  for (const RequestRow& row : summary.requests) {
    if (end_of(row) == RequestEnd::ok) ++ok;
    if (end_of(row) == RequestEnd::failed) ++failed;
  }
  if (failed > 0) return std::to_string(failed) + " of " + std::to_string(summary.requests.size()) + " requests failed";
  return ok == 0 ? "no request was answered" : "";
}

void request_figures(const Summary& summary, StudyFigures& figures) {
  if (summary.requests.empty()) return;
  std::vector<const RequestRow*> rows;
  for (const RequestRow& row : summary.requests) rows.push_back(&row);
  const LevelFigures level = figures_of(rows, nullptr);
  figures["requests"] = static_cast<double>(level.requests);
  if (level.prompt_tokens) figures["prompt_tokens"] = static_cast<double>(*level.prompt_tokens);
  if (level.output_tokens) figures["output_tokens"] = static_cast<double>(*level.output_tokens);
  set_figure(figures, "output_tokens_per_s", level.output_tokens_per_s);
  set_figure(figures, "ttft_s", level.ttft.mean);
  set_figure(figures, "tpot_s", level.tpot.mean);
  set_figure(figures, "e2e_s", level.e2e.mean);
  // Of a part of the requests alone it would be of other work in each run: of those that a sensor happens to resolve.
  const auto could = static_cast<std::size_t>(
      std::ranges::count_if(summary.requests, [](const RequestRow& row) { return row.output_tokens.value_or(0) > 0; }));
  for (const EnergyMetric& metric : request_energy(summary).metrics) {
    if (metric.name == "charged_j_per_output_token" && metric.requests == could)
      set_joules(figures, "charged_j_per_output_token", metric.value);
    if (metric.name == "run_gross_j_per_output_token") set_joules(figures, "gross_j_per_output_token", metric.value);
  }
}

// From the first byte of the model to the first token of the first answer.
void load_figures_of(const Summary& summary, study::Kind kind, StudyFigures& figures) {
  for (const PhaseRow& phase : summary.phases) {
    if (phase.span.name != "load") continue;
    set_figure(figures, "load_s", phase.duration_s);
    set_joules(figures, "load_j", phase.headline.gross);
    if (kind != study::Kind::cold_start || summary.requests.empty()) return;
    const RequestRow& first = summary.requests.front();
    if (first.ttft_s) figures["cold_first_token_s"] = first.begin_s + *first.ttft_s - phase.begin_s;
    if (phase.headline.gross && first.prefill.gross && phase.headline.resolvable && first.prefill.resolvable)
      figures["cold_first_token_j"] = phase.headline.gross->value + first.prefill.gross->value;
    return;
  }
}

// Of a network without a profiler: the median of its runs.
void latency_figure(const Summary& summary, StudyFigures& figures) {
  const Json times = Json::parse(summary.fact(layer_times_fact), nullptr, false);
  const auto plain = times.is_object() ? times.find("plain") : times.end();
  if (plain == times.end() || !plain->is_object()) return;
  if (const auto at = plain->find("median_s"); at != plain->end() && at->is_number())
    figures["latency_s"] = at->get<double>();
}

void machine_figures(const Summary& summary, StudyFigures& figures) {
  set_figure(figures, "run_s", summary.wall_s);
  set_joules(figures, "gross_j", summary.headline_j);
  if (summary.headline_j && summary.wall_s && *summary.wall_s > 0)
    figures["mean_w"] = summary.headline_j->value / *summary.wall_s;
  set_figure(figures, "rss_peak_bytes", summary.process_total("rss_peak_bytes"));
  std::optional<double> hottest;
  for (const GaugeRow& row : summary.gauges)
    if (row.channel.measure == Measure::temperature && row.ledger.readings > 0)
      hottest = std::max(hottest.value_or(row.ledger.max), row.ledger.max);
  set_figure(figures, "max_celsius", hottest);
}

std::string flag_of(const std::string& key, const std::string& asked, const std::string& got, const char* by) {
  return key + ": asked for " + printable(asked, 40) + ", " + by + " " + printable(got, 40);
}

bool same_setting(const std::string& a, const std::string& b) {
  return study::canonical_word(a) == study::canonical_word(b);
}

// What Prony made of it, and what the engine says that it did.
void compare_settings(const Summary& summary, const study::Variant& variant, std::vector<std::string>& flags) {
  for (const study::Setting& setting : variant.settings) {
    if (!setting.value.scalar() || setting.value.is(study::Value::Kind::null)) continue;
    const std::string asked = study::filled(variant, study::word_of(setting.value));
    if (const std::string taken = summary.fact("setting." + setting.key); !taken.empty() && !same_setting(asked, taken))
      flags.push_back(flag_of(setting.key, asked, taken, "Prony took"));
    if (const std::string seen = summary.fact("engine." + setting.key);
        !seen.empty() && setting.key != "engine" && !same_setting(asked, seen))
      flags.push_back(flag_of(setting.key, asked, seen, "the engine says"));
  }
  std::size_t short_answers = 0, other_prompts = 0;
  for (const RequestRow& row : summary.requests) {
    const RequestCheck check = check_request(row);
    short_answers += check.output_kept == false ? 1 : 0;
    other_prompts += check.prompt_kept == false ? 1 : 0;
  }
  const std::string of = " of " + std::to_string(summary.requests.size()) + " requests";
  if (short_answers > 0) flags.push_back("max-tokens: " + std::to_string(short_answers) + of + " gave another length");
  if (other_prompts > 0) flags.push_back("prompt length: " + std::to_string(other_prompts) + of + " had another");
}

void condition_flags(const Summary& summary, std::vector<std::string>& flags) {
  for (const EnergyRow& row : summary.energy)
    if (row.ledger.headline && row.ledger.idle_drifted) flags.push_back("idle power drifted");
  for (const Event& event : summary.events)
    if (event.kind == "temperature-stop" || event.kind == "throttle" || event.kind == "sensor-lost")
      flags.push_back(event.kind + ": " + printable(event.text, 80));
  if (const std::string steady = summary.fact("warmup.steady"); steady.starts_with("no"))
    flags.push_back("warm-up: not steady after " + summary.fact("warmup.prompts") + " prompts (" +
                    printable(steady.substr(std::min<std::size_t>(steady.size(), 4)), 60) + ")");
  if (summary.spans_lost > 0) flags.push_back("spans were lost");
  if (const std::string words = context_warning(summary); !words.empty()) flags.push_back("ctx: " + words);
}

Json settings_json(const Summary& summary, const study::Variant& variant) {
  Json out{{"declared", Json::array()}, {"resolved", Json::array()}, {"observed", Json::object()}};
  for (const study::Setting& setting : variant.settings) {
    out["declared"].push_back(
        {{"key", setting.key},
         {"value", setting.value.scalar() ? study::word_of(setting.value) : study::canonical(setting.value)},
         {"source", setting.source},
         {"line", setting.line}});
    if (!setting.file.empty()) out["declared"].back()["file"] = setting.file;
  }
  for (const Fact& fact : summary.manifest.facts) {
    if (fact.key.starts_with("setting."))
      out["resolved"].push_back({{"key", fact.key.substr(8)}, {"value", fact.value}, {"source", fact.origin}});
    if (fact.key.starts_with("engine.") || fact.key.starts_with("model.")) out["observed"][fact.key] = fact.value;
  }
  return out;
}

StudyVerdict not_good(std::string reason) {
  StudyVerdict verdict;
  verdict.reason = std::move(reason);
  return verdict;
}

}  // namespace

const std::vector<StudyColumn>& study_columns() {
  static const std::vector<StudyColumn> columns{{"run_s", "s"},
                                                {"gross_j", "J"},
                                                {"gross_j_low", "J"},
                                                {"gross_j_high", "J"},
                                                {"mean_w", "W"},
                                                {"requests", "1"},
                                                {"prompt_tokens", "token"},
                                                {"output_tokens", "token"},
                                                {"charged_j_per_output_token", "J/token"},
                                                {"charged_j_per_output_token_low", "J/token"},
                                                {"charged_j_per_output_token_high", "J/token"},
                                                {"gross_j_per_output_token", "J/token"},
                                                {"gross_j_per_output_token_low", "J/token"},
                                                {"gross_j_per_output_token_high", "J/token"},
                                                {"output_tokens_per_s", "token/s"},
                                                {"ttft_s", "s"},
                                                {"tpot_s", "s"},
                                                {"e2e_s", "s"},
                                                {"load_s", "s"},
                                                {"load_j", "J"},
                                                {"load_j_low", "J"},
                                                {"load_j_high", "J"},
                                                {"cold_first_token_s", "s"},
                                                {"cold_first_token_j", "J"},
                                                {"model_cached_share", "1"},
                                                {"gate_wait_s", "s"},
                                                {"begin_celsius", "celsius"},
                                                {"max_celsius", "celsius"},
                                                {"rss_peak_bytes", "byte"}};
  return columns;
}

StudyVerdict judge_study_run(const std::string& run_path, const std::string& id, const study::Variant& variant,
                             study::Kind kind) {
  const auto run = Run::open(run_path);
  if (!run)
    return not_good(run.error().code == ErrorCode::absent ? "it left no Run"
                                                          : "its Run cannot be read: " + run.error().what);
  if ((*run)->state() != RunState::complete) return not_good("its Run is incomplete");
  if ((*run)->manifest().get("tag.study").value_or("") != id) return not_good("the Run there is of another attempt");
  const auto summary = summarise(**run);
  if (!summary) return not_good("its Run cannot be read: " + summary.error().what);
  StudyVerdict verdict;
  verdict.reason = why_it_does_not_count(*summary, kind);
  verdict.good = verdict.reason.empty();
  if (summary->headline_j)
    verdict.origin =
        summary->simulated.empty() ? std::string(to_string(summary->headline_origin())) : std::string(simulated_origin);
  machine_figures(*summary, verdict.figures);
  request_figures(*summary, verdict.figures);
  load_figures_of(*summary, kind, verdict.figures);
  if (kind == study::Kind::layers) latency_figure(*summary, verdict.figures);
  compare_settings(*summary, variant, verdict.flags);
  condition_flags(*summary, verdict.flags);
  verdict.settings = settings_json(*summary, variant);
  return verdict;
}

}  // namespace prony::app
