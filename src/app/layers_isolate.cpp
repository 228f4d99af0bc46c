#include "app/layers_isolate.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/layers_isolate_report.hpp"
#include "app/layers_loops.hpp"
#include "app/write_file.hpp"
#include "base/sha256.hpp"
#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/network_report.hpp"
#include "workloads/network_loops.hpp"

namespace prony::app {

namespace {

namespace fs = std::filesystem;
using RequestJson = nlohmann::ordered_json;

constexpr const char* request_fact = "layers.request";
constexpr double longest_needed_s = 60;  // beyond what the sensor's period says: what takes longer is not resolvable
constexpr std::size_t largest_model = sizeof(std::size_t) == 4 ? 512u << 20 : 4'000'000'000u;

std::string in_folder(const std::string& folder, const std::string& name) { return (fs::path(folder) / name).string(); }

// A file of the folder that is only needed while loops run.
class PassingFile {
 public:
  explicit PassingFile(std::string path) : path_(std::move(path)) {}
  ~PassingFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  PassingFile(const PassingFile&) = delete;
  PassingFile& operator=(const PassingFile&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

// What must be the same for loops to belong together.
Result<std::string> request_of(const IsolationTask& task) {
  const auto bytes = read_whole_file(task.model, largest_model);
  if (!bytes) return Unexpected<Error>(bytes.error());
  const RequestJson request{{"model_sha256", sha256_hex(*bytes)},
                            {"threads", task.threads},
                            {"shapes", task.shapes},
                            {"simulate", task.record.machine.simulate},
                            {"sysfs", task.record.machine.sysfs},
                            {"sensors", task.record.sensors}};
  return request.dump();
}

bool is_ours(const std::string& name) {
  for (const char* one : {"times.prony", "engine.onnx", "whole.onnx", "part.onnx"})
    if (name.starts_with(one)) return true;
  return name.starts_with("loops-") && name.find(".prony") != std::string::npos;
}

// Takes away what stands in the folder of before. A folder that holds something else is left alone.
Result<void> start_anew(const std::string& folder) {
  std::error_code code;
  const bool known = fs::exists(in_folder(folder, "request.json"), code);
  std::vector<fs::path> old;
  for (auto entry = fs::directory_iterator(folder, code); !code && entry != fs::directory_iterator();
       entry.increment(code)) {
    if (is_ours(entry->path().filename().string())) old.push_back(entry->path());
    if (!known)
      return fail(ErrorCode::usage, "the folder is not empty and none that prony layers made", folder,
                  "Name a new folder by --out.");
  }
  if (code) return Unexpected<Error>(error_from_errno(code.value(), folder, "cannot list"));
  std::error_code ignored;
  for (const fs::path& one : old) fs::remove(one, ignored);
  return {};
}

// Whether the times stand there already, for the same request. A Run that was killed has none.
Result<bool> have_times(const std::string& path, const std::string& request) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return false;
  auto run = Run::open(path);
  if (!run) return Unexpected<Error>(run.error());
  const auto summary = summarise(**run);
  if (!summary) return Unexpected<Error>(summary.error());
  if (!network_report(*summary)) return false;
  if (summary->fact(request_fact) != request)
    return fail(ErrorCode::usage, "the folder has layers of another model, or with other settings", path,
                "Name another folder by --out, or --force to measure anew.");
  return true;
}

Result<void> write_request(const std::string& folder, const IsolationOptions& options) {
  const RequestJson request{{"isolate", options.isolate},
                            {"ablate", options.ablate},
                            {"layers", options.layers},
                            {"windows", options.windows}};
  return write_file(in_folder(folder, "request.json"), request.dump(2) + "\n");
}

Result<LoopPlan> plan_in(const std::string& folder) {
  std::error_code ignored;
  if (!fs::exists(in_folder(folder, "request.json"), ignored))
    return fail(ErrorCode::absent, "no folder of layers that were looped", folder,
                "prony layers MODEL.onnx --isolate --out DIR  makes one; a network is a file.");
  const auto text = read_whole_file(in_folder(folder, "request.json"), 1u << 20);
  if (!text) return Unexpected<Error>(text.error());
  const RequestJson request = RequestJson::parse(*text, nullptr, false);
  const auto flag = [&](const char* key) { return request.is_object() && request.value(key, RequestJson()) == true; };
  std::vector<std::string> which;
  if (request.is_object() && request.contains("layers") && request["layers"].is_array())
    for (const RequestJson& one : request["layers"])
      if (one.is_string()) which.push_back(one.get<std::string>());
  const RequestJson windows = request.is_object() ? request.value("windows", RequestJson(0)) : RequestJson();
  if ((!flag("isolate") && !flag("ablate")) || !windows.is_number_integer())
    return fail(ErrorCode::malformed, "does not say which layers were asked for", in_folder(folder, "request.json"),
                "Measure again into this folder:  prony layers MODEL.onnx --isolate --out DIR");
  return plan_loops(folder, flag("isolate"), flag("ablate"), which,
                    std::clamp<std::int64_t>(windows.get<std::int64_t>(), 0, 10'000'000));
}

struct Pending {
  std::vector<std::size_t> parts;  // of the plan
  std::vector<NetworkLoop> loops;
};

// What is not told yet. One that was too short for the sensor is made longer, twice at most.
Pending pending_of(const LoopPlan& plan, const LoopResults& results, std::map<std::string, int>& tries) {
  Pending pending;
  for (std::size_t i = 0; i < plan.parts.size(); ++i) {
    const LoopPart& part = plan.parts[i];
    const auto found = results.loops.find(part.id);
    if (found != results.loops.end() && found->second.told()) continue;
    const double needed_s = found != results.loops.end() ? found->second.needed_s.value_or(0) : 0;
    if (tries[part.id] >= (needed_s > 0 ? 3 : 1)) continue;
    ++tries[part.id];
    const double loop_s = std::max(plan.loop_s, std::min(1.3 * needed_s, longest_needed_s));
    pending.parts.push_back(i);
    pending.loops.push_back({part.id, part.expected_s, std::llround(loop_s * 1e9)});
  }
  return pending;
}

// All of `pending` into one Run; its exit code.
int record_loops(const IsolationTask& task, const std::string& folder, const LoopPlan& plan, const Pending& pending,
                 std::size_t number, std::int64_t cool_down_ns) {
  const PassingFile whole(in_folder(folder, "whole.onnx")), part(in_folder(folder, "part.onnx"));
  const auto all = complexity::onnx_with_all_outputs(plan.engine_path, plan.engine);
  if (!all) return failed(all.error());
  if (auto written = write_file(whole.path(), *all); !written) return failed(written.error());
  NetworkLoopOptions loops;
  loops.arguments = task.worker;
  loops.whole = whole.path();
  loops.threads = task.threads;
  loops.shapes = task.shapes;
  loops.loops = pending.loops;
  loops.warm_up = task.warm_up;
  loops.cool_down_ns = cool_down_ns;
  loops.timeout_ns = task.timeout_ns;
  loops.part = [&](std::size_t loop, const std::map<std::string, NetworkTensor>& told) -> Result<std::string> {
    complexity::OnnxTensors tensors;
    for (const auto& [name, one] : told) tensors[name] = {one.type, one.shape};
    const auto cut = complexity::cut_onnx(plan.engine_path, plan.engine, plan.parts[pending.parts[loop]].cut, tensors);
    if (!cut) return Unexpected<Error>(cut.error());
    if (auto written = write_file(part.path(), *cut); !written) return Unexpected<Error>(written.error());
    return part.path();
  };
  RecordPlan record_plan;
  record_plan.kind = "layers";
  record_plan.name = fs::path(task.model).stem().string() + "-loops";
  record_plan.options = task.record;
  record_plan.options.out = in_folder(folder, "loops-" + std::to_string(number) + ".prony");
  record_plan.options.force = false;
  record_plan.options.json.clear();
  record_plan.options.csv.clear();
  record_plan.options.quiet = true;
  record_plan.interrupt_cancels = true;
  record_plan.facts = task.facts;
  record_plan.workload = make_network_loops(std::move(loops));
  return record(std::move(record_plan)).exit_code;
}

void tell_plan(const LoopPlan& plan, const Pending& pending, std::int64_t cool_down_ns) {
  double total_s = 0;
  for (const NetworkLoop& one : pending.loops)
    total_s += 2e-9 * static_cast<double>(one.loop_ns) + 1e-9 * static_cast<double>(cool_down_ns) + 0.2;
  print_note(plan.identifiability.verdict);
  print_note(figures::count_of(pending.loops.size()) + " loops of " + figures::seconds(plan.loop_s) +
             ", each with as much idle before it and " + figures::seconds(1e-9 * static_cast<double>(cool_down_ns)) +
             " to cool down: about " + figures::seconds(total_s));
}

int loop_all(const IsolationTask& task, const std::string& folder, std::int64_t cool_down_ns) {
  const auto plan = plan_in(folder);
  if (!plan) return failed(plan.error());
  if (plan->channels.empty())
    return failed({ErrorCode::unavailable, "nothing gives joules here, so loops would tell nothing",
                   task.record.sensors, "`prony doctor` says what this machine can measure."});
  auto results = read_loops(folder);
  if (!results) return failed(results.error());
  std::map<std::string, int> tries;
  if (!results->runs.empty() && !task.record.quiet)
    print_note("going on in " + folder + ": what was told there is not measured again");
  for (;;) {
    const Pending pending = pending_of(*plan, *results, tries);
    if (pending.parts.empty()) return exit_code::ok;
    if (!task.record.quiet) tell_plan(*plan, pending, cool_down_ns);
    const int code = record_loops(task, folder, *plan, pending, results->runs.size() + 1, cool_down_ns);
    if (code != exit_code::ok && code != exit_code::failed_requests) {
      if (!task.record.quiet) print_note("what was measured is kept: the same command goes on in " + folder);
      return code;
    }
    results = read_loops(folder);
    if (!results) return failed(results.error());
  }
}

}  // namespace

bool is_isolation_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

int print_isolation(const std::string& folder, const RecordOptions& options) {
  const auto plan = plan_in(folder);
  if (!plan) return failed(plan.error());
  const auto results = read_loops(folder);
  if (!results) return failed(results.error());
  const auto report = isolation_report(*plan, *results);
  int code = exit_code::ok;
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  if (!options.quiet && options.json != "-" && options.csv != "-")
    code = print_result(isolation_text(report, terminal.width, terminal.colour));
  if (!options.json.empty())
    if (auto written =
            write_file(options.json, report.dump(2, ' ', false, RequestJson::error_handler_t::replace) + "\n");
        !written)
      code = failed(written.error());
  if (!options.csv.empty())
    if (auto written = write_file(options.csv, isolation_csv(report)); !written) code = failed(written.error());
  return code;
}

int isolate_layers(IsolationTask task) {
  const auto cool_down =
      duration_setting(task.options.cool_down, "cool-down", milliseconds(0), milliseconds(86'400'000));
  if (!cool_down) return failed(cool_down.error());
  if (!task.model.ends_with(".onnx"))
    return failed({ErrorCode::usage, "layers are cut out of .onnx files alone", task.model, "Leave --isolate out."});
  const std::string folder = !task.record.out.empty()
                                 ? task.record.out
                                 : in_folder("runs", file_name_word(fs::path(task.model).stem().string()) + "-isolate");
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) return failed(error_from_errno(code.value(), folder, "cannot make the folder"));
  const auto request = request_of(task);
  if (!request) return failed(request.error());
  const std::string times = in_folder(folder, "times.prony"), engine = in_folder(folder, "engine.onnx");
  const auto have = task.record.force ? Result<bool>(false) : have_times(times, *request);
  if (!have) return failed(have.error());
  if (!*have)
    if (auto gone = start_anew(folder); !gone) return failed(gone.error());
  if (auto written = write_request(folder, task.options); !written) return failed(written.error());
  if (!*have) {
    if (const int recorded = task.record_times(times, engine, {{request_fact, *request, "prony"}});
        recorded != exit_code::ok)
      return recorded;
  }
  if (const int looped = loop_all(task, folder, cool_down->ns); looped != exit_code::ok) return looped;
  const int printed = print_isolation(folder, task.record);
  if (!task.record.quiet) print_note("all of it is in " + folder + "; prony layers " + folder + " prints it again");
  return printed;
}

}  // namespace prony::app
