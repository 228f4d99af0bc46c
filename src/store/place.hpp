// Place: what the store must know of files and machines around a Run: is there room, is it a network file system, who
// records, does that process still live. Thread promise: any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.hpp"

namespace prony {

// The companions of a Run file.
[[nodiscard]] std::filesystem::path companion(const std::filesystem::path& path, const char* suffix);

enum class IfExists {
  refuse,
  replace,  // unless somebody records to it at this moment
  number,   // take another name: x-2.prony, x-3.prony, …
};
// Makes the parents, then the empty file, which nobody else can have made: → its path. usage: it exists, and may not;
// full: less room than a Run needs to begin with; denied, absent: with the path at fault.
[[nodiscard]] Result<std::filesystem::path> make_place(const std::filesystem::path& path, IfExists if_exists);

// NFS, SMB, 9p, FUSE and the like, where SQLite's shared memory must not be used (statfs(2) f_type).
[[nodiscard]] bool on_network(const std::filesystem::path& path);

struct Identity {
  std::string host;
  std::string boot_id;  // of the kernel: changes with every boot
  std::int64_t pid = 0;
  std::uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  bool operator==(const Identity&) const = default;
};
[[nodiscard]] Identity own_identity();
// Whether that very process lives on this machine now.
[[nodiscard]] bool is_alive(const Identity& identity);

// A folder of our own under $TMPDIR, removed with all it holds when this goes.
class TemporaryFolder {
 public:
  TemporaryFolder() = default;
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] static Result<TemporaryFolder> make();
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace prony
