#include "app/record.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <semaphore>

#include "app/followers.hpp"
#include "app/kept.hpp"
#include "app/live_line.hpp"
#include "app/machine_choice.hpp"
#include "app/meter_options.hpp"
#include "app/passports.hpp"
#include "app/rank_facts.hpp"
#include "app/record_request.hpp"
#include "app/session.hpp"
#include "app/signals.hpp"
#include "app/study_progress.hpp"
#include "app/watched_ends.hpp"
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

std::filesystem::path wanted_path(const RecordPlan& plan, std::int64_t wall_ns) {
  if (!plan.options.out.empty()) return plan.options.out;
  return std::filesystem::path("runs") / (compact_utc(wall_ns) + "-" + file_name_word(plan.name) + ".prony");
}

IfExists if_exists(const RecordOptions& options) {
  if (options.out.empty()) return IfExists::number;
  return options.force ? IfExists::replace : IfExists::refuse;
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
  // What a signal means: the end of what is measured, of the program once the Run is whole, of the program at once.
  enum class Stage : std::uint8_t { measuring, closing, kept };

  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] SensorOptions sensor_options();
  [[nodiscard]] bool has_command() const { return plan_.workload != nullptr; }
  [[nodiscard]] Result<WorkloadOutcome> watch();
  void too_hot(const Heat& heat);
  [[nodiscard]] bool interrupts_requests() const { return plan_.kind == "llm"; }
  [[nodiscard]] Result<void> spawn_held();
  void tick_of_all();
  [[nodiscard]] Result<WorkloadOutcome> drive();
  void baseline(std::string_view name, SpanId id);
  void take_signal(int number, bool from_terminal);
  void leave(int number) const;
  void conclude(const Result<WorkloadOutcome>& outcome);
  void learn_sensors();
  [[nodiscard]] int exit_code_of(const Result<WorkloadOutcome>& outcome) const;

  RecordPlan plan_;
  RecordTimes times_;
  std::filesystem::path path_, recorder_spans_;
  std::unique_ptr<Machine> machine_;  // what is measured: follows --sysfs and --procfs
  std::unique_ptr<Machine> live_;     // where the command runs: always this machine
  Followers followers_;
  std::unique_ptr<Recorder> recorder_;
  std::optional<PassportKeeper> passports_;  // before session_: its blocks are shown to it
  std::unique_ptr<Session> session_;
  std::optional<Guard> guard_;  // started before the first thread
  Manifest manifest_;
  Child child_;
  Span run_span_;
  std::atomic<bool> stop_baseline_ = false;
  std::atomic<Stage> stage_ = Stage::measuring;
  std::atomic<int> leave_by_ = 0;  // the signal that came while the Run was closed
  std::binary_semaphore end_of_watch_{0};
  SignalRelay signals_;                                        // before any thread is made
  struct rlimit open_files_before_ = raise_open_file_limit();  // the command gets it back
  bool exec_failed_ = false;
  std::optional<WatchedEnds>
      ends_;  // of the processes that --pid named, with --until-exit; last: its thread ends first
};

