// What the recordings of several ranks of one job add up to. Every rank sees all of its host's meters, so joules added
// over ranks count each of them once per rank: here each (host, device) is metered once, whatever the number of ranks,
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

namespace prony::study {

struct RankDomain {
  std::string device;  // "intel-rapl:0 package-0", a GPU's UUID: what tells two meters of a host apart
  double joules = 0;
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
  double tokens = 0;   // that this rank made itself
  RankTimes times;     // of its own requests
  std::string origin;  // of its joules
};

// Of one time over all requests of all ranks; percentiles only from their least counts on (model/metrics.hpp).
struct PooledTimes {
  std::size_t count = 0;
  std::optional<double> mean, p50, p90, p95, p99;
};

struct RankSum {
  std::size_t ranks = 0, hosts = 0, domains = 0;
  double joules = 0, tokens = 0;
  double wall_s = 0;                  // from the first begin to the last end
  double tokens_per_s = 0;            // all tokens over that time
  double mean_rank_tokens_per_s = 0;  // a rank by itself, in the mean
  std::optional<double> joules_per_token;
  PooledTimes ttft_s, tpot_s, e2e_s;
  // What adding up over ranks would have given instead; absent: every domain was metered by one rank alone.
  std::optional<double> counted_per_rank_j;
  std::vector<std::string> notes;
  std::string origin;
};

[[nodiscard]] Result<RankSum> sum_ranks(std::span<const RankRecording> recordings);

}  // namespace prony::study
