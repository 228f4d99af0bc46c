#include "app/layers_files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_map>

#include "app/file_source.hpp"
#include "app/layers_nsys.hpp"
#include "base/text.hpp"
#include "layers/layer_table.hpp"
#include "layers/power_facts.hpp"

namespace prony::app {

namespace {

using layers::FileKind;
using layers::Recording;

constexpr std::size_t largest_engine = 256u << 20;

Error at(Error error, const std::string& path) {
  if (error.where.empty()) error.where = path;
  return error;
}

Result<std::string> head_of(const std::string& path) {
  auto file = FileSource::open(path);
  if (!file) return Unexpected<Error>(file.error());
  std::string head(64 * 1024, '\0');
  std::size_t have = 0;
  while (have < head.size()) {
    const auto got = file->read(head.data() + have, head.size() - have);
    if (!got) return Unexpected<Error>(got.error());
    if (*got == 0) break;
    have += *got;
  }
  head.resize(have);
  return head;
}

void take_engine(LayerFile& file) {
  file.recording.kind = std::string(to_string(file.kind));
  file.recording.network = file.engine->network;
  file.recording.notes = file.engine->notes;
  file.recording.facts.push_back({"layers", static_cast<double>(file.engine->types.size()), ""});
  file.recording.facts.push_back({"multiply-adds of the layers whose figures are told", file.engine->network.macs, ""});
}

void take_benchmark(LayerFile& file) {
  file.recording.kind = std::string(to_string(file.kind));
  file.recording.inference_ms = file.benchmark->latency_ms;
  file.recording.notes = file.benchmark->notes;
  file.recording.notes.push_back("latencies are in seconds there; a profiler was attached while they were taken");
}

void take_mapping(LayerFile& file) {
  file.recording.kind = std::string(to_string(file.kind));
  file.recording.notes = file.mapping->notes;
  for (const layers::MappedLayer& one : file.mapping->layers) {
    layers::LayerTimes layer;
    layer.name = one.name;
    layer.type = one.type;
    layer.ms = one.ms;
    if (const auto spread = layers::spread_of(one.without_idle_uw)) layer.told_w = spread->mean * 1e-6;
    file.recording.layers.push_back(std::move(layer));
  }
}

Result<void> take_stats(LayerFile& file, layers::ByteSource& source) {
  const auto rows = layers::read_stats(source);
  if (!rows) return Unexpected<Error>(rows.error());
  file.recording.kind = std::string(to_string(file.kind));
  file.recording.facts.push_back({"layers", static_cast<double>(rows->size()), ""});
  file.recording.notes.push_back(
      "statistics are of power in microwatts or of time in milliseconds; the file does not say of which");
  return {};
}

Result<void> take_training(LayerFile& file, layers::ByteSource& source) {
  const auto table = layers::read_training(source);
  if (!table) return Unexpected<Error>(table.error());
  file.recording.kind = "EdgeProfiler training data, " + table->kind;
  file.recording.notes.push_back(
      "power is in microwatts above idle, runtime in milliseconds; groups, dilation and data type are not in it");
  std::size_t whole = 0;
  const bool pooling = table->kind == "pooling";
  for (std::size_t i = 0; i < table->rows.size(); ++i) {
    const auto value = [&](const char* name) {
      const auto found = std::ranges::find(table->columns, name);
      return table->rows[i][static_cast<std::size_t>(found - table->columns.begin())];
    };
    layers::LayerTimes layer;
    layer.name = table->names[i];
    layer.type = table->kind;
    layer.mean_ms = value("runtime");
    layer.told_w = value("power") * 1e-6;
    file.recording.layers.push_back(std::move(layer));
    whole += pooling && value("kernel_0") == value("input_size_1") && value("output_size_1") > 1;
  }
  if (whole > 0)
    file.recording.notes.push_back(std::to_string(whole) +
                                   " poolings have their whole input for a window and more than one output: that is "
                                   "EdgeProfiler's mistake, not their window");
  return {};
}

template <class T>
Result<void> keep(Result<T> read, std::optional<T>& into, void (*take)(LayerFile&), LayerFile& file) {
  if (!read) return Unexpected<Error>(read.error());
  into = std::move(*read);
  take(file);
  return {};
}

Result<void> keep(Result<Recording> read, LayerFile& file) {
  if (!read) return Unexpected<Error>(read.error());
  file.recording = std::move(*read);
  return {};
}

Result<void> keep_idle(Result<layers::IdlePower> read, LayerFile& file) {
  if (!read) return Unexpected<Error>(read.error());
  file.idle = *read;
  file.recording.kind = std::string(to_string(file.kind));
  file.recording.facts.push_back({"idle power", read->microwatt * 1e-6, "W"});
  file.recording.notes.push_back(
      "one mean for a whole campaign, without its spread: EdgeProfiler's own sessions lie up to 0.8 W apart");
  return {};
}

Result<void> keep_times(Result<layers::TrtexecTimes> read, LayerFile& file) {
  if (!read) return Unexpected<Error>(read.error());
  file.recording.kind = std::string(to_string(file.kind));
  file.recording.inference_ms = read->latency_ms;
  file.recording.notes = read->notes;
  if (const auto compute = layers::spread_of(read->compute_ms))
    file.recording.facts.push_back({"computing, mean", compute->mean, "ms"});
  return {};
}

Result<void> read_by_kind(LayerFile& file, layers::ByteSource& source) {
  switch (file.kind) {
    case FileKind::layer_latencies: return keep(layers::read_layer_latencies(source), file);
    case FileKind::engine: return keep(read_engine_file(file.path), file.engine, &take_engine, file);
    case FileKind::benchmark: return keep(layers::read_benchmark(source), file.benchmark, &take_benchmark, file);
    case FileKind::idle_power: return keep_idle(layers::read_idle_power(source), file);
    case FileKind::power_log: return keep(layers::read_power_log(source), file);
    case FileKind::mapping: return keep(layers::read_mapping(source), file.mapping, &take_mapping, file);
    case FileKind::stats: return take_stats(file, source);
    case FileKind::training: return take_training(file, source);
    case FileKind::trtexec_profile: return keep(layers::read_trtexec_profile(source), file);
    case FileKind::trtexec_times: return keep_times(layers::read_trtexec_times(source), file);
    case FileKind::trtexec_metadata:
      file.recording.kind = std::string(to_string(file.kind));
      file.recording.notes.push_back(
          "EdgeProfiler's extract of trtexec's log: its figures are those of the times file, which is read instead");
      return {};
    case FileKind::onnxruntime_profile: return keep(layers::read_onnxruntime_profile(source), file);
    case FileKind::tegrastats_log: return keep(layers::read_tegrastats_log(source), file);
    case FileKind::nsys: return keep(read_nsys(file.path), file);
    case FileKind::table: return keep(layers::read_table(source), file);
    case FileKind::unknown: break;
  }
  return fail(ErrorCode::malformed, "is none of the recordings that are understood", file.path,
              "`prony layers import --help` lists them; a CSV needs columns layer_name and time_ms (or _us, _ns, _s).");
}

// Training data of a network are a table for each kind of layer, in one folder.
bool of_one_training(const LayerFile& first, const LayerFile& second) {
  return first.kind == FileKind::training && second.kind == FileKind::training &&
         std::filesystem::path(first.path).parent_path() == std::filesystem::path(second.path).parent_path();
}

}  // namespace

Result<layers::Engine> read_engine_file(const std::string& path) {
  const auto text = read_whole_file(path, largest_engine);
  if (!text) return Unexpected<Error>(text.error());
  std::string_view document = *text;
  if (document.starts_with(byte_order_mark)) document.remove_prefix(byte_order_mark.size());
  auto engine = layers::read_engine(document);
  if (!engine) return Unexpected<Error>(at(engine.error(), path));
  return engine;
}

Result<LayerFile> read_layer_file(const std::string& path) {
  const auto head = head_of(path);
  if (!head) return Unexpected<Error>(head.error());
  LayerFile file;
  file.path = path;
  file.kind = layers::kind_of(*head);
  auto source = FileSource::open(path);
  if (!source) return Unexpected<Error>(source.error());
  if (const auto read = read_by_kind(file, *source); !read) return Unexpected<Error>(at(read.error(), path));
  return file;
}

Recording together(const std::vector<LayerFile>& files) {
  Recording all;
  std::unordered_map<std::string, std::string> types;
  std::size_t with_layers = 0, with_whole = 0;
  const LayerFile* first = nullptr;
  std::string taken;
  for (const LayerFile& file : files) {
    if (first != nullptr && of_one_training(*first, file)) {
      all.layers.insert(all.layers.end(), file.recording.layers.begin(), file.recording.layers.end());
      taken += ", " + file.path;
      with_layers += !file.recording.layers.empty();
    } else if (!file.recording.layers.empty() && with_layers++ == 0) {
      all.layers = file.recording.layers;
      all.kind = file.recording.kind;
      all.of_calls = file.recording.of_calls;
      first = &file;
      taken = file.path;
    }
    if (!file.recording.inference_ms.empty() && with_whole++ == 0) all.inference_ms = file.recording.inference_ms;
    if (!file.engine) continue;
    all.network = file.engine->network;
    for (std::size_t i = 0; i < file.engine->types.size(); ++i)
      types[file.engine->network.layers[i].name] = file.engine->types[i];
  }
  if (with_layers > 1) all.notes.push_back("layers are those of " + taken);
  if (with_whole > 1) {
    all.inference_ms.clear();
    all.notes.push_back(std::to_string(with_whole) +
                        " files have end-to-end times: which belong to these layers is not known; give the one that "
                        "does alone with them");
  }
  for (layers::LayerTimes& layer : all.layers)
    if (const auto type = types.find(layer.name); layer.type.empty() && type != types.end()) layer.type = type->second;
  if (const auto rest = unattributed(all); rest && rest->ms() < 0)
    all.notes.push_back(
        "(unattributed) is below zero: layers and end to end were timed in runs of their own, and a profiler slows "
        "layers down");
  return all;
}

}  // namespace prony::app
