// What requests cost, over all of a Run: joules by token, request and phase with their denominators, what was wasted,
// what loading and keeping the model cost, and how the parts add up. From a Summary alone; pure; any thread. Units in
// the names; each figure with low, high and their kind, and with how many requests it is made of. What cannot be told
// has its reason and no number. Formulas: docs/metrics-energy.md.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reports/summary.hpp"

namespace prony {

struct EnergyMetric {
  std::string name;  // with its denominator: "charged_j_per_output_token"
  std::string unit;  // "J", "1/J", "J·s", "s", "W"
  std::optional<Estimate> value;
  std::size_t requests = 0;  // that it is made of
  double denominator = 0;    // tokens, requests; 0: it has none
  std::string absent = {};   // why there is none
};

// Joules of requests that served nobody. A request counts in one row at most.
struct WasteRow {
  std::string why;  // "failed", "cancelled", "context full", "never ended"
  std::size_t requests = 0, without_joules = 0;
  std::optional<Estimate> charged;
};

// To whom the headline domains' joules went, from the charges themselves: they are all of what was recorded.
struct Closure {
  struct OfTarget {
    std::string target;
    double requests_j = 0, phases_j = 0, other_spans_j = 0, rest_j = 0;  // together what it was charged
  };
  std::vector<OfTarget> targets;
  double foreign_j = 0, prony_j = 0, idle_j = 0, unattributed_j = 0, recorded_j = 0;
};

struct RequestEnergy {
  std::vector<EnergyMetric> metrics;
  std::vector<EnergyMetric> lifecycle;  // load, keep-alive, break-even, prompt cache
  std::vector<WasteRow> waste;
  std::optional<Closure> closure;  // absent: no headline
};

[[nodiscard]] RequestEnergy request_energy(const Summary& summary);
[[nodiscard]] nlohmann::ordered_json to_json(const RequestEnergy& energy);
[[nodiscard]] nlohmann::ordered_json to_json(const RequestSharing& sharing);

// One item each; empty where there is nothing to tell.
[[nodiscard]] std::vector<std::string> efficiency_words(const Summary& summary, const RequestEnergy& energy);
[[nodiscard]] std::vector<std::string> sharing_words(const Summary& summary);
[[nodiscard]] std::vector<std::string> waste_words(const Summary& summary, const RequestEnergy& energy);
[[nodiscard]] std::vector<std::string> lifecycle_words(const Summary& summary, const RequestEnergy& energy);

}  // namespace prony
