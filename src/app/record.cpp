#include "app/record.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <semaphore>

#include "app/follow_carrier.hpp"
#include "app/kept.hpp"
#include "app/live_line.hpp"
#include "app/machine_choice.hpp"
#include "app/passports.hpp"
#include "app/session.hpp"
#include "app/signals.hpp"
#include "base/text.hpp"
#include "process/guard.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/storage.hpp"

namespace prony::app {

namespace {

// On what a file of this machine lies.
void add_storage(Machine& machine, const char* key, const std::string& path, Manifest& manifest) {
  std::error_code error;
  const auto real = std::filesystem::weakly_canonical(path, error);
  if (error) return;
  if (const auto storage = storage_of(machine, real.string())) manifest.set(key, storage_words(*storage), "machine");
}

constexpr SpanId run_span_id{1};

// 20261120T225801, from the wall clock: for file names only.
std::string compact_utc(std::int64_t wall_ns) {
  std::string compact;
  for (const char c : format_utc(wall_ns).substr(0, 19))
    if (c != '-' && c != ':') compact += c;
  return compact;
}

std::filesystem::path wanted_path(const RecordPlan& plan, std::int64_t wall_ns) {
  if (!plan.options.out.empty()) return plan.options.out;
  return std::filesystem::path("runs") / (compact_utc(wall_ns) + "-" + file_name_word(plan.name) + ".prony");
}

IfExists if_exists(const RecordOptions& options) {
  if (options.out.empty()) return IfExists::number;
  return options.force ? IfExists::replace : IfExists::refuse;
}

Result<void> add_tags(const std::vector<std::string>& tags, Manifest& manifest) {
  for (const std::string& tag : tags) {
    const std::size_t equals = tag.find('=');
    if (equals == 0 || equals == std::string::npos)
      return fail(ErrorCode::usage, "'" + printable(tag, 60) + "' is not k=v", "--tag",
                  "Write for example: --tag board=pi5");
    manifest.set("tag." + tag.substr(0, equals), tag.substr(equals + 1), "flag");
  }
  return {};
}

struct Measured {
  int exit_code = exit_code::ok;
  bool released = false;
};

// One recording, in the order in which things happen.
class Recording {
 public:
  explicit Recording(RecordPlan plan) : plan_(std::move(plan)) {}
  [[nodiscard]] Result<Measured> measure();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<void> prepare_control(const SensorSet& sensors);
  [[nodiscard]] Result<void> prepare_followers();
  [[nodiscard]] SensorOptions sensor_options();
  void describe_followers();
  [[nodiscard]] bool has_command() const { return plan_.workload != nullptr; }
  [[nodiscard]] Result<WorkloadOutcome> watch();
  void too_hot(const Heat& heat);
  [[nodiscard]] bool interrupts_requests() const { return plan_.kind == "llm"; }
  [[nodiscard]] Result<void> spawn_held();
  [[nodiscard]] Result<WorkloadOutcome> drive();
  void baseline(std::string_view name, SpanId id);
  void conclude(const Result<WorkloadOutcome>& outcome);
  void learn_sensors();
  void add_target_totals(const ExitStatus& exit, bool ended);  // ended: how is known
  [[nodiscard]] int exit_code_of(const Result<WorkloadOutcome>& outcome) const;

