// What a JSON object of a report gets only where it is known: an absent number, one that is not finite and an empty
// text leave no field. Thread promise: pure functions.
#pragma once

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace prony {

inline void put(nlohmann::ordered_json& object, const char* name, const std::optional<double>& value) {
  if (value && std::isfinite(*value)) object[name] = *value;
}
inline void put(nlohmann::ordered_json& object, const char* name, const std::optional<std::int64_t>& value) {
  if (value) object[name] = *value;
}
inline void put(nlohmann::ordered_json& object, const char* name, const std::string& text) {
  if (!text.empty()) object[name] = text;
}

}  // namespace prony
