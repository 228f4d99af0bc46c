// Cards of AMD and Intel, as their drivers show them: what is the card's, what lies in it, and who reads it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "machine/simulated.hpp"
#include "seen.hpp"
#include "sensors/drm_cards.hpp"
#include "sensors/rows.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using CardFiles = std::initializer_list<std::pair<const char*, const char*>>;

void add_card(SimulatedMachine& machine, int number, const std::string& driver, const std::string& address,
              CardFiles device, CardFiles sensors) {
  const auto n = std::to_string(number);
  const auto folder = "/sys/class/drm/card" + n + "/device";
  machine.set_link(folder, "../../../" + address);
  machine.set_link(folder + "/driver", "../../../../bus/pci/drivers/" + driver);
  machine.set_file("/sys/class/drm/card" + n + "-HDMI-A-1/status", "connected");
  for (const auto& [file, text] : device) machine.set_file(folder + "/" + file, text);
  for (const auto& chip : {folder + "/hwmon/hwmon" + n, "/sys/class/hwmon/hwmon" + n}) {
    machine.set_file(chip + "/name", driver);
    for (const auto& [file, text] : sensors) machine.set_file(chip + "/" + file, text);
  }
}

// Kills: average and instant of one card added; percent taken for a fraction; a card read by hwmon as well.
TEST(Amdgpu, ACardsAverageIsItsPowerTheInstantLiesInItAndHwmonLeavesItAlone) {
  SimulatedMachine machine;
  add_card(machine, 0, "amdgpu", "0000:03:00.0",
           {{"gpu_busy_percent", "37\n"}, {"mem_busy_percent", "12"}, {"mem_info_vram_used", "4096"}},
           {{"power1_average", "153000000"},
            {"power1_input", "160000000"},
            {"freq1_input", "2400000000"},
            {"freq2_input", "1000000000"},
            {"temp1_input", "60000"}});
  const auto probe = make_amdgpu(machine, {});
  EXPECT_THAT(seen(probe),
              ElementsAre("amdgpu.amdgpu.power=153000000", "amdgpu.amdgpu-instant.power=160000000<amdgpu"));
  ASSERT_EQ(probe.more.size(), 1u);
  std::vector<Reading> readings(probe.more[0]->channels().size());
  probe.more[0]->read(readings);
  std::vector<std::string> conditions;
  for (std::size_t i = 0; i < readings.size(); ++i)
    conditions.push_back(probe.more[0]->channels()[i].name + "=" + std::to_string(readings[i].raw));
  EXPECT_THAT(conditions, ElementsAre("amdgpu.amdgpu-load.fraction=37", "amdgpu.amdgpu-memory-load.fraction=12",
                                      "amdgpu.amdgpu-vram.memory=4096", "amdgpu.amdgpu-clock.frequency=2400000000",
                                      "amdgpu.amdgpu-memory-clock.frequency=1000000000"));
  EXPECT_DOUBLE_EQ(probe.more[0]->channels()[0].scale, 0.01);
  EXPECT_TRUE(probe.sensor->channels()[0].coverage_known);
  EXPECT_EQ(make_hwmon(machine, {}).sensor, nullptr);
}

// Kills: the power of a whole processor added to what RAPL tells of it.
TEST(Amdgpu, GraphicsInsideAProcessorTellTheWholeProcessorsPowerWhichIsAddedToNothing) {
  SimulatedMachine machine;
  add_card(machine, 0, "amdgpu", "0000:c4:00.0", {}, {{"power1_input", "8000000"}, {"in1_input", "912"}});
  const auto probe = make_amdgpu(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("amdgpu.amdgpu.power=8000000"));
  EXPECT_FALSE(probe.sensor->channels()[0].coverage_known);
}

TEST(Amdgpu, SeveralCardsAreNumberedByTheirAddressAndACounterHoldsTheGauges) {
  SimulatedMachine machine;
  add_card(machine, 0, "amdgpu", "0000:83:00.0", {}, {{"power1_average", "2"}});
  add_card(machine, 1, "amdgpu", "0000:03:00.0", {}, {{"energy1_input", "9"}, {"power1_average", "1"}});
  const auto probe = make_amdgpu(machine, {});
  EXPECT_THAT(seen(probe),
              ElementsAre("amdgpu.amdgpu-0.energy=9", "amdgpu.amdgpu-0.power=1<amdgpu-0", "amdgpu.amdgpu-1.power=2"));
  EXPECT_EQ(probe.sensor->channels()[0].device, "0000:03:00.0");
}

