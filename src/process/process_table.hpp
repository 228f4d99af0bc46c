// ProcessTable: every process of the machine that matters to somebody, with its target and its CPU time, from looks at
// the list of processes and, where the kernel tells them, from births and ends in between.
//   gather()  reads everything that is slow; takes no lock, and only one thread calls it
//   apply()   brings the table up to date with what was gathered; with the owner's lock
//   board()   what a tick reads of it, without any lock of the owner's (process/tick_board.hpp)
// CPU time is credited to a target as it is seen, and never taken back: targets' counters cannot step back, and what is
// credited for one process does not depend on who else there is.
// What a process used between its last look and its end, and what those used whom nobody saw, is found in the times of
// its parent's waited-for children (fields 16 and 17 of /proc/PID/stat, in steps of 10 ms). Where births and ends are
// told, that is no more than what a task does after its end is told: giving its memory back.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "machine/machine.hpp"
#include "machine/thread_places.hpp"
#include "model/manifest.hpp"
#include "model/process_use.hpp"
#include "process/follow.hpp"
#include "process/guard.hpp"
#include "process/life_events.hpp"
#include "process/new_numbers.hpp"
#include "process/target_match.hpp"
#include "process/tick_board.hpp"

namespace prony {

struct FollowedProcess {
  // Asked at every look: kept together.
  std::int64_t pid = 0;
  std::int64_t own_ns = 0;     // its clock as last read
  std::int64_t look_ns = 0;    // used since the last look
  std::uint64_t check_at = 0;  // look at which its name and groups are read again
  Interval seen;
  int target = -1;           // index of its target; −1: none; the number of targets: the measured command
  std::uint32_t number = 0;  // ProcessUse::process
  unsigned missing = 0;      // looks since it was there last
  bool clocked = false;      // its clock is read at looks
  bool gave_birth = false;   // where births are told: since its children's times were read
  bool told = false;         // births and ends of its threads are told since it was born
  bool finished = false;     // its end was told, with all of its time
  bool zombie = false;       // it had ended when it was looked at last, and nobody had waited for it
  bool unseen = false;       // no look saw it: when it started is not known
  std::int64_t parent = 0;
  std::uint64_t identity = 0;        // ListedProcess::identity
  std::uint64_t resident_bytes = 0;  // 0: not read since the last look
  std::int64_t children_at_ns = -1;  // own_ns when its children's times were read
  std::int64_t sized_at_ns = -1;     // own_ns when its memory was read for its target's sum,
  std::uint64_t sized_bytes = 0;     // which was so much

  std::uint64_t start_ticks = 0;
  std::array<char, 16> name{};
  TargetMask named = 0;  // targets that name it by what it is itself
  TargetMask trees = 0;  // targets it belongs to by descent
  bool of_command = false;
  std::int64_t base_ns = 0;           // of own_ns, what it used before it was followed
  std::int64_t first_ns = 0;          // its clock when it was seen first, where others were seen before
  std::int64_t children_base_ns = 0;  // of its waited-for children: when first seen,
  std::int64_t accounted_ns = 0;      // since then of children that were in this table,
  std::int64_t unseen_ns = 0;         // and of what is left, already credited
  std::uint32_t children = 0;         // in this table
  double user_share = 1;              // of its CPU time
  std::int64_t share_at_ns = -1;      // own_ns when that was read
  std::uint64_t check_gap = 1;        // looks until the next reading of its name and groups
  std::uint64_t inserted = 0;         // look at which it was seen first
  std::uint32_t threads = 0;          // that have not ended, where told or single-threaded
  std::int64_t ended_ns = 0;          // of its threads that have ended
  std::string network;                // where /proc/PID/ns/net leads to, where a port was asked for
  ThreadPlaces places;                // where it ran, where there are several packages
  std::unique_ptr<File> memory;       // kept open: statm of targets' processes
  std::shared_ptr<File> stat;         // kept open where clocks do not work; ticks read it, too
};

class ProcessTable {
 public:
  struct Options {
    std::size_t targets = 0;
    bool each_process = false;
    std::int64_t own_pid = 0;
    LifeEvents* events = nullptr;
    bool sparing = false;  // FollowOptions::sparing
  };
  ProcessTable(Machine& machine, TargetMatch& match, const Options& options);

  // Reads what the mechanism of births and ends has to tell, so that it has not to keep it until the next look.
  void pump();
  // `all`: read everything that may have changed, as at the end. Error: /proc cannot be listed.
  [[nodiscard]] Result<void> gather(Instant now, bool all);
  void apply(Instant now);
  [[nodiscard]] TickBoard& board() noexcept { return board_; }

