// What the kernel tells of other processes in /proc. Always the live /proc, whatever --procfs says: the measured
// command is a process of this machine. Nothing here throws or, unless it returns a container, allocates. Absent: the
// process is gone, or is another user's. Source: proc(5). Thread promise: any thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace prony {

// Fields of /proc/PID/stat. Times are in ticks of sysconf(_SC_CLK_TCK), 10 ms as a rule.
struct ProcessStat {
  pid_t pid = 0;
  pid_t parent = 0;
  std::array<char, 16> name{};  // comm, at most 15 bytes and a 0
  char state = '?';             // 'Z': ended, not yet waited for
  std::uint64_t user_ticks = 0, system_ticks = 0;
  std::uint64_t children_user_ticks = 0, children_system_ticks = 0;  // of the children it waited for
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;  // with the pid, the identity of a process
};

[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view text) noexcept;
[[nodiscard]] std::optional<ProcessStat> read_process_stat(pid_t pid) noexcept;
[[nodiscard]] std::int64_t ns_per_tick() noexcept;

[[nodiscard]] std::optional<std::uint64_t> read_resident_bytes(pid_t pid) noexcept;       // statm
[[nodiscard]] std::optional<std::uint64_t> read_proportional_bytes(pid_t pid) noexcept;   // smaps_rollup: milliseconds
[[nodiscard]] std::optional<std::uint64_t> read_peak_resident_bytes(pid_t pid) noexcept;  // VmHWM

// The value of a "name: number" line of a status-like file, in the file's own unit.
[[nodiscard]] std::optional<std::uint64_t> parse_status_field(std::string_view text, std::string_view name,
                                                              int base) noexcept;
// True: it ignores SIGCHLD, so its children are reaped by the kernel and their times are lost to everybody.
[[nodiscard]] bool ignores_child_exits(pid_t pid) noexcept;

// Numbers that name entries of a directory are handed to `each`. False: it cannot be listed.
bool for_each_number_in(const char* directory, void* context, void (*each)(void* context, pid_t number)) noexcept;
// Adds the children of all threads of `pid`. False: this kernel has no task/TID/children, or `pid` is gone.
bool append_children(pid_t pid, std::vector<pid_t>& children);
// Adds all descendants of `root` (not itself).
void append_descendants(pid_t root, std::vector<pid_t>& descendants);
// Processes whose environment holds KEY=VALUE as they were started; only those of the same user can be seen.
[[nodiscard]] std::vector<pid_t> find_by_environment(std::string_view key_and_value);

}  // namespace prony
