// spawn(): what the child gets, what it must not get, and how it ends. Bugs that these tests were made against stand in
// front of each.
#include "base/spawn.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "../support/scratch.hpp"

namespace prony {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.arguments = {"sh", "-c", script};
  return options;
}

ExitStatus run(const SpawnOptions& options) {
  auto child = spawn(options);
  if (!child) {
    ADD_FAILURE() << child.error().what;
    return {};
  }
  const auto released = child->release();
  if (!released) {
    ADD_FAILURE() << released.error().what;
    return {};
  }
  auto status = child->wait();
  if (!status || !*status) {
    ADD_FAILURE();
    return {};
  }
  return **status;
}

// Bug: the raw wait word (code << 8) given as the exit code.
TEST(Spawn, TheExitCodeIsTheCommandsOwn) {
  const auto status = run(shell("exit 37"));
  EXPECT_EQ(status.code, 37);
  EXPECT_EQ(status.signal, 0);
  EXPECT_EQ(status.shell_code(), 37);
}

// Bug: Prony's own raised limit handed on: programs that use select(2) then meet descriptors that it cannot hold.
TEST(Spawn, TheChildGetsTheLimitOfOpenFilesThatItWouldHaveHadWithoutUs) {
  struct rlimit at_first{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &at_first), 0);
  if (at_first.rlim_max <= 200) GTEST_SKIP() << "this user may open only " << at_first.rlim_max << " files";
  struct rlimit low = at_first;
  low.rlim_cur = 200;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const struct rlimit before = raise_open_file_limit();
  struct rlimit raised{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &raised), 0);
  EXPECT_EQ(before.rlim_cur, 200u);
  EXPECT_EQ(raised.rlim_cur, at_first.rlim_max);
  auto options = shell("test \"$(ulimit -n)\" = 200");
  options.open_files = before;
  EXPECT_EQ(run(options).code, 0);
  options.open_files.reset();
  EXPECT_EQ(run(options).code, 1) << "without being asked to, spawn() changes no limit";
  ::setrlimit(RLIMIT_NOFILE, &at_first);
}

// Bug: death by a signal reported as exit code 0.
TEST(Spawn, DeathByASignalIs128PlusItsNumber) {
  const auto status = run(shell("kill -TERM $$"));
  EXPECT_EQ(status.signal, SIGTERM);
  EXPECT_EQ(status.shell_code(), 143);
}

// Bug: exec failures seen only as an exit code of the child, not to be told from a command that exits with 127.
TEST(Spawn, AMissingProgramIsAbsentWhetherHeldOrNot) {
  for (const bool hold : {false, true}) {
    SpawnOptions options;
    options.arguments = {"no-such-program-anywhere"};
    options.hold = hold;
    auto child = spawn(options);
    const auto error = hold ? child->release().error() : child.error();
    EXPECT_EQ(error.code, ErrorCode::absent);
    EXPECT_EQ(error.where, "no-such-program-anywhere");
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "the failed child was left as a zombie";
  }
}

// Bug: only ENOENT told apart; a directory, a file without the executable bit or of another format taken as missing.
TEST(Spawn, AFileThatCannotBeExecutedIsDenied) {
  const ScratchFolder scratch("spawn");
  const std::string& directory = scratch.path();
  std::ofstream(directory + "/plain") << "echo hello\n";
  std::ofstream(directory + "/noformat") << "\x01\x02 not a program\n";
  ::chmod((directory + "/noformat").c_str(), 0755);
  for (const std::string& path : {directory + "/plain", directory + "/noformat", directory}) {
    SpawnOptions options;
    options.arguments = {path};
    const auto child = spawn(options);
    ASSERT_FALSE(child.has_value()) << path;
    EXPECT_EQ(child.error().code, ErrorCode::denied) << path;
    EXPECT_FALSE(child.error().what.empty());
  }
}

// Bug: the search stops at the first directory where the name exists but may not be run.
TEST(Spawn, ThePathSearchPassesFilesThatMayNotRun) {
  const ScratchFolder first_folder("spawn"), second_folder("spawn");
  const std::string &first = first_folder.path(), &second = second_folder.path();
  std::ofstream(first + "/tool") << "#!/bin/sh\nexit 1\n";
  std::ofstream(second + "/tool") << "#!/bin/sh\nexit 7\n";
  ::chmod((second + "/tool").c_str(), 0755);
  SpawnOptions options;
  options.arguments = {"tool"};
  options.environment = {{"PATH", first + ":" + second + ":/bin:/usr/bin"}};
  EXPECT_EQ(run(options).code, 7);
}

