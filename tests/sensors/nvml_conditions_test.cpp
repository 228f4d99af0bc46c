// What a GPU does besides drawing power: clocks, temperatures, its bus, and what holds it back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "nvml_rig.hpp"

namespace prony {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Nvml, WhyClocksAreHeldDownIsToldWhenItBeginsAndWhenItIsOver) {
  auto gpu = NvmlRig::gpu(first_gpu, "steps:0=300,20=700,25=300");
  NvmlRig rig({gpu});
  rig.probe();
  std::vector<std::string> told;
  for (double s = 15; s < 40; s += 1) {
    rig.read_at(s);
    for (const auto& event : rig.events())
      if (event.starts_with("throttle")) told.push_back(event);
  }
  EXPECT_THAT(told, ElementsAre("throttle nvml.GPU-8f1c2d3e gpu-0: slowed by its power limit",
                                "throttle nvml.GPU-8f1c2d3e gpu-0: no longer slowed by its power limit"));
}

// Kills: microseconds of the reference time taken for the nanoseconds slowed; power's policy asked for heat.
TEST(Nvml, ADriverWithoutFieldsForViolationsIsAskedByItsOlderFunction) {
  auto gpu = NvmlRig::gpu(first_gpu, "steps:0=300,10=700,14=300");  // at its limit of 700 W for 4 s
  std::map<std::string, Reading> by_fields, by_function;
  for (const bool fields : {true, false}) {
    gpu.driver_fields = fields;
    NvmlRig rig({gpu});
    rig.probe();
    (fields ? by_fields : by_function) = rig.read_at(30);
    const Channel* slowed = rig.channel("nvml.GPU-8f1c2d3e.slowed-by-power");
    ASSERT_NE(slowed, nullptr) << fields;
    EXPECT_EQ(slowed->kind, ChannelKind::counter);
    EXPECT_EQ(slowed->measure, Measure::time);
    EXPECT_EQ(slowed->scale, 1e-9);
    EXPECT_THAT(rig.notes(), Not(HasSubstr("violations")));  // nothing of them is missing
    EXPECT_EQ(rig.channel("nvml.GPU-8f1c2d3e.slowed-by-board"), nullptr);
  }
  for (const auto& readings : {by_fields, by_function}) {
    EXPECT_EQ(readings.at("nvml.GPU-8f1c2d3e.slowed-by-power").raw, 4'000'000'000);
    EXPECT_EQ(readings.at("nvml.GPU-8f1c2d3e.slowed-by-heat").raw, 0);
  }
}

TEST(Nvml, ViolationsThatNeitherWayGivesAreNamedOnceAndBlankOnesAreNoChannel) {
  auto gpu = NvmlRig::gpu(first_gpu, "constant:300");
  gpu.driver_fields = false;
  gpu.blank = {"violation", "pcie_throughput"};
  NvmlRig rig({gpu});
  rig.probe();
  EXPECT_EQ(rig.channel("nvml.GPU-8f1c2d3e.slowed-by-power"), nullptr);
  EXPECT_EQ(rig.channel("nvml.GPU-8f1c2d3e.pcie-sent-in-20-ms"), nullptr);
  EXPECT_THAT(rig.notes(), HasSubstr("violations (time slowed by power, heat, board, reliability) (this GPU or driver "
                                     "does not give it)"));
  EXPECT_THAT(rig.notes(), HasSubstr("PCIe bytes (this GPU or driver does not give it)"));
}

// Kills: clocks of the processors and of the memory exchanged, megahertz taken for hertz, per cent for parts of one.
TEST(Nvml, EveryConditionIsReadWithItsUnit) {
  NvmlRig rig({NvmlRig::gpu(first_gpu, "constant:385")});  // half of the way from idle to the limit
  rig.probe();
  const auto before = rig.read_at(10), after = rig.read_at(14);
  const auto in_unit = [&](const std::string& name) {
    const Channel* channel = rig.channel("nvml.GPU-8f1c2d3e." + name);
    return channel == nullptr ? std::nan("") : static_cast<double>(after.at(channel->name).raw) * channel->scale;
  };
  EXPECT_DOUBLE_EQ(in_unit("clock"), 1162e6);  // 345 + 1635 / 2 MHz
  EXPECT_DOUBLE_EQ(in_unit("memory-clock"), 2619e6);
  EXPECT_DOUBLE_EQ(in_unit("temperature"), 55);
  EXPECT_DOUBLE_EQ(in_unit("memory-temperature"), 55);
  EXPECT_DOUBLE_EQ(in_unit("utilization"), 0.5);
  EXPECT_DOUBLE_EQ(in_unit("memory-utilization"), 0.25);
  EXPECT_DOUBLE_EQ(in_unit("fan"), 0.6);
  EXPECT_DOUBLE_EQ(in_unit("pcie-replays"), 0);
  const auto grown = [&](const std::string& name) {
    const std::string whole = "nvml.GPU-8f1c2d3e." + name;
    return after.at(whole).raw - before.at(whole).raw;
  };
  EXPECT_EQ(grown("pcie-sent"), 400'000'000);
  EXPECT_EQ(grown("pcie-received"), 1'600'000'000);
}

// Kills: a Run of which nobody can tell what GPU it was of, or that it was held to half of its power.
TEST(Nvml, TheRunKeepsTheDriverAndEachGpusNameAndPowerLimit) {
  auto gpu = NvmlRig::gpu(first_gpu, "constant:300");
  gpu.lowered_limit = {milliseconds(0), 350.0};
  NvmlRig rig({gpu});
  rig.nvml->set_driver("550.54.15");
  rig.probe();
  std::vector<std::string> told;
  for (const Fact& fact : rig.found.facts) told.push_back(fact.key + "=" + fact.value);
  EXPECT_THAT(told, ElementsAre("driver=550.54.15", "gpu-0.name=NVIDIA H100 80GB HBM3", "gpu-0.power_limit_w=350"));
}

// Kills: a limit that an operator sets unseen; the link's width taken for its generation.
TEST(Nvml, ALoweredPowerLimitAndAnotherPcieLinkAreEvents) {
  auto gpu = NvmlRig::gpu(first_gpu, "steps:0=50,20=300");
  gpu.lowered_limit = {milliseconds(25'000), 450.0};
  NvmlRig rig({gpu});
  rig.probe();
  std::vector<std::string> told;
  for (double s = 15; s < 30; s += 1) {
    rig.read_at(s);
    for (const auto& event : rig.events())
      if (!event.starts_with("throttle")) told.push_back(event);
  }
  EXPECT_THAT(told,
              ElementsAre("pcie nvml.GPU-8f1c2d3e gpu-0: PCIe link: generation 1, 16 lanes → generation 5, 16 lanes",
                          "limit nvml.GPU-8f1c2d3e gpu-0: power limit: 700 W → 450 W"));
}

// Kills: two reasons exchanged; one that slows nothing (idle, clocks that somebody set) told as throttling.
TEST(Nvml, EveryReasonThatSlowsHasItsOwnWordsAndThoseThatDoNotHaveNone) {
  const std::map<unsigned long long, std::string> words{
      {nvml::reason_power_cap, "its power limit"}, {nvml::reason_hardware_slowdown, "protection"},
      {nvml::reason_sync_boost, "sync-boost"},     {nvml::reason_thermal_slowdown, "its temperature limit"},
      {nvml::reason_hardware_thermal, "heat"},     {nvml::reason_power_brake, "power brake"}};
  for (unsigned bit = 0; bit < 9; ++bit) {
    const unsigned long long reason = 1ULL << bit;
    auto gpu = NvmlRig::gpu(first_gpu, "constant:300");
    gpu.reasons = [reason](Duration t) { return t >= milliseconds(20'000) ? reason : 0ULL; };
    NvmlRig rig({gpu});
    rig.table = std::make_unique<LibraryTable>(rig.nvml->table());
    if (bit % 2 == 0) rig.table->functions.erase("nvmlDeviceGetCurrentClocksEventReasons");  // an older driver
    rig.probe();
    std::string told;
    for (double s = 15; s < 25; s += 1) {
      rig.read_at(s);
      for (const auto& event : rig.events())
        if (event.starts_with("throttle")) told += event + "\n";
    }
    const auto known = words.find(reason);
    if (known == words.end()) {
      EXPECT_EQ(told, "") << bit;
    } else {
      EXPECT_THAT(told, HasSubstr("slowed by ")) << bit;
      EXPECT_THAT(told, HasSubstr(known->second)) << bit;
    }
  }
}

// Kills: KB taken for bytes; sent and received exchanged; a call of 20 ms made on the lane of the energy counter.
TEST(Nvml, WhereTheDriverCountsNoPcieBytesItsSamplesAreReadOnceASecondInTheSlowLane) {
  auto gpu = NvmlRig::gpu(first_gpu, "constant:385");  // half of the way from idle to the limit
  gpu.driver_fields = false;
  NvmlRig rig({gpu});
  int calls = 0;
  rig.nvml->before_calls([&](std::string_view function) {
    if (function != "pcie_throughput") return;
    ++calls;
    rig.machine.advance(milliseconds(20));
  });
  rig.probe();
  EXPECT_EQ(calls, 2);  // one trial of each way: 20 ms are enough to know what it costs
  const std::string sent = "nvml.GPU-8f1c2d3e.pcie-sent-in-20-ms",
                    received = "nvml.GPU-8f1c2d3e.pcie-received-in-20-ms";
  const auto readings = rig.read_at(30);
  ASSERT_NE(rig.channel(sent), nullptr);
  EXPECT_EQ(rig.channel(sent)->measure, Measure::data);
  EXPECT_EQ(rig.channel(sent)->averaging_window, milliseconds(20));
  EXPECT_DOUBLE_EQ(static_cast<double>(readings.at(sent).raw) * rig.channel(sent)->scale, 0.5e9 * 0.02);
  EXPECT_DOUBLE_EQ(static_cast<double>(readings.at(received).raw) * rig.channel(received)->scale, 2e9 * 0.02);
  EXPECT_EQ(rig.channel("nvml.GPU-8f1c2d3e.pcie-sent"), nullptr);
  for (Sensor* sensor : rig.sensors)
    for (const Channel& channel : sensor->channels())
      if (channel.name == sent || channel.name == received) {
        EXPECT_EQ(sensor->lane_name(), "nvml-slow");
        EXPECT_EQ(sensor->pace(), milliseconds(1000));
      }
  EXPECT_THAT(rig.notes(), HasSubstr("costly to ask, read once a second: PCIe bytes sent (samples) 20.0 ms"));
  EXPECT_THAT(rig.notes(), Not(HasSubstr("PCIe bytes (this")));
}

}  // namespace
}  // namespace prony
