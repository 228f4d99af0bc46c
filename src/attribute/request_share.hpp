// What requests that run at once are each charged of what their target is charged meanwhile. Pure; plain values; any
// thread. Joules of one channel and one target. The derivation and what it cannot know: docs/methodology.md §10.
//
// In a stretch k of ten periods of the sensor or of its readings (two where the costs fit badly) the target's joules
// E_k are measured (or split from what is measured); of them request r gets E_k · w_rk / Σ w, with w = α · prefill
// tokens + β · output tokens + γ · cache read
// + δ · (its part of steps, or of the time served). α…δ only weigh: whatever they are, the parts add up to E_k.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "attribute/nnls.hpp"
#include "attribute/plan.hpp"
#include "attribute/request_work.hpp"
#include "attribute/spans.hpp"
#include "base/result.hpp"

namespace prony::attribution {

// What a target is charged of one channel, up to the plan's fixed instants and cell by cell. The vectors must outlive
// the calls that use them.
struct ChargedCurve {
  const Plan* plan = nullptr;
  const std::vector<double>* at_fixed = nullptr;
  const std::vector<std::int64_t>* edges = nullptr;  // of the cells
  const std::vector<double>* in_cell = nullptr;      // may be null: then only spans' edges cut the windows of the fit
  double period_s = 0;                               // of the sensor, or of its readings where they are rarer
};

// Places of FitVector.
enum WorkColumn : std::size_t { prefill_column, decode_column, kv_column, shared_column };

struct FittedCosts {
  WorkFit told;
  FitVector cost{};
  std::array<FitVector, fit_columns> covariance{};  // of `cost`, by drawing blocks of windows anew
};

// Errors: why the costs cannot be told (too short, always the same mix). `pieces`: those whose owners are requests
// count.
[[nodiscard]] Expected<FittedCosts, std::string> fit_costs(const std::vector<Piece>& pieces,
                                                           const std::vector<Span>& spans, const WorkInTime& work,
                                                           const ChargedCurve& curve);

// By span (index); spans that own nothing and show no part have 0.
struct Shares {
  std::vector<double> parts;
  std::vector<double> sigma;  // one standard deviation of what the costs leave open
  std::vector<bool> owner;
  double given = 0;  // to owners together
};

// `costs` for RequestShare::work alone; without them it is as `time`. `viewed`: owners_of_viewers().
[[nodiscard]] Shares share_pieces(RequestShare rule, const std::vector<Piece>& pieces, const std::vector<Span>& spans,
                                  const Viewed& viewed, const WorkInTime* work, const FittedCosts* costs,
                                  const ChargedCurve& curve);

// Σ w of what two neighbouring instants enclose is made of these. Inside of the two above.
class Workload {
 public:
  explicit Workload(const WorkInTime& work) : work_(work) {}
  [[nodiscard]] bool by_step() const { return !work_.steps.empty(); }
  // What the piece's owners did between two instants within it, by owner.
  void between(const Piece& piece, std::int64_t from_ns, std::int64_t to_ns, std::vector<FitVector>& by_owner) const;

 private:
  [[nodiscard]] double shared(std::int64_t from_ns, std::int64_t to_ns) const;  // steps, or seconds
  const WorkInTime& work_;
};

}  // namespace prony::attribution
