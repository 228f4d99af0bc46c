// Files of which a few bytes are read at known places. A pipe, a device or a folder is refused at once, never waited
// for. Thread promise: any thread. Errors: those of opening; malformed (not a file of bytes, shorter than it said),
// full (longer than allowed).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace prony::complexity {

class OpenFile {
 public:
  [[nodiscard]] static Result<OpenFile> open(const std::string& path);
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  // All of `out`, from `offset` on.
  [[nodiscard]] Result<void> read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  Fd fd_;
  std::uint64_t bytes_ = 0;
  std::string path_;
};

[[nodiscard]] Result<std::string> read_text(const std::string& path, std::size_t most_bytes);

}  // namespace prony::complexity
