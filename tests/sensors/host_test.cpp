#include <gtest/gtest.h>

#include <cerrno>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/own_cgroup.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Pressure, TotalsAreReadAndWhatMeansNothingIsLeftOut) {
  SimulatedMachine machine;
  machine.set_file("/proc/pressure/cpu", "some avg10=0.10 avg60=2.00 avg300=3.85 total=15\nfull avg10=0 total=0\n");
  machine.set_file("/proc/pressure/io", "some avg10=0.10 avg60=2.00 total=17\nfull avg10=0.20 total=25\n");
  const auto probe = make_pressure(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("pressure.cpu.some=15", "pressure.io.some=17", "pressure.io.full=25"));
  EXPECT_EQ(probe.sensor->channels()[0].measure, Measure::time);
  EXPECT_EQ(probe.sensor->channels()[0].scale, 1e-6);
}

TEST(Pressure, SwitchedOffIsToldFromNeverBuiltIn) {
  SimulatedMachine off, none, old;
  off.set_file("/proc/cmdline", "root=/dev/sda1 psi=0 quiet\n");
  EXPECT_THAT(make_pressure(off, {}).unavailable.at(0).reason, HasSubstr("psi=0"));
  none.set_file("/proc/cmdline", "root=/dev/sda1 nopsi=0x\n");
  EXPECT_THAT(make_pressure(none, {}).unavailable.at(0).reason, HasSubstr("without PSI"));
  old.set_file("/proc/pressure/cpu", "");
  old.set_fault("/proc/pressure/cpu", EOPNOTSUPP);
  const auto probe = make_pressure(old, {});
  EXPECT_EQ(probe.sensor, nullptr);
  EXPECT_THAT(probe.unavailable.at(0).remedy, HasSubstr("psi=1"));
}

