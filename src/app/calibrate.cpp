// `prony calibrate --against CHANNEL`: steps of load, a line between what software sees and a better meter, kept.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "app/beside.hpp"
#include "app/kept.hpp"
#include "app/meter_options.hpp"
#include "app/record.hpp"
#include "app/subcommand.hpp"
#include "app/windows.hpp"
#include "app/write_file.hpp"
#include "attribute/clock_factor.hpp"
#include "base/state_file.hpp"
#include "base/text.hpp"
#include "calibrate/fitted_model.hpp"
#include "calibrate/meter.hpp"
#include "reports/figures.hpp"
#include "workloads/command.hpp"

namespace prony::app {

namespace {

constexpr std::string_view step_prefix = "step-";

struct CalibrateOptions {
  std::string against, steps = "idle,25,50,75,100", length = "10s", run, from, out;
  std::vector<std::string> meter_kwh, meters;
  bool show = false, forget = false;
  MachineChoice machine;
};

// "idle,25" → "0", "25"
Result<std::vector<std::string>> shares_of(const std::string& steps) {
  std::vector<std::string> shares;
  for (const std::string_view part : split(steps, ',')) {
    const std::string_view word = trim(part);
    const auto share = word == "idle" ? std::optional<std::uint64_t>(0) : parse_u64(word);
    if (!share || *share > 100 || shares.size() == 100)
      return fail(ErrorCode::usage, "'" + printable(word, 20) + "' is no step", "--steps",
                  "Write idle or percent of all CPUs:  --steps idle,25,50,75,100");
    shares.push_back(std::to_string(*share));
  }
  if (shares.size() < calibrate::least_steps)
    return fail(ErrorCode::usage, "a line with a doubt takes three steps", "--steps", "--steps idle,50,100");
  return shares;
}

// Records the steps; gives the Run's path.
Result<std::string> record_steps(const CalibrateOptions& options, const Manifest& facts) {
  const auto length = duration_setting(options.length, "for", milliseconds(500), milliseconds(86'400'000));
  if (!length) return Unexpected<Error>(length.error());
  const auto shares = shares_of(options.steps);
  if (!shares) return Unexpected<Error>(shares.error());
  const auto burner = find_beside_or_in_path("prony-burner");
  if (!burner)
    return fail(ErrorCode::absent, "the program that makes the load is not installed", "prony-burner",
                "It is built with prony and stands beside it:  make build");
  std::vector<std::string> words{*burner, std::to_string(length->ns / 1'000'000)};
  words.insert(words.end(), shares->begin(), shares->end());
  RecordPlan plan;
  plan.kind = "run";
  plan.name = "calibrate";
  plan.calibrated = false;
  plan.options.machine = options.machine;
  plan.options.quiet = true;
  plan.options.meters = options.meters;
  plan.options.out = options.out;
  for (const Fact& fact : facts.facts)
    if (fact.key.starts_with("setting.")) plan.facts.push_back(fact);
  plan.workload = make_command_workload(std::move(words));
  const auto recorded = record(std::move(plan));
  if (recorded.exit_code != exit_code::ok)
    return fail(ErrorCode::unavailable, "the steps of load did not run to their end", recorded.path.string(), "");
  return recorded.path.string();
}

struct ChosenChannels {
  std::string meter;
  std::optional<ChannelId> meter_channel;  // absent: read by eye
  std::vector<ChannelId> from;
  std::vector<std::string> from_names;
  bool modelled = false;
  std::optional<calibrate::ModelFigures> model = {};
  bool whole_machine = true;  // a meter that is read by eye stands at the plug
};

Result<ChosenChannels> choose_channels(const CalibrateOptions& options, const Run& run) {
  ChosenChannels chosen{"kWh meter, read by eye", {}, {}, {}};
  std::vector<std::string> names;
  for (const Channel& channel : run.channels())
    if (gives_energy(channel)) names.push_back(channel.name);
  const auto find = [&](const std::string& name, const char* option) -> Result<const Channel*> {
    for (const Channel& channel : run.channels())
      if (channel.name == name && gives_energy(channel)) return &channel;
    const auto near = nearest_name(name, names);
    return fail(ErrorCode::usage, "no channel of energy or power is called '" + printable(name, 60) + "'", option,
                near ? "Did you mean '" + *near + "'?" : "`prony sensors` lists them.");
  };
  if (!options.against.empty()) {
    const auto meter = find(options.against, "--against");
    if (!meter) return Unexpected<Error>(meter.error());
    chosen.meter = (*meter)->name;
    chosen.meter_channel = (*meter)->id;
    chosen.whole_machine = calibrate::meters_whole_machine(**meter);
  }
  std::vector<const Channel*> from;
  if (options.from.empty()) {
    from = calibrate::software_channels(run.channels(), chosen.meter);
  } else {
    const auto channel = find(options.from, "--from");
    if (!channel) return Unexpected<Error>(channel.error());
    from = {*channel};
  }
  for (const Channel* channel : from) {
    chosen.from.push_back(channel->id);
    chosen.from_names.push_back(channel->name);
    chosen.modelled = chosen.modelled || channel->model;
    if (channel->model && channel->origin != Origin::modelled)
      return fail(ErrorCode::usage, channel->name + " of this Run is calibrated already", run.path().string(),
                  "Record the steps anew:  prony calibrate --against …");
    if (channel->model)
      chosen.model = calibrate::figures_of(*channel, std::ranges::any_of(run.channels(), attribution::is_cpu_clock));
  }
  if (from.empty() ||
      (chosen.meter_channel && std::ranges::find(chosen.from, *chosen.meter_channel) != chosen.from.end()))
    return fail(ErrorCode::usage, "there is nothing to hold against this meter", "--against",
                "Name the channel that is to be calibrated:  --from CHANNEL");
  return chosen;
}

double half_width(const Estimate& e) { return std::max({e.high - e.value, e.value - e.low, 0.0}); }

Result<std::vector<calibrate::Step>> steps_of(const CalibrateOptions& options, const Run& run,
                                              const ChosenChannels& chosen, std::vector<std::string>& notes) {
  std::vector<Interval> windows;
  std::vector<std::string> names;
  for (const Span& span : run.spans())
    if (span.kind == SpanKind::phase && span.name.starts_with(step_prefix) && span.status == SpanStatus::ok) {
      windows.push_back(span.interval);
      names.push_back(span.name.substr(step_prefix.size()));
    }
  if (windows.empty())
    return fail(ErrorCode::malformed, "this Run holds no steps of load", run.path().string(),
                "Take one that `prony calibrate` recorded.");
  if (!options.meter_kwh.empty() && options.meter_kwh.size() != windows.size())
    return fail(ErrorCode::usage,
                std::to_string(windows.size()) + " steps and " + std::to_string(options.meter_kwh.size()) + " readings",
                "--meter-kwh",
                "Give one for each step, in order:  --meter-kwh 0,0.002,0.001 --meter-kwh 0.002,0.007,0.001");
  const auto ledgers = ledgers_of(run, windows);
  if (!ledgers) return Unexpected<Error>(ledgers.error());
  std::vector<calibrate::Step> steps;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const double length_s = windows[i].length().seconds().value();
    const auto x = mean_watts((*ledgers)[i], chosen.from);
    std::optional<Estimate> y;
    if (chosen.meter_channel) {
      y = mean_watts((*ledgers)[i], std::span(&*chosen.meter_channel, 1));
    } else {
      const auto reading = calibrate::parse_meter_reading(options.meter_kwh[i]);
      if (!reading) return Unexpected<Error>(reading.error());
      const Estimate joules = calibrate::joules_of(*reading);
      y = Estimate{joules.value / length_s, joules.low / length_s, joules.high / length_s, joules.kind};
    }
    if (x && y)
      steps.push_back({names[i], x->value, y->value, chosen.modelled ? 0 : half_width(*x), half_width(*y)});
    else
      notes.push_back("step " + names[i] + " left out: too short for " +
                      (x ? chosen.meter : chosen.from_names.front()));
  }
  return steps;
}

std::string with_ends(const Estimate& e) {
  return figures::significant(e.value, 4) + " (" + figures::significant(e.low, 4) + " to " +
         figures::significant(e.high, 4) + ")";
}

std::string calibration_words(const calibrate::Calibration& c, const calibrate::Line& line) {
  std::string from;
  for (const std::string& name : c.from) from += (from.empty() ? "" : " + ") + printable(name, 60);
  std::string text = "meter " + printable(c.meter, 60) + " against " + from + ", " + c.taken_utc.substr(0, 10) + "\n\n";
  for (const calibrate::Step& step : line.steps)
    text += " step " + printable(step.name, 12) + ": " + figures::watts(step.x_w) + " seen, " +
            figures::watts(step.y_w) + " at the meter, " +
            figures::watts(step.y_w - line.offset_w.value - line.slope.value * step.x_w) + " off the line\n";
  text += " meter = slope × seen + offset\n slope " + with_ends(line.slope) + "\n offset " + with_ends(line.offset_w) +
          " W\n";
  if (const std::string below = calibrate::words_of_offset(line); !below.empty()) text += "  " + below + "\n";
  if (c.model)
    for (const auto& [load, x_w] : {std::pair{"idle", c.model->idle_w}, std::pair{"full", c.model->full_w}})
      text += " " + std::string(load) + " " +
              with_ends(calibrate::apply(line, {x_w, x_w, x_w, EstimateKind::range}, 1)) + " W, where the model has " +
              figures::watts(x_w) + "\n";
  return text + " residual " + figures::watts(line.residual_w) + ", R² " + format_fixed(line.r2, 5) +
         ", ends: interval(0.95) with the sensors' and the meter's own doubt\n";
}

int conclude(const CalibrateOptions& options, const std::string& run_path) {
  const auto run = Run::open(run_path);
  if (!run) return failed(run.error());
  const auto chosen = choose_channels(options, **run);
  if (!chosen) return failed(chosen.error());
  std::vector<std::string> notes;
  auto steps = steps_of(options, **run, *chosen, notes);
  if (!steps) return failed(steps.error());
  for (const std::string& note : notes) print_note(note);
  const auto line = calibrate::fit(*steps);
  if (!line) return failed({line.error().code, line.error().what, run_path, line.error().fix});
  if (chosen->model)
    if (const auto idle_w = calibrate::watts_at(*line, chosen->model->idle_w); !idle_w)
      return failed({idle_w.error().code,
                     "no calibration: " + idle_w.error().what + ": " + chosen->model->name + " is never below that",
                     run_path, "Take steps that reach down to idle, and longer ones:  --steps idle,50,100 --for 30s"});
  const Manifest& facts = (*run)->manifest();
  const calibrate::Calibration kept{chosen->meter, chosen->from_names,   facts.get("run.started_utc").value_or(""),
                                    PRONY_VERSION, machine_words(facts), std::move(*steps),
                                    chosen->model, chosen->whole_machine};
  const auto path = kept_file(facts, "calibrations");
  std::string text = calibration_words(kept, *line);
  if (path.empty()) {
    text += " not kept: neither HOME nor XDG_STATE_HOME is set\n";
  } else {
    if (auto saved = replace_state_file(path, calibrate::to_text(kept) + "\n", "the calibration"); !saved)
      return failed(saved.error());
    text += " kept " + path.string() + "\n Runs of this machine now tell " +
            (chosen->model ? chosen->from_names.front() + ", modelled so far," : std::string("`wall`")) +
            " as derived; --forget ends that\n";
  }
  return print_result(text + " steps " + run_path + "\n");
}

int show_or_forget(const CalibrateOptions& options, const std::filesystem::path& path) {
  if (options.forget) {
    std::error_code trouble;
    const bool was = std::filesystem::remove(path, trouble);
    if (trouble) return failed(error_from_errno(trouble.value(), path.string(), "cannot forget the calibration"));
    return print_result(was ? "forgotten: " + path.string() + "\n" : "no calibration of this machine was kept\n");
  }
  const auto text = read_whole_file(path.string(), std::size_t{1} << 20);
  if (!text) return print_result("no calibration of this machine is kept\n");
  const auto kept = calibrate::calibration_from_text(*text);
  if (!kept) return failed({kept.error().code, kept.error().what, path.string(), kept.error().fix});
  const auto line = calibrate::fit(kept->steps);
  return line ? print_result(calibration_words(*kept, *line)) : failed(line.error());
}

int calibrate_command(const CalibrateOptions& options) {
  auto machine = open_machine(options.machine);
  if (!machine) return failed(machine.error());
  const Manifest facts = facts_for_kept(**machine, options.machine);
  if (options.show || options.forget) return show_or_forget(options, kept_file(facts, "calibrations"));
  if (!options.against.empty() && !options.meter_kwh.empty())
    return failed({ErrorCode::usage, "there can be one meter", "--against, --meter-kwh", "Leave one of them out."});
  if (options.run.empty() && !options.meter_kwh.empty())
    return failed({ErrorCode::usage, "readings by eye belong to steps that were recorded", "--meter-kwh",
                   "First:  prony calibrate --for 10m --out steps.prony    and note the meter at each step's ends\n"
                   "Then:   prony calibrate --run steps.prony --meter-kwh 0,0.002,0.001 --meter-kwh …"});
  std::string path = options.run;
  if (path.empty()) {
    const auto recorded = record_steps(options, facts);
    if (!recorded) return failed(recorded.error());
    path = *recorded;
  }
  if (options.against.empty() && options.meter_kwh.empty()) {
    if (options.run.empty())
      return print_result("steps recorded in " + path + "; now:  prony calibrate --run " + path +
                          " --meter-kwh BEFORE,AFTER,STEP …   (once for each step)\n");
    return failed({ErrorCode::usage, "no meter was named", "--against",
                   "A channel (`prony sensors`), or readings by eye:  --meter-kwh BEFORE,AFTER,STEP"});
  }
  return conclude(options, path);
}

}  // namespace

