// Every sensor on a tree recorded from real machines (and bent by its authors to be odd): /proc and /sys of the test
// fixtures of prometheus/procfs. What must be seen is read from the tree's own files, not written down here.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "../support/ttar.hpp"
#include "base/text.hpp"
#include "seen.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/rows.hpp"
#include "sensors/storage.hpp"

namespace prony {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;

class RecordedTree : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    // Beside the sources: data that is shared between projects and is not part of this one.
    for (const std::string at : {"/shared", "/../shared"}) {
      const fs::path archive = PRONY_SOURCE_DIR + at + "/data/machines/procfs/fixtures.ttar";
      if (!fs::exists(archive)) continue;
      std::string name = (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/prony-tree-XXXXXX");
      if (::mkdtemp(name.data()) == nullptr) return;
      folder = name;
      unpacked = unpack_ttar(archive, folder);
      return;
    }
  }
  static void TearDownTestSuite() {
    std::error_code ignored;
    if (!folder.empty()) fs::remove_all(folder, ignored);
  }
  void SetUp() override {
    if (folder.empty()) GTEST_SKIP() << "the recorded tree is not here: shared/data/machines/procfs/fixtures.ttar";
    ASSERT_EQ(unpacked.error, "");
    machine = make_captured_machine((folder / "fixtures").string());
  }
  // The text of a file of the tree, without its line end.
  static std::string text(const std::string& path) {
    std::ifstream in(folder / "fixtures" / path, std::ios::binary);
    std::stringstream all;
    all << in.rdbuf();
    EXPECT_TRUE(in) << path;
    return std::string(trim(all.str()));
  }
  // The word `index` of the line of a file that holds `key` as a word.
  static std::string word(const std::string& path, const std::string& key, std::size_t index) {
    std::string result;
    for_each_line(text(path), [&](std::string_view line) {
      std::istringstream words{std::string(line)};
      std::vector<std::string> all;
      for (std::string each; words >> each;) all.push_back(each);
      if (result.empty() && std::find(all.begin(), all.end(), key) != all.end() && index < all.size())
        result = all[index];
    });
    EXPECT_NE(result, "") << path << ": " << key;
    return result;
  }
  static std::string kib(const std::string& key) {
    return std::to_string(1024 * std::stoll(word("proc/meminfo", key, 1)));
  }

  static inline fs::path folder;
  static inline Unpacked unpacked;
  std::unique_ptr<Machine> machine;
};

TEST_F(RecordedTree, TheArchiveIsUnpackedWhole) {
  EXPECT_GT(unpacked.files, 500u);
  EXPECT_GT(unpacked.links, 20u);
  EXPECT_EQ(text("proc/26231/comm"), "vim");
  std::string command = text("proc/26231/cmdline");
  EXPECT_EQ(command, std::string("vim\0test.go\0+10\0", 16));
  EXPECT_TRUE(fs::is_symlink(folder / "fixtures/proc/self"));
}

TEST_F(RecordedTree, NoSensorIsUpsetByIt) {
  for (const auto& row : sensor_catalogue()) {
    const auto probe = row.make(*machine, {.every_channel = true});
    EXPECT_TRUE(probe.sensor || !probe.unavailable.empty()) << row.name;
    if (!probe.sensor) continue;
    (void)seen(probe);
    (void)probe.sensor->changes();
    (void)probe.sensor->complaints();
  }
}

TEST_F(RecordedTree, EnergyZonesAreThoseWithAReadableCounter) {
  const auto all = seen(make_rapl(*machine, {}));
  EXPECT_THAT(all, Contains(HasSubstr("=" + text("sys/class/powercap/intel-rapl:0/energy_uj"))));
  EXPECT_THAT(all, Contains(HasSubstr("=" + text("sys/class/powercap/intel-rapl:0:0/energy_uj"))));
}

TEST_F(RecordedTree, TheBatteryIsReadWithItsSignAndTheMainsAsNotConnected) {
  const auto probe = make_power_supply(*machine, {});
  const std::string battery = "sys/class/power_supply/BAT0/";
  ASSERT_EQ(text(battery + "status"), "Discharging");
  EXPECT_THAT(seen(probe), Contains("power_supply.BAT0.power=" + text(battery + "power_now")));
  EXPECT_THAT(seen(probe), Contains("power_supply.BAT0.energy_left=" + text(battery + "energy_now")));
  EXPECT_THAT(seen(probe), Contains("power_supply.BAT0.charge=" + text(battery + "capacity")));
  EXPECT_THAT(seen(probe), Contains("power_supply.AC.online=" + text("sys/class/power_supply/AC/online")));
}

