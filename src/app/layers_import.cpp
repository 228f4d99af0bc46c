#include "app/layers_import.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "app/common.hpp"
#include "app/layers_files.hpp"
#include "app/layers_map.hpp"
#include "app/layers_text.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "layers/edgeprofiler_write.hpp"
#include "layers/truth.hpp"
#include "layers/truth_network.hpp"
#include "reports/network_report.hpp"
#include "reports/summary.hpp"
#include "reports/text_layout.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

struct ImportCommand {
  std::vector<std::string> paths;
  std::string json, csv, raw, name = "network";
};

struct MapCommand {
  std::string folder;
  bool legacy = false;
  std::string out, training, windows = "true";
  std::size_t least_samples = 10;
};

struct TruthCommand {
  std::string run;
  std::size_t networks = 50;
  std::uint64_t seed = 1;
};

// The layers of a Run of `prony layers MODEL.onnx`: names, times, and what they cost by the file's shapes.
Result<std::vector<layers::EngineLayer>> engine_layers_of(const std::string& path) {
  const auto run = Run::open(path);
  if (!run) return Unexpected<Error>(run.error());
  const auto summary = summarise(**run);
  if (!summary) return Unexpected<Error>(summary.error());
  const auto times = nlohmann::json::parse(summary->fact(layer_times_fact), nullptr, false);
  if (!times.is_object() || !times.contains("rows") || !times["rows"].is_array())
    return fail(ErrorCode::malformed, "the Run has no layers of a network in order", path,
                "Make one:  prony layers MODEL.onnx");
  std::vector<layers::EngineLayer> found;
  const auto number = [](const nlohmann::json& row, const char* key) -> std::optional<double> {
    const auto at = row.find(key);
    return at != row.end() && at->is_number() ? std::optional<double>(at->get<double>()) : std::nullopt;
  };
  for (const auto& row : times["rows"]) {
    if (!row.is_object()) continue;
    layers::EngineLayer one;
    if (const auto name = row.find("name"); name != row.end() && name->is_string()) one.layer.name = *name;
    one.layer.macs = number(row, "macs");
    one.layer.bytes_read = number(row, "bytes");
    if (one.layer.bytes_read) one.layer.bytes_written = 0;
    one.seconds = number(row, "median_s").value_or(0);
    found.push_back(std::move(one));
  }
  return found;
}

int run_engine_truth(const TruthCommand& command) {
  const auto found = engine_layers_of(command.run);
  if (!found) return failed(found.error());
  layers::EngineTruthOptions options;
  options.seed = command.seed;
  const auto truth = layers::engine_truth(*found, options);
  if (!truth) return failed({ErrorCode::unavailable, truth.error(), command.run, "Take a smaller network."});
  return print_result(engine_truth_text(*truth, options));
}

int run_truth(const TruthCommand& command) {
  if (!command.run.empty()) return run_engine_truth(command);
  layers::TruthOptions options;
  options.networks = command.networks;
  options.seed = command.seed;
  return print_result(truth_text(truth_table(options), options));
}

// Folders are looked into, files that are no recording there are named and passed over.
Result<std::vector<LayerFile>> read_paths(const std::vector<std::string>& paths) {
  constexpr std::size_t most_files = 10'000;
  std::vector<LayerFile> files;
  for (const std::string& path : paths) {
    std::error_code code;
    if (!std::filesystem::is_directory(path, code)) {
      auto file = read_layer_file(path);
      if (!file) return Unexpected<Error>(file.error());
      files.push_back(std::move(*file));
      continue;
    }
    std::vector<std::string> found;
    for (auto entry = std::filesystem::recursive_directory_iterator(path, code);
         !code && entry != std::filesystem::recursive_directory_iterator(); entry.increment(code)) {
      std::error_code ignored;
      if (entry->is_regular_file(ignored)) found.push_back(entry->path().string());
      if (found.size() > most_files) return fail(ErrorCode::full, "more than 10 000 files", path);
    }
    if (code) return Unexpected<Error>(error_from_errno(code.value(), path, "cannot list"));
    std::ranges::sort(found);
    std::size_t read = 0;
    for (const std::string& one : found) {
      auto file = read_layer_file(one);
      if (!file) {
        print_note("passed over: " + error_text(file.error()));
        continue;
      }
      files.push_back(std::move(*file));
      ++read;
    }
    if (read == 0) return fail(ErrorCode::malformed, "no recording of layers is in the folder", path);
  }
  return files;
}

