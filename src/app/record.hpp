// record(): measures a workload from start to end into a Run, prints what the Run says, and gives the exit code.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/common.hpp"
#include "app/sampling_mode.hpp"
#include "app/warm_up_watch.hpp"
#include "model/manifest.hpp"
#include "workloads/workload.hpp"

namespace prony::app {

struct RecordPlan {
  std::string kind;                    // "run", "llm", "watch": what the summary looks like
  std::string name;                    // for the file name: "python3", "synthetic-llama-15M"
  std::unique_ptr<Workload> workload;  // null: no command; targets alone are watched until --for is over or Ctrl-C
  std::vector<Fact> facts;             // settings, engine, model, command
  RecordOptions options;
  bool kept_peaks = false;  // of this machine, where the user gave none: what is measured computes on its processors
  bool calibrated = true;   // false: what is kept is not put into modelled channels, for a new line is to come
  bool until_exit = false;  // no command: the end of the processes that --pid named ends the recording
  SamplingMode sampling = SamplingMode::continuous;
  std::shared_ptr<WarmUpWatch> warm_up = {};  // shown what is recorded; null: the warm-up has no rule that needs it
  bool interrupt_cancels = false;  // Ctrl-C stops the work (llm) instead of being the command's own affair (run)
};

struct Recorded {
  int exit_code = 0;
  std::filesystem::path path;  // empty: nothing could be recorded
};
// Without options.out to runs/<utc>-<name>.prony, or with a number after it where that exists.
[[nodiscard]] Recorded record(RecordPlan plan);

// Summary text, JSON and CSV of a finished Run, as `prony show` and the end of a recording print them.
// False: something could not be written (already said).
[[nodiscard]] bool print_run(const std::string& run_path, const RecordOptions& options);

}  // namespace prony::app
