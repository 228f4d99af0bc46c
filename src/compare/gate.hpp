// `--fail-if`: a condition on what changed, and what an interval says of it. Pure; any thread. Errors: usage, naming
// the word that is off and what may stand there.
//
//   METRIC OP LIMIT     OP: > >= < <=
//   LIMIT  +5%, -3%     the change against the first variant, as a share of it
//          +0.2J -50ms  the change itself, in the metric's unit (s, ms, us, J, mJ, W, mW, B, KiB, MiB, GiB, 1/s, or
//          none) 1.5J 0.5s    no sign: the figure itself
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "statistics/interval.hpp"

namespace prony::compare {

struct Condition {
  enum class Of { relative_change, change, value };
  std::string text;  // as it was given
  std::size_t metric = 0;
  Of of = Of::relative_change;
  bool above = true;       // > or >=
  bool inclusive = false;  // >= or <=
  double limit = 0;        // a share, or in the metric's unit
};
[[nodiscard]] Result<Condition> parse_condition(std::string_view text);

enum class Verdict { no, yes, cannot_tell };
// yes: the whole interval fulfils the condition; no: none of it does; else it cannot be told.
[[nodiscard]] Verdict judge(const Condition& condition, const statistics::LevelInterval& interval);
[[nodiscard]] std::string_view to_string(Verdict verdict) noexcept;  // "no", "yes", "cannot tell"

}  // namespace prony::compare
