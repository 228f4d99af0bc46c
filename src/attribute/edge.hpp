// A window's edge among a counter's updates: from the updates around it and the grid on which they happen to the curve
// there, and what is not known of it. Derived in docs/methodology.md, "Edges between updates".
// Units: ns, the channel's own unit. Thread promise: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "attribute/update_clock.hpp"

namespace prony::attribution {

struct Update {
  std::int64_t k = 0;                           // its place on the grid
  double value = 0;                             // what the counter shows from then on
  std::int64_t earliest_ns = 0, latest_ns = 0;  // it happened between these: polls before and after it prove it
  bool operator==(const Update&) const = default;
};

// Up to eight updates around an instant, in order.
struct Edge {
  std::int64_t at_ns = 0;
  std::size_t segment = 0;
  std::size_t count = 0;
  std::array<Update, 8> updates;
};

struct EdgeValue {
  double value = 0;
  double sigma = 0;  // standard deviation of what the edge alone leaves open: step, shape of the power curve, jitter
  double rate = 0;   // unit per second at the edge: what an error of the grid costs
  double k = 0;      // where on the grid the edge lies
};

// nullopt: the instant does not lie between two of the updates.
[[nodiscard]] std::optional<EdgeValue> place_edge(const Edge& edge, const UpdateGrid& grid, double step);

}  // namespace prony::attribution
