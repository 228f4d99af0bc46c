// Metrics: the named definitions of what is computed from a request's times and counts, and the statistics over many.
// Units: seconds, tokens per second; nothing is rounded. Pure functions of their arguments; any thread.
// An Absent says why there is no figure: it is never 0, −1 or NaN. Formulas and where tools disagree: docs/metrics.md.
// Source: llm-benchmarking definitions (vLLM, AIPerf, MLPerf LoadGen); Student's t: Abramowitz & Stegun 26.7.3, 26.7.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/span.hpp"
#include "model/time.hpp"

namespace prony::metrics {

struct Absent {
  std::string reason;
};
template <class T>
using Maybe = Expected<T, Absent>;

// What of a request is known. Instants on the monotonic clock.
struct RequestTimes {
  Instant begin;  // t0: the engine has the request
  std::optional<Instant> prefill_begin;
  std::optional<Instant> first_token;  // t1: the first output token is known
  std::optional<Instant> last_token;   // tn
  std::optional<std::int64_t> prompt_tokens, output_tokens;
  std::optional<std::int64_t> cached_tokens;  // of the prompt's: taken from a cache, not computed
  // The span of prefill holds more than prefill (its attribute "holds"): when prefill itself began is not known.
  bool prefill_begin_untold = false;
  std::vector<Instant> token_ends;  // every output token, in order; may be empty
};

// From a request span and the spans whose parent it is (any order): first_token is the end of prefill, last_token the
// end of decode, or the last token span, or (one output token) the first token.
[[nodiscard]] RequestTimes request_times(const Span& request, std::span<const Span* const> children);

[[nodiscard]] Maybe<double> ttft_s(const RequestTimes& r);  // t1 − t0
[[nodiscard]] Maybe<double> e2e_s(const RequestTimes& r);   // tn − t0
[[nodiscard]] Maybe<double> tpot_s(
    const RequestTimes& r);  // (tn − t1) / (O − 1), O ≥ 2: the first token's time is TTFT's
[[nodiscard]] Maybe<double> prefill_tokens_per_s(const RequestTimes& r);  // (P − cached) / (t1 − begin of prefill)
// (O − 1) / (tn − t1). Dividing O by that time, as several servers do, is high by O/(O−1): the trap this name exists
// for.
[[nodiscard]] Maybe<double> decode_tokens_per_s(const RequestTimes& r);
// Gaps between consecutive output tokens, O − 1 of them.
[[nodiscard]] std::vector<double> itl_s(const RequestTimes& r);

[[nodiscard]] Maybe<double> mean(std::span<const double> values);
[[nodiscard]] Maybe<double> sd(std::span<const double> values);  // sample standard deviation, ddof 1: needs two

// The least number of values from which percentile `p` (0 < p < 1) is given: smallest n for which at most one of n lies
// beyond it with probability ≤ 1 %: Binom(≤ 1; n, 1 − p) ≤ 0.01. p50 11, p90 64, p95 130, p99 662.
[[nodiscard]] std::size_t least_count(double p);
// The same with at most `over` of n beyond it: LoadGen's early stopping (99 % confidence, no tolerance).
[[nodiscard]] std::size_t least_count(double p, std::size_t over);
// The most of `n` values that may lie beyond percentile `p`, so that n is enough for it; nullopt: not even none may.
[[nodiscard]] std::optional<std::size_t> most_over(double p, std::size_t n);
// LoadGen's percentile: the ⌊n · p⌋-th of the sorted values from 0, without interpolation.
[[nodiscard]] Maybe<double> percentile_mlperf(std::span<const double> values, double p);
// Linear interpolation between order statistics at p·(n − 1) (NumPy's default); absent below least_count(p).
[[nodiscard]] Maybe<double> percentile(std::span<const double> values, double p);

struct MeanInterval {
  double mean = 0, low = 0, high = 0;  // 95 %, Student's t with n − 1 degrees of freedom
};
[[nodiscard]] Maybe<MeanInterval> mean_interval_95(std::span<const double> values);  // needs two
// Two-sided 95 % quantile of Student's t: 12.706 for one degree of freedom, 1.960 in the limit.
[[nodiscard]] double student_t_975(std::size_t degrees);

}  // namespace prony::metrics
