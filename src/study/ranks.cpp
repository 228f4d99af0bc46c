#include "study/ranks.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "base/text.hpp"
#include "model/metrics.hpp"

namespace prony::study {

namespace {

constexpr double agreement = 0.10;  // of two ranks' readings of one meter, beyond which that is told
constexpr double worth_telling = 0.02;

Result<void> complete(std::span<const RankRecording> all) {
  std::map<std::size_t, std::string> seen;
  std::optional<std::size_t> world;
  for (const RankRecording& one : all) {
    if (!one.rank) continue;
    if (const auto [at, fresh] = seen.emplace(*one.rank, one.name); !fresh)
      return fail(ErrorCode::malformed, "rank " + std::to_string(*one.rank) + " is there twice", one.name,
                  "The other one is " + at->second + ".");
    if (world && one.world && *world != *one.world)
      return fail(ErrorCode::malformed, "ranks of jobs of different sizes", one.name);
    if (one.world) world = one.world;
  }
  if (world && !seen.empty())
    for (std::size_t rank = 0; rank < std::min<std::size_t>(*world, 1'000'000); ++rank)
      if (!seen.contains(rank))
        return fail(ErrorCode::malformed,
                    "rank " + std::to_string(rank) + " of " + std::to_string(*world) + " is missing", all.front().name,
                    "Tokens of all ranks are needed: name the Run of each.");
  return {};
}

// At least half of the shortest of the two.
Result<void> together(std::span<const RankRecording> all) {
  for (const RankRecording& a : all)
    for (const RankRecording& b : all) {
      const double both = std::min(a.end_s, b.end_s) - std::max(a.begin_s, b.begin_s);
      const double shortest = std::min(a.end_s - a.begin_s, b.end_s - b.begin_s);
      if (both < 0.5 * shortest)
        return fail(ErrorCode::malformed, "it did not run while " + a.name + " did", b.name,
                    "Ranks of one job run at the same time.");
    }
  return {};
}

PooledTimes pooled(std::span<const RankRecording> all, std::vector<double> RankTimes::* which) {
  std::vector<double> values;
  for (const RankRecording& one : all) {
    const std::vector<double>& own = one.times.*which;
    values.insert(values.end(), own.begin(), own.end());
  }
  const auto known = [](const metrics::Maybe<double>& value) { return value ? std::optional(*value) : std::nullopt; };
  PooledTimes out;
  out.count = values.size();
  out.mean = known(metrics::mean(values));
  out.p50 = known(metrics::percentile(values, 0.5));
  out.p90 = known(metrics::percentile(values, 0.9));
  out.p95 = known(metrics::percentile(values, 0.95));
  out.p99 = known(metrics::percentile(values, 0.99));
  return out;
}

// One meter as one rank read it.
struct Reading {
  double begin_s = 0, end_s = 0;
  Estimate joules;
};

struct Meter {
  double sum = 0, least = 0, most = 0;
  std::vector<Reading> readings;
};

// What a meter told in all the time that anyone watched it.
struct Metered {
  Estimate joules;
  double by_mean_power_j = 0, watched_s = 0;
};

// The longest recording as it is. What others saw before it began and after it ended is their mean power times that
// time, and may as well have been nothing, or twice as much. Any two ran together, so that there is no hole between
// them.
Metered metered(std::vector<Reading> readings) {
  std::ranges::sort(readings, [](const Reading& a, const Reading& b) {
    return std::tuple(b.end_s - b.begin_s, a.begin_s) < std::tuple(a.end_s - a.begin_s, b.begin_s);
  });
  double first = readings.front().begin_s, last = readings.front().end_s;
  Metered all{readings.front().joules};
  for (const Reading& one : readings) {
    const double outside = std::max(0.0, first - one.begin_s) + std::max(0.0, one.end_s - last);
    const double part = one.joules.value * outside / (one.end_s - one.begin_s);
    all.by_mean_power_j += part;
    if (outside > 0) all.joules = all.joules + Estimate{part, 0, 2 * part, EstimateKind::range};
    first = std::min(first, one.begin_s);
    last = std::max(last, one.end_s);
  }
  all.watched_s = last - first;
  return all;
}

}  // namespace

Result<RankSum> sum_ranks(std::span<const RankRecording> all) {
  if (all.empty()) return fail(ErrorCode::usage, "no recording given");
  for (const RankRecording& one : all)
    if (!(one.end_s > one.begin_s)) return fail(ErrorCode::malformed, "it has no length", one.name);
  if (auto good = complete(all); !good) return Unexpected<Error>(good.error());
  if (auto good = together(all); !good) return Unexpected<Error>(good.error());
  RankSum out;
  out.ranks = all.size();
  std::map<std::pair<std::string, std::string>, Meter> meters;
  std::set<std::string> hosts;
  double first = all.front().begin_s, last = all.front().end_s;
  for (const RankRecording& one : all) {
    hosts.insert(one.host);
    first = std::min(first, one.begin_s);
    last = std::max(last, one.end_s);
    out.tokens += one.tokens;
    out.mean_rank_tokens_per_s += one.tokens / (one.end_s - one.begin_s) / static_cast<double>(all.size());
    if (out.origin.empty() || one.origin == "modelled") out.origin = one.origin;
    for (const RankDomain& domain : one.domains) {
      Meter& meter = meters[{one.host, domain.device}];
      const bool fresh = meter.readings.empty();
      meter.least = fresh ? domain.joules : std::min(meter.least, domain.joules);
      meter.most = fresh ? domain.joules : std::max(meter.most, domain.joules);
      meter.sum += domain.joules;
      meter.readings.push_back(
          {one.begin_s, one.end_s, domain.bounds.value_or(Estimate{domain.joules, domain.joules, domain.joules})});
    }
    if (out.simulated.empty()) out.simulated = one.simulated;
  }
  out.hosts = hosts.size();
  out.domains = meters.size();
  out.wall_s = last - first;
  out.tokens_per_s = out.tokens / out.wall_s;
  double counted = 0;
  out.watched_s = out.wall_s;
  for (const auto& [place, meter] : meters) {
    const Metered whole = metered(meter.readings);
    out.bounds = out.bounds + whole.joules;
    out.by_mean_power_j += whole.by_mean_power_j;
    out.watched_s = std::min(out.watched_s, whole.watched_s);
    counted += meter.sum;
    if (meter.readings.size() > 1 && meter.most - meter.least > agreement * std::abs(meter.most))
      out.notes.push_back(place.second + " on " + place.first + ": ranks read " + format_fixed(meter.least, 1) +
                          " to " + format_fixed(meter.most, 1) + " J of one meter; the longest recording stands");
  }
  out.joules = out.bounds.value;
  if (out.by_mean_power_j > worth_telling * std::abs(out.joules)) {
    out.notes.push_back(
        "ranks began or ended apart: " + format_fixed(out.by_mean_power_j, 1) +
        " J are of times that the longest recording of a meter misses, by the mean power of the others");
    if (out.origin == "measured") out.origin = "derived";
  }
  if (!meters.empty() && out.watched_s < (1 - worth_telling) * out.wall_s)
    out.notes.push_back("a meter was watched for " + format_fixed(out.watched_s, 2) + " s of the " +
                        format_fixed(out.wall_s, 2) + " s from the first begin to the last end: no joules of the rest");
  if (counted > out.joules) out.counted_per_rank_j = counted;
  if (out.tokens > 0 && out.domains > 0) out.joules_per_token = out.joules / out.tokens;
  out.ttft_s = pooled(all, &RankTimes::ttft_s);
  out.tpot_s = pooled(all, &RankTimes::tpot_s);
  out.e2e_s = pooled(all, &RankTimes::e2e_s);
  return out;
}

}  // namespace prony::study
