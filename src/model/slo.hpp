// Slo: how fast a request must be answered to be a good one: limits on the time to its first token (TTFT), the mean
// time per token after that (TPOT) and the whole of it (E2E). Units: seconds. Pure. Errors: usage, with what would be
// understood. Source of the presets: MLPerf Inference rules, latency constraints of the language models (p99),
// docs/load.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony {

struct Slo {
  std::optional<double> ttft_s, tpot_s, e2e_s;
  std::string preset;  // "mlperf:llama2-70b"; empty: own limits
};

// "ttft=500ms,tpot=50ms,e2e=2s", any of them; or "mlperf:NAME".
[[nodiscard]] Result<Slo> parse_slo(std::string_view text);
[[nodiscard]] std::vector<std::string> slo_presets();
// "TTFT ≤ 500 ms, TPOT ≤ 50 ms"
[[nodiscard]] std::string describe(const Slo& slo);

// Whether a request that was answered is within all limits; nullopt: a figure that a limit is on is not known. An
// answer of one token has no time between tokens: no limit on it can be broken.
[[nodiscard]] std::optional<bool> within(const Slo& slo, std::optional<double> ttft_s, std::optional<double> tpot_s,
                                         std::optional<double> e2e_s, std::optional<std::int64_t> output_tokens);

}  // namespace prony
