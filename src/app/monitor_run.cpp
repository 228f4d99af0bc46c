#include "app/monitor_run.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <semaphore>
#include <thread>

#include "app/followers.hpp"
#include "app/frame_maker.hpp"
#include "app/kept.hpp"
#include "app/meter_options.hpp"
#include "app/passports.hpp"
#include "app/record_request.hpp"
#include "app/run_files.hpp"
#include "app/session.hpp"
#include "app/signals.hpp"
#include "app/sink_runner.hpp"
#include "base/text.hpp"
#include "machine/meter_port.hpp"
#include "process/guard.hpp"
#include "sensors/engine_metrics.hpp"
#include "sensors/machine_facts.hpp"
#include "sinks/stream.hpp"

namespace prony::app {

namespace {

constexpr Duration least_frame = milliseconds(100);
constexpr Duration sink_patience = milliseconds(5'000);

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string("unknown");
}

class Monitor {
 public:
  explicit Monitor(MonitorPlan plan) : plan_(std::move(plan)) {}
  [[nodiscard]] Result<void> watch();

 private:
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<void> open_machine_and_sensors();
  [[nodiscard]] Result<void> open_sinks();
  void leave_out(SensorSet& sensors) const;
  [[nodiscard]] Result<void> add_engines(SensorSet& sensors);
  void connect();
  void make_frames(Machine& clock, bool last);
  void wait_for_the_end();
  void conclude();
  void report(const std::vector<SinkRunner::Account>& accounts) const;

