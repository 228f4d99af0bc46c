// Rung cgroup: the command begins in a cgroup v2 of its own. cpu.stat counts everybody who was ever inside, whoever
// waited for them; it is there even where the cpu controller is not. Source: Documentation/admin-guide/cgroup-v2.rst.
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "process/cgroup_texts.hpp"
#include "process/tree_base.hpp"

namespace prony {

namespace {

std::optional<CgroupCpuStat> read_cpu_stat(const Fd& file) noexcept {
  char buffer[2048];
  const auto got = read_from_start(file, buffer, sizeof buffer);
  if (got <= 0) return std::nullopt;
  return parse_cgroup_cpu_stat({buffer, static_cast<std::size_t>(got)});
}

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Result<std::string> own_cgroup_directory() {
  const auto mount = cgroup2_mount_point(text_of("/proc/self/mountinfo"));
  if (!mount) return fail(ErrorCode::absent, "no cgroup v2 file system is mounted", "/proc/self/mountinfo");
  auto path = own_cgroup2_path(text_of("/proc/self/cgroup"));
  if (!path) return path;
  return *mount + *path;
}

std::int64_t clock_ns(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

// Whether the Prony that made a cgroup at `made_ns` (CLOCK_MONOTONIC) still runs. Process numbers come round: whoever
// began after it was made is another one.
bool creator_lives(pid_t pid, std::int64_t made_ns) {
  const auto stat = read_process_stat(pid);
  if (!stat) return false;
  const auto tick_ns = 1'000'000'000 / std::max(::sysconf(_SC_CLK_TCK), 1L);
  // Starts are told on CLOCK_BOOTTIME, which is ahead by all sleep of the machine until now.
  const auto slept_ns = clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC);
  return static_cast<std::int64_t>(stat->start_ticks) * tick_ns <= made_ns + slept_ns + 2 * tick_ns;
}

// What a Prony that was killed left behind, if nobody is in it any more: rmdir refuses where somebody is.
void remove_stale(const std::string& parent) {
  const std::string prefix = "prony-";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    pid_t owner = 0;
    std::int64_t made_ns = 0;
    const char* const end = name.data() + name.size();
    const auto number = std::from_chars(name.data() + prefix.size(), end, owner);
    if (number.ec != std::errc() || number.ptr == end || *number.ptr != '-') continue;  // somebody else's
    const auto time = std::from_chars(number.ptr + 1, end, made_ns);
    if (time.ec != std::errc() || time.ptr != end) continue;
    if (owner > 0 && made_ns >= 0 && !creator_lives(owner, made_ns)) ::rmdir(entry.path().c_str());
  }
}

class CgroupTree final : public TreeBase {
 public:
  CgroupTree(Machine& machine, std::string why, std::string directory, Fd cpu_stat, Fd procs)
      : TreeBase(machine, TreeRung::cgroup, std::move(why)),
        directory_(std::move(directory)),
        cpu_stat_(std::move(cpu_stat)),
        procs_(std::move(procs)) {
    pids_.reserve(1024);
  }
  ~CgroupTree() override { ::rmdir(directory_.c_str()); }  // if somebody is still inside, it stays with them
  CgroupTree(const CgroupTree&) = delete;
  CgroupTree& operator=(const CgroupTree&) = delete;

  void prepare(SpawnOptions& options) override {
    TreeBase::prepare(options);
    options.cgroup_procs = directory_ + "/cgroup.procs";
  }
  [[nodiscard]] GuardTarget guard_target() const override {
    auto target = TreeBase::guard_target();
    target.cgroup_directory = directory_;
    return target;
  }

 protected:
  // The child has run in the cgroup before its release; that is ours.
  void begin() override { base_ = read_cpu_stat(cpu_stat_).value_or(CgroupCpuStat{}); }

  std::int64_t count_cpu_ns(Instant) noexcept override {
    const auto now = read_cpu_stat(cpu_stat_);
    return now ? (now->usage_us - base_.usage_us) * 1000 : 0;
  }

