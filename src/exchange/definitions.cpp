#include "exchange/definitions.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.hpp"
#include "exchange/fields.hpp"
#include "reports/text_layout.hpp"
#include "statistics/describe.hpp"

namespace prony::exchange {

namespace {

using statistics::QuantileRule;
using Requests = std::vector<const RequestRow*>;
using OfRequest = std::optional<double> (*)(const RequestRow&);

std::optional<double> ttft_sent(const RequestRow& row) { return row.ttft_s; }
std::optional<double> e2e_sent(const RequestRow& row) { return row.e2e_s; }
std::optional<double> from_due(const RequestRow& row, const std::optional<double>& time) {
  const auto late = late_s(row);
  return time && late ? std::optional(*time + *late) : time;
}
std::optional<double> ttft_due(const RequestRow& row) { return from_due(row, row.ttft_s); }
std::optional<double> e2e_due(const RequestRow& row) { return from_due(row, row.e2e_s); }
std::optional<double> after_first(const RequestRow& row) { return after_first_s(row); }
std::optional<double> tpot_told(const RequestRow& row) { return row.tpot_s; }
std::optional<double> with_first(const RequestRow& row) {
  if (!row.e2e_s || !row.output_tokens || *row.output_tokens < 1) return std::nullopt;
  return *row.e2e_s / static_cast<double>(*row.output_tokens);
}
std::optional<double> rate_with_first(const RequestRow& row) {
  const auto time = with_first(row);
  return time && *time > 0 ? std::optional(1 / *time) : std::nullopt;
}
std::optional<double> user_rate(const RequestRow& row) {
  const auto time = after_first(row);
  return time && *time > 0 ? std::optional(1 / *time) : std::nullopt;
}
// O tokens over the time of O − 1: too high by O / (O − 1).
std::optional<double> server_rate(const RequestRow& row) {
  const auto time = after_first(row);
  if (!time || *time <= 0) return std::nullopt;
  const auto tokens = static_cast<double>(*row.output_tokens);
  return tokens / (*time * (tokens - 1));
}
// Cached tokens are counted, and took no time.
std::optional<double> prompt_rate(const RequestRow& row) {
  if (!row.prompt_tokens || !row.prefill_s || *row.prefill_s <= 0) return std::nullopt;
  return static_cast<double>(*row.prompt_tokens) / *row.prefill_s;
}

enum class Deviation { population, sample };
struct Definition {
  std::string_view tool, name, unit, formula;
  OfRequest value;  // nullptr: the gaps of all requests pooled
  Deviation deviation;
  QuantileRule rule;
};
constexpr auto population = Deviation::population, sample = Deviation::sample;
constexpr auto numpy = QuantileRule::linear, loadgen = QuantileRule::rank_below;

constexpr std::array definitions = {
    Definition{"prony", "ttft", "s", "t1 − tA, or t1 − t0 where nothing was scheduled", ttft_due, sample, numpy},
    Definition{"prony", "tpot", "s", "(tn − t1) / (O − 1), of answers in several pieces", tpot_told, sample, numpy},
    Definition{"prony", "itl", "s", "gaps of all requests, pooled", nullptr, sample, numpy},
    Definition{"prony", "e2e", "s", "tn − tA, or tn − t0", e2e_due, sample, numpy},
    Definition{"vllm", "ttft", "s", "t1 − t0", ttft_sent, population, numpy},
    Definition{"vllm", "tpot", "s", "(tn − t1) / (O − 1)", after_first, population, numpy},
    Definition{"vllm", "itl", "s", "gaps of all requests, pooled", nullptr, population, numpy},
    Definition{"vllm", "e2el", "s", "tn − t0", e2e_sent, population, numpy},
    Definition{"aiperf", "time_to_first_token", "s", "t1 − t0", ttft_sent, population, numpy},
    Definition{"aiperf", "inter_token_latency", "s", "(tn − t1) / (O − 1), a request's mean", after_first, population,
               numpy},
    Definition{"aiperf", "inter_chunk_latency", "s", "gaps of all requests, pooled", nullptr, population, numpy},
    Definition{"aiperf", "request_latency", "s", "tn − t0", e2e_sent, population, numpy},
    Definition{"aiperf", "output_token_throughput_per_user", "1/s", "(O − 1) / (tn − t1)", user_rate, population,
               numpy},
    Definition{"guidellm", "ttft", "s", "t1 − t0", ttft_sent, population, numpy},
    Definition{"guidellm", "tpot", "s", "(tn − t0) / O: TTFT is inside", with_first, population, numpy},
    Definition{"guidellm", "itl", "s", "(tn − t1) / (O − 1), a request's mean", after_first, population, numpy},
    Definition{"guidellm", "request_latency", "s", "tn − t0", e2e_sent, population, numpy},
    Definition{"llmperf", "ttft", "s", "t1 − t0", ttft_sent, sample, numpy},
    Definition{"llmperf", "inter_token_latency", "s", "(tn − t0) / O: TTFT is inside", with_first, sample, numpy},
    Definition{"llmperf", "end_to_end_latency", "s", "tn − t0", e2e_sent, sample, numpy},
    Definition{"llmperf", "request_output_throughput", "1/s", "O / (tn − t0)", rate_with_first, sample, numpy},
    Definition{"mlperf", "ttft", "s", "t1 − tA, or t1 − t0 where nothing was scheduled", ttft_due, population, loadgen},
    Definition{"mlperf", "tpot", "s", "(tn − t1) / (O − 1)", after_first, population, loadgen},
    Definition{"mlperf", "latency", "s", "tn − tA, or tn − t0", e2e_due, population, loadgen},
    Definition{"ollama", "eval_rate", "1/s", "O / (tn − t1): high by O / (O − 1)", server_rate, sample, numpy},
    Definition{"ollama", "prompt_eval_rate", "1/s", "P / prefill: cached tokens are counted", prompt_rate, sample,
               numpy},
    Definition{"llama-server", "predicted_per_second", "1/s", "O / (tn − t1): high by O / (O − 1)", server_rate, sample,
               numpy},
};

std::vector<double> values_of(const Definition& definition, const Requests& rows) {
  std::vector<double> values;
  for (const RequestRow* row : rows) {
    if (definition.value == nullptr)
      values.insert(values.end(), row->gaps_s.begin(), row->gaps_s.end());
    else if (const auto value = definition.value(*row))
      values.push_back(*value);
  }
  return values;
}

DefinedFigure figure_of(const Definition& definition, const Requests& rows) {
  DefinedFigure out{std::string(definition.name) + "@" + std::string(definition.tool), std::string(definition.unit),
                    std::string(definition.formula)};
  const auto values = values_of(definition, rows);
  const auto told = statistics::describe(values);
  if (!told) {
    out.absent = rows.empty()                  ? "no request was answered"
                 : definition.value == nullptr ? "the gaps themselves are kept of a load alone (--rate, --streams)"
                                               : "no answered request tells what it is made of";
    return out;
  }
  out.count = told->count;
  out.mean = told->mean;
  const auto n = static_cast<double>(told->count);
  if (told->sd) out.sd = definition.deviation == sample ? *told->sd : *told->sd * std::sqrt((n - 1) / n);
  const auto quantile = [&](double p) { return statistics::quantile(values, p, definition.rule).value(); };
  out.p50 = quantile(0.5);
  out.p90 = quantile(0.9);
  out.p99 = quantile(0.99);
  return out;
}

// ΣO over first t0 … last tn; LoadGen's Server scenario: (n − 1) / the last completion.
void add_rates(std::string_view tool, const Requests& rows, std::vector<DefinedFigure>& out) {
  if (rows.empty() || (tool != "vllm" && tool != "aiperf" && tool != "mlperf")) return;
  std::int64_t first = rows.front()->span.interval.begin.ns, last = rows.front()->span.interval.end.ns;
  double tokens = 0;
  for (const RequestRow* row : rows) {
    first = std::min(first, row->span.interval.begin.ns);
    last = std::max(last, row->span.interval.end.ns);
    tokens += static_cast<double>(row->output_tokens.value_or(0));
  }
  const double time = static_cast<double>(last - first) * 1e-9;
  if (time <= 0) return;
  const bool server = tool == "mlperf";
  DefinedFigure rate{server ? "completed_samples_per_second@mlperf" : "output_throughput@" + std::string(tool), "1/s",
                     server ? "(n − 1) / (last tn − first t0)" : "Σ O / (last tn − first t0)", 1};
  rate.mean = server ? static_cast<double>(rows.size() - 1) / time : tokens / time;
  out.push_back(std::move(rate));
}

std::string cell(const std::optional<double>& value, const std::string& unit) {
  if (!value) return std::string(figures::none);
  return unit == "s" ? figures::seconds(*value) : figures::significant(*value, 4) + " /s";
}

}  // namespace

std::vector<std::string> definition_tools() {
  std::vector<std::string> tools;
  for (const Definition& definition : definitions)
    if (tools.empty() || tools.back() != definition.tool) tools.emplace_back(definition.tool);
  return tools;
}

Result<std::vector<DefinedFigure>> defined_figures(const Summary& summary, std::string_view tool) {
  const auto tools = definition_tools();
  if (tool != "all" && std::ranges::find(tools, tool) == tools.end()) {
    std::string all = "all";
    for (const std::string& name : tools) all += ", " + name;
    const auto near = nearest_name(tool, tools);
    return fail(ErrorCode::usage, "no tool '" + printable(tool, 40) + "' has definitions here", "--definitions",
                (near ? "Did you mean '" + *near + "'? " : std::string()) + "There are: " + all);
  }
  const Requests rows = answered(summary);
  std::vector<DefinedFigure> out;
  for (const std::string& name : tools) {
    if (tool != "all" && tool != name) continue;
    for (const Definition& definition : definitions)
      if (definition.tool == name) out.push_back(figure_of(definition, rows));
    add_rates(name, rows, out);
  }
  return out;
}

std::string to_text(const std::vector<DefinedFigure>& figures, std::size_t width, bool colour) {
  layout::TextTable table;
  table.columns = {{"definition", false}, {"mean"},         {"sd", true, 4}, {"p50", true, 3},
                   {"p90", true, 3},      {"p99", true, 3}, {"n"},           {"formula", false, 5}};
  std::vector<std::string> left_out, notes;
  for (const DefinedFigure& one : figures) {
    table.rows.push_back({one.name, cell(one.mean, one.unit), cell(one.sd, one.unit), cell(one.p50, one.unit),
                          cell(one.p90, one.unit), cell(one.p99, one.unit), figures::count_of(one.count), one.formula});
    if (!one.absent.empty()) notes.push_back(one.name + ": " + one.absent);
  }
  std::string text = table.render(width, colour, left_out);
  text += "\n" +
          layout::joined({"t0 sent", "tA scheduled", "t1 first token", "tn last token", "O output tokens",
                          "P prompt tokens", "percentiles as that tool takes them, however few the requests"},
                         width, 1) +
          "\n";
  for (const std::string& note : notes) text += layout::labelled("absent", {note}, width, layout::Tone::dim, colour);
  return text;
}

nlohmann::ordered_json to_json(const std::vector<DefinedFigure>& figures) {
  Json out = Json::array();
  for (const DefinedFigure& one : figures) {
    Json row{{"name", one.name}, {"unit", one.unit}, {"formula", one.formula}, {"count", one.count}};
    put(row, "mean", one.mean);
    put(row, "sd", one.sd);
    put(row, "p50", one.p50);
    put(row, "p90", one.p90);
    put(row, "p99", one.p99);
    put(row, "absent", one.absent);
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace prony::exchange
