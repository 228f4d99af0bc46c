// parts: compare
// Any text as a condition of `prony compare --fail-if`: an error that names the option and says what may stand there,
// or a condition about a metric that there is, with a finite limit.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "compare/gate.hpp"
#include "compare/run_figures.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto condition = prony::compare::parse_condition({reinterpret_cast<const char*>(data), size});
  if (!condition) {
    if (condition.error().what.empty() || condition.error().where.empty() || condition.error().fix.empty())
      std::abort();
    return 0;
  }
  if (condition->metric >= prony::compare::metric_count || !std::isfinite(condition->limit)) std::abort();
  (void)prony::compare::judge(*condition, {0, -1, 1, 0.95});
  return 0;
}
