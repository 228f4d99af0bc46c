// In which order the variants of a study run, over its cycles. Pure; plain values.
//
// * sequential: every cycle of a variant, then the next variant (AAABBB): drift of the machine becomes a difference
//   between variants; for where a change of variant is dear.
// * interleave: ABAB. reverse: ABBA. shuffle: a new order each cycle, from the seed.
// * counterbalanced: rows of a Williams design, in which every variant stands as often directly behind each other one
//   and as often in each place. k variants have k rows where k is even and 2k where it is odd; whole multiples of that
//   many cycles are balanced. Source: E. J. Williams, Aust. J. Sci. Res. A 2 (1949) 149.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::study {

enum class Order { sequential, interleave, shuffle, reverse, counterbalanced };
[[nodiscard]] std::string_view to_string(Order order) noexcept;
[[nodiscard]] std::optional<Order> order_from(std::string_view text) noexcept;  // also "latin-square", "williams"

struct Slot {
  std::size_t variant = 0, cycle = 0;  // from 0
  bool begins_cycle = false;           // all runs of earlier cycles lie before it, and it is not the first of all
  bool operator==(const Slot&) const = default;
};

// Rows of the design for `k` variants: each a permutation of 0…k−1. None for k = 0.
[[nodiscard]] std::vector<std::vector<std::size_t>> williams_rows(std::size_t k);

// The order of cycle c does not depend on how many follow, so that a study can be given more of them later (sequential
// apart, where each variant gets its own).
[[nodiscard]] std::vector<Slot> schedule(Order order, std::size_t variants, std::size_t cycles, std::uint64_t seed);

}  // namespace prony::study
