#include "process/process_table.hpp"

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

namespace prony {

namespace {

// With fewer looks missed than this, the end of a process may still be told.
constexpr unsigned looks_for_its_end = 2;

std::int64_t children_ns(const ProcessStat& stat) noexcept {
  return static_cast<std::int64_t>(stat.children_user_ticks + stat.children_system_ticks) * ns_per_tick();
}

// The first thread may end before the others: then the process lives.
bool is_zombie(const ProcessStat& stat) noexcept { return stat.state == 'Z' && stat.threads <= 1; }

}  // namespace

const FollowedProcess* ProcessTable::find(std::int64_t pid) const noexcept {
  const auto at = std::lower_bound(order_.begin(), order_.end(), pid,
                                   [](const Place& place, auto wanted) { return place.pid < wanted; });
  return at != order_.end() && at->pid == pid && stays(*at) ? &slots_[at->slot] : nullptr;
}

FollowedProcess* ProcessTable::row(std::int64_t pid) noexcept {
  return const_cast<FollowedProcess*>(static_cast<const ProcessTable*>(this)->find(pid));
}

void ProcessTable::apply(Instant now) {
  ++look_;
  credit_ticks();
  lost_events_ = lost_events_ || batch_.lost;
  lost_ns_ += batch_.lost_ns;
  if (batch_.lost) forget_lives();
  if (first_) {  // a captured machine's clocks are absent, and those of another namespace's /proc are of others
    std::size_t readable = 0;
    for (const Newcomer& newcomer : newcomers_)
      readable += machine_.process_cpu_time(newcomer.facts.stat.pid) ? 1U : 0U;
    reads_stat_ = readable * 2 < newcomers_.size();
  }
  newest_at_look_ = newest_pid_;
  apply_births(now);
  if (listed_) {
    mark_missing();
  } else if (any_missing_) {
    age_missing();
  }
  for (const Newcomer& newcomer : newcomers_) settle(newcomer.facts.stat.pid, now, false);
  add_newcomers(now);
  apply_ends(now);
  apply_rechecks();
  read_all_clocks(now);
  end_missing();
  apply_children_times();
  if (changed_) compact();
  apply_places();
  for (std::size_t i = 0; i < residents_.size(); ++i) {
    residents_[i] = residents_read_[i];
    if (residents_[i] == 0 && living_[i] > 0) residents_[i].reset();  // it came after the reading
  }
  for (const auto& [slot, share] : shares_)
    if (slots_[slot].pid != 0) slots_[slot].user_share = share;
  shares_.clear();
  batch_.clear();
  first_ = false;
  publish();
}

void ProcessTable::mark_missing() {
  std::size_t next = 0;
  for (const Place& place : order_) {
    while (next < listing_.size() && listing_[next].pid < place.pid) ++next;
    if (stays(place) && (next == listing_.size() || listing_[next].pid != place.pid)) {
      ++slots_[place.slot].missing;
      any_missing_ = true;
    }
  }
}

// Who was not there at the look before is not there now.
void ProcessTable::age_missing() {
  for (const Place& place : order_)
    if (stays(place) && slots_[place.slot].missing > 0) ++slots_[place.slot].missing;
}

// Children before their parents: what is known of a child is handed to its parent, and with that to the one above, in
// whose times of waited-for children all of it stands as soon as both have ended.
void ProcessTable::end_missing() {
  if (!std::exchange(any_missing_, false)) return;
  std::vector<std::uint32_t> ending;
  for (const Place& place : order_) {
    if (!stays(place)) continue;
    const FollowedProcess& process = slots_[place.slot];
    const bool may_be_told = options_.events != nullptr && process.told && !process.finished;
    if (process.missing >= (may_be_told ? looks_for_its_end : 1U))
      ending.push_back(place.slot);
    else if (process.missing > 0)
      moved_ = any_missing_ = true;
  }
  std::unordered_set<std::int64_t> parents;
  while (!ending.empty()) {  // as deep as the trees that end
    parents.clear();
    for (const std::uint32_t slot : ending) parents.insert(slots_[slot].parent);
    const auto childless =
        std::ranges::partition(ending, [&](std::uint32_t slot) { return parents.contains(slots_[slot].pid); });
    const auto first = childless.empty() ? ending.begin() : childless.begin();  // never in a circle
    for (auto at = first; at != ending.end(); ++at) end(*at);
    ending.erase(first, ending.end());
  }
}

void ProcessTable::insert(Newcomer& newcomer, Instant now) {
  std::uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  newcomer.slot = slot;
  FollowedProcess& process = slots_[slot];
  const ProcessStat& stat = newcomer.facts.stat;
  process = FollowedProcess{};
  process.pid = stat.pid;
  process.parent = stat.parent;
  process.identity = newcomer.identity;
  process.start_ticks = stat.start_ticks;
  process.name = stat.name;
  process.zombie = is_zombie(stat);
  process.seen = {now, now};
  process.inserted = look_;
  process.network = std::move(newcomer.facts.network);
  process.named = newcomer.named;
  process.of_command =
      newcomer.command_group ||
      (command_.root > 0 && stat.pid == command_.root && stat.start_ticks == command_.root_start_ticks) ||
      // With a subreaper, orphans of the command are given to us.
      (command_.root > 0 && stat.parent == options_.own_pid && stat.start_ticks > command_.root_start_ticks);
  if (stat.pid == command_.root) command_unseen_ = false;
  // At the start everybody is old, and nobody's turn should come at the same look.
  if (first_) process.check_gap = 512 + slot % 512;
  process.check_at = look_ + process.check_gap - 1;
  process.threads =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(stat.threads, std::numeric_limits<std::int32_t>::max()));
  process.told = options_.events != nullptr && stat.threads == 1;
  if (const auto life = lives_.find(stat.pid); life != lives_.end()) {
    process.told = true;
    process.threads = life->second.threads;
    process.ended_ns = life->second.ended_ns;
    process.accounted_ns = life->second.accounted_ns;
    process.trees = life->second.trees;
    process.of_command = process.of_command || life->second.of_command;
    process.seen.begin = life->second.at.ns > 0 ? life->second.at : now;
    lives_.erase(life);
  }
  if (reads_stat_)
    if (auto file = machine_.open("/proc/" + std::to_string(stat.pid) + "/stat")) process.stat = std::move(*file);
  if (first_) {  // what it used before we came is nobody's
    process.own_ns = process.base_ns = std::max<std::int64_t>(0, read_clock(process));
    process.children_base_ns = children_ns(stat);
  } else {
    process.first_ns = std::max<std::int64_t>(0, read_clock(process));
  }
  changed_ = true;
}

