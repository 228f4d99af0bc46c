// `prony baseline [--for 10s] [--show] [--forget]`: what this machine draws while nothing is asked of it, kept for
// later.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cmath>
#include <filesystem>
#include <memory>

#include "app/kept.hpp"
#include "app/record.hpp"
#include "app/subcommand.hpp"
#include "app/windows.hpp"
#include "app/write_file.hpp"
#include "base/state_file.hpp"
#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/figures.hpp"
#include "sensors/machine_facts.hpp"
#include "workloads/command.hpp"

namespace prony::app {

namespace {

constexpr std::int64_t slices = 5;  // from whose means the spread is told

struct BaselineOptions {
  std::string length = "10s";
  bool show = false, forget = false;
  MachineChoice machine;
};

std::vector<ChannelId> energy_channels(const Run& run) {
  std::vector<ChannelId> ids;
  for (const Channel& channel : run.channels())
    if (gives_energy(channel) && channel.scope == Scope::host) ids.push_back(channel.id);
  return ids;
}

// The whole's mean power, wider by what the slices' means leave open.
std::optional<calibrate::KeptIdle> idle_of(const std::string& name, ChannelId id, std::span<const Ledger> ledgers) {
  const auto whole = mean_watts(ledgers.front(), std::span(&id, 1));
  if (!whole) return std::nullopt;
  std::vector<double> parts;
  for (const Ledger& part : ledgers.subspan(1))
    if (const auto watts = mean_watts(part, std::span(&id, 1))) parts.push_back(watts->value);
  calibrate::KeptIdle idle{name, *whole, std::nullopt};
  if (parts.size() < static_cast<std::size_t>(slices)) return idle;
  if (const auto sd = metrics::sd(parts)) idle.spread_w = *sd;
  if (const auto mean = metrics::mean_interval_95(parts)) {
    const double half = (mean->high - mean->low) / 2;
    idle.watts = {whole->value, whole->low - half, whole->high + half, weaker(whole->kind, EstimateKind::interval_95)};
  }
  return idle;
}

void add_conditions(const Run& run, const Ledger& ledger, calibrate::KeptBaseline& kept) {
  double clocks = 0, clock_count = 0;
  for (const GaugeLedger& gauge : ledger.gauges)
    for (const Channel& channel : run.channels()) {
      if (channel.id != gauge.channel || gauge.readings == 0) continue;
      if (channel.measure == Measure::temperature)
        kept.temperature_celsius = std::max(kept.temperature_celsius.value_or(gauge.mean), gauge.mean);
      if (channel.measure == Measure::frequency) clocks += gauge.mean, ++clock_count;
    }
  if (clock_count > 0) kept.clock_hz = clocks / clock_count;
  kept.foreign_cpus = ledger.idle_foreign_cpus;
}

Result<calibrate::KeptBaseline> baseline_of(const Run& run, Machine& machine) {
  const auto found = std::ranges::find(run.spans(), SpanKind::run, &Span::kind);
  if (found == run.spans().end()) return fail(ErrorCode::malformed, "the recording has no window", run.path().string());
  const Interval window = found->interval;
  std::vector<Interval> windows{window};
  for (std::int64_t i = 0; i < slices; ++i)
    windows.push_back({{window.begin.ns + window.length().ns * i / slices},
                       {window.begin.ns + window.length().ns * (i + 1) / slices}});
  const auto ledgers = ledgers_of(run, windows);
  if (!ledgers) return Unexpected<Error>(ledgers.error());
  calibrate::KeptBaseline kept = conditions_now(machine, run.manifest());
  kept.length_s = window.length().seconds().value();
  for (const ChannelId id : energy_channels(run))
    for (const Channel& channel : run.channels())
      if (channel.id == id)
        if (auto idle = idle_of(channel.name, id, *ledgers)) kept.channels.push_back(std::move(*idle));
  add_conditions(run, ledgers->front(), kept);
  if (kept.channels.empty())
    return fail(ErrorCode::unavailable, "no channel could tell its idle power in that time", "--for",
                "Measure longer; `prony sensors` says which sensors there are.");
  return kept;
}

std::string kept_baseline_words(const calibrate::KeptBaseline& kept, const std::string& path,
                                const std::string& why_not) {
  std::string text = "baseline of this machine, " + figures::seconds(kept.length_s) + ", taken " +
                     format_utc(kept.taken_wall_ns).substr(0, 19) + "Z";
  if (kept.temperature_celsius) text += ", " + figures::significant(*kept.temperature_celsius, 3) + " °C";
  if (kept.clock_hz) text += ", " + figures::hertz(*kept.clock_hz);
  text += "\n\n";
  for (const calibrate::KeptIdle& idle : kept.channels) {
    text += " " + printable(idle.channel, 60) + ": " + figures::watts(idle.watts.value) + " (" +
            figures::watts(idle.watts.low) + " to " + figures::watts(idle.watts.high) + ")" +
            (idle.spread_w ? ", spread " + figures::watts(*idle.spread_w) : ", spread not resolvable") + "\n";
  }
  if (kept.foreign_cpus && *kept.foreign_cpus > quiet_baseline_cpus)
    text += " not quiet: others used " + figures::significant(*kept.foreign_cpus, 2) +
            " CPUs meanwhile: this is no idle baseline; close them and measure again\n";
  text += " kept " + path + "\n";
  return text + (why_not.empty() ? " used by `prony run --baseline stored` for 7 days, or until kernel, firmware or "
                                   "governor change\n"
                                 : " EXPIRED: " + why_not + "\n");
}

Result<calibrate::KeptBaseline> measure(const BaselineOptions& options, Machine& machine, const Manifest& facts,
                                        Duration length) {
  const auto path =
      std::filesystem::temp_directory_path() / ("prony-baseline-" + std::to_string(::getpid()) + ".prony");
  RecordPlan plan;
  plan.kind = "run";
  plan.name = "baseline";
  plan.options.machine = options.machine;
  plan.options.out = path.string();
  plan.options.force = plan.options.quiet = true;
  for (const Fact& fact : facts.facts)
    if (fact.key.starts_with("setting.")) plan.facts.push_back(fact);
  plan.workload = make_command_workload({"sleep", format_fixed(length.seconds().value(), 3)});
  const int code = record(std::move(plan)).exit_code;
  const auto kept = [&]() -> Result<calibrate::KeptBaseline> {
    if (code != exit_code::ok) return fail(ErrorCode::unavailable, "the baseline was not measured to its end", {}, "");
    auto run = Run::open(path);
    if (!run) return Unexpected<Error>(run.error());
    return baseline_of(**run, machine);
  }();
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  return kept;
}

int baseline(const BaselineOptions& options) {
  const auto length = duration_setting(options.length, "for", milliseconds(1000), milliseconds(3'600'000));
  if (!length) return failed(length.error());
  auto machine = open_machine(options.machine);
  if (!machine) return failed(machine.error());
  const Manifest facts = facts_for_kept(**machine, options.machine);
  const auto path = kept_file(facts, "baselines");
  if (path.empty())
    return failed({ErrorCode::absent, "there is no place to keep a baseline", "HOME", "Set HOME or XDG_STATE_HOME."});
  if (options.forget) {
    std::error_code trouble;
    const bool was = std::filesystem::remove(path, trouble);
    if (trouble) return failed(error_from_errno(trouble.value(), path.string(), "cannot forget the baseline"));
    return print_result(was ? "forgotten: " + path.string() + "\n" : "no baseline of this machine was kept\n");
  }
  const auto note = simulation_note(**machine);
  const std::string before = note.empty() ? note : note + "\n";
  if (options.show) {
    const auto text = read_whole_file(path.string(), std::size_t{1} << 20);
    if (!text) return print_result(before + "no baseline of this machine is kept; `prony baseline` measures one\n");
    const auto kept = calibrate::baseline_from_text(*text);
    if (!kept) return failed({kept.error().code, kept.error().what, path.string(), kept.error().fix});
    return print_result(before + kept_baseline_words(*kept, path.string(),
                                                     calibrate::why_expired(*kept, conditions_now(**machine, facts))));
  }
  const auto kept = measure(options, **machine, facts, *length);
  if (!kept) return failed(kept.error());
  if (auto saved = replace_state_file(path, calibrate::to_text(*kept), "the baseline"); !saved)
    return failed(saved.error());
  return print_result(before + kept_baseline_words(*kept, path.string(), ""));
}

}  // namespace

std::function<int(const CommandWords&)> add_baseline(CLI::App& command) {
  auto options = std::make_shared<BaselineOptions>();
  command.add_option("--for", options->length, "How long (default 10s); let nothing else run")->type_name("DURATION");
  command.add_flag("--show", options->show, "What is kept, and whether it may still be used");
  command.add_flag("--forget", options->forget, "Keep none");
  add_machine_options(command, options->machine);
  return [options](const CommandWords&) { return baseline(*options); };
}

}  // namespace prony::app
