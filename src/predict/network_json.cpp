#include "predict/network_json.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "layers/tensorrt.hpp"
#include "predict/dataset.hpp"
#include "predict/torch_summary.hpp"

namespace prony::predict {

namespace {

using Json = nlohmann::json;

constexpr std::size_t most_layers = 100'000;

std::string word(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// --- TensorRT ------------------------------------------------------------------------------------------------------

Result<NetworkToPredict> from_tensorrt(std::string_view text, const std::string& where, double batch) {
  const bool told = batch >= 1 && batch <= 1e6;
  const auto engine =
      layers::read_engine(text, told ? std::optional<std::int64_t>(static_cast<std::int64_t>(batch)) : std::nullopt);
  if (!engine) {
    Error error = engine.error();
    error.where = where;
    return Unexpected<Error>(error);
  }
  if (std::ranges::all_of(engine->types, &std::string::empty))
    return fail(ErrorCode::malformed, "the engine's layers are names only", where,
                "Inspect the engine with detailed profiling verbosity (trtexec --profilingVerbosity=detailed).");
  if (!engine->open_inputs.empty())
    return fail(ErrorCode::usage,
                "the shapes of its inputs are not fixed: " + printable(engine->open_inputs.front(), 100), where,
                told ? "--batch is its first dimension. Inspect the engine with its execution context, which has "
                       "the others."
                     : "If its first dimension alone is open, say --batch N.");
  NetworkLayers known = engine->network;
  std::vector<std::string> assumed;
  for (NetworkLayer& layer : known.layers) {
    if (layer.kind != LayerKind::pooling || !layer.kernel.empty()) continue;
    const auto window = window_between(layer_from(layer));
    if (!layer.bytes_read || !layer.bytes_written) continue;
    layer.kernel = {static_cast<std::int64_t>(window[0]), static_cast<std::int64_t>(window[1])};
    layer.absent.clear();
    assumed.push_back(layer.name + ": a pooling without its window: input ÷ output is taken");
  }
  NetworkToPredict network = network_from(known);
  network.remarks.insert(network.remarks.end(), assumed.begin(), assumed.end());
  return network;
}

// --- a list by hand: as the table of a data set
// -----------------------------------------------------------------------

Result<NetworkToPredict> from_list(const Json& layers, const std::string& where) {
  std::string csv;
  std::vector<std::string> names;
  for (const Json& layer : layers)
    for (const auto& [name, value] : layer.items())
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  if (names.size() > 100) return fail(ErrorCode::malformed, "more than 100 different keys", where);
  for (const std::string& name : names) csv += (csv.empty() ? "" : ",") + csv_field(name);
  csv += "\n";
  for (const Json& layer : layers) {
    bool first = true;
    for (const std::string& name : names) {
      const Json value = layer.value(name, Json());
      if (!value.is_string() && !value.is_number() && !value.is_null())
        return fail(ErrorCode::malformed, "'" + printable(name, 40) + "' of a layer is neither a number nor a word",
                    where, "A layer of a list has in_0, in_1, in_2 … : docs/predict.md lists the names.");
      csv += (first ? "" : ",") + (value.is_string()   ? csv_field(value.get<std::string>())
                                   : value.is_number() ? value.dump()
                                                       : "");
      first = false;
    }
    csv += "\n";
  }
  return network_from_csv(csv, where);
}

}  // namespace

Result<NetworkToPredict> network_from_csv(std::string_view text, const std::string& where) {
  Dataset list;
  if (const auto good = read_rows(text, where, false, list); !good) return Unexpected<Error>(good.error());
  NetworkToPredict network;
  network.source = "list";
  network.remarks = std::move(list.remarks);
  for (DatasetRow& row : list.rows) {
    if (!row.flag.empty())
      return fail(ErrorCode::malformed, "layer '" + printable(row.layer.name, 40) + "': " + row.flag, where);
    if (network.name.empty()) network.name = row.network;
    network.layers.push_back(std::move(row.layer));
  }
  if (network.layers.empty()) return fail(ErrorCode::malformed, "no layers", where);
  return network;
}

Result<NetworkToPredict> network_from_json(std::string_view text, const std::string& where, double batch) {
  Json j = Json::parse(text, nullptr, false);
  if (j.is_string()) j = Json::parse(j.get<std::string>(), nullptr, false);
  if (j.is_discarded()) return fail(ErrorCode::malformed, "not JSON", where);
  try {
    Json layers = j;
    for (const char* key : {"Layers", "layers"})
      if (j.is_object() && j.contains(key)) layers = j[key];
    if ((!layers.is_array() && !layers.is_object()) || layers.empty())
      return fail(ErrorCode::malformed, "no layers", where, "docs/predict.md lists the formats.");
    if (layers.size() > most_layers) return fail(ErrorCode::full, "more than 100000 layers", where);
    if (j.is_object() && j.contains("Layers")) return from_tensorrt(text, where, batch);
    const Json& first = layers.is_array() ? layers.front() : layers.begin().value();
    if (!first.is_object()) return fail(ErrorCode::malformed, "its first layer is no object", where);
    for (const Json& layer : layers)
      if (!layer.is_object()) return fail(ErrorCode::malformed, "a layer is no object", where);
    auto network = first.contains("kind") ? from_list(layers, where) : network_from_torch(layers, where, batch);
    if (network && j.is_object() && j.contains("name")) network->name = word(j, "name");
    return network;
  } catch (const Json::exception& bad) {
    return fail(ErrorCode::malformed, bad.what(), where);
  }
}

// --- what if
// -------------------------------------------------------------------------------------------------------------

bool WhatIf::any() const noexcept { return batch > 0 || resolution > 0 || width > 0 || threads > 0 || !dtype.empty(); }

namespace {

double resized(double size, double ratio) { return size > 1 ? std::max(1.0, std::round(size * ratio)) : size; }

// What a window makes of so many points.
double slid(double in, double padding, double dilation, double kernel, double stride) {
  return std::max(1.0, std::floor((in + padding - dilation * (kernel - 1) - 1) / stride) + 1);
}

void resize(Layer& layer, double ratio) {
  const bool windowed = layer.kind == "convolution" || layer.kind == "pooling";
  for (std::size_t axis = 1; axis < 3; ++axis) {
    const double in = layer.in[axis], k = layer.kernel[axis - 1], s = layer.stride[axis - 1];
    const double changed = resized(in, ratio);
    const bool follows = slid(in, layer.padding[axis - 1], layer.dilation[axis - 1], k, s) == layer.out[axis];
    if (layer.kind == "pooling" && k == in)
      layer.kernel[axis - 1] = changed;  // over everything
    else if (windowed && follows)
      layer.out[axis] = slid(changed, layer.padding[axis - 1], layer.dilation[axis - 1], k, s);
    else if (layer.out[axis] > 1 && layer.kind != "dense")
      layer.out[axis] = resized(layer.out[axis], ratio);
    layer.in[axis] = changed;
  }
}

}  // namespace

Result<void> change(NetworkToPredict& network, const WhatIf& what_if) {
  if (network.layers.empty() || !what_if.any()) return {};
  double ratio = 1;
  if (what_if.resolution > 0) {
    const double now = network.layers.front().in[1];
    if (now <= 1)
      return fail(ErrorCode::usage, "its first layer sees no image: there is no resolution to change", network.name);
    ratio = what_if.resolution / now;
  }
  if (what_if.batch > 1e6 || ratio > 64 || what_if.width > 64 || (what_if.resolution > 0 && what_if.resolution < 8))
    return fail(ErrorCode::usage, "a batch, resolution or width out of range", network.name);
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    Layer& layer = network.layers[i];
    const Layer before = layer;
    if (what_if.batch > 0) layer.batch = what_if.batch;
    if (!what_if.dtype.empty()) layer.dtype = what_if.dtype;
    if (what_if.threads > 0) layer.threads = what_if.threads;
    if (ratio != 1) resize(layer, ratio);
    if (what_if.width > 0) {
      const bool depthwise = layer.groups > 1 && layer.groups == layer.in[0];
      if (i > 0) layer.in[0] = std::max(1.0, std::round(layer.in[0] * what_if.width));
      if (i + 1 < network.layers.size()) layer.out[0] = std::max(1.0, std::round(layer.out[0] * what_if.width));
      if (depthwise) layer.groups = layer.in[0];
    }
    // What the file told of its costs scales as what follows from the shapes does.
    Layer plain_before = before, plain_after = layer;
    for (Layer* l : {&plain_before, &plain_after}) {
      l->macs = l->other_operations = l->bytes_read = l->bytes_weights = l->bytes_written = absent;
      complete(*l);
    }
    const auto scaled = [](double told, double was, double is) { return was > 0 ? told * (is / was) : told; };
    layer.macs = scaled(before.macs, plain_before.macs, plain_after.macs);
    layer.other_operations =
        scaled(before.other_operations, plain_before.other_operations, plain_after.other_operations);
    layer.bytes_read = scaled(before.bytes_read, plain_before.bytes_read, plain_after.bytes_read);
    layer.bytes_weights = scaled(before.bytes_weights, plain_before.bytes_weights, plain_after.bytes_weights);
    layer.bytes_written = scaled(before.bytes_written, plain_before.bytes_written, plain_after.bytes_written);
  }
  return {};
}

}  // namespace prony::predict
