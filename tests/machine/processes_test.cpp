// The list of processes, of this machine and of made-up ones.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "../support/emulated.hpp"
#include "../support/number_setter.hpp"
#include "machine/simulated.hpp"

namespace prony {
namespace {

std::uint64_t identity_of(Machine& machine, std::int64_t pid) {
  std::vector<ListedProcess> list;
  EXPECT_TRUE(machine.list_processes(list));
  EXPECT_TRUE(std::is_sorted(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; }));
  for (const ListedProcess& process : list)
    if (process.pid == pid) return process.identity;
  return 0;
}

// Bug: "/proc/self", "/proc/1x" or a thread is taken for a process; a process keeps another's identity.
TEST(ProcessList, OurOwnProcessIsInItOnceAndKeepsItsIdentity) {
  const auto machine = make_live_machine();
  const auto identity = identity_of(*machine, ::getpid());
  EXPECT_NE(identity, 0U);
  EXPECT_EQ(identity_of(*machine, ::getpid()), identity);
  std::vector<ListedProcess> list;
  ASSERT_TRUE(machine->list_processes(list));
  EXPECT_EQ(std::count_if(list.begin(), list.end(), [](const auto& p) { return p.pid == ::getpid(); }), 1);
  for (const ListedProcess& process : list) EXPECT_GT(process.pid, 0);
}

TEST(ProcessList, ANumberThatIsGivenAwayAgainHasAnotherIdentity) {
  if (test::emulated()) GTEST_SKIP() << test::emulated_reason;
  const auto machine = make_live_machine();
  const auto make = [] {
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    return child;
  };
  const auto end = [](pid_t pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  };
  const test::NumberSetter alone;
  const pid_t first = make();
  const auto before = identity_of(*machine, first);
  end(first);
  EXPECT_EQ(identity_of(*machine, first), 0U);
  for (int attempt = 0; attempt < 20; ++attempt) {
    std::ofstream last_pid("/proc/sys/kernel/ns_last_pid");
    last_pid << first - 1 << std::flush;
    if (!last_pid) GTEST_SKIP() << "ns_last_pid cannot be set here";
    const pid_t second_pid = make();
    const auto after = identity_of(*machine, second_pid);
    end(second_pid);
    if (second_pid != first) continue;
    EXPECT_NE(after, before);
    return;
  }
  GTEST_SKIP() << "somebody else was given the number each time";
}

TEST(ProcessList, AScriptedProcessThatWasRemovedAndMadeAgainIsAnotherOne) {
  SimulatedMachine machine;
  machine.set_file("/proc/10/stat", "10 (a) S 1");
  machine.set_file("/proc/9/stat", "9 (b) S 1");
  machine.set_file("/proc/10/task/11/stat", "11 (thread) S 1");
  machine.set_file("/proc/stat", "cpu 1");
  std::vector<ListedProcess> list;
  ASSERT_TRUE(machine.list_processes(list));
  ASSERT_EQ(list.size(), 2U);
  const auto before = identity_of(machine, 10);
  machine.set_file("/proc/10/stat", "10 (renamed) S 1");
  EXPECT_EQ(identity_of(machine, 10), before);
  machine.remove("/proc/10/stat");
  machine.set_file("/proc/10/stat", "10 (a) S 1");
  EXPECT_NE(identity_of(machine, 10), before);
  machine.remove("/proc/10/stat");
  machine.remove("/proc/9/stat");
  ASSERT_TRUE(machine.list_processes(list));
  EXPECT_TRUE(list.empty());
}

}  // namespace
}  // namespace prony
