// Kills: busy time that is the tick's sample alone (periodic work seen always or never), idle time of CPUs that left
// counted as work, a recording's standing times taken for a busy machine, a counter that steps back, waiting for disks
// or stolen time taken for work.
#include "sensors/busy_by_idle.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "machine/simulated.hpp"
#include "model/channel.hpp"
#include "sensors/busy_time.hpp"

namespace prony {
namespace {

// Four CPUs, `busy` of them busy; the tick sees `seen` of it, or more and less of it in turn, a second each. iowait and
// steal take 0.2 CPUs. In 10 ms units.
struct Stat {
  double busy = 1.5, seen = 1.0, swing = 0;
  unsigned cpus = 4;
  [[nodiscard]] double counted(double s) const {
    const double whole = std::floor(s / 2), rest = s - 2 * whole;
    return busy * (seen * s + swing * std::min(rest, 2 - rest));
  }
  [[nodiscard]] std::string at(double s) const {
    const auto ticks = [](double seconds) { return std::to_string(static_cast<std::int64_t>(seconds * 100)); };
    return "cpu  " + ticks(counted(s)) + " 0 0 " + ticks((cpus - busy - 0.2) * s) + " " + ticks(0.15 * s) + " 0 0 " +
           ticks(0.05 * s) + " 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
  }
};

double seconds_of(Instant t) { return static_cast<double>(t.ns) * 1e-9; }

class BusyBench {
 public:
  explicit BusyBench(Stat stat, bool cgroup = false) : stat_(stat) {
    machine_.set_cpu_count(4);
    machine_.set_now(Instant{});
    machine_.set_file("/sys/devices/system/cpu/online", "0-3\n");
    machine_.set_file("/proc/stat", [this](Instant t) { return stat_.at(seconds_of(t)); });
    if (cgroup) {
      machine_.set_file("/sys/fs/cgroup/cgroup.procs", "1\n");
      machine_.set_file("/sys/fs/cgroup/cpu.stat", [this](Instant t) {
        const auto usec = std::to_string(static_cast<std::int64_t>(stat_.counted(seconds_of(t)) * 1e6));
        return "usage_usec " + usec + "\nuser_usec " + usec + "\nsystem_usec 0\n";
      });
    }
    auto opened = BusyTime::open(machine_);
    EXPECT_TRUE(opened);
    busy_ = std::make_unique<BusyTime>(std::move(*opened));
    EXPECT_EQ(busy_->path() == "/proc/stat", !cgroup);
    Channel channel;
    busy_->describe(channel, 4);
    scale_ = channel.scale;
  }
  // Reads every 10 ms for so long; → busy seconds that were counted. At every read after the first half second they
  // are `off` or less from the truth.
  double run(double seconds, double off = 1e9) {
    const std::int64_t first = read();
    const Instant begin = machine_.now();
    std::int64_t last = first;
    for (int i = 0; i < static_cast<int>(std::lround(seconds * 100)); ++i) {
      machine_.advance(milliseconds(10));
      const std::int64_t now = read();
      EXPECT_GE(now, last);
      last = now;
      const double since_s = seconds_of(machine_.now()) - seconds_of(begin);
      if (since_s > 0.5) {
        EXPECT_NEAR(static_cast<double>(now - first) * scale_, stat_.busy * since_s, off) << since_s;
      }
    }
    return static_cast<double>(last - first) * scale_;
  }
  SimulatedMachine& machine() { return machine_; }
  Stat& stat() { return stat_; }

 private:
  std::int64_t read() {
    const Reading reading = busy_->read();
    EXPECT_EQ(reading.quality, Quality::ok);
    return reading.raw;
  }
  Stat stat_;
  SimulatedMachine machine_;
  std::unique_ptr<BusyTime> busy_;
  double scale_ = 0;
};

TEST(BusyByIdle, WhatTicksMissIsToldByWhatTheCpusDidNotIdle) {
  for (const bool cgroup : {false, true})
    for (const double seen : {0.85, 0.93, 1.0, 1.07, 1.15}) {
      BusyBench bench({.seen = seen}, cgroup);
      EXPECT_NEAR(bench.run(10, 0.12), 15, 0.06) << seen;  // the ticks alone: 12.75 … 17.25
    }
}

// Kills: a correction that is a second late, and that of the former load then.
TEST(BusyByIdle, TicksThatAreWrongInTurnAreRightAtOnce) {
  for (const bool cgroup : {false, true}) {
    BusyBench bench({.seen = 0.85, .swing = 0.3}, cgroup);
    EXPECT_NEAR(bench.run(10, cgroup ? 0.2 : 0.06), 15, 0.06) << cgroup;  // a second late: 0.45
  }
}

TEST(BusyByIdle, WorkThatNoTickEverMeetsIsCounted) {
  for (const bool cgroup : {false, true}) {
    BusyBench bench({.busy = 0.3, .seen = 0}, cgroup);
    EXPECT_NEAR(bench.run(10, 0.12), 3, 0.06) << cgroup;
  }
}

// Kills: ticks that are so wrong that the idle times are not believed, and the ticks are.
TEST(BusyByIdle, TicksThatMissFourTenthsOfABusyMachineAreNotBelievedInstead) {
  EXPECT_NEAR(BusyBench({.busy = 3, .seen = 0.6}).run(10), 30, 0.35);
  EXPECT_NEAR(BusyBench({.busy = 2.5, .seen = 1.4}).run(10), 25, 0.45);
}

TEST(BusyByIdle, ATreeThatStandsStillIsNoBusyMachine) {
  BusyBench bench({});
  bench.machine().set_file("/proc/stat", std::string("cpu  100 0 0 4000 10 0 0 0 0 0\n"));
  EXPECT_EQ(bench.run(5), 0);
}

TEST(BusyByIdle, CpusThatLeaveAreNotTakenForWork) {
  BusyBench bench({});
  EXPECT_NEAR(bench.run(4), 6, 0.1);
  // Two of four go, with what they had counted: idle time steps back, and is from now on that of two.
  bench.machine().set_file("/sys/devices/system/cpu/online", "0-1\n");
  bench.stat().cpus = 2;
  EXPECT_NEAR(bench.run(4, 0.12), 6, 0.12);  // a wrong one: 14
}

TEST(BusyByIdle, WithoutAListOfCpusTheirNumberAtTheStartIsTaken) {
  BusyBench bench({.seen = 0.93});
  bench.machine().remove("/sys/devices/system/cpu/online");
  EXPECT_NEAR(bench.run(10, 0.12), 15, 0.06);
}

TEST(BusyByIdle, TheFirstLineOfProcStatIsReadWholeOrNotAtAll) {
  const auto times = cpu_times_of_proc_stat("cpu  1 2 3 40 5 6 7 8 9 10\n");
  ASSERT_TRUE(times);
  EXPECT_EQ(times->not_busy, 53);
  EXPECT_EQ(times->all, 72);
  for (const char* wrong : {"", "cpu", "cpu  1 2 3 40 5 6 7 8", "cpu  1 2 3 x 5 6 7 8 \n", "cpu  1 2 3 -4 5 6 7 8 \n",
                            "cpu0 1 2 3 4 5 6 7 8 \n", "cpu  1 2 3 99999999999999999999 5 6 7 8 \n"})
    EXPECT_FALSE(cpu_times_of_proc_stat(wrong)) << wrong;
}

}  // namespace
}  // namespace prony