  MonitorPlan plan_;
  RecordTimes times_;
  Metrics metrics_;
  std::vector<SinkSpec> specs_;
  std::unique_ptr<Machine> machine_, live_;
  SensorSet sensors_;
  Followers followers_;
  Manifest manifest_;
  std::optional<PassportKeeper> passports_;
  std::unique_ptr<RunFiles> run_files_;
  std::unique_ptr<FrameMaker> frames_;
  std::unique_ptr<Session> session_;
  std::vector<std::unique_ptr<SinkRunner>> runners_;
  std::uint64_t frames_made_ = 0;
  Instant began_;
  SignalRelay signals_;
  std::binary_semaphore end_{0};
};

// What nobody asked for is not read at all.
void Monitor::leave_out(SensorSet& sensors) const {
  if (metrics_.words.empty()) return;
  std::erase_if(sensors.sensors, [&](const auto& sensor) {
    return std::ranges::none_of(sensor->channels(), [&](const Channel& c) { return metrics_.needs(c); });
  });
}

// The servers' own counters, each in a lane of its own. One that does not answer now is left out with its reason.
Result<void> Monitor::add_engines(SensorSet& sensors) {
  for (const std::string& address : plan_.engines) {
    MeterPort* port = meter_port(*machine_) != nullptr ? meter_port(*machine_) : meter_port(*live_);
    if (port == nullptr) return fail(ErrorCode::unavailable, "this machine reaches no server", "--engine-metrics");
    auto network = port->open_network();
    if (!network) return Unexpected<Error>(network.error());
    const std::string place = address.substr(std::min(address.size(), address.find("://") + 3));
    const std::string name =
        plan_.engines.size() == 1 ? "" : file_name_word(place.substr(0, place.find_first_of("/?#")));
    auto engine = make_engine_metrics(*machine_, std::move(*network), address, name);
    if (!engine) {
      if (engine.error().code == ErrorCode::usage) return Unexpected<Error>(engine.error());
      print_error(engine.error());
      sensors.unavailable.push_back({std::string(engine_sensor) + (name.empty() ? "" : "." + name),
                                     address.substr(0, address.find_first_of("?#")) + ": " + engine.error().what,
                                     engine.error().fix});
      continue;
    }
    sensors.sensors.push_back(std::move(engine->sensor));
    sensors.unavailable.insert(sensors.unavailable.end(), engine->missing.begin(), engine->missing.end());
  }
  return {};
}

Result<void> Monitor::open_machine_and_sensors() {
  const RecordOptions& o = plan_.options;
  auto machine = open_machine(o.machine);
  if (!machine) return Unexpected<Error>(machine.error());
  machine_ = std::move(*machine);
  live_ = make_live_machine();
  if (auto named = name_meters(*machine_, o.meters); !named) return named;
  SensorOptions options{.every_channel = o.every_channel, .wall_estimate = o.wall_estimate};
  options.calibrated = kept_calibration(*machine_, o.machine);
  auto sensors = open_sensors(*machine_, o.sensors, options);
  if (!sensors) return Unexpected<Error>(sensors.error());
  leave_out(*sensors);
  if (auto asked = add_engines(*sensors); !asked) return asked;
  tell_missing_meters(*machine_, sensors->unavailable);
  const bool writes_run = std::ranges::any_of(specs_, [](const SinkSpec& spec) {
    const auto row = find_stream(spec.kind);
    return row && (*row)->make == nullptr;
  });
  auto followers =
      Followers::create(o, {.monitor = times_.interval, .writes_run = writes_run}, *sensors, *machine_, *live_);
  if (!followers) return Unexpected<Error>(followers.error());
  followers_ = std::move(*followers);
  for (const std::string& target : followers_.selected())
    if (target == "others" || target == "prony" || target == "unattributed")
      return fail(ErrorCode::usage, "'" + target + "' is what a monitor calls another part", "NAME=VALUE",
                  "Give this target another name.");
  followers_.watch_devices(*machine_, *sensors);
  sensors_ = std::move(*sensors);
  return {};
}

Result<void> Monitor::prepare() {
  const auto times = record_times(plan_.options);
  if (!times) return Unexpected<Error>(times.error());
  times_ = *times;
  auto metrics = parse_metrics(plan_.metrics);
  if (!metrics) return Unexpected<Error>(metrics.error());
  metrics_ = std::move(*metrics);
  for (const std::string& text : plan_.sinks) {
    auto spec = parse_sink_spec(text);
    if (!spec) return Unexpected<Error>(spec.error());
    if (const auto row = find_stream(spec->kind); !row) return Unexpected<Error>(row.error());
    specs_.push_back(std::move(*spec));
  }
  if (auto opened = open_machine_and_sensors(); !opened) return opened;
  manifest_.set("run.kind", plan_.kind, "prony");
  manifest_.set("run.by", "prony " + (plan_.kind == "watch" ? std::string("monitor") : plan_.kind), "prony");
  manifest_.set("run.started_utc", format_utc(live_->anchor().wall_ns), "machine");
  manifest_.set("prony.version", PRONY_VERSION, "prony");
  manifest_.set("prony.pid", std::to_string(::getpid()), "prony");
  followers_.describe(manifest_);
  for (const Fact& fact : plan_.facts) manifest_.set(fact.key, fact.value, fact.origin);
  describe_machine(*machine_, manifest_);
  describe_simulation(*machine_, manifest_);
  if (auto kept = use_kept(*machine_, manifest_, {false, true}); !kept) return kept;
  if (auto tagged = add_tags(plan_.options.tags, manifest_); !tagged) return tagged;
  session_ = std::make_unique<Session>(*machine_, std::move(sensors_), followers_.watchers(), times_.interval);
  passports_.emplace(*machine_, manifest_, plan_.options.machine);
  passports_->fill(session_->channels_to_fill(), session_->groups(), manifest_);
  FramePlan frames{session_->channels(), session_->groups(), followers_.selected(),
                   std::max(times_.interval, least_frame), metrics_};
  frames_ = std::make_unique<FrameMaker>(std::move(frames));
  return open_sinks();
}

Result<void> Monitor::open_sinks() {
  StreamHead head;
  head.host = host_name();
  head.version = PRONY_VERSION;
  head.wall_ns = machine_->anchor().wall_ns;
  head.interval = std::max(times_.interval, least_frame);
  head.simulated = simulated_name(*machine_);
  head.series = frames_->series();
  for (const SinkSpec& spec : specs_) {
    const auto row = find_stream(spec.kind);
    if (!row) return Unexpected<Error>(row.error());
    if ((*row)->make == nullptr) {
      if (run_files_)
        return fail(ErrorCode::usage, "one Run at a time is recorded", "--sink " + spec.text, "Leave one out.");
      auto files = RunFiles::open(spec, *machine_);
      if (!files) return Unexpected<Error>(files.error());
      run_files_ = std::move(*files);
      continue;
    }
    auto sink = (*row)->make(spec);
    if (!sink) return Unexpected<Error>(sink.error());
    if (auto opened = (*sink)->open(head); !opened) return opened;
    runners_.push_back(
        std::make_unique<SinkRunner>(spec.text, std::move(*sink), [](const std::string& words) { print_note(words); }));
  }
  return {};
}

// All of this is called from the thread that carries ticks.
void Monitor::connect() {
  followers_.connect(*session_);
  session_->show_blocks_to([this](const TickBlock& block) {
    passports_->see(block);
    if (run_files_) run_files_->see(block);
    if (!runners_.empty()) frames_->see(block);
    if (plan_.guest != nullptr) plan_.guest->see(block);
  });
  session_->on_carry([this] {
    if (run_files_) run_files_->turn_if_due();
    if (plan_.guest != nullptr) plan_.guest->carry();
    make_frames(*machine_, false);
  });
}

void Monitor::wait_for_the_end() {
  std::jthread survey([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, stop, std::chrono::seconds(1), [&] { return stop.stop_requested(); }))
      followers_.survey();
  });
  if (times_.length)
    (void)end_.try_acquire_for(std::chrono::nanoseconds(times_.length->ns));
  else
    end_.acquire();
}

