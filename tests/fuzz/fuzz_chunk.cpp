// parts: store
// Any bytes into the chunk codec: an error or a block, never a crash; a block that came out goes in and out unchanged.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "store/chunk_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto block = prony::decode_chunk(std::as_bytes(std::span(data, size)));
  if (!block || block->ticks() == 0) return 0;
  const auto bytes = prony::encode_chunk(*block, 0, block->ticks());
  if (!bytes) std::abort();
  const auto again = prony::decode_chunk(*bytes);
  if (!again || again->ticks() != block->ticks() || again->channels() != block->channels()) std::abort();
  for (std::size_t tick = 0; tick < block->ticks(); ++tick) {
    if (again->begin(tick) != block->begin(tick) || again->end(tick) != block->end(tick)) std::abort();
    for (std::size_t channel = 0; channel < block->channels(); ++channel) {
      const auto was = block->reading(channel, tick);
      const auto is = again->reading(channel, tick);
      if (was.quality != is.quality || (was.quality != prony::Quality::gap && was.raw != is.raw)) std::abort();
    }
  }
  return 0;
}
