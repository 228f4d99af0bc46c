// Results that other tools wrote, as the parts of a Run. Pure: bytes in; any thread. Any bytes give a Run's parts or an
// error that says what and where; nothing that was in the file is left out without a note. What is known to be wrong in
// a tool's files is corrected and said (`as_written`: said alone). Times: the file's own clock is the Run's monotonic
// one, so nothing may be laid beside it but what that file holds. Formats and corrections: docs/import.md.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "exchange/raw_file.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "model/sample.hpp"
#include "model/span.hpp"

namespace prony::exchange {

struct Imported {
  Manifest manifest;
  std::vector<Channel> channels;  // of one group; may be empty
  Group group;
  TickBlock ticks;
  std::vector<Span> spans;
  Anchor anchor;
  std::vector<std::string> notes;  // what was corrected, left out or guessed; they become events of the Run
};

struct ReadOptions {
  bool as_written = false;  // no correction
  std::string select = {};  // which of a file's experiments; empty: the only one
};

[[nodiscard]] Result<Imported> read_aiperf(std::string_view bytes, const ReadOptions& options);
[[nodiscard]] Result<Imported> read_vllm(std::string_view bytes, const ReadOptions& options);
// The thesis's aggregate: {task}_results.json.
[[nodiscard]] Result<Imported> read_llm_thesis(std::string_view bytes, const ReadOptions& options);
// Its folder raw_results/{id}: the files of one run put together as such an aggregate; names are those within the
// folder. What could not be read goes into `notes`. Errors: malformed (the file), usage (files of several runs).
[[nodiscard]] Result<std::string> thesis_of_raw_files(std::span<const RawFile> files, std::vector<std::string>& notes);
// LLenergyMeasure's result.json; of the versions before it process_N.json and aggregated/*.json.
[[nodiscard]] Result<Imported> read_llenergymeasure(std::string_view bytes, const ReadOptions& options);
// llama-bench's -o json and -o jsonl.
[[nodiscard]] Result<Imported> read_llama_bench(std::string_view bytes, const ReadOptions& options);
[[nodiscard]] Result<Imported> read_guidellm(std::string_view bytes, const ReadOptions& options);
// The C++ program's *_hw_metrics_*.jsonl.
[[nodiscard]] Result<Imported> read_monitorsystem(std::string_view bytes, const ReadOptions& options);
// The Python program's hardware_metrics_*.csv, prompt_metrics_*.csv and its first version's metrics.csv.
[[nodiscard]] Result<Imported> read_monitorsystem_csv(std::string_view bytes, const ReadOptions& options);
[[nodiscard]] Result<Imported> read_aipowermeter(std::string_view bytes, const ReadOptions& options);

struct ReaderRow {
  std::string_view name;  // what --from takes
  std::string_view help;
  Result<Imported> (*read)(std::string_view, const ReadOptions&);
};
[[nodiscard]] std::span<const ReaderRow> reader_rows() noexcept;
// Errors: usage (no such format: the nearest and all are named).
[[nodiscard]] Result<const ReaderRow*> find_reader(std::string_view name);

}  // namespace prony::exchange
