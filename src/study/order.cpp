#include "study/order.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace prony::study {

namespace {

constexpr std::array<std::pair<Order, std::string_view>, 5> order_names{{{Order::sequential, "sequential"},
                                                                         {Order::interleave, "interleave"},
                                                                         {Order::shuffle, "shuffle"},
                                                                         {Order::reverse, "reverse"},
                                                                         {Order::counterbalanced, "counterbalanced"}}};

// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

std::vector<std::size_t> shuffled(std::size_t k, std::uint64_t seed, std::size_t cycle) {
  std::vector<std::size_t> row(k);
  std::iota(row.begin(), row.end(), std::size_t{0});
  std::uint64_t state = mixed(seed * 0x9e3779b97f4a7c15U + 1) ^ mixed(static_cast<std::uint64_t>(cycle) + 0x51U);
  for (std::size_t left = k; left > 1; --left) {  // Fisher and Yates
    const auto pick = static_cast<std::size_t>(mixed(state += 0x9e3779b97f4a7c15U) % left);
    std::swap(row[left - 1], row[pick]);
  }
  return row;
}

std::vector<std::size_t> row_of(Order order, std::size_t k, std::size_t cycle, std::uint64_t seed,
                                const std::vector<std::vector<std::size_t>>& design) {
  if (order == Order::shuffle) return shuffled(k, seed, cycle);
  if (order == Order::counterbalanced) return design[cycle % design.size()];
  std::vector<std::size_t> row(k);
  std::iota(row.begin(), row.end(), std::size_t{0});
  if (order == Order::reverse && cycle % 2 == 1) std::ranges::reverse(row);
  return row;
}

}  // namespace

std::string_view to_string(Order order) noexcept {
  for (const auto& [value, name] : order_names)
    if (value == order) return name;
  return "?";
}

std::optional<Order> order_from(std::string_view text) noexcept {
  for (const auto& [value, name] : order_names)
    if (name == text) return value;
  if (text == "latin-square" || text == "latin_square" || text == "williams") return Order::counterbalanced;
  return std::nullopt;
}

std::vector<std::vector<std::size_t>> williams_rows(std::size_t k) {
  std::vector<std::vector<std::size_t>> rows;
  std::vector<std::size_t> first;
  for (std::size_t i = 0; i < k; ++i) first.push_back(i % 2 == 1 ? (i + 1) / 2 : (k - i / 2) % k);  // 0 1 k−1 2 k−2 …
  for (std::size_t shift = 0; shift < k; ++shift) {
    std::vector<std::size_t> row;
    for (const std::size_t item : first) row.push_back((item + shift) % k);
    rows.push_back(std::move(row));
  }
  if (k % 2 == 1 && k > 1)
    for (std::size_t i = 0; i < k; ++i) rows.emplace_back(rows[i].rbegin(), rows[i].rend());
  return rows;
}

std::vector<Slot> schedule(Order order, std::size_t variants, std::size_t cycles, std::uint64_t seed) {
  std::vector<Slot> slots;
  if (variants == 0) return slots;
  if (order == Order::sequential) {
    for (std::size_t variant = 0; variant < variants; ++variant)
      for (std::size_t cycle = 0; cycle < cycles; ++cycle)
        slots.push_back({variant, cycle, variants == 1 && cycle > 0});
    return slots;
  }
  const auto design =
      order == Order::counterbalanced ? williams_rows(variants) : std::vector<std::vector<std::size_t>>{};
  for (std::size_t cycle = 0; cycle < cycles; ++cycle) {
    bool first = cycle > 0;
    for (const std::size_t variant : row_of(order, variants, cycle, seed, design))
      slots.push_back({variant, cycle, std::exchange(first, false)});
  }
  return slots;
}

}  // namespace prony::study
