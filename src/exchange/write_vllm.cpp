// vLLM's `bench serve --save-result --save-detailed`: one object; statistics in ms with population deviations and
// NumPy's percentiles, arrays by request in s.
#include <algorithm>

#include "base/text.hpp"
#include "exchange/fields.hpp"
#include "statistics/describe.hpp"

namespace prony::exchange {

namespace {

double population_sd(const std::vector<double>& values, double mean) {
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

void put_spread(Json& out, const std::string& name, const std::vector<double>& values) {
  const auto told = statistics::describe(values);
  if (!told) return;
  out["mean_" + name + "_ms"] = told->mean * 1e3;
  out["median_" + name + "_ms"] = told->median * 1e3;
  out["std_" + name + "_ms"] = population_sd(values, told->mean) * 1e3;
  for (const auto& [label, p] : {std::pair("p50_", 0.5), std::pair("p90_", 0.9), std::pair("p99_", 0.99)})
    out[label + name + "_ms"] = statistics::quantile(values, p, statistics::QuantileRule::linear).value() * 1e3;
}

struct Detail {
  Json input_lens = Json::array(), output_lens = Json::array(), ttfts = Json::array(), itls = Json::array(),
       starts = Json::array(), latencies = Json::array(), errors = Json::array(), joules = Json::array();
  std::vector<double> ttft, tpot, itl, e2e;
};

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

void add(Detail& d, const RequestRow& row, std::int64_t first_ns) {
  const bool ok = end_of(row) == RequestEnd::ok;
  d.input_lens.push_back(row.prompt_tokens ? Json(*row.prompt_tokens) : Json(nullptr));
  d.output_lens.push_back(ok && row.output_tokens ? Json(*row.output_tokens) : Json(0));
  d.ttfts.push_back(number_or_null(ok ? row.ttft_s : std::nullopt));
  d.itls.push_back(ok ? Json(row.gaps_s) : Json::array());
  d.starts.push_back(static_cast<double>(row.span.interval.begin.ns - first_ns) * 1e-9);
  d.latencies.push_back(number_or_null(ok ? row.e2e_s : std::nullopt));
  d.errors.push_back(ok ? std::string()
                        : row.span.attribute("error").value_or(row.finish.empty() ? "failed" : row.finish));
  d.joules.push_back(row.headline.charged ? Json(row.headline.charged->value) : Json(nullptr));
  if (!ok) return;
  if (row.ttft_s) d.ttft.push_back(*row.ttft_s);
  if (const auto tpot = after_first_s(row)) d.tpot.push_back(*tpot);
  if (row.e2e_s) d.e2e.push_back(*row.e2e_s);
  d.itl.insert(d.itl.end(), row.gaps_s.begin(), row.gaps_s.end());
}

}  // namespace

Result<std::string> write_vllm(const Summary& summary, WallOffset wall) {
  if (summary.requests.empty()) return nothing_to_write(summary, "vllm");
  std::int64_t first = summary.requests.front().span.interval.begin.ns, last = first;
  Detail d;
  std::int64_t input = 0, output = 0;
  std::size_t completed = 0, failed = 0;
  for (const RequestRow& row : summary.requests) first = std::min(first, row.span.interval.begin.ns);
  for (const RequestRow& row : summary.requests) {
    last = std::max(last, row.span.interval.end.ns);
    add(d, row, first);
    if (end_of(row) == RequestEnd::ok) {
      ++completed;
      input += row.prompt_tokens.value_or(0);
      output += row.output_tokens.value_or(0);
    } else {
      ++failed;
    }
  }
  const double duration = static_cast<double>(last - first) * 1e-9;
  Json out = Json::object();
  if (wall) out["date"] = compact_utc(first + *wall);
  out.update({{"backend", summary.fact("engine.name")},
              {"model_id", model_of(summary)},
              {"num_prompts", summary.requests.size()},
              {"duration", duration},
              {"completed", completed},
              {"failed", failed},
              {"total_input_tokens", input},
              {"total_output_tokens", output}});
  if (duration > 0) {
    out["request_throughput"] = static_cast<double>(completed) / duration;
    out["output_throughput"] = static_cast<double>(output) / duration;
    out["total_token_throughput"] = static_cast<double>(input + output) / duration;
  }
  put_spread(out, "ttft", d.ttft);
  put_spread(out, "tpot", d.tpot);
  put_spread(out, "itl", d.itl);
  put_spread(out, "e2el", d.e2e);
  out["input_lens"] = std::move(d.input_lens);
  out["output_lens"] = std::move(d.output_lens);
  out["ttfts"] = std::move(d.ttfts);
  out["itls"] = std::move(d.itls);
  out["start_times"] = std::move(d.starts);
  out["latencies"] = std::move(d.latencies);
  out["errors"] = std::move(d.errors);
  out["prony_charged_j"] = std::move(d.joules);
  return json_text(out, 2);
}

}  // namespace prony::exchange
