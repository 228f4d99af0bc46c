// What a cell of a Table holds, where it may be absent. Thread promise: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/table.hpp"

namespace prony {

[[nodiscard]] inline Cell text_cell(std::string_view words) {
  return words.empty() ? Cell{} : Cell{std::string(words)};
}
[[nodiscard]] inline Cell count_cell(std::uint64_t value) { return static_cast<std::int64_t>(value); }
template <class T>
[[nodiscard]] Cell maybe(const std::optional<T>& value) {
  return value ? Cell{*value} : Cell{};
}

}  // namespace prony
