#include "app/watched_ends.hpp"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/text.hpp"

namespace prony::app {

namespace {

// struct pidfd_info of Linux 6.15, which the C library's headers here need not know.
struct PidfdInfo {
  std::uint64_t mask, cgroup;
  std::uint32_t pid, tgid, ppid, ids[8];
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t info_exit = 1U << 3;

// Only after it was reaped: before that the kernel keeps it to itself.
std::optional<int> from_pidfd(const Fd& pidfd) {
  PidfdInfo info{};
  info.mask = info_exit;
  if (::ioctl(pidfd.get(), _IOWR(0xFF, 11, PidfdInfo), &info) != 0 || (info.mask & info_exit) == 0) return std::nullopt;
  return info.exit_code;
}

// Only before it was reaped; 0 for whoever may not look into the process.
std::optional<int> from_stat(const Fd& status) {
  std::array<char, 2048> buffer{};
  const auto got = ::pread(status.get(), buffer.data(), buffer.size(), 0);
  if (got <= 0) return std::nullopt;
  std::string_view text(buffer.data(), static_cast<std::size_t>(got));
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  const auto fields = split(trim(text.substr(name_end + 1)), ' ');  // from field 3 on
  if (fields.size() < 50 || (fields[0] != "Z" && fields[0] != "X")) return std::nullopt;
  const auto told = parse_i64(fields[49]);
  return told ? std::optional(static_cast<int>(*told)) : std::nullopt;
}

void read_status(const Fd& pidfd, const Fd& status, WatchedEnd& end) {
  const auto take = [&](std::optional<int> how, const char* method) {
    if (!how) return false;
    end.wait_status = how;
    end.method = method;
    return true;
  };
  const auto waiting = from_stat(status);
  // Another user's process shows 0 there, whatever it ended with.
  struct stat owner{};
  const bool ours = ::geteuid() == 0 || (::fstat(status.get(), &owner) == 0 && owner.st_uid == ::geteuid());
  if (waiting && (ours || *waiting != 0) && take(waiting, "/proc/PID/stat")) return;
  (void)take(from_pidfd(pidfd), "pidfd");
}

Fd pidfd_of(std::int64_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0))); }

}  // namespace

Event WatchedEnd::event(Instant at) const {
  std::string words = "it ended; how, nobody could tell (Linux 6.15 tells all users)";
  if (wait_status && WIFSIGNALED(*wait_status)) {
    const char* const name = ::sigabbrev_np(WTERMSIG(*wait_status));
    words = "killed by signal " + std::to_string(WTERMSIG(*wait_status)) +
            (name == nullptr ? std::string() : " (SIG" + std::string(name) + ")");
  } else if (wait_status) {
    words = "exit code " + std::to_string(WEXITSTATUS(*wait_status));
  }
  return Event{at, "target-ended", target, words};
}

Result<WatchedEnds> WatchedEnds::open(std::span<const TargetChoice> choices) {
  WatchedEnds ends;
  for (const TargetChoice& choice : choices) {
    if (choice.kind != SelectorKind::pid) continue;
    Watched watched;
    watched.end.target = choice.name;
    watched.end.pid = parse_i64(choice.value).value_or(0);
    watched.pidfd = pidfd_of(watched.end.pid);
    if (!watched.pidfd.valid())
      return Unexpected<Error>(error_from_errno(errno, selector_text(choice), "its end cannot be watched"));
    // After the pidfd: so it is of the same process.
    if (auto stat = Fd::open("/proc/" + std::to_string(watched.end.pid) + "/stat", O_RDONLY))
      watched.status = std::move(*stat);
    ends.watched_.push_back(std::move(watched));
  }
  ends.wake_ = Fd(::eventfd(0, EFD_CLOEXEC));
  return ends;
}

WatchedEnds::~WatchedEnds() { stop(); }

void WatchedEnds::stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  thread_.join();
}

void WatchedEnds::watch(std::function<void(const WatchedEnd&)> ended, std::function<void()> all_ended) {
  thread_ =
      std::jthread([&all = watched_, wake = wake_.get(), ended = std::move(ended), all_ended = std::move(all_ended)] {
        std::vector<pollfd> waited(all.size() + 1);
        waited.back() = {wake, POLLIN, 0};
        while (true) {
          for (std::size_t i = 0; i < all.size(); ++i) waited[i] = {all[i].over ? -1 : all[i].pidfd.get(), POLLIN, 0};
          if (::poll(waited.data(), waited.size(), -1) < 0 && errno != EINTR) return;
          if (waited.back().revents != 0) return;
          for (std::size_t i = 0; i < all.size(); ++i) {
            if (all[i].over || (waited[i].revents & (POLLIN | POLLHUP)) == 0) continue;
            all[i].over = true;
            read_status(all[i].pidfd, all[i].status, all[i].end);
            ended(all[i].end);
          }
          if (std::ranges::all_of(all, &Watched::over)) return all_ended();
        }
      });
}

std::vector<Total> WatchedEnds::totals() {
  stop();
  if (watched_.size() != 1 || !watched_.front().end.wait_status) return {};
  const WatchedEnd& end = watched_.front().end;
  const int status = *end.wait_status;
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const int code = signal != 0 ? 128 + signal : WEXITSTATUS(status);
  std::vector<Total> totals{{"target", "exit_code", static_cast<double>(code), end.method}};
  if (signal != 0) totals.push_back({"target", "exit_signal", static_cast<double>(signal), end.method});
  return totals;
}

void tell_ready(const std::filesystem::path& run, const std::filesystem::path& spans) {
  const char* const named = std::getenv("PRONY_READY_FD");
  const auto number = named == nullptr ? std::nullopt : parse_u64(named);
  if (!number || *number > 1'000'000) return;
  const Fd told(static_cast<int>(*number));
  const std::string text = std::filesystem::absolute(run).string() + "\n" + spans.string() + "\n";
  (void)!::write(told.get(), text.data(), text.size());
}

}  // namespace prony::app
