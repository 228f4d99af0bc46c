#include "study/ranks.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.hpp"
#include "model/metrics.hpp"

namespace prony::study {

namespace {

constexpr double agreement = 0.10;  // of two ranks' readings of one meter, beyond which that is told

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

struct Meter {
  double joules = 0, seconds = 0, sum = 0;
  double least = 0, most = 0;
  std::size_t ranks = 0;
};

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
      const double seconds = one.end_s - one.begin_s;
      if (meter.ranks == 0 || seconds > meter.seconds) {  // who watched longest saw most of the job
        meter.joules = domain.joules;
        meter.seconds = seconds;
      }
      meter.least = meter.ranks == 0 ? domain.joules : std::min(meter.least, domain.joules);
      meter.most = meter.ranks == 0 ? domain.joules : std::max(meter.most, domain.joules);
      meter.sum += domain.joules;
      ++meter.ranks;
    }
  }
  out.hosts = hosts.size();
  out.domains = meters.size();
  out.wall_s = last - first;
  out.tokens_per_s = out.tokens / out.wall_s;
  double counted = 0;
  for (const auto& [place, meter] : meters) {
    out.joules += meter.joules;
    counted += meter.sum;
    if (meter.ranks > 1 && meter.most - meter.least > agreement * std::abs(meter.most))
      out.notes.push_back(place.second + " on " + place.first + ": ranks read " + format_fixed(meter.least, 1) +
                          " to " + format_fixed(meter.most, 1) + " J of one meter; the longest recording stands");
  }
  if (counted > out.joules) out.counted_per_rank_j = counted;
  if (out.tokens > 0) out.joules_per_token = out.joules / out.tokens;
  out.ttft_s = pooled(all, &RankTimes::ttft_s);
  out.tpot_s = pooled(all, &RankTimes::tpot_s);
  out.e2e_s = pooled(all, &RankTimes::e2e_s);
  return out;
}

}  // namespace prony::study