  RecordPlan plan_;
  Duration interval_, baseline_;
  std::optional<Duration> length_;  // of a recording without a command; absent: until Ctrl-C
  ControlOptions control_;          // until the session has it
  std::filesystem::path path_;
  std::unique_ptr<Machine> machine_;           // what is measured: follows --sysfs and --procfs
  std::unique_ptr<Machine> live_;              // where the command runs: always this machine
  std::unique_ptr<ProcessTree> tree_;          // null: no command
  std::unique_ptr<ProcessFollower> follower_;  // null: the command's tree is all that is asked for
  std::unique_ptr<Recorder> recorder_;
  std::optional<PassportKeeper> passports_;  // before session_: its blocks are shown to it
  std::unique_ptr<Session> session_;
  std::optional<FollowCarrier> followed_;
  std::optional<Guard> guard_;  // started before the first thread
  Manifest manifest_;
  Child child_;
  Span run_span_;
  SignalRelay signals_;                                        // before any thread is made
  struct rlimit open_files_before_ = raise_open_file_limit();  // the command gets it back
  bool exec_failed_ = false;
  std::atomic<bool> stop_baseline_ = false;
  std::binary_semaphore end_of_watch_{0};
};

Result<void> Recording::prepare() {
  const RecordOptions& o = plan_.options;
  auto interval = duration_setting(o.interval, "interval", milliseconds(1), milliseconds(60'000));
  if (!interval) return Unexpected<Error>(interval.error());
  interval_ = *interval;
  if (!o.baseline.empty() && o.baseline != "stored") {
    auto length = duration_setting(o.baseline, "baseline", milliseconds(0), milliseconds(3'600'000));
    if (!length) return Unexpected<Error>(length.error());
    baseline_ = *length;
  }
  if (const auto factors = factors_of(o.energy); !factors) return Unexpected<Error>(factors.error());
  if (!o.targets.length.empty()) {
    auto length = duration_setting(o.targets.length, "for", milliseconds(100), milliseconds(30LL * 24 * 3'600'000));
    if (!length) return Unexpected<Error>(length.error());
    length_ = *length;
  }
  auto machine = open_machine(o.machine);
  if (!machine) return Unexpected<Error>(machine.error());
  machine_ = std::move(*machine);
  live_ = make_live_machine();
  auto sensors = open_sensors(*machine_, o.sensors, sensor_options());
  if (!sensors) return Unexpected<Error>(sensors.error());
  if (auto control = prepare_control(*sensors); !control) return control;
  if (auto ready = prepare_followers(); !ready) return ready;

  const Anchor now = live_->anchor();
  const bool refused = std::ranges::any_of(sensors->unavailable,
                                           [](const Unavailable& entry) { return entry.subject == "calibration"; });
  auto recorder = Recorder::create(
      wanted_path(plan_, now.wall_ns),
      RecorderOptions{.if_exists = if_exists(o), .commit_every = milliseconds(2000)});  // Session flushes
  if (!recorder) return Unexpected<Error>(recorder.error());
  recorder_ = std::move(*recorder);
  path_ = recorder_->path();

  manifest_.set("run.kind", plan_.kind, "prony");
  manifest_.set("run.started_utc", format_utc(now.wall_ns), "machine");
  manifest_.set("prony.version", PRONY_VERSION, "prony");
  describe_followers();
  for (const Fact& fact : plan_.facts) manifest_.set(fact.key, fact.value, fact.origin);
  describe_machine(*machine_, manifest_);
  add_storage(*live_, "run.storage", path_, manifest_);
  if (const auto model = manifest_.get("model.path")) add_storage(*live_, "model.storage", *model, manifest_);
  describe_simulation(*machine_, manifest_);
  if (auto kept = use_kept(*machine_, manifest_, {o.baseline == "stored", plan_.calibrated && !refused}); !kept) {
    std::error_code ignored;  // nothing was recorded: leave no Run behind
    std::filesystem::remove(path_, ignored);
    return kept;
  }
  if (auto tagged = add_tags(o.tags, manifest_); !tagged) return tagged;
  std::vector<Sensor*> watchers;
  if (tree_) watchers.push_back(&tree_->sensor());
  if (follower_) watchers.push_back(&follower_->sensor());
  session_ = std::make_unique<Session>(*machine_, std::move(*sensors), std::move(watchers), interval_);
  if (follower_) followed_.emplace(*follower_, *session_);
  if (followed_) session_->on_carry([this] { followed_->carry(); });
  if (control_.max_celsius || control_.budget) session_->control(std::move(control_));
  passports_.emplace(*machine_, manifest_, o.machine);
  passports_->fill(session_->channels_to_fill(), session_->groups(), manifest_);
  session_->show_blocks_to([this](const TickBlock& block) { passports_->see(block); });
  return {};
}

SensorOptions Recording::sensor_options() {
  SensorOptions options{.every_channel = plan_.options.every_channel};
  if (plan_.calibrated) options.calibrated = kept_calibration(*machine_, plan_.options.machine);
  return options;
}

// A command runs on this machine. Others are looked for where --procfs points, unless the machine is a simulated one.
Result<void> Recording::prepare_followers() {
  const RecordOptions& o = plan_.options;
  const auto rung = tree_rung_from(o.tree);
  if (!rung)
    return fail(ErrorCode::usage, "'" + printable(o.tree, 40) + "' is no way to follow a process tree", "--tree",
                "It may be automatic, cgroup, exit-events, subreaper or polling.");
  if (has_command()) {
    auto tree = ProcessTree::create(*live_, *rung);
    if (!tree) return Unexpected<Error>(tree.error());
    tree_ = std::move(*tree);
  }
  if (o.targets.choices.empty() && !o.targets.each_process()) return {};
  FollowOptions follow;
  follow.each_process = o.targets.each_process();
  Machine& where = machine_->kind() == MachineKind::simulated ? *live_ : *machine_;
  auto follower = ProcessFollower::create(where, o.targets.choices, std::move(follow));
  if (!follower) return Unexpected<Error>(follower.error());
  follower_ = std::move(*follower);
  return {};
}

void Recording::describe_followers() {
  manifest_.set("prony.pid", std::to_string(::getpid()), "prony");
  if (tree_) {
    manifest_.set("target.rung", std::string(to_string(tree_->rung())), "prony");
    if (!tree_->why_not_better().empty()) manifest_.set("target.why_not_better", tree_->why_not_better(), "prony");
  }
  if (!follower_) return;
  manifest_.set("targets.rung", follower_->rung(), "prony");
  if (const auto why = follower_->why_not_better(); !why.empty()) manifest_.set("targets.why_not_better", why, "prony");
}

// Before anything is made or overwritten: what cannot be kept to is refused.
Result<void> Recording::prepare_control(const SensorSet& sensors) {
  if (!plan_.options.max_temp.empty()) {
    const auto limit = temperature_setting(plan_.options.max_temp, "max-temp");
    if (!limit) return Unexpected<Error>(limit.error());
    control_.max_celsius = *limit;
    const bool seen = std::ranges::any_of(sensors.sensors, [](const auto& sensor) {
      return std::ranges::any_of(sensor->channels(),
                                 [](const Channel& c) { return c.measure == Measure::temperature; });
    });
    if (!seen)
      return fail(ErrorCode::absent, "no temperature can be read here, so none can be kept to", "--max-temp",
                  "Leave it out; `prony sensors` says what thermal and hwmon lack here.");
  }
  if (!plan_.options.budget.empty()) {
    const auto share = share_setting(plan_.options.budget, "budget");
    if (!share) return Unexpected<Error>(share.error());
    control_.budget = *share;
  }
  control_.on_hot = [this](const Heat& heat) { too_hot(heat); };
  control_.on_blind = [](const std::string& words) { print_note(words); };
  return {};
}

// From the carrier's thread, once.
void Recording::too_hot(const Heat& heat) {
  const bool stops = interrupts_requests() || plan_.options.max_temp_stop;
  const std::string done = interrupts_requests()         ? "no further request is begun"
                           : !has_command()              ? "the recording goes on"
                           : plan_.options.max_temp_stop ? "the command gets SIGTERM"
                                                         : "the command goes on (--max-temp-stop would end it)";
  const std::string words =
      format_fixed(heat.celsius, 1) + " °C, over " + format_number(heat.limit_celsius) + " °C: " + done;
  print_note(heat.channel + " is at " + words);
  session_->add(Event{machine_->now(), stops ? "temperature-stop" : "temperature-high", heat.channel, words});
  if (stops) stop_baseline_ = true;
  if (interrupts_requests())
    plan_.workload->finish_early();
  else if (stops)
    plan_.workload->cancel(SIGTERM);
}

Result<void> Recording::spawn_held() {
  if (!has_command()) return {};
  SpawnOptions options = plan_.workload->command();
  options.hold = true;
  options.die_with_parent = plan_.options.die_with_prony;
  const std::string spans = std::filesystem::absolute(recorder_->spans_path()).string();
  options.environment.emplace_back("PRONY_SPANS", spans);
  tree_->prepare(options);
  options.signals = signals_.before();
  options.open_files = open_files_before_;
  auto child = spawn(options);
  if (!child) return Unexpected<Error>(child.error());
  child_ = std::move(*child);
  tree_->attach(child_);
  if (follower_) follower_->exclude_command(tree_->guard_target());
  if (guard_)
    if (auto armed = guard_->arm(tree_->guard_target()); !armed) return armed;
  return {};
}

void Recording::baseline(std::string_view name, SpanId id) {
  if (baseline_.ns == 0 || stop_baseline_) return;
  Span span;
  span.id = id;
  span.kind = SpanKind::phase;
  span.name = name;
  session_->tick_now();
  span.interval.begin = machine_->now();
  const Instant end = span.interval.begin + baseline_;
  while (machine_->now() < end && !stop_baseline_) {
    const Duration left = std::min(end - machine_->now(), milliseconds(50));
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::max<std::int64_t>(0, left.ns)));
  }
  span.interval.end = machine_->now();
  session_->tick_now();
  if (stop_baseline_) span.status = SpanStatus::failed;
  session_->add(span);
}

Result<WorkloadOutcome> Recording::watch() {
  if (length_)
    (void)end_of_watch_.try_acquire_for(std::chrono::nanoseconds(length_->ns));
  else
    end_of_watch_.acquire();
  return WorkloadOutcome{};
}

Result<WorkloadOutcome> Recording::drive() {
  run_span_.id = run_span_id;
  run_span_.kind = SpanKind::run;
  run_span_.name = plan_.name;
  run_span_.status = SpanStatus::unfinished;
  if (has_command()) run_span_.pid = child_.pid();
  session_->tick_now();
  run_span_.interval.begin = run_span_.interval.end = machine_->now();
  session_->add(run_span_);
  if (has_command())
    if (auto released = child_.release(); !released) {
      exec_failed_ = true;
      return Unexpected<Error>(released.error());
    }
  LiveLine line(*session_, plan_.kind, plan_.options.quiet);
  std::jthread survey([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, stop, std::chrono::seconds(1), [&] { return stop.stop_requested(); })) {
      if (tree_) tree_->survey();
      if (follower_) follower_->survey();
    }
  });
  auto outcome =
      has_command() ? plan_.workload->run(child_, [&](const Progress& progress) { line.update(progress); }) : watch();
  run_span_.interval.end = machine_->now();
  const bool good = outcome && outcome->exit.shell_code() == 0 && outcome->failures.empty();
  run_span_.status = good ? SpanStatus::ok : SpanStatus::failed;
  session_->add(run_span_);
  return outcome;
}

