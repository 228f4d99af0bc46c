// Pace: the interval that a group's lane was asked for, as it changed while it recorded. Pure; one thread at a time;
// copying gives an independent fold.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "model/sample.hpp"

namespace prony::attribution {

class Pace {
 public:
  Pace() = default;
  explicit Pace(const Group& group) : changes_(group.changes), now_ns_(group.interval.ns) {}

  // For the tick that begins at `begin_ns`; ticks come in time order. The longest interval in force since the tick
  // before it: a change lies between two ticks, and either side of it may have been the longer. nullopt: as last told.
  [[nodiscard]] std::optional<std::int64_t> before(std::int64_t begin_ns) {
    if (next_ == changes_.size() && !settling_) return std::nullopt;
    std::int64_t longest = now_ns_;
    settling_ = false;
    for (; next_ < changes_.size() && changes_[next_].at.ns <= begin_ns; ++next_) {
      now_ns_ = changes_[next_].interval.ns;
      longest = std::max(longest, now_ns_);
      settling_ = true;  // from the next tick on it is `now_ns_` alone
    }
    return longest;
  }
  [[nodiscard]] std::int64_t now_ns() const noexcept { return now_ns_; }  // what was asked for last

 private:
  std::vector<IntervalChange> changes_;
  std::size_t next_ = 0;
  std::int64_t now_ns_ = 0;
  bool settling_ = false;
};

}  // namespace prony::attribution