void ProcessTable::add_newcomers(Instant now) {
  if (newcomers_.empty()) return;
  for (Newcomer& newcomer : newcomers_) insert(newcomer, now);
  compact();
  for (const Newcomer& newcomer : newcomers_)
    if (FollowedProcess* parent = row(slots_[newcomer.slot].parent)) {
      ++parent->children;
      parent->gave_birth = true;
    }
  for (bool again = true; again;) {  // as deep as the tree of newcomers is
    again = false;
    for (const Newcomer& newcomer : newcomers_) again = inherit(slots_[newcomer.slot]) || again;
  }
  for (const Newcomer& newcomer : newcomers_) choose_target(slots_[newcomer.slot]);
  for (const Newcomer& newcomer : newcomers_) {
    FollowedProcess& process = slots_[newcomer.slot];
    const FollowedProcess* parent = find(process.parent);
    // A child of a target's process ends into its parent's times: it must be known what of them is its own.
    if (parent != nullptr && parent->target >= 0 && process.pid != options_.own_pid) process.clocked = true;
  }
}

bool ProcessTable::inherit(FollowedProcess& process) {
  const FollowedProcess* parent = find(process.parent);
  if (parent == nullptr || process.pid == options_.own_pid || parent->pid == options_.own_pid) return false;
  const TargetMask trees = process.trees | parent->trees;
  const bool of_command = process.of_command || parent->of_command;
  if (trees == process.trees && of_command == process.of_command) return false;
  process.trees = trees;
  process.of_command = of_command;
  return true;
}

void ProcessTable::choose_target(FollowedProcess& process) {
  int target = -1;
  const TargetMask mask = process.named | process.trees;
  for (std::size_t i = 0; i < options_.targets && target < 0; ++i)
    if (((mask >> i) & 1U) != 0) target = static_cast<int>(i);
  if (process.of_command) target = static_cast<int>(options_.targets);
  if (process.pid == options_.own_pid) target = -1;
  for (std::size_t i = 0; i < options_.targets; ++i)
    if (((mask >> i) & 1U) != 0 && static_cast<int>(i) != target) taken_by_[i] = target;
  const bool is_clocked =
      process.pid != options_.own_pid &&
      (options_.each_process || (target >= 0 && static_cast<std::size_t>(target) < options_.targets));
  if (is_clocked && !process.clocked && process.inserted != look_) {
    // It becomes a target's in the middle of its life: what it used until now is not the target's. One that was met
    // between fork and exec has used what it did since then under its own name.
    const std::int64_t before = is_newborn(process) ? process.first_ns : read_clock(process);
    process.own_ns = process.base_ns = std::max(process.own_ns, before);
  }
  process.clocked = process.clocked || is_clocked;
  if (target == process.target) return;
  if (process.number != 0) {  // one row per target that it belonged to
    if (process.look_ns > 0) uses_.push_back({process.number, process.look_ns, 0});
    process.look_ns = 0;
    keep_record(process, false);
    --numbered_living_;
    process.number = 0;
    process.base_ns = process.own_ns;
  }
  process.target = target;
  process.places = {process.own_ns, {}};  // its past is not this target's
  changed_ = true;
}

