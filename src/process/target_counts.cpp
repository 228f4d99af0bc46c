#include "process/target_counts.hpp"

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::array<std::string_view, 3> domains{counted_domain, "cycles", "llc-misses"};
constexpr double most_cycles_per_s = 1e10;
constexpr std::int64_t read_cost_factor = 100;  // reading may take 1/100 of the time
// The events of a family are closed when none of it was seen for so many looks: a child may not have been seen yet.
constexpr unsigned looks_after_the_last = 10;
// Threads of a family that the command's exec begins; it lasts as long as the recording.
constexpr std::uint64_t command_family = UINT64_MAX;

Channel channel_of(const Target& target, std::size_t kind, unsigned cpus) {
  const bool command = target.name == command_target;
  Channel channel;
  channel.sensor = "target-counts";
  channel.device = "perf";
  channel.domain = domains[kind];
  channel.name = "target." + (command ? std::string() : target.name + ".") + channel.domain;
  channel.measure = kind == 0 ? Measure::time : Measure::count;
  channel.kind = ChannelKind::counter;
  channel.scope = Scope::target;
  channel.target = command ? "" : target.name;
  channel.scale = kind == 0 ? 1e-9 : 1;
  channel.max_rate = (kind == 0 ? 2 : most_cycles_per_s) * cpus;
  return channel;
}

// Threads of the caller: an event can be opened and closed again.
Result<void> can_count(Machine& machine, std::span<const PerfEvent> events) {
  for (const PerfEvent& event : events)
    if (auto one = machine.open_perf({&event, 1}, 0, -1, PerfReach::alone); !one) return Unexpected<Error>(one.error());
  return {};
}

}  // namespace