// Bug: the variable appended behind the inherited one, which getenv then finds first.
TEST(Spawn, AVariableThatIsGivenReplacesTheInheritedOne) {
  ::setenv("PRONY_SPAWN_TEST", "old", 1);
  auto options = shell("test \"$PRONY_SPAWN_TEST\" = new && test $(env | grep -c ^PRONY_SPAWN_TEST=) = 1");
  options.environment = {{"PRONY_SPAWN_TEST", "new"}};
  EXPECT_EQ(run(options).code, 0);
  ::unsetenv("PRONY_SPAWN_TEST");
}

// Bug: hold forgotten, or the gate read before it is made: the program has run before release().
TEST(Spawn, AHeldChildDoesNothingBeforeItsRelease) {
  const ScratchFolder scratch("spawn");
  const std::string& directory = scratch.path();
  auto options = shell("echo ran > " + directory + "/ran");
  options.hold = true;
  auto child = spawn(options);
  ASSERT_TRUE(child.has_value());
  const auto early = child->wait(20'000'000);
  ASSERT_TRUE(early.has_value());
  EXPECT_FALSE(early->has_value());
  EXPECT_EQ(::access((directory + "/ran").c_str(), F_OK), -1);
  ASSERT_TRUE(child->release().has_value());
  ASSERT_TRUE(child->wait().has_value());
  EXPECT_EQ(contents(directory + "/ran"), "ran\n");
}

