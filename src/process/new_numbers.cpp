#include "process/new_numbers.hpp"

#include <algorithm>

namespace prony {

namespace {

constexpr Duration patience = milliseconds(1000);
constexpr int least_asked = 2;

constexpr auto below = [](const auto& one, std::int64_t number) { return one.number < number; };

}  // namespace

bool NewNumbers::advance(Instant now, std::int64_t newest, std::size_t most) {
  const std::int64_t before = newest_;
  newest_ = newest;
  std::erase_if(waiting_, [now](const Waiting& one) { return one.asked >= least_asked && now - one.since > patience; });
  const bool in_turn = before >= 0 && newest >= before;
  const auto born = in_turn ? static_cast<std::uint64_t>(newest - before) : 0;
  if (!in_turn || born + waiting_.size() > most) {
    waiting_.clear();
    list_again_ = true;
    return false;
  }
  for (std::int64_t number = before + 1; number <= newest; ++number) ask_again(now, number);
  for (Waiting& one : waiting_) ++one.asked;
  const bool listed = list_again_;
  list_again_ = false;
  return !listed;
}

void NewNumbers::ask_again(Instant now, std::int64_t number) {
  const auto at = std::lower_bound(waiting_.begin(), waiting_.end(), number, below);  // most often its end
  if (at != waiting_.end() && at->number == number)
    *at = {number, now, 0};
  else
    waiting_.insert(at, {number, now, 0});
}

bool NewNumbers::holds(std::int64_t number) const noexcept {
  const auto at = std::lower_bound(waiting_.begin(), waiting_.end(), number, below);
  return at != waiting_.end() && at->number == number;
}

}  // namespace prony
