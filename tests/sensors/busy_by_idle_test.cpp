// Kills: busy time that is the tick's sample alone (periodic work seen always or never), idle time of CPUs that left
// counted as work, a recording's standing times taken for a busy machine, a counter that steps back, waiting for disks
// or stolen time taken for work.
#include "sensors/busy_by_idle.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "machine/simulated.hpp"
#include "model/channel.hpp"
#include "sensors/busy_time.hpp"

namespace prony {
namespace {

// Four CPUs, 1.5 of them busy; the tick sees `seen` of it. iowait and steal take 0.2 CPUs. In 10 ms units.
struct Stat {
  double busy = 1.5, seen = 1.0;
  unsigned cpus = 4;
  [[nodiscard]] std::string at(double s) const {
    const auto ticks = [&](double share) { return std::to_string(static_cast<std::int64_t>(share * s * 100)); };
    return "cpu  " + ticks(busy * seen) + " 0 0 " + ticks(cpus - busy - 0.2) + " " + ticks(0.15) + " 0 0 " +
           ticks(0.05) + " 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
  }
};

class Bench {
 public:
  explicit Bench(Stat stat) : stat_(stat) {
    machine_.set_cpu_count(4);
    machine_.set_now(Instant{});
    machine_.set_file("/sys/devices/system/cpu/online", "0-3\n");
    machine_.set_file("/proc/stat", [this](Instant t) { return stat_.at(static_cast<double>(t.ns) * 1e-9); });
    auto opened = BusyTime::open(machine_);
    EXPECT_TRUE(opened);
    busy_ = std::make_unique<BusyTime>(std::move(*opened));
    Channel channel;
    busy_->describe(channel, 4);
    scale_ = channel.scale;
  }
  // Reads every 10 ms for so long; → busy seconds that were counted.
  double run(double seconds) {
    const std::int64_t first = read();
    std::int64_t last = first;
    for (int i = 0; i < static_cast<int>(std::lround(seconds * 100)); ++i) {
      machine_.advance(milliseconds(10));
      const std::int64_t now = read();
      EXPECT_GE(now, last);
      last = now;
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
  for (const double seen : {0.90, 0.93, 1.0, 1.07, 1.10}) {
    Bench bench({.seen = seen});
    EXPECT_NEAR(bench.run(10), 15, 0.15) << seen;  // the ticks alone: 13.5 … 16.5
  }
}

TEST(BusyByIdle, WorkThatNoTickEverMeetsIsCounted) {
  Bench bench({.busy = 0.3, .seen = 0});
  EXPECT_NEAR(bench.run(10), 3, 0.35);  // all but the last second's
}

TEST(BusyByIdle, ATreeThatStandsStillIsNoBusyMachine) {
  Bench bench({});
  bench.machine().set_file("/proc/stat", std::string("cpu  100 0 0 4000 10 0 0 0 0 0\n"));
  EXPECT_EQ(bench.run(5), 0);
}

TEST(BusyByIdle, CpusThatLeaveAreNotTakenForWork) {
  Bench bench({});
  EXPECT_NEAR(bench.run(4), 6, 0.1);
  // Two of four go, with what they had counted: idle time steps back, and is from now on that of two.
  bench.machine().set_file("/sys/devices/system/cpu/online", "0-1\n");
  bench.stat().cpus = 2;
  EXPECT_NEAR(bench.run(4), 6, 0.35);  // a wrong one: 14
}

TEST(BusyByIdle, WithoutAListOfCpusTheirNumberAtTheStartIsTaken) {
  Bench bench({.seen = 0.93});
  bench.machine().remove("/sys/devices/system/cpu/online");
  EXPECT_NEAR(bench.run(10), 15, 0.6);
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
