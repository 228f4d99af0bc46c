// llama-bench's `-o json`: a row for each length of prompt (n_gen 0) and each length of answer (n_prompt 0), samples by
// request. Its generation test times as many tokens as it makes; here the first token comes with the prompt, so a row
// has n_gen = O − 1 tokens in tn − t1. Deviations have n − 1, and 0 for one sample, as there.
#include <map>

#include "base/text.hpp"
#include "exchange/fields.hpp"
#include "model/metrics.hpp"

namespace prony::exchange {

namespace {

struct Samples {
  std::vector<double> seconds, joules;
  std::size_t requests = 0;
};

Json bench_row(const Summary& summary, std::int64_t prompt, std::int64_t generated, const Samples& s) {
  const auto tokens = static_cast<double>(prompt + generated);
  std::vector<double> ns, rates;
  Json samples_ns = Json::array();
  for (const double seconds : s.seconds) {
    ns.push_back(seconds * 1e9);
    rates.push_back(tokens / seconds);
    samples_ns.push_back(static_cast<std::int64_t>(seconds * 1e9 + 0.5));
  }
  Json row = Json::object();
  put(row, "cpu_info", summary.fact("machine.cpu_model"));
  put(row, "backends", summary.fact("engine.name"));
  put(row, "model_filename", model_of(summary));
  put(row, "model_type", summary.fact("model.description"));
  for (const auto& [field, key] :
       {std::pair("model_size", "model.size_bytes"), std::pair("model_n_params", "model.parameters"),
        std::pair("n_threads", "engine.threads"), std::pair("n_batch", "engine.batch")})
    put(row, field, parse_i64(summary.fact(key)));
  row["n_prompt"] = prompt;
  row["n_gen"] = generated;
  row["n_depth"] = 0;
  put(row, "test_time", summary.fact("run.started_utc"));
  row["avg_ns"] = static_cast<std::int64_t>(*metrics::mean(ns) + 0.5);
  row["stddev_ns"] = static_cast<std::int64_t>(metrics::sd(ns).value_or(0) + 0.5);
  row["avg_ts"] = *metrics::mean(rates);
  row["stddev_ts"] = metrics::sd(rates).value_or(0);
  row["samples_ns"] = std::move(samples_ns);
  row["samples_ts"] = rates;
  if (s.joules.size() == s.seconds.size()) row["prony_charged_j"] = s.joules;
  return row;
}

}  // namespace

Result<std::string> write_llama_bench(const Summary& summary, WallOffset) {
  std::map<std::int64_t, Samples> prompts, answers;
  for (const RequestRow* row : answered(summary)) {
    if (row->prompt_tokens && *row->prompt_tokens > 0 && row->prefill_s && *row->prefill_s > 0 &&
        row->span.count("cached_tokens").value_or(0) == 0) {
      Samples& s = prompts[*row->prompt_tokens];
      s.seconds.push_back(*row->prefill_s);
      if (row->prefill.charged) s.joules.push_back(row->prefill.charged->value);
    }
    if (row->output_tokens && *row->output_tokens > 1 && row->tpot_s && *row->tpot_s > 0) {
      Samples& s = answers[*row->output_tokens - 1];
      s.seconds.push_back(*row->tpot_s * static_cast<double>(*row->output_tokens - 1));
      if (row->decode.charged) s.joules.push_back(row->decode.charged->value);
    }
  }
  if (prompts.empty() && answers.empty()) return nothing_to_write(summary, "llama-bench");
  Json rows = Json::array();
  for (const auto& [tokens, samples] : prompts) rows.push_back(bench_row(summary, tokens, 0, samples));
  for (const auto& [tokens, samples] : answers) rows.push_back(bench_row(summary, 0, tokens, samples));
  return json_text(rows, 2);
}

}  // namespace prony::exchange
