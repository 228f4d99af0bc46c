// Followers of this machine, against processes whose true CPU time is known. Bugs in mind stand in front of each test.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <new>
#include <thread>

#include "../support/emulated.hpp"
#include "../support/number_setter.hpp"
#include "../support/sanitizer.hpp"
#include "burner.hpp"
#include "process/follow.hpp"

namespace prony {
namespace {

using namespace testing_process;

struct Folder {
  std::string path = testing::TempDir() + "/prony-follow-XXXXXX";
  Folder() { EXPECT_NE(::mkdtemp(path.data()), nullptr); }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
};

// A child of ours that does `work` after a byte came through the pipe, and is ended with us.
class Forked {
 public:
  template <class Work>
  explicit Forked(Work work) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(ends[1]);
      char byte = 0;
      if (::read(ends[0], &byte, 1) != 1) ::_exit(1);
      work();
      ::_exit(0);
    }
    ::close(ends[0]);
    pipe_ = Fd(ends[1]);
  }
  ~Forked() { end(); }
  Forked(const Forked&) = delete;
  Forked& operator=(const Forked&) = delete;
  void go() { EXPECT_EQ(::write(pipe_.get(), "x", 1), 1); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  Fd pipe_;
};

Result<std::unique_ptr<ProcessFollower>> follow(Machine& machine, SelectorKind kind, const std::string& value,
                                                bool events, bool each = true) {
  FollowOptions options;
  options.kernel_events = events;
  options.each_process = each;
  return ProcessFollower::create(machine, {*parse_target_choice(kind, value)}, std::move(options));
}

double cpu_s(ProcessFollower& follower) {
  std::vector<Reading> readings(follower.sensor().channels().size());
  follower.sensor().read(readings);
  return static_cast<double>(readings[0].raw) * 1e-9;
}

// Sleepers of a sanitized program have a thread that wakes ten times a second: less than this a look is no work.
constexpr double at_rest_s = 0.002;

// Looks until the counter has stood still for a while: whoever worked has ended.
double counted_when_quiet(ProcessFollower& follower, std::chrono::milliseconds step) {
  double last = 0;
  for (int still = 0, round = 0; still < 6 && round < 5000; ++round) {
    std::this_thread::sleep_for(step);
    follower.look_now();
    const double now = cpu_s(follower);
    EXPECT_GE(now, last);
    still = now > 0 && now <= last + at_rest_s ? still + 1 : 0;
    last = now;
  }
  return last;
}

bool has_events(const ProcessFollower& follower) { return follower.rung() == "exit-events"; }

class LiveFollower : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (test::emulated()) GTEST_SKIP() << test::emulated_reason;
  }
};
INSTANTIATE_TEST_SUITE_P(Ladder, LiveFollower, testing::Values(true, false),
                         [](const auto& row) { return row.param ? "exitevents" : "polling"; });

// Bug: children that live between two looks are lost, or counted by their own clocks and their parent's times both.
TEST_P(LiveFollower, TwoHundredChildrenOfFiveMillisecondsAreCounted) {
  const auto machine = make_live_machine();
  const Folder folder;
  const auto truth_file = folder.path + "/truth";
  Forked shell([&] {
    auto child = spawn(burner("sequence", truth_file));
    if (!child || !child->release() || !child->wait()) ::_exit(1);
    ::sleep(60);
  });
  auto follower = follow(*machine, SelectorKind::pid, std::to_string(shell.pid()), GetParam());
  ASSERT_TRUE(follower) << follower.error().what;
  if (GetParam() && !has_events(**follower)) GTEST_SKIP() << (*follower)->why_not_better();
  shell.go();
  const double counted = counted_when_quiet(**follower, std::chrono::milliseconds(60));
  const double truth = truth_s(truth_file);
  std::cout << "[ measured ] " << (*follower)->rung() << ": " << counted << " s, truth " << truth << " s\n";
  EXPECT_GT(truth, 0.8);
  // Without events the children's part comes in the kernel's clock ticks.
  EXPECT_GT(counted, (GetParam() ? 0.98 : 0.95) * truth - 0.02);
  // Forking, and the exec of each child, are the tree's as well but not in what the burners write down.
  EXPECT_LT(counted, 1.6 * truth + 0.1);
}

// Bug: a burner that lives for 30 ms between two looks is not there.
TEST_P(LiveFollower, ABurnerOfThirtyMillisecondsIsNotLost) {
  const auto machine = make_live_machine();
  Forked shell([] {
    const pid_t child = ::fork();
    if (child == 0) {
      burn_ns(30'000'000);
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    ::sleep(30);
  });
  auto follower = follow(*machine, SelectorKind::pid, std::to_string(shell.pid()), GetParam());
  ASSERT_TRUE(follower) << follower.error().what;
  if (GetParam() && !has_events(**follower)) GTEST_SKIP() << (*follower)->why_not_better();
  shell.go();
  double counted = 0;
  for (int round = 0; round < 100 && counted < 0.0295; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    (*follower)->look_now();
    const double now = cpu_s(**follower);
    EXPECT_GE(now, counted);
    counted = now;
  }
  // Without events a part of it comes in steps of the kernel's clock ticks, of user and of system time each.
  EXPECT_GE(counted, GetParam() ? 0.0295 : 0.009);
  EXPECT_LT(counted, 0.08);
}

// Bug: a process with a number that was given away again is taken for the one that had it before.
TEST_P(LiveFollower, ARealNumberThatIsGivenAwayAgainIsAnotherProcess) {
  const test::NumberSetter alone;
  const auto machine = make_live_machine();
  auto first = std::make_unique<Forked>([] { ::sleep(60); });
  const pid_t pid = first->pid();
  auto follower = follow(*machine, SelectorKind::pid, std::to_string(pid), GetParam());
  ASSERT_TRUE(follower) << follower.error().what;
  // Numbers go round: thousands of others are given out before one comes again.
  std::ofstream("/proc/sys/kernel/ns_last_pid") << pid + 3000;
  Forked other([] {});
  (*follower)->look_now();
  first->end();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));  // a start time has steps of 10 ms
  std::unique_ptr<Forked> second;
  for (int attempt = 0; attempt < 20 && (!second || second->pid() != pid); ++attempt) {
    std::ofstream last_pid("/proc/sys/kernel/ns_last_pid");
    last_pid << pid - 1 << std::flush;
    if (!last_pid) GTEST_SKIP() << "ns_last_pid cannot be set here: the scripted test stands alone";
    second = std::make_unique<Forked>([] {
      burn_ns(50'000'000);
      ::sleep(60);
    });
  }
  if (second->pid() != pid) GTEST_SKIP() << "somebody else was given the number each time";
  second->go();
  for (int round = 0; round < 6; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_LT(cpu_s(**follower), 0.025);  // half of what the second burns; being born costs some, too
  }
  (*follower)->look_now();
  EXPECT_LT(cpu_s(**follower), 0.025);
  bool gone = false;
  for (const Event& event : (*follower)->sensor().changes()) gone = gone || event.kind == "target-gone";
  EXPECT_TRUE(gone);
}

