// What the lanes read in earnest, on the live machine's files: every sensor of the catalogue and the process tree on
// each rung that works here. A tick that asks for memory can wait for another thread's lock, and bends what it
// measures.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>
#include <vector>

#include "allocations.hpp"
#include "machine/machine.hpp"
#include "process/process_tree.hpp"
#include "sensors/sensor.hpp"

namespace prony::test {
namespace {

// Allocations of `work`, in a thread of its own: counting never ends for a thread that has begun it.
int allocations_of(const std::function<void()>& work) {
  const int before = counted_allocations();
  std::thread([&] {
    count_allocations_of_this_thread();
    work();
  }).join();
  return counted_allocations() - before;
}

TEST(RealSensors, TheCounterSeesAnAllocation) {
  EXPECT_EQ(allocations_of([] { ::operator delete(::operator new(100)); }), 1);
}

// A copy of one of the machines made for tests, so that its files can be spoilt.
class Tree {
 public:
  explicit Tree(const std::string& machine) {
    std::string path = (std::filesystem::temp_directory_path() / "prony-ticks-XXXXXX").string();
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    root_ = path;
    std::filesystem::copy(std::string(PRONY_SOURCE_DIR) + "/tests/machines/" + machine, root_,
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() { std::filesystem::remove_all(root_); }
  [[nodiscard]] std::string sys() const { return root_ / "sys"; }
  // Every file that holds a number holds a word from now on.
  void spoil() const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(sys())) {
      if (!entry.is_regular_file() || entry.is_symlink()) continue;
      std::int64_t number = 0;
      if (std::ifstream(entry.path()) >> number) std::ofstream(entry.path(), std::ios::trunc) << "rubbish\n";
    }
  }

 private:
  std::filesystem::path root_;
};

struct Counts {
  int allocations = 0, gaps = 0;
};

Counts read_often(Sensor& sensor) {
  Counts counts;
  std::vector<Reading> readings(sensor.channels().size());
  counts.allocations = allocations_of([&] {
    for (int tick = 0; tick < 1000; ++tick) sensor.read(readings);
  });
  for (const Reading& reading : readings) counts.gaps += reading.quality == Quality::gap ? 1 : 0;
  return counts;
}

TEST(RealSensors, NoneAllocatesOnATickNeitherWhenItReadsNorWhenItCannot) {
  std::vector<std::string> seen;
  for (const char* name : {"intel-2-sockets", "amd-1-socket", "laptop", "jetson-like"}) {
    const Tree tree(name);
    const auto machine = make_live_machine({.sysfs = tree.sys()});
    std::vector<std::pair<std::string_view, std::unique_ptr<Sensor>>> sensors;
    for (const SensorRow& row : sensor_catalogue()) {
      Probe probe = row.make(*machine, {});
      if (!probe.sensor) continue;
      seen.emplace_back(row.name);
      sensors.emplace_back(row.name, std::move(probe.sensor));
    }
    for (const auto& [sensor_name, sensor] : sensors)
      EXPECT_EQ(read_often(*sensor).allocations, 0) << sensor_name << " on " << name;
    tree.spoil();
    int gaps = 0;
    for (const auto& [sensor_name, sensor] : sensors) {
      const Counts spoilt = read_often(*sensor);
      EXPECT_EQ(spoilt.allocations, 0) << sensor_name << " on " << name << ", spoilt";
      gaps += spoilt.gaps;
    }
    EXPECT_GT(gaps, 0) << "spoiling the files of " << name << " was to show";
  }
  for (const char* expected : {"rapl", "hwmon", "hwmon-climate", "thermal", "cpufreq", "cpu", "memory", "self"})
    EXPECT_NE(std::find(seen.begin(), seen.end(), expected), seen.end()) << expected << " was never read";
}

// A shell that starts one child after another, so that members come and go between ticks.
void follow(TreeRung rung) {
  const auto machine = make_live_machine();
  auto tree = ProcessTree::create(*machine, rung);
  if (!tree) {
    std::cout << to_string(rung) << ": not here: " << tree.error().what << '\n';
    return;
  }
  SpawnOptions options;
  options.arguments = {"/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.05; done"};
  options.hold = true;
  (*tree)->prepare(options);
  auto child = spawn(options);
  ASSERT_TRUE(child) << child.error().what;
  (*tree)->attach(*child);
  ASSERT_TRUE(child->release());
  std::vector<Reading> readings((*tree)->sensor().channels().size());
  bool resident = false;
  EXPECT_EQ(allocations_of([&] {
              for (int tick = 0; tick < 200; ++tick) {
                (*tree)->sensor().read(readings);
                resident = resident || readings[1].quality == Quality::ok;
                ::usleep(2000);
              }
            }),
            0)
      << to_string(rung);
  EXPECT_TRUE(resident) << to_string(rung) << ": resident memory was never read";
  const auto ended = child->wait();
  ASSERT_TRUE(ended && *ended);
  const TreeUsage usage = (*tree)->finish(**ended);
  EXPECT_GT(usage.processes, 1U) << to_string(rung) << ": no child was ever seen";
}

TEST(RealSensors, TheProcessTreeAllocatesOnNoTick) {
  for (const TreeRung rung : {TreeRung::cgroup, TreeRung::exit_events, TreeRung::subreaper, TreeRung::polling})
    follow(rung);
}

}  // namespace
}  // namespace prony::test
