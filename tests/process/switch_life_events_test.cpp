// The switch meter as a teller of lives: on the scale of process clocks, also for who was born and died unseen.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "burner.hpp"
#include "process/life_events.hpp"

namespace prony {
namespace {

using testing_process::burn_ns;

std::int64_t used_by(const LifeBatch& batch, pid_t process) {
  std::int64_t used = -1;
  for (const Used& one : batch.used)
    if (one.process == process) used = std::max(used, one.cpu_ns);
  return used;
}

// Bug: a process that ran before Prony came starts at 0, and its clock seems to have gone back.
TEST(SwitchLifeEvents, WhoLivedBeforeGoesOnFromItsProcessClock) {
  const auto machine = make_live_machine();
  burn_ns(50'000'000);
  const auto before = machine->process_cpu_time(::getpid());
  ASSERT_TRUE(before);
  auto events = make_switch_life_events(*machine, nullptr);
  if (!events) GTEST_SKIP() << "the switch meter does not work here: " << events.error().what;
  EXPECT_EQ((*events)->name(), "ebpf");
  burn_ns(30'000'000);
  LifeBatch batch;
  (*events)->read(batch);
  const auto after = machine->process_cpu_time(::getpid());
  const auto used = used_by(batch, ::getpid());
  EXPECT_GE(used, before->ns + 29'000'000);
  EXPECT_LE(used, after->ns + after->ns / 50 + 2'000'000);
}

// Bug: who lives and dies between two looks is nobody's.
TEST(SwitchLifeEvents, WhoWasBornAndDiedUnseenIsToldWithAllOfItsTime) {
  const auto machine = make_live_machine();
  auto events = make_switch_life_events(*machine, nullptr);
  if (!events) GTEST_SKIP() << "the switch meter does not work here: " << events.error().what;
  LifeBatch batch;
  (*events)->read(batch);
  batch.clear();
  const pid_t child = ::fork();
  if (child == 0) {
    burn_ns(30'000'000);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  (*events)->read(batch);
  const auto end = std::find_if(batch.ends.begin(), batch.ends.end(), [&](const End& e) { return e.thread == child; });
  ASSERT_NE(end, batch.ends.end());
  EXPECT_GE(end->cpu_ns, 30'000'000);
  EXPECT_LE(end->cpu_ns, 40'000'000);
  EXPECT_STREQ(end->name.data(), "test_process");
  EXPECT_EQ(used_by(batch, child), -1) << "told once, not twice";
  EXPECT_TRUE(
      std::any_of(batch.births.begin(), batch.births.end(), [&](const Birth& b) { return b.process == child; }));
  batch.clear();
  (*events)->read(batch);
  EXPECT_TRUE(std::none_of(batch.ends.begin(), batch.ends.end(), [&](const End& e) { return e.thread == child; }));
}

// Bug: the last slices of a process that a look had seen are lost with it.
TEST(SwitchLifeEvents, WhoWasSeenAliveIsToldUpToItsEnd) {
  const auto machine = make_live_machine();
  auto events = make_switch_life_events(*machine, nullptr);
  if (!events) GTEST_SKIP() << "the switch meter does not work here: " << events.error().what;
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    burn_ns(10'000'000);
    if (::read(go[0], &byte, 1) < 0) ::_exit(1);
    burn_ns(20'000'000);
    ::_exit(0);
  }
  LifeBatch batch;
  std::int64_t alive = -1;
  const timespec pause{0, 5'000'000};
  for (int i = 0; i < 400 && alive < 10'000'000; ++i) {
    ::nanosleep(&pause, nullptr);
    batch.clear();
    (*events)->read(batch);
    alive = std::max(alive, used_by(batch, child));
  }
  EXPECT_GE(alive, 10'000'000);
  ASSERT_EQ(::write(go[1], "x", 1), 1);
  ::close(go[0]);
  ::close(go[1]);
  ::waitpid(child, nullptr, 0);
  batch.clear();
  (*events)->read(batch);
  EXPECT_GE(used_by(batch, child), 30'000'000);
  EXPECT_LE(used_by(batch, child), 40'000'000);
}

}  // namespace
}  // namespace prony