// A table of that version whose accumulator holds `counts`; all else is what the driver fills in for "not told".
std::string metrics(int content, std::uint64_t counts) {
  struct Layout {
    std::size_t size, energy, width;
  };
  constexpr std::array<Layout, 6> layouts{
      {{80, 36, 4}, {96, 24, 8}, {104, 24, 8}, {120, 24, 8}, {288, 24, 8}, {328, 56, 8}}};
  const Layout& layout = layouts.at(static_cast<std::size_t>(content));
  std::string table(layout.size, '\xff');
  table[0] = static_cast<char>(layout.size & 0xff), table[1] = static_cast<char>(layout.size >> 8);
  table[2] = 1, table[3] = static_cast<char>(content);
  for (std::size_t i = 0; i < layout.width; ++i) table[layout.energy + i] = static_cast<char>(counts >> 8 * i & 0xff);
  return table;
}
constexpr const char* metrics_file = "/sys/class/drm/card0/device/gpu_metrics";

// Kills: the accumulator looked for where another version has it; its unit taken for microjoules.
TEST(Amdgpu, WhereHwmonCountsNoEnergyTheAccumulatorOfGpuMetricsIsReadInEachOfItsVersions) {
  for (int content = 0; content <= 5; ++content) {
    SimulatedMachine machine;
    add_card(machine, 0, "amdgpu", "0000:03:00.0", {}, {{"power1_input", "250000000"}});
    machine.set_file(metrics_file, metrics(content, 65536 * 1000 + 7));
    const auto probe = make_amdgpu(machine, {});
    ASSERT_EQ(probe.more.size(), 1u) << content;
    const Channel& energy = probe.more[0]->channels()[0];
    std::vector<Reading> reading(1);
    probe.more[0]->read(reading);
    EXPECT_EQ(reading[0].raw, 65536 * 1000 + 7) << content;
    EXPECT_DOUBLE_EQ(energy.scale * 65536, 1);
    EXPECT_EQ(energy.kind, ChannelKind::counter);
    EXPECT_EQ(energy.range, content == 0 ? 1ULL << 32 : 0) << content;
    ASSERT_EQ(probe.within.size(), 1u);
    // The kernel names the unit from 1.4 on. Before, it is shown beside the card's power and added to nothing.
    EXPECT_EQ(energy.coverage_known, content >= 4);
    EXPECT_EQ(probe.within[0].whole, content >= 4 ? "amdgpu.amdgpu.energy" : "amdgpu.amdgpu.power");
    EXPECT_EQ(energy.name, content >= 4 ? "amdgpu.amdgpu.energy" : "amdgpu.amdgpu-accumulator.energy");
    EXPECT_EQ(probe.notes.empty(), content >= 4);
  }
}

TEST(Amdgpu, ATableThatIsNoneHasNoEnergyAndOneThatBecomesRubbishIsAGapWithItsReason) {
  const auto good = metrics(4, 1'000'000);
  std::vector<std::string> tables{"", "\x01", good.substr(0, 287), good + std::string(5000, 'x')};
  for (const auto& [at, byte] : {std::pair{0, '\x00'}, {2, '\x02'}, {3, '\x09'}}) {  // size, format, version
    tables.push_back(good);
    tables.back()[static_cast<std::size_t>(at)] = byte;
  }
  tables.push_back(metrics(3, UINT64_MAX));  // the card does not count
  tables.push_back(metrics(0, UINT32_MAX));
  for (const auto& table : tables) {
    SimulatedMachine machine;
    add_card(machine, 0, "amdgpu", "0000:03:00.0", {}, {{"power1_input", "250000000"}});
    machine.set_file(metrics_file, table);
    const bool whole = table.starts_with(good);
    EXPECT_EQ(make_amdgpu(machine, {}).more.size(), whole ? 1u : 0u) << table.size();
    machine.set_file(metrics_file, good);
    const auto probe = make_amdgpu(machine, {});
    ASSERT_EQ(probe.more.size(), 1u);
    std::vector<Reading> reading(1);
    machine.set_file(metrics_file, table);
    probe.more[0]->read(reading);
    EXPECT_EQ(reading[0].quality, whole ? Quality::ok : Quality::gap) << table.size();
    EXPECT_EQ(probe.more[0]->complaints().size(), whole ? 0u : 1u);
    EXPECT_TRUE(probe.more[0]->complaints().empty());  // said once
    machine.set_file(metrics_file, good);
    probe.more[0]->read(reading);
    EXPECT_EQ(reading[0].raw, 1'000'000);
  }
}

