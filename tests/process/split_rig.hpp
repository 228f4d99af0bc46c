// The known-split rig on paper: burners with known clocks, lifetimes and shares, followed by the real follower, under a
// package that draws a known power for every busy CPU, split by the real attribution. No noise, so that what comes out
// is the truth to the rounding of the counters. Units: in the names; times are seconds of the recording.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "attribute/attribute.hpp"
#include "model/manifest.hpp"
#include "process/selector.hpp"

namespace prony::testing_process {

// A process: `share` of a CPU from `begin` to `end` (seconds of the recording), where it is born and ends.
struct Burner {
  std::string name;
  double begin = 0, end = 0, share = 0;
  std::int64_t parent = 1;
  std::string cgroup = "0::/";
  bool before = false;  // there before the recording, and after it
  [[nodiscard]] double cpu_s(double t) const { return share * (std::clamp(t, begin, end) - begin); }
};

struct Rig {
  std::vector<Burner> burners;
  std::vector<std::pair<SelectorKind, std::string>> targets;
  double hertz = 10;
  int others = 10;     // sleepers, every tenth with 2 % of a CPU
  double idle_w = 15;  // always, with a baseline before and after the window
  double first_price_j = 20, then_price_j = 20, price_changes_s = 11;  // of a CPU second
  bool events = true, each_process = false;
  double length_s = 42, from_s = 5, to_s = 17;  // outside the window nobody uses the CPU; long enough at 1 Hz
  IdleTo idle_to = IdleTo::none;

  // Results.
  Ledger ledger;
  std::vector<ProcessRecord> records;
  std::vector<Unavailable> unavailable;

  [[nodiscard]] double price_j(double t) const { return t < price_changes_s ? first_price_j : then_price_j; }
  // Of CPU seconds used between two instants.
  [[nodiscard]] double joules(const std::function<double(double)>& cpu_s, double from, double to) const {
    const double middle = std::clamp(price_changes_s, from, to);
    return first_price_j * (cpu_s(middle) - cpu_s(from)) + then_price_j * (cpu_s(to) - cpu_s(middle));
  }
  [[nodiscard]] double cpu_s(const std::string& name, double t) const {
    double sum = 0;
    for (const Burner& burner : burners)
      if (name.empty() || burner.name == name) sum += burner.cpu_s(t);
    return sum;
  }
  [[nodiscard]] double truth_j(const std::string& name) const {
    return joules([&](double t) { return cpu_s(name, t); }, from_s, to_s);
  }
  [[nodiscard]] const ChannelLedger& package() const { return ledger.energy.at(0); }
  [[nodiscard]] double charged_j(const std::string& target) const {
    for (const TargetEnergy& row : package().targets)
      if (row.target == target) return row.charged ? row.charged->value : std::nan("");
    return std::nan("");
  }
  [[nodiscard]] double active_j(const std::string& target) const {
    for (const TargetEnergy& row : package().targets)
      if (row.target == target) return row.active ? row.active->value : std::nan("");
    return std::nan("");
  }
  // Plays it; every result above is of the last time. Failures are the test's.
  void run();
};

void expect_sum(const Rig& rig);  // what the parties have is what was recorded

}  // namespace prony::testing_process
