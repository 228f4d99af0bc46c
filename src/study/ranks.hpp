// What the recordings of several ranks of one job add up to. Every rank sees all of its host's meters, so joules added
// over ranks count each of them once per rank: here each (host, device) is metered once, whatever the number of ranks:
// by the longest recording, and for the time that this one misses by the mean power of those that were there,
// while tokens are everybody's own and add up. Percentiles are of the requests of all ranks in one pool: a mean of the
// ranks' percentiles is no percentile of anything. Pure; plain values. Units: J, s, tokens. Errors: malformed, where a
// rank is missing, is there twice, or did not run while the others did.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/charge.hpp"

namespace prony::study {

struct RankDomain {
  std::string device;  // "intel-rapl:0 package-0", a GPU's UUID: what tells two meters of a host apart
  double joules = 0;
  std::optional<Estimate> bounds = {};  // of the same joules; absent: none were told
};

// Of answered requests, s; where a request does not tell one, it is in none.
struct RankTimes {
  std::vector<double> ttft_s, tpot_s, e2e_s;
};

struct RankRecording {
  std::string name;  // of its file, for words
  std::string host;
  std::optional<std::size_t> rank, world;
  double begin_s = 0, end_s = 0;  // on the wall clock
  std::vector<RankDomain> domains;
  double tokens = 0;           // that this rank made itself
  RankTimes times;             // of its own requests
  std::string origin;          // of its joules
  std::string simulated = {};  // the simulated machine's name: no joule of it is real; "": a real one
};

// Of one time over all requests of all ranks; percentiles only from their least counts on (model/metrics.hpp).
struct PooledTimes {
  std::size_t count = 0;
  std::optional<double> mean, p50, p90, p95, p99;
};

struct RankSum {
  std::size_t ranks = 0, hosts = 0, domains = 0;
  double joules = 0, tokens = 0;
  Estimate bounds;             // of the joules; wider by all of what is told by mean powers
  double by_mean_power_j = 0;  // of the joules: what other ranks drew on average, times when the longest was not there
  double watched_s = 0;        // of wall_s, of the meter that was watched for the least of it
  double wall_s = 0;           // from the first begin to the last end
  double tokens_per_s = 0;     // all tokens over that time
  double mean_rank_tokens_per_s = 0;  // a rank by itself, in the mean
  std::optional<double> joules_per_token;
  PooledTimes ttft_s, tpot_s, e2e_s;
  // What adding up over ranks would have given instead; absent: every domain was metered by one rank alone.
  std::optional<double> counted_per_rank_j;
  std::vector<std::string> notes;
  std::string origin;     // derived where something is told by mean powers
  std::string simulated;  // a machine of any rank
};

[[nodiscard]] Result<RankSum> sum_ranks(std::span<const RankRecording> recordings);

}  // namespace prony::study
