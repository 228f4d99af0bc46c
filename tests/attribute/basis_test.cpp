// What splits a channel's energy, and why: the whole table of it.
#include "attribute/basis.hpp"

#include <gtest/gtest.h>

#include "office.hpp"

namespace prony::attribution {
namespace {

using rig::memory_gauge;
using rig::use_channel;

struct BasisBench {
  std::vector<Channel> channels;
  void add(Channel channel) {
    channel.id = ChannelId{static_cast<std::uint32_t>(channels.size() + 1)};
    channels.push_back(std::move(channel));
  }
  void add_for_all(Measure measure, const std::string& domain) {
    add(use_channel(Scope::host, "", measure, domain));
    for (const char* target : {"a", "b"}) add(use_channel(Scope::target, target, measure, domain));
  }
  [[nodiscard]] Basis of(const Channel& energy) const {
    std::vector<const Channel*> read;
    for (const Channel& channel : channels) read.push_back(&channel);
    const std::vector<std::string> targets{"a", "b"};
    return basis_of(energy, read, targets);
  }
};

Channel energy(const std::string& domain, std::optional<ChannelId> part_of = {}, const std::string& sensor = "rapl") {
  Channel channel = rig::energy_counter(1'000'000, sensor + "." + domain);
  channel.sensor = sensor;
  channel.domain = domain;
  channel.part_of = part_of;
  return channel;
}

// Kills: joules of a graphics processor shared out by CPU time; the rail of a disk or a fan taken for the processor's.
TEST(Basis, WhatADomainFeedsIsToldByTheWordsOfItsName) {
  const std::vector<std::pair<std::string, Feeds>> table{{"package-0", Feeds::processors},
                                                         {"core-0-die-1", Feeds::processors},
                                                         {"uncore", Feeds::processors},
                                                         {"psys", Feeds::processors},
                                                         {"dram-1", Feeds::memory},
                                                         {"DRAM", Feeds::memory},
                                                         {"amdgpu-PPT", Feeds::accelerator},
                                                         {"gpu-0", Feeds::accelerator},
                                                         {"ina3221-VDD_GPU_SOC", Feeds::accelerator},
                                                         {"ina3221@1-0041-CV", Feeds::accelerator},
                                                         {"i915-1", Feeds::accelerator},
                                                         {"xe-0-package", Feeds::accelerator},
                                                         {"ina3221@1-0040-VDD_CPU_CV", Feeds::processors},
                                                         {"ina3221@1-0041-VDDRQ", Feeds::memory},
                                                         {"ina3221-VDD_CPU_CV", Feeds::processors},
                                                         {"ina3221-VDD_IN", Feeds::processors},
                                                         {"VDD_CPU_GPU_CV", Feeds::accelerator},
                                                         {"nvme0", Feeds::device},
                                                         {"disk-sda", Feeds::device},
                                                         {"network-eth0", Feeds::device},
                                                         {"power_meter-power1", Feeds::processors},
                                                         {"hailo0", Feeds::accelerator},
                                                         {"", Feeds::processors}};
  for (const auto& [domain, feeds] : table) EXPECT_EQ(fed_by(energy(domain, {}, "hwmon")), feeds) << domain;
  EXPECT_EQ(fed_by(energy("supply-ucsi-usb-1", {}, "power_supply")), Feeds::processors) << "it feeds the whole machine";
}

struct Row {
  const char* what;
  std::string domain;
  Weight weight;
  std::string place, text;
};

// Kills: packages mixed up; a part that does not follow its package; the platform split by one package; a better
// weight that is not taken, or taken where one target lacks it.
TEST(Basis, EachDomainIsSplitByTheBestThatWasRecordedForEverybody) {
  BasisBench bench;
  bench.add(energy("psys"));
  bench.add(energy("package-0", ChannelId{1}));
  bench.add(energy("package-1", ChannelId{1}));
  bench.add_for_all(Measure::cpu_time, "");
  const auto check = [&](const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      const auto inside = row.domain == "core" ? std::optional(ChannelId{3}) : std::nullopt;
      const Basis basis = bench.of(energy(row.domain, inside));
      EXPECT_EQ(basis.weight, row.weight) << row.what << ": " << row.domain;
      EXPECT_EQ(basis.place, row.place) << row.what << ": " << row.domain;
      EXPECT_EQ(basis.text, row.text) << row.what << ": " << row.domain;
    }
  };
  const std::string gpu = "not separable: who used gpu-0 was not recorded, and shares of CPU time say nothing of it";
  check({{"time", "psys", Weight::cpu_time, "", "by CPU time"},
         {"time", "package-1", Weight::cpu_time, "", "by CPU time"},
         {"time", "dram-0", Weight::cpu_time, "", "by CPU time"},
         {"time", "gpu-0", Weight::none, "", gpu}});
  bench.add_for_all(Measure::cpu_time, "package-1");
  check({{"by package", "psys", Weight::cpu_time, "", "by CPU time"},
         {"by package", "package-1", Weight::cpu_time, "package-1", "by CPU time on package-1"},
         {"by package", "package-1-die-0", Weight::cpu_time, "package-1", "by CPU time on package-1"},
         {"by package", "core", Weight::cpu_time, "package-1", "by CPU time on package-1"},
         {"by package", "dram-1", Weight::cpu_time, "package-1", "by CPU time on package-1"},
         {"by package", "package-0", Weight::cpu_time, "", "by CPU time"},
         {"by package", "package-11", Weight::cpu_time, "", "by CPU time"}});
  bench.add_for_all(Measure::count, "cycles");
  check({{"cycles", "psys", Weight::cycles, "", "by CPU cycles"},
         {"cycles", "package-1", Weight::cpu_time, "package-1", "by CPU time on package-1"},
         {"cycles", "package-0", Weight::cycles, "", "by CPU cycles"}});
  bench.add_for_all(Measure::count, "cycles-package-1");
  check({{"cycles", "package-1", Weight::cycles, "package-1", "by CPU cycles on package-1"}});
  bench.add(memory_gauge(Scope::host, "memory.used"));
  bench.add(memory_gauge(Scope::target, "target.a.rss", "a"));
  check({{"memory of one", "dram-1", Weight::cycles, "package-1", "by CPU cycles on package-1"}});
  bench.add(memory_gauge(Scope::target, "target.b.rss", "b"));
  check({{"memory", "dram-1", Weight::resident, "", "by resident memory"},
         {"memory", "package-0", Weight::cycles, "", "by CPU cycles"}});
  bench.add_for_all(Measure::count, "llc-misses");
  check({{"misses", "dram-1", Weight::cache_misses, "", "by misses of the last-level cache"}});
  bench.add(use_channel(Scope::target, "a", Measure::time, "gpu-0"));
  bench.add(use_channel(Scope::host, "", Measure::time, "gpu-0"));
  check({{"use of one", "gpu-0", Weight::none, "", gpu}});
  bench.add(use_channel(Scope::target, "b", Measure::time, "gpu-0"));
  check({{"use", "gpu-0", Weight::device_use, "gpu-0", "by use of gpu-0"}});
}

// Kills: power shown beside a GPU's counter that is said to be nobody's; a part of another device split by this one's
// use.
TEST(Basis, AFurtherViewOfADeviceIsSplitByTheUseOfThatDeviceAndNoOther) {
  BasisBench bench;
  bench.add_for_all(Measure::cpu_time, "cpu");
  for (const char* target : {"a", "b"}) bench.add(use_channel(Scope::target, target, Measure::time, "gpu-0"));
  bench.add(use_channel(Scope::host, "", Measure::time, "gpu-0"));
  Channel counter = energy("gpu-0");
  counter.device = "GPU-1";
  bench.add(counter);
  Channel view = energy("gpu-0-average", bench.channels.back().id);
  view.device = "GPU-1";
  EXPECT_EQ(bench.of(view).text, "by use of gpu-0");
  view.device = "GPU-2";
  EXPECT_EQ(bench.of(view).weight, Weight::none);
}

// Kills: a package's busy time taken for the machine's because it comes first.
TEST(Basis, APackagesTimeIsNotTheMachines) {
  BasisBench bench;
  bench.add_for_all(Measure::cpu_time, "package-0");
  bench.add_for_all(Measure::cpu_time, "cpu");
  const Basis basis = bench.of(energy("psys"));
  ASSERT_NE(basis.host, nullptr);
  EXPECT_EQ(basis.host->domain, "cpu");
  EXPECT_EQ(basis.targets[0]->domain, "cpu");
}

// Kills: falling back in silence.
TEST(Basis, WherePackageTimeOfATargetIsMissingTheWholeMachinesIsTakenAndItIsSaid) {
  BasisBench bench;
  bench.add_for_all(Measure::cpu_time, "");
  bench.add(use_channel(Scope::host, "", Measure::cpu_time, "package-0"));
  bench.add(use_channel(Scope::target, "a", Measure::cpu_time, "package-0"));
  const Basis basis = bench.of(energy("package-0"));
  EXPECT_EQ(basis.place, "");
  EXPECT_EQ(basis.text, "by CPU time on the whole machine (that of each target on package-0 was not recorded)");
}

// Kills: a better weight that was refused, and nobody is told why it was not taken.
TEST(Basis, WhatWasRefusedIsNamedInThePlaceOfWhatItWouldHaveSplit) {
  BasisBench bench;
  bench.add_for_all(Measure::cpu_time, "");
  std::vector<const Channel*> read;
  for (const Channel& channel : bench.channels) read.push_back(&channel);
  const Channel cycles = use_channel(Scope::target, "b", Measure::count, "cycles");
  const std::vector<Refused> refused{{&cycles, "those of b were not counted all the time"}};
  const std::vector<std::string> targets{"a", "b"};
  const Basis basis = basis_of(energy("package-0"), read, targets, refused);
  EXPECT_EQ(basis.weight, Weight::cpu_time);
  EXPECT_EQ(basis.text, "by CPU time (not by CPU cycles: those of b were not counted all the time)");
  EXPECT_EQ(basis_of(energy("gpu-0"), read, targets, refused).instead_of, "");
}

}  // namespace
}  // namespace prony::attribution
