// Traces: files that say when requests came and how long they were, to be played again. Times are offsets in ns from
// the first request. Forms, told by the content:
//   Mooncake's JSON Lines: timestamp (ms), input_length, output_length, hash_ids (512 tokens each)
//   JSON Lines with times: timestamp or delay (ms; delay: after the line before), prompt or text, or input_length,
//     and output_tokens, output_length or max_tokens
//   CSV with a header: Timestamp or timestamp_s (s) or timestamp_ms (ms); prompt or text, or Request tokens,
//     input_length, input_tokens, prompt_tokens; Response tokens, output_length, output_tokens (BurstGPT's are the
//     capital ones)
// Pure, but for load_trace(). Errors: malformed, with `where` = "file:line". Sources: kvcache-ai/Mooncake trace files;
// HPMLL/BurstGPT; RFC 4180.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony {

struct TraceEntry {
  std::int64_t at_ns = 0;                          // since the first request; ascending
  std::string text = {};                           // empty: a text of `prompt_tokens` is to be made
  std::int64_t prompt_tokens = 0;                  // 0: the text says it
  std::optional<std::int64_t> output_tokens = {};  // absent: the trace does not say
  std::vector<std::uint64_t> blocks = {};          // what prompts have in common: equal numbers, equal text
};

struct Trace {
  std::vector<TraceEntry> entries;  // never empty
  std::vector<std::string> notes;   // what was passed over or put right, one line each
  std::string form;                 // "mooncake", "jsonl", "csv"
};

inline constexpr std::int64_t most_trace_tokens = 10'000'000;  // of one request

// `time_scale`: gaps are so many times as long as in the file (0.5: twice the rate); from 1e-6 to 1e6.
[[nodiscard]] Result<Trace> parse_trace(std::string_view content, std::string_view name, double time_scale = 1);
// Reads `path`, at most 512 MiB.
[[nodiscard]] Result<Trace> load_trace(const std::string& path, double time_scale = 1);

}  // namespace prony
