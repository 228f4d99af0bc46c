// Look codec: a run of ProcessLooks ↔ compressed bytes. Pure: no files, no clocks. decode_looks() accepts any bytes at
// all and answers with an error (malformed) where they are not a chunk of looks; what was encoded comes back as it was,
// to the bit. Thread promise: any thread. Source: own design; docs/run-format.md specifies the bytes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "model/process_use.hpp"

namespace prony {

inline constexpr std::size_t chunk_looks_limit = 65536;
inline constexpr std::size_t chunk_uses_limit = std::size_t{1} << 21;

// Error usage: none or too many looks, or uses that do not ascend by process.
[[nodiscard]] Result<std::vector<std::byte>> encode_looks(std::span<const ProcessLook> looks);
[[nodiscard]] Result<std::vector<ProcessLook>> decode_looks(std::span<const std::byte> bytes);

}  // namespace prony
