#include "model/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace prony::metrics {

namespace {

Unexpected<Absent> absent(std::string reason) { return Unexpected<Absent>(Absent{std::move(reason)}); }

double seconds(Duration duration) { return static_cast<double>(duration.ns) * 1e-9; }

// P(|T| ≤ t) for whole degrees of freedom: a finite sum in θ = atan(t / √ν).
double student_inside(double t, std::size_t degrees) {
  const double nu = static_cast<double>(degrees);
  const double theta = std::atan(t / std::sqrt(nu));
  const double cosine = std::cos(theta);
  const double square = cosine * cosine;
  const bool odd = degrees % 2 == 1;
  double term = odd ? cosine : 1;
  double sum = degrees == 1 ? 0 : term;
  for (std::size_t k = odd ? 3 : 2; k < degrees; k += 2) {
    term *= square * static_cast<double>(k - 1) / static_cast<double>(k);
    sum += term;
  }
  return odd ? 2 / std::numbers::pi * (theta + std::sin(theta) * sum) : std::sin(theta) * sum;
}

// The last token's instant and the count it needs, shared by tpot and the decode rate.
Maybe<double> decode_time_s(const RequestTimes& r) {
  if (!r.first_token) return absent("the first token was not seen");
  if (!r.last_token) return absent("the last token was not seen");
  if (!r.output_tokens) return absent("the worker gave no output_tokens");
  if (*r.output_tokens < 2) return absent("fewer than two output tokens: there is no time between tokens");
  const double time = seconds(*r.last_token - *r.first_token);
  if (time <= 0) return absent("the clock did not move between the first and the last token");
  return time;
}

}  // namespace

RequestTimes request_times(const Span& request, std::span<const Span* const> children) {
  RequestTimes r;
  r.begin = request.interval.begin;
  r.prompt_tokens = request.count("prompt_tokens");
  r.output_tokens = request.count("output_tokens");
  r.cached_tokens = request.count("cached_tokens");
  std::optional<Instant> decode_end;
  for (const Span* child : children) {
    if (child->status == SpanStatus::unfinished) continue;  // its end is not the workload's
    if (child->kind == SpanKind::prefill) {
      r.prefill_begin_untold = child->attribute("holds").has_value();
      if (!r.prefill_begin_untold) r.prefill_begin = child->interval.begin;
      if (child->status == SpanStatus::ok) r.first_token = child->interval.end;
    } else if (child->kind == SpanKind::decode) {
      decode_end = child->interval.end;
    } else if (child->kind == SpanKind::token) {
      r.token_ends.push_back(child->interval.end);
    }
  }
  std::sort(r.token_ends.begin(), r.token_ends.end());
  if (!r.first_token && !r.token_ends.empty()) r.first_token = r.token_ends.front();
  if (!r.token_ends.empty()) {
    r.last_token = r.token_ends.back();
  } else if (decode_end) {
    r.last_token = decode_end;
  } else if (r.output_tokens == 1) {
    r.last_token = r.first_token;
  }
  return r;
}

Maybe<double> ttft_s(const RequestTimes& r) {
  if (!r.first_token) return absent("the first token was not seen");
  return seconds(*r.first_token - r.begin);
}

Maybe<double> e2e_s(const RequestTimes& r) {
  if (!r.last_token) return absent("the last token was not seen");
  return seconds(*r.last_token - r.begin);
}

Maybe<double> tpot_s(const RequestTimes& r) {
  const auto time = decode_time_s(r);
  if (!time) return time;
  return *time / static_cast<double>(*r.output_tokens - 1);
}

Maybe<double> decode_tokens_per_s(const RequestTimes& r) {
  const auto time = decode_time_s(r);
  if (!time) return time;
  return static_cast<double>(*r.output_tokens - 1) / *time;
}

