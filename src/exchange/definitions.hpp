// Named definitions: the same requests as each tool would tell them, `tpot@guidellm` beside `tpot@vllm`. From a Summary
// alone; pure; any thread. Times in s, rates in 1/s. Where tools disagree and why: docs/metrics.md.
// Sources: vLLM's vllm/benchmarks/serve.py, AIPerf's metrics reference, GuideLLM's schemas, llmperf's
// token_benchmark_ray, MLPerf LoadGen's results.cc, llama.cpp's server timings.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/metrics.hpp"
#include "reports/summary.hpp"

namespace prony::exchange {

struct DefinedFigure {
  std::string name;     // "tpot@guidellm"
  std::string unit;     // "s", "1/s"
  std::string formula;  // in the symbols of docs/metrics.md
  std::size_t count = 0;
  std::optional<double> mean = {}, sd = {}, p50 = {}, p90 = {}, p99 = {};  // a rate of the whole load is a mean of one
  std::string absent = {};                                                 // why there is none
};

[[nodiscard]] std::vector<std::string> definition_tools();
// Of one tool, or of every tool ("all"). Errors: usage (no such tool: the nearest and all are named).
[[nodiscard]] Result<std::vector<DefinedFigure>> defined_figures(const Summary& summary, std::string_view tool);

[[nodiscard]] std::string to_text(const std::vector<DefinedFigure>& figures, std::size_t width, bool colour);
[[nodiscard]] nlohmann::ordered_json to_json(const std::vector<DefinedFigure>& figures);

}  // namespace prony::exchange
