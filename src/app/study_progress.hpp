// How far a recording is, for a study that started it: a short line in a file that the environment names. It costs one
// write whenever something changed. Thread promise: one thread.
#pragma once

#include <string>
#include <vector>

#include "base/fd.hpp"
#include "model/manifest.hpp"
#include "workloads/workload.hpp"

namespace prony::app {

inline constexpr const char* progress_variable = "PRONY_STUDY_PROGRESS";
inline constexpr const char* cycle_variable = "PRONY_STUDY_CYCLE";

// The fact study.cycle, by which `prony compare` pairs Runs, where a study started this recording; else none.
[[nodiscard]] std::vector<Fact> study_facts();

class StudyProgress {
 public:
  StudyProgress();  // does nothing where the environment names no file
  void update(const Progress& progress);

 private:
  Fd file_;
  std::string last_;
};

// "4/8 warm-up"; "" where nothing was told.
[[nodiscard]] std::string read_progress(const std::string& path);

}  // namespace prony::app
