// parts: app
// Any text as the record that `prony setup NAME --undo` goes by, which it does as root: refused whole, or every step of
// it says exactly what will be done, where, and stays below the root.
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "app/setup_apply.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using prony::app::SetupStep;
  static const std::string root = "/dev/shm/prony-fuzz-setup-" + std::to_string(::getpid());
  const std::string folder = root + "/var/lib/prony", path = folder + "/setup-rapl.json";
  std::filesystem::create_directories(folder);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || ::write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
  ::close(fd);
  const auto steps = prony::app::recorded_setup(root, "rapl");
  if (!steps && steps.error().what.empty()) std::abort();
  if (steps)
    for (const SetupStep& step : *steps) {
      if (to_string(step).empty() && step.kind != SetupStep::Kind::command) std::abort();
      if (undo_text(step).empty()) std::abort();
      const bool command = step.kind == SetupStep::Kind::command;
      const std::string& touched = command ? step.undo.front() : step.path;
      if (!touched.starts_with('/') || (touched + "/").find("/../") != std::string::npos) std::abort();
      if (touched.find('\0') != std::string::npos) std::abort();  // one path would be said and another one touched
      if (step.kind == SetupStep::Kind::mode && (step.before.find(' ') != 4 || step.before.size() < 6)) std::abort();
    }
  std::filesystem::remove_all(root);
  return 0;
}
