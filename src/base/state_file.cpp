#include "base/state_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "base/fd.hpp"

namespace prony {

namespace {

Result<void> make_folders(const std::filesystem::path& folder, const std::string& what) {
  std::filesystem::path made;
  for (const auto& part : folder) {
    made /= part;
    if (::mkdir(made.c_str(), 0700) != 0 && errno != EEXIST) {
      const int code = errno;
      std::error_code ignored;
      if (!std::filesystem::is_directory(made, ignored))
        return Unexpected<Error>(error_from_errno(code, made.string(), "cannot make the folder of " + what));
    }
  }
  return {};
}

Result<void> write_all(int fd, std::string_view text, const std::string& where, const std::string& what) {
  while (!text.empty()) {
    const auto put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Unexpected<Error>(error_from_errno(errno, where, "cannot write " + what));
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

}  // namespace

Result<void> replace_state_file(const std::filesystem::path& file, std::string_view text, std::string_view thing) {
  const std::string what(thing);
  if (auto made = make_folders(file.parent_path(), what); !made) return made;
  const auto fresh = file.string() + "." + std::to_string(::getpid()) + ".new";
  ::unlink(fresh.c_str());
  const auto written = [&]() -> Result<void> {
    const auto fd = Fd::open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!fd) return Unexpected<Error>(fd.error());
    return write_all(fd->get(), text, fresh, what);
  }();
  if (!written) {
    ::unlink(fresh.c_str());
    return written;
  }
  if (::rename(fresh.c_str(), file.c_str()) != 0) {
    const auto error = error_from_errno(errno, file.string(), "cannot put " + what + " in its place");
    ::unlink(fresh.c_str());
    return Unexpected<Error>(error);
  }
  return {};
}

}  // namespace prony
