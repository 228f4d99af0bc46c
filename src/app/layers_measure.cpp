#include "app/layers_measure.hpp"

#include <unistd.h>
#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>
#include <thread>

#include "app/beside.hpp"
#include "app/layers_isolate.hpp"
#include "app/layers_rows.hpp"
#include "app/layers_trtexec.hpp"
#include "app/record.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "complexity/gguf.hpp"
#include "reports/network_report.hpp"
#include "workloads/network_runs.hpp"

namespace prony::app {

namespace {

namespace fs = std::filesystem;

struct MeasureOptions {
  RecordOptions record;
  Settings settings;
  std::string model, engine, precision = "fp32", timeout = "10m";
  std::vector<std::string> shapes;
  std::int64_t runs = 50, warm_up = 5, batch = 0, tokens = 128;
  std::int32_t threads = 0;
  IsolationOptions isolation;
  std::string run_path, engine_path;  // of the times that are recorded for loops; else where they go by themselves
  std::vector<Fact> more_facts;
};

// A folder for the profile and the engine's graph, gone with it.
class WorkFolder {
 public:
  WorkFolder() {
    std::string name = (fs::temp_directory_path(failed_) / "prony-layers-XXXXXX").string();
    if (!failed_ && ::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~WorkFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::error_code failed_;
  std::string path_;
};

struct Network {
  complexity::OnnxModel model;
  NetworkLayers layers;
};

Result<Network> read_network(const MeasureOptions& options) {
  auto model = complexity::read_onnx(options.model);
  if (!model) return Unexpected<Error>(model.error());
  if (model->graph.nodes.empty())
    return fail(ErrorCode::malformed, "the network has no nodes: there is nothing to run", options.model,
                "Export the model again, or name another file.");
  for (const std::string& file : model->external_files())
    if (::access((fs::path(options.model).parent_path() / file).c_str(), R_OK) != 0)
      return fail(ErrorCode::absent, "the weights of this network are in a file that is not there",
                  (fs::path(options.model).parent_path() / file).string(), "Put it beside the model.");
  complexity::OnnxShapes shapes;
  for (const std::string& words : options.shapes)
    if (auto added = complexity::add_onnx_shape(shapes, words); !added) return Unexpected<Error>(added.error());
  if (options.batch > 0) shapes.batch = options.batch;
  auto layers = complexity::layers_of(*model, shapes);
  if (!layers) return Unexpected<Error>(layers.error());
  for (std::size_t i = 0; i < model->graph.inputs.size(); ++i) {
    const auto& told = model->graph.inputs[i].shape;
    for (std::size_t d = 0; told && d < told->size(); ++d)
      if ((*told)[d].value >= 0 && (*told)[d].value != layers->inputs[i].shape[d])
        return fail(
            ErrorCode::usage,
            "input '" + printable(layers->inputs[i].name, 60) + "' is fixed in the file: dimension " +
                std::to_string(d + 1) + " is " + std::to_string((*told)[d].value) + ", not " +
                std::to_string(layers->inputs[i].shape[d]),
            options.batch > 0 ? "--batch" : "--input-shape",
            "Export it with this dimension left open (prony synth onnx --dynamic-batch), or leave the option out.");
  }
  return Network{std::move(*model), std::move(*layers)};
}

using RunFacts = std::vector<std::pair<std::string, std::string>>;

Result<void> prepare_network(const MeasureOptions& options, NetworkRunOptions& runs) {
  auto read = read_network(options);
  if (!read) return Unexpected<Error>(read.error());
  auto network = std::make_shared<Network>(std::move(*read));
  for (const NetworkPort& port : network->layers.inputs) runs.shapes[port.name] = port.shape;
  // The engine keeps a million events: two a node are reckoned with, for what it puts between them.
  const auto nodes = static_cast<std::int64_t>(network->model.graph.nodes.size());
  runs.profiled_runs = std::clamp<std::int64_t>(900'000 / (2 * nodes + 8) - options.warm_up, 1, options.runs);
  runs.describe = [network, path = runs.optimised_model](const std::vector<NetworkRunTimes>& times) {
    const auto engine = complexity::read_onnx(path);
    return RunFacts{{layer_times_fact, layer_times(network->model, network->layers, engine ? &*engine : nullptr,
                                                   times.empty() ? NetworkRunTimes{} : times.front())}};
  };
  return {};
}

Result<void> prepare_trtexec(const MeasureOptions& options, NetworkRunOptions& runs) {
  auto read = read_network(options);
  if (!read) return Unexpected<Error>(read.error());
  auto network = std::make_shared<Network>(std::move(*read));
  const auto& inputs = network->model.graph.inputs;
  for (std::size_t i = 0; i < inputs.size(); ++i) {  // shapes that the file fixes may not be said again
    const bool open =
        !inputs[i].shape || std::ranges::any_of(*inputs[i].shape, [](const auto& d) { return d.value < 0; });
    if (open) runs.shapes[network->layers.inputs[i].name] = network->layers.inputs[i].shape;
  }
  runs.describe = [network, prefix = runs.profile_prefix](const std::vector<NetworkRunTimes>& times) {
    return RunFacts{{layer_times_fact,
                     trtexec_layer_times(network->layers, prefix, times.empty() ? NetworkRunTimes{} : times.front())}};
  };
  return {};
}

Result<void> prepare_model(const MeasureOptions& options, NetworkRunOptions& runs) {
  if (options.batch > 0 || !options.shapes.empty())
    return fail(ErrorCode::usage, "a language model has no input shape",
                options.batch > 0 ? "--batch" : "--input-shape", "--tokens says how long its prompt is.");
  if (auto head = complexity::read_gguf(options.model); !head) return Unexpected<Error>(head.error());
  runs.parts = {"prefill", "decode"};
  runs.tokens = options.tokens;
  runs.describe = [tokens = runs.tokens](const std::vector<NetworkRunTimes>& times) {
    return RunFacts{{layer_times_fact, model_times(tokens, times)}};
  };
  return {};
}

std::int32_t free_cores() {
  return std::max(1, static_cast<std::int32_t>(std::max(1u, std::thread::hardware_concurrency())) - 1);
}

Result<RecordPlan> plan_of(MeasureOptions& options, const WorkFolder& folder, const CommandWords& worker) {
  if (auto resolved = options.settings.resolve(config_file(options.record), config_keys()); !resolved)
    return Unexpected<Error>(resolved.error());
  const bool language = options.model.ends_with(".gguf");
  const std::string engine = !options.engine.empty() ? options.engine : language ? "llama" : "onnxruntime";
  const bool trtexec = engine == "trtexec" && !language;
  if (!trtexec && options.settings.origin("precision") != "default")
    return fail(ErrorCode::usage, "the precision is the network's own with this engine", "--precision",
                "--engine trtexec builds one for fp32, fp16 or int8.");
  if (!trtexec && engine != (language ? "llama" : "onnxruntime") && worker.empty())
    return fail(
        ErrorCode::usage, "no engine of such files is called '" + printable(engine, 40) + "'", "--engine",
        "There are onnxruntime and trtexec for .onnx and llama for .gguf. A worker of your own goes after two dashes.");
  const auto timeout = duration_setting(options.timeout, "timeout", milliseconds(1), milliseconds(86'400'000));
  if (!timeout) return Unexpected<Error>(timeout.error());
  if (folder.path().empty())
    return fail(ErrorCode::denied, "no folder could be made for the profile", "TMPDIR",
                "Point TMPDIR at a folder that you may write.");
  NetworkRunOptions runs;
  runs.arguments = worker;
  if (trtexec) {
    auto words = trtexec_worker(options.precision, folder.path(), worker);
    if (!words) return Unexpected<Error>(words.error());
    runs.arguments = std::move(*words);
  } else if (worker.empty()) {
    const char* program = language ? "prony-engine-llama" : "prony-engine-onnx";
    const auto found = find_beside_or_in_path(program);
    if (!found)
      return fail(ErrorCode::absent, "the worker of this engine is not installed", program,
                  std::string(language ? "tools/setup-llama.sh" : "tools/setup-onnxruntime.sh") +
                      " fetches its library; then build again:  make build");
    runs.arguments = {*found};
  }
  runs.model = options.model;
  runs.threads = options.threads > 0 ? options.threads : free_cores();
  runs.runs = options.runs;
  runs.warm_up = options.warm_up;
  runs.profiled_runs = options.runs;
  runs.timeout_ns = timeout->ns;
  runs.profile_prefix = folder.path() + "/profile";
  runs.optimised_model = options.engine_path.empty() ? folder.path() + "/engine.onnx" : options.engine_path;
  if (auto ready = language  ? prepare_model(options, runs)
                   : trtexec ? prepare_trtexec(options, runs)
                             : prepare_network(options, runs);
      !ready)
    return Unexpected<Error>(ready.error());
  RecordPlan plan;
  plan.kind = "layers";
  plan.name = fs::path(options.model).stem().string();
  plan.options = options.record;
  plan.options.quiet = true;  // its own report is printed
  plan.options.json.clear();
  plan.options.csv.clear();
  plan.interrupt_cancels = true;
  plan.facts = options.settings.facts();
  plan.facts.push_back({"run.command", "prony layers " + options.model, "flag"});
  plan.facts.push_back({"model.path", options.model, "flag"});
  plan.facts.push_back({"engine.threads", trtexec ? "–" : std::to_string(runs.threads), "prony"});
  if (trtexec) plan.facts.push_back({"engine.precision", options.precision, "flag"});
  plan.facts.insert(plan.facts.end(), options.more_facts.begin(), options.more_facts.end());
  if (!options.run_path.empty()) plan.options.out = options.run_path;
  plan.workload = make_network_runs(std::move(runs));
  return plan;
}

int print_layers(const std::string& path, const RecordOptions& options) {
  auto run = Run::open(path);
  if (!run) return failed(run.error());
  const auto summary = summarise(**run);
  if (!summary) return failed(summary.error());
  const auto report = network_report(*summary);
  if (!report) return failed(report.error());
  int code = exit_code::ok;
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  if (!options.quiet && options.json != "-" && options.csv != "-")
    code = print_result(network_text(*report, terminal.width, terminal.colour));
  if (!options.json.empty())
    if (auto written = write_file(options.json, report->dump(2) + "\n"); !written) code = failed(written.error());
  if (!options.csv.empty())
    if (auto written = write_file(options.csv, network_csv(*report)); !written) code = failed(written.error());
  return code;
}

// The times first, then loops of what the same worker is given in parts.
int measure_loops(MeasureOptions& options, const CommandWords& worker) {
  if (options.model.ends_with(".gguf"))
    return failed(
        {ErrorCode::unavailable,
         "layers of a GGUF cannot be run by themselves: llama.cpp makes its graph of the whole file, with the "
         "cache of all layers, and runs no part of it",
         options.model,
         "Without --isolate and --ablate its layers and operators have their times, and prefill and decode "
         "their joules."});
  auto network = read_network(options);
  if (!network) return failed(network.error());
  IsolationTask task;
  if (!options.engine.empty() && options.engine != "onnxruntime")
    return failed(
        {ErrorCode::usage, "layers are cut out and looped in ONNX Runtime alone", "--engine", "Leave it out."});
  task.options = options.isolation;
  task.record = options.record;
  task.model = options.model;
  task.worker = worker;
  if (worker.empty())
    if (const auto found = find_beside_or_in_path("prony-engine-onnx")) task.worker = {*found};
  task.threads = options.threads > 0 ? options.threads : free_cores();
  task.warm_up = options.warm_up;
  const auto timeout = duration_setting(options.timeout, "timeout", milliseconds(1), milliseconds(86'400'000));
  if (!timeout) return failed(timeout.error());
  task.timeout_ns = timeout->ns;
  for (const NetworkPort& port : network->layers.inputs) task.shapes[port.name] = port.shape;
  task.facts = {{"run.command", "prony layers " + options.model, "flag"},
                {"model.path", options.model, "flag"},
                {"engine.threads", std::to_string(task.threads), "prony"}};
  task.record_times = [&](const std::string& run, const std::string& engine, const std::vector<Fact>& facts) {
    options.run_path = run, options.engine_path = engine, options.more_facts = facts;
    const WorkFolder folder;
    auto plan = plan_of(options, folder, worker);
    if (!plan) return failed(plan.error());
    plan->options.force = true;
    return record(std::move(*plan)).exit_code;
  };
  return isolate_layers(std::move(task));
}

int measure_layers(MeasureOptions& options, const CommandWords& worker) {
  if (options.model.ends_with(".prony")) return print_layers(options.model, options.record);
  if (is_isolation_folder(options.model)) return print_isolation(options.model, options.record);
  if (options.isolation.asked()) {
    if (auto resolved = options.settings.resolve(config_file(options.record), config_keys()); !resolved)
      return failed(resolved.error());
    return measure_loops(options, worker);
  }
  if (!options.isolation.layers.empty())
    return failed(
        {ErrorCode::usage, "a layer is named, but nothing to do with it", "--layer", "Add --isolate or --ablate."});
  const WorkFolder folder;
  auto plan = plan_of(options, folder, worker);
  if (!plan) return failed(plan.error());
  const Recorded recorded = record(std::move(*plan));
  if (recorded.path.empty() || recorded.exit_code != exit_code::ok) return recorded.exit_code;
  const int printed = print_layers(recorded.path.string(), options.record);
  if (!options.record.quiet) print_note("the Run is " + recorded.path.string());
  return printed;
}

}  // namespace

std::string layer_options_text() {
  return R"(Options of `prony layers` that few need

  --isolate               Energy of each layer, run over and over by itself (docs/layers-energy.md)
  --ablate                Energy of each layer by cutting the network before and behind it
  --layer NAME            These alone, as the table names them; FROM..TO is a cut; may be repeated
  --windows INT           Of the sensor, in each loop (default: as 3 % takes, 0.5 s at the least)
  --cool-down DURATION    Between loops (default 1s)
                          --out is then a folder. What stands there is not measured again: after a kill
                          the same command goes on. `prony layers FOLDER` prints it again
  --precision P           Of --engine trtexec: fp32 (default), fp16, int8. Two dashes and a program name another
                          trtexec, with options of its own
  --timeout DURATION      For loading, and for each series (default 10m)
)";
}

std::function<std::optional<int>(const CommandWords&)> add_layer_measurement(CLI::App& command) {
  auto options = std::make_shared<MeasureOptions>();
  MeasureOptions& o = *options;
  Settings& settings = o.settings;
  const CLI::Range counts(std::int64_t{1}, std::int64_t{10'000'000});
  command.add_option("MODEL", o.model, "An ONNX or GGUF file; or a Run (folder) of layers, to print it again")
      ->type_name("FILE");
  settings.watch(
      "engine",
      command.add_option("--engine", o.engine, "onnxruntime or trtexec of .onnx, llama of .gguf")->type_name("NAME"),
      "");
  settings.watch("tokens",
                 command.add_option("--tokens", o.tokens, "Of a language model's prompt (default 128)")
                     ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000}).description("")),
                 "128");
  settings.watch("runs",
                 command.add_option("--runs", o.runs, "Runs that count, with and without profiler (default 50)")
                     ->check(counts.description("")),
                 "50");
  settings.watch("warmup",
                 command.add_option("--warmup", o.warm_up, "Runs before them (default 5)")
                     ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000}).description("")),
                 "5");
  settings.watch("threads",
                 command.add_option("--threads", o.threads, "Of the engine (default: cores − 1)")
                     ->check(CLI::Range(1, 4096).description("")),
                 std::to_string(free_cores()));
  settings.watch("batch",
                 command.add_option("--batch", o.batch, "The first dimension of every input, where it is open")
                     ->check(counts.description("")),
                 "");
  settings.watch("input-shape",
                 command.add_option("--input-shape", o.shapes, "NAME:1x3x224x224, or a dimension by its name: batch=1")
                     ->type_name("SHAPE"),
                 "");
  const auto rare = [&](CLI::Option* option) { return option->group(""); };  // `prony help layers` has them
  settings.watch(
      "precision",
      rare(command.add_option("--precision", o.precision, ""))->check(CLI::IsMember({"fp32", "fp16", "int8"})), "fp32");
  settings.watch("timeout", rare(command.add_option("--timeout", o.timeout, "")), "10m");
  rare(command.add_flag("--isolate", o.isolation.isolate, ""));
  rare(command.add_flag("--ablate", o.isolation.ablate, ""));
  rare(command.add_option("--layer", o.isolation.layers, ""))->allow_extra_args(false);
  rare(command.add_option("--windows", o.isolation.windows, ""))->check(counts.description(""));
  settings.watch("cool-down", rare(command.add_option("--cool-down", o.isolation.cool_down, "")), "1s");
  add_record_options(command, o.record, settings);
  command.get_option("--csv")->description("Also write the layers as CSV")->type_name("FILE");
  command.footer("And (see `prony help layers`): --isolate --ablate --layer --windows --cool-down --precision …\n" +
                 command.get_footer());
  return [options](const CommandWords& worker) -> std::optional<int> {
    if (options->model.empty()) return std::nullopt;
    return measure_layers(*options, worker);
  };
}

}  // namespace prony::app
