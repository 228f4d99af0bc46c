#include "app/study_memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/text.hpp"
#include "reports/figures.hpp"

namespace prony::app {

namespace {

constexpr std::size_t most_processes = 10'000;

// Children of all threads of a process; empty where it is gone.
void add_children(const std::string& pid, std::vector<std::string>& into) {
  std::error_code failed;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + pid + "/task", failed)) {
    const auto text = read_whole_file((task.path() / "children").string(), 1 << 20);
    if (!text) continue;
    std::string_view rest(*text);
    for (std::string_view child = next_word(rest); !child.empty(); child = next_word(rest)) into.emplace_back(child);
  }
}

struct Pages {
  std::uint64_t own = 0, shared = 0;
};

Pages pages_of(const std::string& pid) {
  const auto text = read_whole_file("/proc/" + pid + "/statm", 256);
  if (!text) return {};
  std::string_view rest(*text);
  (void)next_word(rest);  // size
  const std::uint64_t resident = parse_u64(next_word(rest)).value_or(0),
                      shared = parse_u64(next_word(rest)).value_or(0);
  return {resident - std::min(resident, shared), shared};
}

}  // namespace

bool memory_can_be_told() {
  const std::string own = std::to_string(::getpid());
  return ::access(("/proc/" + own + "/task/" + own + "/children").c_str(), R_OK) == 0;
}

std::uint64_t memory_of_descendants() {
  std::vector<std::string> pids;
  add_children(std::to_string(::getpid()), pids);
  Pages all;
  for (std::size_t i = 0; i < pids.size() && i < most_processes; ++i) {
    const std::string pid = pids[i];
    const Pages one = pages_of(pid);
    all.own += one.own;
    all.shared = std::max(all.shared, one.shared);
    add_children(pid, pids);
  }
  return (all.own + all.shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string memory_words(std::uint64_t bytes) { return figures::bytes(static_cast<double>(bytes)); }

std::uint64_t out_of_memory_kills() {
  const auto text = read_whole_file("/proc/vmstat", 1 << 20);
  std::uint64_t count = 0;
  if (text)
    for_each_line(*text, [&](std::string_view line) {
      if (next_word(line) == "oom_kill") count = parse_u64(next_word(line)).value_or(0);
    });
  return count;
}

}  // namespace prony::app
