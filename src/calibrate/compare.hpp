// compare(): where two sensors see the same thing, or one a part of what the other sees, what is their ratio? Never a
// sum: a channel and one that it may overlap are held side by side and no more. Ratios without a unit; low and high are
// the worst that the two rows' own allow. Pure; any thread. What to make of a ratio: docs/calibrate.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/channel.hpp"
#include "model/charge.hpp"

namespace prony::calibrate {

enum class Likeness {
  part,               // the first lies in the second: its share
  same,               // two counters or two gauges of one domain: 1 if both are right
  counter_and_power,  // a counter against the integral of a power gauge of the same domain
  meter,              // what software sees against a meter of the whole machine
};
[[nodiscard]] std::string_view to_string(Likeness likeness) noexcept;

// A row of the ledger: the channel and what it drew in the measured window.
struct MeteredRow {
  const Channel* channel = nullptr;
  std::optional<Estimate> gross;
  bool headline = false;
};

struct Comparison {
  Likeness likeness = Likeness::part;
  std::vector<std::string> what;  // channels; their sum, where there are several (they do not overlap)
  std::string against;            // channel
  Estimate ratio;                 // what ÷ against
};

// May the channel's joules be all that the machine draws? A battery, an ACPI power meter, a power supply that tells.
[[nodiscard]] bool meters_whole_machine(const Channel& channel);
[[nodiscard]] std::vector<Comparison> compare(std::span<const MeteredRow> rows);

}  // namespace prony::calibrate
