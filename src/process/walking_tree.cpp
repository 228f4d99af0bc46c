// Rungs subreaper and polling: the descendants are listed every few milliseconds, their process clocks are read on
// every tick, and what they waited for comes from their own children's times. With the subreaper, orphans of the tree
// become our children, so that wait4 gives their times too; without it, what was read of an orphan last is all there
// is. Sources: PR_SET_CHILD_SUBREAPER in prctl(2), wait4(2), proc(5).
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "process/tree_base.hpp"

namespace prony {

namespace {

constexpr std::int64_t listing_cost_factor = 100;  // a listing may take 1/100 of the time between two

class WalkingTree final : public TreeBase {
 public:
  WalkingTree(Machine& machine, TreeRung rung, std::string why, int subreaper_before)
      : TreeBase(machine, rung, std::move(why)),
        adopts_(rung == TreeRung::subreaper),
        subreaper_before_(subreaper_before),
        period_(adopts_ ? milliseconds(20) : milliseconds(100)) {
    found_.reserve(1024);
    strangers_.reserve(64);
  }
  ~WalkingTree() override {
    if (adopts_) ::prctl(PR_SET_CHILD_SUBREAPER, static_cast<unsigned long>(subreaper_before_));
  }
  WalkingTree(const WalkingTree&) = delete;
  WalkingTree& operator=(const WalkingTree&) = delete;

 protected:
  // The root is held and has no children yet: whoever else is our child now (a guard) is not of the tree.
  void begin() override {
    append_children(::getpid(), strangers_);
    std::erase(strangers_, root_);
  }

  std::int64_t count_cpu_ns(Instant now) noexcept override {
    if (now >= next_listing_) {
      try {
        list(now);
      } catch (const std::exception&) {  // out of memory: the members that are known stay
      }
      next_listing_ = now + std::max(period_, listing_cost_factor * (machine_.now() - now));
    }
    std::int64_t sum = adopted_ns_ + lost_ns_ - base_ns_;
    for (Member& member : live_) {
      sum += read_clock(member) + member.children_ns;
      member.ticked = true;
    }
    return sum;
  }

  void refresh_members(Instant now) override { list(now); }

  std::vector<pid_t> find_orphans() override {
    return adopts_ ? std::vector<pid_t>{} : find_by_environment("PRONY_RUN_ID=" + run_id_);
  }

  void finish_cpu(const ExitStatus& root, TreeUsage& usage) override {
    const auto user = timeval_ns(root.usage.ru_utime) + adopted_user_ns_;
    const auto system = timeval_ns(root.usage.ru_stime) + adopted_system_ns_;
    usage.cpu_user_s = seconds_of(user);
    usage.cpu_system_s = seconds_of(std::max<std::int64_t>(system - base_ns_, 0));
    std::int64_t loose = lost_ns_;
    for (Member& member : live_) loose += read_clock(member) + member.children_ns;
    usage.cpu_unattributed_s = seconds_of(loose);
    finish_counts(usage);
    if (unseen_possible_)
      usage.unavailable.push_back(
          {"process.cpu_unattributed_s",
           "a process of the tree ignores SIGCHLD, so the kernel throws away the times of its children; they are "
           "counted as far as they were seen at ticks, and what they used between their last tick and their end is not",
           "the rungs cgroup and exit-events see all of it"});
    if (!adopts_)
      usage.unavailable.push_back({"process.cpu_unattributed_s",
                                   "orphans of the tree that live between two listings of the processes are not seen",
                                   "the rungs subreaper, exit-events and cgroup see them"});
    usage.unavailable.push_back(
        {"process.short_lived", "this rung sees processes when it looks; those in between are not counted", {}});
  }

 private:
  void list(Instant now) {
    found_.clear();
    found_.push_back(root_);
    append_descendants(root_, found_);
    if (adopts_) {
      const auto first = found_.size();
      append_children(::getpid(), found_);
      std::erase_if(found_, [&, n = std::size_t{0}](pid_t pid) mutable {
        const bool adopted = n++ >= first;
        return adopted && (pid == root_ || std::find(strangers_.begin(), strangers_.end(), pid) != strangers_.end());
      });
      for (auto i = first, last = found_.size(); i < last; ++i) append_descendants(found_[i], found_);
    } else {
      for (std::size_t i = 0; i < live_.size(); ++i)  // orphans that were seen before they became orphans
        if (live_[i].stat.pid != root_) append_descendants(live_[i].stat.pid, found_);
    }
    for (const pid_t pid : found_) observe(pid, now);
    for (std::size_t i = live_.size(); i-- > 0;) look_at(i, now);
  }