TEST(Amdgpu, ACounterOfHwmonIsPreferredToTheAccumulator) {
  SimulatedMachine machine;
  add_card(machine, 0, "amdgpu", "0000:03:00.0", {}, {{"energy1_input", "9"}});
  machine.set_file(metrics_file, metrics(4, 5));
  const auto probe = make_amdgpu(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("amdgpu.amdgpu.energy=9"));
  EXPECT_TRUE(probe.more.empty());
}

TEST(Amdgpu, AnotherMachineSaysThatItHasNoCard) {
  SimulatedMachine machine;
  const auto probe = make_amdgpu(machine, {});
  EXPECT_EQ(probe.sensor, nullptr);
  ASSERT_EQ(probe.unavailable.size(), 1u);
  EXPECT_THAT(probe.unavailable[0].reason, HasSubstr("no card of the driver amdgpu"));
}

TEST(IntelGpu, ACardsCounterHoldsItsPackagesAndWhatSlowsItIsAnEvent) {
  SimulatedMachine machine;
  add_card(machine, 1, "xe", "0000:03:00.0",
           {{"tile0/gt0/freq0/act_freq", "2400"}, {"tile0/gt0/freq0/throttle/reason_thermal", "0"}},
           {{"energy1_input", "5000000"}, {"energy2_input", "3000000"}});
  auto probe = make_intel_gpu(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("intel-gpu.xe.energy=5000000", "intel-gpu.xe-package.energy=3000000<xe"));
  EXPECT_EQ(probe.sensor->channels()[0].kind, ChannelKind::counter);
  EXPECT_TRUE(probe.sensor->channels()[0].coverage_known);
  ASSERT_EQ(probe.more.size(), 1u);
  EXPECT_EQ(probe.more[0]->channels()[0].name, "intel-gpu.xe-clock.frequency");
  EXPECT_DOUBLE_EQ(probe.more[0]->channels()[0].scale, 1e6);
  EXPECT_THAT(probe.more[0]->changes(), IsEmpty());
  machine.set_file("/sys/class/drm/card1/device/tile0/gt0/freq0/throttle/reason_thermal", "1\n");
  const auto changes = probe.more[0]->changes();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].text, "slowed by thermal: no → yes");
  EXPECT_EQ(make_hwmon(machine, {}).sensor, nullptr);
}

// Kills: graphics without a counter told as 0 J, or as broken.
TEST(IntelGpu, GraphicsInsideAProcessorHaveAClockAndNoJoulesAndSayWhereThoseAre) {
  SimulatedMachine machine;
  machine.set_link("/sys/class/drm/card0/device", "../../../0000:00:02.0");
  machine.set_link("/sys/class/drm/card0/device/driver", "../../../bus/pci/drivers/i915");
  machine.set_file("/sys/class/drm/card0/gt/gt0/rps_act_freq_mhz", "350\n");
  const auto probe = make_intel_gpu(machine, {});
  EXPECT_THAT(seen(probe), ElementsAre("intel-gpu.i915-clock.frequency=350"));
  EXPECT_THAT(probe.unavailable, IsEmpty());
  ASSERT_EQ(probe.notes.size(), 1u);
  EXPECT_THAT(probe.notes[0].reason, HasSubstr("uncore"));
}

TEST(DrmCards, ATreeWithoutLinksIsToldApartByItsMaker) {
  SimulatedMachine machine;
  machine.set_file("/sys/class/drm/card0/device/vendor", "0x1002\n");
  machine.set_file("/sys/class/drm/card1/device/vendor", "0x8086\n");
  machine.set_file("/sys/class/drm/card2/device/vendor", "0x10de\n");
  machine.set_file("/sys/class/drm/renderD128/dev", "226:128\n");
  const auto cards = drm_cards(machine, {"amdgpu", "i915", "xe"});
  ASSERT_EQ(cards.size(), 2u);
  EXPECT_EQ(cards[0].driver, "amdgpu");
  EXPECT_EQ(cards[1].driver, "i915");
  EXPECT_EQ(cards[1].address, "card1");
}

}  // namespace
}  // namespace prony
