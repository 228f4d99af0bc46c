#include "model/absence.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/result.hpp"

namespace prony {
namespace {

// Kills: a word that says another thing than the error it came from, and a kind that all reasons share.
TEST(AbsenceKind, OfEveryErrnoIsTheKindOfItsError) {
  for (const int number : {ENOENT, ENOTDIR, EACCES, EPERM, EROFS, ENODEV, ENXIO, ESRCH, ENOTCONN, EIO, EAGAIN, EINTR,
                           ENOSPC, EDQUOT, EINVAL, ENODATA, EOPNOTSUPP}) {
    const Error error = error_from_errno(number, "/sys/x", "cannot read");
    EXPECT_EQ(absence_kind(error.where + ": " + error.what), to_string(error.code)) << error.what;
  }
}

TEST(AbsenceKind, OfAReasonInWordsIsWhatTheySay) {
  EXPECT_EQ(absence_kind("/sys/x: holds something that is not an integer"), "malformed");
  EXPECT_EQ(absence_kind("/sys/x: holds a number too long for 64 bits"), "malformed");
  EXPECT_EQ(absence_kind("/sys/x: holds a negative number where only a count can be"), "malformed");
  EXPECT_EQ(absence_kind("/sys/x: is empty"), "malformed");
  EXPECT_EQ(absence_kind("/proc/meminfo: does not tell it, or not as a number"), "malformed");
  EXPECT_EQ(absence_kind("/sys/block/sda/stat: is not the statistics of a disk"), "malformed");
  EXPECT_EQ(absence_kind("/sys/class/powercap is not there"), "absent");
  EXPECT_EQ(absence_kind("no baseline was measured: run with --baseline 3s"), "unavailable");
  EXPECT_EQ(absence_kind(""), "unavailable");
}

}  // namespace
}  // namespace prony
