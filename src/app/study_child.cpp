#include "app/study_child.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "app/study_cgroup.hpp"
#include "app/study_memory.hpp"
#include "app/study_progress.hpp"
#include "base/text.hpp"

namespace prony::app {

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::int64_t look_ns = 200'000'000, grace_ns = 10'000'000'000;
constexpr std::int64_t memory_look_ns = 50'000'000;  // what grows fast is met before the machine is full

std::int64_t since(Steady::time_point begun) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Steady::now() - begun).count();
}

// Field 4 of /proc/PID/stat; the name before it may hold anything, so it is read from its last parenthesis on.
pid_t parent_of(const std::string& pid) {
  const auto text = read_whole_file("/proc/" + pid + "/stat", 4096);
  if (!text) return 0;
  std::string_view rest(*text);
  const std::size_t name_end = rest.rfind(')');
  if (name_end == std::string_view::npos) return 0;
  rest.remove_prefix(name_end + 1);
  (void)next_word(rest);  // state
  return static_cast<pid_t>(parse_i64(next_word(rest)).value_or(0));
}

// All that is left of a run has become a child of this process. In rounds: what is ended may leave children in turn.
void end_orphans() {
  for (int round = 0; round < 50; ++round) {
    bool any = false;
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", failed)) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos || parent_of(name) != ::getpid()) continue;
      any = true;
      const auto pid = static_cast<pid_t>(parse_i64(name).value_or(0));
      if (pid > 0) ::kill(pid, SIGKILL);
    }
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    if (!any) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::int64_t size_of(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::int64_t>(status.st_size) : 0;
}

std::string span_words(std::int64_t ns) { return format_number(static_cast<double>(ns) / 1e9) + " s"; }

// What came from it so far: its log's length and what it tells of itself.
class Silence {
 public:
  explicit Silence(const StudyChildPlan& plan) : plan_(plan) {}
  // Since when nothing came.
  [[nodiscard]] std::int64_t look() {
    progress_ = read_progress(plan_.progress);
    const std::int64_t size = size_of(plan_.log);
    if (size != size_ || progress_ != before_) {
      size_ = size;
      before_ = progress_;
      heard_ = Steady::now();
    }
    return since(heard_);
  }
  [[nodiscard]] const std::string& progress() const { return progress_; }

 private:
  const StudyChildPlan& plan_;
  std::int64_t size_ = -1;
  std::string before_, progress_;
  Steady::time_point heard_ = Steady::now();
};

// First it may write what it has; then all of it is ended.
Result<std::optional<ExitStatus>> end_group(Child& child) {
  (void)::kill(-child.pid(), SIGTERM);
  auto ended = child.wait(grace_ns);
  if (ended && !*ended) {
    (void)::kill(-child.pid(), SIGKILL);
    ended = child.wait(grace_ns);
  }
  return ended;
}

// How a run is held to its limit: by the kernel where a control group may be made, and watched in any case.
class MemoryWall {
 public:
  explicit MemoryWall(std::uint64_t limit) : limit_(limit) {
    if (limit == 0) return;
    auto group = MemoryGroup::create(limit);
    if (group)
      group_.emplace(std::move(*group));
    else
      why_not_ = group.error().what;
  }
  [[nodiscard]] std::string procs() const { return group_ ? group_->procs() : std::string(); }
  // Processes may not be moved into it after all.
  void give_up(const std::string& why) {
    group_.reset();
    why_not_ = why;
  }
  [[nodiscard]] std::string words() const {
    if (limit_ == 0) return {};
    if (!group_) return "watched: " + why_not_;
    return "enforced: control group, version " + std::to_string(group_->version());
  }
  // Why a run does not count that met the limit; "": it did not.
  [[nodiscard]] std::string met() const {
    const std::uint64_t kills = group_ ? group_->kills() : 0;
    if (kills == 0) return {};
    return "it needed more than its " + memory_words(limit_) + " of memory: the kernel ended " + std::to_string(kills) +
           (kills == 1 ? " of its processes" : " of its processes, one after another");
  }

 private:
  std::uint64_t limit_;
  std::optional<MemoryGroup> group_;
  std::string why_not_;
};

}  // namespace

void take_orphans() noexcept { (void)::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

Result<StudyChildEnd> run_study_child(const StudyChildPlan& plan, const std::atomic<int>& stop,
                                      const std::function<void(const std::string&)>& tick) {
  const auto log = Fd::open(plan.log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
  if (!log) return Unexpected<Error>(log.error());
  const auto nothing = Fd::open("/dev/null", O_RDONLY);
  if (!nothing) return Unexpected<Error>(nothing.error());
  std::error_code ignored;
  std::filesystem::remove(plan.progress, ignored);  // what an earlier one told
  SpawnOptions options;
  options.arguments = plan.words;
  options.environment = plan.environment;
  options.environment.emplace_back(progress_variable, plan.progress);
  options.stdin_fd = nothing->get();
  options.stdout_fd = options.stderr_fd = log->get();
  options.die_with_parent = options.own_group = true;
  options.signals = plan.signals;
  MemoryWall wall(plan.memory_limit);
  options.cgroup_procs = wall.procs();
  const auto begun = Steady::now();
  auto child = spawn(options);
  if (!child && !options.cgroup_procs.empty()) {
    wall.give_up(child.error().what);
    options.cgroup_procs.clear();
    child = spawn(options);
  }
  if (!child) return Unexpected<Error>(child.error());
  StudyChildEnd end;
  end.memory_limit = wall.words();
  Silence silence(plan);
  std::optional<ExitStatus> exit;
  const std::uint64_t ended_for_memory = out_of_memory_kills();
  while (!exit) {
    auto ended = child->wait(plan.memory_limit > 0 ? memory_look_ns : look_ns);
    if (!ended) return Unexpected<Error>(ended.error());
    exit = std::move(*ended);
    if (exit) break;
    const std::int64_t quiet_ns = silence.look();
    tick(silence.progress());
    if (stop.load() != 0) {
      end.interrupted = true;
      end.reason = "the study was stopped by signal " + std::to_string(stop.load());
    } else if (plan.timeout_ns > 0 && since(begun) > plan.timeout_ns) {
      end.reason = "it took longer than " + span_words(plan.timeout_ns) + " and was ended";
    } else if (plan.silence_ns > 0 && quiet_ns > plan.silence_ns) {
      end.reason = "nothing was heard of it for " + span_words(plan.silence_ns) + ", and it was ended";
    } else if (const std::uint64_t held = plan.memory_limit > 0 ? memory_of_descendants() : 0;
               held > plan.memory_limit) {
      end.reason = "it held " + memory_words(held) + " of memory, more than " + memory_words(plan.memory_limit) +
                   ", and was ended";
    } else {
      continue;
    }
    auto killed = end_group(*child);
    if (!killed) return Unexpected<Error>(killed.error());
    break;
  }
  if (exit) end.exit_code = exit->shell_code();
  if (const std::string met = wall.met(); !met.empty() && !end.interrupted) end.reason = met;
  (void)::kill(-child->pid(), SIGKILL);  // what is left of its group
  end_orphans();
  end.out_of_memory = out_of_memory_kills() - ended_for_memory;
  end.wall_s = static_cast<double>(since(begun)) / 1e9;
  return end;
}

}  // namespace prony::app
