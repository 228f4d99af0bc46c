#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "machine/machine.hpp"
#include "machine/names.hpp"
#include "machine/simulated.hpp"

namespace prony {
namespace {

namespace fs = std::filesystem;

class TempTree : public ::testing::Test {
 protected:
  TempTree() {
    std::string pattern = fs::temp_directory_path() / "prony-machine-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~TempTree() override { fs::remove_all(root_); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << text;
  }
  fs::path root_;
};

std::string text_of(File& file) {
  std::array<char, 256> buffer;
  const auto count = file.read(buffer);
  return count < 0 ? "errno " + std::to_string(-count) : std::string(buffer.data(), static_cast<std::size_t>(count));
}

using LiveMachineTest = TempTree;

TEST_F(LiveMachineTest, SysAndProcLeadToTheTreesGivenAndNothingElseDoes) {
  put("s/class/x", "from sys");
  put("p/stat", "from proc");
  const auto machine = make_live_machine({(root_ / "s").string(), (root_ / "p").string()});
  EXPECT_EQ(machine->read_text("/sys/class/x").value(), "from sys");
  EXPECT_EQ(machine->read_text("/proc/stat").value(), "from proc");
  EXPECT_FALSE(machine->exists("/system/class/x"));  // "/sys" is a directory's name, not a prefix of letters
  EXPECT_TRUE(make_live_machine()->exists(root_.string()));
}

TEST_F(LiveMachineTest, WhatLiesBesideAnotherMachinesProcIsReadAndThisMachinesFilesAreNot) {
  put("p/stat", "from proc");
  const auto machine = make_live_machine({(root_ / "s").string(), (root_ / "p").string()});
  EXPECT_FALSE(machine->exists("/.dockerenv"));  // this machine may have one
  EXPECT_FALSE(machine->exists("/usr"));
  put(".dockerenv", "");
  EXPECT_TRUE(machine->exists("/.dockerenv"));
}

TEST_F(LiveMachineTest, AKeptOpenFileGivesWhatIsInItNow) {
  put("s/a", "1\n");
  const auto machine = make_live_machine({(root_ / "s").string(), "/proc"});
  const auto file = machine->open("/sys/a");
  ASSERT_TRUE(file);
  EXPECT_EQ(text_of(**file), "1\n");
  put("s/a", "22\n");  // rewritten in place: the same inode
  EXPECT_EQ(text_of(**file), "22\n");
}

TEST_F(LiveMachineTest, ReopenSeesTheFileThatIsAtThePathNow) {
  put("s/a", "old");
  const auto machine = make_live_machine({(root_ / "s").string(), "/proc"});
  const auto file = machine->open("/sys/a");
  ASSERT_TRUE(file);
  fs::remove(root_ / "s/a");
  EXPECT_FALSE((*file)->reopen());
  EXPECT_EQ(text_of(**file), "old");  // a failed reopen loses nothing
  put("s/a", "new");
  EXPECT_EQ(text_of(**file), "old");
  EXPECT_TRUE((*file)->reopen());
  EXPECT_EQ(text_of(**file), "new");
}

TEST_F(LiveMachineTest, ErrorsNameTheMachinesPathAndSayWhatItIs) {
  fs::create_directories(root_ / "s/directory");
  const auto machine = make_live_machine({(root_ / "s").string(), "/proc"});
  const auto absent = machine->open("/sys/none");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::absent);
  EXPECT_EQ(absent.error().where, "/sys/none");
  const auto directory = machine->open("/sys/directory");
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, ErrorCode::malformed);
  EXPECT_EQ(machine->list("/sys/none").error().code, ErrorCode::absent);
}

TEST_F(LiveMachineTest, ListsInNaturalOrder) {
  for (const auto* name : {"hwmon10", "hwmon2", "hwmon0", "alpha"}) put(std::string("s/") + name, "");
  const auto machine = make_live_machine({(root_ / "s").string(), "/proc"});
  EXPECT_EQ(machine->list("/sys").value(), (std::vector<std::string>{"alpha", "hwmon0", "hwmon2", "hwmon10"}));
}

