#include "sensors/rapl_mirror.hpp"

#include <algorithm>
#include <limits>

namespace prony {

namespace {

constexpr std::uint64_t most_rounds = 20'000;
// Updates that both must have made together. A second counter would have to be updated at the same moments by the same
// amounts; two or three updates of an idle package may be alike, eight are not.
constexpr int updates_to_believe = 8;

}  // namespace

MirrorWatch::MirrorWatch(const Machine& machine, Duration budget)
    : machine_(machine), end_(machine.now() + budget), rounds_left_(most_rounds) {}

bool MirrorWatch::spent() const { return rounds_left_ == 0 || machine_.now() > end_; }

bool MirrorWatch::same(const ReadCounter& a, const ReadCounter& b, bool same_origin, double step) {
  constexpr double far = std::numeric_limits<double>::infinity();
  // What a is ahead of b: within these, if they are one.
  double least = same_origin ? -step : -far;
  double most = same_origin ? step : far;
  std::optional<std::uint64_t> first, last;
  int updates = 0;
  while (!spent()) {
    --rounds_left_;
    const auto before = a(), other = b(), after = a();
    if (!before || !other || !after) return false;
    if (!first) first = last = other;
    if (*after < *before || *other < *last) return false;  // a wrap, just now: not told, so kept apart
    least = std::max(least, static_cast<double>(static_cast<std::int64_t>(*before - *other)) - step);
    most = std::min(most, static_cast<double>(static_cast<std::int64_t>(*after - *other)) + step);
    if (least > most) return false;
    if (*other != *last) ++updates;
    last = other;
    if (updates >= updates_to_believe) return true;
  }
  return false;
}

}  // namespace prony
