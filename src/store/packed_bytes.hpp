// Packed bytes: what the codecs of the Run file share: varints, zigzag, byte planes, one zstd frame with content size
// and checksum, and a reader that never goes beyond what is there. Pure. Thread promise: any thread. Errors: malformed
// where bytes are not such a frame, unavailable where the compressor fails. docs/run-format.md specifies the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::packed {

using ByteVector = std::vector<std::uint8_t>;

constexpr std::uint64_t bits(std::int64_t value) noexcept { return static_cast<std::uint64_t>(value); }
constexpr std::int64_t number(std::uint64_t value) noexcept { return static_cast<std::int64_t>(value); }
constexpr std::uint64_t zigzag(std::uint64_t value) noexcept { return (value << 1) ^ (0 - (value >> 63)); }
constexpr std::uint64_t unzigzag(std::uint64_t value) noexcept { return (value >> 1) ^ (0 - (value & 1)); }

void put_varint(ByteVector& out, std::uint64_t value);

// Compresses `content` as one frame with a checksum; a new block starts at each of `cuts`.
[[nodiscard]] Result<std::vector<std::byte>> compress(const ByteVector& content, std::span<const std::size_t> cuts);
// `limit`: the most bytes that the content may have; memory is taken only below it.
[[nodiscard]] Result<ByteVector> decompress(std::span<const std::byte> bytes, std::size_t limit);
[[nodiscard]] Unexpected<Error> damaged(std::string_view what);

// Reads the uncompressed content; every answer is checked against what is left.
class Reader {
 public:
  explicit Reader(const ByteVector& content) : content_(content) {}

  [[nodiscard]] std::optional<std::uint8_t> byte() noexcept;
  [[nodiscard]] std::optional<std::uint64_t> varint() noexcept;
  [[nodiscard]] std::optional<std::span<const std::uint8_t>> take(std::size_t count) noexcept;
  [[nodiscard]] std::size_t left() const noexcept { return content_.size() - at_; }
  [[nodiscard]] bool at_end() const noexcept { return at_ == content_.size(); }

 private:
  const ByteVector& content_;
  std::size_t at_ = 0;
};

}  // namespace prony::packed
