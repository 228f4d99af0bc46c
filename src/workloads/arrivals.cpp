#include "workloads/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.hpp"
#include "workloads/draw.hpp"

namespace prony {

namespace {

constexpr double most_s = 30 * 86'400.0;  // a schedule longer than a month is a slip of the finger

Unexpected<Error> refused(std::string what, const char* option, std::string fix = {}) {
  return fail(ErrorCode::usage, std::move(what), option, std::move(fix));
}

std::optional<double> rate_of(std::string_view text) {
  const auto value = parse_finite(text);
  return value && *value > 0 && *value <= most_rate_per_s ? value : std::nullopt;
}

// A gap of mean one.
double unit_gap(const Arrivals& arrivals, Draw& draw) {
  switch (arrivals.gaps) {
    case Arrivals::Gaps::constant: return 1;
    case Arrivals::Gaps::poisson: return draw.exponential();
    case Arrivals::Gaps::gamma: return draw.gamma(arrivals.burstiness) / arrivals.burstiness;
  }
  return 1;
}

double ramp_rate(const Arrivals& a, double place) {
  return a.exponential ? a.rate_per_s * std::pow(a.ramp_to_per_s / a.rate_per_s, place)
                       : a.rate_per_s + (a.ramp_to_per_s - a.rate_per_s) * place;
}

// How many requests a ramp has in `seconds`: 1 over the mean of 1 / rate over all places.
double ramp_count(const Arrivals& a, double seconds) {
  const double ratio = a.ramp_to_per_s / a.rate_per_s;
  if (std::abs(ratio - 1) < 1e-9) return seconds * a.rate_per_s;
  const double mean_gap_s = a.exponential ? (1 / a.rate_per_s - 1 / a.ramp_to_per_s) / std::log(ratio)
                                          : std::log(ratio) / (a.ramp_to_per_s - a.rate_per_s);
  return seconds / mean_gap_s;
}

Result<std::vector<std::int64_t>> in_ns(const std::vector<double>& times_s, std::optional<std::int64_t> for_ns) {
  std::vector<std::int64_t> times_ns;
  times_ns.reserve(times_s.size());
  for (const double at_s : times_s) {
    if (!(at_s <= most_s)) return refused("the last request would come after more than 30 days", "--rate");
    const auto at_ns = static_cast<std::int64_t>(std::llround(at_s * 1e9));
    if (for_ns && at_ns >= *for_ns) break;
    times_ns.push_back(at_ns);
  }
  return times_ns;
}

// Gaps of one rate, or of a ramp with a known count. A steady load begins at once; a drawn one with its first gap.
std::vector<double> spaced_s(const Arrivals& a, std::size_t count, double limit_s, Draw& draw) {
  std::vector<double> times_s;
  double at_s = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double place = count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 0;
    const double rate = a.kind == Arrivals::Kind::ramp ? ramp_rate(a, place) : a.rate_per_s;
    if (a.gaps == Arrivals::Gaps::constant && a.kind == Arrivals::Kind::rate)
      at_s = static_cast<double>(i) / rate;  // not a sum: its rounding would drift
    else if (a.gaps != Arrivals::Gaps::constant || i > 0)
      at_s += unit_gap(a, draw) / rate;
    if (at_s >= limit_s) break;
    times_s.push_back(at_s);
  }
  return times_s;
}

std::vector<double> bursts_s(const Arrivals& a, std::size_t count, double limit_s) {
  std::vector<double> times_s;
  for (std::size_t i = 0; i < count; ++i) {
    const double at_s = static_cast<double>(i / a.burst_size) * static_cast<double>(a.burst_gap_ns) * 1e-9;
    if (at_s >= limit_s) break;
    times_s.push_back(at_s);
  }
  return times_s;
}

}  // namespace

Result<void> parse_gaps(std::string_view text, Arrivals& arrivals) {
  if (text == "constant") {
    arrivals.gaps = Arrivals::Gaps::constant;
  } else if (text == "poisson") {
    arrivals.gaps = Arrivals::Gaps::poisson;
  } else {
    const auto shape = text.starts_with("gamma:") ? parse_finite(text.substr(6)) : std::nullopt;
    if (!shape || *shape < 0.001 || *shape > 1e6)
      return refused("'" + printable(text, 40) + "' is no way of arriving", "--arrivals",
                     "There are: constant, poisson, gamma:B with B from 0.001 (bursts) over 1 (Poisson) to 1000000");
    arrivals.gaps = Arrivals::Gaps::gamma;
    arrivals.burstiness = *shape;
  }
  return {};
}

