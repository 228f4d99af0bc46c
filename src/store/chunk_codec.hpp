// Chunk codec: a block of ticks ↔ compressed bytes. Pure: no files, no clocks. decode_chunk() accepts any bytes at all
// and answers with an error (malformed) where they are not a chunk; all arithmetic wraps, so every int64 comes back as
// it was, except that the meaningless number of a gap comes back as 0. Thread promise: any thread. Source: own design,
// after the delta-of-delta of Facebook's Gorilla and the byte planes of Blosc; docs/run-format.md specifies the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "model/sample.hpp"

namespace prony {

inline constexpr std::size_t chunk_ticks_limit = 65536;
inline constexpr std::size_t chunk_channels_limit = 65536;
inline constexpr std::size_t chunk_readings_limit = std::size_t{1} << 22;  // ticks × (channels + 2 stamps)

// Ticks first … first + ticks − 1 of the block. Error usage: outside the block or over the limits.
[[nodiscard]] Result<std::vector<std::byte>> encode_chunk(const TickBlock& block, std::size_t first, std::size_t ticks);
[[nodiscard]] Result<TickBlock> decode_chunk(std::span<const std::byte> bytes);

}  // namespace prony
