#include "app/session.hpp"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "app/span_watch.hpp"
#include "attribute/clock_factor.hpp"
#include "base/text.hpp"
#include "process/proc_files.hpp"
#include "sensors/report.hpp"
#include "sensors/supplies.hpp"
#include "sensors/wall.hpp"

namespace prony::app {

namespace {

// How long what was measured may lie in memory: kill -9 loses less than a second. A lane that begins a block wakes
// nobody, so the wait is longer than the age at which a block is taken: one wake-up finds it old enough.
constexpr Duration carry_wait = milliseconds(700), carry_age = milliseconds(600);
constexpr Duration look_every = milliseconds(100);    // at spans, once there can be any; at temperatures and the budget
constexpr Duration flush_every = milliseconds(1000);  // where ticks are rarer than that

std::vector<std::string> catalogue_names() {
  std::vector<std::string> names;
  for (const SensorRow& row : sensor_catalogue()) names.emplace_back(row.name);
  return names;
}

Result<std::vector<std::string>> chosen_names(const std::string& only) {
  const std::vector<std::string> known = catalogue_names();
  std::vector<std::string> chosen;
  for (const std::string_view part : split(only, ',')) {
    const std::string name(trim(part));
    if (name.empty()) continue;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const auto near = nearest_name(name, known);
      return fail(ErrorCode::usage, "no sensor is called '" + printable(name, 40) + "'", "--sensors",
                  near ? "Did you mean '" + *near + "'? `prony sensors` lists them." : "`prony sensors` lists them.");
    }
    chosen.push_back(name);
  }
  return chosen;
}

bool reads_clocks(const SensorSet& set) {
  return std::ranges::any_of(set.sensors, [](const auto& sensor) {
    return std::ranges::any_of(sensor->channels(), attribution::is_cpu_clock);
  });
}

void sleep_for(Duration duration) { std::this_thread::sleep_for(std::chrono::nanoseconds(duration.ns)); }

}  // namespace

Result<SensorSet> open_sensors(Machine& machine, const std::string& only, const SensorOptions& options) {
  const auto chosen = chosen_names(only);
  if (!chosen) return Unexpected<Error>(chosen.error());
  SensorSet set;
  bool energy = false;
  for (const SensorRow& row : sensor_catalogue()) {
    const bool asked = std::find(chosen->begin(), chosen->end(), row.name) != chosen->end();
    if (!chosen->empty() && !asked) continue;
    if (row.stand_in && energy && !asked) continue;
    SensorOptions now = options;
    now.clocks = reads_clocks(set);
    Probe probe = row.make(machine, now);
    if (unnamed_meter(machine, row.name) && !asked) continue;
    set.unavailable.insert(set.unavailable.end(), probe.unavailable.begin(), probe.unavailable.end());
    set.unavailable.insert(set.unavailable.end(), probe.notes.begin(), probe.notes.end());
    if (!probe.sensor) continue;
    for (Fact& fact : probe.facts)
      set.facts.push_back({std::string(row.name) + "." + fact.key, std::move(fact.value), std::move(fact.origin)});
    set.within.insert(set.within.end(), probe.within.begin(), probe.within.end());
    energy = energy || measures_cpu_energy(probe.sensor->channels(), probe.doubted);
    set.sensors.push_back(std::move(probe.sensor));
    for (auto& sensor : probe.more) {
      energy = energy || measures_cpu_energy(sensor->channels(), probe.doubted);
      set.sensors.push_back(std::move(sensor));
    }
  }
  if (const MeterPort* port = meter_port(machine)) join_supplies(port->meters(), set.sensors, set.unavailable);
  return set;
}

