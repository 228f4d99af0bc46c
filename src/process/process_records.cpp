// What the table of processes tells: looks, and a record of each process.
#include <algorithm>

#include "process/process_table.hpp"

namespace prony {

namespace {

constexpr std::size_t record_limit = 16384;

}  // namespace

bool ProcessTable::may_number() const noexcept { return ended_.size() + numbered_living_ < record_limit; }

ProcessRecord ProcessTable::record_of(const FollowedProcess& process, bool exited) const {
  ProcessRecord record;
  record.pid = process.pid;
  if (!process.unseen) record.start_ticks = process.start_ticks;
  record.parent = process.parent;
  record.name = process.name.data();
  record.seen = process.seen;
  const std::int64_t used = process.own_ns - process.base_ns;
  record.cpu_user_ns = static_cast<std::int64_t>(static_cast<double>(used) * process.user_share);
  record.cpu_system_ns = used - record.cpu_user_ns;
  record.exited = exited;
  record.number = process.number;
  if (process.target >= 0) record.target = match_.name_of(static_cast<std::size_t>(process.target));
  return record;
}

void ProcessTable::keep_record(const FollowedProcess& process, bool exited) {
  // Whoever has a number in a look has a record.
  if (process.number != 0 || ended_.size() < record_limit / 2) ended_.push_back(record_of(process, exited));
}

void ProcessTable::add_records(std::vector<ProcessRecord>& records) const {
  records.insert(records.end(), ended_.begin(), ended_.end());
  for (const Place& place : order_) {
    const FollowedProcess& process = slots_[place.slot];
    if (process.number != 0 || process.target >= 0) records.push_back(record_of(process, false));
  }
}

void ProcessTable::add_members(std::vector<TargetMember>& members, std::size_t first) const {
  for (const std::uint32_t slot : members_) {
    const FollowedProcess& process = slots_[slot];
    if (process.pid != 0)
      members.push_back(
          {process.pid, process.start_ticks, process.parent, first + static_cast<std::size_t>(process.target)});
  }
}

void ProcessTable::take_ended(std::vector<ProcessRecord>& records) {
  records.insert(records.end(), std::make_move_iterator(ended_.begin()), std::make_move_iterator(ended_.end()));
  ended_.clear();
}

void ProcessTable::finish_look(Interval between, ProcessLook& look) {
  look.between = between;
  look.uses.assign(uses_.begin(), uses_.end());
  uses_.clear();
  for (const Place& place : order_) {
    FollowedProcess& process = slots_[place.slot];
    if (process.look_ns == 0 || place.pid == options_.own_pid) continue;
    if (process.number == 0) {
      if (!may_number()) {
        ended_unseen_ns_ += process.look_ns;
        process.look_ns = 0;
        continue;
      }
      process.number = ++numbers_;
      ++numbered_living_;
    }
    look.uses.push_back({process.number, process.look_ns, process.resident_bytes});
    process.look_ns = 0;
    process.resident_bytes = 0;
  }
  std::sort(look.uses.begin(), look.uses.end(), [](const auto& a, const auto& b) { return a.process < b.process; });
  look.ended_unseen_ns = ended_unseen_ns_;
  ended_unseen_ns_ = 0;
}

}  // namespace prony
