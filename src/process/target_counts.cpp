#include "process/target_counts.hpp"

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::array<PerfEvent, 2> events_of_threads{perf_cycles, perf_cache_misses};
constexpr double most_cycles_per_s = 1e10;

Channel channel_of(const Target& target, std::size_t kind, unsigned cpus) {
  const bool command = target.name == command_target;
  Channel channel;
  channel.sensor = "target-counts";
  channel.device = "perf";
  channel.domain = kind == 0 ? "cycles" : "llc-misses";
  channel.name = "target." + (command ? std::string() : target.name + ".") + channel.domain;
  channel.measure = Measure::count;
  channel.kind = ChannelKind::counter;
  channel.scope = Scope::target;
  channel.target = command ? "" : target.name;
  channel.max_rate = most_cycles_per_s * cpus;
  return channel;
}

// Threads of the caller: an event can be opened and closed again.
Result<void> can_count(Machine& machine, std::size_t events) {
  for (std::size_t kind = 0; kind < events; ++kind)
    if (auto one = machine.open_perf({&events_of_threads[kind], 1}, 0, -1, PerfReach::threads); !one)
      return Unexpected<Error>(one.error());
  return {};
}

}  // namespace

Result<std::unique_ptr<TargetCounts>> TargetCounts::create(Machine& machine, const std::vector<Target>& targets,
                                                           const TargetCountsOptions& options) {
  if (machine.exists("/sys/bus/event_source/devices/cpu_atom/type"))
    return fail(ErrorCode::absent, "this processor has cores of two kinds, whose cycles are not alike",
                "/sys/bus/event_source/devices/cpu_atom");
  std::size_t events = kinds;
  if (!can_count(machine, events)) {
    events = 1;
    if (auto able = can_count(machine, events); !able) return Unexpected<Error>(able.error());
  }
  return std::unique_ptr<TargetCounts>(new TargetCounts(machine, targets, events, options));
}

TargetCounts::TargetCounts(Machine& machine, const std::vector<Target>& targets, std::size_t events,
                           const TargetCountsOptions& options)
    : machine_(machine),
      events_(events),
      options_(options),
      ended_(targets.size()),
      sums_(targets.size()),
      incomplete_(targets.size()),
      faults_(targets.size()) {
  const unsigned cpus = machine.cpu_count();
  for (const Target& target : targets)
    for (std::size_t kind = 0; kind < events_; ++kind) {
      channels_.push_back(channel_of(target, kind, cpus));
      channels_.back().id = {static_cast<std::uint32_t>(channels_.size() - 1)};
    }
}

void TargetCounts::miss(std::size_t target, const std::string& why) {
  if (!incomplete_[target].empty()) return;
  incomplete_[target] = why;
  complaints_.push_back({channels_[target * events_].name, why, {}});
}

Result<void> TargetCounts::add(std::size_t target, std::int64_t pid, std::int64_t thread, PerfReach reach) {
  if ((followed_.size() + 1) * events_ > options_.most_events) {
    const auto most = std::to_string(options_.most_events);
    miss(target, "more than " + most + " perf events would have to stay open: some of its threads are not counted");
    return fail(ErrorCode::full, incomplete_[target], "perf");
  }
  Followed followed;
  followed.pid = pid;
  followed.target = target;
  for (std::size_t kind = 0; kind < events_; ++kind) {
    auto event = machine_.open_perf({&events_of_threads[kind], 1}, thread, -1, reach);
    if (!event) {
      if (event.error().code != ErrorCode::gone)
        miss(target, "process " + std::to_string(pid) + " is not counted: " + event.error().what);
      return Unexpected<Error>(event.error());
    }
    followed.events[kind] = std::move(*event);
  }
  followed_.push_back(std::move(followed));
  return {};
}

Result<void> TargetCounts::follow_command(std::size_t target, std::int64_t pid) {
  const std::lock_guard lock(mutex_);
  return add(target, pid, pid, PerfReach::children_from_exec);
}

Result<void> TargetCounts::follow(std::size_t target, std::int64_t pid) {
  const std::lock_guard lock(mutex_);
  const auto known = [pid](const Followed& followed) { return followed.pid == pid; };
  if (std::any_of(followed_.begin(), followed_.end(), known)) return {};
  const auto threads = machine_.list("/proc/" + std::to_string(pid) + "/task");
  if (!threads) return fail(ErrorCode::gone, "no such process", "pid " + std::to_string(pid));
  bool any = false;
  for (const std::string& name : *threads) {
    const auto thread = parse_i64(name);
    if (!thread) continue;
    auto added = add(target, pid, *thread, PerfReach::threads);
    if (!added && added.error().code != ErrorCode::gone) return added;  // a thread may have ended since the listing
    any = any || added;
  }
  if (!any) return fail(ErrorCode::gone, "no such process", "pid " + std::to_string(pid));
  return {};
}

void TargetCounts::forget(std::int64_t pid) {
  const std::lock_guard lock(mutex_);
  for (const Followed& followed : followed_) {
    if (followed.pid != pid) continue;
    Counts last{};
    const int fault = count(followed, last);
    if (fault != 0) miss(followed.target, "process " + std::to_string(pid) + " ended before its counts were read");
    for (std::size_t kind = 0; kind < events_; ++kind) ended_[followed.target][kind] += last[kind];
  }
  std::erase_if(followed_, [pid](const Followed& followed) { return followed.pid == pid; });
}

int TargetCounts::count(const Followed& followed, Counts& sum) const noexcept {
  for (std::size_t kind = 0; kind < events_; ++kind) {
    std::uint64_t value = 0;
    const int status = followed.events[kind]->read({&value, 1});
    if (status != 0) return -status;
    sum[kind] += value;
  }
  return 0;
}

void TargetCounts::read(std::span<Reading> out) noexcept {
  const std::lock_guard lock(mutex_);
  std::copy(ended_.begin(), ended_.end(), sums_.begin());
  std::fill(faults_.begin(), faults_.end(), 0);
  for (const Followed& followed : followed_)
    if (const int fault = count(followed, sums_[followed.target]); fault != 0) faults_[followed.target] = fault;
  for (std::size_t target = 0; target < sums_.size(); ++target)
    for (std::size_t kind = 0; kind < events_; ++kind) {
      const bool known = faults_[target] == 0 && incomplete_[target].empty();
      out[target * events_ + kind] =
          known ? Reading{static_cast<std::int64_t>(sums_[target][kind]), Quality::ok} : Reading{0, Quality::gap};
    }
}

std::vector<Unavailable> TargetCounts::complaints() {
  const std::lock_guard lock(mutex_);
  auto told = std::exchange(complaints_, {});
  for (std::size_t target = 0; target < faults_.size(); ++target)
    if (faults_[target] != 0)
      told.push_back({channels_[target * events_].name,
                      faults_[target] == EBUSY ? "the kernel shares the counters among too many perf events: what it "
                                                 "shows would be a guess"
                                               : error_from_errno(faults_[target], {}, "cannot read perf events").what,
                      {}});
  return told;
}

}  // namespace prony
