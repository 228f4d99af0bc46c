// What a follower leaves out where it is to cost little, and that nothing else changes with it.
#include <array>

#include "scripted_follower.hpp"

namespace prony {
namespace {

using namespace testing_process;

std::string stat_with(std::int64_t pid, int user_ticks, int system_ticks) {
  return std::to_string(pid) + " (worker) S 1 0 0 0 0 0 0 0 0 0 " + std::to_string(user_ticks) + " " +
         std::to_string(system_ticks) + " 0 0 20 0 1 0 200 0 0";
}

// Bug: without looks that somebody takes, the processes of --all get no clock, and the target stays at 0 s.
TEST(SparingFollower, TargetsAreCountedAlikeWhetherOrNotProcessesAreTold) {
  std::array<std::vector<std::int64_t>, 2> told;
  for (const bool tells : {true, false}) {
    ScriptedProc proc;
    proc.add({.pid = 10, .name = "worker", .start_ticks = 200});
    FollowOptions options;
    options.tells_processes = tells;
    auto f = follow(proc, {choice(SelectorKind::all, "")}, std::move(options));
    for (int i = 0; i < 5; ++i) {
      proc.use(10, 7 * ms);
      if (i == 2) proc.add({.pid = 11, .parent = 10, .name = "late", .start_ticks = 300, .cpu_ns = 3 * ms});
      if (i == 4) proc.end(11);
      proc.pass(100);
      f.look();
      f.follower->survey();
      told.at(tells ? 0 : 1).push_back(f.cpu_ns(0));
    }
    std::vector<ProcessLook> looks;
    EXPECT_EQ(f.follower->take_looks(looks), tells);
  }
  EXPECT_EQ(told[0], told[1]);
  EXPECT_EQ(told[0].back(), 38 * ms);
}

// Bug: how a process's time divides is read once and never again; or again each second, of everybody who sleeps.
TEST(SparingFollower, HowTimeDividesIsReadAgainOfThoseThatHaveUsedSome) {
  ScriptedProc proc;
  proc.add({.pid = 10, .name = "worker", .start_ticks = 200});
  FollowOptions options;
  options.each_process = true;
  auto f = follow(proc, {choice(SelectorKind::pid, "10")}, std::move(options));
  const auto user_ns = [&](int user_ticks, int system_ticks, std::int64_t used_ns) {
    if (used_ns > 0) proc.use(10, used_ns);
    proc.machine.set_file("/proc/10/stat", stat_with(10, user_ticks, system_ticks));
    proc.pass(100);
    f.look();
    f.follower->survey();
    proc.pass(100);
    f.look();
    for (const auto& record : f.follower->processes())
      if (record.pid == 10) return record.cpu_user_ns;
    return std::int64_t{-1};
  };
  EXPECT_EQ(user_ns(3, 1, 40 * ms), 30 * ms);
  EXPECT_EQ(user_ns(1, 3, 0), 30 * ms) << "it has slept: nobody asked";
  EXPECT_EQ(user_ns(1, 1, 40 * ms), 40 * ms);
}

// Bug: a look of a monitor is due only after a whole second of the clock, while ticks come every 200 ms.
TEST(SparingFollower, ATickSeesWhoWasBornBeforeTheLookThatLedIt) {
  ScriptedProc proc;
  FollowOptions options;
  options.sparing = milliseconds(200);
  auto f = follow(proc, {choice(SelectorKind::comm, "server")}, std::move(options));
  proc.add({.pid = 10, .name = "server", .start_ticks = 200, .cpu_ns = 4 * ms});
  proc.pass(200);
  f.read();
  EXPECT_EQ(f.cpu_ns(0), 4 * ms);
}

}  // namespace
}  // namespace prony
