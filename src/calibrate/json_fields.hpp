// Fields of the small JSON files that calibrate keeps. What makes no sense is absent. Pure; internal to calibrate.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "model/charge.hpp"

namespace prony::calibrate {

using Json = nlohmann::ordered_json;

[[nodiscard]] inline std::string text_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

[[nodiscard]] inline std::optional<double> real_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number()) return std::nullopt;
  const double value = found->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

inline void put(Json& json, const char* name, const std::optional<double>& value) {
  if (value && std::isfinite(*value)) json[name] = *value;
}

[[nodiscard]] inline Json estimate_json(const Estimate& e) {
  return {{"value", e.value}, {"low", e.low}, {"high", e.high}, {"kind", std::string(to_string(e.kind))}};
}

[[nodiscard]] inline std::optional<Estimate> estimate_of(const Json& json) {
  const auto value = real_of(json, "value"), low = real_of(json, "low"), high = real_of(json, "high");
  if (!value || !low || !high || *low > *value || *value > *high) return std::nullopt;
  const bool range = text_of(json, "kind") == to_string(EstimateKind::range);
  return Estimate{*value, *low, *high, range ? EstimateKind::range : EstimateKind::interval_95};
}

}  // namespace prony::calibrate
