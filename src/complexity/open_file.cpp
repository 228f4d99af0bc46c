#include "complexity/open_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace prony::complexity {

Result<OpenFile> OpenFile::open(const std::string& path) {
  auto fd = Fd::open(path, O_RDONLY | O_NONBLOCK);  // a pipe without a writer would be waited for
  if (!fd) return Unexpected<Error>(fd.error());
  struct stat status{};
  if (::fstat(fd->get(), &status) != 0) return Unexpected<Error>(error_from_errno(errno, path));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::malformed, "not a file of bytes", path);
  OpenFile file;
  file.fd_ = std::move(*fd);
  file.bytes_ = static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0));
  file.path_ = path;
  return file;
}

Result<void> OpenFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t have = 0;
  while (have < out.size()) {
    const ssize_t got = ::pread(fd_.get(), out.data() + have, out.size() - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unexpected<Error>(error_from_errno(errno, path_));
    if (got == 0) return fail(ErrorCode::malformed, "the file became shorter while it was read", path_);
    have += static_cast<std::size_t>(got);
  }
  return {};
}

Result<std::string> read_text(const std::string& path, std::size_t most_bytes) {
  auto file = OpenFile::open(path);
  if (!file) return Unexpected<Error>(file.error());
  if (file->bytes() > most_bytes)
    return fail(ErrorCode::full,
                "longer than it may be (" + std::to_string(file->bytes()) + " bytes; " + std::to_string(most_bytes) +
                    " are the most)",
                path);
  std::string text(static_cast<std::size_t>(file->bytes()), '\0');
  if (auto read = file->read(0, std::as_writable_bytes(std::span(text))); !read) return Unexpected<Error>(read.error());
  return text;
}

}  // namespace prony::complexity
