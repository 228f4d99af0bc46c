#include "process/guard.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <vector>

#include "process/proc_files.hpp"

namespace prony {

namespace {

constexpr std::string_view disarm_word = "disarm";

bool write_once(const std::string& path, std::string_view text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.valid() && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::vector<pid_t> members(const GuardTarget& target) {
  std::vector<pid_t> pids;
  const auto root = read_process_stat(target.root);
  if (root && root->start_ticks == target.root_start_ticks) {
    append_descendants(target.root, pids);
    pids.push_back(target.root);
  }
  if (!target.run_id.empty())
    for (const pid_t pid : find_by_environment("PRONY_RUN_ID=" + target.run_id))
      if (std::find(pids.begin(), pids.end(), pid) == pids.end()) {
        pids.push_back(pid);
        append_descendants(pid, pids);
      }
  std::erase(pids, ::getpid());
  return pids;
}

std::vector<pid_t> cgroup_members(const std::string& directory) {
  std::vector<pid_t> pids;
  const Fd file(::open((directory + "/cgroup.procs").c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; file.valid() && (got = ::read(file.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    pid_t pid = 0;
    std::from_chars(text.data() + at, text.data() + end, pid);
    if (pid > 0) pids.push_back(pid);
    at = end + 1;
  }
  return pids;
}

void nap(long milliseconds) noexcept {
  const struct timespec pause{0, milliseconds * 1'000'000};
  ::nanosleep(&pause, nullptr);
}

// Again and again, for a fork may have been under way while we looked.
void end_tree(const GuardTarget& target) {
  for (int empty_rounds = 0, round = 0; round < 200 && empty_rounds < 3; ++round) {
    const auto count = signal_tree(target, SIGKILL);
    if (!target.cgroup_directory.empty()) {
      if (::rmdir(target.cgroup_directory.c_str()) == 0 || errno == ENOENT) return;
    } else if (count == 0) {
      ++empty_rounds;
    }
    nap(10);
  }
}

// One datagram per order: "disarm", or "pid start cgroup\nrun_id".
GuardTarget parse_order(std::string_view text) {
  GuardTarget target;
  const auto number = [&text](auto& value) {
    const auto end = std::min(text.find(' '), text.size());
    std::from_chars(text.data(), text.data() + end, value);
    text.remove_prefix(std::min(end + 1, text.size()));
  };
  number(target.root);
  number(target.root_start_ticks);
  const auto line = std::min(text.find('\n'), text.size());
  target.cgroup_directory = std::string(text.substr(0, line));
  target.run_id = std::string(text.substr(std::min(line + 1, text.size())));
  return target;
}

[[noreturn]] void watch(int pipe) {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_IGN);
  sigset_t none{};
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();  // Ctrl-C and the end of the terminal are for the command, not for its guard
  ::dup2(pipe, 3);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
  if (::syscall(SYS_close_range, 4U, ~0U, 0U) != 0)
    for (int fd = 4; fd < 65536; ++fd) ::close(fd);
  GuardTarget target;
  char buffer[8192];
  while (true) {
    const auto got = ::recv(3, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    const std::string_view order(buffer, static_cast<std::size_t>(got));
    if (order == disarm_word) ::_exit(0);
    target = parse_order(order);
  }
  if (target.root > 0) end_tree(target);
  ::_exit(0);
}

}  // namespace

std::size_t signal_tree(const GuardTarget& target, int signal) {
  if (!target.cgroup_directory.empty() && signal == SIGKILL &&
      write_once(target.cgroup_directory + "/cgroup.kill", "1"))
    return 1;
  const auto pids = target.cgroup_directory.empty() ? members(target) : cgroup_members(target.cgroup_directory);
  std::size_t sent = 0;
  for (const pid_t pid : pids) {
    const auto stat = read_process_stat(pid);
    if (stat && stat->state != 'Z' && ::kill(pid, signal) == 0) ++sent;
  }
  return sent;
}

Result<Guard> start_guard() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return Unexpected<Error>(error_from_errno(errno, {}, "cannot make the guard's socket"));
  Fd ours(ends[0]), theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return Unexpected<Error>(error_from_errno(errno, {}, "cannot start the guard"));
  if (pid == 0) watch(theirs.get());
  return Guard(pid, std::move(ours));
}

Result<void> Guard::arm(const GuardTarget& target) {
  const std::string order = std::to_string(target.root) + " " + std::to_string(target.root_start_ticks) + " " +
                            target.cgroup_directory + "\n" + target.run_id;
  if (::send(pipe_.get(), order.data(), order.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(order.size()))
    return Unexpected<Error>(error_from_errno(errno, {}, "the guard of --die-with-prony is gone"));
  return {};
}

void Guard::disarm() noexcept {
  if (pid_ <= 0) return;
  [[maybe_unused]] const auto sent = ::send(pipe_.get(), disarm_word.data(), disarm_word.size(), MSG_NOSIGNAL);
  pipe_.reset();
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

Guard::~Guard() { disarm(); }

}  // namespace prony
