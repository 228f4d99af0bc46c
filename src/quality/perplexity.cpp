#include "quality/perplexity.hpp"

#include <algorithm>
#include <cmath>

namespace prony::quality {

namespace {
constexpr std::size_t least_windows = 8;
}  // namespace

Result<Perplexity> perplexity_of(const std::vector<WindowSum>& windows) {
  Perplexity made;
  double sum = 0, squares = 0;
  for (const WindowSum& window : windows) {
    if (window.tokens < 0 || !std::isfinite(window.nll) || !std::isfinite(window.nll_squares) || window.nll < -1e-6)
      return fail(ErrorCode::malformed, "a window's sums are no sums of −ln p", "perplexity");
    if (window.tokens == 0) continue;
    ++made.windows;
    made.tokens += window.tokens;
    sum += window.nll;
    squares += window.nll_squares;
  }
  if (made.tokens == 0) return fail(ErrorCode::malformed, "no token was scored", "perplexity");
  const auto n = static_cast<double>(made.tokens);
  made.mean_nll = sum / n;
  made.value = std::exp(made.mean_nll);
  if (made.tokens > 1)
    made.error = made.value * std::sqrt(std::max(0.0, squares / n - made.mean_nll * made.mean_nll) / (n - 1));
  if (made.windows >= least_windows) {
    // Of a ratio of sums: deviations of each window's sum from what its tokens would have at the mean.
    double deviations = 0;
    for (const WindowSum& window : windows) {
      const double off = window.nll - made.mean_nll * static_cast<double>(window.tokens);
      deviations += off * off;
    }
    const auto k = static_cast<double>(made.windows);
    made.error_by_window = made.value * std::sqrt(deviations * k / (k - 1)) / n;
  }
  return made;
}

}  // namespace prony::quality
