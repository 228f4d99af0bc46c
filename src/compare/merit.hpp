// Figures of merit: two variants in one number, the geometric mean of how many times the second has what the first has
// of throughput, memory bandwidth used, CPU used and tokens per joule; and whether either answers as fast as is read.
// The parts always stand beside it: one number hides which of them moved. Pure; any thread. Means over a variant's
// Runs; no interval is claimed. Formulas: docs/compare.md.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compare/comparison.hpp"

namespace prony::compare {

inline constexpr std::size_t merit_parts = 4;  // throughput, bandwidth, CPU, energy

struct MeritOptions {
  std::array<double, merit_parts> weights{1, 1, 1, 1};  // not negative, one at least above 0
  double words_per_s = 3;                               // what a reader takes
  bool any_origin = false;                              // modelled joules beside measured ones
};
// "2,1,1,1"; errors: usage.
[[nodiscard]] Result<std::array<double, merit_parts>> parse_weights(std::string_view text);

struct MeritPart {
  std::string_view name, unit;
  std::optional<double> before, after, ratio;
  double weight = 1;
  std::string absent;  // why there is no ratio
};
struct Usable {
  std::optional<double> words_per_s, tokens_per_word;
  std::optional<bool> fast_enough;
  std::string absent;
};
struct Merit {
  std::array<MeritPart, merit_parts> parts;
  bool by_parameters = false;  // throughput and tokens per joule are times the model's parameters, told by both
  std::optional<double> full, reduced;  // all parts by weight; throughput and energy alone: √(r₁ · r₄)
  std::string full_absent, reduced_absent;
  Usable before, after;
  MeritOptions options;
};
[[nodiscard]] Merit merit_of(const Variant& before, const Variant& after, const MeritOptions& options);
[[nodiscard]] std::string to_text(const Merit& merit, std::size_t width, bool colour);
[[nodiscard]] nlohmann::ordered_json to_json(const Merit& merit);

}  // namespace prony::compare
