#include "app/followers.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "process/drm_users.hpp"

namespace prony::app {

namespace {

constexpr std::int64_t nobody = -1;  // no process has this number

// Without the machine's cycles those of targets are a part of nothing.
bool counts_cycles(const SensorSet& sensors) {
  return std::ranges::any_of(sensors.sensors, [](const auto& sensor) {
    return std::ranges::any_of(sensor->channels(), [](const Channel& channel) {
      return channel.scope == Scope::host && channel.measure == Measure::count && channel.domain == "cycles";
    });
  });
}

// Graphics processors whose energy is measured, and whose users the kernel tells.
std::vector<DrmDomain> cards_of(const SensorSet& sensors) {
  std::vector<DrmDomain> cards;
  for (const auto& sensor : sensors.sensors)
    for (const Channel& channel : sensor->channels())
      if ((channel.sensor == "amdgpu" || channel.sensor == "intel-gpu") && gives_energy(channel) && !channel.part_of)
        cards.push_back({channel.device, channel.domain});
  return cards;
}

}  // namespace

Result<Followers> Followers::create(const RecordOptions& options, const FollowersFor& use, const SensorSet& sensors,
                                    Machine& measured, Machine& live) {
  const auto rung = tree_rung_from(options.tree);
  if (!rung)
    return fail(ErrorCode::usage, "'" + printable(options.tree, 40) + "' is no way to follow a process tree", "--tree",
                "It may be automatic, cgroup, exit-events, subreaper or polling.");
  Followers followers;
  followers.inside_program_ = use.inside_program;
  if (use.command) {
    auto tree = ProcessTree::create(live, *rung);
    if (!tree) return Unexpected<Error>(tree.error());
    followers.tree_ = std::move(*tree);
  }
  const bool each_process = use.writes_run && options.targets.each_process();
  if (!options.targets.choices.empty() || each_process) {
    FollowOptions follow;
    follow.each_process = each_process;
    follow.tells_processes = use.writes_run;
    follow.sparing = use.monitor;
    follow.ticks = use.ticks;
    if (use.inside_program) follow.own_pid = nobody;
    Machine& usual = measured.kind() == MachineKind::simulated ? live : measured;
    Machine& where = use.processes != nullptr ? *use.processes : usual;
    auto follower = ProcessFollower::create(where, options.targets.choices, std::move(follow));
    if (!follower) return Unexpected<Error>(follower.error());
    followers.follower_ = std::move(*follower);
  }
  if (counts_cycles(sensors)) followers.count_cycles(options, measured, live);
  return followers;
}

void Followers::watch_devices(Machine& measured, SensorSet& sensors) {
  std::vector<DeviceUsers*> devices;
  for (const auto& sensor : sensors.sensors)
    if (auto* users = dynamic_cast<DeviceUsers*>(sensor.get())) devices.push_back(users);
  if (!tree_ && !follower_) return;
  if (measured.kind() == MachineKind::live) cards_ = make_drm_users(measured, cards_of(sensors));
  for (const auto& card : cards_) devices.push_back(card.get());
  if (devices.empty()) return;
  DeviceUseOptions options;
  const bool followed = follower_ && !follower_->targets().empty();
  if (tree_) options.targets.emplace_back(followed ? std::string(command_target) : std::string());
  if (followed)
    for (const Target& target : follower_->targets()) options.targets.push_back(target.name);
  if (options.targets.empty()) return;
  options.own_pid = inside_program_ ? nobody : ::getpid();
  // The command's tree first: whoever is in it belongs to no other target.
  options.target_of = [tree = tree_.get(), follower = follower_.get()](std::int64_t pid) -> std::optional<std::size_t> {
    if (tree != nullptr && tree->holds(pid)) return 0;
    if (follower == nullptr) return std::nullopt;
    const auto target = follower->target_of(pid);
    return target ? std::optional(*target + (tree != nullptr ? 1U : 0U)) : std::nullopt;
  };
  devices_ = DeviceUseByTarget::create(measured, devices, std::move(options), sensors.unavailable);
}

void Followers::count_cycles(const RecordOptions& options, Machine& measured, Machine& live) {
  const auto give_up = [this](std::string why, std::string fix = {}) {
    unavailable_.push_back({"target.cycles", std::move(why), std::move(fix)});
  };
  if (measured.kind() == MachineKind::simulated && &measured != &live)
    return give_up("processes run on this machine, whose cycles are not those of the simulated one");
  if (options.machine.procfs != "/proc")
    return give_up("perf events go by this machine's process numbers, which --procfs need not show");
  const auto is_all = [](const TargetChoice& choice) { return choice.kind == SelectorKind::all; };
  if (std::ranges::any_of(options.targets.choices, is_all))
    return give_up("--all: every process would need perf events of its own");
  std::vector<Target> targets;
  if (tree_) targets.push_back({std::string(command_target), ""});
  if (follower_) targets.insert(targets.end(), follower_->targets().begin(), follower_->targets().end());
  auto counts = TargetCounts::create(measured, targets);
  if (!counts) return give_up(counts.error().what, counts.error().fix);
  counts_ = std::move(*counts);
  if (follower_)
    follower_->tell_members_to([counts = counts_.get()](auto members) { counts->see(members); }, tree_ ? 1 : 0);
}

std::vector<Sensor*> Followers::watchers() {
  std::vector<Sensor*> sensors;
  if (tree_) sensors.push_back(&tree_->sensor());
  if (follower_) sensors.push_back(&follower_->sensor());
  if (devices_) sensors.push_back(devices_.get());
  if (counts_) sensors.push_back(counts_.get());
  return sensors;
}

void Followers::describe(Manifest& manifest) const {
  manifest.unavailable.insert(manifest.unavailable.end(), unavailable_.begin(), unavailable_.end());
  if (tree_) {
    manifest.set("target.rung", std::string(to_string(tree_->rung())), "prony");
    if (!tree_->why_not_better().empty()) manifest.set("target.why_not_better", tree_->why_not_better(), "prony");
  }
  if (!follower_) return;
  manifest.set("targets.rung", follower_->rung(), "prony");
  if (const auto why = follower_->why_not_better(); !why.empty()) manifest.set("targets.why_not_better", why, "prony");
}

std::vector<std::string> Followers::waited_for() const {
  std::vector<std::string> words;
  if (!follower_) return words;
  for (const Unavailable& missing : follower_->unavailable())
    if (std::ranges::any_of(follower_->targets(),
                            [&](const Target& target) { return missing.subject == "target." + target.name; }))
      words.push_back("so far " + printable(missing.reason, 400) +
                      (missing.remedy.empty() ? "" : "\n       " + printable(missing.remedy, 400)));
  return words;
}

void Followers::connect(Session& session) {
  session_ = &session;
  if (!follower_) return;
  carrier_ = std::make_unique<FollowCarrier>(*follower_, session);
  session.on_carry([carrier = carrier_.get()] { carrier->carry(); });
}

void Followers::prepare(SpawnOptions& command) {
  if (tree_) tree_->prepare(command);
}

void Followers::attach(const Child& command) {
  if (!tree_) return;
  tree_->attach(command);
  if (counts_) (void)counts_->follow_command(0, command.pid());
  if (follower_) follower_->exclude_command(tree_->guard_target());
}

GuardTarget Followers::guard_target() const { return tree_ ? tree_->guard_target() : GuardTarget{}; }

void Followers::begin() {
  if (carrier_) carrier_->begin(tree_ != nullptr);
}

void Followers::turn_over(bool before) {
  if (!carrier_) return;
  if (!before) carrier_->begin(tree_ != nullptr);
  carrier_->restate();
}

std::vector<std::string> Followers::selected() const {
  std::vector<std::string> names;
  if (follower_)
    for (const Target& target : follower_->targets()) names.push_back(target.name);
  return names;
}

void Followers::survey() {
  if (tree_) tree_->survey();
  if (follower_) follower_->survey();
}

void Followers::look() {
  if (follower_) follower_->look_now();
}

void Followers::finish(const std::optional<ExitStatus>& exit) {
  if (carrier_) carrier_->finish();
  if (devices_)
    for (const Fact& fact : devices_->facts()) session_->add(fact);
  if (tree_) add_tree_totals(exit);
  if (counts_)
    for (const Unavailable& missing : counts_->unavailable()) session_->add(missing);
}

void Followers::add_tree_totals(const std::optional<ExitStatus>& exit) {
  const TreeUsage usage = tree_->finish(exit.value_or(ExitStatus{}));
  const std::string method(to_string(tree_->rung()));
  const auto total = [&](const char* name, double value) { session_->add(Total{"target", name, value, method}); };
  const auto maybe = [&](const char* name, const std::optional<std::uint64_t>& value) {
    if (value) total(name, static_cast<double>(*value));
  };
  total("cpu_user_s", usage.cpu_user_s);
  total("cpu_system_s", usage.cpu_system_s);
  if (usage.cpu_unattributed_s) total("cpu_unattributed_s", *usage.cpu_unattributed_s);
  if (usage.rss_peak_bytes > 0) total("rss_peak_bytes", static_cast<double>(usage.rss_peak_bytes));
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
  if (exit) session_->add(Total{"target", "exit_code", static_cast<double>(exit->shell_code()), "wait"});
  if (exit && exit->signal != 0)
    session_->add(Total{"target", "exit_signal", static_cast<double>(exit->signal), "wait"});
  for (const Unavailable& missing : usage.unavailable) session_->add(missing);
  for (ProcessRecord process : tree_->processes()) {
    if (follower_) process.target = command_target;
    session_->add(process);
  }
}

}  // namespace prony::app
