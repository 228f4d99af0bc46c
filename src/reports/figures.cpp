#include "reports/figures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/text.hpp"

namespace prony::figures {

namespace {

int exponent_of(double value) { return value == 0 ? 0 : static_cast<int>(std::floor(std::log10(std::abs(value)))); }

std::string grouped(std::string text) {
  const std::size_t start = !text.empty() && text.front() == '-' ? 1 : 0;
  const std::size_t whole = std::min(text.find('.'), text.size());
  for (std::size_t at = whole; at > start + 3; at -= 3) text.insert(at - 3, " ");
  return text;
}

struct Scaled {
  double factor;
  std::string_view unit;
};
Scaled joule_scale(double size) {
  if (size >= 1e4) return {1e-3, "kJ"};
  if (size >= 0.1 || size == 0) return {1, "J"};
  if (size >= 1e-4) return {1e3, "mJ"};
  return {1e6, "µJ"};
}

std::string with_unit(double value, int digits, std::string_view unit) {
  return significant(value, digits) + " " + std::string(unit);
}

// A figure and what is said of its doubt, apart.
struct Told {
  std::string value, doubt;
};

// "412.3 J", " ±0.4": for doubts that are about as large on both sides.
Told told_as_doubt(double joules, double half) {
  const auto [factor, unit] = joule_scale(std::max(std::abs(joules), half));
  const double value = joules * factor;
  if (half == 0) return {with_unit(value, 4, unit), {}};
  // Below a hundred-thousandth of the value the doubt is told as that much: nobody reads eight digits.
  const double doubt = std::max(half * factor, std::abs(value) * 1e-5);
  const int exponent = exponent_of(doubt);
  const int extra = doubt / std::pow(10.0, exponent) < 2 ? 1 : 0;
  const int decimals = std::max(0, extra - exponent);
  const double step = std::pow(10.0, exponent - extra);
  const double up = std::ceil(doubt / step - 1e-9) * step;  // rounded down it would promise too much
  const double told = decimals == 0 ? std::round(value / step) * step : value;
  return {grouped(format_fixed(told, decimals)) + " " + std::string(unit), " ±" + grouped(format_fixed(up, decimals))};
}

// To `digits` digits by `round`, which is std::floor, std::ceil or std::round.
template <class Round>
std::string rounded(double value, int digits, Round round) {
  if (value == 0) return "0";
  const double step = std::pow(10.0, exponent_of(value) - digits + 1);
  const double exact = value / step;
  const double whole = std::round(exact);
  const double told = (std::abs(exact - whole) < 1e-9 ? whole : round(exact)) * step;
  return told == 0 ? "0" : significant(told, digits);
}

// "11 J", " (3.7…30)": a range is lopsided, and ± would have it reach below nothing. The ends are rounded outwards.
Told told_as_span(const Estimate& e) {
  const double far = std::max(std::abs(e.high), std::abs(e.low));
  const auto [factor, unit] = joule_scale(e.value == 0 ? far : std::max(std::abs(e.value), far * 1e-3));
  const double spread = e.value == 0 ? 1 : (e.high - e.low) / std::abs(e.value);
  const int digits = spread >= 0.2 ? 2 : spread >= 0.02 ? 3 : 4;
  Told told{rounded(e.value * factor, digits, [](double v) { return std::round(v); }) + " " + std::string(unit), {}};
  if (e.low == e.high) return told;
  told.doubt = " (" + rounded(e.low * factor, digits, [](double v) { return std::floor(v); }) + "…" +
               rounded(e.high * factor, digits, [](double v) { return std::ceil(v); }) + ")";
  return told;
}

std::string padded(long long value) { return (value < 10 ? "0" : "") + std::to_string(value); }

}  // namespace

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return std::string(none);
  const double rounded_size = std::pow(10.0, exponent_of(value) - digits + 1);
  const int exponent =
      exponent_of(std::round(value / rounded_size) * rounded_size);  // 9.996 → 10.0 has two before the point
  return grouped(format_fixed(value, std::clamp(digits - 1 - exponent, 0, 15)));
}

