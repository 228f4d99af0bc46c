// A file read a piece at a time, for readers of recordings; a byte order mark at its begin is passed over. Thread
// promise: one thread at a time.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "layers/byte_source.hpp"

namespace prony::app {

inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";  // of UTF-8

class FileSource final : public layers::ByteSource {
 public:
  [[nodiscard]] static Result<FileSource> open(const std::string& path);
  Result<std::size_t> read(char* into, std::size_t most) override;
  FileSource(FileSource&& other) noexcept : fd_(std::move(other.fd_)), path_(std::move(other.path_)) {}

 private:
  FileSource(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;
  std::string path_;
};

}  // namespace prony::app
