// parts: store
// Any ticks at all (extreme integers, times that run backwards, gaps) survive the chunk codec bit for bit.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>
#include <limits>
#include <vector>

#include "store/chunk_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  const auto channels = input.ConsumeIntegralInRange<std::size_t>(0, 5);
  const auto ticks = input.ConsumeIntegralInRange<std::size_t>(1, 40);
  prony::TickBlock block(prony::GroupId{1}, channels, ticks);
  std::vector<prony::Reading> readings(channels);
  for (std::size_t tick = 0; tick < ticks; ++tick) {
    for (auto& reading : readings) {
      reading.raw = input.ConsumeIntegral<std::int64_t>();
      reading.quality = static_cast<prony::Quality>(input.ConsumeIntegralInRange<int>(0, 2));
    }
    block.push({input.ConsumeIntegral<std::int64_t>()}, {input.ConsumeIntegral<std::int64_t>()}, readings);
  }
  const auto bytes = prony::encode_chunk(block, 0, ticks);
  if (!bytes) std::abort();
  const auto again = prony::decode_chunk(*bytes);
  if (!again || again->ticks() != ticks || again->channels() != channels) std::abort();
  for (std::size_t tick = 0; tick < ticks; ++tick) {
    if (again->begin(tick) != block.begin(tick) || again->end(tick) != block.end(tick)) std::abort();
    for (std::size_t channel = 0; channel < channels; ++channel) {
      const auto was = block.reading(channel, tick);
      const auto is = again->reading(channel, tick);
      if (was.quality != is.quality || (was.quality != prony::Quality::gap && was.raw != is.raw)) std::abort();
    }
  }
  return 0;
}