  // A process becomes the root of a target's tree, or of the command's (target == targets).
  void add_root(std::int64_t pid, std::size_t target);
  void set_command(const GuardTarget& command);
  // The look that apply() completed; to be called once after it, where each process is followed.
  void finish_look(Interval between, ProcessLook& look);

  // Without those that have ended and that nobody waits for.
  [[nodiscard]] std::uint64_t living(std::size_t target) const noexcept { return living_[target]; }
  // By target: whose a process is that it names too; the number of targets: the measured command, −1:
  // nobody's, because it is Prony itself; nullopt: there was none.
  [[nodiscard]] std::span<const std::optional<int>> taken_by() const noexcept { return taken_by_; }
  // Where there are several packages, ticks tell a target's CPU time on each of them.
  [[nodiscard]] const CpuPackages& packages() const noexcept { return packages_; }
  [[nodiscard]] bool lost_events() const noexcept { return lost_events_; }
  // CPU time of processes that the mechanism of births and ends had no room for.
  [[nodiscard]] std::int64_t lost_ns() const noexcept { return lost_ns_; }
  [[nodiscard]] bool reads_stat() const noexcept { return reads_stat_; }
  [[nodiscard]] std::vector<SocketOwners::Candidate> socket_candidates() const;
  [[nodiscard]] const FollowedProcess* find(std::int64_t pid) const noexcept;
  // Of the targets, ascending by pid; targets are numbered from `first` on.
  void add_members(std::vector<TargetMember>& members, std::size_t first) const;
  // Living processes with a target or a number, and the ended ones that were not taken.
  void add_records(std::vector<ProcessRecord>& records) const;
  void take_ended(std::vector<ProcessRecord>& records);
  // Of each process that has a number or a target: resident memory and how its time divides. Reads without a lock;
  // called by the thread that gathers.
  void gather_memory();
  [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }

 private:
  struct Place {  // in order_, ascending by pid
    std::int64_t pid = 0;
    std::uint32_t slot = 0;
  };
  struct Newcomer {
    ProcessFacts facts;
    TargetMask named = 0;
    std::uint64_t identity = 0;
    bool command_group = false;
    std::uint32_t slot = 0;
  };
  struct Recheck {
    std::uint32_t slot = 0;
    ProcessFacts facts;
    TargetMask named = 0;
  };
  struct Life {  // a process whose birth was told and that no look has seen yet
    std::int64_t parent = 0;
    Instant at;
    TargetMask trees = 0;
    int target = -1;
    bool of_command = false;
    std::uint32_t threads = 1;
    std::int64_t ended_ns = 0;
    std::int64_t accounted_ns = 0;  // as FollowedProcess::accounted_ns
  };
  struct ChildrenTimes {
    std::uint32_t slot = 0;
    std::int64_t ns = 0;
  };

  // process_gather.cpp
  [[nodiscard]] std::int64_t spared(std::int64_t cost_factor) const noexcept;
  [[nodiscard]] bool births_since_last_look();
  void gather_children_times(Instant now, bool all);
  [[nodiscard]] Result<void> list_everybody(Instant now, bool may_ask);
  void ask_for_those_told(Instant now);
  void ask_for_newcomers();
  bool meet(const ListedProcess& listed, FollowedProcess* known);  // false: nobody of that number could be read
  void gather_rechecks();
  void gather_residents(Instant now, bool all);
  void gather_places(Instant now, bool all);
  // process_table.cpp
  [[nodiscard]] FollowedProcess* row(std::int64_t pid) noexcept;
  [[nodiscard]] bool stays(const Place& place) const noexcept { return slots_[place.slot].pid == place.pid; }
  void insert(Newcomer& newcomer, Instant now);
  void add_newcomers(Instant now);
  bool inherit(FollowedProcess& process);  // true: from its parent came something new
  void choose_target(FollowedProcess& process);
  // Of those that were born since the looks began: seen first at this look or one of the two before, and so, perhaps,
  // under its parent's name, which it bears until it takes its own.
  [[nodiscard]] bool is_newborn(const FollowedProcess& process) const noexcept {
    return process.inserted > 1 && look_ - process.inserted <= 2;
  }
  // A newborn that has its target from its parent, while one before it goes by names: its time waits for the next look,
  // which reads its name once more. What was credited cannot be taken back.
  [[nodiscard]] bool is_undecided(const FollowedProcess& process) const noexcept {
    if (process.inserted != look_ || process.inserted <= 1 || process.target < 0) return false;
    return (~match_.inherited() & ((TargetMask{1} << process.target) - 1)) != 0;
  }
  void apply_rechecks();
  void mark_missing();
  void age_missing();
  void end_missing();
  void end(std::uint32_t slot);
  void compact();
  // True: what its children used and nobody saw is its target's as well.
  [[nodiscard]] bool has_own_children(const FollowedProcess& process) const noexcept {
    return process.target >= 0 && static_cast<std::size_t>(process.target) < options_.targets &&
           ((match_.inherited() >> process.target) & 1U) != 0;
  }
  // process_clocks.cpp
  [[nodiscard]] std::int64_t read_clock(FollowedProcess& process) noexcept;  // −1: it is gone; −2: not readable now
  void credit(FollowedProcess& process, std::int64_t clock_ns) noexcept;
  void credit_ticks();  // what ticks have seen of the clocks since the last look
  void publish();       // what ticks are to read from now on
  void apply_children_times();
  void apply_places();
  void read_all_clocks(Instant now);
  [[nodiscard]] ProcessRecord record_of(const FollowedProcess& process, bool exited) const;
  void keep_record(const FollowedProcess& process, bool exited);
  [[nodiscard]] bool may_number() const noexcept;
  // process_ends.cpp
  void apply_births(Instant now);
  void apply_ends(Instant now);
  void apply_end(const End& told, Instant now);
  void finish_life(std::int64_t pid, const Life& life, const End& told, Instant now);
  void settle(std::int64_t pid, Instant now, bool life_too);  // its number was given to another process
  void forget_lives();                                        // events were lost: who lives is not known any more

