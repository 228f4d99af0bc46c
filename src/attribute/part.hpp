// A part of an energy with its doubt: share × whole, both of which may be off. Pure. Joules; shares are 0…1.
#pragma once

#include "model/charge.hpp"

namespace prony::attribution {

// What part of `whole` that is, held to 0…1; of nothing it is none.
[[nodiscard]] double share_of(double part, double whole) noexcept;

// `value` of `whole`, whose share may be off by `share_doubt`. A whole that cannot be negative has no part that can:
// the doubts of share and whole are multiplied, not added, so that both together do not take more than there is.
// A value that is no share of the whole (more than it, or of the other sign) keeps its distance from the nearest one.
[[nodiscard]] Estimate part_of(double value, const Estimate& whole, double share_doubt) noexcept;

// As part_of(), where parts of both signs may cancel in `whole` (one that may be below zero): a value that is no share
// of it has the part of its doubt that belongs to `time_share` (0…1) of the time, as an idle power that was taken away
// bears on it by time.
[[nodiscard]] Estimate part_by_time(double value, const Estimate& whole, double share_doubt,
                                    double time_share) noexcept;

// What is left of `whole` when `told` has been given away, as part_of() with the doubt `skew` of its own share, 0…1.
// What adding up leaves of nothing is nothing.
[[nodiscard]] Estimate rest_of(double told, const Estimate& whole, double skew) noexcept;

}  // namespace prony::attribution
