// What `prony sensors` shows: every catalogue row, what it found here or why not, and what one read costs.
// Thread promise: as Machine. Reads sensors; writes nothing.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "model/passport.hpp"
#include "sensors/sensor.hpp"

namespace prony {

enum class SensorState {
  ready,     // everything found can be read
  partial,   // some channels can, some cannot
  not_here,  // this machine has nothing of it
  denied,    // is there, but this user may not read it
  stand_in,  // works, and is used only if nothing measures CPU energy
};
[[nodiscard]] std::string_view to_string(SensorState state) noexcept;  // "not here", "stand-in"

struct SensorReport {
  std::string name;
  std::string help;
  SensorState state = SensorState::not_here;
  LaneKind lane = LaneKind::fast;  // meaningful if there are channels
  std::vector<Channel> channels;
  std::optional<std::int64_t> cost_per_read_ns;  // median of reads of all its channels
  std::vector<Unavailable> unavailable;          // with reason and remedy
  std::vector<std::string> doubted;              // channels not seen to count: a stand-in is used beside them
  std::set<std::string> silent;                  // channels that gave no value at any read; `unavailable` says why
  bool unnamed = false;                          // a meter, and nobody named one: nothing is missing
  bool in_use = true;                            // stand-in only: nothing above measures CPU energy
};

// Probes every row; costs are the median of at most 200 reads, within about 20 ms in all.
[[nodiscard]] std::vector<SensorReport> probe_sensors(Machine& machine, const SensorOptions& options);

// Sets part_of of the channels that lie in a channel of another sensor; ids are those of `channels`. Names that are not
// there are passed over (a channel was left out).
void resolve_within(std::span<const Within> within, std::vector<Channel>& channels);

// True if `channels` hold a measured energy or power that is the CPU's (package, platform, a board's whole) and is not
// among the `doubted` names: then no stand-in is needed.
[[nodiscard]] bool measures_cpu_energy(std::span<const Channel> channels, std::span<const std::string> doubted);

// The table of `prony sensors`, no line longer than `width` columns (at least 60), and the same as JSON. What
// was learned stands in the documented figure's place, marked; JSON keeps the documented names and adds "learned".
[[nodiscard]] std::string sensors_text(const std::vector<SensorReport>& reports, std::size_t width,
                                       const MachinePassport& learned = {});
[[nodiscard]] std::string sensors_json(const std::vector<SensorReport>& reports, const MachinePassport& learned = {});

}  // namespace prony
