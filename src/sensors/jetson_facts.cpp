// Facts of a Jetson: release, power mode, whether clocks are held, which rails are the whole. See machine_facts.hpp.
#include "sensors/jetson_files.hpp"
#include "sensors/jetson_rails.hpp"
#include "sensors/machine_facts.hpp"

namespace prony {

void describe_jetson(Machine& machine, Manifest& manifest) {
  if (!is_jetson(machine)) return;
  const auto set = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) manifest.set("machine." + key, value, "machine");
  };
  set("l4t_release", jetson_release(machine));
  set("power_mode", jetson_power_mode(machine));
  set("clocks_held", jetson_clocks_held(machine));
  if (const JetsonBoard* board = jetson_board(machine)) {
    set("module", std::string(board->name));
    set("rails_cover", std::string(board->covers));
  }
}

}  // namespace prony
