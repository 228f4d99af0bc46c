// Ledgers of parts of a Run: its own blocks, attributed as if each part were the measured window. Thread promise: one
// thread. Errors: those of reading the Run's blocks.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "attribute/attribute.hpp"
#include "base/result.hpp"
#include "store/run.hpp"

namespace prony::app {

[[nodiscard]] Result<std::vector<Ledger>> ledgers_of(const Run& run, std::span<const Interval> windows);

// Σ gross over channels as a mean power with half of its widest doubt; nullopt: one of them is absent or not
// resolvable.
[[nodiscard]] std::optional<Estimate> mean_watts(const Ledger& ledger, std::span<const ChannelId> channels);

}  // namespace prony::app
