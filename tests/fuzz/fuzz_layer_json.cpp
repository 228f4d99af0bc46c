// parts: layers
// Any bytes as any of the JSON recordings of layers: refused or read, and what was read of layer times can be written
// and read again with the same times.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "layers/edgeprofiler.hpp"
#include "layers/edgeprofiler_write.hpp"
#include "layers/features.hpp"
#include "layers/other_files.hpp"
#include "layers/tensorrt.hpp"

using namespace prony::layers;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0] % 64;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  (void)kind_of(text);
  TextSource latencies(text, piece), idle(text, piece), benchmark(text, piece), profile(text, piece),
      times(text, piece), ort(text, piece);
  if (const auto read = read_layer_latencies(latencies)) {
    std::string written;
    (void)write_layer_latencies(*read, [&](std::string_view one) -> prony::Result<void> {
      written += one;
      return {};
    });
    TextSource again(written);
    const auto back = read_layer_latencies(again);
    if (!back) std::abort();
    if (back->layers.size() != read->layers.size()) return 0;  // names that are no UTF-8 may have become one
    for (std::size_t i = 0; i < back->layers.size(); ++i)
      if (back->layers[i].ms != read->layers[i].ms || back->layers[i].told_us != read->layers[i].told_us) std::abort();
  }
  (void)read_idle_power(idle);
  (void)read_benchmark(benchmark);
  (void)read_trtexec_profile(profile);
  (void)read_trtexec_times(times);
  (void)read_onnxruntime_profile(ort);
  if (const auto engine = read_engine(text))
    for (std::size_t i = 0; i < engine->types.size(); ++i)
      for (const Windows windows : {Windows::true_ones, Windows::as_edgeprofiler})
        (void)features_of(*engine, i, windows);
  return 0;
}
