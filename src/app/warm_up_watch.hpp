// How the machine's temperature and power drift while a warm-up goes on, from the blocks of a recording on their way to
// the Run. Temperature: of the thermometer that is hottest then. Power: of all top-level domains of this host that are
// measured; of modelled ones where none is. Thread promise: see() from the session's carrier, drift() from the
// workload's driver. Errors: absent, where what a rule asks for cannot be read here. Bounds: a value a channel and
// 200 ms, for the time that the rule looks back.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "app/session.hpp"
#include "base/result.hpp"
#include "workloads/warm_up.hpp"

namespace prony::app {

class WarmUpWatch {
 public:
  explicit WarmUpWatch(const WarmUpRule& rule) : over_s_(static_cast<double>(rule.over_ns) / 1e9), rule_(rule) {}
  // Before the session starts; the session must not outlive it.
  [[nodiscard]] Result<void> connect(Session& session);
  [[nodiscard]] WarmUpDrift drift() const;

 private:
  struct Seen {
    const Channel* channel = nullptr;
    GroupId group;
    std::size_t position = 0;
    Drift drift;
    std::optional<std::pair<double, double>> last;  // of a counter: when, and what it was
    double at_s = -1;                               // of what was kept last
  };
  void see(const TickBlock& block);
  static void keep(Seen& seen, double at_s, double value, double over_s);

  double over_s_;
  WarmUpRule rule_;
  mutable std::mutex mutex_;
  std::vector<Seen> thermometers_, powers_;
};

}  // namespace prony::app
