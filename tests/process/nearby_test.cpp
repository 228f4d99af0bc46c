// Who was probably meant, when a selector names nobody: each kind of selector against a scripted machine.
#include "process/nearby.hpp"

#include <gtest/gtest.h>

#include "scripted_follower.hpp"

namespace prony {
namespace {

using namespace testing_process;

constexpr std::int64_t prony_pid = 50;

class NearbyAdvice : public ::testing::Test {
 protected:
  NearbyAdvice() {
    proc.add({.pid = 10, .name = "ollama", .cgroup = "0::/system.slice/ollama.service", .command = "/usr/bin/ollama"});
    proc.add({.pid = 11, .parent = 10, .name = "llama-server", .cgroup = "0::/system.slice/ollama.service/runner"});
    proc.add({.pid = 12, .name = "python3", .cgroup = "4:memory:/jobs/night\n0::/user.slice/app-train@7.service"});
    proc.machine.set_file("/proc/12/cmdline", std::string("python3\0train.py\0", 17));
    proc.add({.pid = 40, .name = "sudo"});
    proc.add({.pid = prony_pid, .parent = 40, .name = "prony"});
    for (const char* pid : {"40", "50"})
      proc.machine.set_file("/proc/" + std::string(pid) + "/cmdline", std::string("prony\0--comm\0serve_it.py", 25));
  }
  std::string advice(SelectorKind kind, std::string_view wanted) {
    return Nearby(proc.machine, prony_pid).advice(choice(kind, wanted));
  }
  // What is asked for, and the names that are meant.
  void expect_meant(SelectorKind kind, std::initializer_list<std::pair<const char*, const char*>> asked) {
    for (const auto& [wanted, meant] : asked)
      EXPECT_EQ(advice(kind, wanted), "did you mean " + std::string(meant) + "?") << wanted;
  }
  ScriptedProc proc;
};

// Bug: --comm says only that nobody was there; letters in the other case, or a part of a longer name, are not near.
TEST_F(NearbyAdvice, ANameIsAnsweredWithThoseNearItAndThoseThatHoldIt) {
  expect_meant(SelectorKind::comm, {{"olama", "'ollama'"},
                                    {"OLLAMA", "'ollama'"},
                                    {"server", "'llama-server'"},
                                    {"lama", "'llama-server' or 'ollama'"}});
}

// Bug: a script is looked for by its own name, and its interpreter is not told; Prony's own command line, which holds
// whatever is looked for, or that of sudo above it, is taken for the answer.
TEST_F(NearbyAdvice, AScriptIsAnsweredWithTheProcessThatRunsItAndNeverWithPronyOrWhoStartedIt) {
  EXPECT_EQ(advice(SelectorKind::comm, "train.py"), "process 12 (python3) has it in its command line: --pid 12");
  EXPECT_EQ(advice(SelectorKind::comm, "serve_it.py"), "ps -e -o comm lists the names that there are");
}

// Bug: only groups that hold processes themselves are known, not those above them; the mount point makes every path
// far.
TEST_F(NearbyAdvice, AGroupIsAnsweredWithGroupsOfBothVersionsAndThoseAboveThem) {
  expect_meant(SelectorKind::cgroup, {{"/system.slic", "'/system.slice'"},
                                      {"/sys/fs/cgroup/system.slic/", "'/system.slice'"},
                                      {"jobs", "'/jobs'"},
                                      {"/jobs/nigth", "'/jobs/night'"},
                                      {"/runner", "'/system.slice/ollama.service/runner'"}});
}

TEST_F(NearbyAdvice, AUnitIsAnsweredWithUnitsAsTheyWereWritten) {
  expect_meant(SelectorKind::unit,
               {{"olama", "'ollama'"}, {"olama.service", "'ollama.service'"}, {"train", "'app-train@7'"}});
  EXPECT_EQ(advice(SelectorKind::unit, "nothing-like-it"), "systemctl list-units lists those that run");
}

TEST_F(NearbyAdvice, WhereNoProcessIsInAUnitThatIsSaid) {
  ScriptedProc bare;
  EXPECT_NE(Nearby(bare.machine, prony_pid).advice(choice(SelectorKind::unit, "ollama")).find("--cgroupns=host"),
            std::string::npos);
}

// Bug: the nearest number is any number; a thread's number is refused without its process.
TEST_F(NearbyAdvice, ANumberIsAnsweredWithNumbersOneDigitAwayAndAThreadWithItsProcess) {
  EXPECT_EQ(advice(SelectorKind::pid, "13"), "near it: 1 (init), 10 (ollama), 11 (llama-server); ps -e lists all");
  EXPECT_EQ(advice(SelectorKind::pid, "777777"), "ps -e lists those that there are");
  proc.machine.set_file("/proc/4711/status", "Name:\tllama-server\nTgid:\t11\nPid:\t4711\n");
  EXPECT_EQ(advice(SelectorKind::pid, "4711"), "it is a thread of process 11: --pid 11");
}

// Bug: a value of 4096 bytes is compared with every name there is; control characters of a name reach the terminal.
TEST_F(NearbyAdvice, AHugeValueIsNotComparedAndWhatIsPrintedIsPrintable) {
  EXPECT_EQ(advice(SelectorKind::comm, std::string(4000, 'x')), "");
  proc.add({.pid = 60, .name = "a\x1b[2Jb"});
  EXPECT_EQ(advice(SelectorKind::comm, "a\x1b[2Jbc"), "did you mean 'a\uFFFD[2Jb'?");
}

TEST(Follower, WhoWasMeantStandsInTheReasonsOfARunAndInTheErrorOfAProcessId) {
  ScriptedProc proc;
  proc.add({.pid = 10, .name = "ollama", .cgroup = "0::/system.slice/ollama.service"});
  auto f = follow(proc, {choice(SelectorKind::comm, "olama"), choice(SelectorKind::unit, "olamma"),
                         choice(SelectorKind::cgroup, "/system.slcie")});
  const auto reasons = f.follower->unavailable();
  ASSERT_GE(reasons.size(), 3U);
  EXPECT_EQ(reasons[0].remedy, "did you mean 'ollama'?");
  EXPECT_EQ(reasons[1].remedy, "did you mean 'ollama'?");
  EXPECT_EQ(reasons[2].remedy, "did you mean '/system.slice'?");
  FollowOptions options;
  options.own_pid = 99999;
  const auto refused = ProcessFollower::create(proc.machine, {choice(SelectorKind::pid, "100")}, std::move(options));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fix, "near it: 10 (ollama); ps -e lists all");
  EXPECT_NE(parse_target_choice(SelectorKind::pid, "ollama").error().fix.find("--comm ollama"), std::string::npos);
}

}  // namespace
}  // namespace prony
