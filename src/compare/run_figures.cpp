#include "compare/run_figures.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "reports/load_figures.hpp"
#include "reports/nominal_work.hpp"
#include "reports/request_energy.hpp"
#include "reports/utilisation.hpp"

namespace prony::compare {

namespace {

using metrics::Absent;
using metrics::Maybe;

enum Metric : std::size_t {
  per_output_token,
  per_total_token,
  per_request,
  run_per_output_token,
  energy_j,
  mean_power,
  output_rate,
  decode_rate,
  ttft,
  tpot,
  e2e,
  wall,
  memory,
  output_length
};

constexpr std::array<MetricRow, metric_count> rows{{
    {"charged_j_per_output_token", "j_per_output_token", "J", Better::lower, true},
    {"charged_j_per_total_token", "j_per_total_token", "J", Better::lower, true},
    {"charged_j_per_completed_request", "j_per_request", "J", Better::lower, true},
    {"run_gross_j_per_output_token", "", "J", Better::lower, true},
    {"gross_j", "energy_j", "J", Better::lower, true},
    {"mean_w", "power_w", "W", Better::lower, true},
    {"output_tokens_per_s", "tokens_per_s", "1/s", Better::higher, false},
    {"decode_tokens_per_s", "", "1/s", Better::higher, false},
    {"ttft_s", "", "s", Better::lower, false},
    {"tpot_s", "", "s", Better::lower, false},
    {"e2e_s", "", "s", Better::lower, false},
    {"wall_s", "", "s", Better::lower, false},
    {"rss_peak_bytes", "memory_peak_bytes", "B", Better::lower, false},
    {"output_tokens_per_request", "", "1", Better::neither, false},
}};

Unexpected<Absent> untold(std::string reason) { return Unexpected<Absent>(Absent{std::move(reason)}); }

Maybe<Measured> of(const std::optional<double>& value, const char* reason) {
  if (!value || !std::isfinite(*value)) return untold(reason);
  return Measured{*value, std::nullopt};
}
Maybe<Measured> of(const Estimate& estimate) { return Measured{estimate.value, estimate}; }

Estimate by(const Estimate& one, double divisor) {
  return {one.value / divisor, one.low / divisor, one.high / divisor, one.kind};
}

// `could`: requests that have what it is of. Where fewer were charged, for the others were too short for the sensors,
// it would be of other work on each side.
Maybe<Measured> energy_metric(const RequestEnergy& energy, std::string_view name, std::size_t could) {
  for (const EnergyMetric& metric : energy.metrics) {
    if (metric.name != name) continue;
    if (metric.value && metric.requests < could)
      return untold("only " + std::to_string(metric.requests) + " of " + std::to_string(could) +
                    " requests have joules of their own: those would be other work on each side");
    if (metric.value) return of(*metric.value);
    return untold(metric.absent);
  }
  return untold("no requests");
}

// Of answered requests alone: a failure is often quick, and would make the server look good.
RequestFigures of_request(const RequestRow& row, const std::string& key) {
  RequestFigures out;
  out.key = key;
  out.output_tokens = row.output_tokens;
  const auto per = [&](const std::optional<std::int64_t>& tokens) -> std::optional<double> {
    if (!row.headline.charged || !tokens || *tokens <= 0) return std::nullopt;
    return row.headline.charged->value / static_cast<double>(*tokens);
  };
  out.values[per_output_token] = per(row.output_tokens);
  if (row.output_tokens && row.prompt_tokens)
    out.values[per_total_token] = per(*row.output_tokens + *row.prompt_tokens);
  if (row.headline.charged) out.values[per_request] = row.headline.charged->value;
  out.values[decode_rate] = row.decode_tokens_per_s;
  const auto late = late_s(row);
  const auto from_due = [&](const std::optional<double>& time) {
    return time && late ? std::optional(*time + *late) : time;
  };
  out.values[ttft] = from_due(row.ttft_s);
  out.values[tpot] = row.tpot_s;
  out.values[e2e] = from_due(row.e2e_s);
  if (row.output_tokens) out.values[output_length] = static_cast<double>(*row.output_tokens);
  return out;
}

void add_requests(const Summary& summary, RunFigures& out) {
  std::map<std::string, std::size_t> seen;
  for (const RequestRow& row : summary.requests) {
    const std::string key = row.span.name + "#" + std::to_string(++seen[row.span.name]);
    ++out.asked;
    const RequestEnd end = end_of(row);
    if (end != RequestEnd::ok)
      out.failed += end == RequestEnd::failed ? 1 : 0;
    else
      out.requests.push_back(of_request(row, key));
  }
}

Maybe<Measured> mean_of_requests(const RunFigures& run, Metric metric) {
  std::vector<double> values;
  for (const RequestFigures& request : run.requests)
    if (request.values[metric]) values.push_back(*request.values[metric]);
  const auto mean = metrics::mean(values);
  if (!mean) return untold(run.asked == 0 ? "no requests" : "no answered request tells it");
  return Measured{*mean, std::nullopt};
}

double words_in(const std::string& text) {
  double words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space && !inside) ++words;
    inside = !space;
  }
  return words;
}

