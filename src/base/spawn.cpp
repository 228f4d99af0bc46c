#include "base/spawn.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>

extern char** environ;

namespace prony {

namespace {

constexpr int exit_code_unreleased = 125;  // the meter died, or failed, before exec

// What the child tells through the exec pipe; end of file means that exec worked.
enum class Stage : int { held, in_cgroup, redirecting, exec };
struct Message {
  Stage stage;
  int errno_value;
};

// Everything that the child needs, made before the fork: between fork and exec only system calls are safe.
struct Plan {
  std::vector<std::string> paths;    // programs to try, in order
  std::vector<std::string> strings;  // environment in "KEY=value"
  std::vector<char*> argv, envp;
  std::vector<const char*> candidates;
  std::array<int, 3> redirect{};
  int cgroup_procs = -1;
  int gate = -1, report = -1;
  bool hold = false, die_with_parent = false, own_group = false;
  pid_t parent = -1;
  SignalState signals;
  std::optional<struct rlimit> open_files;
};

void add_environment(Plan& plan, const SpawnOptions& options) {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto key = text.substr(0, text.find('='));
    const bool replaced = std::any_of(options.environment.begin(), options.environment.end(),
                                      [&](const auto& pair) { return pair.first == key; });
    if (!replaced) plan.strings.emplace_back(text);
  }
  for (const auto& [key, value] : options.environment) plan.strings.push_back(key + "=" + value);
}

void add_candidates(Plan& plan, const std::string& program) {
  if (program.find('/') != std::string::npos) {
    plan.paths.push_back(program);
    return;
  }
  std::string_view path = "/bin:/usr/bin";  // what execvp(3) falls back to
  for (const auto& entry : plan.strings)
    if (entry.starts_with("PATH=")) path = std::string_view(entry).substr(5);
  while (true) {
    const auto colon = path.find(':');
    const auto directory = path.substr(0, colon);
    plan.paths.push_back(directory.empty() ? program : std::string(directory) + "/" + program);
    if (colon == std::string_view::npos) return;
    path.remove_prefix(colon + 1);
  }
}

Plan make_plan(const SpawnOptions& options) {
  Plan plan;
  add_environment(plan, options);
  add_candidates(plan, options.arguments.front());
  for (const auto& argument : options.arguments) plan.argv.push_back(const_cast<char*>(argument.c_str()));
  for (auto& entry : plan.strings) plan.envp.push_back(entry.data());
  for (const auto& path : plan.paths) plan.candidates.push_back(path.c_str());
  plan.argv.push_back(nullptr);
  plan.envp.push_back(nullptr);
  plan.redirect = {options.stdin_fd, options.stdout_fd, options.stderr_fd};
  plan.hold = options.hold;
  plan.die_with_parent = options.die_with_parent;
  plan.own_group = options.own_group;
  plan.open_files = options.open_files;
  plan.parent = ::getpid();
  return plan;
}

[[noreturn]] void give_up(const Plan& plan, Stage stage, int errno_value) noexcept {
  const Message message{stage, errno_value};
  [[maybe_unused]] const auto written = ::write(plan.report, &message, sizeof message);
  ::_exit(exit_code_unreleased);
}

// Handlers of ours must not run in the child; what was ignored when we were started stays ignored.
void restore_signals(const Plan& plan) noexcept {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action{};
    if (::sigaction(number, nullptr, &action) != 0) continue;
    const bool ignore = ::sigismember(&plan.signals.ignored, number) == 1;
    const bool is_right = action.sa_handler == (ignore ? SIG_IGN : SIG_DFL);
    if (is_right || number == SIGKILL || number == SIGSTOP) continue;
    action = {};
    action.sa_handler = ignore ? SIG_IGN : SIG_DFL;
    ::sigaction(number, &action, nullptr);
  }
  ::sigprocmask(SIG_SETMASK, &plan.signals.mask, nullptr);
}

