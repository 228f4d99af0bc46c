// parts: process
// Any bytes as a datagram of the process connector and of taskstats: nothing is read beyond its end, and names end.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "process/kernel_events.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> own(data, data + size);  // a block of its own, so that one byte too far is seen
  const std::string_view datagram(own.data(), own.size());
  std::vector<prony::ForkEvent> forks;
  prony::add_forks(datagram, forks);
  std::vector<prony::ThreadEnd> ends;
  prony::add_thread_ends(datagram, ends);
  if (forks.size() > size || ends.size() > size) __builtin_trap();  // a message cannot be shorter than a byte
  for (const prony::ThreadEnd& end : ends)
    if (end.name.back() != '\0') __builtin_trap();
  return 0;
}
