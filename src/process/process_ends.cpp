// Births and ends that the kernel tells: who lives and dies between two looks is counted with all of its time.
#include <algorithm>

#include "process/process_table.hpp"

namespace prony {

namespace {

// Processes that no look saw get a row of their own from here on; those below are in their target's channel.
constexpr std::int64_t least_row_ns = 10'000'000;

}  // namespace

void ProcessTable::apply_births(Instant now) {
  for (const Birth& birth : batch_.births) {
    if (birth.thread != birth.process) {  // a thread
      if (const auto life = lives_.find(birth.process); life != lives_.end()) {
        ++life->second.threads;
      } else if (FollowedProcess* process = row(birth.process); process != nullptr && process->told) {
        ++process->threads;
      } else {
        continue;
      }
      threads_[birth.thread] = birth.process;
      continue;
    }
    FollowedProcess* known = row(birth.process);
    // A look was faster than the telling; but whoever was born after that look has the number of one that has ended.
    if (known != nullptr && look_ - known->inserted <= 2 && known->ended_ns == 0 && birth.at <= known->seen.begin) {
      known->told = true;
      known->threads = 1;
      continue;
    }
    settle(birth.process, now, true);
    Life life;
    life.parent = birth.parent;
    life.at = birth.at;
    if (FollowedProcess* parent = row(birth.parent)) {
      parent->gave_birth = true;
      life.trees = parent->trees;
      life.target = parent->target;
      life.of_command = parent->of_command;
    } else if (const auto other = lives_.find(birth.parent); other != lives_.end()) {
      life.trees = other->second.trees;
      life.target = other->second.target;
      life.of_command = other->second.of_command;
    }
    if (command_unseen_ && birth.process == command_.root) {
      life.of_command = true;
      life.target = static_cast<int>(options_.targets);
    }
    lives_[birth.process] = life;
  }
}

void ProcessTable::settle(std::int64_t pid, Instant now, bool life_too) {
  const bool is_life = life_too && lives_.contains(pid);
  if (!is_life && find(pid) == nullptr) return;
  // The end of the one before is among what was told, ahead of any end of the new one.
  const auto told =
      std::find_if(batch_.ends.begin(), batch_.ends.end(), [pid](const End& end) { return end.thread == pid; });
  if (told != batch_.ends.end()) {
    const End first = *told;
    batch_.ends.erase(told);
    apply_end(first, now);
  }
  if (const FollowedProcess* process = find(pid)) end(static_cast<std::uint32_t>(process - slots_.data()));
  if (life_too) lives_.erase(pid);
}

void ProcessTable::forget_lives() {
  lives_.clear();
  threads_.clear();
  for (const Place& place : order_)
    if (stays(place)) slots_[place.slot].told = false;
}

void ProcessTable::apply_ends(Instant now) {
  for (const End& told : batch_.ends) apply_end(told, now);
  for (const Used& used : batch_.used)
    if (FollowedProcess* process = row(used.process); process != nullptr && process->clocked)
      credit(*process, used.cpu_ns);
}

void ProcessTable::apply_end(const End& told, Instant now) {
  std::int64_t pid = told.thread;
  if (const auto thread = threads_.find(told.thread); thread != threads_.end()) {
    pid = thread->second;
    threads_.erase(thread);
  }
  if (const auto life = lives_.find(pid); life != lives_.end()) {
    life->second.ended_ns += told.cpu_ns;
    if (--life->second.threads > 0) return;
    const Life ended = life->second;
    lives_.erase(life);
    finish_life(pid, ended, told, now);
    return;
  }
  FollowedProcess* process = row(pid);
  if (process == nullptr || !process->told || process->threads == 0) return;
  process->ended_ns += told.cpu_ns;
  if (--process->threads > 0) return;
  process->finished = true;
  if (told.thread == process->pid && told.name[0] != '\0') process->name = told.name;
  changed_ = true;
  process->seen.end = now;
  // A look that came between fork and exec saw its parent's name: short lives go by the one that they ended with.
  const TargetMask named = match_.named_by_comm(told.name.data());
  const bool of_command = process->target == static_cast<int>(options_.targets);
  // The first that names it has it, also where its parent's tree had it before.
  const TargetMask earlier = process->target < 0 ? named : named & ((TargetMask{1} << process->target) - 1);
  if (!of_command && earlier != 0 && is_newborn(*process)) {
    process->named |= named;
    process->clocked = true;  // since it was born, or since it was seen first
    choose_target(*process);
  }
  if (process->clocked) credit(*process, process->ended_ns);
}

void ProcessTable::finish_life(std::int64_t pid, const Life& life, const End& told, Instant now) {
  int target = life.target;
  const bool of_command = target == static_cast<int>(options_.targets);
  const TargetMask named = match_.named_by_comm(told.name.data());
  // Whoever goes by its name alone may have taken another since its birth.
  if (target >= 0 && !of_command && (((match_.inherited() | named) >> target) & 1U) == 0) target = -1;
  const auto before = target < 0 ? options_.targets : static_cast<std::size_t>(target);
  for (std::size_t i = 0; i < before && !of_command; ++i) {
    if (((named >> i) & 1U) == 0) continue;
    target = static_cast<int>(i);  // the first that names it, also where its parent's comes later
    break;
  }
  if (target >= 0) totals_[static_cast<std::size_t>(target)] += life.ended_ns;
  if (FollowedProcess* parent = row(life.parent)) {
    parent->accounted_ns += life.ended_ns + life.accounted_ns;
  } else if (const auto other = lives_.find(life.parent); other != lives_.end()) {
    other->second.accounted_ns += life.ended_ns + life.accounted_ns;
  }
  // The command always has its row; a later process of its number is not it.
  const bool is_command = command_unseen_ && pid == command_.root;
  if (is_command) command_unseen_ = false;
  if (!options_.each_process) return;
  if ((life.ended_ns < least_row_ns && !is_command) || !may_number()) {
    ended_unseen_ns_ += life.ended_ns;
    return;
  }
  FollowedProcess process;
  process.pid = pid;
  process.parent = life.parent;
  process.unseen = true;
  process.name = told.name;
  process.seen = {life.at.ns > 0 ? life.at : now, now};
  process.target = target;
  process.own_ns = life.ended_ns;
  process.number = ++numbers_;
  uses_.push_back({process.number, life.ended_ns, 0});
  keep_record(process, true);
}

}  // namespace prony
