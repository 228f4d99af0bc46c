#include "app/layers_map.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <unordered_map>

#include "app/file_source.hpp"
#include "app/layers_files.hpp"
#include "app/write_file.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "layers/edgeprofiler_write.hpp"

namespace prony::app {

namespace {

Error error_in_file(Error error, const std::string& path) {
  if (error.where.empty()) error.where = path;
  return error;
}

Result<void> make_folder(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) return Unexpected<Error>(error_from_errno(code.value(), path, "cannot make the folder"));
  return {};
}

// A file that is written a piece at a time.
class PieceFile {
 public:
  [[nodiscard]] static Result<PieceFile> create(const std::string& path) {
    auto fd = Fd::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!fd) return Unexpected<Error>(fd.error());
    return PieceFile(std::move(*fd), path);
  }
  Result<void> write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t put = ::write(fd_.get(), text.data(), text.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return Unexpected<Error>(error_from_errno(errno, path_, "cannot write"));
      text.remove_prefix(static_cast<std::size_t>(put));
    }
    return {};
  }

 private:
  PieceFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;
  std::string path_;
};

Result<layers::Recording> recording_with_types(const RawNetwork& network, const layers::Engine& engine) {
  auto source = FileSource::open(network.latencies());
  if (!source) return Unexpected<Error>(source.error());
  auto recording = layers::read_layer_latencies(*source);
  if (!recording) return Unexpected<Error>(error_in_file(recording.error(), network.latencies()));
  std::unordered_map<std::string, std::string> types;
  for (std::size_t i = 0; i < engine.types.size(); ++i) types[engine.network.layers[i].name] = engine.types[i];
  for (layers::LayerTimes& layer : recording->layers)
    if (const auto type = types.find(layer.name); type != types.end()) layer.type = type->second;
  return recording;
}

Result<void> write_training(const RawNetwork& network, const layers::Engine& engine, const LegacyOptions& options,
                            LegacyNetwork& done) {
  const std::string folder = options.training + "/" + network.name;
  const layers::Training training = training_of(done.mapping, engine, options.windows, options.least_samples);
  done.left_out = training.left_out;
  if (const auto made = make_folder(folder); !made) return made;
  for (const layers::TrainingTable& table : training.tables)
    if (const auto written = write_file(folder + "/" + table.kind + ".csv", training_csv(table)); !written)
      return written;
  return {};
}

}  // namespace

Result<RawFolder> open_raw(const std::string& folder) {
  RawFolder raw;
  const std::string idle_path = folder + "/idling_power.json";
  auto idle_source = FileSource::open(idle_path);
  if (!idle_source) {
    Error error = idle_source.error();
    error.fix =
        "A folder of raw data holds idling_power.json and, for each network NAME, NAME/NAME_power_log.log and "
        "NAME/trt_profiling.";
    return Unexpected<Error>(error);
  }
  const auto idle = layers::read_idle_power(*idle_source);
  if (!idle) return Unexpected<Error>(error_in_file(idle.error(), idle_path));
  raw.idle = *idle;
  std::error_code code;
  for (auto entry = std::filesystem::directory_iterator(folder, code);
       !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    RawNetwork network{entry->path().filename().string(), entry->path().string()};
    std::error_code ignored;
    if (std::filesystem::exists(network.power_log(), ignored)) raw.networks.push_back(std::move(network));
  }
  if (code) return Unexpected<Error>(error_from_errno(code.value(), folder, "cannot list"));
  std::ranges::sort(raw.networks, {}, &RawNetwork::name);
  if (raw.networks.empty())
    return fail(ErrorCode::absent, "no network with a power log is in the folder", folder,
                "A network NAME has NAME/NAME_power_log.log there.");
  return raw;
}

Result<LegacyNetwork> map_network(const RawNetwork& network, const layers::IdlePower& idle,
                                  const LegacyOptions& options) {
  const auto engine = read_engine_file(network.engine());
  if (!engine) return Unexpected<Error>(engine.error());
  auto recording = recording_with_types(network, *engine);
  if (!recording) return Unexpected<Error>(recording.error());
  auto log_source = FileSource::open(network.power_log());
  if (!log_source) return Unexpected<Error>(log_source.error());
  layers::PowerLog log(*log_source);
  LegacyNetwork done;
  for (const layers::LayerTimes& layer : recording->layers)
    done.mapping.layers.push_back({layer.name, layer.type, {}, {}, {}});
  const std::string folder = options.out + "/" + network.name;
  std::optional<PieceFile> file;
  if (!options.out.empty()) {
    if (const auto made = make_folder(folder); !made) return Unexpected<Error>(made.error());
    auto created = PieceFile::create(folder + "/power_runtime_mapping_layerwise.csv");
    if (!created) return Unexpected<Error>(created.error());
    file.emplace(std::move(*created));
    if (const auto written = file->write(layers::mapping_header); !written) return Unexpected<Error>(written.error());
  }
  layers::MappingWriter writer(*recording,
                               [&](std::string_view text) { return file ? file->write(text) : Result<void>(); });
  const auto count = layers::map_legacy(*recording, log, idle.microwatt, [&](const layers::LegacyRow& row) {
    if (file) writer.add(row);
    layers::MappedLayer& layer = done.mapping.layers[row.layer];
    if (row.with_idle_uw) layer.with_idle_uw.push_back(*row.with_idle_uw);
    if (row.without_idle_uw) layer.without_idle_uw.push_back(*row.without_idle_uw);
    layer.ms.push_back(row.ms);
  });
  if (!count) return Unexpected<Error>(error_in_file(count.error(), network.power_log()));
  if (const auto written = writer.finish(); !written) return Unexpected<Error>(written.error());
  done.count = *count;
  done.mapping.rows = count->rows;
  done.recording = std::move(*recording);
  if (file) {
    const auto text = read_whole_file(network.engine(), 256u << 20);
    if (!text) return Unexpected<Error>(text.error());
    for (const auto& [name, content] : {std::pair<std::string, std::string>{"trt_engine_info.json", *text},
                                        {network.name + "_average_power_stats.csv", power_stats_csv(done.mapping)},
                                        {network.name + "_average_run_time_stats.csv", time_stats_csv(done.mapping)}})
      if (const auto written = write_file(folder + "/" + name, content); !written)
        return Unexpected<Error>(written.error());
  }
  if (!options.training.empty())
    if (const auto written = write_training(network, *engine, options, done); !written)
      return Unexpected<Error>(written.error());
  return done;
}

}  // namespace prony::app
