#include "app/study_machine.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/text.hpp"
#include "machine/device.hpp"

namespace prony::app {

namespace {

constexpr Duration longest_command = milliseconds(60'000);

// {value} and {before}; a value that holds anything but plain signs would be read by the shell.
std::string put_in(std::string text, const std::string& name, const std::string& value) {
  const std::string braces = "{" + name + "}";
  for (std::size_t at = text.find(braces); at != std::string::npos; at = text.find(braces, at + value.size()))
    text.replace(at, braces.size(), value);
  return text;
}

std::string shell_word(const std::string& value) {
  std::string out = "'";
  for (const char c : value) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// What a set is given to put back what a get told: a number without its unit, "250.00 W"; all else as it was told.
std::string settable(const std::string& told) {
  std::string_view rest(told);
  const std::string first(next_word(rest));
  const auto is_number = [](std::string_view word) { return parse_finite(word).has_value(); };
  const std::string_view unit = next_word(rest);
  return is_number(first) && !unit.empty() && !is_number(unit) ? first : told;
}

// The braces of a variant's own in commands that are run between variants: of one that has this setting.
std::string filled_for(const study::Plan& plan, const std::string& name, const std::string& command) {
  for (const study::Variant& variant : plan.variants)
    if (variant.find("machine." + name) != nullptr) return study::filled(variant, command);
  return command;
}

bool same_value(const std::string& asked, const std::string& got) {
  if (study::canonical_word(asked) == study::canonical_word(got)) return true;
  std::string_view rest(got);  // "250.00 W"
  return study::canonical_word(asked) == study::canonical_word(std::string(next_word(rest)));
}

}  // namespace

StudyMachine::StudyMachine() : machine_(make_live_machine()) {}

Result<std::string> StudyMachine::command(const std::string& text, const std::atomic<int>* stop) {
  const std::vector<std::string> words{"/bin/sh", "-c", text};
  const auto done = run_live_program(words, longest_command, stop);
  if (!done) return Unexpected<Error>(done.error());
  if (done->exit_code != 0)
    return fail(ErrorCode::unavailable,
                "a command for the machine failed with code " + std::to_string(done->exit_code) + ": " +
                    printable(trim(done->err.empty() ? done->out : done->err), 160),
                printable(text, 100), "Try it by hand; many such settings need root.");
  return std::string(trim(done->out));
}

Result<void> StudyMachine::apply(const study::Plan& plan, const study::Variant& variant, StudyManifest& manifest,
                                 const StudyFolder& folder, const std::atomic<int>& stop) {
  for (const study::Setting& setting : variant.settings) {
    if (!setting.key.starts_with("machine.") || setting.value.is(study::Value::Kind::null)) continue;
    const study::MachineSetting* how = plan.machine_setting(setting.key.substr(8));
    if (how == nullptr) return fail(ErrorCode::usage, "nothing says how to set it", setting.key);
    const auto known = [&](const auto& before) { return before.first == how->name; };
    if (std::ranges::none_of(manifest.machine_before, known)) {
      const auto before = command(study::filled(variant, how->get), &stop);
      if (!before) return Unexpected<Error>(before.error());
      if (before->empty())
        return fail(ErrorCode::unavailable, "its get prints nothing, so that it could not be put back: it is not set",
                    setting.key, "get prints the value in force:  " + printable(how->get, 100));
      manifest.machine_before.emplace_back(how->name, *before);
      if (auto saved = folder.save(manifest); !saved) return saved;
    }
    const std::string value = study::word_of(setting.value);
    if (auto set = command(put_in(study::filled(variant, how->set), "value", shell_word(value)), &stop); !set)
      return Unexpected<Error>(set.error());
    const auto now = command(put_in(study::filled(variant, how->verify), "value", shell_word(value)), &stop);
    if (!now) return Unexpected<Error>(now.error());
    if (!same_value(value, *now))
      return fail(ErrorCode::unavailable, "asked for " + value + ", in force is " + printable(*now, 60), setting.key,
                  "The machine did not take it: see what it allows.");
  }
  return {};
}

Result<void> StudyMachine::put_back(const study::Plan& plan, const std::string& name, const std::string& before) {
  const study::MachineSetting* how = plan.machine_setting(name);
  if (how == nullptr)
    return fail(ErrorCode::usage, "the study's file no longer says how to put it back to " + before, "machine." + name);
  const std::string restore = filled_for(plan, name, how->restore);
  if (auto done = command(put_in(restore, "before", shell_word(settable(before)))); !done)
    return Unexpected<Error>(done.error());
  const auto now = command(filled_for(plan, name, how->get));
  if (!now) return Unexpected<Error>(now.error());
  if (*now == before || same_value(settable(before), *now)) return {};
  return fail(ErrorCode::unavailable,
              "it is not put back: before the study it was " + printable(before, 60) + ", in force is " +
                  (now->empty() ? "nothing that get tells" : printable(*now, 60)),
              "machine." + name,
              "Put it back by hand, then  prony study --restore FOLDER  sees that it is. The command was:  " +
                  printable(how->restore, 100));
}

// One that cannot be put back keeps its entry and none of the others from it.
Result<void> StudyMachine::restore(const study::Plan& plan, StudyManifest& manifest, const StudyFolder& folder) {
  Result<void> first;
  for (std::size_t at = manifest.machine_before.size(); at-- > 0;) {
    const auto [name, before] = manifest.machine_before[at];
    if (auto done = put_back(plan, name, before); !done) {
      if (first) first = std::move(done);
      continue;
    }
    manifest.machine_before.erase(manifest.machine_before.begin() + static_cast<std::ptrdiff_t>(at));
    if (auto saved = folder.save(manifest); !saved) return saved;
  }
  return first;
}

Result<void> StudyMachine::watch(const study::Variant& variant) {
  const auto chosen = [&](const char* key, std::string usual) {
    std::string word = study::filled(variant, variant.word(key));
    return word.empty() ? usual : word;
  };
  const MachineChoice usual;
  const MachineChoice choice{chosen("sysfs", usual.sysfs), chosen("procfs", usual.procfs), chosen("simulate", "")};
  if (watched_ && choice.sysfs == choice_.sysfs && choice.procfs == choice_.procfs &&
      choice.simulate == choice_.simulate)
    return {};
  auto machine = open_machine(choice);
  if (!machine) return Unexpected<Error>(machine.error());
  sensors_.reset();
  watched_ = std::move(*machine);
  choice_ = choice;
  return {};
}

std::optional<double> StudyMachine::celsius() {
  if (!sensors_) {
    auto opened = open_sensors(watched_ ? *watched_ : *machine_, "", SensorOptions{});
    if (!opened) return std::nullopt;
    std::erase_if(opened->sensors, [](const std::unique_ptr<Sensor>& sensor) {
      return std::ranges::none_of(sensor->channels(),
                                  [](const Channel& channel) { return channel.measure == Measure::temperature; });
    });
    sensors_ = std::move(*opened);
  }
  std::optional<double> hottest;
  for (const auto& sensor : sensors_->sensors) {
    std::vector<Reading> readings(sensor->channels().size());
    sensor->read(readings);
    for (std::size_t i = 0; i < readings.size(); ++i) {
      const Channel& channel = sensor->channels()[i];
      if (channel.measure != Measure::temperature || readings[i].quality == Quality::gap) continue;
      const double degrees = static_cast<double>(readings[i].raw) * channel.scale;
      hottest = std::max(hottest.value_or(degrees), degrees);
    }
  }
  return hottest;
}

Result<double> StudyMachine::cool_down(double max_celsius, std::int64_t limit_ns, const std::atomic<int>& stop) {
  const auto begun = std::chrono::steady_clock::now();
  for (;;) {
    const auto now = celsius();
    if (!now) return fail(ErrorCode::absent, "no temperature can be read here", "[gate]", "Leave the gate out.");
    const double waited = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    if (*now <= max_celsius || stop.load() != 0) return waited;
    if (waited * 1e9 > static_cast<double>(limit_ns))
      return fail(ErrorCode::transient,
                  "still " + format_fixed(*now, 1) + " °C after " + format_fixed(waited, 0) + " s, over " +
                      format_number(max_celsius) + " °C",
                  "[gate]", "Give it longer, or a temperature that it reaches.");
    for (int i = 0; i < 5 && stop.load() == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace prony::app
