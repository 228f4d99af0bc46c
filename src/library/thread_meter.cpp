// The meter in threads of the measured program: the sensors, sampler, recorder and attribution of `prony run`, with
// this process as the target. Its threads take no signals, and it changes nothing that belongs to the whole process.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include "app/followers.hpp"
#include "app/kept.hpp"
#include "app/machine_choice.hpp"
#include "app/passports.hpp"
#include "app/session.hpp"
#include "base/text.hpp"
#include "library/meter.hpp"
#include "library/own_threads.hpp"
#include "process/selector.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/sensor.hpp"
#include "store/recorder.hpp"

namespace prony::library {

namespace {

constexpr SpanId run_span_id{1}, baseline_span_id{2};

// Threads that are made meanwhile take no signals: those are the program's.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_{};
};

std::filesystem::path default_path(std::int64_t wall_ns, const std::string& name) {
  return std::filesystem::path("runs") / (compact_utc(wall_ns) + "-" + app::file_name_word(name) + ".prony");
}

class ThreadMeter final : public Meter {
 public:
  explicit ThreadMeter(MeterOptions options) : options_(std::move(options)) {}
  ~ThreadMeter() override { (void)stop(); }
  ThreadMeter(const ThreadMeter&) = delete;
  ThreadMeter& operator=(const ThreadMeter&) = delete;

  [[nodiscard]] Result<void> prepare();
  Result<void> start() override;
  Result<void> stop() override;
  const std::string& path() const noexcept override { return path_; }
  const std::string& spans_path() const noexcept override { return spans_path_; }

 private:
  void tell_own_apart();
  [[nodiscard]] Result<void> begin();
  [[nodiscard]] Manifest describe(const Anchor& now);
  [[nodiscard]] Result<void> check_calibration(Manifest& manifest);
  void rest();
  void survey();
  void conclude();
  void fail_with(const Error& error);

  MeterOptions options_;
  app::RecordOptions record_;
  std::unique_ptr<Machine> machine_;  // what is measured
  std::unique_ptr<Machine> live_;     // where this program runs
  std::shared_ptr<OwnThreads> own_ = std::make_shared<OwnThreads>();
  std::unique_ptr<Machine> less_own_;  // the same without the meter's threads; null: those cannot be told apart
  std::optional<app::SensorSet> sensors_;
  app::Followers followers_;
  std::optional<app::PassportKeeper> passports_;  // before session_: its blocks are shown to it
  std::unique_ptr<app::Session> session_;
  std::jthread surveyor_;
  Span run_span_;
  std::string path_, spans_path_;
  bool running_ = false;
  std::mutex failure_mutex_;
  std::optional<Error> failure_;  // of the recording, from whichever thread met it
};

Result<void> ThreadMeter::prepare() {
  record_.machine.simulate = options_.simulate;
  record_.sensors = options_.sensors;
  auto choice = parse_target_choice(SelectorKind::pid, options_.name + "=" + std::to_string(options_.pid));
  if (!choice) return Unexpected<Error>(choice.error());
  record_.targets.choices.push_back(std::move(*choice));
  auto machine = app::open_machine(record_.machine);
  if (!machine) return Unexpected<Error>(machine.error());
  machine_ = std::move(*machine);
  live_ = make_live_machine();
  SensorOptions how{.every_channel = options_.every_channel};
  how.calibrated = app::kept_calibration(*machine_, record_.machine);
  auto sensors = app::open_sensors(*machine_, record_.sensors, how);
  if (!sensors) return Unexpected<Error>(sensors.error());
  sensors_ = std::move(*sensors);
  tell_own_apart();
  return {};
}

// The process clock of a program that holds its meter is not the meter's: in its place come the clocks of the meter's
// threads. On which package they ran is not known of threads, so with several packages they stay the program's.
void ThreadMeter::tell_own_apart() {
  const auto is_own = [](const auto& sensor) {
    return !sensor->channels().empty() && sensor->channels().front().scope == Scope::prony;
  };
  const auto process_clock = std::ranges::find_if(sensors_->sensors, is_own);
  if (process_clock == sensors_->sensors.end()) return;
  const auto row = std::ranges::find(sensor_catalogue(), std::string_view("self"), &SensorRow::name);
  if (row != sensor_catalogue().end() && (*process_clock)->channels().size() == 1) {
    less_own_ = make_machine_less(own_);
    Probe probe = row->make(*less_own_, {});
    if (probe.sensor != nullptr && probe.sensor->channels().size() == 1) {  // this machine may have several, too
      *process_clock = std::move(probe.sensor);
      return;
    }
    less_own_.reset();
  }
  std::erase_if(sensors_->sensors, is_own);
  sensors_->unavailable.push_back(
      {"prony", "the meter runs in threads of the measured program: what they use is in the program's part",
       "A meter in a process of its own tells it apart: mode PRONY_METER_PROCESS, or `prony run`."});
}

Manifest ThreadMeter::describe(const Anchor& now) {
  Manifest manifest;
  manifest.set("run.kind", "watch", "prony");
  manifest.set("run.by", "libprony-meter", "prony");
  manifest.set("run.started_utc", format_utc(now.wall_ns), "machine");
  manifest.set("prony.version", PRONY_VERSION, "prony");
  manifest.set("meter.mode", "thread", "prony");
  manifest.set("setting.interval", format_number(options_.interval.seconds().value()) + "s", "program");
  followers_.describe(manifest);
  describe_machine(*machine_, manifest);
  app::describe_simulation(*machine_, manifest);
  return manifest;
}

Result<void> ThreadMeter::begin() {
  auto followers = app::Followers::create(record_, {.inside_program = true, .processes = less_own_.get()}, *sensors_,
                                          *machine_, *live_);
  if (!followers) return Unexpected<Error>(followers.error());
  followers_ = std::move(*followers);
  followers_.watch_devices(*machine_, *sensors_);
  const Anchor now = live_->anchor();
  const bool named = !options_.out.empty();
  const auto wanted = named ? std::filesystem::path(options_.out) : default_path(now.wall_ns, options_.name);
  const IfExists exists = !named ? IfExists::number : options_.force ? IfExists::replace : IfExists::refuse;
  auto recorder = Recorder::create(wanted, RecorderOptions{.if_exists = exists, .commit_every = milliseconds(2000)});
  if (!recorder) return Unexpected<Error>(recorder.error());
  path_ = (*recorder)->path().string();
  spans_path_ = std::filesystem::absolute((*recorder)->spans_path()).string();
  Manifest manifest = describe(now);
  const bool refused =
      std::ranges::any_of(sensors_->unavailable, [](const auto& entry) { return entry.subject == "calibration"; });
  if (auto kept = app::use_kept(*machine_, manifest, {options_.kept_baseline, !refused}); !kept) return kept;
  session_ = std::make_unique<app::Session>(*machine_, std::move(*sensors_), followers_.watchers(), options_.interval);
  session_->inside_program();
  session_->on_failure([this](const Error& error) { fail_with(error); });
  followers_.connect(*session_);
  passports_.emplace(*machine_, manifest, record_.machine);
  passports_->fill(session_->channels_to_fill(), session_->groups(), manifest);
  session_->show_blocks_to([this](const TickBlock& block) { passports_->see(block); });
  if (auto started = session_->start(std::move(*recorder), manifest); !started) return started;
  followers_.begin();
  own_->look();
  for (const ChannelPassport& passport : passports_->stored(session_->channels())) session_->add(passport);
  return {};
}

void ThreadMeter::rest() {
  if (options_.baseline.ns <= 0) return;
  Span span;
  span.id = baseline_span_id;
  span.kind = SpanKind::phase;
  span.name = phase::baseline_before;
  session_->tick_now();
  span.interval.begin = machine_->now();
  std::this_thread::sleep_for(std::chrono::nanoseconds(options_.baseline.ns));
  span.interval.end = machine_->now();
  session_->tick_now();
  session_->add(span);
}

void ThreadMeter::survey() {
  surveyor_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, stop, std::chrono::seconds(1), [&] { return stop.stop_requested(); })) {
      own_->look();
      followers_.survey();
    }
  });
  ::pthread_setname_np(surveyor_.native_handle(), "prony-survey");
}

