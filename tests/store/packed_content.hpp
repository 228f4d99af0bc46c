// Content that a test wrote byte by byte, compressed as a chunk's is.
#pragma once

#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace prony::test {

inline std::vector<std::byte> packed(const std::vector<std::uint8_t>& content) {
  std::vector<std::byte> bytes(ZSTD_compressBound(content.size()));
  bytes.resize(ZSTD_compress(bytes.data(), bytes.size(), content.data(), content.size(), 1));
  return bytes;
}

}  // namespace prony::test
