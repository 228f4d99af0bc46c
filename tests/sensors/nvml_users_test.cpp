#include "sensors/nvml_users.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nvml_rig.hpp"

namespace prony {
namespace {

constexpr const char* uuid = "GPU-8f1c2d3e-0000-4000-8000-000000000001";

struct Users {
  explicit Users(SimulatedGpu gpu) : rig({std::move(gpu)}) {
    rig.machine.set_library("libnvidia-ml.so.1", rig.nvml->table());
    auto library = NvmlLibrary::open(rig.machine);
    std::vector<Unavailable> missing;
    users = std::make_unique<NvmlUsers>(rig.machine, find_nvml_gpus(rig.machine, *library, missing).at(0));
  }
  std::int64_t used_ms(std::int64_t pid) const {
    for (const DeviceUse& use : seen)
      if (use.pid == pid) return use.used_ns / 1'000'000;
    return 0;
  }
  void look_at(double s) {
    rig.machine.set_now(Instant{static_cast<std::int64_t>(s * 1e9)});
    ASSERT_TRUE(users->look(seen));
    for (const DeviceUse& use : seen) sums[use.pid] += use.used_ns;
  }
  NvmlRig rig;
  std::unique_ptr<NvmlUsers> users;
  std::vector<DeviceUse> seen;
  std::map<std::int64_t, std::int64_t> sums;
};

SimulatedGpu used_by(std::function<std::vector<SimulatedGpuUse>(Duration)> processes) {
  auto gpu = NvmlRig::gpu(uuid, "constant:200");
  gpu.processes = std::move(processes);
  return gpu;
}

// Kills: shares added up without the time they stand for, a first look that counts what was before it.
TEST(NvmlUsers, ShareTimesTimeIsHowLongEachUsedTheGpuFromTheFirstLookOn) {
  Users users(used_by([](Duration) {
    return std::vector<SimulatedGpuUse>{
        {100, 0.6, 1 << 20, 0xffffffff}, {200, 0.2, 2 << 20, 0xffffffff}, {300, 0, 3 << 20, 0xffffffff}};
  }));
  EXPECT_EQ(users.users->why_not(), "");
  users.look_at(10);
  EXPECT_EQ(users.sums[100], 0);
  for (double s = 10.7; s < 20.01; s += 0.93) users.look_at(s);
  // Samples are 200 ms apart: up to one is not there yet.
  EXPECT_NEAR(static_cast<double>(users.sums[100]) * 1e-9, 0.6 * 10, 0.6 * 0.8);
  EXPECT_NEAR(static_cast<double>(users.sums[200]) / static_cast<double>(users.sums[100]), 1.0 / 3, 1e-9);
  EXPECT_EQ(users.sums[300], 0);  // it holds memory and uses nothing
  ASSERT_EQ(users.seen.size(), 3U);
  EXPECT_TRUE(users.seen[2].holds);
  EXPECT_EQ(users.seen[2].memory_bytes, 3U << 20);
}

// Kills: the time since the last sample, however long ago, charged to whoever comes first after a pause.
TEST(NvmlUsers, WhoeverComesAfterAPauseIsNotChargedForThePause) {
  Users users(used_by([](Duration t) {
    return t < milliseconds(12'000) || t > milliseconds(60'000)
               ? std::vector<SimulatedGpuUse>{{100, 1.0, 0, 0xffffffff}}
               : std::vector<SimulatedGpuUse>{};
  }));
  for (double s = 10; s <= 70; s += 1) users.look_at(s);
  EXPECT_NEAR(static_cast<double>(users.sums[100]) * 1e-9, 12, 1.3);
}

// Kills: a sum over pids that a buffer cut off.
TEST(NvmlUsers, MoreSamplesThanThereIsRoomForAreAskedForAgain) {
  Users users(used_by([](Duration) {
    std::vector<SimulatedGpuUse> many;
    for (std::int64_t pid = 1; pid <= 300; ++pid) many.push_back({pid, 0.5, 0, 0xffffffff});
    return many;
  }));
  users.look_at(10);
  users.look_at(11);
  EXPECT_EQ(users.seen.size(), 300U);
  EXPECT_EQ(users.used_ms(300), users.used_ms(1));
}

// Kills: a wild time that is taken for the newest, after which no sample is new and use stands still.
TEST(NvmlUsers, RubbishAmongTheSamplesCostsNobodyAndHidesNothing) {
  Users users(used_by([](Duration) { return std::vector<SimulatedGpuUse>{{100, 0.5, 0, 0xffffffff}}; }));
  struct Wild {
    LibraryFunction<int(nvml::Device, nvml::ProcessSample*, unsigned*, unsigned long long)> honest;
    unsigned calls = 0;
  };
  auto table = users.rig.nvml->table();
  auto nvml = table.object;
  auto wild = std::make_shared<Wild>();
  wild->honest = decltype(wild->honest)({table.functions.at("nvmlDeviceGetProcessUtilization"), nvml.get()});
  // Every third answer begins with a time of thirty years ahead.
  int (*answer)(void*, nvml::Device, nvml::ProcessSample*, unsigned*, unsigned long long) =
      [](void* object, nvml::Device device, nvml::ProcessSample* out, unsigned* size, unsigned long long last) {
        auto& self = *static_cast<Wild*>(object);
        const int status = self.honest(device, out, size, last);
        if (status == 0 && *size > 0 && ++self.calls % 3 == 0) out[0].time_us += 1'000'000'000'000'000ULL;
        return status;
      };
  const decltype(wild->honest) function({reinterpret_cast<void (*)()>(answer), wild.get()});
  auto library = NvmlLibrary::open(users.rig.machine);
  (*library)->process_use = function;
  std::vector<Unavailable> missing;
  users.users =
      std::make_unique<NvmlUsers>(users.rig.machine, find_nvml_gpus(users.rig.machine, *library, missing).at(0));
  for (double s = 10; s <= 40; s += 1) users.look_at(s);
  EXPECT_GT(wild->calls, 20U);
  EXPECT_NEAR(static_cast<double>(users.sums[100]) * 1e-9, 15, 2);
}

TEST(NvmlUsers, AGpuThatIsDividedOrADriverThatDoesNotTellIsAReasonAndNoGuess) {
  auto divided = used_by({});
  divided.instances = {"MIG-1"};
  EXPECT_THAT(Users(divided).users->why_not(), testing::HasSubstr("MIG is on"));
  auto silent = used_by({});
  silent.process_use = false;
  Users users(silent);
  EXPECT_EQ(users.users->why_not(), "this GPU or driver does not give it");
  EXPECT_FALSE(users.users->look(users.seen));
}

}  // namespace
}  // namespace prony
