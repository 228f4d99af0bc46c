// The parts that summary_text.cpp puts together: tables of energy and of requests, and what is derived for them.
// Pure; internal to reports.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/summary.hpp"
#include "reports/summary_text.hpp"

namespace prony::text {

// A text part and the notes that its reader needs (columns left out, what is not resolvable).
struct Part {
  std::string text;
  std::vector<std::string> left_out;
};

// The first line or lines: a command with how it ended and what it used, or a worker's model and engine.
[[nodiscard]] std::string headline(const Summary& summary, const TextOptions& options);
// "12.4 s wall", "22.9 s CPU (92 % of 2 cores)", …: what is known of it.
[[nodiscard]] std::vector<std::string> usage_items(const Summary& summary);
[[nodiscard]] std::string exit_words(const Summary& summary);
// Clocks, settings, temperatures, missed ticks, interruptions of counters; labelled lines.
[[nodiscard]] std::string conditions(const Summary& summary, const TextOptions& options);
[[nodiscard]] std::string input_output(const Summary& summary, const TextOptions& options);
// True joules as printed; "" where nobody knows them.
[[nodiscard]] std::string truth(const std::optional<double>& joules);
// What a reader must know of a simulated machine's Run; empty for any other.
[[nodiscard]] std::vector<std::string> simulation_words(const Summary& summary);
// What an overhead budget did to the lanes; empty where it did nothing.
[[nodiscard]] std::vector<std::string> pace_words(const Summary& summary);
// Whether it tells how the machine was set or fed (governor, limits, mains) and not that something went wrong.
[[nodiscard]] bool is_state_change(const Event& event);
// Those of a Run, one item each, the first few; empty where nothing changed.
[[nodiscard]] std::vector<std::string> state_change_words(const Summary& summary);
// Of a modelled channel: the clock that its figures hold for ("at mean 2.1 of 3.4 GHz").
[[nodiscard]] std::string model_clock_words(const EnergyRow& row);
[[nodiscard]] figures::Mark mark_of(const Channel& channel);
// Shown name of a row: its domain, or the channel's name where two rows share the domain.
[[nodiscard]] std::string domain_name(const Summary& summary, const EnergyRow& row);
[[nodiscard]] Part energy_table(const Summary& summary, const TextOptions& options);
// "package-0, core: measured, rapl, bound": where the figures come from, for widths without that column.
[[nodiscard]] std::vector<std::string> sources(const Summary& summary);
// A Run with targets: what each was charged, and what is left, down to gross.
[[nodiscard]] Part targets_table(const Summary& summary, const TextOptions& options);
// Of what the table is the split, what could not be split and why, and the policy in effect.
[[nodiscard]] std::vector<std::string> target_notes(const Summary& summary);
// The processes that were charged most, the rest of them, and what no single process stands for; empty where processes
// were not followed one by one.
[[nodiscard]] Part processes_table(const Summary& summary, const TextOptions& options);
// Rates, ends and times of a load, with its service level and scenario; empty where the Run is of none.
[[nodiscard]] std::string load_part(const Summary& summary, const TextOptions& options);
[[nodiscard]] Part requests_table(const Summary& summary, const TextOptions& options);

// The others' share (of the CPU time where that is known) where it is large enough for a WARNING. None on a simulated
// machine: there the others are part of the simulation, and nobody can close them.
[[nodiscard]] std::optional<double> others_to_warn_of(const Summary& summary);
// "gpu-0…gpu-7, dram": names that count up, three and more of them, are told by the first and the last.
[[nodiscard]] std::string name_runs(const std::vector<std::string>& names);
// A Run without targets (theirs is a row): joules that no party was charged, from a hundredth of gross on; else "".
[[nodiscard]] std::string unattributed_words(const Summary& summary);

// Σ over the headline channels of one party; absent if one of them cannot tell.
[[nodiscard]] std::optional<Estimate> headline_party(const Summary& summary,
                                                     std::optional<Estimate> ChannelLedger::* party);
// "load 7 % ▌", … of the program's energy; empty where it cannot be split.
[[nodiscard]] std::vector<std::string> where_it_went(const Summary& summary);
// Whether a request's stamps were taken around asynchronous calls, without waiting for the accelerator.
[[nodiscard]] bool stamped_without_waiting(const RequestRow& row);
// What the unresolvable figures would take, one sentence each.
[[nodiscard]] std::vector<std::string> unresolvable(const Summary& summary);
[[nodiscard]] std::vector<std::string> repeatability(const Summary& summary);
// What is missing and could be mended: the next step is in the remedy. What this machine does not have is only named.
[[nodiscard]] std::string remedies(const Summary& s, const TextOptions& o);

}  // namespace prony::text
