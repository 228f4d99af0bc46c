// BudgetGovernor: how far the fast lanes must be slowed so that Prony's own CPU time stays inside a budget. Pure: it is
// told what was used so far and says what to do. Shares are of one core. Thread promise: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "model/time.hpp"

namespace prony::app {

class BudgetGovernor {
 public:
  // `budget`: 0.005 is half a percent of a core. `most_factor`: the slowest that a lane may become.
  BudgetGovernor(double budget, std::uint32_t most_factor) : budget_(budget), most_factor_(most_factor) {}

  // CPU time since any fixed moment: of all of Prony, and what of it the lanes used that can be slowed.
  struct Used {
    Instant at;
    Duration all, lanes;
  };
  struct Decision {
    std::uint32_t factor = 1;  // by which every interval is to be lengthened from now on
    double share = 0;          // used in the last second (or since the last decision, if that is less)
    bool hopeless = false;     // over the budget at the slowest: the rest of Prony is what costs
  };
  // To be called every `between_looks` or a little later. Nothing: stay as you are.
  static constexpr Duration between_looks = milliseconds(100);
  [[nodiscard]] std::optional<Decision> consider(const Used& used);
  [[nodiscard]] std::uint32_t factor() const noexcept { return factor_; }

 private:
  static constexpr std::size_t kept = 16;
  [[nodiscard]] const Used& oldest_within_window(Instant now) const;
  [[nodiscard]] Decision decide(std::uint32_t factor, double share, const Used& used);

  double budget_;
  std::uint32_t most_factor_;
  std::uint32_t factor_ = 1;
  std::array<Used, kept> history_{};  // since the last decision, as a ring
  std::size_t count_ = 0;
  std::uint32_t calm_ = 0;  // looks in a row at which a quicker pace would have fitted
  bool said_hopeless_ = false;
};

}  // namespace prony::app