// Bug: the child keeps a copy of its own gate's other end, never sees the end of file, and stays for ever.
TEST(Spawn, AHeldChildEndsWhenTheMeterDies) {
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  const pid_t meter = ::fork();
  if (meter == 0) {
    auto options = shell("sleep 30");
    options.hold = true;
    auto child = spawn(options);
    const pid_t pid = child ? child->pid() : -1;
    [[maybe_unused]] const auto written = ::write(report[1], &pid, sizeof pid);
    ::kill(::getpid(), SIGKILL);
  }
  ::close(report[1]);
  ::waitpid(meter, nullptr, 0);
  pid_t held = -1;
  ASSERT_EQ(::read(report[0], &held, sizeof held), static_cast<ssize_t>(sizeof held));
  // The child holds the other copy of report[1]: end of file comes when it has ended.
  struct pollfd entry{report[0], POLLIN, 0};
  EXPECT_EQ(::poll(&entry, 1, 10'000), 1) << "the held child is still there";
  ::close(report[0]);
}

// Bug: a child that was killed while it was held makes release() raise SIGPIPE or report success.
TEST(Spawn, AChildKilledWhileHeldIsAnErrorAtRelease) {
  auto options = shell("true");
  options.hold = true;
  auto child = spawn(options);
  ASSERT_TRUE(child.has_value());
  child->signal(SIGKILL);
  struct pollfd entry{child->pidfd(), POLLIN, 0};
  ::poll(&entry, 1, 10'000);
  const auto released = child->release();
  ASSERT_FALSE(released.has_value());
  EXPECT_EQ(released.error().code, ErrorCode::gone);
  const auto status = child->wait();
  ASSERT_TRUE(status.has_value() && status->has_value());
  EXPECT_EQ((*status)->signal, SIGKILL);
}

// Bug: descriptors of the meter (gate, files, sockets) leak into the command.
TEST(Spawn, NoDescriptorOfOursReachesTheCommand) {
  const ScratchFolder scratch("spawn");
  const std::string& directory = scratch.path();
  const std::string script = "ls /proc/$$/fd > " + directory + "/fds; true";
  ASSERT_EQ(std::system(script.c_str()), 0);
  const auto expected = contents(directory + "/fds");  // what any child of this program gets
  const auto kept = Fd::open("/dev/null", O_RDONLY);
  auto options = shell(script);
  options.hold = true;
  EXPECT_EQ(run(options).code, 0);
  EXPECT_EQ(contents(directory + "/fds"), expected);
}

// Bug: dup2(1, 2) before dup2(2, 1): both end in the same place.
TEST(Spawn, StandardStreamsCanBeSwapped) {
  const ScratchFolder scratch("spawn");
  const std::string& directory = scratch.path();
  const auto out = Fd::open(directory + "/out", O_CREAT | O_WRONLY, 0644);
  const auto err = Fd::open(directory + "/err", O_CREAT | O_WRONLY, 0644);
  const Fd saved_out(::dup(1)), saved_err(::dup(2));
  ::dup2(out->get(), 1);
  ::dup2(err->get(), 2);
  auto options = shell("echo to-out; echo to-err >&2");
  options.stdout_fd = 2;
  options.stderr_fd = 1;
  const auto status = run(options);
  ::dup2(saved_out.get(), 1);
  ::dup2(saved_err.get(), 2);
  EXPECT_EQ(status.code, 0);
  EXPECT_EQ(contents(directory + "/err"), "to-out\n");
  EXPECT_EQ(contents(directory + "/out"), "to-err\n");
}

// Bug: what the meter ignores or blocks for itself stays so in the command, which then cannot be interrupted.
TEST(Spawn, SignalsThatTheMeterIgnoresOrBlocksAreNormalInTheCommand) {
  struct sigaction before{};
  ::sigaction(SIGINT, nullptr, &before);
  ::signal(SIGINT, SIG_IGN);
  sigset_t term{}, mask{};
  const auto clean = current_signal_state();  // as main() takes it at its start; SIGINT is in `ignored` already
  ::sigemptyset(&term);
  ::sigaddset(&term, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &term, &mask);
  auto options = shell("kill -TERM $$; exit 3");
  options.signals = clean;
  EXPECT_EQ(run(options).signal, SIGTERM);
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  EXPECT_EQ(run(shell("kill -INT $$; exit 3")).signal, SIGINT);
  ::sigaction(SIGINT, &before, nullptr);
}

// Bug: everything set to its default: `nohup prony run -- CMD` ends with the terminal.
TEST(Spawn, WhatWasIgnoredWhenWeStartedStaysIgnored) {
  struct sigaction before{};
  ::sigaction(SIGHUP, nullptr, &before);
  ::signal(SIGHUP, SIG_IGN);
  auto options = shell("kill -HUP $$; exit 5");
  options.signals = current_signal_state();
  ::signal(SIGHUP, SIG_DFL);
  const auto status = run(options);
  ::sigaction(SIGHUP, &before, nullptr);
  EXPECT_EQ(status.signal, 0);
  EXPECT_EQ(status.code, 5);
}

// Bug: SIGCHLD ignored by whoever started us makes the kernel throw the exit status away.
TEST(Spawn, TheExitStatusIsKeptEvenIfSigchldWasIgnored) {
  ::signal(SIGCHLD, SIG_IGN);
  EXPECT_EQ(run(shell("exit 9")).code, 9);
  ::signal(SIGCHLD, SIG_DFL);
}

// Bug: setsid or setpgid in the child: Ctrl-C no longer reaches it.
TEST(Spawn, TheCommandStaysInOurProcessGroupAndSession) {
  auto options = shell("read -r _ _ _ _ group session _ < /proc/$$/stat; test $group = " + std::to_string(::getpgrp()) +
                       " && test $session = " + std::to_string(::getsid(0)));
  EXPECT_EQ(run(options).code, 0);
}

// Bug: a process that got the number of an ended one is killed.
TEST(Spawn, AnEndedChildIsNeverSignalledAgainNorWaitedForTwice) {
  auto child = spawn(shell("true"));
  ASSERT_TRUE(child.has_value());
  ASSERT_TRUE(child->wait().has_value());
  child->signal(SIGKILL);
  const auto again = child->wait();
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::gone);
}

// Bug: io read after the reaping (nothing there any more), or without the children's part.
TEST(Spawn, BytesMovedByChildrenThatWereWaitedForAreInTheStatus) {
  const auto status = run(shell("head -c 300000 /dev/zero | cat > /dev/null; true"));
  ASSERT_TRUE(status.io.has_value());
  EXPECT_GE(status.io->read_calls_bytes, 600'000U);
  EXPECT_GE(status.io->write_calls_bytes, 600'000U);
  EXPECT_LT(status.io->write_calls_bytes, 700'000U);
}

TEST(Spawn, NoCommandIsAnErrorOfUsage) {
  const auto child = spawn({});
  ASSERT_FALSE(child.has_value());
  EXPECT_EQ(child.error().code, ErrorCode::usage);
}

// Bug: the death signal set but the race with a parent that is gone already not closed, or not set at all.
TEST(Spawn, DieWithParentEndsTheChild) {
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  const pid_t meter = ::fork();
  if (meter == 0) {
    ::close(report[0]);
    auto options = shell("exec sleep 30");  // the child itself: grandchildren are the guard's affair
    options.die_with_parent = true;
    const auto child = spawn(options);
    ::kill(::getpid(), SIGKILL);
  }
  ::close(report[1]);
  ::waitpid(meter, nullptr, 0);
  struct pollfd entry{report[0], POLLIN, 0};
  EXPECT_EQ(::poll(&entry, 1, 10'000), 1) << "the child outlived its parent";
  ::close(report[0]);
}

}  // namespace
}  // namespace prony
