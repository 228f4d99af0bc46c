// Summary: all that is told about a Run, as one plain struct; the text, the JSON and the tables are made from it, so
// they cannot disagree. Units are in the names. Thread promise: plain values; summarise() reads the Run from one
// thread. Errors: those of reading the Run's blocks. Absent figures are named in `unavailable` with their reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attribute/attribute.hpp"
#include "base/result.hpp"
#include "model/channel.hpp"
#include "model/charge.hpp"
#include "model/factors.hpp"
#include "model/manifest.hpp"
#include "model/passport.hpp"
#include "model/span.hpp"
#include "model/target.hpp"
#include "reports/figures.hpp"
#include "store/run.hpp"

namespace prony {

struct EnergyRow {
  Channel channel;
  std::optional<std::string> part_of;  // the name of the channel that holds this one's energy
  ChannelLedger ledger;
  std::optional<double> true_j;  // simulated machines: what the domain drew in truth in the measured window
};

// The energy of one span from one channel; `row` is an index into Summary::energy.
struct SpanJoules {
  std::size_t row = 0;
  SpanEnergy energy;
};

// The same over all headline channels: given only where every one of them can tell.
struct HeadlineJoules {
  std::optional<Estimate> gross;
  std::optional<Estimate> charged;
  bool resolvable = true;  // of gross
  std::optional<double> needed_s;
};

struct GaugeRow {
  Channel channel;
  GaugeLedger ledger;
};
struct SpanGaugeRow {
  Channel channel;
  SpanGauge gauge;
};

// Statistics of the gaps between one request's output tokens; percentiles only from their least counts.
struct GapStatistics {
  std::size_t count = 0;
  std::optional<double> mean_s, sd_s, p50_s, p90_s, p95_s, p99_s, max_s;
};

struct RequestRow {
  Span span;
  std::string prompt, answer, finish;  // may be empty: not recorded
  std::optional<std::int64_t> prompt_tokens, output_tokens;
  double begin_s = 0;  // since the begin of the measured window
  std::optional<double> tokenise_s, prefill_s, ttft_s, e2e_s, tpot_s, prefill_tokens_per_s, decode_tokens_per_s;
  GapStatistics itl;
  std::vector<double> gaps_s;  // between its output tokens, in order; only of a load, where they are pooled
  std::vector<SpanJoules> energy, prefill_energy, decode_energy;
  HeadlineJoules headline, prefill, decode;
  std::vector<SpanGaugeRow> gauges;
  std::vector<Unavailable> absent;  // field → reason, within this request
};

struct PhaseRow {
  Span span;
  double begin_s = 0, duration_s = 0;
  std::vector<SpanJoules> energy;
  HeadlineJoules headline;
};

// A row for each distinct prompt that ran at least twice: 95 % interval of the mean (Student's t).
struct Repeated {
  std::string prompt;
  std::size_t count = 0;
  double mean = 0, low = 0, high = 0;  // tok/s
};

// One target of a Run that has targets. `charged`, `active`, `share` and `mean_w` are over Summary::split's channels.
struct TargetRow {
  struct Part {
    std::size_t row = 0;  // index into Summary::energy
    TargetEnergy energy;
  };
  Target target;
  std::optional<double> processes, cpu_s, rss_peak_bytes;
  std::vector<Part> energy;
  std::optional<Estimate> charged, active;
  std::optional<double> share, mean_w;
  // The one that requests are charged from, where all its processes only pass requests on: their name. Else "".
  std::string relay = {};
};

// The headline channels that could be split, and their parts: the targets' charges, foreign, Prony, idle and
// unattributed add up to gross. What could not be split is named in `left_out`.
struct SplitSum {
  std::vector<std::size_t> rows, left_out;  // indices into Summary::energy
  std::optional<Estimate> gross, foreign, prony, idle, unattributed;
};

// A process that was followed by itself; `charged` over Summary::split's channels.
struct ProcessRow {
  ProcessRecord process;
  double cpu_s = 0;
  Estimate charged;
};
// What of a target's charge (target "": of the others') no single process stands for.
struct UnseenRow {
  std::string target;
  Estimate charged;
};

struct LaneRow {
  std::string name;
  std::optional<double> ticks, missed, late, dropped, cpu_s;
};

struct Summary {
  std::string path;  // as the Run was opened, without "." steps
  RunState state = RunState::complete;
  std::string kind;  // "run" or "llm"
  Manifest manifest;
  std::optional<std::int64_t> exit_code, exit_signal;
  std::optional<double> wall_s;
  std::vector<Total> process;  // of the measured command: subject "target"
  std::vector<Total> prony;
  std::vector<LaneRow> lanes;
  std::vector<EnergyRow> energy;
  std::optional<Estimate> headline_j;
  bool headline_modelled = false;
  // derived: a model that was held to a meter. Sensors that multiply what they measure stay "measured" here.
  [[nodiscard]] Origin headline_origin() const;
  [[nodiscard]] figures::Mark headline_mark() const;
  std::optional<double> headline_true_j;  // Σ of the headline domains; simulated machines only
  std::string simulated;                  // the simulated machine's name; "": real
  std::string cpu_split;
  std::vector<GaugeRow> gauges;
  std::vector<RequestRow> requests;
  std::vector<PhaseRow> phases;
  IdleTo idle_to = IdleTo::none;
  std::optional<CpuUse> cpu;       // who used the machine's CPU time in the measured window
  std::vector<TargetRow> targets;  // empty: the command's tree is all that was asked for
  SplitSum split;
  std::vector<ProcessRow> processes;  // most joules first
  std::vector<UnseenRow> unseen;
  std::vector<Charge> charges;
  std::vector<Repeated> repeated;
  std::vector<ChannelPassport> passports;
  std::vector<Event> events;
  std::vector<Unavailable> unavailable;
  std::optional<double> idle_foreign_cpus;  // Ledger::idle_foreign_cpus, or of the kept baseline
  Factors factors;                          // of carbon and money, as given with the Run or for this view of it
  std::uint64_t spans_lost = 0;
  Interval window, recorded;

  [[nodiscard]] std::optional<double> process_total(std::string_view name) const;
  [[nodiscard]] std::optional<double> prony_total(std::string_view name) const;
  [[nodiscard]] std::string fact(std::string_view key) const;  // "" if not there
};

struct SummaryOptions {
  std::optional<IdleTo> idle_to;              // absent: the Run's own
  std::optional<RequestShare> request_share;  // absent: the Run's own
};
// Folds the Run's blocks and looks through Attribution and gathers everything. Opens nothing.
[[nodiscard]] Result<Summary> summarise(const Run& run, const SummaryOptions& options = {});
// The same with a ledger that was folded before.
[[nodiscard]] Summary summarise(const Run& run, Ledger ledger, const SummaryOptions& options = {});

}  // namespace prony
