// The floor: the least that reading files can cost, in plain C. Kept-open descriptors, one pread and one integer parse
// per file, two clock reads per tick; no class, no check, nothing stored.
#pragma once

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace prony::bench {

inline std::int64_t clock_ns(clockid_t clock) {
  struct timespec t{};
  clock_gettime(clock, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

inline std::vector<int> open_all(const std::vector<std::string>& paths) {
  std::vector<int> fds;
  for (const auto& path : paths) {
    fds.push_back(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fds.back() < 0) {
      std::perror(path.c_str());
      std::exit(2);
    }
  }
  return fds;
}

// One tick; the sum keeps the compiler honest.
inline std::int64_t floor_tick(const std::vector<int>& fds) {
  char buffer[64];
  std::int64_t sum = clock_ns(CLOCK_MONOTONIC);
  for (const int fd : fds) {
    const ssize_t got = pread(fd, buffer, sizeof buffer, 0);
    std::int64_t value = 0;
    for (ssize_t i = 0; i < got && buffer[i] >= '0' && buffer[i] <= '9'; ++i) value = value * 10 + (buffer[i] - '0');
    sum += value;
  }
  return sum + clock_ns(CLOCK_MONOTONIC);
}

// A folder that stands in for /sys with 20 RAPL packages, as the rapl sensor wants them. Files: their energy_uj.
inline std::vector<std::string> make_packages(const std::string& root, int count) {
  std::vector<std::string> files;
  for (int i = 0; i < count; ++i) {
    const std::string zone = root + "/class/powercap/intel-rapl:" + std::to_string(i);
    if (std::system(("mkdir -p " + zone).c_str()) != 0) std::exit(2);
    const auto write = [&](const char* name, const std::string& text) {
      FILE* file = std::fopen((zone + "/" + name).c_str(), "w");
      if (file == nullptr) std::exit(2);
      std::fputs((text + "\n").c_str(), file);
      std::fclose(file);
    };
    write("name", "package-" + std::to_string(i));
    write("energy_uj", std::to_string(123456789012LL + i * 1000003LL));
    write("max_energy_range_uj", "262143328850");
    write("enabled", "1");
    files.push_back(zone + "/energy_uj");
  }
  return files;
}

}  // namespace prony::bench
