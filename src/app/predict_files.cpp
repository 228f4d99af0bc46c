#include "app/predict_files.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/sha256.hpp"
#include "base/text.hpp"
#include "complexity/onnx.hpp"
#include "predict/fuse.hpp"
#include "predict/model_file.hpp"
#include "predict/network_json.hpp"

namespace prony::app {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t largest_table = std::size_t{1} << 30;

Result<void> read_manifested(const fs::path& folder, predict::Dataset& dataset) {
  const auto manifest = read_whole_file((folder / "dataset.json").string(), 1 << 20);
  if (!manifest) return Unexpected<Error>(manifest.error());
  const auto files = predict::files_of_manifest(*manifest, dataset);
  if (!files) return Unexpected<Error>(files.error());
  for (const auto& [name, sum] : *files) {
    if (name != "rows.csv" && name != "networks.csv") continue;  // Runs, which nothing is learned from here
    const std::string path = (folder / name).string();
    const auto text = read_whole_file(path, largest_table);
    if (!text) return Unexpected<Error>(text.error());
    if (sha256_hex(*text) != sum)
      return fail(ErrorCode::malformed, "it is not the file that dataset.json was written for: its SHA-256 differs",
                  path,
                  "Copy the data set again; after a change on purpose, write dataset.json anew (docs/predict.md).");
    const auto good = name == "rows.csv" ? predict::read_rows(*text, path, true, dataset)
                                         : predict::read_networks(*text, path, dataset);
    if (!good) return good;
  }
  return {};
}

// NETWORK/convolutional.csv, pooling.csv, dense.csv.
Result<bool> read_edgeprofiler_folder(const fs::path& folder, predict::Dataset& dataset) {
  std::error_code ignored;
  std::vector<fs::path> networks;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.is_directory(ignored)) networks.push_back(entry.path());
  std::sort(networks.begin(), networks.end());
  bool any = false;
  for (const fs::path& network : networks)
    for (const char* kind : {"convolutional", "pooling", "dense"}) {
      const std::string path = (network / (std::string(kind) + ".csv")).string();
      if (!fs::exists(path, ignored)) continue;
      const auto text = read_whole_file(path, largest_table);
      if (!text) return Unexpected<Error>(text.error());
      if (const auto good = predict::read_edgeprofiler(*text, kind, network.filename().string(), path, dataset); !good)
        return Unexpected<Error>(good.error());
      any = true;
    }
  return any;
}

// Of a file whose batch is fixed, walked again with another one: as exact as a file that was made so. Absent: its
// inputs have no batch in common, or an operator holds on to the old one.
std::optional<NetworkLayers> walked_at_batch(const complexity::OnnxModel& model, complexity::OnnxShapes shapes,
                                             const NetworkLayers& own, double batch) {
  for (const NetworkPort& port : own.inputs)
    if (port.shape.empty() || port.shape.front() != own.inputs.front().shape.front()) return std::nullopt;
  shapes.batch = static_cast<std::int64_t>(batch);
  auto layers = complexity::layers_of(model, shapes);
  if (!layers || layers->layers.size() != own.layers.size()) return std::nullopt;
  const auto elements = [](const std::vector<LayerShape>& all) {
    double count = 1;
    if (!all.empty())
      for (const std::int64_t size : all.front()) count *= static_cast<double>(size);
    return count;
  };
  for (std::size_t i = 0; i < own.layers.size(); ++i) {
    const NetworkLayer &was = own.layers[i], &is = layers->layers[i];
    if (was.absent.empty() != is.absent.empty()) return std::nullopt;
    if (is.op == "Reshape" && elements(is.input_shapes) != elements(is.output_shapes)) return std::nullopt;
  }
  return std::move(*layers);
}

Result<predict::NetworkToPredict> load_onnx(const std::string& path, const NetworkShapes& told) {
  const auto model = complexity::read_onnx(path);
  if (!model) return Unexpected<Error>(model.error());
  complexity::OnnxShapes shapes;
  for (const std::string& words : told.words)
    if (auto added = complexity::add_onnx_shape(shapes, words); !added) return Unexpected<Error>(added.error());
  if (told.batch >= 1 && told.batch <= 1e6 && !model->dynamic_inputs().empty())
    shapes.batch = static_cast<std::int64_t>(told.batch);
  auto layers = complexity::layers_of(*model, shapes);
  if (!layers) return Unexpected<Error>(layers.error());
  if (told.batch >= 1 && told.batch <= 1e6 && !shapes.batch && shapes.inputs.empty() && !layers->inputs.empty())
    if (auto at = walked_at_batch(*model, shapes, *layers, told.batch)) *layers = std::move(*at);
  auto network = predict::fused_network(*layers);
  if (network.layers.empty()) return fail(ErrorCode::malformed, "no layers", path);
  return network;
}

}  // namespace

Result<predict::Dataset> load_dataset(const std::string& path) {
  predict::Dataset dataset;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    if (fs::exists(fs::path(path) / "dataset.json", ignored)) {
      if (const auto good = read_manifested(path, dataset); !good) return Unexpected<Error>(good.error());
      return dataset;
    }
    const auto any = read_edgeprofiler_folder(path, dataset);
    if (!any) return Unexpected<Error>(any.error());
    if (!*any)
      return fail(ErrorCode::malformed,
                  "no data set: neither dataset.json nor NETWORK/convolutional.csv, pooling.csv, dense.csv", path,
                  "docs/predict.md describes both.");
    return dataset;
  }
  const auto text = read_whole_file(path, largest_table);
  if (!text) return Unexpected<Error>(text.error());
  if (const auto good = predict::read_rows(*text, path, true, dataset); !good) return Unexpected<Error>(good.error());
  dataset.remarks.push_back(path + ": a table by itself: no sum says that it is whole");
  return dataset;
}

Result<predict::NetworkToPredict> load_network(const std::string& path, const NetworkShapes& shapes) {
  if (fs::path(path).extension() == ".onnx") {
    auto network = load_onnx(path, shapes);
    if (network) network->name = fs::path(path).stem().string();
    return network;
  }
  if (!shapes.words.empty())
    return fail(ErrorCode::usage, "only ONNX files leave shapes open", "--input-shape", "Leave it out for " + path);
  const auto text = read_whole_file(path, std::size_t{256} << 20);
  if (!text) return Unexpected<Error>(text.error());
  auto network = fs::path(path).extension() == ".csv" ? predict::network_from_csv(*text, path)
                                                      : predict::network_from_json(*text, path, shapes.batch);
  if (network && network->name.empty()) network->name = fs::path(path).stem().string();
  return network;
}

Result<predict::Predictor> load_predictor(const std::string& path) {
  const auto text = read_whole_file(path, std::size_t{256} << 20);
  if (!text) return Unexpected<Error>(text.error());
  return predict::predictor_from_text(*text, path);
}

}  // namespace prony::app