void Monitor::make_frames(Machine& clock, bool last) {
  if (runners_.empty()) return;
  frames_->make(clock.anchor(), last, [this](Frame frame) {
    ++frames_made_;
    if (plan_.guest != nullptr) plan_.guest->tell(frame);
    const auto shared = std::make_shared<const Frame>(std::move(frame));
    for (const auto& runner : runners_) runner->offer(shared);
  });
}

void Monitor::conclude() {
  if (plan_.guest != nullptr) {
    plan_.guest->wind_down();
    session_->tick_now();
    session_->settle(milliseconds(250));
  }
  session_->stop_sampling();
  if (session_->stuck()) (void)machine_.release();  // a thread is still inside of it
  Machine& clock = machine_ ? *machine_ : *live_;
  if (plan_.guest != nullptr) plan_.guest->end();
  make_frames(clock, true);
  const auto learned = passports_->conclude(session_->channels(), session_->groups());
  for (const ChannelPassport& passport : learned.passports) session_->add(passport);
  if (run_files_) run_files_->end();
  followers_.finish(std::nullopt);
  (void)session_->finish(RunState::complete);
  std::vector<SinkRunner::Account> accounts;
  for (const auto& runner : runners_) accounts.push_back(runner->finish(sink_patience));
  report(accounts);
}

void Monitor::report(const std::vector<SinkRunner::Account>& accounts) const {
  if (plan_.options.quiet && std::ranges::all_of(accounts, [](const auto& a) { return a.dropped == 0 && !a.hangs; }))
    return;
  for (std::size_t i = 0; i < accounts.size(); ++i) {
    std::string words = runners_[i]->name() + ": " + std::to_string(accounts[i].written) + " of " +
                        std::to_string(frames_made_) + " frames";
    if (accounts[i].dropped > 0) words += ", " + std::to_string(accounts[i].dropped) + " dropped";
    if (accounts[i].hangs) words += "; it hangs and was left behind";
    print_note(words);
  }
  if (run_files_) print_note("run: " + run_files_->path().string() + "  (`prony show` reads it)");
}

Result<void> Monitor::watch() {
  if (auto ready = prepare(); !ready) {
    if (run_files_) run_files_->discard();
    return ready;
  }
  if (!plan_.options.quiet)
    for (const std::string& words : followers_.waited_for()) print_note(words);
  connect();
  signals_.relay([this](int number, bool) {
    if (number != SIGUSR1 && number != SIGUSR2) end_.release();
  });
  if (auto started = session_->start(run_files_ ? run_files_->first() : nullptr, manifest_); !started) return started;
  began_ = machine_->now();
  followers_.begin();
  for (const ChannelPassport& passport : passports_->stored(session_->channels())) session_->add(passport);
  if (run_files_) run_files_->begin(*session_, manifest_, [this](bool before) { followers_.turn_over(before); });
  if (plan_.guest != nullptr)
    plan_.guest->begin(*session_, *machine_, followers_.selected(), [this] { end_.release(); });
  wait_for_the_end();
  conclude();
  return {};
}

}  // namespace

int monitor(MonitorPlan plan) {
  (void)raise_open_file_limit();
  Monitor one(std::move(plan));
  if (const auto watched = one.watch(); !watched) return failed(watched.error());
  return exit_code::ok;
}

}  // namespace prony::app
