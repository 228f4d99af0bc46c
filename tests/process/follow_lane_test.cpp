// A tick beside a look that takes long. Bugs in mind stand in front.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <semaphore>
#include <thread>

#include "machine/simulated.hpp"
#include "process/follow.hpp"

namespace prony {
namespace {

using std::chrono::seconds;

// Whoever looks from another thread than the tick's is kept at the first process clock until the test lets it go.
class SlowForLooks : public SimulatedMachine {
 public:
  SlowForLooks() {
    set_now({1'000'000'000});
    set_file("/proc/loadavg", "0 0 0 1/1 20");
    for (const char* pid : {"10", "20"}) {
      const std::string folder = std::string("/proc/") + pid + "/";
      set_file(folder + "stat", std::string(pid) + " (server) S 1 0 0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0");
      set_file(folder + "statm", "100 10 1 1 0 1 0");
      set_file(folder + "cmdline", "server");
    }
    for (const std::int64_t pid : {10, 20})
      set_process(pid, [](Instant at) { return Duration{at.ns - 1'000'000'000}; });
  }
  Result<Duration> process_cpu_time(std::int64_t pid) noexcept override {
    if (std::this_thread::get_id() != ticks && !held) {
      held = true;
      inside.release();
      go_on.acquire();
    }
    return SimulatedMachine::process_cpu_time(pid);
  }

  const std::thread::id ticks = std::this_thread::get_id();
  std::atomic<bool> held = false;
  std::binary_semaphore inside{0}, go_on{0};
};

std::unique_ptr<ProcessFollower> follow_servers(Machine& machine) {
  FollowOptions options;
  options.own_pid = 99999;
  options.each_process = true;
  auto follower =
      ProcessFollower::create(machine, {*parse_target_choice(SelectorKind::comm, "server")}, std::move(options));
  EXPECT_TRUE(follower) << follower.error().what;
  return follower ? std::move(*follower) : nullptr;
}

// Bug: the look holds a lock while it reads, and every sensor on the tick's lane waits for it.
TEST(FollowLane, ATickDoesNotWaitForALookThatTakesLong) {
  SlowForLooks machine;
  const auto follower = follow_servers(machine);
  ASSERT_TRUE(follower);
  std::vector<Reading> readings(follower->sensor().channels().size());
  follower->sensor().read(readings);
  EXPECT_EQ(readings[0].raw, 0);

  auto looking = std::async(std::launch::async, [&] { follower->look_now(); });
  machine.inside.acquire();  // the look is in the middle of its reading, and stays there
  machine.set_now({1'050'000'000});
  // A waiting tick would wait for ever: let the look go on after a while, so that the test ends.
  std::promise<void> ticked;
  std::atomic<bool> waited = false;
  std::thread rescue([&, done = ticked.get_future()] {
    if (done.wait_for(seconds(20)) == std::future_status::timeout) waited = true;
    machine.go_on.release();
  });
  follower->sensor().read(readings);
  const bool look_was_under_way = looking.wait_for(seconds(0)) == std::future_status::timeout;
  ticked.set_value();
  rescue.join();
  looking.get();
  EXPECT_FALSE(waited) << "the tick came back only when the look was let go";
  EXPECT_TRUE(look_was_under_way);
  EXPECT_EQ(readings[0].raw, 100'000'000) << "what both have used until now, not what the last look knew";
}

// Bug: what a tick has seen of a process that ends before the next look is forgotten, or the counter steps back.
TEST(FollowLane, WhatATickSawOfAProcessStaysWhenItEndsBeforeTheNextLook) {
  SlowForLooks machine;
  const auto follower = follow_servers(machine);
  ASSERT_TRUE(follower);
  std::vector<Reading> readings(follower->sensor().channels().size());
  machine.set_now({1'050'000'000});
  follower->sensor().read(readings);
  EXPECT_EQ(readings[0].raw, 100'000'000);
  machine.remove_process(20);
  for (const char* file : {"stat", "statm", "cmdline"}) machine.remove(std::string("/proc/20/") + file);
  machine.set_now({1'200'000'000});
  follower->look_now();
  follower->sensor().read(readings);
  EXPECT_EQ(readings[0].raw, 250'000'000);
  std::vector<ProcessLook> looks;
  follower->take_looks(looks);
  std::int64_t used_ns = 0;
  for (const ProcessLook& look : looks)
    for (const ProcessUse& use : look.uses) used_ns += use.cpu_ns;
  EXPECT_EQ(used_ns, 250'000'000) << "the processes' use adds up to their target's";
}

}  // namespace
}  // namespace prony
