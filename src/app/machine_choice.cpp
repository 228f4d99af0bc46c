#include "app/machine_choice.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>

#include "base/text.hpp"
#include "machine/room.hpp"

namespace prony::app {

namespace {

const Room* as_room(const Machine& machine) { return dynamic_cast<const Room*>(&machine); }

std::string room_list() {
  std::string text = "Simulated machines (--simulate NAME); no joule on them is real, and the true ones are told:\n";
  for (const RoomRow& row : room_catalogue()) {
    std::string name(row.name);
    name.resize(12, ' ');
    text += "  " + name + std::string(row.help) + "\n";
  }
  return text +
         "Faults of their energy sensors:  --simulate laptop,fault=reset|eio|vanish|stale[,at=SECONDS][,for=SECONDS]";
}

}  // namespace

void add_machine_options(CLI::App& command, MachineChoice& choice) {
  command.add_option("--sysfs", choice.sysfs, "Read this tree instead of /sys")->type_name("DIR");
  command.add_option("--procfs", choice.procfs, "Read this tree instead of /proc")->type_name("DIR");
  add_simulate_option(command, choice);
}

CLI::Option* add_simulate_option(CLI::App& command, MachineChoice& choice) {
  return command
      .add_option("--simulate", choice.simulate, "A simulated machine instead of this one; `list` names them")
      ->type_name("NAME")
      ->each([](const std::string& word) {
        if (word == "list") throw CLI::CallForVersion(room_list(), 0);  // as --version does: prints, and ends well
      });
}

Result<std::unique_ptr<Machine>> open_machine(const MachineChoice& choice) {
  if (!choice.simulate.empty()) {
    if (choice.sysfs != "/sys" || choice.procfs != "/proc")
      return fail(ErrorCode::usage, "a simulated machine has files of its own", "--simulate",
                  "Leave out --sysfs and --procfs, or --simulate.");
    const auto room_choice = parse_room_choice(choice.simulate);
    if (!room_choice) return Unexpected<Error>(room_choice.error());
    auto room = Room::make(*room_choice);
    if (!room) return Unexpected<Error>(room.error());
    return std::move(*room);
  }
  for (const auto& [option, directory] : {std::pair{"--sysfs", choice.sysfs}, std::pair{"--procfs", choice.procfs}}) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(directory, ignored))
      return fail(ErrorCode::usage, "'" + printable(directory, 200) + "' is not a directory", option);
  }
  return make_live_machine({.sysfs = choice.sysfs, .procfs = choice.procfs});
}

std::string simulated_name(const Machine& machine) {
  const Room* room = as_room(machine);
  return room == nullptr ? std::string() : room->choice().name;
}

std::string simulation_note(const Machine& machine) {
  const auto name = simulated_name(machine);
  return name.empty() ? name : "simulated " + name + ": no joule here is real";
}

void describe_simulation(const Machine& machine, Manifest& manifest) {
  const Room* room = as_room(machine);
  if (room == nullptr) return;
  const RoomChoice& choice = room->choice();
  manifest.set("machine.simulated", choice.name, "flag");
  const auto seconds = [](Duration d) { return format_number(static_cast<double>(d.ns) / 1e9) + " s"; };
  if (choice.fault != RoomFault::none) {
    std::string words = std::string(to_string(choice.fault)) + " at " + seconds(choice.fault_at);
    if (choice.fault_length.ns > 0) words += " for " + seconds(choice.fault_length);
    manifest.set("simulated.fault", words, "flag");
  }
  manifest.set("simulated.start_ns", std::to_string(room->start().ns), "machine");
  for (const RoomDomain& domain : room->domains())
    manifest.set("simulated.curve." + domain.name, domain.curve.text(), "machine");
}

std::vector<Total> true_joules(const Machine& machine, std::span<const Channel> channels, Interval window) {
  std::vector<Total> totals;
  const Room* room = as_room(machine);
  if (room == nullptr) return totals;
  for (const Channel& channel : channels)
    if (const auto joules = room->true_joules(channel, window))
      totals.push_back({"simulated", "true_j." + channel.name, joules->value(), "closed form of the power curve"});
  return totals;
}

}  // namespace prony::app