// dup2 in an order that cannot overwrite a source that is still needed: first lift sources below 3 out of the way.
void redirect(Plan& plan) noexcept {
  for (int& fd : plan.redirect)
    if (fd >= 0 && fd < 3) fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  for (int target = 0; target < 3; ++target) {
    const int source = plan.redirect[static_cast<std::size_t>(target)];
    if (source >= 0 && ::dup2(source, target) < 0) give_up(plan, Stage::redirecting, errno);
  }
}

int try_programs(const Plan& plan) noexcept {
  int result = ENOENT;
  for (const char* path : plan.candidates) {
    ::execve(path, plan.argv.data(), plan.envp.data());
    if (errno == EACCES)
      result = EACCES;  // as the shells do: go on looking, but say this if nothing is found
    else if (errno != ENOENT && errno != ENOTDIR)
      return errno;
  }
  return result;
}

[[noreturn]] void run_child(Plan& plan) noexcept {
  if (plan.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG,
            static_cast<unsigned long>(SIGKILL));  // read as unsigned long: an int leaves rubbish above
    if (::getppid() != plan.parent) ::_exit(exit_code_unreleased);  // it died before the prctl
  }
  if (plan.own_group) ::setpgid(0, 0);
  if (plan.cgroup_procs >= 0 && ::write(plan.cgroup_procs, "0", 1) != 1) give_up(plan, Stage::in_cgroup, errno);
  restore_signals(plan);
  redirect(plan);
  if (plan.hold) {
    const Message held{Stage::held, 0};
    if (::write(plan.report, &held, sizeof held) < 0) ::_exit(exit_code_unreleased);
    char go = 0;
    ssize_t got = 0;
    do {
      got = ::read(plan.gate, &go, 1);
    } while (got < 0 && errno == EINTR);
    if (got != 1) ::_exit(exit_code_unreleased);  // the meter is gone: the command must not start without it
  }
  // Last: below what is open already, the limit would refuse the descriptors that the lines above ask for.
  if (plan.open_files) ::setrlimit(RLIMIT_NOFILE, &*plan.open_files);
  give_up(plan, Stage::exec, try_programs(plan));
}

Error exec_error(int errno_value, const std::string& program) {
  Error error = error_from_errno(errno_value, program, "cannot run it");
  if (errno_value == ENOENT || errno_value == ENOTDIR) {
    error.code = ErrorCode::absent;
    if (program.find('/') != std::string::npos && ::access(program.c_str(), F_OK) == 0) {
      error.what = "cannot run it: the file is there, but the interpreter that it asks for is not";
      error.fix = "look at its first line (#!…), or at `file` for a program of another machine";
    } else {
      error.what = "no such program";
      error.fix = "check the spelling and PATH; everything after -- is the command";
    }
    return error;
  }
  error.code = ErrorCode::denied;
  if (errno_value == ENOEXEC)
    error.fix = "it is no program of this machine; a script needs a first line such as #!/bin/sh";
  else if (errno_value == EACCES)
    error.fix = "it must be a file with the executable bit: chmod +x";
  return error;
}

struct Pipe {
  Fd read_end, write_end;
};
// Ends are kept above 2: a caller whose standard streams are closed must not have them taken by our pipes.
Result<Pipe> above_standard_streams(Pipe pipe) {
  for (Fd* end : {&pipe.read_end, &pipe.write_end}) {
    if (end->get() > 2) continue;
    const int lifted = ::fcntl(end->get(), F_DUPFD_CLOEXEC, 3);
    if (lifted < 0) return Unexpected<Error>(error_from_errno(errno, {}, "cannot move a pipe"));
    *end = Fd(lifted);
  }
  return pipe;
}

Result<Pipe> make_pipe() {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return Unexpected<Error>(error_from_errno(errno, {}, "cannot make a pipe"));
  return above_standard_streams(Pipe{Fd(ends[0]), Fd(ends[1])});
}