Session::Session(Machine& machine, SensorSet sensors, std::vector<Sensor*> watchers, Duration interval)
    : machine_(machine), set_(std::move(sensors)), watchers_(std::move(watchers)) {
  const auto lane_of = [&](const Sensor& sensor) -> LanePlan& {
    std::string name(to_string(sensor.lane()));
    // One that hangs takes no other with it, but those that say that they belong together.
    const bool own = sensor.lane() == LaneKind::blocking && sensor.lane_name().empty();
    if (own && !sensor.channels().empty()) name = sensor.channels().front().sensor;
    if (!sensor.lane_name().empty()) name = sensor.lane_name();
    if (sensor.home_cpu()) name += "@cpu" + std::to_string(*sensor.home_cpu());
    const auto named = [&](const std::string& wanted) { return std::ranges::find(lanes_, wanted, &LanePlan::name); };
    if (const auto found = named(name); found != lanes_.end() && !own) return *found;
    for (int n = 2; own && named(name) != lanes_.end(); ++n)
      name = name.substr(0, name.find('#')) + "#" + std::to_string(n);
    const Duration lane_interval = sensor.lane() == LaneKind::fast ? interval : std::max(interval, sensor.pace());
    LanePlan lane;
    lane.name = name;
    lane.interval = lane_interval;
    lane.cpu = sensor.home_cpu();
    lane.group = Group{GroupId{static_cast<std::uint32_t>(lanes_.size())}, name, lane_interval, {}};
    lanes_.push_back(std::move(lane));
    return lanes_.back();
  };
  const auto add_sensor = [&](Sensor& sensor) {
    const auto first = static_cast<std::uint32_t>(channels_.size());
    LanePlan& lane = lane_of(sensor);
    lane.sensors.push_back(&sensor);
    for (Channel channel : sensor.channels()) {
      channel.id = ChannelId{static_cast<std::uint32_t>(channels_.size())};
      if (channel.part_of) channel.part_of = ChannelId{first + channel.part_of->value};
      lane.group.channels.push_back(channel.id);
      channels_.push_back(std::move(channel));
    }
  };
  for (Sensor* watcher : watchers_) add_sensor(*watcher);
  for (const auto& sensor : set_.sensors) add_sensor(*sensor);
  resolve_within(set_.within, channels_);
  place_behind_the_wall(channels_);
  for (const LanePlan& lane : lanes_) groups_.push_back(lane.group);
  last_power_.resize(channels_.size());
  sampler_ = Sampler::create(machine_, lanes_);
}

Session::~Session() {
  if (carrier_.joinable()) {
    carrier_.request_stop();
    carrier_.join();
  }
  sampler_->stop();
  note_stuck();
  if (stuck_) (void)new SensorSet(std::move(set_));  // left behind with the thread that is inside of one
}

void Session::note_stuck() {
  for (const LaneStats& lane : sampler_->stats()) stuck_ = stuck_ || lane.stuck;
}

void Session::control(ControlOptions options) { control_.emplace(machine_, lanes_, channels_, std::move(options)); }

Manifest Session::with_unavailable(const Manifest& manifest) const {
  Manifest whole = manifest;
  whole.unavailable.insert(whole.unavailable.end(), set_.unavailable.begin(), set_.unavailable.end());
  whole.facts.insert(whole.facts.end(), set_.facts.begin(), set_.facts.end());
  return whole;
}

void Session::show(const TickBlock& block) {
  for (const auto& see : see_) see(block);
}

Result<void> Session::start(std::unique_ptr<Recorder> recorder, const Manifest& manifest) {
  recorder_ = std::move(recorder);
  if (recorder_)
    if (auto begun = recorder_->begin(with_unavailable(manifest), channels_, groups_, machine_.anchor()); !begun)
      return begun;
  if (auto started = sampler_->start(); !started) return started;
  carrier_ = std::jthread([this](const std::stop_token& stop) { carry(stop); });
  ::pthread_setname_np(carrier_.native_handle(), "prony-carrier");
  return {};
}

void Session::record_failure(const Error& error) {
  if (failed_.exchange(true)) return;
  Error said = error;
  said.what = "recording has stopped: " + said.what;
  if (said.fix.empty()) said.fix = "What was recorded so far can be read. The command goes on, unmeasured.";
  if (tell_failure_) return tell_failure_(said);
  print_error(said);
}

