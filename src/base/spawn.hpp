// spawn(): start a program so that nothing of it is touched but what was asked for, hold it before exec until released,
// and wait for it by pidfd. It stays in the caller's process group (unless asked otherwise), session and terminal, so
// that Ctrl-C and Ctrl-Z reach it as they would without us. Thread promise: any thread; a Child has one owner, but
// signal() may be called from another thread while wait() blocks. Sources: fork(2), execve(2), pidfd_open(2), prctl(2),
// signal(7).
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony {

// What a program inherits of signal handling. main() takes it before it installs or ignores anything, so that a command
// gets what it would have got without us (nohup's ignored SIGHUP stays ignored).
struct SignalState {
  sigset_t mask{};
  sigset_t ignored{};
};
[[nodiscard]] SignalState current_signal_state() noexcept;

// Raises how many files this process may have open to what its user may raise it to (no privilege needed). Gives the
// limit as it was, for a child to get back: programs that use select(2) must not meet descriptors above 1023 by our
// doing. Whole process; source: getrlimit(2).
[[nodiscard]] struct rlimit raise_open_file_limit() noexcept;

struct SpawnOptions {
  std::vector<std::string> arguments;                            // argv; argv[0] is looked up in the child's PATH
  std::vector<std::pair<std::string, std::string>> environment;  // added to (or replacing in) the inherited one
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;             // −1: inherited, untouched
  std::string cgroup_procs;      // the cgroup.procs file of the cgroup v2 in which the child begins; empty: none
  bool die_with_parent = false;  // SIGKILL when the *thread* that called spawn() ends (PR_SET_PDEATHSIG)
  bool own_group = false;  // leads a process group of its own, so that all of it can be ended: out of Ctrl-C's reach
  bool hold = false;       // wait in the child, before exec, until release(); the child exits if we die before
  std::optional<SignalState> signals;       // empty: the calling thread's mask and default dispositions
  std::optional<struct rlimit> open_files;  // its RLIMIT_NOFILE, where the caller changed its own; empty: the caller's
};

// Bytes that a process moved, with those of the children it waited for (/proc/PID/io, proc(5)).
struct IoUsage {
  std::uint64_t read_bytes = 0, write_bytes = 0;              // reached (or will reach) storage
  std::uint64_t read_calls_bytes = 0, write_calls_bytes = 0;  // rchar, wchar: passed through read and write calls
};
[[nodiscard]] std::optional<IoUsage> read_io_usage(pid_t pid) noexcept;  // absent: gone, or another user's

// How it ended.
struct ExitStatus {
  int code = 0;               // exit code if it was not killed by a signal
  int signal = 0;             // signal number if killed by one, else 0
  struct rusage usage{};      // of it and of the descendants it waited for; includes what ran in it before exec
  std::optional<IoUsage> io;  // read in the moment between its end and its reaping
  // The shell's convention: code, or 128 + signal.
  [[nodiscard]] int shell_code() const noexcept { return signal != 0 ? 128 + signal : code; }
};

class Child {
 public:
  Child() = default;
  Child(pid_t pid, Fd pidfd, Fd gate, Fd exec_error, std::string program = {})
      : pid_(pid),
        pidfd_(std::move(pidfd)),
        gate_(std::move(gate)),
        exec_error_(std::move(exec_error)),
        program_(std::move(program)) {}
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }  // readable when it ended; −1 on old kernels
  // Lets a held child go on to exec. Error `absent` (shell code 127), anything else (126) when exec fails; the child is
  // reaped then.
  [[nodiscard]] Result<void> release();
  // Blocks until it ends and reaps it (only it). Empty `timeout_ns`: for ever. nullopt: still running.
  [[nodiscard]] Result<std::optional<ExitStatus>> wait(std::optional<std::int64_t> timeout_ns = {});
  // Sends a signal to it, never to another process that got its number later.
  void signal(int number) noexcept;

 private:
  [[nodiscard]] bool ended_within(std::optional<std::int64_t> timeout_ns) const noexcept;

  pid_t pid_ = -1;
  Fd pidfd_, gate_, exec_error_;
  std::string program_;
  std::unique_ptr<std::atomic<bool>> reaped_ = std::make_unique<std::atomic<bool>>(false);
};

// A held child is inside its cgroup and waiting when this returns; one that is not held has passed exec (Error: exec
// failed, codes as for release()). If SIGCHLD is ignored in the caller it is set to its default, for otherwise nobody
// could ever learn how the child ended.
[[nodiscard]] Result<Child> spawn(const SpawnOptions& options);
// Whether there is such a program that may be run: for those who must know before anything else is done.
[[nodiscard]] Result<void> find_program(const SpawnOptions& options);

}  // namespace prony
