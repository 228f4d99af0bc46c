#include <fcntl.h>

#include "app/prony.hpp"

int main(int argc, char** argv) {
  // Where standard input, output or error came closed, a file opened later would get its number, and what is printed
  // would go into that file. Not for writing and closed on exec: a write still fails, and a command still finds it
  // closed.
  for (int fd = 0; fd < 3; ++fd)
    if (::fcntl(fd, F_GETFD) == -1 && ::open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) break;
  return prony::app::prony_main(argc, argv);
}
