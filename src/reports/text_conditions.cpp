// What the machine went through beside the figures: clocks, temperatures, settings, interruptions; memory and files.
#include <algorithm>

#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"
#include "reports/text_parts.hpp"

namespace prony::text {

namespace {

using Items = std::vector<std::string>;
using layout::Tone;

// Highest reading wins: the hottest sensor is the one that would throttle.
const GaugeRow* hottest(const Summary& s) {
  const GaugeRow* best = nullptr;
  for (const GaugeRow& row : s.gauges)
    if (row.channel.measure == Measure::temperature && row.ledger.readings > 0 &&
        (best == nullptr || row.ledger.max > best->ledger.max))
      best = &row;
  return best;
}

std::string clock_words(const Summary& s) {
  double low = 0, high = 0, sum = 0, count = 0;
  for (const GaugeRow& row : s.gauges) {
    if (row.channel.measure != Measure::frequency || row.ledger.readings == 0) continue;
    if (row.channel.domain.starts_with("gpu")) continue;  // "clock" is the processor's
    low = low == 0 ? row.ledger.min : std::min(low, row.ledger.min);
    high = std::max(high, row.ledger.max);
    // Of many policies there are three channels; their mean is that of the middle one.
    if (row.channel.domain == "cpus-lowest" || row.channel.domain == "cpus-highest") continue;
    sum += row.ledger.mean;
    ++count;
  }
  if (count == 0) return {};
  const double mean = sum / count;
  if (mean > 0 && (high - low) / mean <= 0.05) return "clock steady at " + figures::hertz(mean);
  return "clock " + figures::hertz(low) + " to " + figures::hertz(high) + ", mean over time " + figures::hertz(mean);
}

// What the machine was told that bears on its speed and power.
void add_settings(const Summary& s, Items& items) {
  const auto say = [&](const char* before, std::string_view key) {
    if (const auto value = s.fact(key); !value.empty()) items.push_back(before + printable(value, 40));
  };
  say("governor ", "machine.governor");
  say("clock limited to ", "machine.clock_limit");
  if (const auto unused = s.fact("devices.not_used"); !unused.empty()) {
    std::vector<std::string> names;
    for (const std::string_view name : split(unused, ',')) names.push_back(printable(trim(name), 40));
    items.push_back("used by no target: " + name_runs(names));
  }
  if (s.fact("machine.boost") == "off") items.push_back("boost off");
  if (s.fact("machine.power_source").find("battery") != std::string::npos) say("power from ", "machine.power_source");
  say("container limited to ", "machine.cpu_limit");
  std::string inside = "inside " + printable(s.fact("machine.container"), 30) + ": ";
  const std::string sees = s.fact("machine.container_sees");
  for (const std::string_view part : split(sees, ';')) {
    if (trim(part).empty()) continue;
    items.push_back(inside + printable(trim(part), 200));
    inside.clear();
  }
}

// What the counters went through: restarts, pauses that count, wraps that nobody can tell.
void add_interruptions(const Summary& s, Items& items) {
  for (const EnergyRow& row : s.energy) {
    const ChannelLedger& l = row.ledger;
    const std::string name = printable(row.channel.domain, 30) + ": ";
    if (l.resets > 0)
      items.push_back(name + "counter restarted " +
                      (l.resets == 1 ? "once" : figures::count(static_cast<double>(l.resets)) + " times"));
    const double gap_s = l.gap_time.seconds().value();
    if (gap_s >= std::max(0.1, 0.01 * s.wall_s.value_or(0)))
      items.push_back(name + "no reading for " + figures::seconds(gap_s) + (l.gaps > 1 ? " in all" : ""));
    if (l.held_time.ns > 0)
      items.push_back(name + "one and the same value for " + figures::seconds(l.held_time.seconds().value()) +
                      ", though it moves else: if its sensor stood still, its joules are off by more than is told");
    for (const auto& [field, reason] : l.absent)
      if (field == "wraps") items.push_back(name + reason);
  }
}

// Times, too, say then when work was asked for and not when it was done.
void add_asynchronous(const Summary& s, Items& items) {
  const auto count = std::ranges::count_if(s.requests, stamped_without_waiting);
  if (count == 0) return;
  items.push_back(figures::count(static_cast<double>(count)) + " of " +
                  figures::count(static_cast<double>(s.requests.size())) +
                  " prompts stamped by the host around asynchronous calls: when the accelerator worked for them is not "
                  "known");
}

}  // namespace

bool stamped_without_waiting(const RequestRow& row) { return row.span.attribute("clock") == "host-asynchronous"; }

std::string conditions(const Summary& s, const TextOptions& o) {
  Items items;
  if (s.energy.empty()) items.push_back("no joules: see `prony sensors`");
  if (const std::string words = clock_words(s); !words.empty()) items.push_back(words);
  add_settings(s, items);
  if (const GaugeRow* row = hottest(s))
    items.push_back(figures::significant(row->ledger.first, 2) + " °C → " + figures::significant(row->ledger.last, 2) +
                    " °C, at most " + figures::significant(row->ledger.max, 2) + " °C (" +
                    printable(row->channel.domain, 30) + ")");
  double ticks = 0, missed = 0, dropped = 0;
  for (const LaneRow& lane : s.lanes) {
    ticks += lane.ticks.value_or(0);
    missed += lane.missed.value_or(0);
    dropped += lane.dropped.value_or(0);
  }
  if (missed + dropped > 0)
    items.push_back(figures::count(missed) + (missed == 1 ? " tick missed" : " ticks missed") +
                    (dropped > 0 ? ", " + figures::count(dropped) + " dropped" : "") + " of " +
                    figures::count(ticks + missed));
  for (const std::string& words : text::state_change_words(s)) items.push_back(words);
  add_interruptions(s, items);
  add_asynchronous(s, items);
  for (const std::string& words : text::pace_words(s)) items.push_back(words);
  return layout::labelled("conditions", items, o.width, Tone::plain, o.colour);
}

std::string input_output(const Summary& s, const TextOptions& o) {
  Items items;
  const auto size = [&](const char* before, std::string_view name) {
    if (const auto value = s.process_total(name)) items.push_back(before + figures::bytes(*value));
  };
  const auto number = [&](std::string_view name, const char* one, const char* several) {
    if (const auto value = s.process_total(name))
      items.push_back(figures::count(*value) + (*value == 1 ? one : several));
  };
  size("read ", "read_bytes");
  size("written ", "write_bytes");
  number("major_faults", " major fault", " major faults");
  number("minor_faults", " minor", " minor");
  number("voluntary_switches", " wait", " waits");
  number("involuntary_switches", " preemption", " preemptions");
  size("PSS peak ", "pss_peak_bytes");
  return layout::labelled("memory, files", items, o.width, Tone::plain, o.colour);
}

}  // namespace prony::text
