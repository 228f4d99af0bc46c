#include "app/budget.hpp"

#include <algorithm>

namespace prony::app {

namespace {

constexpr Duration window = milliseconds(1000);
constexpr double brake_at = 0.9;       // of the budget: before it is exceeded
constexpr double quicken_below = 0.7;  // of the budget, by what the quicker pace is expected to cost
constexpr std::uint32_t calm_looks = 30;

}  // namespace

const BudgetGovernor::Used& BudgetGovernor::oldest_within_window(Instant now) const {
  const std::size_t first = count_ > kept ? count_ - kept : 0;
  std::size_t index = first;
  while (index + 1 < count_ && now - history_[index % kept].at > window) ++index;
  return history_[index % kept];
}

BudgetGovernor::Decision BudgetGovernor::decide(std::uint32_t factor, double share, const Used& used) {
  factor_ = factor;
  count_ = 0;  // what was used at the old pace says nothing of the new one
  calm_ = 0;
  history_[count_++ % kept] = used;
  return {factor, share, false};
}

std::optional<BudgetGovernor::Decision> BudgetGovernor::consider(const Used& used) {
  if (count_ == 0) {
    history_[count_++ % kept] = used;
    return std::nullopt;
  }
  const Used since = oldest_within_window(used.at);
  history_[count_++ % kept] = used;
  const double elapsed_s = (used.at - since.at).seconds().value();
  if (elapsed_s <= 0) return std::nullopt;
  const double all_s = std::max(0.0, (used.all - since.all).seconds().value());
  const double lanes_s = std::clamp((used.lanes - since.lanes).seconds().value(), 0.0, all_s);
  // Of a whole second, even if less has passed: what is used up already cannot be undone by waiting.
  const double spent = all_s / std::max(elapsed_s, window.seconds().value());
  const double rate = all_s / elapsed_s, lanes = lanes_s / elapsed_s, rest = rate - lanes;
  // By the next look it would be this.
  const double soon = spent + rate * between_looks.seconds().value() / window.seconds().value();
  if (soon > brake_at * budget_) {
    // What is left of the budget must last for what is left of the second.
    const double left_s = std::max(0.0, window.seconds().value() - elapsed_s);
    const auto fits = [&](double expected) {
      return expected <= brake_at * budget_ && spent + expected * left_s <= budget_;
    };
    std::uint32_t factor = factor_;
    while (factor * 2 <= most_factor_ && (factor == factor_ || !fits(rest + lanes * factor_ / factor))) factor *= 2;
    if (factor != factor_) return decide(factor, spent, used);
    if (spent <= budget_ || said_hopeless_) return std::nullopt;
    said_hopeless_ = true;
    return Decision{factor_, spent, true};
  }
  // A tick in a shorter history would be all of it or none.
  const bool fits =
      factor_ > 1 && used.at - since.at >= window - milliseconds(300) && rest + 2 * lanes < quicken_below * budget_;
  calm_ = fits ? calm_ + 1 : 0;
  if (calm_ < calm_looks) return std::nullopt;
  return decide(factor_ / 2, spent, used);
}

}  // namespace prony::app
