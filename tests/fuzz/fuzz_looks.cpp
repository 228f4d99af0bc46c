// parts: store
// Any bytes into the codec of looks: an error or looks, never a crash; looks that came out go in and out unchanged. An
// odd first byte: the rest is compressed first, as by somebody who knows the format.
#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "store/look_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto rest = std::span(data, size).subspan(1);
  std::vector<std::byte> given(ZSTD_compressBound(rest.size()));
  if (data[0] % 2 == 1)
    given.resize(ZSTD_compress(given.data(), given.size(), rest.data(), rest.size(), 1));
  else
    given.assign(std::as_bytes(rest).begin(), std::as_bytes(rest).end());
  const auto looks = prony::decode_looks(given);
  if (!looks) return 0;
  const auto bytes = prony::encode_looks(*looks);
  if (!bytes) std::abort();
  const auto again = prony::decode_looks(*bytes);
  if (!again || again->size() != looks->size()) std::abort();
  for (std::size_t l = 0; l < looks->size(); ++l) {
    const auto& was = (*looks)[l];
    const auto& is = (*again)[l];
    if (was.between.begin != is.between.begin || was.between.end != is.between.end ||
        was.ended_unseen_ns != is.ended_unseen_ns || was.uses.size() != is.uses.size())
      std::abort();
    for (std::size_t u = 0; u < was.uses.size(); ++u)
      if (was.uses[u].process != is.uses[u].process || was.uses[u].cpu_ns != is.uses[u].cpu_ns ||
          was.uses[u].resident_bytes != is.uses[u].resident_bytes)
        std::abort();
  }
  return 0;
}