// Bug: the thread that looks asks for its own number, and the kernel answers it, and it alone, with its process's
// clock.
TEST_P(LiveFollower, TheThreadThatLooksIsNoProcess) {
  const auto machine = make_live_machine();
  auto follower = follow(*machine, SelectorKind::all, "", GetParam());
  ASSERT_TRUE(follower) << follower.error().what;
  if (GetParam() && !has_events(**follower)) GTEST_SKIP() << (*follower)->why_not_better();
  std::vector<ProcessLook> looks;
  for (int round = 0; round < 1000 && looks.size() < 8; ++round) {
    burn_ns(5'000'000);
    (*follower)->take_looks(looks);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_GE(looks.size(), 8U);
  for (const auto& record : (*follower)->processes()) EXPECT_NE(record.name, "prony-follow");
}

// Bug: the socket is found by connections to it; a child that was forked before the port was found is left out.
TEST_P(LiveFollower, WhoListensOnARealPortIsFoundWithItsChild) {
  const auto machine = make_live_machine();
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<struct sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<struct sockaddr*>(&address), &size), 0);
  Forked server([] {
    const pid_t child = ::fork();
    if (child == 0) {
      burn_ns(60'000'000);
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    ::sleep(60);
  });
  ::close(listener);  // the child has it
  auto follower = follow(*machine, SelectorKind::port, std::to_string(ntohs(address.sin_port)), GetParam());
  ASSERT_TRUE(follower) << follower.error().what;
  std::vector<std::int64_t> members;
  for (const auto& record : (*follower)->processes())
    if (!record.target.empty()) members.push_back(record.pid);
  EXPECT_EQ(members, std::vector<std::int64_t>{server.pid()});
  server.go();
  for (int round = 0; round < 500 && cpu_s(**follower) < 0.05; ++round)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GE(cpu_s(**follower), 0.05);
}

// Bug: something is kept of every process that was ever born.
TEST_P(LiveFollower, AForkStormLeavesNothingBehind) {
  const auto machine = make_live_machine();
  const char* asked = std::getenv("PRONY_FORK_STORM");
  // A program under a sanitizer takes milliseconds to fork.
  const int births = asked != nullptr ? std::atoi(asked) : test::memory_counts ? 4000 : 400;
  const std::unique_ptr<std::atomic<int>, void (*)(std::atomic<int>*)> born(
      new (::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
          std::atomic<int>(0),
      [](std::atomic<int>* place) { ::munmap(place, sizeof *place); });
  Forked storm([births, &born] {
    for (int i = 0; i < births; ++i, born->store(i)) {
      const pid_t child = ::fork();
      if (child == 0) ::_exit(0);
      ::waitpid(child, nullptr, 0);
    }
    ::sleep(600);
  });
  auto follower = follow(*machine, SelectorKind::pid, std::to_string(storm.pid()), GetParam());
  ASSERT_TRUE(follower) << follower.error().what;
  if (GetParam() && !has_events(**follower)) GTEST_SKIP() << (*follower)->why_not_better();
  const auto resident = [] {
    std::ifstream file("/proc/self/statm");
    long total = 0, pages = 0;
    file >> total >> pages;
    return pages * ::sysconf(_SC_PAGESIZE);
  };
  storm.go();
  std::vector<ProcessLook> looks;
  long early = 0, most = 0;
  double counted = 0;
  auto quiet = [&, last = -1.0, rounds = 0]() mutable {  // the storm is over when its clock stands still
    rounds = counted > 0 && counted <= last + at_rest_s ? rounds + 1 : 0;
    last = counted;
    return rounds >= 3;
  };
  while (born->load() < births || !quiet()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    looks.clear();
    (*follower)->take_looks(looks);
    counted = cpu_s(**follower);
    if (early == 0 && born->load() >= births / 4) early = resident();
    if (early > 0) most = std::max(most, resident());
  }
  const auto records = (*follower)->processes();
  std::cout << "[ measured ] " << (*follower)->rung() << ", " << births << " births: " << records.size() << " records, "
            << (most - early) / 1024 << " KiB more than after a quarter of them, " << counted << " s\n";
  constexpr int most_records = 16384 + 8000;
  EXPECT_LE(records.size(), std::size_t{most_records});
  EXPECT_GT(counted, 0.0);
  if (test::memory_counts) {
    EXPECT_LT(most - early, (2L << 20) + 512L * std::min(births, most_records));
  }
}

}  // namespace
}  // namespace prony
