// Comparison: two variants, each of one Run or several (cycles), laid side by side: what changed, how sure that is, and
// what makes the two unequal beside what was meant. Pure; any thread. What scatters is named: Runs where each side has
// two or more; else the requests of one Run each (their scatter has nothing of that between Runs); else nothing, and
// only what the sensors leave open is told. Formulas: docs/compare.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compare/gate.hpp"
#include "compare/run_figures.hpp"
#include "statistics/difference.hpp"

namespace prony::compare {

struct Variant {
  std::string name;
  std::vector<RunFigures> runs;
};

enum class Pairing { automatic, yes, no };  // automatic: by cycle, or by prompt, where both sides tell the same ones
struct CompareOptions {
  Pairing pairing = Pairing::automatic;
  bool any_origin = false;  // modelled joules beside measured ones
  double level = 0.95;
};

enum class Basis { runs, requests, sensors };
[[nodiscard]] std::string_view to_string(Basis basis) noexcept;

struct ComparedRow {
  std::size_t metric = 0;
  std::optional<Basis> basis;  // absent: one of the sides has no figure
  bool paired = false;
  std::vector<double> before, after;              // what was compared, in pairs where `paired`
  std::optional<double> mean_before, mean_after;  // also where no interval can be told
  metrics::Maybe<statistics::LevelInterval> relative, change, value_after;
  metrics::Maybe<double> hedges_g, minimum_detectable;  // the latter in the metric's unit
  metrics::Maybe<std::size_t> needed_for_5_percent;     // values on each side
  std::string absent;                                   // why there is no comparison at all
};

struct FactDifference {
  std::string key, before, after;
};

struct Comparison {
  std::string before, after;
  std::size_t runs_before = 0, runs_after = 0;
  std::vector<ComparedRow> rows;         // in the order of metric_rows()
  std::vector<std::string> guards;       // what a reader must know before believing a row
  std::vector<FactDifference> settings;  // facts that each side agrees on in itself and that differ
};

[[nodiscard]] Comparison compare_variants(const Variant& before, const Variant& after, const CompareOptions& options);

struct GateOutcome {
  Condition condition;
  Verdict verdict = Verdict::cannot_tell;
  std::string why;  // the interval, or why there is none
};
[[nodiscard]] GateOutcome gate(const Condition& condition, const Comparison& comparison);

}  // namespace prony::compare
