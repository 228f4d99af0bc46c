#include "model/factors.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr double joules_per_kwh = 3.6e6;
constexpr double most_g_per_kwh = 10'000;  // lignite gives about 1 200: more is a slip of the unit
constexpr double most_pue = 100, most_per_kwh = 1e9;
constexpr std::size_t most_text = 400;

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

// The number at the front, and what follows it.
struct Parts {
  std::optional<double> value;
  std::string_view rest;
};
Parts parts_of(std::string_view text) {
  text = trim(text);
  const std::size_t end = std::min(text.find_first_not_of("0123456789.+-"), text.size());
  return {parse_finite(text.substr(0, end)), trim(text.substr(end))};
}

Unexpected<Error> not_taken(std::string_view text, std::string_view option, std::string fix) {
  return fail(ErrorCode::usage, "'" + printable(text, 60) + "' is not what this takes", "--" + std::string(option),
              std::move(fix));
}

Result<Factor> parse_factor(std::string_view text, std::string_view option, double least, double most,
                            const std::string& fix) {
  const Parts parts = parts_of(text);
  const bool parted =
      parts.rest.empty() || !(is_letter(parts.rest.front()) && text.find(' ') == std::string_view::npos);
  if (!parts.value || *parts.value < least || *parts.value > most || text.size() > most_text || !parted)
    return not_taken(text, option, fix);
  return Factor{*parts.value, std::string(parts.rest)};
}

}  // namespace

Result<Factor> parse_carbon(std::string_view text) {
  return parse_factor(text, carbon_setting, 0, most_g_per_kwh,
                      "Write grams of CO2 equivalent per kWh (0 to 10000), then where that is from:\n"
                      "--carbon-g-per-kwh \"380 national mean of 2025\"");
}

Result<Factor> parse_pue(std::string_view text) {
  return parse_factor(text, pue_setting, 1, most_pue,
                      "It is 1 or more (the whole site's energy for each kWh of computers), then where it is from:\n"
                      "--pue \"1.2 operator's report of 2025\"");
}

Result<Tariff> parse_tariff(std::string_view text) {
  const std::string fix =
      "Write a price per kWh with its currency's three letters, then where that is from:\n"
      "--tariff \"0.30 EUR contract of 2026\"";
  const Parts parts = parts_of(text);
  const bool letters = parts.rest.size() >= 3 && std::all_of(parts.rest.begin(), parts.rest.begin() + 3, is_letter) &&
                       (parts.rest.size() == 3 || !is_letter(parts.rest[3]));
  if (!parts.value || *parts.value < 0 || *parts.value > most_per_kwh || !letters || text.size() > most_text)
    return not_taken(text, tariff_setting, fix);
  Tariff tariff{*parts.value, std::string(parts.rest.substr(0, 3)), {}};
  std::string_view rest = parts.rest.substr(3);
  if (rest.starts_with("/kWh")) rest.remove_prefix(4);
  tariff.source = trim(rest);
  return tariff;
}

Result<Factors> parse_factors(std::string_view carbon, std::string_view pue, std::string_view tariff) {
  Factors factors;
  if (!trim(carbon).empty()) {
    auto parsed = parse_carbon(carbon);
    if (!parsed) return Unexpected<Error>(parsed.error());
    factors.carbon_g_per_kwh = std::move(*parsed);
  }
  if (!trim(pue).empty()) {
    auto parsed = parse_pue(pue);
    if (!parsed) return Unexpected<Error>(parsed.error());
    factors.pue = std::move(*parsed);
  }
  if (!trim(tariff).empty()) {
    auto parsed = parse_tariff(tariff);
    if (!parsed) return Unexpected<Error>(parsed.error());
    factors.tariff = std::move(*parsed);
  }
  return factors;
}

Factors factors_of(const Manifest& manifest, std::vector<Unavailable>& trouble) {
  Factors factors;
  const auto take = [&](std::string_view name, auto parse, auto& field) {
    const std::string text = manifest.get("setting." + std::string(name)).value_or("");
    if (trim(text).empty()) return;
    if (auto parsed = parse(text))
      field = std::move(*parsed);
    else
      trouble.push_back({"setting." + std::string(name), parsed.error().what, parsed.error().fix});
  };
  take(carbon_setting, parse_carbon, factors.carbon_g_per_kwh);
  take(pue_setting, parse_pue, factors.pue);
  take(tariff_setting, parse_tariff, factors.tariff);
  return factors;
}

namespace {
Estimate times(const Estimate& joules, double per_kwh, const std::optional<Factor>& pue) {
  const double factor = per_kwh * (pue ? pue->value : 1) / joules_per_kwh;
  return {joules.value * factor, joules.low * factor, joules.high * factor, joules.kind};
}
}  // namespace

std::optional<Estimate> carbon_g(const Estimate& joules, const Factors& factors) {
  if (!factors.carbon_g_per_kwh) return std::nullopt;
  return times(joules, factors.carbon_g_per_kwh->value, factors.pue);
}

std::optional<Estimate> cost(const Estimate& joules, const Factors& factors) {
  if (!factors.tariff) return std::nullopt;
  return times(joules, factors.tariff->per_kwh, factors.pue);
}

}  // namespace prony