TEST(Memory, SwapIsToldWhereThereIsSome) {
  SimulatedMachine machine;
  machine.set_file("/proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 40 kB\nSwapTotal: 10 kB\nSwapFree: 3 kB\n");
  machine.set_file("/proc/vmstat", "nr_free_pages 1\npswpin 5\npswpout 6\n");
  machine.set_file("/proc/self/smaps", "00400000-0040b000 r-xp\nKernelPageSize:       16 kB\n");
  const auto probe = make_memory(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("memory.used=61440", "memory.available=40960", "memory.swap_used=7168",
                                       "memory.swapped_in=5", "memory.swapped_out=6"));
  EXPECT_EQ(channel_named(probe, "memory.swapped_in")->scale, 16384);  // kills: every page is 4 KiB
  machine.set_file("/proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 40 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
  EXPECT_EQ(seen(make_memory(machine, {})).size(), 2u);
}

// Kills: the kept-open file that is dead for ever after one failure.
TEST(Memory, ItComesBackAfterAFailure) {
  SimulatedMachine machine;
  machine.set_file("/proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 40 kB\n");
  const auto probe = make_memory(machine, {});
  machine.remove("/proc/meminfo");
  EXPECT_THAT(seen(probe), ElementsAre("memory.used=gap", "memory.available=gap"));
  EXPECT_EQ(probe.sensor->complaints().size(), 1u);
  machine.set_file("/proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 50 kB\n");
  machine.advance(milliseconds(1100));
  (void)seen(probe);
  EXPECT_THAT(seen(probe), ElementsAre("memory.used=51200", "memory.available=51200"));
}

void add_states(SimulatedMachine& machine, unsigned cpus) {
  for (unsigned cpu = 0; cpu < cpus; ++cpu)
    for (const std::string state : {"0", "1", "2"}) {
      const auto folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cpuidle/state" + state;
      machine.set_file(folder + "/name", state == "0" ? "POLL" : "C" + state);
      machine.set_file(folder + "/time", std::to_string((cpu + 1) * 100 + static_cast<unsigned>(state[0] - '0')));
    }
}

TEST(Cpuidle, AStateIsOneChannelHoweverManyCpusThereAre) {
  SimulatedMachine machine;
  add_states(machine, 3);
  machine.set_file("/sys/devices/system/cpu/cpuidle/current_driver", "intel_idle");
  EXPECT_THAT(seen(make_cpuidle(machine, {})),
              ElementsAre("cpuidle.POLL.time=600", "cpuidle.C1.time=603", "cpuidle.C2.time=606"));
  EXPECT_EQ(seen(make_cpuidle(machine, {.every_channel = true})).size(), 3u + 9u);
  SimulatedMachine large;
  add_states(large, 512);
  const auto probe = make_cpuidle(large, {});
  EXPECT_EQ(probe.sensor, nullptr);
  EXPECT_THAT(probe.unavailable.at(0).reason, HasSubstr("1536 files"));
}

class ManyFilesMachine : public SimulatedMachine {
 public:
  [[nodiscard]] std::size_t most_open_files() const noexcept override { return 4096; }
};

// Bug: a fixed number of files, so that a large machine sees nothing although its user may open more.
TEST(Cpuidle, WhereTheUserMayOpenMoreFilesLargeMachinesAreSeenWhole) {
  ManyFilesMachine machine;
  add_states(machine, 512);
  const auto probe = make_cpuidle(machine, {});
  ASSERT_NE(probe.sensor, nullptr);
  EXPECT_EQ(probe.sensor->lane(), LaneKind::slow);
  EXPECT_THAT(probe.unavailable, testing::IsEmpty());
  // 100 + 200 + … + 51200 of each, and the state's number 512 times.
  EXPECT_THAT(seen(probe),
              ElementsAre("cpuidle.POLL.time=13132800", "cpuidle.C1.time=13133312", "cpuidle.C2.time=13133824"));
}

void add_disk(SimulatedMachine& machine, const std::string& name, int sectors) {
  machine.set_file("/sys/block/" + name + "/stat",
                   "  10 0 " + std::to_string(sectors) + " 40 5 0 7 60 0 9 100 1 2 3\n");
}

TEST(Disk, DisksCountOnceAndLoopRamAndStackedDevicesNotAtAll) {
  SimulatedMachine machine;
  for (const std::string name : {"sda", "loop0", "ram3", "zram0", "dm-0", "md0", "nvme0c0n1", "sr0", "ramdisk"})
    add_disk(machine, name, 100);
  machine.set_file("/sys/block/sda/sda1/stat", "1 0 1 1 1 1 1 1 1 1 1");
  machine.set_file("/sys/block/dm-0/slaves/sda/size", "1");
  machine.set_file("/sys/block/md0/md/array_state", "clean");
  machine.set_file("/sys/block/nvme0c0n1/hidden", "1");
  machine.set_file("/sys/block/sr0/size", "0");
  const auto probe = make_disk(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("disk.ramdisk.read=100", "disk.ramdisk.written=7", "disk.ramdisk.busy=9",
                                       "disk.sda.read=100", "disk.sda.written=7", "disk.sda.busy=9"));
  EXPECT_EQ(channel_named(probe, "disk.sda.read")->scale, 512);
  EXPECT_EQ(channel_named(probe, "disk.sda.busy")->range, std::uint64_t{1} << 32);
  machine.set_file("/sys/block/sda/stat", "rubbish");
  EXPECT_THAT(seen(probe), ::testing::Contains("disk.sda.busy=gap"));
  EXPECT_EQ(probe.sensor->complaints().size(), 1u);
}

TEST(Disk, ManyDisksAreOneSumUnlessEachIsAskedFor) {
  SimulatedMachine machine;
  for (int i = 0; i < 12; ++i) add_disk(machine, "nvme" + std::to_string(i) + "n1", i);
  EXPECT_THAT(seen(make_disk(machine, {})),
              ElementsAre("disk.all.read=66", "disk.all.written=84", "disk.all.busy=108"));
  EXPECT_EQ(seen(make_disk(machine, {.every_channel = true})).size(), 36u);
}

void add_interface(SimulatedMachine& machine, const std::string& name, bool device) {
  machine.set_file("/sys/class/net/" + name + "/statistics/rx_bytes", "10");
  machine.set_file("/sys/class/net/" + name + "/statistics/tx_bytes", "3");
  if (device) machine.set_link("/sys/class/net/" + name + "/device", "../../../0000:00:1f.6");
}

TEST(Network, ACableCountsOnceAndWhatIsMadeOfItNotAgain) {
  SimulatedMachine machine;
  add_interface(machine, "eth0", true);
  for (const std::string name : {"lo", "docker0", "veth12", "bond0"}) add_interface(machine, name, false);
  EXPECT_THAT(seen(make_network(machine, {})), ElementsAre("network.eth0.received=10", "network.eth0.sent=3"));
  EXPECT_EQ(seen(make_network(machine, {.every_channel = true})).size(), 10u);
  SimulatedMachine container;
  add_interface(container, "lo", false);
  add_interface(container, "eth0", false);
  EXPECT_THAT(seen(make_network(container, {})), ElementsAre("network.eth0.received=10", "network.eth0.sent=3"));
  SimulatedMachine large;
  for (int i = 0; i < 20; ++i) add_interface(large, "eth" + std::to_string(i), true);
  EXPECT_THAT(seen(make_network(large, {})), ElementsAre("network.all.received=200", "network.all.sent=60"));
}

TEST(Network, WithoutStatisticsInSysfsTheTableOfProcIsRead) {
  SimulatedMachine machine;
  machine.set_file("/proc/net/dev",
                   "Inter-| Receive | Transmit\n face |bytes packets|bytes\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n"
                   "  eth0: 874 2 0 0 0 0 0 0 563 1 0 0 0 0 0 0\n eth01:1 2 0 0 0 0 0 0 3 1 0 0 0 0 0 0\n");
  EXPECT_THAT(seen(make_network(machine, {})), ElementsAre("network.eth0.received=874", "network.eth0.sent=563",
                                                           "network.eth01.received=1", "network.eth01.sent=3"));
}

constexpr auto mounts_2 = "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

TEST(Cgroup, AContainerOfVersion2IsReadWhereItIsMounted) {
  SimulatedMachine machine;
  machine.set_file("/proc/self/cgroup", "0::/\n");
  machine.set_file("/proc/self/mountinfo", mounts_2);
  const std::string top = "/sys/fs/cgroup/";
  machine.set_file(top + "cgroup.procs", "1");
  machine.set_file(top + "cgroup.events", "populated 1");  // only groups below the true root have it
  machine.set_file(top + "cpu.stat", "usage_usec 900\nuser_usec 1\nsystem_usec 2\nthrottled_usec 77\n");
  machine.set_file(top + "memory.current", "4096\n");
  machine.set_file(top + "cpu.max", "150000 100000\n");
  machine.set_file(top + "memory.max", "1048576\n");
  EXPECT_THAT(seen(make_cgroup(machine, {})),
              ElementsAre("cgroup.cpu=900", "cgroup.throttled=77", "cgroup.memory=4096"));
  const auto limits = own_cgroup_limits(machine);
  EXPECT_EQ(limits.cpus, 1.5);
  EXPECT_EQ(limits.memory_bytes, 1048576);
}

TEST(Cgroup, TheRootGroupIsTheMachineAndHasNoChannels) {
  SimulatedMachine machine;
  machine.set_file("/proc/self/cgroup", "0::/\n");
  machine.set_file("/proc/self/mountinfo", mounts_2);
  machine.set_file("/sys/fs/cgroup/cgroup.procs", "1");
  machine.set_file("/sys/fs/cgroup/cpu.stat", "usage_usec 900\n");
  const auto probe = make_cgroup(machine, {});
  EXPECT_EQ(probe.sensor, nullptr);
  EXPECT_THAT(probe.unavailable.at(0).reason, HasSubstr("root control group"));
}

// Kills: limits of the group's parents forgotten, which bind just as well.
TEST(Cgroup, TheTightestLimitOnTheWayUpCounts) {
  SimulatedMachine machine;
  machine.set_file("/proc/self/cgroup", "0::/a/b\n");
  machine.set_file("/proc/self/mountinfo", mounts_2);
  for (const std::string group : {"", "/a", "/a/b"}) machine.set_file("/sys/fs/cgroup" + group + "/cgroup.procs", "");
  machine.set_file("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  machine.set_file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  machine.set_file("/sys/fs/cgroup/a/memory.max", "max\n");
  const auto limits = own_cgroup_limits(machine);
  EXPECT_EQ(limits.cpus, 2.0);
  EXPECT_FALSE(limits.memory_bytes);
}

TEST(Cgroup, Version1HasAFolderPerControllerAndAMountThatBeginsAtTheContainer) {
  SimulatedMachine machine;
  machine.set_file("/proc/self/cgroup", "4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n0::/\n");
  machine.set_file("/proc/self/mountinfo",
                   "1 2 0:20 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
                   "3 2 0:21 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n");
  machine.set_file("/sys/fs/cgroup/memory/cgroup.procs", "1");
  machine.set_file("/sys/fs/cgroup/memory/memory.usage_in_bytes", "77");
  machine.set_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
  machine.set_file("/sys/fs/cgroup/cpu,cpuacct/cgroup.procs", "1");
  machine.set_file("/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "5000");
  machine.set_file("/sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_periods 0\nthrottled_time 6\n");
  machine.set_file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1");
  machine.set_file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
  const auto probe = make_cgroup(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("cgroup.cpu=5000", "cgroup.throttled=6", "cgroup.memory=77"));
  EXPECT_EQ(channel_named(probe, "cgroup.cpu")->scale, 1e-9);
  EXPECT_FALSE(own_cgroup_limits(machine).cpus);
  EXPECT_FALSE(own_cgroup_limits(machine).memory_bytes);  // kills: version 1's "no limit" printed as 8 EiB
}

TEST(MountPoints, EscapesAreUndoneAndOptionalFieldsSkipped) {
  const auto mounts =
      mount_points("36 35 98:0 /a\\040b /mnt/x\\134y rw,noatime master:1 shared:2 - ext4 /dev/sda1 rw\nbad line\n");
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].root, "/a b");
  EXPECT_EQ(mounts[0].path, "/mnt/x\\y");
  EXPECT_EQ(mounts[0].device, "98:0");
  EXPECT_EQ(mounts[0].source, "/dev/sda1");
}

}  // namespace
}  // namespace prony
