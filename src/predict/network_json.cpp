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

}  // namespace prony::predict