template <class F>
void Session::write(F&& call) {
  const std::scoped_lock lock(recorder_mutex_);
  if (failed_ || !recorder_) return;
  if (auto done = call(*recorder_); !done) record_failure(done.error());
}

bool Session::carry_one(Duration wait, Duration max_age) {
  auto block = sampler_->take(wait, max_age);
  if (!block) return false;
  write([&](Recorder& recorder) { return recorder.append(*block); });
  show(*block);
  sampler_->recycle(std::move(block));
  return true;
}

// One wake-up for all lanes.
bool Session::carry_all(Duration wait) {
  if (!carry_one(wait, carry_age)) return false;
  for (std::size_t others = 1; others < lanes_.size() && carry_one(Duration{0}, Duration{0});) ++others;
  return true;
}

void Session::carry(const std::stop_token& stop) {
  Instant next_anchor = machine_.now() + milliseconds(10'000);
  Instant next_flush = machine_.now() + flush_every;
  SpanWatch spans(recorder_.get(), *sampler_);
  while (!stop.stop_requested()) {
    const bool carried = carry_all(spans.may_come() || control_ ? look_every : carry_wait);
    if (carried)
      for (const auto& act : on_carry_) act();
    if (turned_) spans.stop();
    if (!stop.stop_requested()) spans.look();
    if (spans.may_come()) write([](Recorder& recorder) { return recorder.drain_spans(); });
    if (control_) control_->look(*sampler_, [this](const Event& event) { add(event); });
    const Instant now = machine_.now();
    if (carried || now >= next_flush) {
      complain();
      write([](Recorder& recorder) { return recorder.flush(); });
      next_flush = now + flush_every;
    }
    if (now >= next_anchor) {
      write([&](Recorder& recorder) { return recorder.add_anchor(machine_.anchor()); });
      next_anchor = now + milliseconds(10'000);
    }
  }
  timespec used{};
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0)
    carrier_cpu_ = Duration{std::int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec};
}

void Session::complain_of(Sensor& sensor) {
  for (const Event& change : sensor.changes()) add(change);
  for (const Unavailable& complaint : sensor.complaints()) {
    if (std::find(complained_.begin(), complained_.end(), complaint.subject) != complained_.end()) continue;
    complained_.push_back(complaint.subject);
    add(Event{machine_.now(), "sensor-lost", complaint.subject, complaint.reason});
    add(complaint);
  }
}

void Session::complain() {
  for (Sensor* watcher : watchers_) complain_of(*watcher);
  for (const auto& sensor : set_.sensors) complain_of(*sensor);
}

void Session::rest_lanes() {
  for (const LanePlan& lane : lanes_) sampler_->set_interval(lane.group.id, milliseconds(24LL * 3'600'000));
}
void Session::wake_lanes() {
  for (const LanePlan& lane : lanes_) sampler_->set_interval(lane.group.id, lane.interval);
}

void Session::settle(Duration limit) {
  const Instant end = machine_.now() + limit;
  sampler_->tick_now();
  struct Watched {
    GroupId group;
    std::size_t position;
    std::int64_t raw;
  };
  std::vector<Watched> waiting;
  for (const LanePlan& lane : lanes_) {
    if (lane.interval > limit) continue;  // nothing new of it would come in time
    Instant at;
    const std::vector<Reading> readings = sampler_->latest(lane.group.id, at);
    for (std::size_t i = 0; i < readings.size(); ++i) {
      const Channel& channel = channels_[lane.group.channels[i].value];
      const bool counts = channel.measure == Measure::energy && channel.kind == ChannelKind::counter;
      if (counts && readings[i].quality != Quality::gap) waiting.push_back({lane.group.id, i, readings[i].raw});
    }
  }
  Duration shortest = milliseconds(50);  // nothing can be new before some lane's next tick
  for (const LanePlan& lane : lanes_)
    if (lane.interval <= limit) shortest = std::min(shortest, lane.interval);
  while (!waiting.empty() && machine_.now() < end) {
    sleep_for(std::max(milliseconds(1), Duration{shortest.ns / 4}));
    std::erase_if(waiting, [&](const Watched& watched) {
      Instant at;
      const std::vector<Reading> readings = sampler_->latest(watched.group, at);
      return readings[watched.position].raw != watched.raw || readings[watched.position].quality == Quality::gap;
    });
  }
}

void Session::stop_sampling() {
  if (carrier_.joinable()) carrier_.request_stop();  // first: the end of the lanes wakes it
  sampler_->stop();
  note_stuck();
  if (carrier_.joinable()) carrier_.join();
  while (true) {
    auto block = sampler_->take(Duration{0}, Duration{0});
    if (!block) break;
    write([&](Recorder& recorder) { return recorder.append(*block); });
    show(*block);
    sampler_->recycle(std::move(block));
  }
  complain();
  write([](Recorder& recorder) { return recorder.drain_spans(); });
  write([&](Recorder& recorder) { return recorder.add_anchor(machine_.anchor()); });
}

Result<std::unique_ptr<Recorder>> Session::turn_over(std::unique_ptr<Recorder> next, const Manifest& manifest,
                                                     std::span<const TickBlock> edge) {
  const Anchor anchor = machine_.anchor();
  if (auto begun = next->begin(with_unavailable(manifest), channels_, groups_, anchor); !begun)
    return Unexpected<Error>(begun.error());
  for (const TickBlock& ticks : edge)
    if (auto written = next->append(ticks); !written) return Unexpected<Error>(written.error());
  const std::scoped_lock lock(recorder_mutex_);
  if (recorder_ && !failed_)
    if (auto added = recorder_->add_anchor(anchor); !added) print_note(added.error().what);
  sampler_->also_wait_for(-1);  // the descriptor goes with the file before
  turned_ = true;
  std::swap(recorder_, next);
  failed_ = false;  // another file: the disk may have room again
  return next;
}

std::uint64_t Session::bytes_written() {
  const std::scoped_lock lock(recorder_mutex_);
  return recorder_ ? recorder_->bytes_written() : 0;
}

void Session::add_own_totals(const std::vector<LaneStats>& lanes) {
  if (inside_program_) {
    Duration threads = carrier_cpu_;
    for (const LaneStats& lane : lanes) threads = threads + lane.cpu;
    return add(Total{"prony", "cpu_s", threads.seconds().value(), "clocks of the threads that sample and write"});
  }
  // Not getrusage: its peak counts in whoever started us, up to exec.
  if (const auto peak = read_peak_resident_bytes(::getpid()))
    add(Total{"prony", "rss_peak_bytes", static_cast<double>(*peak), "VmHWM"});
  // The last thing before the file is closed: what comes after (compaction, printing) is not part of any window.
  add(Total{"prony", "cpu_s", machine_.own_cpu_time().seconds().value(), "process clock"});
}

bool Session::finish(RunState state) {
  for (const LaneStats& lane : sampler_->stats()) {
    const std::string subject = "sampler." + lane.name;
    const auto total = [&](const char* name, double value) { add(Total{subject, name, value, "counted"}); };
    total("ticks", static_cast<double>(lane.ticks));
    total("missed", static_cast<double>(lane.missed));
    total("late", static_cast<double>(lane.late));
    total("dropped", static_cast<double>(lane.dropped));
    add(Total{subject, "cpu_s", lane.cpu.seconds().value(), "thread clock"});
    add(Total{subject, "worst_lateness_s", lane.worst_lateness.seconds().value(), "monotonic clock"});
  }
  add_own_totals(sampler_->stats());
  const std::scoped_lock lock(recorder_mutex_);
  if (!recorder_) return true;  // nothing was to be written
  if (auto closed = recorder_->close(failed_ ? RunState::interrupted : state); !closed && !failed_) {
    record_failure(closed.error());
  }
  return !failed_;
}

void Session::add(const Span& span) {
  write([&](Recorder& recorder) { return recorder.add_span(span); });
}
void Session::add(const Event& event) {
  write([&](Recorder& recorder) { return recorder.add_event(event); });
}
void Session::add(const Total& total) {
  write([&](Recorder& recorder) { return recorder.add_total(total); });
}
void Session::add(const Fact& fact) {
  write([&](Recorder& recorder) { return recorder.add_fact(fact); });
}
void Session::add(const ProcessRecord& process) {
  write([&](Recorder& recorder) { return recorder.add_process(process); });
}
void Session::add(const ProcessLook& look) {
  write([&](Recorder& recorder) { return recorder.append(look); });
}
void Session::add(const Target& target) {
  write([&](Recorder& recorder) { return recorder.add_target(target); });
}
void Session::add(const ChannelPassport& passport) {
  write([&](Recorder& recorder) { return recorder.add_passport(passport); });
}
void Session::add(const Unavailable& unavailable) {
  write([&](Recorder& recorder) { return recorder.add_unavailable(unavailable); });
}

std::optional<double> Session::watts_of(const Channel& channel, const Reading& reading, Instant at) {
  const double value = static_cast<double>(reading.raw) * channel.scale;
  auto& [last_at, last_value] = last_power_[channel.id.value];
  const double seconds = (at - last_at).seconds().value();
  const bool known = last_at.ns != 0 && seconds > 0 && value >= last_value;  // smaller: a wrap or a restart; next time
  const double rate = known ? (value - last_value) / seconds : 0;
  last_at = at;
  last_value = value;
  if (channel.kind == ChannelKind::gauge) return value;
  if (!known) return std::nullopt;
  if (!channel.model) return rate;
  const double load = std::clamp(rate / channel.model->cpus, 0.0, 1.0);
  return (channel.model->idle + load * (channel.model->full - channel.model->idle)).value();
}

// The headline's rule: domains of known coverage add up; of those that may overlap only the largest counts; modelled
// power only where nothing is measured. A sum that lacks one of its domains is not told.
double Session::watts_now(figures::Mark& mark) {
  double sum_w = 0, largest_w = -1, modelled_w = -1;
  bool any_sum = false, whole = true;
  Origin origin = Origin::modelled;  // of modelled_w
  for (const LanePlan& lane : lanes_) {
    Instant at;
    const std::vector<Reading> readings = sampler_->latest(lane.group.id, at);
    for (std::size_t i = 0; i < readings.size(); ++i) {
      const Channel& channel = channels_[lane.group.channels[i].value];
      const bool top = gives_energy(channel) && channel.scope == Scope::host && !channel.part_of;
      if (!top) continue;
      const auto watts = readings[i].quality == Quality::gap ? std::nullopt : watts_of(channel, readings[i], at);
      if (channel.model || channel.origin == Origin::modelled) {
        const double here_w = watts.value_or(-1);
        if (here_w <= modelled_w) continue;
        modelled_w = here_w;
        origin = channel.origin;
      } else if (channel.coverage_known) {
        any_sum = true;
        whole = whole && watts.has_value();
        sum_w += watts.value_or(0);
      } else {
        if (watts.value_or(-1) > 0) largest_w = std::max(largest_w, *watts);  // a battery at rest feeds no machine
      }
    }
  }
  // No processor draws nothing: counters that stand still measure nothing, and where power is modelled it is told.
  const bool still = whole && sum_w <= 0;
  const bool modelled = (!any_sum || still) && largest_w < 0 && modelled_w >= 0;
  mark = !modelled                    ? figures::Mark::unmarked
         : origin == Origin::modelled ? figures::Mark::modelled
                                      : figures::Mark::derived;
  if (modelled) return modelled_w;
  if (any_sum && !(still && largest_w >= 0)) return whole ? sum_w : -1;
  return largest_w >= 0 ? largest_w : modelled_w;
}

}  // namespace prony::app
