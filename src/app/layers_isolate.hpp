// `prony layers MODEL.onnx --isolate`, `--ablate`: layers run over and over by themselves, or the network cut before
// and behind each, for so many windows of the sensor, with idle before and after. All in one folder: a Run of the times
// (times.prony), the engine's graph (engine.onnx), Runs of the loops (loops-1.prony …). What stands there is not
// measured again, so a killed one goes on where it was. Thread promise: one thread. Errors: those of recording; a
// folder of another model or of other settings.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "app/record.hpp"

namespace prony::app {

struct IsolationOptions {
  bool isolate = false, ablate = false;
  std::vector<std::string> layers;  // a layer's name, or FROM..TO; empty: each
  std::int64_t windows = 0;         // of the sensor, in a loop; 0: as many as 3 % take
  std::string cool_down = "1s";
  [[nodiscard]] bool asked() const { return isolate || ablate; }
};

struct IsolationTask {
  IsolationOptions options;
  RecordOptions record;  // `out`: the folder
  std::string model;
  std::vector<std::string> worker;  // its program and arguments
  std::int32_t threads = 1;
  std::int64_t warm_up = 5, timeout_ns = 0;
  std::map<std::string, std::vector<std::int64_t>> shapes;
  std::vector<Fact> facts;
  // Records the times of the layers there, and the engine's graph; gives the exit code.
  std::function<int(const std::string& run, const std::string& engine, const std::vector<Fact>& facts)> record_times;
};
[[nodiscard]] int isolate_layers(IsolationTask task);

// A folder that isolate_layers() made.
[[nodiscard]] bool is_isolation_folder(const std::string& path);
[[nodiscard]] int print_isolation(const std::string& folder, const RecordOptions& options);

}  // namespace prony::app
