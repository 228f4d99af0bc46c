#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nvml_rig.hpp"

namespace prony {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* second_gpu = "GPU-70b1c2d3-0000-4000-8000-000000000002";
const std::string gpu_energy = "nvml.GPU-8f1c2d3e.energy";
const std::string average_power = "nvml.GPU-8f1c2d3e.power-average";
const std::string instant_power = "nvml.GPU-8f1c2d3e.power-instant";

TEST(Nvml, EnergyIsTheDriversMillijoulesAndPowerIsInsideIt) {
  NvmlRig rig({NvmlRig::gpu(first_gpu, "constant:250")});
  rig.probe();
  const auto before = rig.read_at(10), after = rig.read_at(14);
  ASSERT_NE(rig.channel(gpu_energy), nullptr);
  EXPECT_EQ(after.at(gpu_energy).raw - before.at(gpu_energy).raw, 1'000'000);  // 4 s × 250 W, in mJ
  EXPECT_EQ(rig.channel(gpu_energy)->scale, 1e-3);
  EXPECT_EQ(rig.channel(gpu_energy)->kind, ChannelKind::counter);
  EXPECT_EQ(rig.channel(gpu_energy)->max_rate, 1400);  // twice the limit of 700 W
  EXPECT_EQ(after.at(average_power).raw, 250'000);
  EXPECT_EQ(rig.whole_of(average_power), gpu_energy);
  EXPECT_EQ(rig.whole_of(instant_power), gpu_energy);
  EXPECT_EQ(rig.channel(gpu_energy)->device, first_gpu);
  EXPECT_EQ(rig.channel(gpu_energy)->domain, "gpu-0");
  EXPECT_EQ(after.at("nvml.GPU-8f1c2d3e.memory").raw, 1LL << 30);
  EXPECT_EQ(after.at("nvml.GPU-8f1c2d3e.utilization").raw, 28);  // (250 − 70) / 630
}

TEST(Nvml, AverageAndInstantPowerSayWhatTheyAreTheMeanOf) {
  struct Case {
    const char* name;
    unsigned architecture;
    std::int64_t instant_window_ms, instant_period_ms;
  };
  for (const auto& [name, architecture, window, period] :
       {Case{"NVIDIA A100-SXM4-40GB", nvml::arch_ampere, 25, 100}, Case{"NVIDIA A30", nvml::arch_ampere, 25, 100},
        Case{"NVIDIA GeForce RTX 3090", nvml::arch_ampere, 0, 0}, Case{"NVIDIA RTX A3000", nvml::arch_ampere, 0, 0},
        Case{"NVIDIA H100 80GB HBM3", nvml::arch_hopper, 25, 100}, Case{"NVIDIA L4", nvml::arch_ada, 0, 0}}) {
    auto gpu = NvmlRig::gpu(first_gpu, "constant:100");
    gpu.name = name;
    gpu.architecture = architecture;
    NvmlRig rig({gpu});
    rig.probe();
    EXPECT_EQ(rig.channel(average_power)->averaging_window, milliseconds(1000)) << name;
    EXPECT_EQ(rig.channel(instant_power)->averaging_window, milliseconds(window)) << name;
    EXPECT_EQ(rig.channel(instant_power)->update_period, milliseconds(period)) << name;
  }
}

TEST(Nvml, AnOlderDriversOnePowerFunctionIsAnAverageFromAmpereOnExceptGa100) {
  struct Case {
    const char* name;
    unsigned architecture;
    std::string channel;
  };
  for (const auto& [name, architecture, expected] : {Case{"Tesla V100-SXM2-16GB", nvml::arch_volta, instant_power},
                                                     Case{"Tesla T4", nvml::arch_turing, instant_power},
                                                     Case{"NVIDIA A100-PCIE-40GB", nvml::arch_ampere, instant_power},
                                                     Case{"NVIDIA A10", nvml::arch_ampere, average_power},
                                                     Case{"NVIDIA H100 PCIe", nvml::arch_hopper, average_power}}) {
    auto gpu = NvmlRig::gpu(first_gpu, "constant:100");
    gpu.name = name;
    gpu.architecture = architecture;
    NvmlRig rig({gpu});
    rig.table = std::make_unique<LibraryTable>(rig.nvml->table());
    rig.table->functions.erase("nvmlDeviceGetFieldValues");
    rig.probe();
    const auto readings = rig.read();
    EXPECT_TRUE(readings.contains(expected)) << name;
    EXPECT_FALSE(readings.contains(expected == average_power ? instant_power : average_power)) << name;
  }
}

TEST(Nvml, BeforeVoltaThereIsNoCounterAndTheJoulesAreSaidToBeIntegrated) {
  auto gpu = NvmlRig::gpu(first_gpu, "constant:100");
  gpu.architecture = nvml::arch_pascal;
  gpu.counts_energy = false;
  gpu.average.reset();
  NvmlRig rig({gpu});
  rig.probe();
  EXPECT_EQ(rig.channel(gpu_energy), nullptr);
  ASSERT_NE(rig.channel(instant_power), nullptr);
  EXPECT_EQ(rig.whole_of(instant_power), "");
  EXPECT_THAT(rig.notes(), HasSubstr("gpu-0: counts no energy (before Volta): joules are integrated from its power"));
}

TEST(Nvml, ValuesThatStandForNothingAreGapsAndNeverNumbers) {
  auto gpu = NvmlRig::gpu(first_gpu, "constant:100");
  NvmlRig rig({gpu});
  rig.probe();  // while all is well
  auto good = rig.read();
  EXPECT_EQ(good.at(gpu_energy).quality, Quality::ok);
  gpu.blank = {"energy", "power", "temperature", "memory", "utilization", "clock"};
  NvmlRig other({gpu});
  other.probe();
  for (const auto& [name, reading] : other.read())
    if (reading.quality != Quality::gap) {
      EXPECT_THAT(name, Not(HasSubstr("energy")));
      EXPECT_THAT(name, Not(HasSubstr("power-average")));
      EXPECT_THAT(name, Not(HasSubstr("temperature")));
    }
  EXPECT_THAT(other.notes(), HasSubstr("temperature (the driver answers with the value that stands for nothing)"));
  EXPECT_THAT(other.notes(), HasSubstr("gpu-0: gives neither energy nor power"));
}

TEST(Nvml, ALostGpuIsAGapWithItsReasonAndCountsFromZeroWhenItIsBack) {
  NvmlRig rig({NvmlRig::gpu(first_gpu, "constant:100"), NvmlRig::gpu(second_gpu, "constant:200")});
  rig.nvml->set_fault({SimulatedNvmlFault::Kind::lost, milliseconds(20'000), milliseconds(10'000), 0});
  rig.probe();
  const auto before = rig.read_at(15);
  EXPECT_EQ(rig.complaints(), "");
  const auto lost = rig.read_at(21);
  EXPECT_EQ(lost.at(gpu_energy).quality, Quality::gap);
  EXPECT_EQ(lost.at("nvml.GPU-8f1c2d3e.temperature").quality, Quality::gap);
  EXPECT_EQ(lost.at("nvml.GPU-70b1c2d3.energy").quality, Quality::ok);  // the other goes on
  EXPECT_THAT(rig.complaints(), HasSubstr("gpu-0: the GPU is lost: it fell off the bus"));
  EXPECT_EQ(rig.complaints(), "");  // said once
  for (double s = 22; s < 30; s += 0.5) EXPECT_EQ(rig.read_at(s).at(gpu_energy).quality, Quality::gap);
  std::map<std::string, Reading> back;
  for (double s = 30; s < 40; s += 0.5) back = rig.read_at(s);
  EXPECT_EQ(back.at(gpu_energy).quality, Quality::ok);
  EXPECT_LT(back.at(gpu_energy).raw, before.at(gpu_energy).raw);  // so that it is seen as a reset, not as 2^64 mJ
  EXPECT_THAT(rig.events(), testing::Contains(HasSubstr("sensor-back nvml.GPU-8f1c2d3e gpu-0 answers again")));
}

TEST(Nvml, ADriverThatIsLoadedAgainIsInitialisedAnewAndEveryGpuIsFoundByItsUuid) {
  NvmlRig rig({NvmlRig::gpu(first_gpu, "constant:100"), NvmlRig::gpu(second_gpu, "constant:200")});
  rig.nvml->set_fault({SimulatedNvmlFault::Kind::driver, milliseconds(20'000), milliseconds(5'000), {}});
  rig.probe();
  rig.read_at(19);
  EXPECT_EQ(rig.read_at(21).at(gpu_energy).quality, Quality::gap);
  EXPECT_THAT(rig.complaints(), HasSubstr("the NVIDIA driver is not loaded"));
  std::map<std::string, Reading> back;
  for (double s = 22; s < 40; s += 0.5) back = rig.read_at(s);
  for (const auto& [name, reading] : back) EXPECT_EQ(reading.quality, Quality::ok) << name;
  EXPECT_NEAR(static_cast<double>(back.at("nvml.GPU-70b1c2d3.energy").raw), 14.5e3 * 200, 0.2e3 * 200);
}

TEST(Nvml, AnErrorOfOneCallIsAGapOfItsChannelAndLosesNoGpu) {
  NvmlRig rig({NvmlRig::gpu(first_gpu, "constant:100")});
  rig.nvml->set_fault({SimulatedNvmlFault::Kind::error, milliseconds(20'000), milliseconds(1'000), {}});
  rig.probe();
  const auto before = rig.read_at(19);
  EXPECT_EQ(rig.read_at(20.5).at(gpu_energy).quality, Quality::gap);
  EXPECT_THAT(rig.complaints(), HasSubstr(gpu_energy + ": gpu-0: energy counter: the library answers with error 999"));
  const auto after = rig.read_at(21.5);
  EXPECT_EQ(after.at(gpu_energy).raw - before.at(gpu_energy).raw, 250'000);  // 2.5 s × 100 W: it went on counting
}

TEST(Nvml, WhatAnOlderLibraryLacksIsNamedAndTheRestIsRead) {
  NvmlRig rig({NvmlRig::gpu(first_gpu, "constant:100")});
  rig.table = std::make_unique<LibraryTable>(rig.nvml->table());
  for (const char* name : {"nvmlDeviceGetArchitecture", "nvmlDeviceGetTemperature", "nvmlDeviceGetMigMode",
                           "nvmlDeviceGetC2cModeInfoV", "nvmlDeviceGetCurrentClocksEventReasons"})
    rig.table->functions.erase(name);
  rig.probe();
  EXPECT_EQ(rig.read().at(gpu_energy).quality, Quality::ok);
  EXPECT_THAT(rig.notes(), HasSubstr("temperature (this driver's library is too old to have it)"));
}

TEST(Nvml, MigInstancesHaveMemoryOfTheirOwnAndNoEnergyAndThatIsSaid) {
  auto gpu = NvmlRig::gpu(first_gpu, "constant:100");
  gpu.instances = {"MIG-1111", "MIG-2222"};
  NvmlRig rig({gpu});
  rig.probe();
  ASSERT_NE(rig.channel("nvml.GPU-8f1c2d3e.mig-1.memory"), nullptr);
  EXPECT_EQ(rig.channel("nvml.GPU-8f1c2d3e.mig-1.memory")->device, "MIG-2222");
  EXPECT_EQ(rig.read().at("nvml.GPU-8f1c2d3e.mig-1.memory").raw, 1LL << 29);
  EXPECT_THAT(rig.notes(),
              HasSubstr("MIG is on: energy is the whole GPU's and cannot be divided among its 2 instances"));
}

TEST(Nvml, OfASuperchipTheGpuLiesInsideItsModuleAndTheTwoAreNeverAdded) {
  auto gpu = NvmlRig::gpu(first_gpu, "constant:300");
  gpu.name = "NVIDIA GH200 480GB";
  gpu.module = PowerCurve::parse("constant:450").value();
  NvmlRig rig({gpu});
  rig.probe();
  const std::string module = "nvml.GPU-8f1c2d3e.module-power-average";
  ASSERT_NE(rig.channel(module), nullptr);
  EXPECT_EQ(rig.channel(module)->domain, "gpu-module-0");
  EXPECT_EQ(rig.whole_of(gpu_energy), module);
  EXPECT_EQ(rig.whole_of(module), "");
  EXPECT_EQ(rig.read().at(module).raw, 450'000);
  EXPECT_THAT(rig.notes(), HasSubstr("is part of a module, whose power holds the processor and its memory, too"));
}

TEST(Nvml, ADriverThatOverlooksTheScopeMakesNoModuleOfAnOrdinaryGpu) {
  auto gpu = NvmlRig::gpu(first_gpu, "constant:300");
  NvmlRig rig({gpu});
  rig.probe();
  for (const Channel& channel : rig.channels) EXPECT_THAT(channel.name, Not(HasSubstr("module")));
}

TEST(Nvml, ACallThatCostsMuchIsMadeOnceASecondAndTheOthersAsOftenAsTheirCostAllows) {
  NvmlRig rig({NvmlRig::gpu(first_gpu, "constant:100")});
  rig.nvml->before_calls([&](std::string_view function) {
    if (function == "fields") rig.machine.advance(Duration{4'500'000});
    if (function == "energy") rig.machine.advance(Duration{400'000});
  });
  rig.probe();
  for (Sensor* sensor : rig.sensors)
    for (const Channel& channel : sensor->channels()) {
      EXPECT_EQ(sensor->lane(), LaneKind::blocking);  // a call may wait for the driver's lock
      if (channel.name == gpu_energy) {
        EXPECT_EQ(sensor->pace(), milliseconds(40));  // 100 times its cost
      } else {
        EXPECT_EQ(sensor->pace(), milliseconds(1000)) << channel.name;
      }
    }
  EXPECT_THAT(rig.notes(), HasSubstr("costly to ask, read once a second: average and instant power (fields) 4.5 ms"));
}

TEST(Nvml, WhatIsMissingSaysWhatItTakes) {
  SimulatedMachine none;
  const auto absent = make_nvml(none, {});
  ASSERT_EQ(absent.unavailable.size(), 1U);
  EXPECT_EQ(absent.unavailable[0].reason, "libnvidia-ml.so.1 is not there");
  EXPECT_THAT(absent.unavailable[0].remedy, HasSubstr("install the NVIDIA driver"));
  NvmlRig rig({});
  rig.probe();
  EXPECT_THAT(rig.notes(), HasSubstr("the NVIDIA driver is loaded and sees no GPU"));
  NvmlRig unloaded({NvmlRig::gpu(first_gpu, "constant:1")});
  unloaded.nvml->set_fault({SimulatedNvmlFault::Kind::driver, {}, {}, {}});
  unloaded.probe();
  EXPECT_THAT(unloaded.notes(), HasSubstr("libnvidia-ml.so.1: the NVIDIA driver is not loaded"));
  EXPECT_EQ(unloaded.found.sensor, nullptr);
}

// Of any library in place of the vendor's: what it wrote where it was asked to, and what it left.
struct Rubbish {
  std::uint64_t seed = 0, calls = 0;
  std::uint64_t next() { return mixed_hash(seed, ++calls); }
  int status() { return next() % 3 == 0 ? 0 : static_cast<int>(next() % 1100) - 50; }
};
Rubbish& rubbish_of(void* object) { return *static_cast<Rubbish*>(object); }
template <class T>
int fill(void* object, nvml::Device, T* out) {
  auto* bytes = reinterpret_cast<unsigned char*>(out);
  for (std::size_t i = 0; i < sizeof *out; ++i) bytes[i] = static_cast<unsigned char>(rubbish_of(object).next());
  return rubbish_of(object).status();
}
int fill_text(void* object, nvml::Device, char* text, unsigned size) {
  for (unsigned i = 0; i < size; ++i) text[i] = static_cast<char>(rubbish_of(object).next() | 1);  // and no end
  return rubbish_of(object).status();
}

TEST(Nvml, ALibraryThatAnswersRubbishToEveryCallCrashesNothingAndGivesNoImpossibleValue) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SimulatedMachine machine;
    LibraryTable table{std::make_shared<Rubbish>(Rubbish{seed})};
    table.add("nvmlInit_v2", +[](void*) { return 0; });
    table.add("nvmlShutdown", +[](void* o) { return rubbish_of(o).status(); });
    table.add(
        "nvmlDeviceGetCount_v2", +[](void* o, unsigned* n) {
          *n = static_cast<unsigned>(rubbish_of(o).next());
          return 0;
        });
    table.add(
        "nvmlDeviceGetHandleByIndex_v2", +[](void* o, unsigned, nvml::Device* d) {
          *d = reinterpret_cast<nvml::Device>(rubbish_of(o).next());
          return rubbish_of(o).status();
        });
    table.add("nvmlDeviceGetHandleByUUID", +[](void* o, const char*, nvml::Device*) { return rubbish_of(o).status(); });
    for (const char* name : {"nvmlDeviceGetUUID", "nvmlDeviceGetName"}) table.add(name, fill_text);
    table.add("nvmlDeviceGetPciInfo_v3", fill<nvml::PciInfo>);
    for (const char* name :
         {"nvmlDeviceGetArchitecture", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetEnforcedPowerLimit",
          "nvmlDeviceGetCurrPcieLinkGeneration", "nvmlDeviceGetCurrPcieLinkWidth", "nvmlDeviceGetPcieReplayCounter",
          "nvmlDeviceGetFanSpeed", "nvmlDeviceGetMaxMigDeviceCount"})
      table.add(name, fill<unsigned>);
    table.add("nvmlDeviceGetTotalEnergyConsumption", fill<unsigned long long>);
    table.add("nvmlDeviceGetCurrentClocksEventReasons", fill<unsigned long long>);
    table.add("nvmlDeviceGetUtilizationRates", fill<nvml::Utilization>);
    table.add("nvmlDeviceGetMemoryInfo", fill<nvml::Memory>);
    table.add("nvmlDeviceGetC2cModeInfoV", fill<nvml::C2cMode>);
    table.add(
        "nvmlDeviceGetFieldValues", +[](void* o, nvml::Device d, int n, nvml::FieldValue* values) {
          for (int i = 0; i < n; ++i) (void)fill(o, d, &values[i]);
          for (int i = 0; i < n; ++i) values[i].status = static_cast<int>(rubbish_of(o).next() % 2);
          return 0;
        });
    table.add(
        "nvmlDeviceGetViolationStatus",
        +[](void* o, nvml::Device d, int, nvml::ViolationTime* out) { return fill(o, d, out); });
    for (const char* name : {"nvmlDeviceGetClockInfo", "nvmlDeviceGetTemperature", "nvmlDeviceGetPcieThroughput"})
      table.add(name, +[](void* o, nvml::Device d, int, unsigned* out) { return fill(o, d, out); });
    for (const char* name : {"nvmlDeviceGetPowerManagementLimitConstraints", "nvmlDeviceGetMigMode"})
      table.add(name, +[](void* o, nvml::Device d, unsigned* a, unsigned* b) { return fill(o, d, a), fill(o, d, b); });
    table.add(
        "nvmlDeviceGetMigDeviceHandleByIndex", +[](void* o, nvml::Device, unsigned, nvml::Device* d) {
          *d = reinterpret_cast<nvml::Device>(rubbish_of(o).next());
          return rubbish_of(o).status();
        });
    machine.set_library("libnvidia-ml.so.1", table);
    const Probe probe = make_nvml(machine, {});
    EXPECT_TRUE(probe.sensor || !probe.unavailable.empty()) << seed;
    std::vector<Sensor*> sensors;
    if (probe.sensor) sensors.push_back(probe.sensor.get());
    for (const auto& one : probe.more) sensors.push_back(one.get());
    for (Sensor* sensor : sensors) {
      std::vector<Reading> readings(sensor->channels().size());
      for (int tick = 0; tick < 5; ++tick) {
        machine.advance(milliseconds(700));
        sensor->read(readings);
        (void)sensor->changes();
        (void)sensor->complaints();
        for (std::size_t i = 0; i < readings.size(); ++i) {
          if (readings[i].quality == Quality::gap) continue;
          const Channel& channel = sensor->channels()[i];
          EXPECT_GE(readings[i].raw, 0) << channel.name;
          const auto most = channel.measure == Measure::temperature ? 250 : INT64_MAX;
          EXPECT_LE(readings[i].raw, channel.measure == Measure::power ? 100'000'000 : most) << channel.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace prony
