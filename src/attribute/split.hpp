// Splitting by CPU time: the window is cut into cells; in each the parties' shares are what they used of the busy CPU
// time. Owners: which span the target's energy belongs to at each moment. Both are the same for every energy channel.
// Thread promise: plain values.
#pragma once

#include <string>
#include <vector>

#include "attribute/curve.hpp"

namespace prony::attribution {

struct Share {
  double target = 0, prony = 0, foreign = 0;
  bool any = false;  // false: nobody used any CPU time in the cell
};

struct Split {
  std::vector<std::int64_t> edges;  // of the cells; edges.size() = shares.size() + 1
  std::vector<Share> shares;        // empty: no split, see `absent`
  std::string absent;               // why there is none
  std::string method;               // "by CPU time, in windows of 100 ms"
  bool prony_known = false;
};

struct CpuCurves {
  const Curve* busy = nullptr;
  const Curve* target = nullptr;
  const Curve* prony = nullptr;
};

[[nodiscard]] Split split_by_cpu_time(const CpuCurves& cpu, Interval window, const Plan& plan, double staleness_s);

// Between two neighbouring fixed instants: whose the target's energy is, and which parts of requests also see it.
struct Piece {
  std::size_t from = 0, to = 0;      // indices of plan.fixed
  std::vector<std::size_t> owners;   // spans (indices); equal parts; none: the target's own rest
  std::vector<std::size_t> viewers;  // prefill, decode, nested user spans: their owner's part, once more by name
};
[[nodiscard]] std::vector<Piece> make_pieces(const std::vector<Span>& spans, Interval window, const Plan& plan);

// One channel's window split among the parties, and the target's cumulative energy at each fixed instant.
struct Parties {
  double target = 0, prony = 0, foreign = 0, idle = 0, no_cpu = 0;
  std::vector<double> target_at;  // by fixed instant; 0 before the window
};
[[nodiscard]] Parties split_channel(const Curve& curve, const Split& split, const Plan& plan, double idle_w);

}  // namespace prony::attribution
