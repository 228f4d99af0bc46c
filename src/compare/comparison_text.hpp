// A Comparison as text for a terminal, and as JSON (schema "prony.compare/1"). Pure; any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "compare/comparison.hpp"

namespace prony::compare {

struct TextStyle {
  std::size_t width = 100;
  bool colour = false;
  bool all_settings = false;  // else the first few
};
[[nodiscard]] std::string to_text(const Comparison& comparison, const std::vector<GateOutcome>& gates,
                                  const TextStyle& style);
[[nodiscard]] nlohmann::ordered_json to_json(const Comparison& comparison, const std::vector<GateOutcome>& gates);

}  // namespace prony::compare
