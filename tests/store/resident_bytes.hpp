// What this process holds of the machine's memory.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <fstream>

namespace prony::test {

inline std::size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace prony::test
