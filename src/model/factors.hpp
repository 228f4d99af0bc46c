// Factors: what turns joules into grams of CO₂ equivalent and into money, as the user gave it, with where it is from.
// There is no default and no look-up: a factor that nobody gave is absent. Units: g/kWh, 1 (PUE), money per kWh.
// carbon = kWh × PUE × g/kWh; cost = kWh × PUE × price. PUE, power usage effectiveness: what a whole data centre draws
// for each kWh of its computers (ISO/IEC 30134-2). Thread promise: plain data; pure functions. Errors: usage.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/charge.hpp"
#include "model/manifest.hpp"

namespace prony {

struct Factor {
  double value = 0;
  std::string source;  // in the user's words; "": not told
};
struct Tariff {
  double per_kwh = 0;
  std::string currency;  // "EUR"
  std::string source;
};
struct Factors {
  std::optional<Factor> carbon_g_per_kwh, pue;
  std::optional<Tariff> tariff;
};

// Names of the settings, which are those of the options without dashes.
inline constexpr std::string_view carbon_setting = "carbon-g-per-kwh", pue_setting = "pue", tariff_setting = "tariff";

// A number, then in words where it is from: "380 national mean of 2025". `option` is for the error alone.
[[nodiscard]] Result<Factor> parse_carbon(std::string_view text);
[[nodiscard]] Result<Factor> parse_pue(std::string_view text);
// "0.30 EUR", "0.30EUR/kWh our contract of 2026": a number, three letters, where it is from.
[[nodiscard]] Result<Tariff> parse_tariff(std::string_view text);
// Of the three texts; an empty one is a factor that nobody gave.
[[nodiscard]] Result<Factors> parse_factors(std::string_view carbon, std::string_view pue, std::string_view tariff);

// What the settings of a Run say. One that makes no sense is left out and told in `trouble`.
[[nodiscard]] Factors factors_of(const Manifest& manifest, std::vector<Unavailable>& trouble);

// What joules come to: their low and high, and what these promise, with them. Absent where the factor is.
[[nodiscard]] std::optional<Estimate> carbon_g(const Estimate& joules, const Factors& factors);
[[nodiscard]] std::optional<Estimate> cost(const Estimate& joules, const Factors& factors);

}  // namespace prony
