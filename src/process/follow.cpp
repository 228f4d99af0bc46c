#include "process/follow.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/text.hpp"
#include "base/thread_priority.hpp"
#include "process/look_pace.hpp"
#include "process/nearby.hpp"
#include "process/process_table.hpp"

namespace prony {

namespace {

constexpr std::size_t most_looks = 128;  // that wait to be taken

Channel target_channel(std::uint32_t id, const std::string& target, const char* leaf, Measure measure,
                       ChannelKind kind) {
  Channel channel;
  channel.id = ChannelId{id};
  channel.name = "target." + target + "." + leaf;
  channel.sensor = "process-follower";
  channel.device = target;
  channel.domain = "target";
  channel.measure = measure;
  channel.kind = kind;
  channel.scope = Scope::target;
  channel.target = target;
  channel.scale = measure == Measure::cpu_time ? 1e-9 : 1;
  if (measure == Measure::memory) {
    channel.update_period = milliseconds(100);
    channel.resolution = static_cast<double>(::sysconf(_SC_PAGESIZE));
  }
  return channel;
}

Unavailable hidden_processes() {
  return {"targets", "/proc hides the processes of other users (mount option hidepid)",
          "run as root, or in the group that the mount option gid= names"};
}

bool hides_processes(Machine& machine) {
  const auto mounts = machine.read_text("/proc/self/mounts");
  if (!mounts) return false;
  const auto at = mounts->find(" /proc proc ");
  if (at == std::string::npos) return false;
  const auto line = std::string_view(*mounts).substr(at, mounts->find('\n', at) - at);
  for (const char* option :
       {"hidepid=1", "hidepid=2", "hidepid=4", "hidepid=noaccess", "hidepid=invisible", "hidepid=ptraceable"})
    if (line.find(option) != std::string_view::npos) return ::geteuid() != 0;
  return false;
}

// By which looks are paced; nullopt: they come at their period.
std::optional<Duration> ticks_of(const FollowOptions& options) noexcept {
  if (options.sparing) return options.sparing;
  return options.ticks && *options.ticks > options.look_period ? options.ticks : std::nullopt;
}

class Follower final : public ProcessFollower, private Sensor {
 public:
  Follower(Machine& machine, std::vector<TargetChoice> choices, std::vector<Target> targets, TargetMatch match,
           FollowOptions options, std::string why_not_better)
      : machine_(machine),
        choices_(std::move(choices)),
        targets_(std::move(targets)),
        options_(std::move(options)),
        why_not_better_(std::move(why_not_better)),
        match_(std::move(match)),
        pace_(options_.look_period, ticks_of(options_), options_.sparing ? LookPace::for_months : LookPace::for_a_run),
        table_(machine, match_,
               {targets_.size(), options_.each_process, options_.own_pid, options_.events.get(),
                options_.sparing.has_value()}),
        ever_seen_(std::make_unique<bool[]>(targets_.size() + 1)),
        present_(targets_.size(), false),
        hidden_(hides_processes(machine)) {
    for (const Target& target : targets_) {
      const auto id = static_cast<std::uint32_t>(channels_.size());
      channels_.push_back(target_channel(id, target.name, "cpu", Measure::cpu_time, ChannelKind::counter));
      channels_.push_back(target_channel(id + 1, target.name, "rss", Measure::memory, ChannelKind::gauge));
      if (ticks_of(options_)) channels_.back().update_period = LookPace::longest;
    }
    const CpuPackages& packages = table_.packages();
    if (packages.several()) packages_ = packages.count();
    for (const Target& target : targets_)
      for (std::size_t place = 0; place < packages_; ++place) {
        channels_.push_back(target_channel(static_cast<std::uint32_t>(channels_.size()), target.name, "cpu",
                                           Measure::cpu_time, ChannelKind::counter));
        channels_.back().name += "." + packages.name(place);
        channels_.back().domain = packages.name(place);
      }
    looks_.resize(most_looks);
  }
  ~Follower() override {
    {
      const std::lock_guard lock(stop_mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  // The first look, and the roots of the trees. Error: /proc is closed, or a --pid is not there.
  [[nodiscard]] Result<void> begin() {
    const std::lock_guard looking(look_mutex_);
    look_begin_ = machine_.now();
    if (auto looked = look(true); !looked) return looked;
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      if (choices_[i].kind != SelectorKind::pid) continue;
      const auto pid = parse_pid(choices_[i].value);
      const std::lock_guard lock(mutex_);
      if (table_.find(pid) == nullptr)
        return fail(ErrorCode::absent, "there is no process " + choices_[i].value, selector_text(choices_[i]),
                    Nearby(machine_, options_.own_pid).advice(choices_[i]));
      if (table_.find(pid)->zombie)
        return fail(ErrorCode::absent,
                    "process " + choices_[i].value + " has ended, and its parent has not waited for it yet",
                    selector_text(choices_[i]), "Name one that lives; ps -e shows those that have ended as <defunct>.");
      if (pid == options_.own_pid)
        return fail(ErrorCode::usage, "process " + choices_[i].value + " is Prony itself", selector_text(choices_[i]),
                    "what Prony uses is always recorded beside the targets");
      table_.add_root(pid, i);
    }
    find_ports();
    if (auto looked = look(true); !looked) return looked;
    if (machine_.kind() == MachineKind::live && options_.own_thread) start_thread();
    return {};
  }

  void exclude_command(const GuardTarget& command) override {
    const std::lock_guard looking(look_mutex_);
    match_.set_command_cgroup(command.cgroup_directory);
    [[maybe_unused]] const auto looked = look_and_tell(true);  // so that its root is known
    const std::lock_guard lock(mutex_);
    table_.set_command(command);
  }

  void tell_members_to(std::function<void(std::span<const TargetMember>)> tell, std::size_t first) override {
    const std::lock_guard looking(look_mutex_);
    tell_members_ = std::move(tell);
    first_target_ = first;
    tell_members();
  }

  [[nodiscard]] Sensor& sensor() noexcept override { return *this; }
  [[nodiscard]] const std::vector<Target>& targets() const noexcept override { return targets_; }

  [[nodiscard]] std::optional<std::size_t> target_of(std::int64_t pid) const override {
    const std::lock_guard lock(mutex_);
    const auto* found = table_.find(pid);
    if (found == nullptr || found->target < 0) return std::nullopt;
    const auto target = static_cast<std::size_t>(found->target);
    return target < targets_.size() ? std::optional(target) : std::nullopt;
  }

  void survey() override {
    const std::lock_guard looking(look_mutex_);
    find_ports();
    if (options_.tells_processes) table_.gather_memory();
  }
  void look_now() override {
    const std::lock_guard looking(look_mutex_);
    [[maybe_unused]] const auto looked = look_and_tell(true);
  }

  bool take_looks(std::vector<ProcessLook>& looks) override {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < waiting_; ++i) looks.push_back(looks_[i]);
    return std::exchange(waiting_, 0) > 0;
  }
  [[nodiscard]] std::vector<ProcessRecord> processes() const override {
    const std::lock_guard lock(mutex_);
    std::vector<ProcessRecord> records;
    table_.add_records(records);
    return records;
  }
  void take_ended(std::vector<ProcessRecord>& records) override {
    const std::lock_guard lock(mutex_);
    table_.take_ended(records);
  }
  [[nodiscard]] std::vector<Unavailable> unavailable() const override;
  [[nodiscard]] std::string rung() const override { return options_.events ? options_.events->name() : "polling"; }
  [[nodiscard]] std::string why_not_better() const override { return why_not_better_; }

 private:
  [[nodiscard]] static std::int64_t parse_pid(const std::string& text) noexcept {
    return std::strtoll(text.c_str(), nullptr, 10);
  }

  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override;
  [[nodiscard]] std::vector<Event> changes() override {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

  [[nodiscard]] Result<void> look(bool all);
  [[nodiscard]] Result<void> look_and_tell(bool all);
  void tell_members();
  [[nodiscard]] std::optional<Instant> last_tick() const noexcept {
    const auto ns = tick_ns_.load(std::memory_order_relaxed);
    return ns == 0 ? std::nullopt : std::optional(Instant{ns});
  }
  void note_presence(Instant now);
  void find_ports();
  void start_thread();
  void run();

  Machine& machine_;
  const std::vector<TargetChoice> choices_;
  const std::vector<Target> targets_;
  FollowOptions options_;
  const std::string why_not_better_;
  std::vector<Channel> channels_;  // two of each target, then of each target its packages'
  std::size_t packages_ = 0;       // 0: there is one

  mutable std::mutex look_mutex_;  // one look at a time; taken before mutex_
  TargetMatch match_;
  Instant next_look_;
  const LookPace pace_;
  std::atomic<std::int64_t> tick_ns_{0};                             // when the last one was; 0: there was none yet
  std::function<void(std::span<const TargetMember>)> tell_members_;  // of the thread that looks, as what follows
  std::size_t first_target_ = 0;
  std::vector<TargetMember> members_;

  mutable std::mutex mutex_;  // the table, and what follows
  ProcessTable table_;
  std::unique_ptr<bool[]> ever_seen_;
  std::vector<bool> present_;
  std::vector<Event> events_;
  std::vector<ProcessLook> looks_;  // the first `waiting_` are complete; the others keep their memory
  std::size_t waiting_ = 0;
  Instant look_begin_;
  const bool hidden_;
  std::string trouble_;  // why the last look failed

  std::mutex stop_mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

// The caller holds look_mutex_ in these.
Result<void> Follower::look_and_tell(bool all) {
  auto looked = look(all);
  tell_members();
  return looked;
}

void Follower::tell_members() {
  if (!tell_members_) return;
  members_.clear();
  {
    const std::lock_guard lock(mutex_);
    table_.add_members(members_, first_target_);
  }
  tell_members_(members_);
}

Result<void> Follower::look(bool all) {
  const auto begin = machine_.now();
  next_look_ = begin + options_.look_period;  // should it fail
  auto gathered = table_.gather(begin, all);
  const std::lock_guard lock(mutex_);
  trouble_ = gathered ? std::string() : gathered.error().what;
  if (!gathered) return gathered;
  const auto now = machine_.now();
  table_.apply(now);
  next_look_ = pace_.next(begin, machine_.now() - begin, last_tick());  // clocks are read by apply(), too
  note_presence(now);
  if (options_.each_process && waiting_ < most_looks && now > look_begin_) {
    table_.finish_look({look_begin_, now}, looks_[waiting_++]);
    look_begin_ = now;
  }
  return {};
}

void Follower::note_presence(Instant now) {
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const auto living = table_.living(i);
    if (present_[i] == (living > 0)) continue;
    present_[i] = living > 0;
    ever_seen_[i] = ever_seen_[i] || present_[i];
    events_.push_back({now, present_[i] ? "target-appeared" : "target-gone", targets_[i].name,
                       present_[i] ? std::to_string(living) + (living == 1 ? " process" : " processes")
                                   : std::string("no process of it is left")});
  }
}

void Follower::find_ports() {
  if (!match_.has_ports()) return;
  const auto candidates = table_.socket_candidates();
  std::vector<std::pair<std::int64_t, std::size_t>> roots;
  match_.find_port_owners(candidates, [&](std::int64_t pid, std::size_t target) { roots.emplace_back(pid, target); });
  const std::lock_guard lock(mutex_);
  for (const auto& [pid, target] : roots) table_.add_root(pid, target);
  note_presence(machine_.now());
}

void Follower::read(std::span<Reading> out) noexcept {
  const auto now = machine_.now();
  tick_ns_.store(now.ns, std::memory_order_relaxed);
  if (!thread_.joinable() && now >= next_look_) {
    const std::lock_guard looking(look_mutex_);
    [[maybe_unused]] const auto looked = look_and_tell(false);
  }
  TickBoard& board = table_.board();
  board.tick(now);
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    out[2 * i] = {board.total_ns(i), Quality::ok};
    const auto bytes = board.resident_bytes(i);
    if (packages_ > 0) board.show_packages(i, out.subspan(2 * targets_.size() + i * packages_, packages_));
    out[2 * i + 1] = bytes ? Reading{static_cast<std::int64_t>(*bytes), Quality::ok} : Reading{0, Quality::gap};
  }
}

void Follower::start_thread() {
  sigset_t all, old;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &old);  // signals are for the threads that wait for them
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "prony-follow");
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

void Follower::run() {
  // Looks that come late tell less well when somebody used the CPU.
  go_before_most();
  while (true) {
    Duration wait = pace_.pump();
    {
      const std::lock_guard looking(look_mutex_);
      const Duration until_look = std::max(next_look_ - machine_.now(), Duration{0});
      wait = options_.events || !options_.sparing ? std::min(wait, until_look) : until_look;
    }
    {
      std::unique_lock lock(stop_mutex_);
      if (wake_.wait_for(lock, std::chrono::nanoseconds(wait.ns), [this] { return stop_; })) return;
    }
    const std::lock_guard looking(look_mutex_);
    if (machine_.now() + milliseconds(1) >= next_look_) {
      [[maybe_unused]] const auto looked = look_and_tell(false);
    } else {
      table_.pump();
    }
  }
}

std::vector<Unavailable> Follower::unavailable() const {
  const std::lock_guard looking(look_mutex_);
  const std::lock_guard lock(mutex_);
  auto list =
      match_.unavailable(std::span<const bool>(ever_seen_.get(), targets_.size()), table_.taken_by(), options_.own_pid);
  if (hidden_) list.push_back(hidden_processes());
  if (table_.reads_stat())
    list.push_back({"target.cpu_s",
                    "process clocks cannot be read here: CPU time is taken from /proc/PID/stat, in steps of 10 ms",
                    "in a container: share the host's process namespace (--pid=host)"});
  if (!options_.events)
    list.push_back({"target.short_lived",
                    "processes that live and die between two looks are known only by their parents' times, in steps of "
                    "10 ms, and not at all where a parent ignores the end of its children",
                    "the exit events of the kernel tell all of it: " + why_not_better_});
  if (table_.lost_events())
    list.push_back({"target.short_lived",
                    "the kernel dropped process events because they came faster than they were read; short-lived "
                    "processes may be missing",
                    {}});
  if (table_.lost_ns() > 0)
    list.push_back({"target.short_lived",
                    "the table of " + rung() + " had no room for processes that used " +
                        format_fixed(static_cast<double>(table_.lost_ns()) * 1e-9, 3) +
                        " s of CPU time: of those, who was born and died between two looks is not counted",
                    {}});
  if (!trouble_.empty()) list.push_back({"targets", "the last look at /proc failed: " + trouble_, {}});
  return list;
}

}  // namespace

Result<std::unique_ptr<ProcessFollower>> ProcessFollower::create(Machine& machine, std::vector<TargetChoice> choices,
                                                                 FollowOptions options) {
  auto targets = name_targets(choices);
  if (!targets) return Unexpected<Error>(targets.error());
  auto match = TargetMatch::make(machine, choices);
  if (!match) return Unexpected<Error>(match.error());
  if (options.own_pid == 0) options.own_pid = ::getpid();
  for (const TargetChoice& choice : choices)
    options.each_process = options.each_process || choice.kind == SelectorKind::all;
  options.each_process = options.each_process && options.tells_processes;
  std::string why;
  if (!options.events && options.kernel_events) {
    if (machine.kind() != MachineKind::live) {
      why = "this machine is not the live one";
    } else {
      const auto reason = [](const Error& error) {
        return error.what + (error.fix.empty() ? "" : " (" + error.fix + ")");
      };
      auto lives = make_kernel_life_events();
      if (!lives) {
        why = "exit-events: " + reason(lives.error());
        lives = make_switch_life_events(machine);
        if (!lives) why += "; ebpf: " + reason(lives.error());
      }
      if (lives) options.events = std::move(*lives);
    }
  } else if (!options.events) {
    why = "they were switched off";
  }
  auto follower = std::make_unique<Follower>(machine, std::move(choices), std::move(*targets), std::move(*match),
                                             std::move(options), std::move(why));
  if (auto begun = follower->begin(); !begun) return Unexpected<Error>(begun.error());
  return follower;
}

}  // namespace prony
