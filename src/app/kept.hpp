// What is kept of this machine between Runs beside its passports: its baseline and its calibration, one file each, in
// the same place and the owner's alone. The machine is its processor and board (and the trees that stand in for /sys
// and /proc), whatever kernel it runs. Thread promise: one thread. Errors: usage, absent, with what to do.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "app/machine_choice.hpp"
#include "base/result.hpp"
#include "calibrate/baseline.hpp"
#include "machine/machine.hpp"
#include "model/manifest.hpp"

namespace prony::app {

// What a subcommand that records nothing itself knows of the machine: what describe_machine() tells, and the trees.
[[nodiscard]] Manifest facts_for_kept(Machine& machine, const MachineChoice& choice);
// `kind`: "baselines", "calibrations". `facts`: a Run's own. Empty: neither HOME nor XDG_STATE_HOME is set.
[[nodiscard]] std::filesystem::path kept_file(const Manifest& facts, std::string_view kind);
// Processor and board, in words and by what is compared.
[[nodiscard]] std::string machine_words(const Manifest& facts);
// The conditions of now: kernel, firmware, governor, time.
[[nodiscard]] calibrate::KeptBaseline conditions_now(Machine& machine, const Manifest& facts);

// What a modelled channel of this machine becomes by the calibration that is kept of it: for SensorOptions::calibrated.
// Nothing is looked for before a modelled channel is there. The Machine must outlive it.
[[nodiscard]] std::function<Result<bool>(Channel&, std::optional<bool>)> kept_calibration(Machine& machine,
                                                                                          const MachineChoice& choice);

struct UseKept {
  bool stored_baseline = false;
  bool calibration = true;  // false: none, for what is recorded is to make one, or it was refused already
  bool peaks = false;       // what the machine computes and reads at most, where the user did not say it
};
// Before a Run begins: its manifest gets the calibration that is kept, and the baseline where it was asked for (an
// error if there is none to be used). What is kept and cannot be used is told in the manifest.
[[nodiscard]] Result<void> use_kept(Machine& machine, Manifest& manifest, const UseKept& use);

}  // namespace prony::app
