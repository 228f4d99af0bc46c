// A Run's requests as other tools write theirs, one file each: whoever has scripts for those reads a Run with them.
// From a Summary alone; pure; any thread. Units and field names are the other tool's; what it has no field for stands
// under names that begin with prony_. What is not known is left out (or null where the tool writes null), never 0.
// Sources and what is computed how: docs/exchange.md. Errors: usage where the Run has nothing of the kind.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "exchange/raw_file.hpp"
#include "reports/summary.hpp"

namespace prony::exchange {

// Added to an instant of the Run it gives ns since 1970; absent: the Run has no anchor.
using WallOffset = std::optional<std::int64_t>;

[[nodiscard]] Result<std::string> write_aiperf(const Summary& summary, WallOffset wall);
[[nodiscard]] Result<std::string> write_vllm(const Summary& summary, WallOffset wall);
[[nodiscard]] Result<std::string> write_llama_bench(const Summary& summary, WallOffset wall);
[[nodiscard]] Result<std::string> write_benchstat(const Summary& summary, WallOffset wall);
[[nodiscard]] Result<std::string> write_llenergymeasure(const Summary& summary, WallOffset wall);

// The aggregate, the table, and the folder raw_results/{id} of the thesis before it.
[[nodiscard]] Result<std::string> write_thesis(const Summary& summary, WallOffset wall);
[[nodiscard]] Result<std::string> write_thesis_csv(const Summary& summary, WallOffset wall);
[[nodiscard]] Result<std::vector<RawFile>> thesis_raw_files(const Summary& summary, WallOffset wall,
                                                            const std::string& id);

struct WriterRow {
  std::string_view name;  // what --format takes
  std::string_view help;
  Result<std::string> (*write)(const Summary&, WallOffset);
};
[[nodiscard]] std::span<const WriterRow> writer_rows() noexcept;
// nullptr: no such format.
[[nodiscard]] const WriterRow* find_writer(std::string_view name) noexcept;

}  // namespace prony::exchange