TEST_F(LiveMachineTest, ALongTextIsCutAt64KiBAndADeviceTreeStringLosesItsNul) {
  put("s/long", std::string(100'000, 'x'));
  put("s/model", std::string("Raspberry Pi 5\0", 15));
  const auto machine = make_live_machine({(root_ / "s").string(), "/proc"});
  EXPECT_EQ(machine->read_text("/sys/long").value().size(), 65'536u);
  EXPECT_EQ(machine->read_text("/sys/model").value(), "Raspberry Pi 5");
}

TEST_F(LiveMachineTest, AFifoInATreeDoesNotHang) {
  fs::create_directories(root_ / "s");
  ASSERT_EQ(::mkfifo((root_ / "s/fifo").c_str(), 0600), 0);
  const auto machine = make_live_machine({(root_ / "s").string(), "/proc"});
  EXPECT_EQ(machine->read_text("/sys/fifo").value(), "");
}

TEST_F(LiveMachineTest, CountsTheCpusOfTheTree) {
  put("s/devices/system/cpu/online", "0-3,8\n");
  EXPECT_EQ(make_live_machine({(root_ / "s").string(), "/proc"})->cpu_count(), 5u);
  put("p/stat", "cpu  1 2 3\ncpu0 1\ncpu1 1\nintr 5\n");
  EXPECT_EQ(make_live_machine({(root_ / "none").string(), (root_ / "p").string()})->cpu_count(), 2u);
}

TEST(LiveMachine, AProcessClockCountsTheWholeProcessAndItsEndIsSaid) {
  const auto machine = make_live_machine();
  const auto own = machine->process_cpu_time(::getpid());
  ASSERT_TRUE(own);
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  const auto now_ns = static_cast<std::int64_t>(used.tv_sec) * 1'000'000'000 + used.tv_nsec;
  EXPECT_GT(own->ns, 0);
  EXPECT_LE(own->ns, now_ns);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_GT(child, 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const auto ended = machine->process_cpu_time(child);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::gone);
  EXPECT_EQ(machine->process_cpu_time(0).error().code, ErrorCode::usage);
  EXPECT_EQ(machine->process_cpu_time(std::int64_t{1} << 32).error().code, ErrorCode::usage);
}

TEST(LiveMachine, OwnCpuTimeIsTheProcessesNotTheThreads) {
  const auto machine = make_live_machine();
  const auto before = machine->own_cpu_time();
  volatile unsigned work = 0;
  for (unsigned i = 0; i < 2'000'000; ++i) work = work + i;
  const auto after = machine->own_cpu_time();
  EXPECT_GT(after, before);
  EXPECT_LE((after - before).ns, after.ns);
}

TEST(LiveMachine, AnAnchorLiesBetweenTheReadingsAroundIt) {
  const auto machine = make_live_machine();
  const auto before = machine->now();
  const auto anchor = machine->anchor();
  const auto after = machine->now();
  EXPECT_LE(before, anchor.monotonic);
  EXPECT_LE(anchor.monotonic, after);
  EXPECT_GT(anchor.wall_ns, 1'500'000'000'000'000'000);
  EXPECT_GE(anchor.width.ns, 0);
}

TEST(LiveMachine, TheTickIsOneThatLinuxIsBuiltWith) {
  const auto tick = make_live_machine()->tick_period();
  EXPECT_GE(tick, milliseconds(1));
  EXPECT_LE(tick, milliseconds(10));
}

using CapturedMachineTest = TempTree;

TEST_F(CapturedMachineTest, ReadsTheTreeAndHasNoProcesses) {
  put("proc/stat", "cpu 1\n");
  put("sys/a", "5");
  put("etc/os-release", "ID=debian");
  const auto machine = make_captured_machine(root_.string());
  EXPECT_EQ(machine->kind(), MachineKind::captured);
  EXPECT_EQ(machine->read_text("/sys/a").value(), "5");
  EXPECT_EQ(machine->read_text("/etc/os-release").value(), "ID=debian");
  EXPECT_EQ(machine->process_cpu_time(::getpid()).error().code, ErrorCode::absent);
  EXPECT_EQ(machine->tick_period(), milliseconds(10));
}

TEST(SimulatedMachine, AFilesTextIsAFunctionOfItsClock) {
  SimulatedMachine machine;
  machine.set_file("/sys/energy", [](Instant now) { return std::to_string(now.ns / 1000) + "\n"; });
  const auto file = machine.open("/sys/energy");
  ASSERT_TRUE(file);
  EXPECT_EQ(text_of(**file), "0\n");
  machine.advance(milliseconds(3));
  EXPECT_EQ(text_of(**file), "3000\n");
  EXPECT_EQ(machine.read_text("/sys/energy").value(), "3000");
}

TEST(SimulatedMachine, FaultsAndRemovalsReachOpenFiles) {
  SimulatedMachine machine;
  machine.set_file("/sys/a", "1");
  const auto file = machine.open("/sys/a");
  ASSERT_TRUE(file);
  machine.set_fault("/sys/a", EIO);
  EXPECT_EQ(text_of(**file), "errno " + std::to_string(EIO));
  machine.set_fault("/sys/a", 0);
  EXPECT_EQ(text_of(**file), "1");
  machine.remove("/sys/a");
  EXPECT_EQ(text_of(**file), "errno " + std::to_string(ENODEV));
  EXPECT_FALSE((*file)->reopen());
  machine.set_file("/sys/a", "2");
  EXPECT_EQ(text_of(**file), "errno " + std::to_string(ENODEV));  // the old handle stays dead until reopened
  EXPECT_TRUE((*file)->reopen());
  EXPECT_EQ(text_of(**file), "2");
}

TEST(SimulatedMachine, ListsFilesLinksAndDirectoriesOnce) {
  SimulatedMachine machine;
  machine.set_file("/sys/c/a10/x", "1");
  machine.set_file("/sys/c/a10/y", "1");
  machine.set_file("/sys/c/a2", "1");
  machine.set_link("/sys/c/a3", "../elsewhere");
  EXPECT_EQ(machine.list("/sys/c").value(), (std::vector<std::string>{"a2", "a3", "a10"}));
  EXPECT_TRUE(machine.exists("/sys/c/a10"));
  EXPECT_EQ(machine.read_link("/sys/c/a3").value(), "../elsewhere");
  EXPECT_EQ(machine.list("/sys/none").error().code, ErrorCode::absent);
}

TEST(SimulatedMachine, ProcessClocksEndWithTheProcess) {
  SimulatedMachine machine;
  machine.set_process(7, [](Instant now) { return Duration{now.ns / 2}; });
  machine.set_now({1000});
  EXPECT_EQ(machine.process_cpu_time(7).value().ns, 500);
  machine.remove_process(7);
  EXPECT_EQ(machine.process_cpu_time(7).error().code, ErrorCode::gone);
}

TEST(Names, NaturalOrderComparesNumbersOfAnyLength) {
  EXPECT_TRUE(natural_less("hwmon2", "hwmon10"));
  EXPECT_FALSE(natural_less("hwmon10", "hwmon2"));
  EXPECT_TRUE(natural_less("intel-rapl:0", "intel-rapl:0:0"));
  EXPECT_TRUE(natural_less("intel-rapl:0:9", "intel-rapl:1"));
  EXPECT_TRUE(natural_less("a99999999999999999999998", "a99999999999999999999999"));
  EXPECT_NE(natural_less("a01", "a1"), natural_less("a1", "a01"));  // a total order, or std::sort is undefined
  EXPECT_FALSE(natural_less("a", "a"));
}

TEST(Names, ACpuListIsCountedAndRubbishIsRefused) {
  EXPECT_EQ(count_cpu_list("0"), 1u);
  EXPECT_EQ(count_cpu_list("0-3,8,10-11"), 7u);
  for (const auto* bad : {"", "-", "3-1", "0-", "0,,1", "a", "0-99999999", "0 - 3"})
    EXPECT_FALSE(count_cpu_list(bad)) << bad;
}

}  // namespace
}  // namespace prony
