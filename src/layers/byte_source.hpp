// ByteSource: where readers of recordings get their bytes from, a piece at a time, so that a file of any size takes the
// memory of one piece. The app makes one of a file; tests make one of a text. Thread promise: one thread at a time.
// Errors: those of whoever reads the file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::layers {

class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;
  // At most `most` bytes into `into`, and how many those are; 0: the end.
  [[nodiscard]] virtual Result<std::size_t> read(char* into, std::size_t most) = 0;
};

// The text is borrowed.
class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string_view text, std::size_t piece = static_cast<std::size_t>(-1))
      : left_(text), piece_(piece) {}
  Result<std::size_t> read(char* into, std::size_t most) override {
    const std::size_t bytes = std::min({left_.size(), most, piece_});
    std::memcpy(into, left_.data(), bytes);
    left_.remove_prefix(bytes);
    return bytes;
  }

 private:
  std::string_view left_;
  std::size_t piece_;
};

// Lines without their ends. One that is longer than `longest` is told as cut: none of these formats has such lines.
class LineReader {
 public:
  static constexpr std::size_t longest = 64 * 1024;
  explicit LineReader(ByteSource& source) : source_(source), buffer_(256 * 1024) {}
  // false: there is none left. The line is valid until the next call.
  [[nodiscard]] Result<bool> next(std::string_view& line);
  [[nodiscard]] std::size_t number() const noexcept { return number_; }  // of the line last given, from 1
  [[nodiscard]] bool ended() const noexcept { return ended_; }           // whether that line had an end

 private:
  ByteSource& source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0, number_ = 0;
  bool at_end_ = false, ended_ = true;
};

}  // namespace prony::layers
