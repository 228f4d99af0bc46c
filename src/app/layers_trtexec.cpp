#include "app/layers_trtexec.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "app/beside.hpp"
#include "app/file_source.hpp"
#include "app/layers_files.hpp"
#include "app/layers_rows.hpp"
#include "layers/tensorrt.hpp"

namespace prony::app {

namespace {

using TrtexecJson = nlohmann::ordered_json;

constexpr const char* usual_place = "/usr/src/tensorrt/bin/trtexec";  // of Debian packages and of JetPack

Result<layers::Recording> profile_of(const std::string& path) {
  auto source = FileSource::open(path);
  if (!source) return Unexpected<Error>(source.error());
  return layers::read_trtexec_profile(*source);
}

}  // namespace

Result<std::vector<std::string>> trtexec_worker(const std::string& precision, const std::string& folder,
                                                const CommandWords& program) {
  const auto worker = find_beside_or_in_path("prony-engine-trtexec");
  if (!worker)
    return fail(ErrorCode::absent, "the worker of this engine is not installed", "prony-engine-trtexec",
                "It is built with prony and stands beside it:  make build");
  std::vector<std::string> words{*worker, "--precision", precision, "--folder", folder};
  if (!program.empty()) {
    words.insert(words.end(), program.begin(), program.end());
    return words;
  }
  auto found = find_beside_or_in_path("trtexec");
  if (!found && ::access(usual_place, X_OK) == 0) found = usual_place;
  if (!found)
    return fail(ErrorCode::absent, "there is no trtexec on this machine", "--engine trtexec",
                "It comes with TensorRT. One that is elsewhere goes after two dashes:  -- /path/to/trtexec");
  words.push_back(*found);
  return words;
}

std::string trtexec_layer_times(const NetworkLayers& network, const std::string& prefix, const NetworkRunTimes& times) {
  TrtexecJson out = TrtexecJson::parse(layer_times({}, network, nullptr, times), nullptr, false);
  TrtexecJson notes = TrtexecJson::array();
  const auto profile = profile_of(prefix + ".profile.json");
  if (!profile) notes.push_back("trtexec's profile has no layers: " + profile.error().what);
  const auto engine = read_engine_file(prefix + ".layers.json");
  if (!engine) notes.push_back("trtexec's description of the engine was not read: " + engine.error().what);
  std::unordered_map<std::string, std::size_t> places;
  if (engine)
    for (std::size_t i = 0; i < engine->types.size(); ++i) places[engine->network.layers[i].name] = i;
  double sum = 0;
  for (const layers::LayerTimes& layer : profile ? profile->layers : std::vector<layers::LayerTimes>{}) {
    const auto mean = mean_ms(layer);
    if (!mean) continue;
    TrtexecJson row{{"name", layer.name}, {"op", ""}, {"provider", "TensorRT"}};
    if (const auto place = places.find(layer.name); place != places.end()) {
      const NetworkLayer& shape = engine->network.layers[place->second];
      row["op"] = engine->types[place->second];
      row["kind"] = std::string(to_string(shape.kind));
      if (shape.macs) row["macs"] = *shape.macs;
    }
    row["covers"] = TrtexecJson::array();
    row["mean_s"] = *mean * 1e-3;
    if (layer.median_ms) row["median_s"] = *layer.median_ms * 1e-3;
    if (layer.runs) row["runs"] = *layer.runs;
    sum += *mean * 1e-3;
    out["rows"].push_back(std::move(row));
  }
  out["sum_s"] = sum;
  const TrtexecJson profiled = out.value("profiled", TrtexecJson::object());
  out["unattributed_s"] = profiled.value("mean_s", 0.0) - sum;
  out["notes"] = std::move(notes);
  return out.dump(-1, ' ', false, TrtexecJson::error_handler_t::replace);
}

}  // namespace prony::app
