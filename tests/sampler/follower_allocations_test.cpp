// A look at processes that stay takes no memory: it runs beside what it measures, ten times a second.
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "allocations.hpp"
#include "machine/machine.hpp"
#include "process/follow.hpp"

namespace prony {
namespace {

// A machine of which only the list of processes, their clocks and two files are asked in the steady state.
class StillMachine final : public Machine {
 public:
  class Text final : public File {
   public:
    explicit Text(std::string text) : text_(std::move(text)) {}
    [[nodiscard]] std::int64_t read(std::span<char> buffer) noexcept override {
      return static_cast<std::int64_t>(text_.copy(buffer.data(), buffer.size()));
    }

   private:
    std::string text_;
  };
  [[nodiscard]] MachineKind kind() const noexcept override { return MachineKind::simulated; }
  [[nodiscard]] Instant now() const noexcept override { return now_; }
  [[nodiscard]] Anchor anchor() const noexcept override { return {}; }
  [[nodiscard]] Result<std::unique_ptr<File>> open(const std::string& path) override {
    return std::make_unique<Text>(path == "/proc/loadavg" ? "0 0 0 1/1 300" : "100 20 1 1 0 1 0");
  }
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string&) override {
    return std::vector<std::string>{};
  }
  [[nodiscard]] Result<std::string> read_text(const std::string& path) override {
    if (!path.ends_with("/stat")) return std::string();
    const auto pid = path.substr(6, path.size() - 11);
    return pid + " (still) S 1 0 0 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0";
  }
  [[nodiscard]] Result<std::string> read_link(const std::string&) override { return std::string(); }
  [[nodiscard]] bool exists(const std::string&) override { return true; }
  [[nodiscard]] Result<void> list_processes(std::vector<ListedProcess>& out) override {
    out.clear();
    for (std::int64_t pid = 1; pid <= 200; ++pid) out.push_back({pid, static_cast<std::uint64_t>(pid)});
    ++listings;
    return {};
  }
  [[nodiscard]] Result<Duration> process_cpu_time(std::int64_t pid) noexcept override {
    return Duration{now_.ns / 1000 * pid};
  }
  [[nodiscard]] Duration own_cpu_time() const noexcept override { return {}; }
  [[nodiscard]] unsigned cpu_count() override { return 1; }

  Instant now_{1'000'000'000};
  int listings = 0;
};

TEST(FollowerAllocations, AHundredLooksAtProcessesThatStayTakeNoMemory) {
  StillMachine machine;
  FollowOptions options;
  options.own_pid = 100'000;
  auto follower = ProcessFollower::create(machine, {*parse_target_choice(SelectorKind::all, "")}, std::move(options));
  ASSERT_TRUE(follower) << follower.error().what;
  Sensor& sensor = (*follower)->sensor();
  std::vector<Reading> readings(sensor.channels().size());
  std::vector<ProcessLook> looks;
  const auto look = [&] {
    machine.now_ = machine.now_ + milliseconds(100);
    sensor.read(readings);
  };
  for (int i = 0; i < 120; ++i) look();  // every waiting look has its memory
  (*follower)->take_looks(looks);
  const int listings = machine.listings;
  int allocations = -1;
  std::thread counted([&] {
    test::count_allocations_of_this_thread();
    const int before = test::counted_allocations();
    for (int i = 0; i < 100; ++i) look();
    allocations = test::counted_allocations() - before;
  });
  counted.join();
  EXPECT_EQ(allocations, 0);
  EXPECT_GT(machine.listings, listings);
  EXPECT_EQ(readings[1].raw, 200 * 20 * ::sysconf(_SC_PAGESIZE));
  EXPECT_GT(readings[0].raw, 0);
}

}  // namespace
}  // namespace prony
