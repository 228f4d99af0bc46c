#include "predict/network_json.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "layers/tensorrt.hpp"
#include "predict/dataset.hpp"

namespace prony::predict {

namespace {

using Json = nlohmann::json;
using Sizes = std::vector<double>;

constexpr std::size_t most_layers = 100'000;

// [1, 3, 224, 224], or the same as text with anything between the numbers. Not a shape: empty.
Sizes shape_of(const Json& value) {
  Sizes sizes;
  if (value.is_array()) {
    for (const Json& v : value)
      if (v.is_number())
        sizes.push_back(v.get<double>());
      else
        return value.size() == 1 ? shape_of(v) : Sizes{};
  } else if (value.is_number()) {
    sizes.push_back(value.get<double>());
  } else if (value.is_string()) {
    std::string digits;
    for (const char c : value.get<std::string>() + " ") {
      if (c >= '0' && c <= '9' && digits.size() < 15)
        digits += c;
      else if (!digits.empty())
        sizes.push_back(static_cast<double>(parse_u64(digits).value_or(0))), digits.clear();
    }
  }
  return sizes.size() > 8 ? Sizes{} : sizes;
}

void set_sizes(const Sizes& shape, std::array<double, 3>& sizes, double* batch) {
  sizes = {1, 1, 1};
  for (std::size_t i = 1; i < shape.size(); ++i) sizes[std::min<std::size_t>(i - 1, 2)] *= shape[i];
  if (batch != nullptr && !shape.empty()) *batch = shape.front();
}

void set_pair(const Json& object, const char* name, std::array<double, 2>& pair) {
  const auto found = object.find(name);
  if (found == object.end()) return;
  const Sizes sizes = shape_of(*found);
  if (!sizes.empty()) pair = {sizes[0], sizes[std::min<std::size_t>(1, sizes.size() - 1)]};
}

std::string word(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// A pooling's window where nobody tells it, as large as its step must be.
std::array<double, 2> window_between(const Layer& layer) {
  return {std::max(1.0, std::floor(layer.in[1] / layer.out[1])), std::max(1.0, std::floor(layer.in[2] / layer.out[2]))};
}

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// --- TensorRT ------------------------------------------------------------------------------------------------------

Result<NetworkToPredict> from_tensorrt(std::string_view text, const std::string& where) {
  const auto engine = layers::read_engine(text);
  if (!engine) {
    Error error = engine.error();
    error.where = where;
    return Unexpected<Error>(error);
  }
  if (std::ranges::all_of(engine->types, &std::string::empty))
    return fail(ErrorCode::malformed, "the engine's layers are names only", where,
                "Inspect the engine with detailed profiling verbosity (trtexec --profilingVerbosity=detailed).");
  NetworkLayers known = engine->network;
  std::vector<std::string> assumed;
  for (NetworkLayer& layer : known.layers) {
    if (layer.kind != LayerKind::pooling || !layer.kernel.empty()) continue;
    const auto window = window_between(layer_from(layer));
    layer.kernel = {static_cast<std::int64_t>(window[0]), static_cast<std::int64_t>(window[1])};
    layer.absent.clear();
    assumed.push_back(layer.name + ": a pooling without its window: input ÷ output is taken");
  }
  NetworkToPredict network = network_from(known);
  network.remarks.insert(network.remarks.end(), assumed.begin(), assumed.end());
  return network;
}

// --- PyTorch --------------------------------------------------------------------------------------------------------

std::string torch_kind(const std::string& type) {
  const std::string t = lower(type);
  for (const auto& [part, kind] : std::initializer_list<std::pair<const char*, const char*>>{{"conv", "convolution"},
                                                                                             {"linear", "dense"},
                                                                                             {"pool", "pooling"},
                                                                                             {"norm", "normalisation"},
                                                                                             {"softmax", "softmax"},
                                                                                             {"embedding", "embedding"},
                                                                                             {"relu", "activation"},
                                                                                             {"gelu", "activation"},
                                                                                             {"silu", "activation"},
                                                                                             {"sigmoid", "activation"},
                                                                                             {"swish", "activation"},
                                                                                             {"tanh", "activation"},
                                                                                             {"flatten", "movement"},
                                                                                             {"dropout", "movement"},
                                                                                             {"identity", "movement"},
                                                                                             {"upsample", "resize"},
                                                                                             {"lstm", "recurrent"},
                                                                                             {"gru", "recurrent"},
                                                                                             {"attention", "matmul"}})
    if (holds(t, part)) return kind;
  return "unknown";
}

Result<void> add_torch_layer(const std::string& name, const Json& from, const std::string& where,
                             NetworkToPredict& network) {
  Layer layer;
  layer.name = name;
  const std::string type = word(from, "type");
  layer.kind = torch_kind(type);
  const Sizes in = shape_of(from.value("input_shape", Json())), out = shape_of(from.value("output_shape", Json()));
  if (in.empty() || out.empty())
    return fail(ErrorCode::malformed, "layer '" + printable(name, 40) + "' has no input_shape or output_shape", where);
  set_sizes(out, layer.out, &layer.batch);
  set_sizes(in, layer.in, &layer.batch);
  set_pair(from, "kernel_size", layer.kernel);
  set_pair(from, "stride", layer.stride);
  set_pair(from, "padding", layer.padding);
  layer.padding = {2 * layer.padding[0], 2 * layer.padding[1]};  // torch: on each side
  set_pair(from, "dilation", layer.dilation);
  if (const Sizes groups = shape_of(from.value("groups", Json())); !groups.empty())
    layer.groups = groups[0];
  else if (layer.kind == "convolution")
    network.remarks.push_back(name + ": groups are not told: 1 is taken, which is wrong for a depthwise convolution");
  if (layer.kind == "pooling" && !from.contains("kernel_size")) layer.kernel = window_between(layer);
  if (const std::string dtype = word(from, "dtype"); !dtype.empty()) layer.dtype = dtype;
  const Json macs = from.value("multiply_adds", Json());
  if (macs.is_number() && macs.get<double>() >= 0) layer.macs = macs.get<double>();
  complete(layer);
  network.layers.push_back(std::move(layer));
  return {};
}

Result<NetworkToPredict> from_torch(const Json& layers, const std::string& where) {
  NetworkToPredict network;
  network.source = "torch";
  std::size_t number = 0;
  for (const auto& [key, layer] : layers.items()) {
    ++number;
    if (!layer.is_object())
      return fail(ErrorCode::malformed, "layer " + std::to_string(number) + " is no object", where);
    const std::string named = word(layer, "name");
    if (const auto good = add_torch_layer(!named.empty()       ? named
                                          : layers.is_object() ? key
                                                               : "layer " + std::to_string(number),
                                          layer, where, network);
        !good)
      return Unexpected<Error>(good.error());
  }
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
  for (DatasetRow& row : list.rows) {
    if (!row.flag.empty())
      return fail(ErrorCode::malformed, "layer '" + printable(row.layer.name, 40) + "': " + row.flag, where);
    if (network.name.empty()) network.name = row.network;
    network.layers.push_back(std::move(row.layer));
  }
  if (network.layers.empty()) return fail(ErrorCode::malformed, "no layers", where);
  return network;
}

Result<NetworkToPredict> network_from_json(std::string_view text, const std::string& where) {
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
    if (j.is_object() && j.contains("Layers")) return from_tensorrt(text, where);
    const Json& first = layers.is_array() ? layers.front() : layers.begin().value();
    if (!first.is_object()) return fail(ErrorCode::malformed, "its first layer is no object", where);
    for (const Json& layer : layers)
      if (!layer.is_object()) return fail(ErrorCode::malformed, "a layer is no object", where);
    auto network = first.contains("kind") ? from_list(layers, where) : from_torch(layers, where);
    if (network && j.is_object() && j.contains("name")) network->name = word(j, "name");
    return network;
  } catch (const Json::exception& bad) {
    return fail(ErrorCode::malformed, bad.what(), where);
  }
}

}  // namespace prony::predict
