// Whoever sets the number that the next process gets (/proc/sys/kernel/ns_last_pid) does it alone: two at a time would
// give out numbers out of turn, as no kernel does by itself, and each would find the other's processes in its own's
// place.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace prony::test {

class NumberSetter {
 public:
  NumberSetter() : fd_(::open("/proc/sys/kernel/ns_last_pid", O_RDONLY | O_CLOEXEC)) {
    while (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~NumberSetter() {
    if (fd_ >= 0) ::close(fd_);
  }
  NumberSetter(const NumberSetter&) = delete;
  NumberSetter& operator=(const NumberSetter&) = delete;

 private:
  int fd_;
};

}  // namespace prony::test