Result<Arrivals> parse_ramp(std::string_view text) {
  const auto parts = split(text, ':');
  const bool three = parts.size() == 3;
  const auto from = parts.size() >= 2 ? rate_of(parts[0]) : std::nullopt;
  const auto to = parts.size() >= 2 ? rate_of(parts[1]) : std::nullopt;
  if (!from || !to || parts.size() > 3 || (three && parts[2] != "exp" && parts[2] != "linear"))
    return refused("'" + printable(text, 40) + "' is no ramp", "--ramp",
                   "Two rates per second:  --ramp 1:20  or, growing by the same factor,  --ramp 1:20:exp");
  Arrivals arrivals;
  arrivals.kind = Arrivals::Kind::ramp;
  arrivals.gaps = Arrivals::Gaps::constant;
  arrivals.rate_per_s = *from;
  arrivals.ramp_to_per_s = *to;
  arrivals.exponential = three && parts[2] == "exp";
  return arrivals;
}

Result<Arrivals> parse_bursts(std::string_view text) {
  const auto parts = split(text, ':');
  const auto size = parts.size() == 2 ? parse_u64(parts[0]) : std::nullopt;
  const auto gap = parts.size() == 2 ? parse_duration_ns(parts[1]) : std::nullopt;
  if (!size || *size == 0 || *size > most_requests || !gap || *gap <= 0)
    return refused("'" + printable(text, 40) + "' are no bursts", "--bursts",
                   "So many requests at once, and the time from one burst to the next:  --bursts 8:2s");
  Arrivals arrivals;
  arrivals.kind = Arrivals::Kind::bursts;
  arrivals.burst_size = static_cast<std::size_t>(*size);
  arrivals.burst_gap_ns = *gap;
  return arrivals;
}

std::string describe(const Arrivals& a) {
  if (a.kind == Arrivals::Kind::at_once) return "all at once";
  if (a.kind == Arrivals::Kind::bursts)
    return std::to_string(a.burst_size) + " every " + format_number(static_cast<double>(a.burst_gap_ns) / 1e9) + " s";
  const std::string gaps = a.gaps == Arrivals::Gaps::constant  ? "constant"
                           : a.gaps == Arrivals::Gaps::poisson ? "Poisson"
                                                               : "gamma (shape " + format_number(a.burstiness) + ")";
  if (a.kind == Arrivals::Kind::rate) return gaps + ", " + format_number(std::round(a.rate_per_s * 1e6) / 1e6) + "/s";
  return gaps + ", from " + format_number(a.rate_per_s) + "/s to " + format_number(a.ramp_to_per_s) + "/s" +
         (a.exponential ? ", by the same factor" : ", linear");
}

Result<std::vector<std::int64_t>> arrival_times_ns(const Arrivals& a, std::optional<std::size_t> count,
                                                   std::optional<std::int64_t> for_ns, std::uint64_t seed) {
  if (!count && !for_ns) return refused("an open load needs an end", "--requests", "--requests N or --for DURATION");
  if (!count && a.kind == Arrivals::Kind::at_once)
    return refused("all at once: but how many?", "--requests", "--all-at-once --requests N");
  const double limit_s = for_ns ? static_cast<double>(*for_ns) * 1e-9 : std::numeric_limits<double>::infinity();
  std::size_t most = count.value_or(most_requests + 1);
  if (!count && a.kind == Arrivals::Kind::ramp)
    most = static_cast<std::size_t>(std::clamp(ramp_count(a, limit_s), 1.0, double{most_requests} + 1));
  if (count && *count > most_requests)
    return refused("more than " + std::to_string(most_requests) + " requests", "--requests");
  Draw draw(seed);
  std::vector<double> times_s;
  switch (a.kind) {
    case Arrivals::Kind::at_once: times_s.assign(*count, 0.0); break;
    case Arrivals::Kind::bursts: times_s = bursts_s(a, most, limit_s); break;
    case Arrivals::Kind::rate:
    case Arrivals::Kind::ramp:
      // Stretched times may come to lie before the limit again: the limit is held after that.
      times_s = spaced_s(a, most, count ? std::numeric_limits<double>::infinity() : limit_s, draw);
      break;
  }
  if (times_s.size() > most_requests)
    return refused("the load has more than " + std::to_string(most_requests) + " requests", "--for",
                   "a shorter time or a lower rate");
  const bool stretched = count && a.kind == Arrivals::Kind::rate && a.gaps == Arrivals::Gaps::gamma;
  if (stretched && !times_s.empty() && times_s.back() > 0) {
    const double factor = static_cast<double>(*count) / a.rate_per_s / times_s.back();
    for (double& at_s : times_s) at_s *= factor;
  }
  return in_ns(times_s, for_ns);
}

}  // namespace prony
