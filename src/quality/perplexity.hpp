// Perplexity of a corpus from the sums that a worker gives for each window of it (docs/worker-protocol.md), with its
// standard error. ln PPL = mean of −ln p over the scored tokens; its error is that of the mean of independent tokens,
// and beside it that of the windows' means, which holds where neighbours are alike. Thread promise: pure. Errors:
// malformed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace prony::quality {

struct WindowSum {
  std::int64_t tokens = 0;          // scored
  double nll = 0, nll_squares = 0;  // Σ −ln p and Σ (ln p)², nats
};
struct Perplexity {
  std::int64_t tokens = 0;
  std::size_t windows = 0;
  double mean_nll = 0, value = 0;
  std::optional<double> error;            // of `value`, tokens taken as independent; two tokens at least
  std::optional<double> error_by_window;  // of `value`, windows taken as independent; eight windows at least
};

[[nodiscard]] Result<Perplexity> perplexity_of(const std::vector<WindowSum>& windows);

}  // namespace prony::quality
