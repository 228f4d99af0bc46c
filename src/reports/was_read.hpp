// Whether anything of a channel is on record: where not, its ledger's joules are no zero but absent. Pure; any thread.
#pragma once

#include <algorithm>

#include "attribute/attribute.hpp"

namespace prony {

// False: `recorded` of the ledger means nothing, and its reason stands in `absent`.
[[nodiscard]] inline bool was_read(const ChannelLedger& ledger) {
  return std::ranges::none_of(ledger.absent, [](const auto& reason) { return reason.first == "recorded"; });
}

// False: what it recorded is known, and nothing tells how far that may be off: its low and high mean nothing.
[[nodiscard]] inline bool is_bounded(const ChannelLedger& ledger) {
  return std::ranges::none_of(ledger.absent, [](const auto& reason) { return reason.first == "recorded_bounds"; });
}

}  // namespace prony
