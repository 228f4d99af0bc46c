// What layers were measured to take: a data set. One folder: `rows.csv`, a row for each layer of each configuration
// that was measured; `networks.csv`, where whole runs were timed, a row for each configuration; and `dataset.json`,
// which says what made them and holds each file's SHA-256. docs/predict.md documents every column. EdgeProfiler's
// training files (convolutional.csv, pooling.csv, dense.csv) are read too. Pure: texts in, texts out. Units: seconds,
// joules, watts, bytes, MACs, hertz. Errors: malformed (file, line, column). What is merely odd (a layer that took no
// time, a number that is not one) is flagged: kept, told, not learned from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "predict/layer.hpp"

namespace prony::predict {

struct DatasetRow {
  std::string network, config;  // config: batch, resolution, threads … one run of the network
  Layer layer;
  double runtime_s = absent, energy_j = absent, power_w = absent;
  std::string flag;  // why it is not learned from; "": it is
};

struct MeasuredNetwork {
  std::string network, config;
  double latency_s = absent;  // of the whole, without a profiler
  double spread = absent;     // of repeated measurements, a share: half of what 90 % of them lie within
  double energy_j = absent;
};

struct Dataset {
  std::vector<DatasetRow> rows;
  std::vector<MeasuredNetwork> networks;
  std::map<std::string, std::string> facts;                      // of dataset.json: device, engine, versions
  std::vector<std::string> remarks;                              // what a reader of results must know
  [[nodiscard]] std::vector<std::string> network_names() const;  // sorted
  [[nodiscard]] std::size_t flagged() const;
};

inline constexpr const char* dataset_format = "prony-layer-dataset";
inline constexpr int dataset_version = 1;

// --- the folder ---------------------------------------------------------------------------------------------------
[[nodiscard]] std::string rows_csv(const Dataset& dataset);
[[nodiscard]] std::string networks_csv(const Dataset& dataset);
// The manifest of files, by what each is; or of these texts (name → text).
struct DatasetFile {
  std::string sha256;
  std::uint64_t bytes = 0;
};
[[nodiscard]] std::string dataset_manifest(const Dataset& dataset, const std::map<std::string, DatasetFile>& files);
[[nodiscard]] std::string dataset_manifest(const Dataset& dataset, const std::map<std::string, std::string>& files);
// The files that a manifest names, with the sum that each must have; `facts` are taken over.
[[nodiscard]] Result<std::map<std::string, std::string>> files_of_manifest(std::string_view manifest, Dataset& into);
// Appends. `measured`: rows must have a runtime (a data set), or need none (a list of layers by hand).
[[nodiscard]] Result<void> read_rows(std::string_view csv, const std::string& where, bool measured, Dataset& into);
[[nodiscard]] Result<void> read_networks(std::string_view csv, const std::string& where, Dataset& into);

// One training file of EdgeProfiler; `kind` by its name (convolutional, pooling, dense), the network by its folder.
// power is µW above idle, runtime ms. Pooling windows are wrong in every file that EdgeProfiler wrote from a TensorRT
// engine: rows whose window is their whole input though their output is not one point are flagged so in `remarks`.
[[nodiscard]] Result<void> read_edgeprofiler(std::string_view csv, const std::string& kind, const std::string& network,
                                             const std::string& where, Dataset& into);

// What stands in the way of learning: no rows, one network only; columns that never change are told, not refused.
[[nodiscard]] Result<void> check_dataset(Dataset& dataset);

}  // namespace prony::predict