std::string_view sign(Mark mark) {
  switch (mark) {
    case Mark::unmarked: return "";
    case Mark::modelled: return " ~";
    case Mark::derived: return " ≈";
  }
  return "";
}

std::string joules(const Estimate& estimate, Mark mark_of) {
  const double half = std::max({estimate.high - estimate.value, estimate.value - estimate.low, 0.0});
  if (!std::isfinite(estimate.value) || !std::isfinite(half)) return std::string(none);
  const std::string mark(sign(mark_of));
  if (estimate.value == 0 && half == 0) return "0 J" + mark;
  const Told told = estimate.kind == EstimateKind::range ? told_as_span(estimate) : told_as_doubt(estimate.value, half);
  return told.value + told.doubt + mark;
}

std::string joules_or_none(const std::optional<Estimate>& estimate, Mark mark) {
  return estimate ? joules(*estimate, mark) : std::string(none);
}

std::string count_or_none(const std::optional<double>& value) { return value ? count(*value) : std::string(none); }

std::string joules_alone(const Estimate& estimate, Mark mark_of) {
  std::string text = joules(estimate, Mark::unmarked);
  text.erase(std::min({text.size(), text.find(" ±"), text.find(" (")}));
  return text + std::string(text != none ? sign(mark_of) : "");
}

std::string watts(double value) {
  if (!std::isfinite(value)) return std::string(none);
  if (std::abs(value) >= 1e4) return with_unit(value * 1e-3, 3, "kW");
  return std::abs(value) < 0.1 && value != 0 ? with_unit(value * 1e3, 3, "mW") : with_unit(value, 3, "W");
}

std::string seconds(double value) {
  if (!std::isfinite(value)) return std::string(none);
  const double size = std::abs(value);
  if (size < 1e-6 && size > 0) return with_unit(value * 1e9, 3, "ns");
  if (size < 1e-3 && size > 0) return with_unit(value * 1e6, 3, "µs");
  if (size < 1 && size > 0) return with_unit(value * 1e3, 3, "ms");
  if (size < 120) return with_unit(value, 3, "s");
  return clock(value) + (size < 3600 ? " min" : " h");
}

std::string bytes(double value) {
  constexpr std::array<std::string_view, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (!std::isfinite(value)) return std::string(none);
  std::size_t unit = 0;
  while (std::abs(value) >= 1023.5 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? format_fixed(value, 0) + " B" : with_unit(value, 3, units[unit]);
}

std::string hertz(double value) {
  if (!std::isfinite(value)) return std::string(none);
  if (value >= 1e9) return format_fixed(value * 1e-9, 2) + " GHz";
  if (value >= 1e6) return with_unit(value * 1e-6, 3, "MHz");
  return with_unit(value, 3, "Hz");
}

std::string percent(double share) {
  const double value = share * 100;
  if (!std::isfinite(value)) return std::string(none);
  if (std::abs(value) >= 1 || value == 0) return format_fixed(value, 0) + " %";
  if (std::abs(value) >= 0.05) return format_fixed(value, 1) + " %";
  return value > 0 ? "<0.1 %" : ">−0.1 %";
}

std::string count(double value) { return grouped(format_fixed(value, 0)); }
std::string count_of(std::size_t things) { return count(static_cast<double>(things)); }

std::string clock(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return std::string(none);
  const auto whole = static_cast<long long>(std::llround(seconds));
  const long long hours = whole / 3600;
  const long long minutes = whole / 60 % 60;
  if (hours > 0) return std::to_string(hours) + ":" + padded(minutes) + ":" + padded(whole % 60);
  return std::to_string(minutes) + ":" + padded(whole % 60);
}

}  // namespace prony::figures
