// Every rung against trees whose true CPU time is known. Bugs in mind stand in front of each test.
#include "process/process_tree.hpp"
#include "../support/emulated.hpp"
#include "../support/sanitizer.hpp"
#include "../support/scratch.hpp"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "burner.hpp"
#include "process/proc_files.hpp"

namespace prony {
namespace {

using namespace testing_process;

constexpr uid_t nobody = 65534;

struct Measured {
  TreeUsage usage;
  ExitStatus status;
  double truth = 0;
  double longest_pause_s = 0;  // between two ticks
  std::chrono::steady_clock::time_point last_tick{};
  std::vector<std::int64_t> shown_ns;
  std::vector<std::int64_t> resident;
  std::vector<ProcessRecord> processes;
  [[nodiscard]] double total_s() const {
    return usage.cpu_user_s + usage.cpu_system_s + usage.cpu_unattributed_s.value_or(0);
  }
  [[nodiscard]] double waited_s() const {
    const auto& r = status.usage;
    return static_cast<double>(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           static_cast<double>(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
  }
};

void tick(ProcessTree& tree, Measured& out) {
  const auto now = std::chrono::steady_clock::now();
  if (!out.shown_ns.empty())
    out.longest_pause_s = std::max(out.longest_pause_s, std::chrono::duration<double>(now - out.last_tick).count());
  out.last_tick = now;
  std::array<Reading, 2> readings;
  tree.sensor().read(readings);
  EXPECT_EQ(readings[0].quality, Quality::ok);
  out.shown_ns.push_back(readings[0].raw);
  if (readings[1].quality == Quality::ok) out.resident.push_back(readings[1].raw);
}

Result<Measured> measure(TreeRung rung, const std::string& mode) {
  const auto machine = make_live_machine();
  auto tree = ProcessTree::create(*machine, rung);
  if (!tree) return Unexpected<Error>(tree.error());
  const ScratchFolder scratch("tree", 0777);
  const auto truth_file = scratch.file("truth");
  auto options = burner(mode, truth_file);
  (*tree)->prepare(options);
  auto child = spawn(options);
  if (!child) return Unexpected<Error>(child.error());
  (*tree)->attach(*child);
  Measured out;
  tick(**tree, out);
  auto released = child->release();
  if (!released) return Unexpected<Error>(released.error());
  for (int round = 0;; ++round) {
    auto status = child->wait(5'000'000);
    if (!status) return Unexpected<Error>(status.error());
    tick(**tree, out);
    if (*status) {
      out.status = **status;
      break;
    }
    if (round % 10 == 9) (*tree)->survey();
  }
  out.usage = (*tree)->finish(out.status);
  tick(**tree, out);
  out.truth = truth_s(truth_file);
  out.processes = (*tree)->processes();
  return out;
}

bool has_reason(const TreeUsage& usage, std::string_view subject) {
  for (const auto& absent : usage.unavailable)
    if (absent.subject == subject && !absent.reason.empty()) return true;
  return false;
}

std::string describe(const Measured& m) {
  return "total " + std::to_string(m.total_s()) + " s, truth " + std::to_string(m.truth) + " s, wait4 " +
         std::to_string(m.waited_s()) + " s, processes " + std::to_string(m.usage.processes);
}

// What an orphan used after the last tick that saw it: polling misses it.
double missed_s(TreeRung rung, const Measured& m) {
  return rung == TreeRung::polling ? std::min(m.longest_pause_s + 0.002, 0.5 * m.truth) : 0;
}

class Rung : public testing::TestWithParam<TreeRung> {
 protected:
  void SetUp() override {
    if (test::emulated()) GTEST_SKIP() << test::emulated_reason;
  }
  // Empty where this user or kernel cannot have the rung.
  std::optional<Measured> run(const std::string& mode) {
    auto measured = measure(GetParam(), mode);
    if (measured) {
      std::cout << "[ measured ] " << to_string(GetParam()) << " " << mode << ": " << describe(*measured) << "\n";
      return std::move(*measured);
    }
    reason_ = std::string(to_string(GetParam())) + " does not work here: " + measured.error().what;
    EXPECT_FALSE(measured.error().fix.empty());
    EXPECT_NE(::geteuid(), 0U) << reason_;
    return std::nullopt;
  }
  std::string reason_;
  [[nodiscard]] bool sees_everything() const {
    return GetParam() == TreeRung::cgroup || GetParam() == TreeRung::exit_events;
  }
};

std::string rung_name(const testing::TestParamInfo<TreeRung>& info) {
  std::string name(to_string(info.param));
  std::erase(name, '-');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Ladder, Rung,
                         testing::Values(TreeRung::cgroup, TreeRung::exit_events, TreeRung::subreaper,
                                         TreeRung::polling),
                         rung_name);

// Bug: only processes that are alive at a tick are counted.
TEST_P(Rung, TwoHundredShortChildrenAreCountedToTwoPercent) {
  const auto m = run("sequence");
  if (!m) GTEST_SKIP() << reason_;
  EXPECT_GT(m->waited_s(), 1.0);
  EXPECT_NEAR(m->total_s(), m->waited_s(), 0.02 * m->waited_s()) << describe(*m);
  if (GetParam() == TreeRung::exit_events) {
    EXPECT_EQ(m->usage.processes, 201U);
    EXPECT_TRUE(m->usage.short_lived.has_value());
  } else {
    EXPECT_FALSE(m->usage.short_lived.has_value());
    EXPECT_TRUE(has_reason(m->usage, "process.short_lived"));
  }
}

// Bug: an orphan belongs to init from then on and is lost.
TEST_P(Rung, AnOrphanIsCountedWithItsTree) {
  const auto m = run("double-fork");
  if (!m) GTEST_SKIP() << reason_;
  EXPECT_GT(m->truth, 0.15);
  EXPECT_GE(m->total_s(), 0.98 * m->truth - missed_s(GetParam(), *m)) << describe(*m);
  EXPECT_LE(m->total_s(), 1.02 * m->truth + 0.005 + 3 * cost_of_an_end_s()) << describe(*m);
  EXPECT_LT(m->waited_s(), 0.1) << "the tree did not double-fork";
  if (GetParam() == TreeRung::polling) {
    EXPECT_TRUE(has_reason(m->usage, "process.cpu_unattributed_s"));
  }
}

// Bug: the main thread only (as /proc/PID/schedstat has it), or threads counted as processes.
TEST_P(Rung, AllThreadsAreCountedOnce) {
  const auto m = run("threads");
  if (!m) GTEST_SKIP() << reason_;
  EXPECT_GT(m->truth, 0.24);
  EXPECT_NEAR(m->total_s(), m->truth, 0.02 * m->truth + 0.003) << describe(*m);
  EXPECT_EQ(m->usage.processes, 1U);
}

// Bug: times of children whose parent ignores SIGCHLD vanish without a word.
TEST_P(Rung, AutoReapedChildrenAreCountedOrTheReasonIsGiven) {
  const auto m = run("auto-reap");
  if (!m) GTEST_SKIP() << reason_;
  EXPECT_GT(m->truth, 0.4);
  EXPECT_LT(m->waited_s(), 0.2) << "the children were waited for after all";
  EXPECT_LE(m->total_s(), 1.02 * m->truth + 0.01 + 21 * cost_of_an_end_s()) << describe(*m);
  if (sees_everything()) {
    EXPECT_GE(m->total_s(), 0.98 * m->truth) << describe(*m);
  } else {
    EXPECT_TRUE(has_reason(m->usage, "process.cpu_unattributed_s"));
    EXPECT_TRUE(m->usage.cpu_unattributed_s.has_value());
  }
}

// Bug: the reading falls when a child ends, and a counter reset or a wrap is read from it.
TEST_P(Rung, TheCounterNeverGoesDownAndEndsAtTheTotal) {
  for (const char* mode : {"double-fork", "threads", "auto-reap"}) {
    const auto m = run(mode);
    if (!m) GTEST_SKIP() << reason_;
    for (std::size_t i = 1; i < m->shown_ns.size(); ++i) EXPECT_GE(m->shown_ns[i], m->shown_ns[i - 1]) << mode << i;
    EXPECT_EQ(m->shown_ns.front(), 0) << "Prony's work before exec was counted as the command's";
    EXPECT_NEAR(static_cast<double>(m->shown_ns.back()) * 1e-9, m->total_s(), 0.02 * m->total_s() + 0.01) << mode;
  }
}

// Bug: Prony's own memory, of which the child is a copy before exec, reported as the command's; pages taken for bytes.
TEST_P(Rung, ResidentMemoryIsTheCommandsOwn) {
  const auto m = run("memory");
  if (!m) GTEST_SKIP() << reason_;
  constexpr std::uint64_t mebibyte = 1024 * 1024;
  constexpr bool sanitized = test::address_sanitizer || test::thread_sanitizer;
  constexpr std::uint64_t most = (sanitized ? 1024U : 90U) * mebibyte;  // shadow memory
  EXPECT_GE(m->usage.rss_peak_bytes, 64 * mebibyte);
  EXPECT_LT(m->usage.rss_peak_bytes, most);
  ASSERT_TRUE(m->usage.pss_peak_bytes.has_value());
  EXPECT_GE(*m->usage.pss_peak_bytes, 60 * mebibyte);
  EXPECT_LT(*m->usage.pss_peak_bytes, most);
  ASSERT_FALSE(m->resident.empty());
  // The last tick may fall into the exit, when the memory is being given back.
  EXPECT_GE(*std::max_element(m->resident.begin(), m->resident.end()), 64 * static_cast<std::int64_t>(mebibyte));
  EXPECT_GE(*m->usage.minor_faults, 16000U);
}

TEST_P(Rung, ACommandThatLeavesADaemonBehindSaysSo) {
  const auto m = run("leave");
  if (!m) GTEST_SKIP() << reason_;
  if (GetParam() == TreeRung::polling) return;  // it need not have seen the orphan
  EXPECT_TRUE(has_reason(m->usage, "process"));
}

// Bug: kill only the root.
TEST_P(Rung, KillAllEndsTheWholeTree) {
  const auto machine = make_live_machine();
  auto tree = ProcessTree::create(*machine, GetParam());
  if (!tree) GTEST_SKIP() << tree.error().what;
  const ScratchFolder scratch("tree", 0777);
  auto options = burner("sleep-tree", scratch.file("truth"));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  options.stdout_fd = ends[1];  // every process of the tree holds it
  (*tree)->prepare(options);
  auto child = spawn(options);
  ASSERT_TRUE(child.has_value());
  (*tree)->attach(*child);
  ASSERT_TRUE(child->release().has_value());
  ::close(ends[1]);
  ::usleep(100'000);
  (*tree)->kill_all(SIGKILL);
  const auto status = child->wait(10'000'000'000);
  ASSERT_TRUE(status.has_value() && status->has_value());
  EXPECT_EQ((*status)->signal, SIGKILL);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);  // end of file: nobody holds it any more
  ::close(ends[0]);
  [[maybe_unused]] const auto usage = (*tree)->finish(**status);
}

// Runs `body` as an ordinary user in a child of ours; its answer is whether all was well.
template <class Body>
bool as_nobody(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0))
      ::_exit(90);
    ::_exit(body() ? 0 : 1);
  }
  int word = 0;
  ::waitpid(pid, &word, 0);
  return WIFEXITED(word) && WEXITSTATUS(word) == 0;
}

TEST(ProcessTree, RungsThatNeedPrivilegesTellAnOrdinaryUserWhy) {
  if (test::emulated()) GTEST_SKIP() << test::emulated_reason;
  EXPECT_TRUE(as_nobody([] {
    const auto machine = make_live_machine();
    for (const TreeRung rung : {TreeRung::cgroup, TreeRung::exit_events}) {
      const auto tree = ProcessTree::create(*machine, rung);
      if (tree) continue;  // a delegated cgroup, or a capability of the file
      if (tree.error().code != ErrorCode::denied || tree.error().what.empty() || tree.error().fix.empty()) return false;
    }
    return true;
  }));
}

TEST(ProcessTree, AnOrdinaryUserGetsTheShortChildrenAndTheOrphansOnWhatRungsThereAre) {
  if (test::emulated()) GTEST_SKIP() << test::emulated_reason;
  for (const TreeRung rung : {TreeRung::automatic, TreeRung::subreaper, TreeRung::polling}) {
    EXPECT_TRUE(as_nobody([rung] {
      const auto sequence = measure(rung, "sequence");
      if (!sequence || std::abs(sequence->total_s() - sequence->waited_s()) > 0.02 * sequence->waited_s()) return false;
      const auto orphan = measure(rung, "double-fork");
      return orphan && orphan->total_s() >= 0.98 * orphan->truth - missed_s(rung, *orphan) &&
             orphan->total_s() <= 1.02 * orphan->truth + 0.005 + 3 * cost_of_an_end_s();
    })) << to_string(rung);
  }
}

TEST(ProcessTree, TheLadderTakesTheBestThatWorksAndSaysWhyNotBetter) {
  EXPECT_TRUE(as_nobody([] {
    const auto machine = make_live_machine();
    const auto tree = ProcessTree::create(*machine, TreeRung::automatic);
    if (!tree) return false;
    if ((*tree)->rung() == TreeRung::cgroup) return (*tree)->why_not_better().empty();
    return (*tree)->why_not_better().find("cgroup: ") != std::string::npos;
  }));
}

TEST(ProcessTree, NamesOfRungsReadBack) {
  for (const TreeRung rung :
       {TreeRung::automatic, TreeRung::cgroup, TreeRung::exit_events, TreeRung::subreaper, TreeRung::polling})
    EXPECT_EQ(tree_rung_from(to_string(rung)), rung);
  EXPECT_EQ(tree_rung_from("best"), std::nullopt);
}

// Bug: the cgroup is left behind after every run.
TEST(ProcessTree, ItsCgroupIsGoneAfterwards) {
  const auto machine = make_live_machine();
  std::string directory;
  {
    auto tree = ProcessTree::create(*machine, TreeRung::cgroup);
    if (!tree) GTEST_SKIP() << tree.error().what;
    directory = (*tree)->guard_target().cgroup_directory;
    EXPECT_TRUE(std::filesystem::exists(directory));
  }
  EXPECT_FALSE(std::filesystem::exists(directory));
}

// Bugs: cgroups of killed Pronys stay for ever, also where their number was given to another process; that of a living
// one, which is empty before its command begins, or of somebody else's making, is taken away.
TEST(ProcessTree, WhatAKilledPronyLeftIsRemovedAndNothingElse) {
  const auto machine = make_live_machine();
  auto tree = ProcessTree::create(*machine, TreeRung::cgroup);
  if (!tree) GTEST_SKIP() << tree.error().what;
  const std::filesystem::path own = (*tree)->guard_target().cgroup_directory;
  const pid_t killed = ::fork();
  if (killed == 0) {
    auto left = ProcessTree::create(*machine, TreeRung::cgroup);
    ::_exit(left ? 0 : 1);  // without destructors, as after SIGKILL
  }
  int status = -1;
  ASSERT_EQ(::waitpid(killed, &status, 0), killed);
  ASSERT_EQ(status, 0);
  const auto stem = own.parent_path() / ("prony-" + std::to_string(::getpid()));
  const std::filesystem::path reused = stem.string() + "-1", foreign = stem.string() + "-of-somebody";
  std::filesystem::create_directory(reused);
  std::filesystem::create_directory(foreign);
  const auto left_by_killed = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(own.parent_path()))
      if (entry.path().filename().string().starts_with("prony-" + std::to_string(killed) + "-")) return true;
    return false;
  };
  EXPECT_TRUE(left_by_killed());
  EXPECT_TRUE(ProcessTree::create(*machine, TreeRung::cgroup));
  EXPECT_FALSE(left_by_killed());
  EXPECT_FALSE(std::filesystem::exists(reused));
  EXPECT_TRUE(std::filesystem::exists(foreign));
  EXPECT_TRUE(std::filesystem::exists(own));
  ::rmdir(foreign.c_str());
}

}  // namespace
}  // namespace prony
