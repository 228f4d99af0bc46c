#include "split_rig.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "scripted_proc.hpp"

namespace prony::testing_process {

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t recording_begin_ns = 1000 * second;  // when the recording begins
constexpr std::int64_t step = 10'000'000;                   // births and ends lie on this grid

class TellingEvents final : public LifeEvents {
 public:
  std::string name() const override { return "exit-events"; }
  void read(LifeBatch& batch) override {
    batch.births.insert(batch.births.end(), next.births.begin(), next.births.end());
    batch.ends.insert(batch.ends.end(), next.ends.begin(), next.ends.end());
    next.clear();
  }
  LifeBatch next;
};

class Play {
 public:
  explicit Play(Rig& rig) : rig_(rig) {}
  void run();

 private:
  void give_clock(std::int64_t pid, const Burner& burner);
  void add_others();
  void channels();
  void live(std::size_t index, double t);
  void tick(std::int64_t ns);
  void attribute();

  Rig& rig_;
  ScriptedProc proc_;
  TellingEvents* telling_ = nullptr;
  std::unique_ptr<ProcessFollower> follower_;
  std::vector<std::int64_t> pids_;  // by burner; 0: not born, −1: ended
  std::int64_t next_pid_ = 1000;
  std::vector<Channel> channels_;
  Group group_{GroupId{1}, "fast", Duration{}, {}};
  std::vector<TickBlock> blocks_;
  std::vector<ProcessLook> looks_;
};

void Play::give_clock(std::int64_t pid, const Burner& burner) {
  proc_.machine.set_process(pid, [burner](Instant now) {
    return Duration{std::llround(burner.cpu_s(static_cast<double>(now.ns - recording_begin_ns) * 1e-9) * 1e9)};
  });
}

void Play::add_others() {
  for (int i = 0; i < rig_.others; ++i) {
    proc_.add({.pid = 10 + i, .name = i % 10 == 0 ? "light" : "sleeper"});
    if (i % 10 != 0) continue;
    rig_.burners.push_back({"light", rig_.from_s, rig_.to_s, 0.02, 1, "0::/", true});
    pids_.push_back(10 + i);
    give_clock(10 + i, rig_.burners.back());
  }
}

void Play::live(std::size_t index, double t) {
  const Burner& burner = rig_.burners[index];
  std::int64_t& pid = pids_[index];
  if (pid == 0 && (burner.before || t >= burner.begin)) {
    pid = next_pid_++;
    proc_.add({.pid = pid,
               .parent = burner.parent,
               .name = burner.name,
               .start_ticks = static_cast<std::uint64_t>(200 + pid),
               .cgroup = burner.cgroup});
    if (telling_ != nullptr) telling_->next.births.push_back({burner.parent, pid, pid, proc_.machine.now()});
    give_clock(pid, burner);
  } else if (pid > 0 && !burner.before && t >= burner.end) {
    const std::int64_t cpu_ns = std::llround(burner.cpu_s(burner.end) * 1e9);
    if (telling_ != nullptr) {
      End end{pid, cpu_ns, {}};
      std::ranges::copy(burner.name, end.name.begin());
      telling_->next.ends.push_back(end);
    }
    proc_.use(pid, cpu_ns);
    proc_.end(pid);
    pid = -1;
    for (std::size_t i = 0; i < pids_.size(); ++i)  // what its parent waited for is written anew, with its clock
      if (pids_[i] == burner.parent) give_clock(pids_[i], rig_.burners[i]);
  }
}

void Play::channels() {
  const auto add = [&](Channel channel) {
    channel.id = ChannelId{static_cast<std::uint32_t>(channels_.size() + 1)};
    group_.channels.push_back(channel.id);
    channels_.push_back(std::move(channel));
  };
  Channel energy;
  energy.name = "rapl.package-0.energy", energy.sensor = "rapl", energy.domain = "package-0";
  energy.measure = Measure::energy, energy.kind = ChannelKind::counter, energy.scale = 1e-6, energy.max_rate = 1000;
  add(energy);
  Channel busy;
  busy.name = "cpu.busy", busy.sensor = "cpu", busy.domain = "cpu";
  busy.measure = Measure::cpu_time, busy.kind = ChannelKind::counter, busy.scale = 1e-9;
  add(busy);
  for (const Channel& channel : follower_->sensor().channels()) add(channel);
  group_.interval = Duration{static_cast<std::int64_t>(1e9 / rig_.hertz)};
}

void Play::tick(std::int64_t ns) {
  const double t = static_cast<double>(ns - recording_begin_ns) * 1e-9;
  const auto all = [&](double at) { return rig_.cpu_s("", at); };
  std::vector<Reading> readings(channels_.size());
  readings[0] = {std::llround((rig_.idle_w * t + rig_.joules(all, 0, t)) * 1e6), Quality::ok};
  readings[1] = {std::llround(all(t) * 1e9), Quality::ok};
  follower_->sensor().read(std::span(readings).subspan(2));
  if (blocks_.empty() || blocks_.back().full()) blocks_.emplace_back(group_.id, channels_.size(), 512);
  blocks_.back().push(Instant{ns}, Instant{ns}, readings);
  follower_->take_looks(looks_);
}

void Play::attribute() {
  std::vector<Span> spans(3);
  const auto interval = [](double from, double to) {
    return Interval{{recording_begin_ns + std::llround(from * 1e9)}, {recording_begin_ns + std::llround(to * 1e9)}};
  };
  spans[0].id = SpanId{1}, spans[0].kind = SpanKind::run, spans[0].interval = interval(rig_.from_s, rig_.to_s);
  spans[1].id = SpanId{2}, spans[1].kind = SpanKind::phase, spans[1].name = phase::baseline_before;
  spans[1].interval = interval(0, rig_.from_s);
  spans[2].id = SpanId{3}, spans[2].kind = SpanKind::phase, spans[2].name = phase::baseline_after;
  spans[2].interval = interval(rig_.to_s, rig_.length_s);
  if (rig_.idle_w == 0) spans.resize(1);
  const std::vector<Group> groups = {group_};
  AttributionOptions options;
  options.idle_to = rig_.idle_to;
  for (const Target& target : follower_->targets()) options.targets.push_back(target.name);
  Attribution attribution(channels_, groups, spans, options);
  for (const TickBlock& block : blocks_) attribution.push(block);
  for (const ProcessLook& look : looks_) attribution.push(look);
  attribution.know(rig_.records);
  rig_.ledger = attribution.finish();
}

void Play::run() {
  proc_.machine.set_now({recording_begin_ns});
  pids_.assign(rig_.burners.size(), 0);
  add_others();
  for (std::size_t i = 0; i < rig_.burners.size(); ++i)
    if (rig_.burners[i].before) live(i, 0);
  std::vector<TargetChoice> choices;
  for (const auto& [kind, text] : rig_.targets) {
    auto choice = parse_target_choice(kind, text);
    ASSERT_TRUE(choice) << choice.error().what;
    choices.push_back(*choice);
  }
  FollowOptions options;
  options.own_pid = 999'999;
  options.each_process = rig_.each_process;
  if (rig_.events) {
    auto telling = std::make_unique<TellingEvents>();
    telling_ = telling.get();
    options.events = std::move(telling);
  }
  auto made = ProcessFollower::create(proc_.machine, std::move(choices), std::move(options));
  ASSERT_TRUE(made) << made.error().what;
  follower_ = std::move(*made);
  channels();
  const std::int64_t end = recording_begin_ns + std::llround(rig_.length_s * 1e9);
  for (std::int64_t now = recording_begin_ns; now <= end; now += step) {
    proc_.machine.set_now({now});
    for (std::size_t i = 0; i < rig_.burners.size(); ++i) live(i, static_cast<double>(now - recording_begin_ns) * 1e-9);
    if ((now - recording_begin_ns) % group_.interval.ns == 0) tick(now);
  }
  follower_->look_now();
  follower_->take_looks(looks_);
  rig_.records = follower_->processes();
  rig_.unavailable = follower_->unavailable();
  attribute();
}

}  // namespace

void Rig::run() { Play(*this).run(); }

void expect_sum(const Rig& rig) {
  const ChannelLedger& row = rig.package();
  double sum = row.unattributed.value + (row.idle ? row.idle->value : 0) + (row.prony ? row.prony->value : 0);
  sum += row.foreign->value;
  for (const TargetEnergy& target : row.targets) sum += target.charged->value;
  EXPECT_NEAR(sum, row.recorded.value, 1e-9 * row.recorded.value);
}

}  // namespace prony::testing_process