void ThreadMeter::fail_with(const Error& error) {
  const std::scoped_lock lock(failure_mutex_);
  if (!failure_) failure_ = error;
}

Result<void> ThreadMeter::start() {
  const NoSignals while_threads_are_made;
  if (auto begun = begin(); !begun) {
    session_.reset();
    if (!path_.empty()) {  // nothing was measured: leave no Run behind
      std::error_code ignored;
      std::filesystem::remove(path_, ignored);
      std::filesystem::remove(spans_path_, ignored);
    }
    path_.clear();
    return begun;
  }
  running_ = true;
  rest();
  run_span_.id = run_span_id;
  run_span_.kind = SpanKind::run;
  run_span_.name = options_.name;
  run_span_.status = SpanStatus::unfinished;
  run_span_.pid = options_.pid;
  session_->tick_now();
  run_span_.interval.begin = run_span_.interval.end = machine_->now();
  session_->add(run_span_);
  survey();
  return {};
}

void ThreadMeter::conclude() {
  run_span_.interval.end = machine_->now();
  run_span_.status = SpanStatus::ok;
  session_->add(run_span_);
  surveyor_ = std::jthread();
  session_->settle(milliseconds(250));
  session_->stop_sampling();
  if (session_->stuck()) {  // a thread is still inside of them
    (void)machine_.release();
    (void)less_own_.release();
  }
  const auto learned = passports_->conclude(session_->channels(), session_->groups());
  for (const ChannelPassport& passport : learned.passports) session_->add(passport);
  for (const Event& drift : learned.drifts) session_->add(drift);
  for (const Unavailable& missing : learned.unavailable) session_->add(missing);
  session_->add(Total{"target", "wall_s", run_span_.interval.length().seconds().value(), "monotonic clock"});
  followers_.finish(std::nullopt);
  if (machine_)
    for (const Total& truth : app::true_joules(*machine_, session_->channels(), run_span_.interval))
      session_->add(truth);
  (void)session_->finish(RunState::complete);  // fail_with() has heard of it
}

Result<void> ThreadMeter::stop() {
  if (!running_) return {};
  running_ = false;
  const NoSignals while_threads_end;
  conclude();
  session_.reset();
  const std::scoped_lock lock(failure_mutex_);
  if (failure_) return Unexpected<Error>(*failure_);
  return {};
}

}  // namespace

Result<std::unique_ptr<Meter>> make_thread_meter(MeterOptions options) {
  if (options.pid != ::getpid())
    return fail(ErrorCode::usage, "a meter in threads measures the program that it is in", "pid",
                "Leave pid 0, or take mode PRONY_METER_PROCESS.");
  auto meter = std::make_unique<ThreadMeter>(std::move(options));
  if (auto ready = meter->prepare(); !ready) return Unexpected<Error>(ready.error());
  return meter;
}

}  // namespace prony::library