void ProcessTable::apply_rechecks() {
  for (const Recheck& recheck : rechecks_) {
    FollowedProcess& process = slots_[recheck.slot];
    if (process.pid != recheck.facts.stat.pid || process.start_ticks != recheck.facts.stat.start_ticks) continue;
    process.name = recheck.facts.stat.name;
    changed_ = changed_ || process.zombie != is_zombie(recheck.facts.stat);
    process.zombie = is_zombie(recheck.facts.stat);
    process.named = recheck.named;
    process.of_command = process.of_command || match_.in_command_cgroup(recheck.facts);
    if (process.parent != recheck.facts.stat.parent) {
      process.parent = recheck.facts.stat.parent;  // what was inherited of the former one stays
      if (FollowedProcess* parent = row(process.parent)) ++parent->children;
    }
    choose_target(process);
  }
}

void ProcessTable::add_root(std::int64_t pid, std::size_t target) {
  FollowedProcess* root = row(pid);
  if (root == nullptr || pid == options_.own_pid) return;
  if (((root->trees >> target) & 1U) != 0) return;
  credit_ticks();
  root->trees |= TargetMask{1} << target;
  for (bool again = true; again;) {
    again = false;
    for (const Place& place : order_)
      if (stays(place)) again = inherit(slots_[place.slot]) || again;
  }
  for (const Place& place : order_)
    if (stays(place)) choose_target(slots_[place.slot]);
  if (changed_) compact();
  publish();
}

void ProcessTable::set_command(const GuardTarget& command) {
  command_ = command;
  if (FollowedProcess* root = row(command.root); root != nullptr && root->start_ticks == command.root_start_ticks) {
    credit_ticks();
    root->of_command = true;
    choose_target(*root);
    if (changed_) compact();
    publish();
    return;
  }
  // A busy machine may look for the first time when it has ended: then its end alone tells of it.
  command_unseen_ = true;
  if (const auto life = lives_.find(command.root); life != lives_.end()) {
    life->second.of_command = true;
    life->second.target = static_cast<int>(options_.targets);
  }
}

void ProcessTable::end(std::uint32_t slot) {
  FollowedProcess& process = slots_[slot];
  if (FollowedProcess* parent = row(process.parent)) {
    parent->accounted_ns += process.own_ns + process.children_base_ns + process.accounted_ns + process.unseen_ns;
    if (parent->children > 0) --parent->children;
  }
  if (process.children > 0)
    for (const Place& place : order_)
      if (slots_[place.slot].parent == process.pid) slots_[place.slot].check_at = 0;  // it has another parent now
  if (options_.each_process && process.look_ns > 0) {
    if (process.number == 0 && may_number() && process.pid != options_.own_pid) {
      process.number = ++numbers_;
      ++numbered_living_;
    }
    if (process.number != 0) uses_.push_back({process.number, process.look_ns, 0});
    if (process.number == 0 && process.pid != options_.own_pid) ended_unseen_ns_ += process.look_ns;
  }
  if (process.number != 0) --numbered_living_;
  if (process.number != 0 || process.target >= 0) keep_record(process, true);
  if (process.memory) --open_files_;
  if (process.told && process.threads > 1)
    std::erase_if(threads_, [pid = process.pid](const auto& entry) { return entry.second == pid; });
  process = FollowedProcess{};  // its number is nobody's from now on
  freed_.push_back(slot);
  changed_ = true;
}

// Makes order_ and members_ anew.
void ProcessTable::compact() {
  next_order_.clear();
  auto newcomer = newcomers_.begin();  // ascending by pid, as the list that they come from
  const auto add_newcomers_below = [&](std::int64_t pid) {
    for (; newcomer != newcomers_.end() && newcomer->facts.stat.pid < pid; ++newcomer)
      if (slots_[newcomer->slot].pid == newcomer->facts.stat.pid)
        next_order_.push_back({newcomer->facts.stat.pid, newcomer->slot});
  };
  for (const Place& place : order_) {
    if (!stays(place)) continue;
    add_newcomers_below(place.pid);
    if (newcomer != newcomers_.end() && newcomer->facts.stat.pid == place.pid) ++newcomer;  // it has its place already
    next_order_.push_back(place);
  }
  add_newcomers_below(std::numeric_limits<std::int64_t>::max());
  order_.swap(next_order_);
  free_.insert(free_.end(), freed_.begin(), freed_.end());
  freed_.clear();
  members_.clear();
  std::fill(living_.begin(), living_.end(), 0);
  for (const Place& place : order_) {
    const int target = slots_[place.slot].target;
    if (target < 0) continue;
    const bool lives = !slots_[place.slot].finished && !slots_[place.slot].zombie;
    if (lives) ++living_[static_cast<std::size_t>(target)];
    if (static_cast<std::size_t>(target) < options_.targets) members_.push_back(place.slot);
  }
  changed_ = false;
}

std::vector<SocketOwners::Candidate> ProcessTable::socket_candidates() const {
  std::vector<SocketOwners::Candidate> candidates;
  for (const Place& place : order_) candidates.push_back({place.pid, slots_[place.slot].network});
  return candidates;
}

}  // namespace prony
