#include "app/kept.hpp"

#include "app/environment.hpp"
#include "app/machine_peaks.hpp"
#include "base/text.hpp"
#include "calibrate/fitted_model.hpp"
#include "passport/store.hpp"
#include "sensors/machine_facts.hpp"

namespace prony::app {

namespace {

constexpr std::size_t largest_file = std::size_t{1} << 20;

std::string recorded_root(const Manifest& facts) {
  if (const auto simulated = facts.get("machine.simulated")) return "simulate " + *simulated;
  std::string root;
  for (const auto& [name, usual] : {std::pair{"sysfs", "/sys"}, std::pair{"procfs", "/proc"}}) {
    const std::string tree = facts.get("setting." + std::string(name)).value_or(usual);
    if (tree == usual) continue;
    std::error_code ignored;
    const auto whole = std::filesystem::weakly_canonical(tree, ignored);
    root += (root.empty() ? "" : " ") + (ignored ? tree : whole.string());
  }
  return root;
}

constexpr const char* again = "`prony calibrate` makes it again";

// nullopt: none was made of this machine.
Result<std::optional<calibrate::Calibration>> calibration_of(const Manifest& facts) {
  using Found = std::optional<calibrate::Calibration>;
  const auto path = kept_file(facts, "calibrations");
  if (path.empty()) return Found{};
  const auto text = read_whole_file(path.string(), largest_file);
  if (!text) return Found{};
  auto kept = calibrate::calibration_from_text(*text);
  if (!kept) return fail(kept.error().code, kept.error().what + " (" + path.string() + ")", {}, again);
  if (kept->machine != machine_words(facts))
    return fail(ErrorCode::unavailable,
                "it was made on another machine: " + kept->machine + " then, " + machine_words(facts) + " now", {},
                again);
  if (const auto line = calibrate::fit(kept->steps); !line)
    return fail(line.error().code, line.error().what, {}, again);
  return Found{std::move(*kept)};
}

void use_calibration(Manifest& manifest) {
  const auto kept = calibration_of(manifest);
  if (!kept)
    manifest.unavailable.push_back({"calibration", kept.error().what, kept.error().fix});
  else if (*kept)
    manifest.set("calibration", calibrate::to_text(**kept), "file");
}

// Peaks that are kept and cannot be used are told; those that were never measured are the report's affair.
void use_peaks(Manifest& manifest) {
  if (manifest.get("peak.flop_per_s") || manifest.get("peak.bytes_per_s") || manifest.get("machine.simulated")) return;
  const auto kept = kept_peaks(manifest);
  if (!kept && kept.error().code != ErrorCode::absent)
    manifest.unavailable.push_back({"peaks", kept.error().what, kept.error().fix});
  if (!kept) return;
  for (const Fact& fact : calibrate::facts_of(*kept)) manifest.set(fact.key, fact.value, fact.origin);
}

}  // namespace

Manifest facts_for_kept(Machine& machine, const MachineChoice& choice) {
  Manifest facts;
  describe_machine(machine, facts);
  describe_simulation(machine, facts);
  facts.set("setting.sysfs", choice.sysfs, "flag");
  facts.set("setting.procfs", choice.procfs, "flag");
  return facts;
}

std::filesystem::path kept_file(const Manifest& facts, std::string_view kind) {
  Manifest lasting = facts;
  lasting.set("machine.kernel", "", "machine");
  const auto identity = passport::identify(lasting, recorded_root(facts)).identity;
  const auto path = passport::file_of(environment("XDG_STATE_HOME"), environment("HOME"), identity);
  return path.empty() ? path : path.parent_path().parent_path() / kind / path.filename();
}

std::string machine_words(const Manifest& facts) {
  return facts.get("machine.cpu_model").value_or("?") + ", " + facts.get("machine.board").value_or("?") + ", " +
         facts.get("machine.cpus").value_or("?") + " CPUs";
}

calibrate::KeptBaseline conditions_now(Machine& machine, const Manifest& facts) {
  calibrate::KeptBaseline now;
  now.taken_wall_ns = machine.anchor().wall_ns;
  now.kernel = facts.get("machine.kernel").value_or("");
  now.firmware = facts.get("machine.firmware").value_or("");
  now.governor = facts.get("machine.governor").value_or("");
  return now;
}

std::function<Result<bool>(Channel&, std::optional<bool>)> kept_calibration(Machine& machine,
                                                                            const MachineChoice& choice) {
  return [&machine, choice](Channel& channel, std::optional<bool> clocks) -> Result<bool> {
    const auto kept = calibration_of(facts_for_kept(machine, choice));
    if (!kept) return Unexpected<Error>(kept.error());
    return *kept ? calibrate::calibrate_channel(**kept, clocks, channel) : Result<bool>(false);
  };
}

Result<void> use_kept(Machine& machine, Manifest& manifest, const UseKept& use) {
  if (use.calibration) use_calibration(manifest);
  if (use.peaks) use_peaks(manifest);
  if (!use.stored_baseline) return {};
  const auto path = kept_file(manifest, "baselines");
  const std::string how = "Measure one while nothing else runs:  prony baseline --for 10s";
  if (path.empty()) return fail(ErrorCode::absent, "neither HOME nor XDG_STATE_HOME is set", "--baseline stored", how);
  const auto text = read_whole_file(path.string(), largest_file);
  if (!text) return fail(ErrorCode::absent, "no baseline of this machine is kept", "--baseline stored", how);
  const auto kept = calibrate::baseline_from_text(*text);
  if (!kept) return fail(kept.error().code, kept.error().what, path.string(), how);
  const auto now = conditions_now(machine, manifest);
  if (const auto why = calibrate::why_expired(*kept, now); !why.empty())
    return fail(ErrorCode::unavailable, "the kept baseline has expired: " + why, "--baseline stored", how);
  for (const Fact& fact : calibrate::facts_of(*kept, now.taken_wall_ns))
    manifest.set(fact.key, fact.value, fact.origin);
  return {};
}

}  // namespace prony::app
