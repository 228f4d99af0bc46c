// The measured command's tree by package, on every rung: this machine's CPUs, told to be packages of their own.
#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>

#include "../support/emulated.hpp"
#include "../support/scratch.hpp"
#include "burner.hpp"
#include "process/process_tree.hpp"

namespace prony {
namespace {

using namespace testing_process;

// CPUs that this program may run on; each is package N in a /sys of the test's own.
std::vector<int> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE && cpus.size() < 2; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

void write_sysfs(const std::string& folder, const std::vector<int>& cpus) {
  const std::string top = folder + "/devices/system/cpu/";
  std::filesystem::create_directories(top);
  std::ofstream(top + "online") << cpus[0] << "," << cpus[1] << "\n";
  for (std::size_t i = 0; i < cpus.size(); ++i) {
    const std::string topology = top + "cpu" + std::to_string(cpus[i]) + "/topology";
    std::filesystem::create_directories(topology);
    std::ofstream(topology + "/physical_package_id") << i << "\n";
  }
}

// Children inherit it.
class Pinned {
 public:
  explicit Pinned(int cpu) {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    works_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
  }
  ~Pinned() { ::sched_setaffinity(0, sizeof before_, &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  [[nodiscard]] bool works() const { return works_; }

 private:
  cpu_set_t before_;
  bool works_ = false;
};

class TreePackages : public testing::TestWithParam<TreeRung> {};

// Kills: a rung without packages; parts that do not add up to the tree's counter, or that step back; the wrong CPU.
TEST_P(TreePackages, ACommandThatStaysOnOneCpuIsChargedToItsPackage) {
  if (test::emulated()) GTEST_SKIP() << test::emulated_reason;
  const auto cpus = usable_cpus();
  if (cpus.size() < 2) GTEST_SKIP() << "this program may run on one CPU only";
  const ScratchFolder scratch("packages", 0777);
  write_sysfs(scratch.file("sys"), cpus);
  const auto machine = make_live_machine({scratch.file("sys"), "/proc"});
  auto tree = ProcessTree::create(*machine, GetParam());
  if (!tree) GTEST_SKIP() << to_string(GetParam()) << " does not work here: " << tree.error().what;
  ASSERT_EQ((*tree)->sensor().channels().size(), 4u);
  EXPECT_EQ((*tree)->sensor().channels()[3].name, "target.cpu.package-1");
  EXPECT_EQ((*tree)->sensor().channels()[3].domain, "package-1");
  auto options = burner("threads", scratch.file("truth"));
  (*tree)->prepare(options);
  std::optional<Child> child;
  {
    const Pinned pinned(cpus[1]);
    if (!pinned.works()) GTEST_SKIP() << "this program may not choose its CPU";
    auto spawned = spawn(options);
    ASSERT_TRUE(spawned) << spawned.error().what;
    child.emplace(std::move(*spawned));
  }
  (*tree)->attach(*child);
  std::array<Reading, 4> before{}, now{};
  const auto tick = [&] {
    (*tree)->sensor().read(now);
    EXPECT_EQ(now[2].raw + now[3].raw, now[0].raw);
    EXPECT_GE(now[2].raw, before[2].raw);
    EXPECT_GE(now[3].raw, before[3].raw);
    before = now;
  };
  tick();
  ASSERT_TRUE(child->release());
  for (std::optional<ExitStatus> status; !status;) {
    auto waited = child->wait(5'000'000);
    ASSERT_TRUE(waited) << waited.error().what;
    status = *waited;
    tick();
    if (status) [[maybe_unused]]
      const auto usage = (*tree)->finish(*status);
  }
  tick();
  ASSERT_GT(now[0].raw, 100'000'000);
  EXPECT_EQ(now[2].raw, 0);
}

INSTANTIATE_TEST_SUITE_P(All, TreePackages,
                         testing::Values(TreeRung::cgroup, TreeRung::exit_events, TreeRung::subreaper,
                                         TreeRung::polling),
                         [](const auto& rung) {
                           std::string name(to_string(rung.param));
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace prony
