// Whoever sets the number that the next process gets (/proc/sys/kernel/ns_last_pid) does it alone: two at a time would
// give out numbers out of turn, as no kernel does by itself, and each would find the other's processes in its own's
// place.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace prony::test {

class NumberSetter {
 public:
  NumberSetter()
      : fd_(::open((::testing::TempDir() + "/prony-ns-last-pid.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    EXPECT_GE(fd_, 0);
    while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~NumberSetter() { ::close(fd_); }
  NumberSetter(const NumberSetter&) = delete;
  NumberSetter& operator=(const NumberSetter&) = delete;

 private:
  int fd_;
};

}  // namespace prony::test
