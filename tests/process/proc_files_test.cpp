#include "process/proc_files.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace prony {
namespace {

const std::string tail =
    " S 17 1234 1234 0 -1 4194560 7 8 9 10 111 222 333 444 20 0 3 0 987654321 1 2 18446744073709551615 0 0 0";

// Bug: fields counted by blanks from the start: a name may hold blanks and brackets.
TEST(ProcessStat, ANameWithBracketsAndBlanksDoesNotShiftTheFields) {
  const auto stat = parse_process_stat("4321 (a) b (c) d)" + tail);
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->pid, 4321);
  EXPECT_EQ(stat->parent, 17);
  EXPECT_STREQ(stat->name.data(), "a) b (c) d");
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->user_ticks, 111U);
  EXPECT_EQ(stat->system_ticks, 222U);
  EXPECT_EQ(stat->children_user_ticks, 333U);
  EXPECT_EQ(stat->children_system_ticks, 444U);
  EXPECT_EQ(stat->start_ticks, 987654321U);
}

TEST(ProcessStat, ALongNameIsCutAndEnded) {
  const auto stat = parse_process_stat("1 (abcdefghijklmnopqrstuvwxyz)" + tail);
  ASSERT_TRUE(stat.has_value());
  EXPECT_STREQ(stat->name.data(), "abcdefghijklmno");
}

TEST(ProcessStat, EveryCutLineIsRefusedNotRead) {
  const std::string whole = "4321 (name)" + tail;
  const auto needed = whole.find(" 987654321");
  for (std::size_t length = 0; length <= needed; ++length)
    EXPECT_FALSE(parse_process_stat(std::string_view(whole).substr(0, length)).has_value()) << length;
  EXPECT_FALSE(parse_process_stat("x (name)" + tail).has_value());
  EXPECT_FALSE(parse_process_stat(")(" + tail).has_value());
}

TEST(ProcessStat, OurOwnIsReadFromTheKernel) {
  const auto stat = read_process_stat(::getpid());
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->pid, ::getpid());
  EXPECT_EQ(stat->parent, ::getppid());
  EXPECT_FALSE(read_process_stat(0x7ffffff0).has_value());
}

// Bug: "VmHWM" found inside another name, or hexadecimal masks read as decimal.
TEST(StatusField, IsFoundByItsWholeNameInItsBase) {
  const std::string text = "Name:\tVmHWM:\nXVmHWM:\t9 kB\nVmHWM:\t  128 kB\nSigIgn:\t0000000000010000\n";
  EXPECT_EQ(parse_status_field(text, "VmHWM", 10), 128U);
  EXPECT_EQ(parse_status_field(text, "SigIgn", 16), 0x10000U);
  EXPECT_EQ(parse_status_field(text, "VmRSS", 10), std::nullopt);
  EXPECT_EQ(parse_status_field("VmHWM:\tmany kB\n", "VmHWM", 10), std::nullopt);
}

TEST(Descendants, GrandchildrenAreFoundToo) {
  int ends[2], tell[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::pipe(tell), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[1]);
    const pid_t grandchild = ::fork();
    char byte = 0;
    if (grandchild > 0) [[maybe_unused]]
      const auto told = ::write(tell[1], &grandchild, sizeof grandchild);
    while (::read(ends[0], &byte, 1) > 0) {
    }
    if (grandchild > 0) ::waitpid(grandchild, nullptr, 0);
    ::_exit(0);
  }
  pid_t grandchild = 0;
  ASSERT_EQ(::read(tell[0], &grandchild, sizeof grandchild), static_cast<ssize_t>(sizeof grandchild));
  std::vector<pid_t> found;
  append_descendants(::getpid(), found);
  EXPECT_NE(std::find(found.begin(), found.end(), child), found.end());
  EXPECT_NE(std::find(found.begin(), found.end(), grandchild), found.end());
  EXPECT_EQ(std::find(found.begin(), found.end(), ::getpid()), found.end());
  ::close(ends[1]);
  ::waitpid(child, nullptr, 0);
  for (const int fd : {ends[0], tell[0], tell[1]}) ::close(fd);
}

}  // namespace
}  // namespace prony
