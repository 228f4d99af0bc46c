// parts: reports store attribute
// Any bytes as a Run file, and a good one with bytes changed: an error, or a Run that can be read to its end and summed
// up. The seeds are real Runs, so the changes reach the tables behind SQLite's own checks.
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "reports/summary.hpp"
#include "reports/summary_json.hpp"
#include "store/run.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = "/dev/shm/prony-fuzz-run-" + std::to_string(::getpid());
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || ::write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
  ::close(fd);
  const auto run = prony::Run::open(path);
  if (run) {
    for (const auto& group : (*run)->groups())
      (void)(*run)->for_each_block(group.id, [](const prony::TickBlock&) { return true; });
    if (const auto summary = prony::summarise(**run)) (void)prony::to_json(*summary);
  } else if (run.error().what.empty()) {
    std::abort();
  }
  for (const char* rest : {"", "-wal", "-shm", "-journal", ".spans"}) ::unlink((path + rest).c_str());
  return 0;
}
