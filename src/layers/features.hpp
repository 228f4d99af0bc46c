// Training data of EdgeProfiler: three tables of one network (convolutional, pooling, dense), same columns, same order.
// The features are right: poolings have their own window. As EdgeProfiler made them (`Windows::as_edgeprofiler`), a
// pooling's window is its whole input, for data that must be held against old data. Pure. Units as there: power in
// microwatts above idle, time in milliseconds.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "layers/byte_source.hpp"
#include "layers/recording.hpp"
#include "layers/tensorrt.hpp"

namespace prony::layers {

// power_runtime_mapping_layerwise.csv, layer by layer.
struct MappedLayer {
  std::string name, type;
  std::vector<double> with_idle_uw, without_idle_uw;  // where there was a reading
  std::vector<double> ms;                             // of every inference
};
struct Mapping {
  std::vector<MappedLayer> layers;  // in the order in which they come
  std::size_t rows = 0;
  std::vector<std::string> notes;
};
[[nodiscard]] Result<Mapping> read_mapping(ByteSource& source);
inline constexpr std::string_view mapping_header =
    "cycle,layer_name,layer_type,layer_power_including_idle_power_micro_watt,"
    "layer_power_excluding_idle_power_micro_watt,layer_run_time\n";

// <model>_average_power_stats.csv and …_run_time_stats.csv: pandas' describe() by layer, sorted by name, of the three
// types that EdgeProfiler keeps.
[[nodiscard]] std::string power_stats_csv(const Mapping& mapping);
[[nodiscard]] std::string time_stats_csv(const Mapping& mapping);
struct StatsRow {
  std::string name;
  Spread spread;  // of no values where `count` is 0
};
[[nodiscard]] Result<std::vector<StatsRow>> read_stats(ByteSource& source);

enum class Windows : std::uint8_t { true_ones, as_edgeprofiler };

struct TrainingTable {
  std::string kind;  // "convolutional", "pooling", "dense"
  std::vector<std::string> columns;
  std::vector<std::vector<double>> rows;  // one number for each column but the last, which is the layer's name
  std::vector<std::string> names;
};
struct Training {
  std::vector<TrainingTable> tables;  // those that have rows
  // EdgeProfiler drops a whole network where one layer has too few samples; here it is the layer, and it is told.
  std::vector<std::string> left_out;
};
[[nodiscard]] Training training_of(const Mapping& mapping, const Engine& engine, Windows windows,
                                   std::size_t least_samples);
[[nodiscard]] std::string training_csv(const TrainingTable& table);
[[nodiscard]] Result<TrainingTable> read_training(ByteSource& source);

// The features of one layer by name, as in the tables; absent: EdgeProfiler has no table for its type, or a shape is
// not told.
[[nodiscard]] std::optional<std::map<std::string, double>> features_of(const Engine& engine, std::size_t layer,
                                                                       Windows windows);

// "CaskConvolution" → "convolutional", "CaskPooling" → "pooling", "CaskGemmConvolution" → "dense"; else "".
[[nodiscard]] std::string_view table_of(std::string_view type) noexcept;

}  // namespace prony::layers
