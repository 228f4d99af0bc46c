// The machine's part in a study: settings put in force by the file's own commands, verified, and put back; how hot it
// is; a model's pages dropped from memory. Thread promise: one thread. Errors: the command, what it said, what to do.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/machine_choice.hpp"
#include "app/session.hpp"
#include "app/study_folder.hpp"
#include "machine/machine.hpp"
#include "study/plan.hpp"

namespace prony::app {

class StudyMachine {
 public:
  StudyMachine();
  // Puts the variant's machine.* settings in force; what was before is written into the manifest, durably, first.
  // `stop` not 0 ends a command that hangs.
  [[nodiscard]] Result<void> apply(const study::Plan& plan, const study::Variant& variant, StudyManifest& manifest,
                                   const StudyFolder& folder, const std::atomic<int>& stop);
  // Puts back what the manifest says was before, the last change first, and strikes from there what is in force again.
  // Errors: the first of those that did not; the others are put back.
  [[nodiscard]] Result<void> restore(const study::Plan& plan, StudyManifest& manifest, const StudyFolder& folder);
  // The machine whose heat counts from now on: the one that this variant measures, with its sysfs, procfs and simulate.
  [[nodiscard]] Result<void> watch(const study::Variant& variant);
  // The hottest of what can be read now; absent: nothing can.
  [[nodiscard]] std::optional<double> celsius();
  // Waits until it is no hotter than that; seconds waited. `stop` not 0 ends the wait. Errors: transient, after the
  // limit.
  [[nodiscard]] Result<double> cool_down(double max_celsius, std::int64_t limit_ns, const std::atomic<int>& stop);

 private:
  [[nodiscard]] Result<std::string> command(const std::string& text, const std::atomic<int>* stop = nullptr);
  [[nodiscard]] Result<void> put_back(const study::Plan& plan, const std::string& name, const std::string& before);
  std::unique_ptr<Machine> machine_;  // this one
  MachineChoice choice_;
  std::unique_ptr<Machine> watched_;  // null: not this one either yet
  std::optional<SensorSet> sensors_;  // of the watched
};

}  // namespace prony::app
