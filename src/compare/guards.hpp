// What makes two variants unequal beside what was meant: origins, lengths of answers, failures, settings, machines.
// Pure; internal to compare.
#pragma once

#include "compare/comparison.hpp"

namespace prony::compare {

// "": their joules have one origin, of real machines or of the same simulated one.
[[nodiscard]] std::string why_joules_are_not_comparable(const Variant& before, const Variant& after);
// `refused`: why joules were not compared; "": they were.
[[nodiscard]] std::vector<std::string> guards_of(const Variant& before, const Variant& after,
                                                 const std::string& refused);
[[nodiscard]] std::vector<FactDifference> fact_differences(const Variant& before, const Variant& after);

}  // namespace prony::compare
