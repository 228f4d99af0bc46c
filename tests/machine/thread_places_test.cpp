// Which package a process used its CPU time on. Bugs stand in front of each test.
#include "machine/thread_places.hpp"

#include <gtest/gtest.h>

#include "curves.hpp"
#include "machine/simulated.hpp"

namespace prony {
namespace {

using Ns = std::vector<std::int64_t>;

std::string stat_text(std::int64_t ticks, std::int64_t threads, std::uint64_t start, std::int64_t cpu) {
  return "7 (a) b (c)) R 1 7 7 0 -1 4194304 1 2 3 4 " + std::to_string(ticks) + " 0 77 88 20 0 " +
         std::to_string(threads) + " 0 " + std::to_string(start) + " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 17 " +
         std::to_string(cpu) + " 0 0 0";
}

struct Bench {
  SimulatedMachine machine;
  ThreadPlaces places;
  Bench() {
    machine.set_file("/sys/devices/system/cpu/online", "0-3");
    for (int cpu = 0; cpu < 4; ++cpu)
      machine.set_file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/physical_package_id",
                       cpu < 2 ? "0" : "1");
  }
  void process(std::int64_t ticks, std::int64_t threads, std::int64_t cpu, std::uint64_t start = 100) {
    machine.set_file("/proc/7/stat", stat_text(ticks, threads, start, cpu));
  }
  void thread(int id, std::int64_t ticks, std::int64_t cpu) {
    machine.set_file("/proc/7/task/" + std::to_string(id) + "/stat", stat_text(ticks, 1, 100, cpu));
  }
  Ns place(std::optional<std::int64_t> clock_ns) {
    const auto packages = CpuPackages::of(machine);
    Ns used(packages.count());
    place_threads(machine, packages, "7", 100, clock_ns, places, used);
    return used;
  }
};

TEST(CpuPackages, TheFirstCpuOfAPackageNamesTheOthersAndNumbersMayHaveGaps) {
  SimulatedMachine machine;
  machine.set_file("/sys/devices/system/cpu/online", "0-7");
  const std::string folder = "/sys/devices/system/cpu/cpu";
  machine.set_file(folder + "0/topology/physical_package_id", "3");
  machine.set_file(folder + "0/topology/package_cpus_list", "0-1,4-5");
  machine.set_file(folder + "2/topology/physical_package_id", "11");
  machine.set_file(folder + "2/topology/core_siblings_list", "2,6");
  machine.set_file(folder + "3/topology/physical_package_id", "-1");
  const auto packages = CpuPackages::of(machine);
  ASSERT_EQ(packages.count(), 2u);
  EXPECT_EQ(packages.name(0), "package-3");
  EXPECT_EQ(packages.name(1), "package-11");
  EXPECT_EQ(packages.place_of(5), 0u);
  EXPECT_EQ(packages.place_of(6), 1u);
  EXPECT_EQ(packages.place_of(3), std::nullopt);
  EXPECT_EQ(packages.place_of(-1), std::nullopt);
  EXPECT_EQ(packages.place_of(4096), std::nullopt);
  EXPECT_EQ(packages.cpus(), (std::vector<double>{4, 2}));
}

// Kills: the field beside the right one (exit_signal, rt_priority); a name with brackets and spaces.
TEST(ThreadPlaces, TheLastCpuIsField39) {
  const auto stat = parse_thread_stat(stat_text(12, 5, 345, 66));
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->cpu, 66);
  EXPECT_EQ(stat->ticks, 12);
  EXPECT_EQ(stat->threads, 5);
  EXPECT_EQ(stat->start_ticks, 345u);
  const std::string text = stat_text(12, 5, 345, 66);
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, text.size() / 2, text.rfind("66")})
    EXPECT_FALSE(parse_thread_stat(text.substr(0, size))) << size;
}

TEST(ThreadPlaces, AProcessOfOneThreadIsPlacedByItsOwnFileToTheNanosecond) {
  Bench bench;
  bench.places.placed_ns = 5 * ms;
  bench.process(1, 1, 3);
  EXPECT_EQ(bench.place(12 * ms + 345), (Ns{0, 7 * ms + 345}));
  bench.process(2, 1, 0);
  EXPECT_EQ(bench.place(20 * ms), (Ns{8 * ms - 345, 0}));
  EXPECT_EQ(bench.place(20 * ms), (Ns{0, 0}));
}

// Kills: all of a process put where its first thread is.
TEST(ThreadPlaces, ThreadsAreDividedByWhatEachUsedSinceTheLastLook) {
  Bench bench;
  bench.process(40, 3, 0);
  bench.thread(7, 10, 0);
  bench.thread(8, 30, 2);
  bench.thread(9, 0, 3);
  EXPECT_EQ(bench.place(404 * ms), (Ns{101 * ms, 303 * ms}));
  bench.process(50, 3, 0);
  bench.thread(7, 10, 0);
  bench.thread(8, 40, 1);  // it has moved
  EXPECT_EQ(bench.place(504 * ms), (Ns{100 * ms, 0}));
}

// Kills: hours of a server's past deciding where its first second went.
TEST(ThreadPlaces, ThePastOfThreadsDoesNotDecideWhereTheirPresentGoes) {
  Bench bench;
  bench.places.placed_ns = 100'000 * ms;
  bench.process(10'000, 2, 0);
  bench.thread(7, 10'000, 0);
  bench.thread(8, 0, 2);
  EXPECT_EQ(bench.place(100'010 * ms), (Ns{0, 0}));  // it waits
  bench.thread(8, 5, 2);
  bench.process(10'005, 2, 0);
  EXPECT_EQ(bench.place(100'060 * ms), (Ns{0, 60 * ms}));
}

// Kills: less than a step of the threads' clocks thrown away, or put anywhere.
TEST(ThreadPlaces, LessThanAStepOfTheThreadsWaitsForTheNextLook) {
  Bench bench;
  bench.process(0, 2, 0);
  bench.thread(7, 0, 0);
  bench.thread(8, 0, 3);
  EXPECT_EQ(bench.place(4 * ms), (Ns{0, 0}));
  bench.thread(8, 1, 3);
  EXPECT_EQ(bench.place(11 * ms), (Ns{0, 11 * ms}));
}

TEST(ThreadPlaces, AnotherProcessOfThatNumberAndOneThatIsGonePlaceNothing) {
  Bench bench;
  EXPECT_EQ(bench.place(10 * ms), (Ns{0, 0}));
  bench.process(1, 1, 3, 200);
  EXPECT_EQ(bench.place(10 * ms), (Ns{0, 0}));
  EXPECT_EQ(bench.places.placed_ns, 0);
}

TEST(ThreadPlaces, WithoutAProcessClockTheSumOfItsFileIsPlaced) {
  Bench bench;
  bench.process(3, 1, 1);
  EXPECT_EQ(bench.place(std::nullopt), (Ns{30 * ms, 0}));
  bench.process(4, 1, 2);
  EXPECT_EQ(bench.place(std::nullopt), (Ns{0, 10 * ms}));
}

}  // namespace
}  // namespace prony
