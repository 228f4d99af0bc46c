// Whether a power gauge stood still in a way that does not fit to itself: one value for at least half a second and
// eight times as long as it ever kept another, although it changed fifty times else and a step of it is below a
// hundredth of what it tells. A sensor whose firmware hangs looks like that, and so may a machine that does nothing: it
// is told, and changes no figure. Kept while readings come; plain values.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace prony::attribution {

class HeldValue {
 public:
  void add(std::int64_t at_ns, double power) noexcept {
    if (have_ && power == power_) {
      last_ns_ = at_ns;
      return;
    }
    if (have_) note();
    changes_ += have_;
    have_ = true;
    power_ = power;
    since_ns_ = last_ns_ = at_ns;
  }
  // Nobody looked for a while: it may have moved there.
  void interrupt() noexcept {
    if (have_) note();
    have_ = false;
  }
  // How long it stood still; 0: not for so long that it says something. `step`: of its readings, as they are.
  [[nodiscard]] std::int64_t held_ns(double step) const noexcept {
    HeldValue all = *this;
    if (have_) all.note();
    const bool told = all.changes_ >= least_changes && all.longest_ns_ >= least_ns &&
                      all.longest_ns_ / times_longer >= all.second_ns_ &&
                      std::abs(all.longest_power_) >= steps_told * step;
    return told ? all.longest_ns_ : 0;
  }

 private:
  static constexpr std::uint64_t least_changes = 50;
  static constexpr std::int64_t least_ns = 500'000'000, times_longer = 8;
  static constexpr double steps_told = 100;
  void note() noexcept {
    const std::int64_t length = last_ns_ - since_ns_;
    second_ns_ = std::max(second_ns_, std::min(length, longest_ns_));
    if (length <= longest_ns_) return;
    longest_ns_ = length;
    longest_power_ = power_;
  }

  bool have_ = false;
  double power_ = 0, longest_power_ = 0;
  std::int64_t since_ns_ = 0, last_ns_ = 0, longest_ns_ = 0, second_ns_ = 0;
  std::uint64_t changes_ = 0;
};

}  // namespace prony::attribution