TEST_F(RecordedTree, MemoryPressureDisksAndInterfacesAreTheFilesOwnNumbers) {
  // Its kernel is older than MemAvailable: then nothing is told, not a guess.
  ASSERT_EQ(text("proc/meminfo").find("MemAvailable"), std::string::npos);
  const auto memory = make_memory(*machine, {});
  EXPECT_EQ(memory.sensor, nullptr);
  EXPECT_THAT(memory.unavailable.at(0).reason, HasSubstr("/proc/meminfo"));
  const auto pressure = seen(make_pressure(*machine, {}));
  for (const std::string resource : {"memory", "io"})
    EXPECT_THAT(pressure, Contains("pressure." + resource + ".full=" +
                                   word("proc/pressure/" + resource, "full", 4).substr(6)));  // behind "total="
  const auto disks = seen(make_disk(*machine, {}));
  std::istringstream stat(text("sys/block/sda/stat"));
  std::vector<std::string> fields{std::istream_iterator<std::string>(stat), {}};
  EXPECT_THAT(disks, ::testing::ElementsAre("disk.sda.read=" + fields[2], "disk.sda.written=" + fields[6],
                                            "disk.sda.busy=" + fields[9]));  // dm-0 lies on sda, and counts not again
  const auto network = seen(make_network(*machine, {}));
  EXPECT_THAT(network, ::testing::ElementsAre("network.eth0.received=" + word("proc/net/dev", "eth0:", 1),
                                              "network.eth0.sent=" + word("proc/net/dev", "eth0:", 9)));
}

TEST_F(RecordedTree, HeatClocksAndThrottlingAreSeen) {
  const auto zones = seen(make_thermal(*machine, {}));
  for (const std::string zone : {"thermal_zone0", "thermal_zone1"})
    EXPECT_THAT(zones, Contains("thermal." + text("sys/class/thermal/" + zone + "/type") +
                                ".temperature=" + text("sys/class/thermal/" + zone + "/temp")));
  EXPECT_THAT(seen(make_cpufreq(*machine, {})),
              Contains("cpufreq.policy0.frequency=" + text("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq")));
  const std::string cpu = "sys/devices/system/cpu/cpu";
  const auto core = [&](const char* n) { return std::stoll(text(cpu + n + "/thermal_throttle/core_throttle_count")); };
  const auto heat = seen(make_throttle(*machine, {}));
  EXPECT_THAT(heat, Contains("throttle.cores.count=" + std::to_string(core("0") + core("1"))));
  // Both CPUs show their package's one count.
  EXPECT_THAT(heat, Contains("throttle.package-0.count=" + text(cpu + "0/thermal_throttle/package_throttle_count")));
}

TEST_F(RecordedTree, TheManifestTellsTheMachineAndNoSerialNumberOfIt) {
  Manifest manifest;
  describe_machine(*machine, manifest);
  const std::string dmi = "sys/class/dmi/id/";
  EXPECT_EQ(manifest.get("machine.board"), text(dmi + "sys_vendor") + " " + text(dmi + "product_name"));
  EXPECT_EQ(manifest.get("machine.firmware"),
            text(dmi + "bios_vendor") + " " + text(dmi + "bios_version") + " " + text(dmi + "bios_date"));
  EXPECT_EQ(manifest.get("machine.clocksource"),
            text("sys/devices/system/clocksource/clocksource0/current_clocksource"));
  EXPECT_EQ(manifest.get("machine.governor"), text("sys/devices/system/cpu/cpufreq/policy0/scaling_governor"));
  EXPECT_EQ(manifest.get("machine.memory_bytes"), kib("MemTotal:"));
  EXPECT_EQ(manifest.get("machine.power_source"), "battery");
  EXPECT_EQ(manifest.get("machine.kernel_options"), std::nullopt);
  EXPECT_EQ(manifest.get("machine.cpu_model"), "Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz");
  for (const auto& fact : manifest.facts)
    for (const char* secret : {"product_serial", "product_uuid", "board_serial", "chassis_serial"})
      EXPECT_EQ(fact.value.find(text(dmi + secret)), std::string::npos) << fact.key;
}

TEST_F(RecordedTree, AFileOnANetworkMountIsKnownForOne) {
  // Of several mounts at one place the last one is seen.
  std::string last;
  for_each_line(text("proc/self/mountinfo"), [&](std::string_view line) {
    if (line.find(" /mnt/nfs/test ") == std::string_view::npos) return;
    const auto type = line.substr(line.find(" - ") + 3);
    last = type.substr(0, type.find(' '));
  });
  ASSERT_NE(last, "");
  const auto storage = storage_of(*machine, "/mnt/nfs/test/model.gguf");
  ASSERT_TRUE(storage);
  EXPECT_EQ(storage->kind, "network");
  EXPECT_EQ(storage->filesystem, last);
}

}  // namespace
}  // namespace prony
