// Who used a graphics processor, out of a scripted /proc with two programs whose use is known.
#include "process/drm_users.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/simulated.hpp"
#include "process/device_use.hpp"

namespace prony {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
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

struct CardsRig {
  GuardedMachine machine;
  CardsRig() { machine.set_now({1'000'000'000}); }

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

// The way to what a Run records: every card's users, and whose they are.
struct Use {
  std::vector<std::unique_ptr<DeviceUsers>> users;
  std::vector<Unavailable> unavailable;
  std::unique_ptr<DeviceUseByTarget> sensor;

  // 100 and 101 are the command's, 200 is a server's.
  explicit Use(CardsRig& rig, const std::string& domain = "amdgpu", std::vector<DrmDomain> cards = {}) {
    if (cards.empty()) cards = {{card, domain}};
    users = make_drm_users(rig.machine, cards);
    std::vector<DeviceUsers*> devices;
    for (const auto& each : users) devices.push_back(each.get());
    DeviceUseOptions options;
    options.targets = {"command", "server"};
    options.own_pid = 1;
    options.target_of = [](std::int64_t pid) -> std::optional<std::size_t> {
      if (pid == 100 || pid == 101) return 0;
      return pid == 200 ? std::optional<std::size_t>(1) : std::nullopt;
    };
    sensor = DeviceUseByTarget::create(rig.machine, devices, std::move(options), unavailable);
  }
  // What a look tells of use, in ns; memory apart.
  std::vector<std::string> look(bool memory = false) {
    std::vector<Reading> readings(sensor->channels().size());
    sensor->read(readings);
    std::vector<std::string> words;
    for (std::size_t i = 0; i < readings.size(); ++i) {
      const Channel& channel = sensor->channels()[i];
      if (channel.scope == Scope::prony || (channel.measure == Measure::memory) != memory) continue;
      words.push_back(channel.name + "=" +
                      (readings[i].quality == Quality::ok ? std::to_string(readings[i].raw) : "gap"));
    }
    return words;
  }
};

// Kills: a client that two descriptors and two processes show counted four times; the use of a child in nobody's row;
// what was used before the recording; memory of the same client twice.
TEST(DrmUse, TwoProgramsOfKnownUseAreToldApartAndAClientCountsOnce) {
  CardsRig rig;
  rig.process(100, 1);
  rig.process(101, 100);  // child of the command
  rig.process(200, 1);
  rig.client(101, 5, 1, CardsRig::gfx(7'000));
  rig.client(200, 4, 2, CardsRig::gfx(500));
  Use use(rig);
  EXPECT_THAT(use.look(), ElementsAre("use.amdgpu=0", "target.amdgpu.use=0", "target.server.amdgpu.use=0"));
  rig.client(101, 5, 1, CardsRig::gfx(10'000) + "drm-memory-vram: 4 KiB\n");
  rig.client(101, 6, 1, CardsRig::gfx(10'000) + "drm-memory-vram: 4 KiB\n");  // a copy of the same descriptor
  rig.client(100, 9, 1, CardsRig::gfx(10'000) + "drm-memory-vram: 4 KiB\n");  // and one that was handed to the parent
  rig.client(200, 4, 2, CardsRig::gfx(1'500));
  rig.process(300, 1);
  rig.client(300, 3, 3, CardsRig::gfx(40));  // somebody else, who came later
  rig.machine.advance(milliseconds(1'000));
  EXPECT_THAT(use.look(), ElementsAre("use.amdgpu=4040", "target.amdgpu.use=3000", "target.server.amdgpu.use=1000"));
  EXPECT_THAT(use.look(true), ElementsAre("target.amdgpu.memory=4096", "target.server.amdgpu.memory=0"));
  EXPECT_THAT(use.unavailable, IsEmpty());
}

// Kills: a counter that steps back when a client has gone, or comes again with the same number.
TEST(DrmUse, AClientThatEndsKeepsWhatItUsedAndItsNumberMayComeAgain) {
  CardsRig rig;
  rig.process(100, 1);
  rig.client(100, 5, 1, CardsRig::gfx(1'000));
  Use use(rig);
  (void)use.look();
  rig.client(100, 5, 1, CardsRig::gfx(3'000));
  (void)use.look();
  rig.machine.remove("/proc/100/fd/5");
  rig.machine.remove("/proc/100/fdinfo/5");
  EXPECT_THAT(use.look(), Contains("target.amdgpu.use=2000"));
  for (int look = 0; look < 6; ++look) (void)use.look();
  rig.client(100, 7, 1, CardsRig::gfx(50));
  for (int look = 0; look < 6; ++look) (void)use.look();  // it was resting: it had no client
  EXPECT_THAT(use.look(), ElementsAre("use.amdgpu=2050", "target.amdgpu.use=2050", "target.server.amdgpu.use=0"));
}

// Kills: what one may see sold as all that there is, so that the visible program pays for everybody.
TEST(DrmUse, WhereOthersDescriptorsMayNotBeReadNothingIsToldAndTheReasonIs) {
  CardsRig rig;
  rig.process(100, 1);
  rig.process(200, 1);
  rig.client(100, 5, 1, CardsRig::gfx(1'000));
  rig.machine.closed = "/proc/200/fd";
  const Use use(rig);
  EXPECT_EQ(use.sensor, nullptr);
  ASSERT_EQ(use.unavailable.size(), 1u);
  EXPECT_THAT(use.unavailable[0].reason, AllOf(HasSubstr("not separable"), HasSubstr("root")));
}

// The same, of somebody who comes later: from then on for good, for the sum lacks what that one used.
TEST(DrmUse, OnceADescriptorWasClosedTheUseStaysAGap) {
  CardsRig rig;
  rig.process(100, 1);
  rig.client(100, 5, 1, CardsRig::gfx(1'000));
  Use use(rig);
  EXPECT_THAT(use.look(), Contains("use.amdgpu=0"));
  rig.process(300, 1);
  rig.machine.closed = "/proc/300/fd";
  EXPECT_THAT(use.look(), Contains("use.amdgpu=gap"));
  rig.machine.closed.clear();
  EXPECT_THAT(use.look(), Contains("use.amdgpu=gap"));
}

TEST(DrmUse, CyclesOfXeAreTimeByTheEnginesOwnCyclesInTheSameStretch) {
  CardsRig rig;
  rig.process(100, 1);
  rig.client(100, 5, 1, "drm-cycles-rcs: 100\ndrm-total-cycles-rcs: 1000\n");
  Use use(rig, "xe");
  (void)use.look();
  rig.machine.advance(milliseconds(1'000));
  rig.client(100, 5, 1, "drm-cycles-rcs: 350\ndrm-total-cycles-rcs: 2000\n");
  EXPECT_THAT(use.look(), ElementsAre("use.xe=250000000", "target.xe.use=250000000", "target.server.xe.use=0"));
}

TEST(DrmUse, ACardWhoseEnergyIsNotMeasuredIsNotFollowed) {
  CardsRig rig;
  rig.process(100, 1);
  Use use(rig);
  (void)use.look();
  rig.client(100, 5, 1, CardsRig::gfx(1'000), "0000:c4:00.0");
  EXPECT_THAT(use.look(), Contains("use.amdgpu=0"));
}

// Kills: cards that share a walk, of which the second sees nothing, or the first's use, or the same use twice.
TEST(DrmUse, TwoCardsShareOneWalkAndEachIsToldItsOwnOnce) {
  CardsRig rig;
  rig.process(100, 1);
  rig.process(200, 1);
  rig.client(100, 5, 1, CardsRig::gfx(1'000));
  rig.client(200, 5, 2, CardsRig::gfx(9'000), "0000:c4:00.0");
  Use use(rig, "", {{card, "amdgpu-0"}, {"0000:c4:00.0", "amdgpu-1"}});
  (void)use.look();
  rig.client(100, 5, 1, CardsRig::gfx(1'300));
  rig.client(200, 5, 2, CardsRig::gfx(9'070), "0000:c4:00.0");
  rig.machine.advance(milliseconds(1'000));
  for (int look = 0; look < 3; ++look) {
    const auto told = use.look();
    EXPECT_THAT(told, Contains("use.amdgpu-0=300"));
    EXPECT_THAT(told, Contains("use.amdgpu-1=70"));
    EXPECT_THAT(told, Contains("target.server.amdgpu-1.use=70"));
  }
}

}  // namespace
}  // namespace prony
