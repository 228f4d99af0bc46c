// parts: layers
// Any bytes as a power log, a tegrastats log or a CSV of layers: refused or read; training data that was read is
// written and read again as it was.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "layers/features.hpp"
#include "layers/layer_table.hpp"
#include "layers/legacy.hpp"
#include "layers/other_files.hpp"
#include "layers/power_facts.hpp"

using namespace prony::layers;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0] % 64;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  TextSource log(text, piece), rails(text, piece), table(text, piece), mapping(text, piece), stats(text, piece),
      training(text, piece), legacy(text, piece);
  (void)read_power_log(log);
  (void)read_tegrastats_log(rails);
  (void)read_table(table);
  if (const auto read = read_mapping(mapping)) (void)(power_stats_csv(*read) + time_stats_csv(*read));
  (void)read_stats(stats);
  if (const auto read = read_training(training)) {
    const std::string written = training_csv(*read);
    TextSource again(written);
    const auto back = read_training(again);
    if (!back || back->names.size() != read->names.size()) std::abort();
  }
  Recording recording;
  recording.layers.resize(2);
  for (LayerTimes& layer : recording.layers) {
    layer.ms = {0.5, 1e9, 0};
    layer.told_us = {1'732'166'404'000'000, 0, -5};
  }
  PowerLog readings(legacy);
  (void)map_legacy(recording, readings, 1e6, [](const LegacyRow&) {});
  return 0;
}
