// Tables of study files whose keys are known: each with the form that its value must have. Pure; of this part alone.
// Errors: usage, with the line, the nearest name, and what the value should be.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "study/value.hpp"

namespace prony::study {

struct Field {
  std::string_view name, expected;
  std::function<bool(const Value&)> take;  // false: not of the expected form
};
[[nodiscard]] Result<void> take_fields(const Value& table, const std::string& file, const std::string& where,
                                       const std::vector<Field>& fields);

// What takes a whole number within bounds, a time in nanoseconds, a seed.
[[nodiscard]] std::function<bool(const Value&)> whole_number(std::size_t& into, std::int64_t least, std::int64_t most);
[[nodiscard]] std::function<bool(const Value&)> duration_field(std::int64_t& into);
[[nodiscard]] std::function<bool(const Value&)> seed_field(std::optional<std::uint64_t>& into);
[[nodiscard]] std::optional<std::int64_t> duration_of(const Value& value);

inline constexpr std::string_view a_duration = "a number with its unit, as text: \"500ms\", \"2s\", \"10m\", \"8h\"";

}  // namespace prony::study