std::function<int(const CommandWords&)> add_calibrate(CLI::App& command) {
  auto options = std::make_shared<CalibrateOptions>();
  CalibrateOptions& o = *options;
  command.add_option("--against", o.against, "The better meter: a channel (see `prony sensors`)")->type_name("CHANNEL");
  command
      .add_option("--meter-kwh", o.meter_kwh,
                  "Read by eye, once for each step of --run: each reading is off\nby half a STEP, but not a BEFORE of "
                  "0 (reset)")
      ->type_name("BEFORE,AFTER[,STEP]")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  command.add_option("--steps", o.steps, "Load in percent of all CPUs (default idle,25,50,75,100)");
  command.add_option("--for", o.length, "Each step (default 10s)")->type_name("DURATION");
  command.add_option("--run", o.run, "Steps that were recorded before")->type_name("RUN");
  command.add_option("--from", o.from, "The channel to calibrate (default: what software sees)")->type_name("CHANNEL");
  command.add_option("--out", o.out, "Where the steps are recorded")->type_name("PATH");
  command.add_flag("--show", o.show, "What is kept");
  command.add_flag("--forget", o.forget, "Keep none");
  add_meter_option(command, o.meters);
  add_machine_options(command, o.machine);
  return [options](const CommandWords&) { return calibrate_command(*options); };
}

}  // namespace prony::app