void Recording::add_target_totals(const ExitStatus& exit, bool ended) {
  session_->add(Total{"target", "wall_s", run_span_.interval.length().seconds().value(), "monotonic clock"});
  if (!tree_) return;
  const TreeUsage usage = tree_->finish(exit);
  const std::string method(to_string(tree_->rung()));
  const auto total = [&](const char* name, double value) { session_->add(Total{"target", name, value, method}); };
  const auto maybe = [&](const char* name, const std::optional<std::uint64_t>& value) {
    if (value) total(name, static_cast<double>(*value));
  };
  total("cpu_user_s", usage.cpu_user_s);
  total("cpu_system_s", usage.cpu_system_s);
  if (usage.cpu_unattributed_s) total("cpu_unattributed_s", *usage.cpu_unattributed_s);
  total("rss_peak_bytes", static_cast<double>(usage.rss_peak_bytes));
  maybe("pss_peak_bytes", usage.pss_peak_bytes);
  maybe("minor_faults", usage.minor_faults);
  maybe("major_faults", usage.major_faults);
  maybe("voluntary_switches", usage.voluntary_switches);
  maybe("involuntary_switches", usage.involuntary_switches);
  maybe("read_bytes", usage.read_bytes);
  maybe("write_bytes", usage.write_bytes);
  maybe("read_calls_bytes", usage.read_calls_bytes);
  maybe("write_calls_bytes", usage.write_calls_bytes);
  total("processes", static_cast<double>(usage.processes));
  maybe("short_lived", usage.short_lived);
  if (ended) session_->add(Total{"target", "exit_code", static_cast<double>(exit.shell_code()), "wait"});
  if (exit.signal != 0) session_->add(Total{"target", "exit_signal", static_cast<double>(exit.signal), "wait"});
  for (const Unavailable& missing : usage.unavailable) session_->add(missing);
  for (ProcessRecord process : tree_->processes()) {
    if (follower_) process.target = command_target;
    session_->add(process);
  }
}