// EdgeProfiler's raw files as they are written: each once. What came second for one place is named, never written over.
class RawFiles {
 public:
  Result<void> text(const std::string& path, const std::string& content, const LayerFile& from) {
    return taken(path, from) ? Result<void>() : write_file(path, content);
  }
  // Byte for byte: a log is long.
  Result<void> copy(const std::string& path, const LayerFile& from) {
    std::error_code code;
    if (taken(path, from) || std::filesystem::equivalent(path, from.path, code)) return {};
    std::filesystem::copy_file(from.path, path, std::filesystem::copy_options::overwrite_existing, code);
    if (code) return Unexpected<Error>(error_from_errno(code.value(), path, "cannot copy " + from.path));
    return {};
  }
  [[nodiscard]] std::size_t count() const { return written_.size(); }

 private:
  bool taken(const std::string& path, const LayerFile& from) {
    if (written_.insert(path).second) return false;
    print_note("not written: " + from.path + ", for " + path + " is of another recording already");
    return true;
  }
  std::set<std::string> written_;
};

// What the recordings hold of EdgeProfiler's raw files, written as it writes them.
Result<std::size_t> write_raw(const ImportCommand& command, const std::vector<LayerFile>& files) {
  const std::string folder = command.raw + "/" + command.name, profiling = folder + "/trt_profiling/";
  std::error_code code;
  std::filesystem::create_directories(profiling, code);
  if (code) return Unexpected<Error>(error_from_errno(code.value(), folder, "cannot make the folder"));
  RawFiles raw;
  for (const LayerFile& file : files) {
    Result<void> written;
    const bool single = !file.recording.layers.empty() && !file.recording.layers.front().ms.empty() && !file.mapping;
    if (file.idle) {
      written = raw.text(command.raw + "/idling_power.json", layers::idle_power_json(*file.idle), file);
    } else if (file.benchmark) {
      written = raw.text(folder + "/" + command.name + "_tensorrt.json", layers::benchmark_json(*file.benchmark), file);
    } else if (file.kind == layers::FileKind::engine) {
      const auto text = read_whole_file(file.path, 256u << 20);
      if (!text) return Unexpected<Error>(text.error());
      written = raw.text(profiling + "trt_engine_info.json", *text, file);
    } else if (file.kind == layers::FileKind::power_log) {
      written = raw.copy(folder + "/" + command.name + "_power_log.log", file);
    } else if (single) {
      std::string text;
      written = layers::write_layer_latencies(file.recording, [&](std::string_view piece) -> Result<void> {
        text += piece;
        return {};
      });
      if (written) written = raw.text(profiling + "trt_layer_latency.json", text, file);
    } else {
      print_note("not written: " + file.path + ": raw data have no place for it (" + file.recording.kind + ")");
    }
    if (!written) return Unexpected<Error>(written.error());
  }
  return raw.count();
}

int run_import(const ImportCommand& command) {
  const auto files = read_paths(command.paths);
  if (!files) return failed(files.error());
  const layers::Recording all = together(*files);
  if (!command.raw.empty()) {
    const auto written = write_raw(command, *files);
    if (!written) return failed(written.error());
    print_note(std::to_string(*written) + " files written to " + command.raw);
  }
  for (const auto& [path, text] :
       {std::pair<std::string, std::string>{command.json, command.json.empty() ? "" : layers_json(*files, all)},
        {command.csv, command.csv.empty() ? "" : layers_csv(all)}})
    if (!path.empty())
      if (const auto written = write_file(path, text); !written) return failed(written.error());
  if (command.json == "-" || command.csv == "-") return exit_code::ok;
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  return print_result(layers_text(*files, all, terminal.width, terminal.colour));
}

std::string mapped_text(const RawNetwork& network, const LegacyNetwork& done, const layers::IdlePower& idle,
                        const Terminal& terminal) {
  layout::TextTable table;
  table.columns = {{"layer", false, 0, 16},     {"type", false, 2, 0},   {"times", true, 1, 0},
                   {"with power", true, 0, 0},  {"mean ms", true, 0, 0}, {"W incl. idle", true, 0, 0},
                   {"W excl. idle", true, 0, 0}};
  for (const layers::MappedLayer& layer : done.mapping.layers) {
    const auto ms = layers::mean_of(layer.ms), with = layers::mean_of(layer.with_idle_uw),
               without = layers::mean_of(layer.without_idle_uw);
    table.rows.push_back({printable(layer.name, 200), layer.type.empty() ? "Unknown" : layer.type,
                          std::to_string(layer.ms.size()), std::to_string(layer.with_idle_uw.size()),
                          ms ? format_fixed(*ms, 4) : "", with ? format_fixed(*with * 1e-6, 4) : "",
                          without ? format_fixed(*without * 1e-6, 4) : ""});
  }
  std::vector<std::string> ignored;
  std::string out = network.name + ", by EdgeProfiler's rule, idle " + format_fixed(idle.microwatt * 1e-6, 3) + " W\n" +
                    table.render(terminal.width, terminal.colour, ignored);
  std::vector<std::string> notes{
      "these watts are no layer's: each is the mean of readings that average whole inferences (docs/layers-energy.md)"};
  if (done.count.log_ended)
    notes.push_back("the power log ends before the last layer: the rows after it are missing, as in EdgeProfiler");
  for (const std::string& one : done.left_out) notes.push_back("left out of the training data: " + one);
  return out + notes_text(notes, terminal.width);
}

