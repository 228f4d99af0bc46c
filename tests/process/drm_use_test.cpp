// Who used a graphics processor, out of a scripted /proc with two programs whose use is known.
#include "process/drm_use.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/simulated.hpp"

namespace prony {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* card = "0000:03:00.0";

// Another user's descriptors.
class GuardedMachine final : public SimulatedMachine {
 public:
  std::string closed;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& directory) override {
    if (directory == closed) return fail(ErrorCode::denied, "cannot list: Permission denied", directory);
    return SimulatedMachine::list(directory);
  }
};

struct Rig {
  GuardedMachine machine;
  Rig() { machine.set_now({1'000'000'000}); }

  void process(int pid, int parent) {
    const auto n = std::to_string(pid);
    machine.set_file("/proc/" + n + "/stat",
                     n + " (x) R " + std::to_string(parent) + " 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 " + n + " 0 0\n");
    machine.set_link("/proc/" + n + "/fd/0", "/dev/null");
  }
  void client(int pid, int fd, int id, const std::string& engines, const char* device = card) {
    const auto n = std::to_string(pid), f = std::to_string(fd);
    machine.set_link("/proc/" + n + "/fd/" + f, "/dev/dri/renderD128");
    machine.set_file("/proc/" + n + "/fdinfo/" + f, "drm-driver: amdgpu\ndrm-pdev: " + std::string(device) +
                                                        "\ndrm-client-id: " + std::to_string(id) + "\n" + engines);
  }
  static std::string gfx(std::uint64_t ns) { return "drm-engine-gfx: " + std::to_string(ns) + " ns\n"; }
};

std::vector<std::string> told(DrmUse& use) {
  std::vector<Reading> readings(use.channels().size());
  use.read(readings);
  std::vector<std::string> words;
  for (std::size_t i = 0; i < readings.size(); ++i)
    words.push_back(use.channels()[i].name + "=" +
                    (readings[i].quality == Quality::ok ? std::to_string(readings[i].raw) : "gap"));
  return words;
}

// Kills: a client that two descriptors and two processes show counted four times; the use of a child in nobody's row;
// what was used before the recording.
TEST(DrmUse, TwoProgramsOfKnownUseAreToldApartAndAClientCountsOnce) {
  Rig rig;
  rig.process(100, 1);
  rig.process(101, 100);  // child of the command
  rig.process(200, 1);
  rig.client(101, 5, 1, Rig::gfx(7'000));
  rig.client(200, 4, 2, Rig::gfx(500));
  DrmUse use(rig.machine, {{card, "amdgpu"}}, {{"command", ""}, {"server", "--pid 200"}});
  use.follow_command(0, 100);
  use.set_members({{200, 1}});
  use.survey();
  EXPECT_THAT(told(use), ElementsAre("drm.amdgpu.time=0", "target.amdgpu.time=0", "target.server.amdgpu.time=0"));
  rig.client(101, 5, 1, Rig::gfx(10'000));
  rig.client(101, 6, 1, Rig::gfx(10'000));  // a copy of the same descriptor
  rig.client(100, 9, 1, Rig::gfx(10'000));  // and one that was handed to the parent
  rig.client(200, 4, 2, Rig::gfx(1'500));
  rig.process(300, 1);
  rig.client(300, 3, 3, Rig::gfx(40));  // somebody else, who came later
  rig.machine.advance(milliseconds(1'000));
  use.survey();
  EXPECT_THAT(told(use),
              ElementsAre("drm.amdgpu.time=4040", "target.amdgpu.time=3000", "target.server.amdgpu.time=1000"));
  EXPECT_THAT(use.unavailable(), IsEmpty());
  EXPECT_EQ(use.channels()[1].domain, "amdgpu");
  EXPECT_EQ(use.channels()[1].scope, Scope::target);
}

// Kills: a counter that steps back when a client has gone, or comes again with the same number.
TEST(DrmUse, AClientThatEndsKeepsWhatItUsedAndItsNumberMayComeAgain) {
  Rig rig;
  rig.process(100, 1);
  rig.client(100, 5, 1, Rig::gfx(1'000));
  DrmUse use(rig.machine, {{card, "amdgpu"}}, {{"command", ""}});
  use.follow_command(0, 100);
  use.survey();
  rig.client(100, 5, 1, Rig::gfx(3'000));
  use.survey();
  rig.machine.remove("/proc/100/fd/5");
  rig.machine.remove("/proc/100/fdinfo/5");
  use.survey();
  EXPECT_THAT(told(use), ElementsAre("drm.amdgpu.time=2000", "target.amdgpu.time=2000"));
  for (int look = 0; look < 6; ++look) use.survey();
  rig.client(100, 7, 1, Rig::gfx(50));
  for (int look = 0; look < 6; ++look) use.survey();  // it was resting: it had no client
  EXPECT_THAT(told(use), ElementsAre("drm.amdgpu.time=2050", "target.amdgpu.time=2050"));
}

// Kills: what one may see sold as all that there is, so that the visible program pays for everybody.
TEST(DrmUse, WhereOthersDescriptorsMayNotBeReadTheHostsUseIsAGapWithTheReason) {
  Rig rig;
  rig.process(100, 1);
  rig.process(200, 1);
  rig.client(100, 5, 1, Rig::gfx(1'000));
  rig.machine.closed = "/proc/200/fd";
  DrmUse use(rig.machine, {{card, "amdgpu"}}, {{"command", ""}});
  use.follow_command(0, 100);
  use.survey();
  EXPECT_THAT(told(use), ElementsAre("drm.amdgpu.time=gap", "target.amdgpu.time=0"));
  ASSERT_EQ(use.unavailable().size(), 1u);
  EXPECT_THAT(use.unavailable()[0].remedy, ::testing::HasSubstr("root"));
}

TEST(DrmUse, CyclesOfXeAreTimeByTheEnginesOwnCyclesInTheSameStretch) {
  Rig rig;
  rig.process(100, 1);
  rig.client(100, 5, 1, "drm-cycles-rcs: 100\ndrm-total-cycles-rcs: 1000\n");
  DrmUse use(rig.machine, {{card, "xe"}}, {{"command", ""}});
  use.follow_command(0, 100);
  use.survey();
  rig.machine.advance(milliseconds(1'000));
  rig.client(100, 5, 1, "drm-cycles-rcs: 350\ndrm-total-cycles-rcs: 2000\n");
  use.survey();
  EXPECT_THAT(told(use), ElementsAre("drm.xe.time=250000000", "target.xe.time=250000000"));
}

TEST(DrmUse, ACardWhoseEnergyIsNotMeasuredIsNotFollowed) {
  Rig rig;
  rig.process(100, 1);
  DrmUse use(rig.machine, {{card, "amdgpu"}}, {{"command", ""}});
  use.survey();
  rig.client(100, 5, 1, Rig::gfx(1'000), "0000:c4:00.0");
  use.survey();
  EXPECT_THAT(told(use), ElementsAre("drm.amdgpu.time=0", "target.amdgpu.time=0"));
}

}  // namespace
}  // namespace prony