  // Brings one member up to date; takes it from the list if it has ended.
  void look_at(std::size_t index, Instant now) {
    Member& member = live_[index];
    const auto stat = read_process_stat(member.stat.pid);
    if (!stat || stat->start_ticks != member.stat.start_ticks) {
      if (member.stat.pid == root_) return;  // its last figures stand until finish() brings those of wait4
      account_for_vanished(member);
      retire(index, now);
      return;
    }
    member.stat = *stat;
    member.seen.end = now;
    const auto ticks = stat->children_user_ticks + stat->children_system_ticks;
    member.children_ns = static_cast<std::int64_t>(ticks) * ns_per_tick();
    if (stat->state == 'Z') {
      if (adopts_ && stat->parent == ::getpid() && stat->pid != root_ && reap(stat->pid)) retire(index, now);
      return;
    }
    read_clock(member);
    member.ignores_child_exits = ignores_child_exits(stat->pid);
    unseen_possible_ = unseen_possible_ || member.ignores_child_exits;
  }

  bool reap(pid_t pid) {
    const auto io = read_io_usage(pid);
    struct rusage usage{};
    if (::wait4(pid, nullptr, WNOHANG, &usage) != pid) return false;
    adopted_user_ns_ += timeval_ns(usage.ru_utime);
    adopted_system_ns_ += timeval_ns(usage.ru_stime);
    adopted_ns_ = adopted_user_ns_ + adopted_system_ns_;
    minor_faults_ += static_cast<std::uint64_t>(usage.ru_minflt);
    major_faults_ += static_cast<std::uint64_t>(usage.ru_majflt);
    voluntary_ += static_cast<std::uint64_t>(usage.ru_nvcsw);
    involuntary_ += static_cast<std::uint64_t>(usage.ru_nivcsw);
    if (io) add_lost_io(*io);
    return true;
  }

  // Somebody reaped it. If that was a member which waits for its children, its times are in the member's; else they
  // are gone, and what we read last is kept.
  void account_for_vanished(const Member& member) {
    const auto is_parent = [&](const Member& other) { return other.stat.pid == member.stat.parent; };
    auto parent = std::find_if(live_.begin(), live_.end(), is_parent);
    bool waited_for = parent != live_.end() && !parent->ignores_child_exits;
    if (parent == live_.end()) {
      const auto ended = std::find_if(ended_.rbegin(), ended_.rend(), is_parent);
      waited_for = ended != ended_.rend() && !ended->ignores_child_exits;
    }
    if (waited_for) return;
    lost_ns_ += member.own_ns + member.children_ns;
    if (member.io) add_lost_io(*member.io);
  }

  void add_lost_io(const IoUsage& io) {
    io_of_lost_.read_bytes += io.read_bytes;
    io_of_lost_.write_bytes += io.write_bytes;
    io_of_lost_.read_calls_bytes += io.read_calls_bytes;
    io_of_lost_.write_calls_bytes += io.write_calls_bytes;
  }

  void finish_counts(TreeUsage& usage) const {
    *usage.minor_faults += minor_faults_;
    *usage.major_faults += major_faults_;
    *usage.voluntary_switches += voluntary_;
    *usage.involuntary_switches += involuntary_;
  }

  const bool adopts_;
  const int subreaper_before_;
  const Duration period_;
  Instant next_listing_;
  std::vector<pid_t> found_, strangers_;
  std::int64_t adopted_ns_ = 0, adopted_user_ns_ = 0, adopted_system_ns_ = 0;  // of orphans that we waited for
  std::int64_t lost_ns_ = 0;                                                   // of those that nobody waited for
  std::uint64_t minor_faults_ = 0, major_faults_ = 0, voluntary_ = 0, involuntary_ = 0;
  bool unseen_possible_ = false;
};

}  // namespace

Result<std::unique_ptr<ProcessTree>> make_subreaper_tree(Machine& machine, std::string why_not_better) {
  int before = 0;
  if (::prctl(PR_GET_CHILD_SUBREAPER, &before) != 0 || ::prctl(PR_SET_CHILD_SUBREAPER, 1UL) != 0)
    return fail(ErrorCode::unavailable, "this kernel gives orphans to nobody but init", {},
                "PR_SET_CHILD_SUBREAPER came with Linux 3.4");
  return std::make_unique<WalkingTree>(machine, TreeRung::subreaper, std::move(why_not_better), before);
}

Result<std::unique_ptr<ProcessTree>> make_polling_tree(Machine& machine, std::string why_not_better) {
  return std::make_unique<WalkingTree>(machine, TreeRung::polling, std::move(why_not_better), 0);
}

}  // namespace prony
