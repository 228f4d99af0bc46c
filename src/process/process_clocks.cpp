// What the processes of the table have used: their clocks, and the times of children that nobody saw end.
#include <algorithm>
#include <utility>

#include "process/process_table.hpp"

namespace prony {

std::int64_t ProcessTable::read_clock(FollowedProcess& process) noexcept {
  return read_process_clock(machine_, process.pid, process.stat.get(), reads_stat_);
}

void ProcessTable::credit(FollowedProcess& process, std::int64_t clock_ns) noexcept {
  const std::int64_t used = clock_ns - process.own_ns;
  if (used <= 0) return;
  process.own_ns = clock_ns;
  process.look_ns += used;
  if (process.target >= 0) totals_[static_cast<std::size_t>(process.target)] += used;
}

void ProcessTable::credit_ticks() {
  board_.take_seen(seen_);
  for (const TickBoard::Clock& clock : seen_) {
    FollowedProcess& process = slots_[clock.slot];
    if (process.pid == clock.pid && process.start_ticks == clock.start_ticks) credit(process, clock.seen_ns);
  }
}

void ProcessTable::publish() {
  next_page_.clocks.clear();
  for (const std::uint32_t slot : members_) {
    const FollowedProcess& process = slots_[slot];
    if (process.pid == 0 || is_undecided(process)) continue;
    next_page_.clocks.push_back({process.pid, process.start_ticks, process.own_ns, process.own_ns, slot,
                                 static_cast<std::uint32_t>(process.target), process.stat});
  }
  next_page_.totals.assign(totals_.begin(), totals_.end() - 1);  // the last is the command's
  next_page_.residents.assign(residents_.begin(), residents_.end());
  next_page_.newest_pid = newest_at_look_;
  next_page_.from_stat = reads_stat_;
  board_.publish(next_page_);
}

// What those who live have used since they were asked is placed by a later look.
void ProcessTable::apply_places() {
  if (!std::exchange(places_gathered_, false)) return;
  next_page_.places.resize(placed_.size());
  for (std::size_t target = 0; target < placed_.size(); ++target) {
    TickBoard::Places& places = next_page_.places[target];
    places = {{}, placed_[target], 0};
    if (std::ranges::any_of(expected_[target], [](double weight) { return weight > 0; }))
      places.expected = std::exchange(expected_[target], {});
    std::fill(placed_[target].begin(), placed_[target].end(), 0);
  }
  for (const std::uint32_t slot : members_) {
    const FollowedProcess& process = slots_[slot];
    next_page_.places[static_cast<std::size_t>(process.target)].pending_ns +=
        std::max<std::int64_t>(0, process.own_ns - process.places.placed_ns);
  }
}

void ProcessTable::read_all_clocks(Instant now) {
  for (const Place& place : order_) {
    FollowedProcess& process = slots_[place.slot];
    if (!stays(place) || process.missing > 0) continue;
    process.seen.end = now;
    if (!process.clocked && !process.finished) continue;
    const auto clock = read_clock(process);
    if (clock == -1) {
      process.missing = 1;
      any_missing_ = true;
      moved_ = true;
      born_.ask_again(now, process.pid);  // it may be another's by now
    } else if (process.clocked && !is_undecided(process)) {
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
