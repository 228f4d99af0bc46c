// attribute(): a Run's samples and spans → who used how many joules, with low/high and their kind. Pure: no
// descriptors, no clocks, no threads, no environment. The formulas and what they can and cannot know:
// docs/methodology.md.
//
// Fold: construct, push() every block (each group's blocks in time order; groups may interleave), finish().
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/channel.hpp"
#include "model/charge.hpp"
#include "model/kv_reads.hpp"
#include "model/manifest.hpp"
#include "model/process_use.hpp"
#include "model/sample.hpp"
#include "model/shared_text.hpp"
#include "model/span.hpp"

namespace prony {

// To whom the idle part of a channel's energy goes, where a baseline tells it from the active part.
enum class IdleTo {
  none,    // it stays a bucket of its own
  share,   // to the parties, by their share of the active part, cell by cell; where nobody used the CPU it stays
  target,  // to the targets alone, by their shares in each cell; where none used the CPU, by those of the whole window
};
[[nodiscard]] std::string_view to_string(IdleTo policy) noexcept;  // "none", "share", "target"
[[nodiscard]] std::optional<IdleTo> idle_to_from(std::string_view text) noexcept;

// How requests that run at once share what is charged to them together (docs/methodology.md §10).
enum class RequestShare {
  work,   // by what each computed, at costs that are fitted to this very Run; where they cannot be told, as `time`
  time,   // at each moment in equal parts to those that run
  equal,  // of a stretch in which requests overlap without a break, each the same
};
[[nodiscard]] std::string_view to_string(RequestShare rule) noexcept;  // "work", "time", "equal"
[[nodiscard]] std::optional<RequestShare> request_share_from(std::string_view text) noexcept;

// What a channel is known to draw while nothing runs, from a baseline that was measured at another time.
struct KnownIdle {
  std::string channel;  // its name
  Estimate watts;
};

struct AttributionOptions {
  IdleTo idle_to = IdleTo::none;
  std::vector<KnownIdle> known_idle = {};              // used where the Run has no baseline of its own
  std::optional<double> known_idle_foreign_cpus = {};  // what others used while that was measured
  // Target::name of the Run's targets, in its order. Empty: those that channels name, in the channels' order.
  std::vector<std::string> targets = {};
  // The target that requests are charged from, and every span whose writer belongs to no target: for Runs whose
  // requests Prony's own client wrote (manifest fact "requests.target"). Empty: the command's tree, else the first.
  std::string requests_target = {};
  std::optional<std::int64_t> own_pid = {};  // Prony's own process, where it was followed like the others
  std::size_t most_process_rows = 10'000;    // those with the least CPU time are left to the rest
  RequestShare request_share = RequestShare::work;
  std::optional<KvReads> kv_reads = {};  // absent: each token before counts the same
};

// One target's part of a channel over the measured window. Over all targets `charged` adds up to ChannelLedger::target.
struct TargetEnergy {
  std::string target;               // Target::name; "command" for a Run that has no other
  std::optional<Estimate> charged;  // absent with a reason in `absent`
  std::optional<Estimate> active;   // of it, above idle; absent without a baseline
  std::optional<double> share;      // of what is split: the targets, foreign and Prony together are 1
  // Where processes were followed one by one: of `charged`, what no row of ChannelLedger::processes has. Short lives
  // that ended before anybody looked.
  std::optional<Estimate> unfollowed;
  std::vector<std::pair<std::string, std::string>> absent;  // field → reason
};

// One followed process's part of its target's charge, or of foreign's where it belongs to none.
struct ProcessEnergy {
  std::uint32_t process = 0;  // ProcessRecord::number
  double cpu_s = 0;           // in the measured window
  Estimate charged;
};

// What work cost, fitted by non-negative least squares to windows of the Run in which its mix differed. Joules are of
// what is charged to the requests together (without idle, where a baseline tells it).
struct WorkFit {
  Estimate prefill_token_j, decode_token_j;
  std::optional<Estimate> kv_read_j;  // by token of context read, or by byte: see kv_in_bytes
  std::optional<Estimate> shared_j;   // by step of the engine, or by second in which any request is served
  bool kv_in_bytes = false, shared_by_step = false;
  std::string left_out = {};  // what could not be told apart from the rest and is in it
  double residual = 0;        // root mean square of what the fit leaves, of the mean: 0.02 is 2 %
  double condition = 1;       // of the mixes; above 30 they cannot be told apart
  std::size_t windows = 0;
  double window_s = 0;      // mean length
  std::size_t assumed = 0;  // requests of which a count was not told
};

// How one target's requests shared one channel; told only where requests overlapped.
struct RequestSharing {
  std::string target;
  RequestShare asked = RequestShare::work, used = RequestShare::work;
  std::string why = {};  // where another rule was used than was asked for
  std::optional<WorkFit> fit = {};
};

// One channel over the measured window (the span of kind `run`; the whole recording where there is none).
struct ChannelLedger {
  ChannelId channel;
  // Law 2: last − first reading of the whole recording, wraps undone. The parties below add up to this, to rounding.
  Estimate recorded;
  // Absent with a reason in `absent`. `target` is the sum over `targets`. Where a policy gave the idle part away it is
  // in the others, and `idle` is what nobody took.
  std::optional<Estimate> target, foreign, prony, idle;
  std::string method;                          // what it was split by, and to whom idle went; empty: not split
  std::vector<TargetEnergy> targets;           // in the Run's order
  std::vector<ProcessEnergy> processes;        // where processes were followed one by one; largest first
  std::optional<Estimate> foreign_unfollowed;  // of `foreign`, what no row of `processes` has
  Estimate unattributed;                       // outside the window, ticks without any CPU time, no CPU accounting
  // The measured window alone.
  bool resolvable = true;
  std::optional<double> needed_s;    // not resolvable: the window length it would take
  std::optional<Estimate> interval;  // of gross, where gross is a bound: narrower, and right in 95 % of cases
  std::optional<Estimate> gross;     // absent when not resolvable or nothing was read
  std::optional<Estimate> active;    // gross − idle; absent without a baseline
  // What would not have been drawn in this window without the targets; absent where others did not run in it as they
  // did during the baseline. `active` has all that is above the baseline, whoever used it.
  std::optional<Estimate> marginal;
  std::optional<Estimate> target_active;
  std::optional<double> target_share;   // of the energy split by CPU time (gross, or active where there is a baseline)
  std::vector<RequestSharing> sharing;  // by target; empty: no two requests ran at once
  std::optional<double> mean_w, peak_w;
  Duration peak_over;  // the length of the window that `peak_w` is a mean over
  // Mean power of the baselines before and after the window; drifted: they differ by more than their doubt and by 5 %.
  std::optional<double> idle_before_w, idle_after_w;
  bool idle_drifted = false;
  std::optional<Estimate> idle_w;         // the baseline's mean power, with its doubt
  std::optional<Estimate> loaded_idle_w;  // the same while a model was loaded and nobody asked
  std::optional<ModelClock> clock;        // modelled channels: what the recorded clocks made of the load's part
  bool headline = false;                  // one of the non-overlapping top-level domains that make the headline joules
  std::uint64_t wraps = 0, resets = 0, gaps = 0;
  Duration gap_time;
  Duration held_time;  // that a gauge stood still although it moves else (HeldValue); 0: it did not
  std::vector<std::pair<std::string, std::string>> absent;  // field → reason
};

// A span's energy from one channel. Only for headline channels' spans of kind request, prefill, decode, phase and user.
struct SpanEnergy {
  SpanId span;
  ChannelId channel;
  bool resolvable = true;  // false: too short for the sensor, or what `absent` says
  std::optional<double> needed_s;
  std::optional<Estimate> interval;  // of gross, where gross is a bound: narrower, and right in 95 % of cases
  std::optional<Estimate> gross;     // all the domain drew in the span's window
  std::optional<Estimate> charged;   // what of its writer's target is charged to this span: these close
  SharedText absent = {};            // why there is none, where the length of the window is not the reason
  // Of `charged`: one standard deviation of what the fitted costs leave open. 0: nothing was shared by work.
  double share_sigma_j = 0;
};

// A channel that is not energy, over the measured window (a span's own window: see SpanGauge). Means are over readings.
struct GaugeLedger {
  ChannelId channel;
  double min = 0, mean = 0, max = 0;  // counters: min and max are first and last, mean is the increase per second
  double first = 0, last = 0;
  std::optional<double> increase;
  std::uint64_t readings = 0, gaps = 0;
};
struct SpanGauge {
  SpanId span;
  ChannelId channel;
  double min = 0, mean = 0, max = 0;
  std::uint64_t readings = 0;
};

// Who used the machine's CPU time in the measured window.
struct CpuUse {
  struct OfTarget {
    std::string target;
    std::optional<double> cpu_s;  // absent: not recorded, and then in foreign
  };
  std::vector<OfTarget> targets;  // in the Run's order
  std::optional<double> prony_s;  // as there
  double foreign_s = 0;
  double busy_s = 0;                    // all of them together
  std::optional<double> foreign_share;  // foreign_s / busy_s, 0…1: the co-tenants; absent: nobody used the CPU
};

inline constexpr double quiet_baseline_cpus = 0.02;  // 2 % of the baseline's time

struct Ledger {
  Interval window;    // the measured window
  Interval recorded;  // first tick's begin … last tick's end
  std::vector<ChannelLedger> energy;
  std::vector<SpanEnergy> spans;
  std::vector<GaugeLedger> gauges;
  std::vector<SpanGauge> span_gauges;  // requests × gauge channels of temperature, frequency, memory
  std::vector<Charge> charges;         // flat: every charge of every energy channel; Σ per channel = recorded (law 1)
  std::optional<Estimate> headline_j;  // Σ gross of the headline channels
  bool headline_modelled = false;
  // What others used in the measured baselines, in CPUs; above quiet_baseline_cpus it is no idle baseline.
  std::optional<double> idle_foreign_cpus;
  std::string cpu_split;      // "by CPU time, in windows of 100 ms" or why there is none
  std::optional<CpuUse> cpu;  // absent: `cpu_split` says why
  IdleTo idle_to = IdleTo::none;
  Duration process_cells;  // within how long stretches processes share what is charged; 0: none were followed
};

class Attribution {
 public:
  Attribution(std::span<const Channel> channels, std::span<const Group> groups, std::span<const Span> spans,
              const AttributionOptions& options = {});
  ~Attribution();
  Attribution(Attribution&&) noexcept;
  Attribution& operator=(Attribution&&) noexcept;
  void push(const TickBlock& block);
  void push(const ProcessLook& look);  // in time order; any number of blocks before, between and after
  // Who the followed processes are: their number, pid and target. What was told before is forgotten.
  void know(std::span<const ProcessRecord> processes);
  [[nodiscard]] Ledger finish();  // may be called at any time: the ledger of the prefix; pushing may go on
  [[nodiscard]] Ledger end();     // the same for the last time: what was folded is used up, not copied

  struct State;  // inside: src/attribute/state.hpp

 private:
  std::unique_ptr<State> state_;
};

}  // namespace prony
