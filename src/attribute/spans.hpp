// Whose the targets' energy is at each moment: the requests that run, else phases, else the outermost user spans; each
// span takes from the target whose process wrote it. Pure; indices into the spans that were given; plain values.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attribute/attribute.hpp"
#include "attribute/plan.hpp"

namespace prony::attribution {

// Between two neighbouring fixed instants: whose the target's energy is, and which parts of requests also see it.
struct Piece {
  std::size_t from = 0, to = 0;      // indices of plan.fixed
  std::vector<std::size_t> owners;   // spans (indices); equal parts
  std::vector<std::size_t> viewers;  // prefill, decode, nested user spans: their owner's part, once more by name
};

// For each span the one whose part it shows: prefill and decode → their request, nested user spans → the outermost one.
using Viewed = std::vector<std::optional<std::size_t>>;
[[nodiscard]] Viewed owners_of_viewers(const std::vector<Span>& spans);

// For each span the index of the target that it is charged from. A part (prefill, a nested span) follows its whole.
// `processes`: those that belong to a target. Where the writer is in none: AttributionOptions::requests_target (which
// every request takes), else the command's tree, else the first target.
[[nodiscard]] std::vector<std::size_t> targets_of_spans(const std::vector<Span>& spans, const Viewed& viewed,
                                                        std::span<const std::string> targets,
                                                        std::span<const ProcessRecord> processes,
                                                        const std::string& requests_target);

// The pieces of the spans that `counts` names (by index).
[[nodiscard]] std::vector<Piece> make_pieces(const std::vector<Span>& spans, const Viewed& viewed,
                                             const std::vector<bool>& counts, Interval window, const Plan& plan);

// Stamped by a host that did not wait for the accelerator: when the work ran there is not known.
[[nodiscard]] bool is_host_asynchronous(const Span& span);
inline constexpr const char* asynchronous_reason =
    "the span was stamped by the host around asynchronous calls: when the accelerator worked for it is not known "
    "(stamp it on the device, or synchronise before both ends)";

// A request to a model that another host runs (attribute "elsewhere"), or a part of one: nothing here worked for it, so
// it shares nothing.
[[nodiscard]] bool is_elsewhere(const Span& span);
inline constexpr const char* elsewhere_reason = "not local energy: the model runs on another host";

}  // namespace prony::attribution
