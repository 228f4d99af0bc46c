#include "workloads/knee.hpp"

#include <algorithm>
#include <cmath>

#include "workloads/arrivals.hpp"

namespace prony {

namespace {
constexpr double least_rate_per_s = 1e-3;

// People read it, and it stays between bounds that are a few per cent apart.
double to_four_digits(double value) {
  const double unit = std::pow(10, std::floor(std::log10(value)) - 3);
  return std::round(value / unit) * unit;
}
}  // namespace

std::optional<double> KneeSearch::next() const {
  const bool close = met_ && missed_ && *missed_ <= *met_ * (1 + closeness_);
  const bool out_of_range = next_ < least_rate_per_s || next_ > most_rate_per_s;
  return left_ == 0 || close || out_of_range ? std::nullopt : std::optional(next_);
}

void KneeSearch::tell(bool met) {
  left_ -= left_ > 0 ? 1 : 0;
  // A rate below one that was met may miss by chance, and the other way round: the bounds never cross.
  if (met)
    met_ = std::max(met_.value_or(0), next_);
  else
    missed_ = std::min(missed_.value_or(next_), next_);
  if (met_ && missed_)
    next_ = to_four_digits(std::sqrt(*met_ * *missed_));  // half way as a factor: rates span decades
  else
    next_ = met ? next_ * 2 : next_ / 2;
}

}  // namespace prony
