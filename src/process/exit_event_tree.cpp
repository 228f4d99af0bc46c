// Rung exit-events: the process connector tells of every fork, taskstats of every end of a thread with its CPU time to
// the nanosecond, its faults and its bytes. A thread of ours reads both. Needs CAP_NET_ADMIN.
// Sources: Documentation/accounting/taskstats.rst, include/uapi/linux/{cn_proc,connector,taskstats}.h.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <thread>
#include <unordered_map>

#include "process/kernel_events.hpp"
#include "process/tree_base.hpp"

namespace prony {

namespace {

// The sums of the threads that ended.
struct Ended {
  std::int64_t cpu_ns = 0, user_ns = 0, system_ns = 0;
  std::uint64_t minor_faults = 0, major_faults = 0, voluntary = 0, involuntary = 0;
  IoUsage io;
};

// A process of the tree with threads that have not ended.
struct Group {
  std::size_t threads = 1;
  std::int64_t ended_ns = 0;  // of its threads that have ended
};

class ExitEventTree final : public TreeBase {
 public:
  ExitEventTree(Machine& machine, std::string why, KernelEvents events, Fd stop)
      : TreeBase(machine, TreeRung::exit_events, std::move(why)),
        events_(std::move(events)),
        stop_(std::move(stop)),
        reader_([this] { follow(); }) {}
  ~ExitEventTree() override {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
    reader_.join();
  }
  ExitEventTree(const ExitEventTree&) = delete;
  ExitEventTree& operator=(const ExitEventTree&) = delete;

 protected:
  void begin() override {
    groups_[root_] = Group{};
    threads_[root_] = root_;
  }

  std::int64_t count_cpu_ns(Instant now) noexcept override {
    std::int64_t sum = ended_groups_ns_ - base_ns_;
    for (Member& member : live_) {
      sum += read_clock(member);
      member.ticked = true;
      member.seen.end = now;
    }
    return sum;
  }

  void refresh_members(Instant) override {}  // the events do it

  // The events of the last moments may still be on their way.
  void settle() override {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(500), [this] { return !groups_.contains(root_); });
  }

  void finish_cpu(const ExitStatus& root, TreeUsage& usage) override {
    // Two lower bounds of one truth. Events miss what a task does after its figures are sent (giving back its memory);
    // wait4 misses those whom nobody waited for.
    const auto waited_user = timeval_ns(root.usage.ru_utime), waited_system = timeval_ns(root.usage.ru_stime);
    const auto by_wait = waited_user + waited_system - base_ns_;
    std::int64_t by_events = ended_groups_ns_ - base_ns_, user = sums_.user_ns, system = sums_.system_ns;
    for (Member& member : live_) by_events += read_clock(member);
    const auto total = std::max<std::int64_t>({by_events, by_wait, 0});
    if (user + system == 0 || by_wait >= by_events) {
      user = waited_user;
      system = waited_system;
    }
    const double share = user + system > 0 ? static_cast<double>(user) / static_cast<double>(user + system) : 1.0;
    usage.cpu_user_s = seconds_of(total) * share;
    usage.cpu_system_s = seconds_of(total) - usage.cpu_user_s;
    usage.minor_faults = std::max(*usage.minor_faults, sums_.minor_faults);
    usage.major_faults = std::max(*usage.major_faults, sums_.major_faults);
    usage.voluntary_switches = std::max(*usage.voluntary_switches, sums_.voluntary);
    usage.involuntary_switches = std::max(*usage.involuntary_switches, sums_.involuntary);
    if (usage.read_bytes) {
      usage.read_bytes = std::max(*usage.read_bytes, sums_.io.read_bytes);
      usage.write_bytes = std::max(*usage.write_bytes, sums_.io.write_bytes);
      usage.read_calls_bytes = std::max(*usage.read_calls_bytes, sums_.io.read_calls_bytes);
      usage.write_calls_bytes = std::max(*usage.write_calls_bytes, sums_.io.write_calls_bytes);
    }
    usage.short_lived = short_lived_;
    if (lost_events_) {
      usage.short_lived.reset();
      usage.unavailable.push_back({"process.cpu_s",
                                   "the kernel dropped process events because they came faster than they were read; "
                                   "the sums may lack short-lived processes",
                                   "the rung cgroup loses none"});
    }
  }