// From the Run's own ticks, so that no command waits for it; `prony probe` does it better.
void Recording::learn_sensors() {
  const auto learned = passports_->conclude(session_->channels(), session_->groups());
  for (const ChannelPassport& passport : learned.passports) session_->add(passport);
  for (const Event& drift : learned.drifts) session_->add(drift);
  for (const Unavailable& missing : learned.unavailable) session_->add(missing);
}

void Recording::conclude(const Result<WorkloadOutcome>& outcome) {
  session_->settle(milliseconds(250));
  baseline(phase::baseline_after, SpanId{3});
  session_->stop_sampling();
  learn_sensors();
  if (followed_) followed_->finish();
  add_target_totals(outcome ? outcome->exit : ExitStatus{}, outcome.has_value());
  for (const Total& truth : true_joules(*machine_, session_->channels(), run_span_.interval)) session_->add(truth);
  if (outcome) {
    for (const auto& [key, value] : outcome->facts) session_->add(Fact{key, value, "worker"});
    for (const std::string& failure : outcome->failures)
      session_->add(Event{run_span_.interval.end, "workload-failed", plan_.name, failure});
  } else {
    session_->add(Event{run_span_.interval.end, "workload-failed", plan_.name, outcome.error().what});
  }
  (void)session_->finish(RunState::complete);  // a failure was said when it happened
}

