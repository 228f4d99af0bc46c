// LoadFigures: what a load came to: rates asked for and reached, how many were under way, tokens per second, and how
// long requests took, in all and for each level. Computed from the requests' spans alone. Units are in the names;
// formulas and where tools disagree: docs/metrics.md. Pure. Absent figures are nullopt; a spread says how many values
// it would need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/slo.hpp"
#include "reports/summary.hpp"

namespace prony {

struct Spread {
  std::size_t count = 0;
  std::optional<double> mean, sd, min, max, p50, p90, p99;  // percentiles only from their least counts on
};

struct LevelFigures {
  std::int64_t number = 0;  // 0: all requests
  std::string name;         // "Poisson, 5/s"
  bool open = false;        // some request was scheduled: TTFT and E2E then begin at the scheduled time
  bool oversaturated = false;
  std::size_t requests = 0, ok = 0, failed = 0, cancelled = 0;
  double begin_s = 0, duration_s = 0;   // from the first scheduled or begun to the last end
  std::optional<double> offered_per_s;  // (n − 1) / (last scheduled − first)
  std::optional<double> reached_per_s;  // ok / duration
  std::size_t most_under_way = 0;
  std::optional<std::int64_t> prompt_tokens, output_tokens;  // of those that were answered and told
  std::size_t told_tokens = 0;                               // so many of them
  std::optional<double> output_tokens_per_s, total_tokens_per_s;
  Spread ttft, tpot, itl, e2e;  // of those that were answered, s
  Spread late;                  // of all: begun − scheduled, s
  Spread ttft_sent, e2e_sent;   // open: from when it was sent
  // With a service level.
  std::optional<double> goodput_per_s, share_within;
  std::size_t within = 0, judged = 0;  // judged: failed ones too, which are never within
};

struct LoadFigures {
  std::string mode;  // "open", "closed"
  std::string description, scenario;
  std::optional<Slo> slo;
  LevelFigures all;
  std::vector<LevelFigures> levels;  // empty: there is one
  std::optional<std::size_t> not_begun;
  std::string knee;  // of a search: what came out, in words
};

// nullopt: the Run is of no load.
[[nodiscard]] std::optional<LoadFigures> load_figures(const Summary& summary);
// The figures of some of the requests; `slo` may be null.
[[nodiscard]] LevelFigures figures_of(const std::vector<const RequestRow*>& rows, const Slo* slo);
[[nodiscard]] Spread spread_of(const std::vector<double>& values);
// Answered, failed or called off.
enum class RequestEnd { ok, failed, cancelled };
[[nodiscard]] RequestEnd end_of(const RequestRow& row);
// How much later than scheduled it was sent; nullopt: it had no time.
[[nodiscard]] std::optional<double> late_s(const RequestRow& row);

}  // namespace prony
