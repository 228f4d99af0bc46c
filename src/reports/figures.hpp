// Figures as a reader wants them: a value with its doubt and no digit that the doubt makes meaningless; units scaled.
// Decimal point "." and a space between thousands in every locale. Pure; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "model/charge.hpp"

namespace prony::figures {

inline constexpr std::string_view none = "–";

// `value` with `digits` significant digits, never in exponent form: 0.001234 → "0.00123", 1955.2 → "1 955".
[[nodiscard]] std::string significant(double value, int digits);
// Where a figure comes from that no sensor measured, in the fewest signs: " ~" modelled, " ≈" a model held to a meter.
enum class Mark { unmarked, modelled, derived };
[[nodiscard]] std::string_view sign(Mark mark);

// "412.3 J ±0.4": the doubt is the farther of the two sides, rounded up to one digit (two where it begins with 1);
// the value has the same decimals. A range tells its ends, rounded outwards: "11 J (3.7…30)". The mark follows.
[[nodiscard]] std::string joules(const Estimate& estimate, Mark mark);
// The value alone, with no more digits than its doubt leaves: for places without room for ±.
[[nodiscard]] std::string joules_alone(const Estimate& estimate, Mark mark);
// "–" where it is absent.
[[nodiscard]] std::string joules_or_none(const std::optional<Estimate>& estimate, Mark mark);
[[nodiscard]] std::string count_or_none(const std::optional<double>& value);
[[nodiscard]] std::string watts(double value);
[[nodiscard]] std::string seconds(double value);  // "3.1 ms", "12.4 s", "2:05 min"
[[nodiscard]] std::string bytes(double value);    // "812 MiB"
[[nodiscard]] std::string hertz(double value);    // "2.45 GHz"
[[nodiscard]] std::string percent(double share);  // 0.81 → "81 %", 0.003 → "0.3 %"
[[nodiscard]] std::string count(double value);    // "1 024"
[[nodiscard]] std::string count_of(std::size_t things);
[[nodiscard]] std::string clock(double seconds);  // "0:07", "1:02:03": time left

}  // namespace prony::figures
