// Listing of processes: of any machine by its list("/proc"), of one whose /proc is a directory by getdents64(2), which
// gives the inodes as well. A process gets a directory, and so an inode, of its own: an inode that stayed is a process
// that stayed (proc_pid_readdir and pid_revalidate in the kernel's fs/proc/base.c); one that changed may only have been
// dropped from the cache.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "machine/file_machine.hpp"

namespace prony {

namespace {

bool by_pid(const ListedProcess& a, const ListedProcess& b) noexcept { return a.pid < b.pid; }

struct Entry {  // linux_dirent64, getdents64(2)
  std::uint64_t inode;
  std::int64_t offset;
  unsigned short length;
  unsigned char type;
};

void add_entries(const char* buffer, long size, std::vector<ListedProcess>& out) {
  for (long at = 0; at < size;) {
    Entry entry{};
    std::memcpy(&entry, buffer + at, offsetof(Entry, type));
    const char* name = buffer + at + offsetof(Entry, type) + 1;
    if (*name >= '1' && *name <= '9') {
      std::int64_t pid = 0;
      const auto parsed = std::from_chars(name, name + ::strnlen(name, 24), pid);
      if (parsed.ec == std::errc() && *parsed.ptr == '\0') out.push_back({pid, entry.inode});
    }
    at += entry.length;
  }
}

}  // namespace

Result<void> Machine::list_processes(std::vector<ListedProcess>& out) {
  out.clear();
  const auto names = list("/proc");
  if (!names) return Unexpected<Error>(names.error());
  for (const std::string& name : *names)
    if (const auto pid = parse_i64(name); pid && *pid > 0) out.push_back({*pid, 0});
  std::sort(out.begin(), out.end(), by_pid);
  return {};
}

Result<void> FileMachine::list_processes(std::vector<ListedProcess>& out) {
  out.clear();
  const Fd directory(::open(real_path("/proc").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return Unexpected<Error>(error_from_errno(errno, "/proc", "cannot list"));
  alignas(8) char buffer[32 * 1024];
  while (true) {
    const auto got = ::syscall(SYS_getdents64, directory.get(), buffer, sizeof buffer);
    if (got < 0) return Unexpected<Error>(error_from_errno(errno, "/proc", "cannot list"));
    if (got == 0) break;
    add_entries(buffer, got, out);
  }
  if (!std::is_sorted(out.begin(), out.end(), by_pid)) std::sort(out.begin(), out.end(), by_pid);
  return {};
}

}  // namespace prony
