// Runs what a plan asks for, one fresh process after another, and keeps the manifest at every step. A run whose
// recorder was cut off is begun again as another attempt; a run that is done is never run twice. Thread promise: one
// thread, the main one.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "app/signals.hpp"
#include "app/study_child.hpp"
#include "app/study_folder.hpp"
#include "app/study_judge.hpp"
#include "app/study_machine.hpp"
#include "study/plan.hpp"

namespace prony::app {

class StudyRunner {
 public:
  StudyRunner(const study::Plan& plan, const StudyFolder& folder, StudyManifest manifest, bool quiet);
  // → exit code: 0 all done, 1 some run failed or the study was stopped, 128 + n by signal n, 125 Prony's own failure.
  [[nodiscard]] int run();
  [[nodiscard]] const StudyManifest& manifest() const { return manifest_; }

 private:
  enum class Step { on, stop };
  [[nodiscard]] Result<void> go();
  [[nodiscard]] Result<void> take_up();
  [[nodiscard]] Result<void> prepare();
  [[nodiscard]] Result<Step> one(StudyRun& run, bool begins_cycle);
  [[nodiscard]] Result<Step> attempts(StudyRun& run, const study::Variant& variant);
  [[nodiscard]] Result<void> attempt(StudyRun& run, const study::Variant& variant);
  [[nodiscard]] Result<void> ready(const study::Variant& variant, StudyAttempt& attempt);
  [[nodiscard]] Result<void> measure(const study::Variant& variant, const StudyRun& run, StudyAttempt& attempt);
  [[nodiscard]] Result<void> keep_settings(const StudyAttempt& attempt, StudyVerdict& verdict) const;
  [[nodiscard]] Result<void> room() const;
  [[nodiscard]] bool may_begin();
  void pause(std::int64_t ns);
  void tell(const StudyRun& run) const;
  void show(const std::string& line);
  [[nodiscard]] std::vector<std::string> words_of(const study::Variant& variant, const StudyRun& run,
                                                  const StudyAttempt& attempt) const;
  [[nodiscard]] const study::Variant* variant_of(const StudyRun& run) const;

  const study::Plan& plan_;
  const StudyFolder& folder_;
  StudyManifest manifest_;
  bool quiet_;
  bool terminal_;
  std::size_t failed_in_a_row_ = 0;
  bool any_run_ = false;
  std::string self_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::atomic<int> stop_ = 0;
  SignalRelay signals_;
  StudyMachine machine_;
};

// The runs of a plan as a new manifest has them, with what an earlier one knows of those that are the same.
[[nodiscard]] std::vector<StudyRun> planned_runs(const study::Plan& plan, const std::vector<StudyRun>& before);

}  // namespace prony::app