  void refresh_members(Instant now) override {
    read_pids();
    for (std::size_t i = live_.size(); i-- > 0;) {
      const bool inside = std::find(pids_.begin(), pids_.end(), live_[i].stat.pid) != pids_.end();
      if (!inside && live_[i].stat.pid != root_) retire(i, now);
    }
    for (const pid_t pid : pids_)
      if (Member* member = observe(pid, now)) {
        member->seen.end = now;
        read_clock(*member);
      }
  }

  void finish_cpu(const ExitStatus& root, TreeUsage& usage) override {
    const auto last = read_cpu_stat(cpu_stat_);
    if (last) {
      const auto total = std::max<std::int64_t>(last->usage_us - base_.usage_us, 0);
      const auto user = std::clamp<std::int64_t>(last->user_us - base_.user_us, 0, total);
      usage.cpu_user_s = static_cast<double>(user) * 1e-6;
      usage.cpu_system_s = static_cast<double>(total - user) * 1e-6;
    } else {
      usage.cpu_user_s = seconds_of(timeval_ns(root.usage.ru_utime));
      usage.cpu_system_s = seconds_of(timeval_ns(root.usage.ru_stime));
      usage.unavailable.push_back({"process.cpu_s",
                                   "cpu.stat of the command's cgroup could not be read at the end; the figures are "
                                   "those of the processes that were waited for",
                                   {}});
    }
    usage.unavailable.push_back({"process.short_lived", "a cgroup counts time, not how many processes there were", {}});
    if (::rmdir(directory_.c_str()) != 0 && errno != ENOENT)
      usage.unavailable.push_back({"process.cgroup",
                                   "the cgroup stays, because processes of the command are still in it: " + directory_,
                                   "remove it with rmdir when they have ended"});
  }

 private:
  void read_pids() {
    pids_.clear();
    char buffer[4096];
    off_t at = 0;
    pid_t pid = 0;
    while (true) {
      const auto got = ::pread(procs_.get(), buffer, sizeof buffer, at);
      if (got <= 0) return;
      at += got;
      for (const char* c = buffer; c != buffer + got; ++c) {
        if (*c >= '0' && *c <= '9') {
          pid = pid * 10 + (*c - '0');
        } else {
          if (pid > 0) pids_.push_back(pid);
          pid = 0;
        }
      }
    }
  }

  const std::string directory_;
  const Fd cpu_stat_, procs_;
  CgroupCpuStat base_;
  std::vector<pid_t> pids_;
};

}  // namespace

Result<std::unique_ptr<ProcessTree>> make_cgroup_tree(Machine& machine, std::string why_not_better) {
  const std::string fix = "run Prony as root, or in a delegated cgroup: systemd-run --user --scope -p Delegate=yes";
  auto parent = own_cgroup_directory();
  if (!parent) return Unexpected<Error>(parent.error());
  if (::access((*parent + "/cgroup.procs").c_str(), W_OK) != 0) {
    auto error = error_from_errno(errno, *parent, "cannot put a process into a cgroup of its own");
    error.fix = fix;
    return Unexpected<Error>(std::move(error));
  }
  remove_stale(*parent);
  const std::string directory =
      *parent + "/prony-" + std::to_string(::getpid()) + "-" + std::to_string(machine.now().ns);
  if (::mkdir(directory.c_str(), 0755) != 0) {
    auto error = error_from_errno(errno, directory, "cannot make a cgroup");
    error.fix = fix;
    return Unexpected<Error>(std::move(error));
  }
  auto cpu_stat = Fd::open(directory + "/cpu.stat", O_RDONLY);
  auto procs = Fd::open(directory + "/cgroup.procs", O_RDONLY);
  if (!cpu_stat || !procs || !read_cpu_stat(*cpu_stat)) {
    ::rmdir(directory.c_str());
    return fail(ErrorCode::unavailable, "its cpu.stat gives no CPU time", directory,
                "a kernel of 4.15 or later has it");
  }
  return std::make_unique<CgroupTree>(machine, std::move(why_not_better), directory, std::move(*cpu_stat),
                                      std::move(*procs));
}

}  // namespace prony