int run_map(const MapCommand& command) {
  if (!command.legacy)
    return failed(
        {ErrorCode::usage, "say by which rule power is mapped to layers", "--legacy",
         "--legacy is EdgeProfiler's rule; what can be known of layers instead is in docs/layers-energy.md."});
  const auto raw = open_raw(command.folder);
  if (!raw) return failed(raw.error());
  LegacyOptions options{
      command.out, command.training, command.least_samples,
      command.windows == "edgeprofiler" ? layers::Windows::as_edgeprofiler : layers::Windows::true_ones};
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  int code = exit_code::ok;
  std::string text;
  for (const RawNetwork& network : raw->networks) {
    const auto done = map_network(network, raw->idle, options);
    if (!done) {  // the others are mapped all the same
      code = failed(done.error());
      continue;
    }
    text += (text.empty() ? "" : "\n") + mapped_text(network, *done, raw->idle, terminal);
  }
  if (const int printed = print_result(text); printed != exit_code::ok) return printed;
  return code;
}

}  // namespace

std::function<std::optional<int>()> add_layer_files(CLI::App& layers) {
  auto import = std::make_shared<ImportCommand>();
  CLI::App* import_app = layers.add_subcommand("import", "Read what other tools recorded of a network's layers");
  import_app
      ->add_option("PATH", import->paths,
                   "Files of one network, or folders of them: EdgeProfiler's raw, mapped and training data, TensorRT "
                   "engine descriptions, trtexec's times, profile and layer info, ONNX Runtime profiles, "
                   "tegrastats logs, Nsight Systems SQLite, CSV with layer_name and time_ms")
      ->required();
  import_app->add_option("--json", import->json, "Everything as JSON; - is standard output")->type_name("FILE");
  import_app->add_option("--csv", import->csv, "The layers as CSV; - is standard output")->type_name("FILE");
  import_app->add_option("--to-raw", import->raw, "Write what is there as EdgeProfiler's raw data")->type_name("DIR");
  import_app->add_option("--name", import->name, "The network's name in that folder (default network)")
      ->type_name("NAME");
  auto map = std::make_shared<MapCommand>();
  CLI::App* map_app = layers.add_subcommand("map", "Map a power log to layers by EdgeProfiler's rule");
  map_app->add_option("RAW", map->folder, "Folder with idling_power.json and a folder for each network")->required();
  map_app->add_flag("--legacy", map->legacy, "EdgeProfiler's rule, to the digit");
  map_app->add_option("-o,--out", map->out, "Write its preprocessed data there")->type_name("DIR");
  map_app->add_option("--training", map->training, "Write its training data there")->type_name("DIR");
  map_app
      ->add_option("--windows", map->windows,
                   "Windows of poolings in training data: true, or edgeprofiler (its mistake kept)")
      ->check(CLI::IsMember({"true", "edgeprofiler"}));
  map_app
      ->add_option("--min-samples", map->least_samples,
                   "Layers with fewer powers or times are left out of training data (default 10)")
      ->type_name("COUNT");
  auto truth = std::make_shared<TruthCommand>();
  CLI::App* truth_app =
      layers.add_subcommand("truth", "Hold methods of energy per layer against devices whose truth is known");
  truth_app->add_option("RUN", truth->run, "A Run of layers: the layers that an engine ran, instead of made-up ones");
  truth_app->add_option("--networks", truth->networks, "So many networks of 23 layers (default 50)")
      ->check(CLI::Range(1, 10'000).description(""));
  truth_app->add_option("--seed", truth->seed, "The same seed gives the same table (default 1)");
  return [=]() -> std::optional<int> {
    if (import_app->parsed()) return run_import(*import);
    if (map_app->parsed()) return run_map(*map);
    if (truth_app->parsed()) return run_truth(*truth);
    return std::nullopt;
  };
}

}  // namespace prony::app