Result<void> Recording::prepare() {
  const RecordOptions& o = plan_.options;
  const auto times = record_times(o);
  if (!times) return Unexpected<Error>(times.error());
  times_ = *times;
  if (const auto factors = factors_of(o.energy); !factors) return Unexpected<Error>(factors.error());
  auto machine = open_machine(o.machine);
  if (!machine) return Unexpected<Error>(machine.error());
  machine_ = std::move(*machine);
  live_ = make_live_machine();
  if (auto named = name_meters(*machine_, o.meters); !named) return named;
  auto sensors = open_sensors(*machine_, o.sensors, sensor_options());
  if (!sensors) return Unexpected<Error>(sensors.error());
  tell_missing_meters(*machine_, sensors->unavailable);
  auto control = control_options(o, *sensors);
  if (!control) return Unexpected<Error>(control.error());
  control->on_hot = [this](const Heat& heat) { too_hot(heat); };
  control->on_blind = [](const std::string& words) { print_note(words); };
  if (plan_.until_exit) {  // before anything is made: who has ended is told here
    auto ends = WatchedEnds::open(o.targets.choices);
    if (!ends) return Unexpected<Error>(ends.error());
    ends_.emplace(std::move(*ends));
  }
  auto followers =
      Followers::create(o, {.command = has_command(), .ticks = times_.interval}, *sensors, *machine_, *live_);
  if (!followers) return Unexpected<Error>(followers.error());
  followers_ = std::move(*followers);
  followers_.watch_devices(*machine_, *sensors);

  const Anchor now = live_->anchor();
  const bool refused = std::ranges::any_of(sensors->unavailable,
                                           [](const Unavailable& entry) { return entry.subject == "calibration"; });
  auto recorder = Recorder::create(
      wanted_path(plan_, now.wall_ns),
      RecorderOptions{.if_exists = if_exists(o), .commit_every = milliseconds(2000)});  // Session flushes
  if (!recorder) return Unexpected<Error>(recorder.error());
  recorder_ = std::move(*recorder);
  path_ = recorder_->path();
  recorder_spans_ = std::filesystem::absolute(recorder_->spans_path());

  manifest_.set("run.kind", plan_.kind, "prony");
  manifest_.set("run.started_utc", format_utc(now.wall_ns), "machine");
  manifest_.set("prony.version", PRONY_VERSION, "prony");
  manifest_.set("prony.pid", std::to_string(::getpid()), "prony");
  followers_.describe(manifest_);
  for (const Fact& fact : plan_.facts) manifest_.set(fact.key, fact.value, fact.origin);
  for (const Fact& fact : rank_facts()) manifest_.set(fact.key, fact.value, fact.origin);
  for (const Fact& fact : study_facts()) manifest_.set(fact.key, fact.value, fact.origin);
  describe_machine(*machine_, manifest_);
  add_storage(*live_, "run.storage", path_, manifest_);
  if (const auto model = manifest_.get("model.path")) add_storage(*live_, "model.storage", *model, manifest_);
  describe_simulation(*machine_, manifest_);
  if (auto kept =
          use_kept(*machine_, manifest_, {o.baseline == "stored", plan_.calibrated && !refused, plan_.kept_peaks});
      !kept) {
    std::error_code ignored;  // nothing was recorded: leave no Run behind
    std::filesystem::remove(path_, ignored);
    return kept;
  }
  if (auto tagged = add_tags(o.tags, manifest_); !tagged) return tagged;
  session_ = std::make_unique<Session>(*machine_, std::move(*sensors), followers_.watchers(), times_.interval);
  followers_.connect(*session_);
  if (control->max_celsius || control->budget) session_->control(std::move(*control));
  passports_.emplace(*machine_, manifest_, o.machine);
  passports_->fill(session_->channels_to_fill(), session_->groups(), manifest_);
  session_->show_blocks_to([this](const TickBlock& block) { passports_->see(block); });
  if (plan_.warm_up)
    if (auto connected = plan_.warm_up->connect(*session_); !connected) {
      std::error_code ignored;  // nothing was recorded: leave no Run behind
      std::filesystem::remove(path_, ignored);
      return connected;
    }
  return {};
}

SensorOptions Recording::sensor_options() {
  SensorOptions options{.every_channel = plan_.options.every_channel, .wall_estimate = plan_.options.wall_estimate};
  if (plan_.calibrated) options.calibrated = kept_calibration(*machine_, plan_.options.machine);
  return options;
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
  followers_.prepare(options);
  options.signals = signals_.before();
  options.open_files = open_files_before_;
  auto child = spawn(options);
  if (!child) return Unexpected<Error>(child.error());
  child_ = std::move(*child);
  followers_.attach(child_);
  if (guard_)
    if (auto armed = guard_->arm(followers_.guard_target()); !armed) return armed;
  return {};
}

void Recording::baseline(std::string_view name, SpanId id) {
  if (times_.baseline.ns == 0 || stop_baseline_) return;
  Span span;
  span.id = id;
  span.kind = SpanKind::phase;
  span.name = name;
  session_->tick_now();
  span.interval.begin = machine_->now();
  const Instant end = span.interval.begin + times_.baseline;
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
  if (times_.length)
    (void)end_of_watch_.try_acquire_for(std::chrono::nanoseconds(times_.length->ns));
  else
    end_of_watch_.acquire();
  tick_of_all();
  return WorkloadOutcome{};
}

void Recording::tick_of_all() {
  followers_.look();
  session_->tick_now();
}

