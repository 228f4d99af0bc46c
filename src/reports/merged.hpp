// Merged Runs: server joules with a client's requests (`prony merge`). What the two clocks' doubt does to each figure:
// the requests are moved over all that it allows, in steps, and every low and high is widened to what they then are.
// Pure but for reading the Run. Thread promise: one thread. Errors: those of reading the Run's blocks.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "attribute/attribute.hpp"
#include "base/result.hpp"
#include "model/span.hpp"
#include "reports/summary.hpp"

namespace prony {

// By how far the spans of another host's clock may be off: 0 where the Run was not merged, or is sure.
[[nodiscard]] Duration offset_doubt(const Manifest& manifest);
// Spans that came over from another clock, moved by that.
[[nodiscard]] std::vector<Span> moved(std::vector<Span> spans, Duration by);
// `fold`: the ledger of the Run with other spans. Widens gross, interval, charged and the parties of `ledger`.
[[nodiscard]] Result<void> widen_by_offset(Ledger& ledger, const std::vector<Span>& spans, Duration doubt,
                                           const std::function<Result<Ledger>(const std::vector<Span>&)>& fold);
// How the clocks were laid together; empty where they were not.
[[nodiscard]] std::vector<std::string> merged_words(const Summary& summary);

}  // namespace prony