 private:
  void follow() {
    std::vector<ThreadEnd> ends;
    std::vector<ForkEvent> forks;
    while (events_.wait(stop_)) {
      ends.clear();
      forks.clear();
      // Ends first: a thread's fork is told before its end, so whatever ended was born in what is read after.
      bool lost = events_.read_ends(ends);
      lost = events_.read_forks(forks) || lost;
      const std::lock_guard lock(mutex_);
      lost_events_ = lost_events_ || (lost && root_ > 0 && !finished_);
      const auto now = machine_.now();
      for (const ForkEvent& fork : forks) on_fork(fork, now);
      for (const ThreadEnd& end : ends) on_end(end, now);
      changed_.notify_all();
    }
  }

  void on_fork(const ForkEvent& fork, Instant now) {
    const bool new_thread = fork.child_thread != fork.child_process;
    const auto group = groups_.find(new_thread ? fork.child_process : fork.parent_process);
    if (fork.child_thread == root_) return;  // told late: attach() was faster
    if (root_ <= 0 || group == groups_.end()) {
      forget(fork.child_thread, now);
      return;
    }
    threads_[fork.child_thread] = fork.child_process;
    if (new_thread) {
      ++group->second.threads;
      return;
    }
    groups_[fork.child_process] = Group{};
    if (observe(fork.child_process, now) == nullptr) ++seen_;  // gone already; its end has its times
  }

  // A number of ours was given to a stranger: the event of our task's end was dropped.
  void forget(pid_t number, Instant now) {
    if (threads_.erase(number) == 0) return;
    const auto group = groups_.find(number);
    if (group == groups_.end()) return;
    const auto at = std::find_if(live_.begin(), live_.end(), [&](const Member& m) { return m.stat.pid == number; });
    std::int64_t total = group->second.ended_ns;
    groups_.erase(group);
    if (at != live_.end()) {
      total = std::max(total, at->own_ns);
      retire(static_cast<std::size_t>(at - live_.begin()), now);
    }
    ended_groups_ns_ += total;
  }

  void on_end(const ThreadEnd& end, Instant now) {
    const auto thread = threads_.find(end.thread);
    if (thread == threads_.end()) return;
    const pid_t process = thread->second;
    threads_.erase(thread);
    const auto group = groups_.find(process);
    if (group == groups_.end()) return;
    group->second.ended_ns += end.cpu_ns;
    sums_.user_ns += end.user_ns;
    sums_.system_ns += end.system_ns;
    sums_.minor_faults += end.minor_faults;
    sums_.major_faults += end.major_faults;
    sums_.voluntary += end.voluntary;
    sums_.involuntary += end.involuntary;
    sums_.io.read_bytes += end.io.read_bytes;
    sums_.io.write_bytes += end.io.write_bytes;
    sums_.io.read_calls_bytes += end.io.read_calls_bytes;
    sums_.io.write_calls_bytes += end.io.write_calls_bytes;
    if (--group->second.threads > 0) return;
    std::int64_t total = group->second.ended_ns;
    groups_.erase(group);
    const auto at = std::find_if(live_.begin(), live_.end(), [&](const Member& m) { return m.stat.pid == process; });
    if (at == live_.end() || !at->ticked) ++short_lived_;
    if (at != live_.end()) {
      total = std::max(total, at->own_ns);  // a tick may have seen more than the event tells
      at->own_ns = total;
      std::copy(end.name.begin(), end.name.end(), at->stat.name.begin());
      retire(static_cast<std::size_t>(at - live_.begin()), now);
    }
    ended_groups_ns_ += total;
  }

  KernelEvents events_;
  Fd stop_;
  std::unordered_map<pid_t, pid_t> threads_;  // of the tree, living → their process
  std::unordered_map<pid_t, Group> groups_;
  std::int64_t ended_groups_ns_ = 0;
  Ended sums_;
  std::uint64_t short_lived_ = 0;
  bool lost_events_ = false;
  std::condition_variable changed_;
  std::thread reader_;  // last: it uses all of the above
};

}  // namespace

Result<std::unique_ptr<ProcessTree>> make_exit_event_tree(Machine& machine, std::string why_not_better) {
  auto events = KernelEvents::open();
  if (!events) return Unexpected<Error>(events.error());
  Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) return Unexpected<Error>(error_from_errno(errno, {}, "cannot make an event descriptor"));
  return std::make_unique<ExitEventTree>(machine, std::move(why_not_better), std::move(*events), std::move(stop));
}

}  // namespace prony