  Machine& machine_;
  TargetMatch& match_;
  const Options options_;
  std::vector<FollowedProcess> slots_;
  std::vector<std::uint32_t> free_;
  std::vector<Place> order_, next_order_;
  std::vector<std::uint32_t> members_;  // slots of the processes of targets
  std::vector<std::int64_t> totals_;
  std::vector<std::uint64_t> living_;
  std::vector<std::optional<int>> taken_by_;
  std::vector<std::optional<std::uint64_t>> residents_;
  GuardTarget command_;
  bool command_unseen_ = false;  // no look met the command's first process yet

  // What was gathered.
  bool listed_ = false, first_ = true, moved_ = true, reads_stat_ = false, lost_events_ = false;
  std::vector<ListedProcess> listing_;
  std::vector<Newcomer> newcomers_;
  std::vector<Recheck> rechecks_;
  std::vector<ChildrenTimes> children_times_;
  LifeBatch batch_;
  std::int64_t lost_ns_ = 0;
  std::unique_ptr<File> cursor_;  // /proc/loadavg
  std::int64_t newest_pid_ = -1, newest_at_look_ = -1;
  // Of targets' processes that ran, of those that slept, of everybody else's: since they were read.
  bool children_due_ = false, sleepers_children_due_ = false, all_children_due_ = false;
  NewNumbers born_;
  Duration distrust_ = milliseconds(60'000);  // so long births are listed, should numbers not tell somebody
  Instant list_again_, ask_from_, read_children_again_, read_all_children_again_, residents_again_;
  Instant read_sleepers_children_again_, sleepers_residents_again_;
  std::uint64_t look_ = 0;
  std::vector<std::optional<std::uint64_t>> residents_read_;
  std::vector<std::pair<std::uint32_t, double>> shares_;  // slot → user_share
  std::vector<std::uint32_t> freed_;                      // slots that order_ still names
  const CpuPackages packages_;
  TickBoard board_;
  TickBoard::Page next_page_;
  std::vector<TickBoard::Clock> seen_;
  std::vector<std::vector<std::int64_t>> placed_;  // by target, of this look: by package
  std::vector<std::vector<double>> expected_;      // by target: where its processes were first seen; empty: was told
  bool places_gathered_ = false;
  Instant places_again_;
  bool any_missing_ = false;  // since the last look
  bool changed_ = true;       // order_ and members_ are to be made anew

  std::unordered_map<std::int64_t, Life> lives_;
  std::unordered_map<std::int64_t, std::int64_t> threads_;  // of told processes, the first thread apart → process
  std::vector<ProcessUse> uses_;                            // of this look, of processes that ended in it
  std::int64_t ended_unseen_ns_ = 0;
  std::vector<ProcessRecord> ended_;
  std::uint32_t numbers_ = 0;
  std::size_t numbered_living_ = 0;
  std::size_t open_files_ = 0, most_open_files_ = 0;
};

}  // namespace prony
