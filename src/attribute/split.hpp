// Splitting by use: the window is cut into cells; in each the parties' shares are what they used of all that was used
// (CPU time, cycles, …: see basis.hpp). Energy channels with the same basis share one Split. Parties are numbered:
// the targets in the Run's order, then Prony, then foreign. Units: the weight's own, J. Thread promise: plain values.
#pragma once

#include <string>
#include <vector>

#include "attribute/basis.hpp"
#include "attribute/curve.hpp"
#include "attribute/process_fold.hpp"

namespace prony::attribution {

// Everybody's curve of one weight; null: not recorded. They must outlive the call that uses them.
struct Users {
  const Curve* host = nullptr;
  std::vector<const Curve*> targets;
  const Curve* prony = nullptr;
  double staleness_s = 0;  // how far the host's may lag behind the others'
  double late_s = 0;       // for how long it is not known when a target used what was told late
};

struct Split {
  std::size_t targets = 0;
  std::vector<std::int64_t> edges;  // of the cells
  std::vector<double> used;         // cell × party; of the weight's unit
  std::vector<double> whole;        // by cell: the sum of it; 0: nobody used anything
  std::vector<double> totals;       // by party, over the window
  std::string absent;               // why there is none
  std::string method;               // "by CPU time, in windows of 100 ms"
  std::vector<bool> target_known;
  bool prony_known = false;
  std::string prony_absent;  // why not; "": known
  double staleness_s = 0;

  [[nodiscard]] std::size_t parties() const noexcept { return targets + 2; }
  [[nodiscard]] std::size_t prony() const noexcept { return targets; }
  [[nodiscard]] std::size_t foreign() const noexcept { return targets + 1; }
  [[nodiscard]] std::size_t cells() const noexcept { return whole.size(); }
  [[nodiscard]] double share(std::size_t cell, std::size_t party) const {
    return whole[cell] > 0 ? used[cell * parties() + party] / whole[cell] : 0;
  }
};

// What was taken too much is owed to what comes: a sum of parts that runs ahead of the whole they are parts of.
class Debt {
 public:
  // The whole to divide by: at least the parts. `most`: more than this is not lag but a real difference.
  [[nodiscard]] double whole(double told, double parts, double most);
  // Of what is told, what is not owed.
  [[nodiscard]] double available(double told) const noexcept { return told - owed_; }

 private:
  double owed_ = 0;
};

[[nodiscard]] Split split_by_use(const Basis& basis, const Users& users, Interval window, const Plan& plan);

// One channel's window split among the parties.
struct Parties {
  std::vector<double> active;                   // by party: of what is above idle (all, where there is no baseline)
  std::vector<double> given;                    // by party: of the idle part, by the policy
  std::vector<double> time;                     // by party: its shares' mean over the window, 0…1
  double idle = 0;                              // the idle part that nobody took
  double no_use = 0;                            // above idle, in cells where nobody used anything
  std::vector<std::vector<double>> target_at;   // target × fixed instant: active and given so far; 0 before the window
  std::vector<std::vector<double>> target_in;   // target × cell: the same; where cells are asked for
  std::vector<std::vector<double>> in_stretch;  // stretch × party: active and given, where stretches are asked for
  [[nodiscard]] double charged(std::size_t party) const { return active[party] + given[party]; }
};

struct SplitRequest {
  const Plan* plan = nullptr;
  double idle_w = 0;
  IdleTo idle_to = IdleTo::none;
  bool cells = false;           // also by cell, of the targets
  std::int64_t stretch_ns = 0;  // a multiple of the plan's step: also by stretches of the clock; 0: not asked for
};
[[nodiscard]] Parties split_channel(const Curve& curve, const Split& split, const SplitRequest& request);

}  // namespace prony::attribution
