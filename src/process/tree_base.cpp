#include "process/tree_base.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>

#include "process/resident_pace.hpp"

namespace prony {

namespace {

constexpr std::size_t ended_limit = 4096;  // records kept of processes that ended; all are counted

Channel tree_channel(std::size_t id, std::string name, Measure measure, ChannelKind kind, double scale) {
  Channel channel;
  channel.id = ChannelId{static_cast<std::uint32_t>(id)};
  channel.name = std::move(name);
  channel.sensor = "process-tree";
  channel.device = "command";
  channel.domain = "target";
  channel.measure = measure;
  channel.kind = kind;
  channel.scope = Scope::target;
  channel.scale = scale;
  return channel;
}

std::string make_run_id(Machine& machine) {
  char text[64] = {};
  std::snprintf(text, sizeof text, "%d-%llx", static_cast<int>(::getpid()),
                static_cast<unsigned long long>(machine.now().ns));
  return text;
}

void add(IoUsage& sum, const IoUsage& part) noexcept {
  sum.read_bytes += part.read_bytes;
  sum.write_bytes += part.write_bytes;
  sum.read_calls_bytes += part.read_calls_bytes;
  sum.write_calls_bytes += part.write_calls_bytes;
}

// What a held child still does before it waits for its release is ours too: until then its clock is no base.
void await_hold(Machine& machine, pid_t child) {
  constexpr int most_tries = 100;
  for (int attempt = 0; attempt < most_tries; ++attempt) {
    const auto text = machine.read_text("/proc/" + std::to_string(child) + "/stat");
    const auto stat = text ? parse_process_stat(*text) : std::nullopt;
    if (!stat || stat->state != 'R') return;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

}  // namespace

TreeBase::TreeBase(Machine& machine, TreeRung rung, std::string why_not_better)
    : machine_(machine),
      run_id_(make_run_id(machine)),
      rung_(rung),
      why_not_better_(std::move(why_not_better)),
      places_(machine),
      channels_{tree_channel(0, "target.cpu", Measure::cpu_time, ChannelKind::counter, 1e-9),
                tree_channel(1, "target.rss", Measure::memory, ChannelKind::gauge, 1)} {
  live_.reserve(1024);  // ticks add members without asking for memory until there are more
  ended_.reserve(ended_limit);
  channels_[1].update_period = resident_period;
  channels_[1].resolution = static_cast<double>(::sysconf(_SC_PAGESIZE));
  const CpuPackages& packages = places_.packages();
  for (std::size_t place = 0; packages.several() && place < packages.count(); ++place) {
    channels_.push_back(tree_channel(channels_.size(), "target.cpu." + packages.name(place), Measure::cpu_time,
                                     ChannelKind::counter, 1e-9));
    channels_.back().domain = packages.name(place);
  }
}

void TreeBase::prepare(SpawnOptions& options) { options.environment.emplace_back("PRONY_RUN_ID", run_id_); }

void TreeBase::attach(const Child& root) {
  await_hold(machine_, root.pid());
  std::unique_lock lock(mutex_);
  root_ = root.pid();
  const auto now = machine_.now();
  if (Member* member = observe(root_, now)) {
    root_start_ticks_ = member->stat.start_ticks;
    base_ns_ = read_clock(*member);
  }
  before_exec_resident_ = read_peak_resident_bytes(root_).value_or(0);
  begin();
  lock.unlock();
  places_.start([this](std::vector<TreePlaces::Seen>& seen) {
    const std::lock_guard members(mutex_);
    for (const Member& member : live_)
      seen.push_back({member.stat.pid, member.stat.start_ticks, member.stat.pid == root_ ? base_ns_ : 0});
    return shown_ns_;
  });
}

GuardTarget TreeBase::guard_target() const {
  const std::lock_guard lock(mutex_);
  return {root_, root_start_ticks_, {}, run_id_};
}

bool TreeBase::holds(std::int64_t pid) {
  const std::lock_guard lock(mutex_);
  if (root_ <= 0) return false;
  if (!finished_ && find(static_cast<pid_t>(pid)) == nullptr) refresh_members(machine_.now());
  if (find(static_cast<pid_t>(pid)) != nullptr) return true;
  return std::any_of(ended_.begin(), ended_.end(), [pid](const Member& m) { return m.stat.pid == pid; });
}

Member* TreeBase::find(pid_t pid) noexcept {
  const auto at = std::find_if(live_.begin(), live_.end(), [pid](const Member& m) { return m.stat.pid == pid; });
  return at == live_.end() ? nullptr : &*at;
}

Member* TreeBase::observe(pid_t pid, Instant now) {
  if (Member* known = find(pid)) return known;
  const auto stat = read_process_stat(pid);
  if (!stat) return nullptr;
  Member member;
  member.stat = *stat;
  member.seen = {now, now};
  live_.push_back(member);
  ++seen_;
  read_clock(live_.back());
  return &live_.back();
}

void TreeBase::retire(std::size_t index, Instant now) {
  live_[index].seen.end = now;
  if (ended_.size() < ended_limit) ended_.push_back(live_[index]);
  live_[index] = live_.back();
  live_.pop_back();
}

std::int64_t TreeBase::read_clock(Member& member) noexcept {
  const auto time = machine_.process_cpu_time(member.stat.pid);
  if (time) member.own_ns = std::max(member.own_ns, time->ns);  // gone: what was read last is what we know
  return member.own_ns;
}

void TreeBase::read(std::span<Reading> out) noexcept {
  const std::lock_guard lock(mutex_);
  if (root_ > 0 && !finished_) {
    const auto now = machine_.now();
    shown_ns_ = std::max(shown_ns_, count_cpu_ns(now));
    if (now >= next_resident_) refresh_resident(now);
  }
  out[0] = {shown_ns_, Quality::ok};
  out[1] = resident_ ? Reading{static_cast<std::int64_t>(*resident_), Quality::ok} : Reading{0, Quality::gap};
  if (channels_.size() > 2) places_.show(shown_ns_, out.subspan(2));
}

void TreeBase::refresh_resident(Instant now) noexcept {
  try {
    refresh_members(now);
  } catch (const std::exception&) {  // out of memory: the members that are known stay
  }
  std::uint64_t sum = 0;
  // A held root is a copy of Prony: its memory is not the command's.
  if (shown_ns_ > 0)
    for (const Member& member : live_) sum += read_resident_bytes(member.stat.pid).value_or(0);
  resident_ = sum > 0 ? std::optional(sum) : std::nullopt;
  resident_peak_ = std::max(resident_peak_, sum);
  const Duration cost = machine_.now() - now;
  next_resident_ = now + std::max(resident_period, resident_cost_factor * cost);
}

void TreeBase::survey() {
  const auto now = machine_.now();
  const auto orphans = find_orphans();
  std::vector<pid_t> pids;
  {
    const std::lock_guard lock(mutex_);
    if (root_ <= 0 || finished_) return;
    for (const pid_t pid : orphans) observe(pid, now);
    refresh_members(now);
    for (const Member& member : live_) pids.push_back(member.stat.pid);
  }
  std::uint64_t proportional = 0;
  for (const pid_t pid : pids) {
    const auto stat = read_process_stat(pid);
    const auto io = read_io_usage(pid);
    proportional += read_proportional_bytes(pid).value_or(0);
    const std::lock_guard lock(mutex_);
    Member* member = find(pid);
    if (member == nullptr || !stat || stat->start_ticks != member->stat.start_ticks) continue;
    member->stat = *stat;
    if (io) member->io = io;
  }
  const std::lock_guard lock(mutex_);
  if (proportional > 0 && shown_ns_ > 0) proportional_peak_ = std::max(proportional_peak_.value_or(0), proportional);
}

void TreeBase::finish_memory(const ExitStatus& root, TreeUsage& usage) {
  usage.rss_peak_bytes = resident_peak_;
  const auto largest = static_cast<std::uint64_t>(std::max(0L, root.usage.ru_maxrss)) * 1024;
  // Before exec the child is a copy of Prony, and the kernel counts that copy in: a figure of that size says nothing.
  if (largest > before_exec_resident_ + before_exec_resident_ / 16 || resident_peak_ == 0) {
    usage.rss_peak_bytes = std::max(usage.rss_peak_bytes, largest);
    if (usage.rss_peak_bytes == 0)
      usage.unavailable.push_back(
          {"process.rss_peak_bytes", "it ended before its memory was read, and its exit was not seen", {}});
    else if (largest <= before_exec_resident_ + before_exec_resident_ / 16)
      usage.unavailable.push_back({"process.rss_peak_bytes",
                                   "an upper bound: the command never was larger than the held process before it, and "
                                   "it ended before its memory was read",
                                   {}});
  }
  usage.pss_peak_bytes = proportional_peak_;
  if (!proportional_peak_)
    usage.unavailable.push_back({"process.pss_peak_bytes",
                                 "the command ended before the first reading of smaps_rollup (about once a second), "
                                 "or it is not readable",
                                 {}});
}

void TreeBase::finish_io(const ExitStatus& root, TreeUsage& usage) {
  if (!root.io) {
    usage.unavailable.push_back({"process.read_bytes",
                                 "/proc/PID/io of the command is not readable (another user's, or a kernel without "
                                 "task I/O accounting)",
                                 {}});
    return;
  }
  IoUsage sum = *root.io;
  add(sum, io_of_lost_);
  for (const Member& member : live_)
    if (member.stat.pid != root_)
      if (const auto io = read_io_usage(member.stat.pid)) add(sum, *io);
  usage.read_bytes = sum.read_bytes;
  usage.write_bytes = sum.write_bytes;
  usage.read_calls_bytes = sum.read_calls_bytes;
  usage.write_calls_bytes = sum.write_calls_bytes;
}

TreeUsage TreeBase::finish(const ExitStatus& root) {
  settle();
  places_.stop();
  const std::lock_guard lock(mutex_);
  const auto now = machine_.now();
  TreeUsage usage;
  if (!finished_) {
    refresh_members(now);
    for (std::size_t i = live_.size(); i-- > 0;) {
      if (live_[i].stat.pid == root_) retire(i, now);
    }
  }
  const auto& r = root.usage;
  usage.minor_faults = static_cast<std::uint64_t>(r.ru_minflt);
  usage.major_faults = static_cast<std::uint64_t>(r.ru_majflt);
  usage.voluntary_switches = static_cast<std::uint64_t>(r.ru_nvcsw);
  usage.involuntary_switches = static_cast<std::uint64_t>(r.ru_nivcsw);
  usage.processes = std::max<std::uint64_t>(seen_, 1);
  finish_memory(root, usage);
  finish_io(root, usage);
  finish_cpu(root, usage);
  const auto total = usage.cpu_user_s + usage.cpu_system_s + usage.cpu_unattributed_s.value_or(0);
  shown_ns_ = std::max(shown_ns_, static_cast<std::int64_t>(total * 1e9));
  resident_.reset();
  finished_ = true;
  if (!live_.empty())
    usage.unavailable.push_back({"process",
                                 std::to_string(live_.size()) +
                                     " processes of the tree were still running when the command ended; they are "
                                     "counted until then",
                                 {}});
  return usage;
}

std::vector<ProcessRecord> TreeBase::processes() const {
  const std::lock_guard lock(mutex_);
  std::vector<ProcessRecord> records;
  const auto record = [&](const Member& member, bool exited) {
    ProcessRecord out;
    out.pid = member.stat.pid;
    out.start_ticks = member.stat.start_ticks;
    out.parent = member.stat.parent;
    out.name = member.stat.name.data();
    out.seen = member.seen;
    const auto user = static_cast<double>(member.stat.user_ticks);
    const auto ticks = user + static_cast<double>(member.stat.system_ticks);
    const double share = ticks > 0 ? user / ticks : 1;
    out.cpu_user_ns = static_cast<std::int64_t>(static_cast<double>(member.own_ns) * share);
    out.cpu_system_ns = member.own_ns - out.cpu_user_ns;
    out.exited = exited;
    records.push_back(std::move(out));
  };
  for (const Member& member : ended_) record(member, true);
  for (const Member& member : live_) record(member, false);
  return records;
}

}  // namespace prony
