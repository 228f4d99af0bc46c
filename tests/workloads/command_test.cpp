// The command workload: it runs what was written, waits for it, and passes signals on.
#include "workloads/command.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "workloads/catalog.hpp"

namespace prony {
namespace {

WorkloadOutcome drive(Workload& workload) {
  auto options = workload.command();
  auto child = spawn(options);
  if (!child) {
    ADD_FAILURE() << child.error().what;
    return {};
  }
  auto outcome = workload.run(*child, {});
  if (!outcome) {
    ADD_FAILURE() << outcome.error().what;
    return {};
  }
  return std::move(*outcome);
}

TEST(CommandWorkload, TheOutcomeIsHowTheCommandEnded) {
  const auto workload = make_command_workload({"sh", "-c", "exit 42"});
  const auto outcome = drive(*workload);
  EXPECT_EQ(outcome.exit.shell_code(), 42);
  EXPECT_TRUE(outcome.failures.empty());  // an exit code is the command's answer, not a failure of measuring
}

// Bug: arguments joined and split again by a shell.
TEST(CommandWorkload, ArgumentsArriveAsTheyWereWritten) {
  const auto workload = make_command_workload(
      {"sh", "-c", "test $# = 3 && test \"$1\" = 'a b' && test -z \"$2\" && test \"$3\" = '$HOME;*'", "sh", "a b", "",
       "$HOME;*"});
  EXPECT_EQ(drive(*workload).exit.shell_code(), 0);
}

// Bug: a signal taken by Prony ends Prony's waiting, or never reaches the command.
TEST(CommandWorkload, ASignalGoesToTheCommandWhichDecides) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const auto workload = make_command_workload({"sh", "-c", "trap 'exit 11' USR1; echo; while :; do sleep 0.01; done"});
  auto options = workload->command();
  options.stdout_fd = ready[1];
  auto child = spawn(options);
  ASSERT_TRUE(child.has_value());
  std::jthread signaller([&] {
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);  // the trap is set
    workload->cancel(SIGUSR1);
  });
  const auto outcome = workload->run(*child, {});
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->exit.code, 11);
  for (const int fd : ready) ::close(fd);
}

// Bug: a signal between the start of Prony and the start of waiting is forgotten.
TEST(CommandWorkload, ASignalThatCameEarlyIsDeliveredWhenTheCommandRuns) {
  const auto workload = make_command_workload({"sleep", "30"});
  workload->cancel(SIGTERM);
  EXPECT_EQ(drive(*workload).exit.signal, SIGTERM);
}

TEST(CommandWorkload, ASignalAfterTheEndHitsNobody) {
  const auto workload = make_command_workload({"true"});
  EXPECT_EQ(drive(*workload).exit.shell_code(), 0);
  workload->cancel(SIGKILL);
}

TEST(WorkloadCatalogue, RowsHaveNamesOfTheirOwnAndSayWhatTheyMeasure) {
  std::set<std::string_view> names;
  for (const auto& row : workload_catalogue()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_GT(row.help.size(), 10U);
  }
  EXPECT_TRUE(names.contains("command"));
}

}  // namespace
}  // namespace prony
