#include "app/study_prepare.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "app/study_folder.hpp"

namespace prony::app {

namespace {

std::string marker_of(const std::filesystem::path& makes) {
  return (makes.parent_path() / ("." + makes.filename().string() + ".unfinished")).string();
}

// The marker may have gone while its lock was waited for.
bool is_on_disk(const Fd& fd) {
  struct stat status{};
  return ::fstat(fd.get(), &status) == 0 && status.st_nlink > 0;
}

}  // namespace

Result<std::optional<Making>> Making::begin(const std::string& makes, const std::atomic<int>& stop) {
  const std::filesystem::path path = std::filesystem::absolute(makes);
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  const std::string marker = marker_of(path);
  while (stop.load() == 0) {
    const bool left = std::filesystem::exists(marker, ignored);
    if (!left && std::filesystem::exists(path, ignored)) return std::optional<Making>();
    auto held = Fd::open(marker, O_RDWR | (left ? 0 : O_CREAT | O_EXCL), 0644);
    const bool changed =
        left ? !held && held.error().code == ErrorCode::absent : !held && std::filesystem::exists(marker, ignored);
    if (changed) continue;  // between the look and the opening
    if (!held) return Unexpected<Error>(held.error());
    if (::flock(held->get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR)
        return Unexpected<Error>(error_from_errno(errno, marker, "cannot lock"));
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    if (!is_on_disk(*held)) continue;
    if (!left && std::filesystem::exists(path, ignored)) {  // somebody made it in between
      ::unlink(marker.c_str());
      return std::optional<Making>();
    }
    if (auto kept = keep_durably(marker); !kept) return Unexpected<Error>(kept.error());
    if (std::filesystem::exists(path, ignored)) {
      const std::string half = path.string() + ".half";
      std::filesystem::remove_all(half, ignored);
      if (::rename(path.c_str(), half.c_str()) != 0)
        return Unexpected<Error>(error_from_errno(errno, path.string(), "it was left half made, and cannot be moved"));
    }
    return std::optional<Making>(Making(path.string(), marker, std::move(*held)));
  }
  return std::optional<Making>();
}

Result<void> Making::finish() {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(makes_, ignored))
    if (auto kept = keep_durably(makes_); !kept) return kept;
  std::filesystem::remove_all(makes_ + ".half", ignored);
  if (::unlink(marker_.c_str()) != 0) return Unexpected<Error>(error_from_errno(errno, marker_, "cannot remove it"));
  return {};
}

}  // namespace prony::app
