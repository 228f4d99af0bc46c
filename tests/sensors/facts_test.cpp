#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/simulated.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/storage.hpp"

namespace prony {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string fact(SimulatedMachine& machine, const std::string& key) {
  Manifest manifest;
  describe_machine(machine, manifest);
  return manifest.get("machine." + key).value_or("(none)");
}

TEST(Facts, ProcessorBoardAndFirmwareAreToldAndNeverASerialNumber) {
  SimulatedMachine machine;
  machine.set_file("/proc/cpuinfo",
                   "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\nmodel name\t: Core i7\n"
                   "stepping\t: 10\nmicrocode\t: 0xb4\nflags\t\t: fpu\n");
  const std::string dmi = "/sys/class/dmi/id/";
  for (const auto& [file, text] :
       std::initializer_list<std::pair<const char*, const char*>>{{"sys_vendor", "Dell Inc."},
                                                                  {"product_name", "PowerEdge R6515"},
                                                                  {"product_version", "Not Specified"},
                                                                  {"bios_vendor", "Dell Inc."},
                                                                  {"bios_version", "2.2.4"},
                                                                  {"bios_date", "04/12/2021"},
                                                                  {"product_serial", "SECRET1"},
                                                                  {"product_uuid", "SECRET2"},
                                                                  {"board_serial", "SECRET3"},
                                                                  {"chassis_serial", "SECRET4"},
                                                                  {"chassis_asset_tag", "SECRET5"}})
    machine.set_file(dmi + file, text);
  EXPECT_EQ(fact(machine, "board"), "Dell Inc. PowerEdge R6515");
  EXPECT_EQ(fact(machine, "firmware"), "Dell Inc. 2.2.4 04/12/2021");
  EXPECT_EQ(fact(machine, "cpu_family"), "GenuineIntel family 6 model 142");
  EXPECT_EQ(fact(machine, "cpu_stepping"), "10");
  EXPECT_EQ(fact(machine, "microcode"), "0xb4");
  EXPECT_EQ(fact(machine, "virtual"), "no");
  Manifest manifest;
  describe_machine(machine, manifest);
  for (const auto& each : manifest.facts) EXPECT_THAT(each.value, Not(HasSubstr("SECRET"))) << each.key;
}

// Kills: the whole command line kept, with whatever secret somebody passes there.
TEST(Facts, OfTheKernelsOptionsOnlyThoseThatChangePowerAreKept) {
  EXPECT_EQ(power_options("BOOT_IMAGE=/vmlinuz root=UUID=1 ro idle=poll intel_idle.max_cstate=1 password=x "
                          "mitigations=off idlex=1 -- psi=1"),
            "idle=poll intel_idle.max_cstate=1 mitigations=off");
  EXPECT_EQ(power_options(""), "");
}

TEST(Facts, CoresAndSocketsAreCountedFromTheTopology) {
  SimulatedMachine machine;
  for (int cpu = 0; cpu < 8; ++cpu) {  // two sockets of two cores of two threads; core ids repeat per socket
    const auto folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    machine.set_file(folder + "physical_package_id", std::to_string(cpu / 4));
    machine.set_file(folder + "core_id", std::to_string(cpu % 2));
  }
  machine.set_file("/sys/devices/system/cpu/smt/control", "on");
  machine.set_file("/sys/devices/system/node/online", "0-1");
  machine.set_file("/sys/devices/system/cpu/vulnerabilities/mds", "Mitigation: Clear CPU buffers; SMT vulnerable");
  machine.set_file("/sys/devices/system/cpu/vulnerabilities/l1tf", "Vulnerable");
  machine.set_file("/sys/devices/system/cpu/vulnerabilities/srbds", "Not affected");
  EXPECT_EQ(fact(machine, "sockets"), "2");
  EXPECT_EQ(fact(machine, "cores"), "4");
  EXPECT_EQ(fact(machine, "smt"), "on");
  EXPECT_EQ(fact(machine, "numa_nodes"), "2");
  EXPECT_EQ(fact(machine, "mitigations"), "mitigated: mds; vulnerable: l1tf");
}

TEST(Facts, WhatGovernsPowerIsToldAndWhatDiffersIsCounted) {
  SimulatedMachine machine;
  for (int i = 0; i < 4; ++i) {
    const auto folder = "/sys/devices/system/cpu/cpufreq/policy" + std::to_string(i);
    machine.set_file(folder + "/scaling_governor", i == 0 ? "performance" : "powersave");
    machine.set_file(folder + "/scaling_driver", "intel_pstate");
    machine.set_file(folder + "/scaling_max_freq", i < 2 ? "2000000" : "3500000");
    machine.set_file(folder + "/cpuinfo_max_freq", "3500000");
  }
  machine.set_file("/sys/devices/system/cpu/intel_pstate/no_turbo", "1");
  machine.set_file("/sys/class/power_supply/BAT0/type", "Battery");
  machine.set_file("/sys/class/power_supply/BAT0/status", "Discharging");
  machine.set_file("/sys/class/powercap/intel-rapl:0/constraint_0_name", "long_term");
  machine.set_file("/sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw", "15000000");
  machine.set_file("/sys/class/hwmon/hwmon0/name", "amdgpu");
  machine.set_file("/sys/class/hwmon/hwmon0/power1_cap", "250000000");
  EXPECT_EQ(fact(machine, "governor"), "performance (1 of 4 policies), powersave (3 of 4 policies)");
  EXPECT_EQ(fact(machine, "clock_driver"), "intel_pstate");
  EXPECT_EQ(fact(machine, "clock_limit"), "2 GHz of 3.5 GHz (2 of 4 policies)");
  EXPECT_EQ(fact(machine, "boost"), "off");  // kills: no_turbo = 1 read as boost = 1
  EXPECT_EQ(fact(machine, "power_source"), "battery");
  EXPECT_EQ(fact(machine, "power_limit.intel-rapl:0.long_term"), "15 W");
  EXPECT_EQ(fact(machine, "power_limit.amdgpu.power1_cap"), "250 W");
  machine.set_file("/sys/class/power_supply/BAT0/status", "Charging");
  machine.set_file("/sys/class/power_supply/AC/online", "1");
  EXPECT_EQ(fact(machine, "power_source"), "mains, charging the battery");
}

TEST(Facts, TheNominalClockIsTheOneThatTheProcessorIsSoldByAndOfTwoKindsOfCoresNone) {
  SimulatedMachine machine;
  const std::string top = "/sys/devices/system/cpu/cpufreq/policy";
  for (const char* policy : {"0", "1"}) machine.set_file(top + policy + "/cpuinfo_max_freq", "2400000");
  EXPECT_EQ(fact(machine, "nominal_clock_hz"), "2400000000");
  EXPECT_EQ(fact(machine, "nominal_clock_source"), "cpuinfo_max_freq");
  for (const char* policy : {"0", "1"}) machine.set_file(top + policy + "/base_frequency", "1800000");
  EXPECT_EQ(fact(machine, "nominal_clock_hz"), "1800000000");  // kills: the turbo clock
  EXPECT_EQ(fact(machine, "nominal_clock_source"), "base_frequency");
  machine.set_file(top + "1/base_frequency", "1200000");
  EXPECT_EQ(fact(machine, "nominal_clock_hz"), "(none)");
  for (const char* rubbish : {"-5", "0", "99999999999999", "x"}) {
    SimulatedMachine other;
    other.set_file(top + "0/cpuinfo_max_freq", rubbish);
    EXPECT_EQ(fact(other, "nominal_clock_hz"), "(none)") << rubbish;
  }
}

TEST(Facts, MemoryAndSwapAreBytesAndAFilesPathIsNotTold) {
  SimulatedMachine machine;
  machine.set_file("/proc/meminfo", "MemTotal:       100 kB\nSwapTotal:      12 kB\n");
  machine.set_file("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-2 partition 1 1 -2\n/swap file 1 1 1\n");
  EXPECT_EQ(fact(machine, "memory_bytes"), "102400");
  EXPECT_EQ(fact(machine, "swap_bytes"), "12288");
  EXPECT_EQ(fact(machine, "swap_on"), "dm-2, a file");
}

TEST(Virtual, TheKindOfMachineComesFromItsFirmwareAndSaysWhatItCannotSee) {
  const auto kind = [](const char* flags, const char* vendor, const char* product) {
    SimulatedMachine machine;
    machine.set_file("/proc/cpuinfo",
                     std::string("processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 1\n") +
                         "flags : fpu " + flags + "\n");
    machine.set_file("/sys/class/dmi/id/sys_vendor", vendor);
    machine.set_file("/sys/class/dmi/id/product_name", product);
    return fact(machine, "virtual") + (fact(machine, "cannot_see") == "(none)" ? "" : "!");
  };
  EXPECT_EQ(kind("", "Dell Inc.", "PowerEdge"), "no");
  EXPECT_EQ(kind("hypervisor", "QEMU", "Standard PC"), "yes (QEMU or KVM)!");
  EXPECT_EQ(kind("hypervisor", "Microsoft Corporation", "Virtual Machine"), "yes (Hyper-V)!");
  EXPECT_EQ(kind("", "Microsoft Corporation", "Surface Laptop"), "no");
  EXPECT_EQ(kind("hypervisor", "Amazon EC2", "m5.large"), "yes (Amazon EC2)!");
  EXPECT_EQ(kind("", "Amazon EC2", "c5.metal"), "no");
  EXPECT_EQ(kind("hypervisor", "", ""), "yes (the processor says a hypervisor runs it)!");
}

TEST(Virtual, ContainersAreToldApartAndAServiceCalledDockerIsNone) {
  const auto kind = [](const char* path, const char* text) {
    SimulatedMachine machine;
    machine.set_file(path, text);
    return fact(machine, "container");
  };
  EXPECT_EQ(kind("/.dockerenv", ""), "docker");
  EXPECT_EQ(kind("/run/.containerenv", ""), "podman");
  EXPECT_EQ(kind("/run/systemd/container", "systemd-nspawn\n"), "systemd-nspawn");
  EXPECT_EQ(kind("/proc/self/cgroup", "0::/kubepods.slice/x\n"), "Kubernetes");
  EXPECT_EQ(kind("/proc/self/cgroup", "3:cpu:/docker/0123\n"), "docker");
  EXPECT_EQ(kind("/proc/self/cgroup", "0::/lxc.payload.web\n"), "lxc");
  EXPECT_EQ(kind("/proc/self/cgroup", "0::/system.slice/docker.service\n"), "(none)");
}

// Kills: a container that is told it sees the machine's processes, or that counters are there which it may not read.
TEST(Virtual, AContainerSaysWhoseProcessesEnergyAndGroupsItSeesAndWhichMountsAreMissing) {
  SimulatedMachine machine;
  machine.set_file("/.dockerenv", "");
  machine.set_file("/proc/2/comm", "nginx\n");
  machine.set_file("/sys/fs/cgroup/cgroup.events", "populated 1\n");
  std::string sees = fact(machine, "container_sees");
  EXPECT_NE(sees.find("this container's alone (--pid=host"), std::string::npos) << sees;
  EXPECT_NE(sees.find("no RAPL counters (-v /sys/devices/virtual/powercap"), std::string::npos) << sees;
  EXPECT_NE(sees.find("--cgroupns=host"), std::string::npos) << sees;
  EXPECT_NE(sees.find("no hwmon"), std::string::npos) << sees;

  SimulatedMachine shown;
  shown.set_file("/.dockerenv", "");
  shown.set_file("/proc/2/comm", "kthreadd\n");
  shown.set_file("/sys/fs/cgroup/cgroup.procs", "1\n");
  shown.set_file("/sys/class/powercap/intel-rapl:0/energy_uj", "12\n");
  shown.set_file("/sys/class/hwmon/hwmon0/name", "k10temp\n");
  sees = fact(shown, "container_sees");
  EXPECT_EQ(sees,
            "processes: the whole machine's; containers of others: yes; energy: the host's RAPL counters; sensors: the "
            "host's hwmon");
  SimulatedMachine outside;
  EXPECT_EQ(fact(outside, "container_sees"), "(none)");
}

struct Files : ::testing::Test {
  Files() {
    machine.set_file(
        "/proc/self/mountinfo",
        "27 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n28 27 253:0 / /data rw - xfs /dev/mapper/vg rw\n"
        "29 27 0:42 / /mnt/nfs rw - nfs4 server:/srv rw\n30 27 0:43 / /tmp rw - tmpfs tmpfs rw\n"
        "31 27 0:44 /vol /pool rw - btrfs /dev/sdb1 rw\n32 27 179:1 / /card rw - vfat /dev/mmcblk0p1 rw\n");
    machine.set_link("/sys/dev/block/259:2", "../../devices/pci0000:00/nvme/nvme0/block/nvme0n1/nvme0n1p2");
    machine.set_link("/sys/dev/block/253:0", "../../devices/virtual/block/dm-0");
    machine.set_link("/sys/dev/block/179:1", "../../devices/platform/mmc_host/mmc0/block/mmcblk0/mmcblk0p1");
    machine.set_link("/sys/class/block/sda2", "../../devices/pci0000:00/ata1/block/sda/sda2");
    machine.set_link("/sys/class/block/sdb1", "../../devices/pci0000:00/ata2/block/sdb/sdb1");
    machine.set_link("/sys/block/dm-0/slaves/sda2", "../../../block/sda/sda2");
    machine.set_file("/sys/block/nvme0n1/device/model", "Samsung SSD 970 PRO 512GB               \n");
    machine.set_file("/sys/block/sda/queue/rotational", "1");
    machine.set_file("/sys/block/sdb/queue/rotational", "0");
  }
  std::string words(const std::string& path) {
    const auto storage = storage_of(machine, path);
    return storage ? storage_words(*storage) : "(none)";
  }
  SimulatedMachine machine;
};

TEST_F(Files, AFilesDeviceIsFoundBelowPartitionsVolumesAndOddNumbers) {
  EXPECT_EQ(words("/models/model.gguf"), "nvme (nvme0n1, Samsung SSD 970 PRO 512GB, ext4)");
  EXPECT_EQ(words("/data/x"), "hdd (sda, xfs)");
  EXPECT_EQ(words("/database"), "nvme (nvme0n1, Samsung SSD 970 PRO 512GB, ext4)");  // kills: /data taken for its mount
  EXPECT_EQ(words("/mnt/nfs/model.gguf"), "network (nfs4)");
  EXPECT_EQ(words("/tmp/x"), "memory (tmpfs)");
  EXPECT_EQ(words("/pool/x"), "ssd (sdb, btrfs)");
  EXPECT_EQ(words("/card/x"), "mmc (mmcblk0, vfat)");
  EXPECT_EQ(words("relative"), "(none)");
}

TEST_F(Files, WhatCannotBeToldIsSaidNotToBeKnown) {
  machine.set_file("/proc/self/mountinfo", "27 1 0:50 / / rw - zfs pool/root rw\n");
  EXPECT_EQ(words("/x"), "not known (zfs)");
}

}  // namespace
}  // namespace prony
