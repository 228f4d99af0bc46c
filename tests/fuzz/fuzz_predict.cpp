// parts: predict eigen
// Any text as a data set, a network or a predictor: it is refused with an error that says where, or what it gives can
// be predicted with, and a predictor is the same again when it is written and read once more.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "predict/dataset.hpp"
#include "predict/model_file.hpp"
#include "predict/network_json.hpp"
#include "predict/what_if.hpp"

namespace {

using namespace prony;
using namespace prony::predict;

void require(bool good) {
  if (!good) std::abort();
}

void try_network(Result<NetworkToPredict> network) {
  if (!network) return require(!network.error().what.empty());
  WhatIf what_if;
  what_if.batch = 4, what_if.resolution = 64, what_if.width = 0.5, what_if.dtype = "int8";
  TargetModel model;
  model.any.costs[0] = 1, model.any.floor = 1;
  for (int twice = 0; twice < 2; ++twice) {
    const Prediction prediction = predict_network(model, network->layers);
    require(prediction.layers.size() == network->layers.size() && !std::isnan(prediction.total.high));
    require(std::isfinite(prediction.total.high) == (prediction.total.unbounded_layers == 0));
    (void)change(*network, what_if);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Dataset dataset;
  if (read_rows(text, "rows.csv", true, dataset)) {
    for (const DatasetRow& row : dataset.rows)
      require(!row.flag.empty() || (row.runtime_s > 0 && why_unusable(row.layer).empty()));
    (void)check_dataset(dataset);
    Dataset again;
    require(read_rows(rows_csv(dataset), "again", true, again).has_value() && again.rows.size() == dataset.rows.size());
  }
  for (const char* kind : {"convolutional", "pooling", "dense"}) {
    Dataset old;
    (void)read_edgeprofiler(text, kind, "net", "old.csv", old);
  }
  (void)read_networks(text, "networks.csv", dataset);
  (void)files_of_manifest(text, dataset);
  try_network(network_from_json(text, "network"));
  try_network(network_from_csv(text, "network"));
  if (const auto predictor = predictor_from_text(text, "model")) {
    const std::string written = to_text(*predictor);
    const auto again = predictor_from_text(written, "again");
    require(again && to_text(*again) == written);
    Layer layer;
    layer.kind = "convolution";
    complete(layer);
    for (const TargetModel& model : predictor->targets) (void)predict_network(model, {layer});
  }
  return 0;
}
