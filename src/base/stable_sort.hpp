// Sorts and keeps the order of what is equal. std::stable_sort of GCC 12's library calls what that library calls
// deprecated, which clang 19 tells as a warning; this one sorts places, so that equals are told apart by where they
// were.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace prony {

template <class T, class Less>
void sort_stably(std::vector<T>& values, Less less) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (less(values[a], values[b])) return true;
    return !less(values[b], values[a]) && a < b;
  });
  std::vector<T> sorted;
  sorted.reserve(values.size());
  for (const std::size_t at : order) sorted.push_back(std::move(values[at]));
  values = std::move(sorted);
}

}  // namespace prony
