#include "model/package_parts.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace prony {

namespace {

std::size_t largest(const std::vector<double>& values) noexcept {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace

PackageParts::PackageParts(const std::vector<double>& first)
    : weights_(first.size(), 1.0 / static_cast<double>(std::max<std::size_t>(1, first.size()))),
      look_(weights_.size()),
      sure_(weights_.size()),
      shown_(weights_.size()),
      gaps_(weights_.size()) {
  expect(first);
}

void PackageParts::expect(const std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (sum <= 0 || weights.size() != weights_.size()) return;
  for (std::size_t i = 0; i < weights.size(); ++i) weights_[i] = weights[i] / sum;
}

void PackageParts::place(std::span<const std::int64_t> used_ns) noexcept {
  for (std::size_t i = 0; i < look_.size() && i < used_ns.size(); ++i)
    look_[i] += std::max<std::int64_t>(0, used_ns[i]);
}

void PackageParts::spread(std::int64_t ns) noexcept {
  std::int64_t left = ns;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const std::int64_t part = std::llround(static_cast<double>(ns) * weights_[i]);
    sure_[i] += part;
    left -= part;
  }
  sure_[largest(weights_)] += left;
  sure_sum_ += ns;
}

void PackageParts::finish_look(std::int64_t total_ns, std::int64_t pending_ns) noexcept {
  if (weights_.empty()) return;
  const std::int64_t seen = std::accumulate(look_.begin(), look_.end(), std::int64_t{0});
  for (std::size_t i = 0; seen > 0 && i < look_.size(); ++i) {
    weights_[i] = static_cast<double>(look_[i]) / static_cast<double>(seen);
    sure_[i] += look_[i];
  }
  sure_sum_ += seen;
  std::fill(look_.begin(), look_.end(), 0);
  // Who was born since is in the whole, and will be placed once he is known: only what stays over is nobody's.
  over_[next_over_++ % over_.size()] = std::max<std::int64_t>(0, total_ns - sure_sum_ - pending_ns);
  const std::int64_t gone = *std::min_element(over_.begin(), over_.end());
  if (gone <= 0) return;
  spread(gone);
  for (std::int64_t& over : over_) over -= gone;
}

void PackageParts::show(std::int64_t total_ns, std::span<Reading> out) noexcept {
  const std::int64_t more = total_ns - shown_sum_;
  if (more > 0 && !weights_.empty()) {
    // How far each package is behind what is now known of it; together they are behind by `more` at least.
    const auto unplaced = static_cast<double>(total_ns - sure_sum_);
    double behind = 0;
    for (std::size_t i = 0; i < gaps_.size(); ++i) {
      gaps_[i] = std::max(0.0, static_cast<double>(sure_[i] - shown_[i]) + unplaced * weights_[i]);
      behind += gaps_[i];
    }
    std::int64_t left = more;
    for (std::size_t i = 0; behind > 0 && i < gaps_.size(); ++i) {
      const auto part =
          std::clamp<std::int64_t>(std::llround(static_cast<double>(more) * (gaps_[i] / behind)), 0, left);
      shown_[i] += part;
      left -= part;
    }
    shown_[largest(gaps_)] += left;
    shown_sum_ = total_ns;
  }
  for (std::size_t i = 0; i < shown_.size() && i < out.size(); ++i) out[i] = {shown_[i], Quality::ok};
}

}  // namespace prony
