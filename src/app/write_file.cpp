#include "app/write_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <ostream>
#include <streambuf>

#include "app/common.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "reports/tables.hpp"
#include "sinks/sink.hpp"

namespace prony::app {

namespace {

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Unexpected<Error>(error_from_errno(errno, path, "cannot write"));
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

// A stream into a descriptor that remembers the first error.
class FdBuffer : public std::streambuf {
 public:
  FdBuffer(int fd, std::string path) : fd_(fd), path_(std::move(path)) { setp(buffer_, buffer_ + sizeof buffer_); }
  [[nodiscard]] Result<void> finish() {
    (void)sync();
    return done_;
  }

 protected:
  int overflow(int c) override {
    if (sync() != 0) return traits_type::eof();
    if (c != traits_type::eof()) {
      *pptr() = static_cast<char>(c);
      pbump(1);
    }
    return traits_type::not_eof(c);
  }
  int sync() override {
    if (done_) done_ = write_all(fd_, {pbase(), static_cast<std::size_t>(pptr() - pbase())}, path_);
    setp(buffer_, buffer_ + sizeof buffer_);
    return done_ ? 0 : -1;
  }

 private:
  int fd_;
  std::string path_;
  Result<void> done_;
  char buffer_[65536];
};

struct Destination {
  Fd file;
  int fd = STDOUT_FILENO;
  std::string name = "standard output";
};

Result<Destination> open_destination(const std::string& path) {
  Destination destination;
  if (path == "-") return destination;
  auto file = Fd::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (!file) return Unexpected<Error>(file.error());
  destination.fd = file->get();
  destination.file = std::move(*file);
  destination.name = path;
  return destination;
}

}  // namespace

Result<void> write_file(const std::string& path, std::string_view text) {
  const auto destination = open_destination(path);
  if (!destination) return Unexpected<Error>(destination.error());
  return write_all(destination->fd, text, destination->name);
}

int print_result(std::string_view text) {
  const auto written = write_file("-", text);
  return written ? exit_code::ok : failed(written.error());
}

Result<void> export_table(const Run& run, std::string_view table, std::string_view format, const std::string& path) {
  auto source = make_table(run, table);
  if (!source) return Unexpected<Error>(source.error());
  auto sink = make_sink(format);
  if (!sink) return Unexpected<Error>(sink.error());
  const auto destination = open_destination(path);
  if (!destination) return Unexpected<Error>(destination.error());
  FdBuffer buffer(destination->fd, destination->name);
  std::ostream stream(&buffer);
  const auto rows = (*sink)->write(**source, stream);
  if (auto flushed = buffer.finish(); !flushed) return flushed;  // the cause, where the sink only saw a bad stream
  if (!rows) return Unexpected<Error>(rows.error());
  return {};
}

}  // namespace prony::app