Result<std::unique_ptr<TargetCounts>> TargetCounts::create(Machine& machine, const std::vector<Target>& targets,
                                                           const TargetCountsOptions& options) {
  if (machine.exists("/sys/bus/event_source/devices/cpu_atom/type"))
    return fail(ErrorCode::absent, "this processor has cores of two kinds, whose cycles are not alike",
                "/sys/bus/event_source/devices/cpu_atom");
  std::size_t events = kinds;
  if (!can_count(machine, options.events)) {
    --events;
    if (auto able = can_count(machine, std::span(options.events).first(events)); !able)
      return Unexpected<Error>(able.error());
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
      faults_(targets.size()),
      faulted_(targets.size()) {
  const unsigned cpus = machine.cpu_count();
  for (const Target& target : targets)
    for (std::size_t kind = 0; kind < events_; ++kind) {
      channels_.push_back(channel_of(target, kind, cpus));
      channels_.back().id = {static_cast<std::uint32_t>(channels_.size() - 1)};
    }
}

void TargetCounts::miss(std::size_t target, std::int64_t pid, const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!incomplete_[target].empty()) return;
  incomplete_[target] =
      error.code == ErrorCode::full ? error.what : "process " + std::to_string(pid) + " is not counted: " + error.what;
}

Result<TargetCounts::Followed> TargetCounts::open(std::size_t target, std::int64_t thread, PerfReach reach) {
  const auto most = options_.most_events;
  if (open_events() + events_ > most)
    return fail(ErrorCode::full,
                "more than " + std::to_string(most) +
                    " perf events would have to stay open: some of its threads are not counted",
                "perf");
  Followed followed;
  followed.target = target;
  for (std::size_t kind = 0; kind < events_; ++kind) {
    auto event = machine_.open_perf({&options_.events[kind], 1}, thread, -1, reach);
    if (!event) return Unexpected<Error>(event.error());
    followed.events[kind] = std::move(*event);
  }
  return followed;
}

Result<void> TargetCounts::follow_command(std::size_t target, std::int64_t pid) {
  auto followed = open(target, pid, PerfReach::children_from_exec);
  if (!followed) return miss(target, pid, followed.error()), Unexpected<Error>(followed.error());
  followed->family = command_family;
  const std::lock_guard lock(mutex_);
  followed_.push_back(std::move(*followed));
  return {};
}

// A thread that begins or ends while the others' events are opened is not found: the counted time tells.
std::uint64_t TargetCounts::follow(const TargetMember& member) {
  const auto threads = machine_.list("/proc/" + std::to_string(member.pid) + "/task");
  if (!threads) return 0;
  const std::uint64_t family = ++families_;
  bool any = false;
  for (const std::string& name : *threads) {
    const auto thread = parse_i64(name);
    if (!thread) continue;
    auto followed = open(member.target, *thread, PerfReach::children);
    if (!followed && followed.error().code == ErrorCode::gone) continue;
    if (!followed) {
      miss(member.target, member.pid, followed.error());
      break;
    }
    any = true;
    followed->family = family;
    const std::lock_guard lock(mutex_);
    followed_.push_back(std::move(*followed));
  }
  return any ? family : 0;
}

const TargetCounts::Known* TargetCounts::find(const TargetMember& member) const noexcept {
  const auto at = std::ranges::lower_bound(known_, member.pid, {}, [](const Known& known) { return known.member.pid; });
  const bool same = at != known_.end() && at->member.pid == member.pid && at->member.target == member.target &&
                    at->member.start_ticks == member.start_ticks;
  return same ? &*at : nullptr;
}

// A child of somebody who was there at the look before was born since, so its parent's events have it. A child of a
// newcomer was there when its parent's events were opened.
void TargetCounts::see(std::span<const TargetMember> members) {
  next_known_.clear();
  for (const TargetMember& member : members) {
    const Known* known = find(member);
    next_known_.push_back({member, known == nullptr ? 0 : known->family, 0});
    if (known != nullptr) continue;
    const TargetMember* born_of = &member;  // up to the first ancestor who is not new
    for (std::size_t steps = 0; born_of != nullptr && steps < members.size(); ++steps) {
      const auto parent = std::ranges::lower_bound(members, born_of->parent, {}, &TargetMember::pid);
      born_of = parent != members.end() && parent->pid == born_of->parent && parent->target == member.target ? &*parent
                                                                                                             : nullptr;
      if (born_of == nullptr) break;
      if (const Known* ancestor = find(*born_of)) {
        next_known_.back().family = ancestor->family;
        break;
      }
    }
    if (next_known_.back().family == 0) next_known_.back().family = follow(member);
  }
  for (const Known& known : known_) {
    const auto at = std::ranges::lower_bound(members, known.member.pid, {}, &TargetMember::pid);
    const bool here = at != members.end() && at->pid == known.member.pid;  // or its number is another's
    if (!here && known.missing < looks_after_the_last)
      next_known_.push_back({known.member, known.family, known.missing + 1});
  }
  std::ranges::sort(next_known_, {}, [](const Known& known) { return known.member.pid; });
  known_.swap(next_known_);
  close_families();
}

void TargetCounts::close_families() {
  const auto lives = [&](std::uint64_t family) {
    return family == command_family ||
           std::ranges::any_of(known_, [family](const Known& known) { return known.family == family; });
  };
  const std::lock_guard lock(mutex_);
  for (Followed& followed : followed_) {
    if (lives(followed.family)) continue;
    Counts last{};
    if (count(followed, last) != 0 && incomplete_[followed.target].empty())
      incomplete_[followed.target] = "the counts of processes that had ended could not be read";
    for (std::size_t kind = 0; kind < events_; ++kind) ended_[followed.target][kind] += last[kind];
    followed.family = 0;
  }
  std::erase_if(followed_, [](const Followed& followed) { return followed.family == 0; });
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
  const Instant begin = machine_.now();
  if (begin >= read_again_) {
    std::copy(ended_.begin(), ended_.end(), sums_.begin());
    std::fill(faults_.begin(), faults_.end(), 0);
    for (const Followed& followed : followed_)
      if (const int fault = count(followed, sums_[followed.target]); fault != 0)
        faults_[followed.target] = faulted_[followed.target] = fault;
    const Instant end = machine_.now();
    read_again_ = end + Duration{(end - begin).ns * read_cost_factor};
  }
  for (std::size_t target = 0; target < sums_.size(); ++target)
    for (std::size_t kind = 0; kind < events_; ++kind) {
      const bool known = faults_[target] == 0 && incomplete_[target].empty();
      out[target * events_ + kind] =
          known ? Reading{static_cast<std::int64_t>(sums_[target][kind]), Quality::ok} : Reading{0, Quality::gap};
    }
}

std::size_t TargetCounts::open_events() const {
  const std::lock_guard lock(mutex_);
  return followed_.size() * events_;
}

std::vector<Unavailable> TargetCounts::unavailable() const {
  const std::lock_guard lock(mutex_);
  std::vector<Unavailable> list;
  for (std::size_t target = 0; target < faulted_.size(); ++target) {
    std::string why = incomplete_[target];
    if (why.empty() && faulted_[target] == EBUSY)
      why = "the kernel shares the counters among too many perf events: what it shows would be a guess";
    else if (why.empty() && faulted_[target] != 0)
      why = error_from_errno(faulted_[target], {}, "cannot read perf events").what;
    if (!why.empty()) list.push_back({channels_[target * events_ + 1].name, why, {}});
  }
  return list;
}

}  // namespace prony
