#include <algorithm>
#include <array>

#include "exchange/writers.hpp"

namespace prony::exchange {

namespace {

constexpr std::array<WriterRow, 7> known_writers{
    {{"aiperf", "AIPerf's profile_export.jsonl: a line for each request", write_aiperf},
     {"vllm", "vLLM's bench result with its arrays by request", write_vllm},
     {"llama-bench", "llama-bench's JSON: a row for each length", write_llama_bench},
     {"benchstat", "lines for Go's benchstat, as Ollama's benchmark writes them", write_benchstat},
     {"llenergymeasure", "LLenergyMeasure's result.json (schema 3.0)", write_llenergymeasure},
     {"llm-thesis", "the thesis's aggregate; with --out FOLDER/ its whole layout", write_thesis},
     {"llm-thesis-csv", "the thesis's table", write_thesis_csv}}};

}  // namespace

std::span<const WriterRow> writer_rows() noexcept { return known_writers; }

const WriterRow* find_writer(std::string_view name) noexcept {
  const auto found = std::ranges::find(known_writers, name, &WriterRow::name);
  return found == known_writers.end() ? nullptr : &*found;
}

}  // namespace prony::exchange