MeritFigures merit_figures(const Summary& summary) {
  MeritFigures merit;
  const Utilisation used = utilisation(summary);
  if (used.decode && used.decode->bytes && used.peak_bytes_per_s)
    merit.mbu = *used.decode->bytes_per_s() / *used.peak_bytes_per_s;
  else
    merit.mbu = untold(used.peak_bytes_per_s ? "bytes of the model's steps are not known"
                                             : "no peak of the memory (--peak-bandwidth)");
  const NominalWorks works = nominal_work(summary);
  if (!works.rows.empty() && works.rows.front().of == "machine" && works.rows.front().share_of_machine)
    merit.cpu_share = *works.rows.front().share_of_machine;
  else
    merit.cpu_share = untold(works.absent.empty() ? "not told" : works.absent.front().reason);
  double tokens = 0, words = 0;
  for (const RequestRow& row : summary.requests) {
    if (end_of(row) != RequestEnd::ok || row.answer.empty() || !row.output_tokens) continue;
    tokens += static_cast<double>(*row.output_tokens);
    words += words_in(row.answer);
  }
  if (tokens > 0 && words > 0)
    merit.tokens_per_word = tokens / words;
  else
    merit.tokens_per_word = untold("words are counted in answers: record with --keep-output");
  if (const auto count = parse_finite(summary.fact("model.parameters")); count && *count > 0) merit.parameters = count;
  return merit;
}

std::string first_fact(const Summary& summary, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys)
    if (std::string value = summary.fact(key); !value.empty()) return value;
  return {};
}

}  // namespace

const std::array<MetricRow, metric_count>& metric_rows() noexcept { return rows; }

std::optional<std::size_t> metric_from(std::string_view name) noexcept {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i].name == name || (!rows[i].alias.empty() && rows[i].alias == name)) return i;
  return std::nullopt;
}

RunFigures figures_of_run(const Summary& summary) {
  RunFigures out;
  out.path = summary.path;
  out.manifest = summary.manifest;
  out.cycle = first_fact(summary, {"study.cycle", "tag.cycle"});
  out.state = summary.state;
  out.simulated = summary.simulated;
  if (summary.headline_j) out.origin = summary.headline_origin();
  add_requests(summary, out);
  const RequestEnergy energy = summary.requests.empty() ? RequestEnergy{} : request_energy(summary);
  out.figures.assign(metric_count, untold("not told"));
  const auto with_tokens = static_cast<std::size_t>(
      std::ranges::count_if(summary.requests, [](const RequestRow& row) { return row.output_tokens.value_or(0) > 0; }));
  const auto answered = static_cast<std::size_t>(
      std::ranges::count_if(summary.requests, [](const RequestRow& row) { return end_of(row) == RequestEnd::ok; }));
  for (const Metric metric : {per_output_token, per_total_token, per_request, run_per_output_token})
    out.figures[metric] = energy_metric(energy, rows[metric].name, metric == per_request ? answered : with_tokens);
  const double window_s = (summary.window.end - summary.window.begin).seconds().value();
  if (summary.headline_j) {
    out.figures[energy_j] = of(*summary.headline_j);
    if (window_s > 0) out.figures[mean_power] = of(by(*summary.headline_j, window_s));
  } else {
    out.figures[energy_j] = out.figures[mean_power] = untold("no joules, or the Run is too short for its sensors");
  }
  std::vector<const RequestRow*> all;
  for (const RequestRow& row : summary.requests) all.push_back(&row);
  out.figures[output_rate] =
      of(figures_of(all, nullptr).output_tokens_per_s, all.empty() ? "no requests" : "no answer told its tokens");
  for (const Metric metric : {decode_rate, ttft, tpot, e2e, output_length})
    out.figures[metric] = mean_of_requests(out, metric);
  out.figures[wall] = of(summary.wall_s, "no command ran to its end");
  if (!all.empty()) out.merit = merit_figures(summary);
  out.figures[memory] = of(summary.process_total("rss_peak_bytes"), "no process's memory was followed");
  return out;
}

}  // namespace prony::compare
