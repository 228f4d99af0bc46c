// Cycles and misses of targets on a machine whose processes' counters a test sets. Bugs in mind stand in front.
#include "process/target_counts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>
#include <iostream>
#include <new>

#include "burner.hpp"
#include "machine/simulated.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Instant later{2'000'000'000};
constexpr PerfEvent task_clock = perf_task_clock;

// Thread n counts n · 1000 cycles, n misses and n ms of time for each second that goes by.
struct Threads : SimulatedMachine {
  Threads() {
    for (const PerfEvent event : {task_clock, perf_cycles, perf_cache_misses})
      set_process_perf(event, 0, [](Instant) { return 0U; });
  }
  void thread(std::int64_t process, std::int64_t number) {
    set_file("/proc/" + std::to_string(process) + "/task/" + std::to_string(number) + "/stat", "\n");
    const auto each = static_cast<std::uint64_t>(number);
    const auto seconds_at = [](Instant at) { return static_cast<std::uint64_t>(at.ns / 1'000'000'000); };
    set_process_perf(task_clock, number, [=](Instant at) { return 1'000'000 * each * seconds_at(at); });
    set_process_perf(perf_cycles, number, [=](Instant at) { return 9 + 1000 * each * seconds_at(at); });
    set_process_perf(perf_cache_misses, number, [=](Instant at) { return 9 + each * seconds_at(at); });
  }
};

std::vector<std::string> seen(TargetCounts& counts) {
  std::vector<Reading> readings(counts.channels().size());
  counts.read(readings);
  std::vector<std::string> rows;
  for (std::size_t i = 0; i < readings.size(); ++i)
    rows.push_back(counts.channels()[i].name + "=" +
                   (readings[i].quality == Quality::ok ? std::to_string(readings[i].raw) : "gap"));
  return rows;
}
std::string cycles_of_server(TargetCounts& counts) { return seen(counts)[4]; }

std::unique_ptr<TargetCounts> counting(Machine& machine, const TargetCountsOptions& options = {}) {
  auto counts = TargetCounts::create(machine, {{"command", ""}, {"server", "--pid 20"}}, options);
  EXPECT_TRUE(counts) << counts.error().what;
  return counts ? std::move(*counts) : nullptr;
}

void see(TargetCounts& counts, const std::vector<TargetMember>& members) { counts.see(members); }

TEST(TargetCounts, TheCommandAndTheThreadsOfATargetAreAddedUp) {
  Threads machine;
  machine.thread(10, 10);
  machine.thread(20, 20);
  machine.thread(20, 21);
  auto counts = counting(machine);
  ASSERT_TRUE(counts->follow_command(0, 10));
  see(*counts, {{20, 1, 1, 1}});
  see(*counts, {{20, 1, 1, 1}});  // once more changes nothing
  machine.set_now(later);
  EXPECT_THAT(seen(*counts), ElementsAre("target.counted=20000000", "target.cycles=20000", "target.llc-misses=20",
                                         "target.server.counted=82000000", "target.server.cycles=82000",
                                         "target.server.llc-misses=82"));
  const auto channels = counts->channels();
  EXPECT_EQ(channels[1].target, "");
  EXPECT_EQ(channels[4].target, "server");
  EXPECT_EQ(channels[4].domain, "cycles");
  EXPECT_EQ(channels[4].scope, Scope::target);
  EXPECT_EQ(channels[5].domain, "llc-misses");
  EXPECT_EQ(channels[5].measure, Measure::count);
  EXPECT_EQ(channels[3].measure, Measure::time) << "it is not the CPU time that energy is split by";
  EXPECT_TRUE(counts->unavailable().empty());
}

// Bug: whoever is born while it is followed counts twice: with its parent, and by itself.
TEST(TargetCounts, AChildBornSinceIsCountedWithItsParentAndOneFromElsewhereByItself) {
  Threads machine;
  for (const std::int64_t number : {20, 30, 40, 50}) machine.thread(number, number);
  auto counts = counting(machine);
  see(*counts, {{20, 1, 1, 1}, {30, 1, 20, 1}});  // 30 was there when 20's events were opened
  EXPECT_EQ(counts->open_events(), 6u);
  see(*counts, {{20, 1, 1, 1}, {30, 1, 20, 1}, {40, 2, 30, 1}, {45, 2, 40, 1}});  // born since, and its child
  EXPECT_EQ(counts->open_events(), 6u);
  see(*counts, {{20, 1, 1, 1}, {30, 1, 20, 1}, {40, 2, 30, 1}, {45, 2, 40, 1}, {50, 3, 1, 1}});
  EXPECT_EQ(counts->open_events(), 9u);
}

// Bug: the counter falls when a process ends; its children, counted by its events, are lost with them.
TEST(TargetCounts, WhatAnEndedProcessCountedStaysAndItsEventsLastAsLongAsItsFamily) {
  Threads machine;
  machine.thread(20, 20);
  machine.thread(30, 30);
  auto counts = counting(machine);
  see(*counts, {{20, 1, 1, 1}, {30, 1, 1, 1}});
  see(*counts, {{20, 1, 1, 1}, {30, 1, 1, 1}, {40, 2, 30, 1}});
  machine.set_now(later);
  for (int look = 0; look < 20; ++look) see(*counts, {{20, 1, 1, 1}, {40, 2, 1, 1}});
  EXPECT_EQ(counts->open_events(), 6u) << "40 is counted by the events of 30";
  for (int look = 0; look < 20; ++look) see(*counts, {{20, 1, 1, 1}});
  EXPECT_EQ(counts->open_events(), 3u);
  EXPECT_EQ(cycles_of_server(*counts), "target.server.cycles=100000");
  machine.set_now(Instant{3'000'000'000});
  EXPECT_EQ(cycles_of_server(*counts), "target.server.cycles=120000");
}

// Bug: who has a number now is taken for who had it before.
TEST(TargetCounts, ANumberThatIsGivenAgainIsAnotherProcess) {
  Threads machine;
  machine.thread(20, 20);
  auto counts = counting(machine);
  see(*counts, {{20, 1, 1, 1}});
  machine.set_now(later);
  see(*counts, {{20, 7, 1, 1}});
  machine.set_now(Instant{3'000'000'000});
  EXPECT_EQ(cycles_of_server(*counts), "target.server.cycles=60000");
}

// Bug: a part of a target's cycles passes for all of them, and it is charged too little.
TEST(TargetCounts, ATargetThatIsTooLargeToBeCountedIsAGapAndSaysSo) {
  Threads machine;
  for (const std::int64_t number : {20, 21, 22}) machine.thread(20, number);
  machine.thread(10, 10);
  auto counts = counting(machine, {9});
  ASSERT_TRUE(counts->follow_command(0, 10));
  see(*counts, {{20, 1, 1, 1}});
  machine.set_now(later);
  EXPECT_THAT(seen(*counts),
              ElementsAre("target.counted=20000000", "target.cycles=20000", "target.llc-misses=20",
                          "target.server.counted=gap", "target.server.cycles=gap", "target.server.llc-misses=gap"));
  const auto missing = counts->unavailable();
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].subject, "target.server.cycles");
  EXPECT_THAT(missing[0].reason, HasSubstr("more than 9 perf events"));
}

TEST(TargetCounts, WhoHasEndedBeforeItIsFollowedSpoilsNothing) {
  Threads machine;
  machine.thread(20, 20);
  auto counts = counting(machine);
  machine.set_file("/proc/78/task/78/stat", "\n");  // listed, and gone when its events are opened
  see(*counts, {{20, 1, 1, 1}, {77, 1, 1, 1}, {78, 1, 1, 1}});
  machine.set_now(later);
  EXPECT_EQ(cycles_of_server(*counts), "target.server.cycles=40000");
}

TEST(TargetCounts, SharedCountersAreAGapUntilTheyAreNot) {
  Threads machine;
  machine.thread(10, 10);
  auto counts = counting(machine);
  ASSERT_TRUE(counts->follow_command(0, 10));
  machine.set_now(later);
  machine.set_perf_read_fault(-1, EBUSY);
  EXPECT_EQ(seen(*counts)[1], "target.cycles=gap");
  machine.set_perf_read_fault(-1, 0);
  EXPECT_EQ(seen(*counts)[1], "target.cycles=20000");
  EXPECT_THAT(counts->unavailable().at(0).reason, HasSubstr("too many perf events"));
}

TEST(TargetCounts, WhereNothingCanBeCountedTheReasonIsTold) {
  SimulatedMachine none;
  EXPECT_EQ(TargetCounts::create(none, {{"command", ""}}).error().code, ErrorCode::absent);
  Threads denied;
  denied.set_perf_fault(EACCES);
  EXPECT_EQ(TargetCounts::create(denied, {{"command", ""}}).error().code, ErrorCode::denied);
  Threads hybrid;
  hybrid.set_file("/sys/bus/event_source/devices/cpu_atom/type", "10\n");
  EXPECT_THAT(TargetCounts::create(hybrid, {{"command", ""}}).error().what, HasSubstr("two kinds"));
}

TEST(TargetCounts, AProcessorWithoutCacheMissesGivesCyclesAlone) {
  SimulatedMachine machine;
  for (const PerfEvent event : {task_clock, perf_cycles}) {
    machine.set_process_perf(event, 0, [](Instant) { return 0U; });
    machine.set_process_perf(event, 10, [](Instant at) { return static_cast<std::uint64_t>(at.ns); });
  }
  auto counts = counting(machine);
  ASSERT_TRUE(counts->follow_command(0, 10));
  machine.set_now(later);
  EXPECT_THAT(seen(*counts), ElementsAre("target.counted=2000000000", "target.cycles=2000000000",
                                         "target.server.counted=0", "target.server.cycles=0"));
}

// Bug: who is born between two looks is not counted, or is counted with its parent and once more by itself. On this
// machine, with time in the place of cycles; what is true is what wait4 says of the server and all its children.
TEST(TargetCounts, OfALiveServerAndItsShortLivedChildrenCountForTheirWholeTime) {
  const auto machine = make_live_machine();
  if (const auto able = machine->open_perf({&task_clock, 1}, 0, -1, PerfReach::children); !able)
    GTEST_SKIP() << "no perf events here: " << able.error().what;
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  void* const shared = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* const at_end_ns = new (shared) std::atomic<std::int64_t>(0);
  const auto end = [at_end_ns] {
    struct timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    *at_end_ns += now.tv_sec * 1'000'000'000 + now.tv_nsec;
    ::_exit(0);
  };
  const pid_t server = ::fork();
  if (server == 0) {
    char byte = 0;
    ::close(go[1]);
    if (::read(go[0], &byte, 1) < 0) ::_exit(1);
    for (int i = 0; i < 12; ++i) {
      const pid_t worker = ::fork();
      testing_process::burn_ns(worker == 0 ? (i % 4 == 3 ? 120'000'000 : 20'000'000) : 5'000'000);
      if (worker == 0) end();
      ::waitpid(worker, nullptr, 0);
    }
    end();
  }
  auto choice = parse_target_choice(SelectorKind::pid, std::to_string(server));
  ASSERT_TRUE(choice);
  auto follower = ProcessFollower::create(*machine, {*choice}, {});
  auto counts = follower ? TargetCounts::create(*machine, (*follower)->targets(),
                                                {.events = {task_clock, task_clock, task_clock}})
                         : Result<std::unique_ptr<TargetCounts>>(nullptr);
  if (follower && counts) (*follower)->tell_members_to([&](auto members) { (*counts)->see(members); }, 0);
  const auto before = machine->process_cpu_time(server);  // a sanitizer's copy of a process has work to do at once
  EXPECT_EQ(::write(go[1], "x", 1), 1);
  ::close(go[0]);
  ::close(go[1]);
  rusage used{};
  ::wait4(server, nullptr, 0, &used);
  ASSERT_TRUE(follower && counts);
  (*follower)->look_now();
  std::vector<Reading> readings((*counts)->channels().size());
  (*counts)->read(readings);
  follower->reset();
  const double before_s = before ? before->seconds().value() : 0;
  const double true_s = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                        1e-6 * static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) - before_s;
  // Since Linux 6.16 a process's events are closed before its memory is released, which takes long under a sanitizer.
  const double before_ends_s = 1e-9 * static_cast<double>(*at_end_ns) - before_s;
  ::munmap(shared, sizeof *at_end_ns);
  const double counted_s = 1e-9 * static_cast<double>(readings[0].raw);
  std::cout << "[ measured ] events " << counted_s << " s, wait4 " << true_s << " s, before their ends "
            << before_ends_s << " s\n";
  EXPECT_EQ(readings[0].quality, Quality::ok);
  EXPECT_GE(counted_s, 0.97 * before_ends_s - 0.005);
  EXPECT_LE(counted_s, 1.15 * true_s + 0.005) << "stolen time is in it; one child twice would be a fifth more";
}

// Bug: children are counted where only threads were asked for, or not where they were. The software event task-clock
// (type 1, number 1: ns of CPU time) stands for cycles: every kernel with perf events has it.
TEST(PerfReach, ChildrenAreCountedWhereTheyWereAskedForAndOnlyThere) {
  const auto machine = make_live_machine();
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    if (::read(go[0], &byte, 1) < 0) ::_exit(1);
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      testing_process::burn_ns(40'000'000);
      ::_exit(0);
    }
    ::waitpid(grandchild, nullptr, 0);
    ::_exit(0);
  }
  auto family = machine->open_perf({&task_clock, 1}, child, -1, PerfReach::children);
  auto threads = machine->open_perf({&task_clock, 1}, child, -1, PerfReach::threads);
  auto after_exec = machine->open_perf({&task_clock, 1}, child, -1, PerfReach::children_from_exec);
  EXPECT_EQ(::write(go[1], "x", 1), 1);
  ::close(go[0]);
  ::close(go[1]);
  ::waitpid(child, nullptr, 0);
  if (!family || !threads || !after_exec)
    GTEST_SKIP() << "no perf events here: " << (family ? "inherit_thread" : family.error().what);
  std::uint64_t of_family = 0, of_threads = 0, of_exec = 0;
  ASSERT_EQ((*family)->read({&of_family, 1}), 0);
  ASSERT_EQ((*threads)->read({&of_threads, 1}), 0);
  ASSERT_EQ((*after_exec)->read({&of_exec, 1}), 0);
  EXPECT_GE(of_family, 40'000'000u);
  EXPECT_LT(of_threads, 20'000'000u);
  EXPECT_EQ(of_exec, 0u) << "it never called exec";
}

}  // namespace
}  // namespace prony