Maybe<double> prefill_tokens_per_s(const RequestTimes& r) {
  if (r.prefill_begin_untold)
    return absent(
        "the engine does not tell when prefill began: what came before the first token holds queue and network");
  if (!r.prefill_begin || !r.first_token) return absent("prefill was not seen to its end");
  if (!r.prompt_tokens) return absent("the worker gave no prompt_tokens");
  // Tokens from a cache took no time here: with them the rate would grow without bound as the cache gets warmer.
  const std::int64_t computed = *r.prompt_tokens - r.cached_tokens.value_or(0);
  if (computed <= 0) return absent("every prompt token came from a cache");
  const double time = seconds(*r.first_token - *r.prefill_begin);
  if (time <= 0) return absent("the clock did not move during prefill");
  return static_cast<double>(computed) / time;
}

std::vector<double> itl_s(const RequestTimes& r) {
  std::vector<double> gaps;
  for (std::size_t i = 1; i < r.token_ends.size(); ++i) gaps.push_back(seconds(r.token_ends[i] - r.token_ends[i - 1]));
  return gaps;
}

Maybe<double> mean(std::span<const double> values) {
  if (values.empty()) return absent("no values");
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

Maybe<double> sd(std::span<const double> values) {
  if (values.size() < 2) return absent("a spread needs two values");
  const double centre = *mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - centre) * (value - centre);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

namespace {

// P(at most `over` of n lie beyond), each with probability 1 − p; summed in logarithms, for n may be large.
double at_most(double p, std::size_t n, std::size_t over) {
  const auto count = static_cast<double>(n);
  double sum = 0;
  for (std::size_t k = 0; k <= over && k <= n; ++k) {
    const auto beyond = static_cast<double>(k);
    sum += std::exp(std::lgamma(count + 1) - std::lgamma(beyond + 1) - std::lgamma(count - beyond + 1) +
                    beyond * std::log1p(-p) + (count - beyond) * std::log(p));
  }
  return sum;
}

}  // namespace

std::size_t least_count(double p, std::size_t over) {
  std::size_t few = over, many = over + 1;
  while (at_most(p, many, over) > 0.01) {
    few = many;
    many *= 2;
  }
  while (many - few > 1) {
    const std::size_t middle = few + (many - few) / 2;
    (at_most(p, middle, over) > 0.01 ? few : many) = middle;
  }
  return many;
}

std::optional<std::size_t> most_over(double p, std::size_t n) {
  if (n == 0 || at_most(p, n, 0) > 0.01) return std::nullopt;
  std::size_t good = 0, bad = n;  // all of them beyond it: surely too many
  while (bad - good > 1) {
    const std::size_t middle = good + (bad - good) / 2;
    (at_most(p, n, middle) > 0.01 ? bad : good) = middle;
  }
  return good;
}

Maybe<double> percentile_mlperf(std::span<const double> values, double p) {
  if (values.empty()) return absent("no values");
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const auto place = static_cast<std::size_t>(static_cast<double>(sorted.size()) * p);
  return sorted[std::min(place, sorted.size() - 1)];
}

std::size_t least_count(double p) {
  const double beyond = 1 - p;
  std::size_t n = 1;
  while (std::pow(p, static_cast<double>(n)) +
             static_cast<double>(n) * beyond * std::pow(p, static_cast<double>(n - 1)) >
         0.01)
    ++n;
  return n;
}

Maybe<double> percentile(std::span<const double> values, double p) {
  const std::size_t least = least_count(p);
  if (values.size() < least)
    return absent("needs " + std::to_string(least) + " values, has " + std::to_string(values.size()));
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double student_t_975(std::size_t degrees) {
  if (degrees > 10'000) return 1.959963984540054 * (1 + 0.25 * 4.8414588 / static_cast<double>(degrees));
  double low = 0, high = 13;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    (student_inside(middle, degrees) < 0.95 ? low : high) = middle;
  }
  return (low + high) / 2;
}

Maybe<MeanInterval> mean_interval_95(std::span<const double> values) {
  const auto spread = sd(values);
  if (!spread) return absent("an interval needs two values");
  const double centre = *mean(values);
  const double half = student_t_975(values.size() - 1) * *spread / std::sqrt(static_cast<double>(values.size()));
  return MeanInterval{centre, centre - half, centre + half};
}

}  // namespace prony::metrics
