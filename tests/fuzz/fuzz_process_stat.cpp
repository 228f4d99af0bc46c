// parts: process
// Any text as /proc/PID/stat and /proc/PID/status: a process can name itself as it likes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "process/proc_files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)prony::parse_process_stat(text);
  (void)prony::parse_status_field(text, "VmHWM", 10);
  (void)prony::parse_status_field(text, "SigIgn", 16);
  return 0;
}
