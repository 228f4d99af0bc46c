// How much of the machine a model's requests used: FLOP/s and bytes/s that were reached, counted from the model's file
// and divided by times that were measured, and their share of the machine's peaks (MFU, MBU). From a Summary alone;
// pure; any thread. A peak is one that was given or measured, never guessed; what cannot be told has its reason.
// Definitions: docs/metrics.md.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/manifest.hpp"
#include "model/token_costs.hpp"
#include "reports/summary.hpp"

namespace prony {

// What was computed and moved in so much time. Bytes are absent where steps were shared or their size is not known.
struct WorkDone {
  std::size_t requests = 0;
  double flop = 0, seconds = 0;
  std::optional<double> bytes;
  [[nodiscard]] double flop_per_s() const noexcept { return flop / seconds; }
  [[nodiscard]] std::optional<double> bytes_per_s() const noexcept {
    return bytes ? std::optional(*bytes / seconds) : std::nullopt;
  }
};

struct Utilisation {
  std::optional<TokenCosts> costs;
  double prefill_step_tokens = 0;           // 0: not known
  std::optional<WorkDone> prefill, decode;  // of requests that ran alone, over all of them: Σ ÷ Σ
  std::optional<WorkDone> together;         // of requests that ran at once: Σ FLOP ÷ the time from first to last
  std::optional<double> peak_flop_per_s, peak_bytes_per_s;
  std::string peak_source;
  std::vector<Unavailable> absent;
};
[[nodiscard]] Utilisation utilisation(const Summary& summary);
// Of one request, by the same rules; absent where its counts or times are, or where it was not answered to its end.
[[nodiscard]] std::optional<WorkDone> prefill_work(const Utilisation& all, const RequestRow& row);
[[nodiscard]] std::optional<WorkDone> decode_work(const Utilisation& all, const RequestRow& row);

[[nodiscard]] nlohmann::ordered_json to_json(const Utilisation& all);
// Items of the labelled line "utilisation"; empty where nothing is known of the model.
[[nodiscard]] std::vector<std::string> utilisation_words(const Summary& summary);

}  // namespace prony
