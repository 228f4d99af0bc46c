// How far two figures rise together, whatever the curve: Spearman's rank correlation. Pure; any thread. Source:
// Spearman 1904; equal values share the mean of their ranks, so that it is Pearson's correlation of the ranks.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace prony::statistics {

// Ranks from 1; equal values have the mean of those that they take up.
[[nodiscard]] std::vector<double> ranks_of(std::span<const double> values);
// −1 … 1 of pairs (a₀, b₀), (a₁, b₁), …; absent: fewer than three, another length, or one that does not vary.
[[nodiscard]] std::optional<double> rank_correlation(std::span<const double> a, std::span<const double> b);

}  // namespace prony::statistics