int Recording::exit_code_of(const Result<WorkloadOutcome>& outcome) const {
  if (exec_failed_) return outcome.error().code == ErrorCode::absent ? exit_code::not_found : exit_code::not_executable;
  if (!outcome) return exit_code::own_failure;
  if (!has_command()) return exit_code::ok;
  if (plan_.kind == "run") return outcome->exit.shell_code();
  if (!outcome->failures.empty() || outcome->requests_failed > 0) return exit_code::failed_requests;
  return outcome->exit.shell_code();
}

Result<Measured> Recording::measure() {
  if (plan_.options.die_with_prony) {
    auto guard = start_guard();
    if (!guard) return Unexpected<Error>(guard.error());
    guard_.emplace(std::move(*guard));
  }
  if (auto ready = prepare(); !ready) return Unexpected<Error>(ready.error());
  if (auto held = spawn_held(); !held) return Unexpected<Error>(held.error());
  signals_.relay([this](int number, bool from_terminal) {
    stop_baseline_ = true;
    if (!has_command()) return end_of_watch_.release();
    const bool terminal_key = from_terminal && (number == SIGINT || number == SIGQUIT);
    if (!terminal_key || plan_.interrupt_cancels) plan_.workload->cancel(number);
  });
  if (auto started = session_->start(std::move(recorder_), manifest_); !started)
    return Unexpected<Error>(started.error());
  if (followed_) followed_->begin(has_command());
  for (const ChannelPassport& passport : passports_->stored(session_->channels())) session_->add(passport);
  baseline(phase::baseline_before, SpanId{2});
  const auto outcome = drive();
  if (guard_) guard_->disarm();
  if (!outcome) print_error(outcome.error());
  if (exec_failed_) {  // nothing ran: leave no Run behind
    session_->stop_sampling();
    (void)session_->finish(RunState::interrupted);
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
    return Measured{exit_code_of(outcome), false};
  }
  conclude(outcome);
  if (outcome)
    for (const std::string& failure : outcome->failures) print_note(failure);
  return Measured{exit_code_of(outcome), true};
}

}  // namespace

Recorded record(RecordPlan plan) {
  const RecordOptions options = plan.options;
  Recording recording(std::move(plan));
  const auto measured = recording.measure();
  if (!measured) {
    print_error(measured.error());
    return {exit_code::own_failure, {}};
  }
  if (measured->released) (void)print_run(recording.path().string(), options);
  return {measured->exit_code, recording.path()};
}

}  // namespace prony::app