// The gate is a socket pair, not a pipe: telling a child that was killed while held must give an error, not SIGPIPE.
Result<Pipe> make_gate() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Unexpected<Error>(error_from_errno(errno, {}, "cannot make a socket pair"));
  return above_standard_streams(Pipe{Fd(ends[0]), Fd(ends[1])});
}

// Reads one message. nullopt: end of file, exec worked.
std::optional<Message> read_message(const Fd& report) noexcept {
  Message message{};
  ssize_t got = 0;
  do {
    got = ::read(report.get(), &message, sizeof message);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof message)) return std::nullopt;
  return message;
}

void reap(pid_t pid) noexcept {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

int open_pidfd(pid_t pid) noexcept { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

// fork, or clone3 straight into the cgroup: moving a living process takes a lock that every fork on the machine waits
// for, and that costs milliseconds. −1 with errno as fork(2).
pid_t fork_into(const std::string& cgroup_procs, Plan& plan, Fd& procs) {
  if (cgroup_procs.empty()) return ::fork();
#ifdef CLONE_INTO_CGROUP
  const auto slash = cgroup_procs.rfind('/');
  const Fd directory(::open(cgroup_procs.substr(0, slash).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid()) {
    struct clone_args arguments{};
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = SIGCHLD;
    arguments.cgroup = static_cast<std::uint64_t>(directory.get());
    const auto pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid >= 0) return static_cast<pid_t>(pid);
  }
#endif
  procs = Fd(::open(cgroup_procs.c_str(), O_WRONLY | O_CLOEXEC));
  if (!procs.valid()) return -1;
  plan.cgroup_procs = procs.get();
  return ::fork();
}

void keep_children_waitable() noexcept {
  struct sigaction action{};
  if (::sigaction(SIGCHLD, nullptr, &action) != 0 || action.sa_handler != SIG_IGN) return;
  action = {};
  action.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &action, nullptr);
}

Unexpected<Error> cannot_start(const Message& message, const SpawnOptions& options) {
  if (message.stage == Stage::exec)
    return Unexpected<Error>(exec_error(message.errno_value, options.arguments.front()));
  if (message.stage == Stage::in_cgroup)
    return Unexpected<Error>(error_from_errno(message.errno_value, options.cgroup_procs, "cannot enter the cgroup"));
  return Unexpected<Error>(
      error_from_errno(message.errno_value, options.arguments.front(), "cannot set its standard streams"));
}

}  // namespace

SignalState current_signal_state() noexcept {
  SignalState state;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &state.mask);
  ::sigemptyset(&state.ignored);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action{};
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) ::sigaddset(&state.ignored, number);
  }
  return state;
}

struct rlimit raise_open_file_limit() noexcept {
  struct rlimit before{};
  if (::getrlimit(RLIMIT_NOFILE, &before) != 0) return before;
  struct rlimit raised = before;
  raised.rlim_cur = raised.rlim_max;
  if (raised.rlim_cur != before.rlim_cur) ::setrlimit(RLIMIT_NOFILE, &raised);
  return before;
}

Result<void> find_program(const SpawnOptions& options) {
  if (options.arguments.empty() || options.arguments.front().empty()) return {};  // spawn() says what is wrong
  int why_not = ENOENT;
  for (const Plan plan = make_plan(options); const char* path : plan.candidates) {
    if (::access(path, X_OK) == 0) return {};
    if (errno == EACCES) why_not = EACCES;
  }
  return Unexpected<Error>(exec_error(why_not, options.arguments.front()));
}