Result<WorkloadOutcome> Recording::drive() {
  run_span_.id = run_span_id;
  run_span_.kind = SpanKind::run;
  run_span_.name = plan_.name;
  run_span_.status = SpanStatus::unfinished;
  if (has_command()) run_span_.pid = child_.pid();
  tick_of_all();  // who was born since the last look used something before the window began
  run_span_.interval.begin = run_span_.interval.end = machine_->now();
  session_->add(run_span_);
  if (has_command())
    if (auto released = child_.release(); !released) {
      exec_failed_ = true;
      return Unexpected<Error>(released.error());
    }
  if (ends_)
    ends_->watch([this](const WatchedEnd& end) { session_->add(end.event(machine_->now())); },
                 [this] { end_of_watch_.release(); });
  tell_ready(path_, recorder_spans_);
  LiveLine line(*session_, plan_.kind, plan_.options.quiet);
  std::jthread survey([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    // Soon after the release first: what ran until then went by our name.
    for (auto pause = std::chrono::milliseconds(50);
         !wake.wait_for(lock, stop, pause, [&] { return stop.stop_requested(); }); pause = std::chrono::seconds(1))
      followers_.survey();
  });
  SamplingPace pace(plan_.sampling, *session_, *machine_);
  StudyProgress told;
  auto outcome = has_command() ? plan_.workload->run(child_,
                                                     [&](const Progress& progress) {
                                                       line.update(progress);
                                                       told.update(progress);
                                                       pace.update(progress);
                                                     })
                               : watch();
  pace.finish();
  run_span_.interval.end = machine_->now();
  const bool good = outcome && outcome->exit.shell_code() == 0 && outcome->failures.empty();
  run_span_.status = good ? SpanStatus::ok : SpanStatus::failed;
  session_->add(run_span_);
  return outcome;
}

// From the Run's own ticks, so that no command waits for it; `prony probe` does it better.
void Recording::learn_sensors() {
  const auto learned = passports_->conclude(session_->channels(), session_->groups());
  for (const ChannelPassport& passport : learned.passports) session_->add(passport);
  for (const Event& drift : learned.drifts) session_->add(drift);
  for (const Unavailable& missing : learned.unavailable) session_->add(missing);
}

void Recording::conclude(const Result<WorkloadOutcome>& outcome) {
  followers_.look();
  session_->settle(milliseconds(250));
  baseline(phase::baseline_after, SpanId{3});
  stage_ = Stage::closing;
  session_->stop_sampling();
  if (session_->stuck()) (void)machine_.release();  // a thread is still inside of it
  learn_sensors();
  session_->add(Total{"target", "wall_s", run_span_.interval.length().seconds().value(), "monotonic clock"});
  followers_.finish(outcome ? std::optional(outcome->exit) : std::nullopt);
  if (ends_)
    for (const Total& total : ends_->totals()) session_->add(total);
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

void Recording::take_signal(int number, bool from_terminal) {
  if (stage_ != Stage::measuring) {
    if (from_terminal && stage_ == Stage::closing) return;  // the key that has ended the command
    leave_by_ = number;
    if (stage_ == Stage::kept) leave(number);
    return;
  }
  stop_baseline_ = true;
  // A key that ends the watched program ends the recording by that.
  if (plan_.until_exit && from_terminal) return;
  if (!has_command()) return end_of_watch_.release();
  const bool terminal_key = from_terminal && (number == SIGINT || number == SIGQUIT);
  if (!terminal_key || plan_.interrupt_cancels) plan_.workload->cancel(number);
}

// Of very many requests the summary takes its time; `prony show` tells the same from the Run.
void Recording::leave(int number) const {
  end_by_signal(number, "ended before its summary was; the Run is whole:  prony show " + path_.string());
}

Result<Measured> Recording::measure() {
  if (plan_.options.die_with_prony) {
    auto guard = start_guard();
    if (!guard) return Unexpected<Error>(guard.error());
    guard_.emplace(std::move(*guard));
  }
  if (auto ready = prepare(); !ready) return Unexpected<Error>(ready.error());
  if (auto held = spawn_held(); !held) return Unexpected<Error>(held.error());
  if (!plan_.options.quiet)  // a slip of the finger: without --for it would wait for a target that never comes
    for (const std::string& words : followers_.waited_for()) print_note(words);
  signals_.relay([this](int number, bool from_terminal) { take_signal(number, from_terminal); });
  if (auto started = session_->start(std::move(recorder_), manifest_); !started)
    return Unexpected<Error>(started.error());
  followers_.begin();
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
  stage_ = Stage::kept;
  if (const int number = leave_by_; number != 0) leave(number);
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
