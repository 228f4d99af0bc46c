#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "exchange/readers.hpp"

namespace prony::exchange {

namespace {

constexpr std::array<ReaderRow, 9> known_readers{
    {{"aiperf", "AIPerf's profile_export.jsonl", read_aiperf},
     {"vllm", "vLLM's bench result with --save-detailed", read_vllm},
     {"guidellm", "GuideLLM's benchmarks.json", read_guidellm},
     {"llama-bench", "llama-bench -o json or jsonl", read_llama_bench},
     {"monitorsystem", "MonitorSystem's *_hw_metrics_*.jsonl", read_monitorsystem},
     {"monitorsystem-csv", "the CSV files of MonitorSystem in Python", read_monitorsystem_csv},
     {"llenergymeasure", "LLenergyMeasure's result.json, process_N.json, aggregated/*.json", read_llenergymeasure},
     {"llm-thesis", "the thesis before LLenergyMeasure: {task}_results.json, raw_results/{id}", read_llm_thesis},
     {"aipowermeter", "AIPowerMeter's power_metrics.json", read_aipowermeter}}};

}  // namespace

std::span<const ReaderRow> reader_rows() noexcept { return known_readers; }

Result<const ReaderRow*> find_reader(std::string_view name) {
  std::vector<std::string> names;
  std::string all;
  for (const ReaderRow& row : known_readers) {
    if (row.name == name) return &row;
    names.emplace_back(row.name);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  const auto near = nearest_name(name, names);
  return fail(ErrorCode::usage, "no format '" + printable(name, 40) + "' can be read", "--from",
              (near ? "Did you mean '" + *near + "'? " : std::string()) + "There are: " + all);
}

}  // namespace prony::exchange
