#include "app/file_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace prony::app {

Result<FileSource> FileSource::open(const std::string& path) {
  // A pipe that nobody writes to must not hold the program up before it is known to be one.
  auto fd = Fd::open(path, O_RDONLY | O_NONBLOCK);
  if (!fd) return Unexpected<Error>(fd.error());
  struct stat facts{};
  if (::fstat(fd->get(), &facts) != 0) return Unexpected<Error>(error_from_errno(errno, path));
  if (!S_ISREG(facts.st_mode)) return fail(ErrorCode::malformed, "is no ordinary file", path);
  // Spreadsheets of other systems write a mark of three bytes before the text. No recording begins with it otherwise.
  char mark[3] = {};
  if (::pread(fd->get(), mark, sizeof mark, 0) == sizeof mark &&
      std::string_view(mark, sizeof mark) == byte_order_mark && ::lseek(fd->get(), sizeof mark, SEEK_SET) < 0)
    return Unexpected<Error>(error_from_errno(errno, path, "cannot read"));
  return FileSource(std::move(*fd), path);
}

Result<std::size_t> FileSource::read(char* into, std::size_t most) {
  while (true) {
    const ssize_t got = ::read(fd_.get(), into, most);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unexpected<Error>(error_from_errno(errno, path_, "cannot read"));
    return static_cast<std::size_t>(got);
  }
}

}  // namespace prony::app
