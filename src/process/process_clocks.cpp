// What the processes of the table have used: their clocks, and the times of children that nobody saw end.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.hpp"
#include "process/process_table.hpp"

namespace prony {

namespace {

constexpr std::int64_t tick_cost_factor = 100;  // reading the clocks of targets may take 1/100 of the time

}  // namespace

std::int64_t ProcessTable::read_clock(FollowedProcess& process) noexcept {
  if (!reads_stat_) {
    const auto clock = machine_.process_cpu_time(process.pid);
    if (clock) return clock->ns;
    return clock.error().code == ErrorCode::gone ? -1 : -2;
  }
  std::array<char, 1024> buffer;
  const auto got = process.stat ? process.stat->read(buffer) : -ENOENT;
  if (got <= 0) return got == -ESRCH || got == -ENODEV ? -1 : -2;
  const auto stat = parse_process_stat({buffer.data(), static_cast<std::size_t>(got)});
  if (!stat) return -2;
  return static_cast<std::int64_t>(stat->user_ticks + stat->system_ticks) * ns_per_tick();
}

void ProcessTable::credit(FollowedProcess& process, std::int64_t clock_ns) noexcept {
  const std::int64_t used = clock_ns - process.own_ns;
  if (used <= 0) return;
  process.own_ns = clock_ns;
  process.look_ns += used;
  if (process.target >= 0) totals_[static_cast<std::size_t>(process.target)] += used;
}

// The last number of /proc/loadavg, of our process id namespace. Source: proc(5), fs/proc/loadavg.c.
std::int64_t ProcessTable::newest_pid(File* loadavg) noexcept {
  if (loadavg == nullptr) return -1;
  std::array<char, 128> buffer;
  const auto got = loadavg->read(buffer);
  const auto text = trim(std::string_view(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0));
  if (text.empty()) return -1;
  return parse_i64(text.substr(text.rfind(' ') + 1)).value_or(-1);
}

void ProcessTable::tick(Instant now) noexcept {
  if (now < clocks_again_) return;
  // Numbers are given out in turn: one that may have been given away again since the last look waits for the next.
  const auto newest = newest_pid(tick_cursor_.get()), before = newest_at_look_;
  const auto given_again = [newest, before](std::int64_t pid) {
    return newest >= before ? pid > before && pid <= newest : pid > before || pid <= newest;
  };
  for (const std::uint32_t slot : members_) {
    FollowedProcess& process = slots_[slot];
    if (process.pid != 0 && (newest < 0 || !given_again(process.pid))) credit(process, read_clock(process));
  }
  const auto after = machine_.now();
  clocks_again_ = now + tick_cost_factor * (after - now);
}

// What those who live have used since they were asked is placed by a later look.
void ProcessTable::apply_places() {
  if (!std::exchange(places_gathered_, false)) return;
  std::vector<std::int64_t> pending(parts_.size());
  for (const std::uint32_t slot : members_) {
    const FollowedProcess& process = slots_[slot];
    pending[static_cast<std::size_t>(process.target)] +=
        std::max<std::int64_t>(0, process.own_ns - process.places.placed_ns);
  }
  for (std::size_t target = 0; target < parts_.size(); ++target) {
    if (std::ranges::any_of(expected_[target], [](double weight) { return weight > 0; })) {
      parts_[target].expect(expected_[target]);
      expected_[target].clear();
    }
    parts_[target].place(placed_[target]);
    parts_[target].finish_look(totals_[target], pending[target]);
    std::fill(placed_[target].begin(), placed_[target].end(), 0);
  }
}

void ProcessTable::read_all_clocks(Instant now) {
  for (const Place& place : order_) {
    FollowedProcess& process = slots_[place.slot];
    if (!stays(place) || process.missing > 0) continue;
    process.seen.end = now;
    if (!process.clocked) continue;
    const auto clock = read_clock(process);
    if (clock == -1) {
      process.missing = 1;
      any_missing_ = true;
      moved_ = true;  // look at the list again: the number may be another's by now
    } else {
      credit(process, clock);
    }
  }
}

void ProcessTable::apply_children_times() {
  // A child that is not there any more and whose end is yet to be told may be in its parent's times already.
  if (!children_times_.empty())
    for (const Place& place : order_)
      if (stays(place) && slots_[place.slot].missing > 0)
        std::erase_if(children_times_,
                      [&](const ChildrenTimes& read) { return slots_[read.slot].pid == slots_[place.slot].parent; });
  for (const ChildrenTimes& read : children_times_) {
    FollowedProcess& process = slots_[read.slot];
    if (process.pid == 0) continue;
    const std::int64_t unseen = read.ns - process.children_base_ns - process.accounted_ns - process.unseen_ns;
    if (unseen <= 0) continue;
    process.unseen_ns += unseen;
    ended_unseen_ns_ += unseen;
    // Children of a process that goes by its name alone may have had another.
    if (has_own_children(process)) totals_[static_cast<std::size_t>(process.target)] += unseen;
  }
}

}  // namespace prony