Result<Child> spawn(const SpawnOptions& options) {
  if (options.arguments.empty() || options.arguments.front().empty())
    return fail(ErrorCode::usage, "there is no command to run", {}, "write it after --, e.g. prony run -- sleep 1");
  Plan plan = make_plan(options);
  auto gate = make_gate();
  if (!gate) return Unexpected<Error>(gate.error());
  auto report = make_pipe();
  if (!report) return Unexpected<Error>(report.error());
  plan.gate = gate->read_end.get();
  plan.report = report->write_end.get();
  keep_children_waitable();

  sigset_t all{}, before{};
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // no handler of ours may run in the child
  if (options.signals) {
    plan.signals = *options.signals;
  } else {
    plan.signals.mask = before;
    ::sigemptyset(&plan.signals.ignored);
  }
  Fd procs;
  const pid_t pid = fork_into(options.cgroup_procs, plan, procs);
  if (pid == 0) {
    ::close(gate->write_end.get());  // else the child would keep its own gate open after our death
    run_child(plan);
  }
  const int fork_errno = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0)
    return Unexpected<Error>(error_from_errno(fork_errno, options.arguments.front(), "cannot start a process"));

  report->write_end.reset();
  gate->read_end.reset();
  const auto message = read_message(report->read_end);
  const bool held = message && message->stage == Stage::held;
  if (message && !held) {
    reap(pid);
    return cannot_start(*message, options);
  }
  if (options.hold && !held) {
    reap(pid);
    return fail(ErrorCode::gone, "the process ended before it could start the program", options.arguments.front());
  }
  return Child(pid, Fd(open_pidfd(pid)), held ? std::move(gate->write_end) : Fd(),
               held ? std::move(report->read_end) : Fd(), options.arguments.front());
}

Result<void> Child::release() {
  if (!gate_.valid()) return {};
  const auto sent = ::send(gate_.get(), "g", 1, MSG_NOSIGNAL);
  gate_.reset();
  const auto message = read_message(exec_error_);
  exec_error_.reset();
  if (!message && sent == 1) return {};
  if (!message) return fail(ErrorCode::gone, "the process ended before it could start the program", program_);
  reap(pid_);
  reaped_->store(true);
  return Unexpected<Error>(exec_error(message->errno_value, program_));
}

bool Child::ended_within(std::optional<std::int64_t> timeout_ns) const noexcept {
  if (pidfd_.valid()) {
    struct pollfd entry{pidfd_.get(), POLLIN, 0};
    struct timespec limit{};
    if (timeout_ns)
      limit = {static_cast<time_t>(*timeout_ns / 1'000'000'000), static_cast<long>(*timeout_ns % 1'000'000'000)};
    return ::ppoll(&entry, 1, timeout_ns ? &limit : nullptr, nullptr) > 0;
  }
  std::int64_t left = timeout_ns.value_or(std::numeric_limits<std::int64_t>::max());
  while (true) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid_)
      return true;
    if (left <= 0) return false;
    const auto nap = static_cast<long>(std::min<std::int64_t>(left, 2'000'000));
    const struct timespec pause{0, nap};
    ::nanosleep(&pause, nullptr);
    left -= nap;
  }
}

Result<std::optional<ExitStatus>> Child::wait(std::optional<std::int64_t> timeout_ns) {
  if (pid_ <= 0 || reaped_->load()) return fail(ErrorCode::gone, "this process was already waited for");
  while (!ended_within(timeout_ns))
    if (timeout_ns) return std::optional<ExitStatus>{};  // without a limit only a signal of ours ends the poll early
  ExitStatus status;
  status.io = read_io_usage(pid_);  // a zombie still has its figures, a reaped process has none
  int word = 0;
  pid_t got = -1;
  do {
    got = ::wait4(pid_, &word, 0, &status.usage);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return Unexpected<Error>(error_from_errno(errno, program_, "cannot wait for the process"));
  reaped_->store(true);
  if (WIFSIGNALED(word))
    status.signal = WTERMSIG(word);
  else
    status.code = WEXITSTATUS(word);
  return std::optional<ExitStatus>(status);
}

void Child::signal(int number) noexcept {
  if (pid_ <= 0 || reaped_->load()) return;
  if (pidfd_.valid())
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0);
  else
    ::kill(pid_, number);
}

}  // namespace prony
