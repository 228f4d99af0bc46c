// spawn(): start a program so that nothing of it is touched but what was asked for, hold it before exec until released,
// and wait for it by pidfd. Thread promise: any thread; a Child has one owner.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony {

struct SpawnOptions {
  std::vector<std::string> arguments;                            // argv; argv[0] is looked up in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // added to (or replacing in) the inherited one
  int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;             // −1: inherited, untouched
  std::string cgroup_procs;  // file to write the child's pid to before exec; empty: none
  bool die_with_parent = false;
  bool hold = false;  // wait in the child, before exec, until release()
};

// How it ended.
struct ExitStatus {
  int code = 0;           // exit code if !signalled
  int signal = 0;         // signal number if killed by one, else 0
  struct rusage usage{};  // of it and of the descendants it waited for
  // The shell's convention: code, or 128 + signal.
  [[nodiscard]] int shell_code() const noexcept { return signal != 0 ? 128 + signal : code; }
};

class Child {
 public:
  Child() = default;
  Child(pid_t pid, Fd pidfd, Fd gate, Fd exec_error)
      : pid_(pid), pidfd_(std::move(pidfd)), gate_(std::move(gate)), exec_error_(std::move(exec_error)) {}
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }  // readable when it ended; −1 on old kernels
  // Lets a held child go on to exec. Error `absent` (shell code 127) or `denied` (126) when exec fails.
  [[nodiscard]] Result<void> release();
  // Blocks until it ends and reaps it (only it). Empty `timeout_ns`: for ever. nullopt: still running.
  [[nodiscard]] Result<std::optional<ExitStatus>> wait(std::optional<std::int64_t> timeout_ns = {});
  void signal(int number) noexcept;

 private:
  pid_t pid_ = -1;
  Fd pidfd_, gate_, exec_error_;
};

[[nodiscard]] Result<Child> spawn(const SpawnOptions& options);

}  // namespace prony
