// What the four rungs share: the list of members, the channels, resident memory, the slow survey and the sums at
// the end. A rung says how members are found and how their CPU time is counted. Thread promise: sensor reads, survey
// and finish may run on different threads; one mutex guards all state.
#pragma once

#include <mutex>
#include <vector>

#include "process/proc_files.hpp"
#include "process/process_tree.hpp"
#include "process/tree_places.hpp"

namespace prony {

// A process of the tree.
struct Member {
  ProcessStat stat;  // as last read
  Interval seen;
  std::int64_t own_ns = 0;           // its process clock, as last read: all its threads, dead ones too, no children
  std::int64_t children_ns = 0;      // of the children it waited for, in steps of 10 ms
  bool ignores_child_exits = false;  // the times of its children go nowhere when they end
  bool ticked = false;               // seen alive by a tick
  std::optional<IoUsage> io;         // as last surveyed
};

class TreeBase : public ProcessTree, private Sensor {
 public:
  TreeBase(Machine& machine, TreeRung rung, std::string why_not_better);
  ~TreeBase() override { places_.stop(); }  // its thread asks for our members

  void prepare(SpawnOptions& options) override;
  void attach(const Child& root) override;
  [[nodiscard]] TreeRung rung() const noexcept final { return rung_; }
  [[nodiscard]] std::string why_not_better() const final { return why_not_better_; }
  [[nodiscard]] Sensor& sensor() noexcept final { return *this; }
  void survey() final;
  [[nodiscard]] TreeUsage finish(const ExitStatus& root) final;
  [[nodiscard]] std::vector<ProcessRecord> processes() const final;
  [[nodiscard]] bool holds(std::int64_t pid) final;
  void kill_all(int signal) noexcept final { signal_tree(guard_target(), signal); }
  [[nodiscard]] GuardTarget guard_target() const override;

 protected:
  // CPU time of the tree since attach(), as far as it is known now. May step back; what is shown never does.
  [[nodiscard]] virtual std::int64_t count_cpu_ns(Instant now) noexcept = 0;
  // Brings `live_` up to date where ticks do not do it by themselves. Called at most every 100 ms, and by survey().
  virtual void refresh_members(Instant now) = 0;
  // Called by attach() with the lock held, when `root_` is known.
  virtual void begin() {}
  // Fills CPU seconds and what else the rung knows better than the root's rusage.
  virtual void finish_cpu(const ExitStatus& root, TreeUsage& usage) = 0;
  // A rung that needs time for its last events takes it here, without the lock.
  virtual void settle() {}
  [[nodiscard]] virtual std::vector<pid_t> find_orphans() { return {}; }  // slow; without the lock

  Member* find(pid_t pid) noexcept;
  // Adds `pid` if it is there and not known. nullptr: it is gone.
  Member* observe(pid_t pid, Instant now);
  // Moves a live member to the ended ones.
  void retire(std::size_t index, Instant now);
  std::int64_t read_clock(Member& member) noexcept;

  Machine& machine_;
  mutable std::mutex mutex_;
  pid_t root_ = -1;
  std::uint64_t root_start_ticks_ = 0;
  std::int64_t base_ns_ = 0;  // what the root had used before its release: ours, not the command's
  std::string run_id_;
  std::vector<Member> live_;
  std::vector<Member> ended_;
  std::uint64_t seen_ = 0;
  IoUsage io_of_lost_;  // of processes that nobody of the tree waited for
  bool finished_ = false;

 private:
  [[nodiscard]] LaneKind lane() const noexcept final { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept final { return channels_; }
  void read(std::span<Reading> out) noexcept final;
  void refresh_resident(Instant now) noexcept;
  void finish_memory(const ExitStatus& root, TreeUsage& usage);
  void finish_io(const ExitStatus& root, TreeUsage& usage);

  const TreeRung rung_;
  const std::string why_not_better_;
  TreePlaces places_;
  std::vector<Channel> channels_;
  std::int64_t shown_ns_ = 0;
  std::optional<std::uint64_t> resident_;
  std::uint64_t resident_peak_ = 0;
  std::uint64_t before_exec_resident_ = 0;
  std::optional<std::uint64_t> proportional_peak_;
  Instant next_resident_;
};

// Each gives the tree on its rung, or why it does not work here.
[[nodiscard]] Result<std::unique_ptr<ProcessTree>> make_cgroup_tree(Machine& machine, std::string why_not_better);
[[nodiscard]] Result<std::unique_ptr<ProcessTree>> make_exit_event_tree(Machine& machine, std::string why_not_better);
[[nodiscard]] Result<std::unique_ptr<ProcessTree>> make_subreaper_tree(Machine& machine, std::string why_not_better);
[[nodiscard]] Result<std::unique_ptr<ProcessTree>> make_polling_tree(Machine& machine, std::string why_not_better);

[[nodiscard]] inline std::int64_t timeval_ns(const struct timeval& time) noexcept {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::int64_t>(time.tv_usec) * 1'000;
}

}  // namespace prony
