// Sensor: reads some channels of a Machine. One file, one catalogue row, one test, one docs page per sensor.
//
// A sensor is made once (probing may be slow and may allocate), then read() is called on every tick of its lane by one
// thread: kept-open files, no allocation, no throw, no clock policy, no idea of sinks. It never prints.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "model/channel.hpp"
#include "model/manifest.hpp"
#include "model/sample.hpp"

namespace prony {

// Which lane reads it. fast: cheap and worth every tick. slow: once a second is plenty, or a read costs over 100 µs.
// blocking: may hang (BMC, plug); gets a thread of its own.
enum class LaneKind { fast, slow, blocking };
[[nodiscard]] std::string_view to_string(LaneKind lane) noexcept;

class Sensor {
 public:
  virtual ~Sensor() = default;
  [[nodiscard]] virtual LaneKind lane() const noexcept = 0;
  // What it reads; fixed after construction. Ids and part_of are relative to this list (0-based): the app renumbers
  // them.
  [[nodiscard]] virtual std::span<const Channel> channels() const noexcept = 0;
  // One Reading per channel, in that order. A channel that cannot be read now gets Quality::gap.
  virtual void read(std::span<Reading> out) noexcept = 0;
  // The CPU from which a read costs least (its package's own: from elsewhere the kernel sends it an interrupt). The
  // sampler reads it from there, in a lane of its own. nullopt: any will do.
  [[nodiscard]] virtual std::optional<unsigned> home_cpu() const noexcept { return std::nullopt; }
  // How often it is worth reading at most, outside the fast lane: a lane of such sensors ticks no more often than that.
  [[nodiscard]] virtual Duration pace() const noexcept { return milliseconds(1000); }
  // Of LaneKind::blocking: the thread of its own that it shares with those that name it too; "": one named after its
  // first channel's sensor. The text lives as long as the sensor.
  [[nodiscard]] virtual std::string_view lane_name() const noexcept { return {}; }
  // What changed since the last call that is text, not a number (throttle reasons, governor, power mode); called off
  // the tick, about once a second, by one thread. Empty: nothing did.
  [[nodiscard]] virtual std::vector<Event> changes() { return {}; }
  // Why channels were gaps since the last call, for the Run's events; called off the tick. Empty: nothing to say.
  [[nodiscard]] virtual std::vector<Unavailable> complaints() { return {}; }
};

struct SensorOptions {
  // rapl may be asked to include channels that stay off by default; kept small on purpose.
  bool every_channel = false;
  // What a published line makes of a board's rails for the plug is wanted too; off, for it is nobody's measurement.
  bool wall_estimate = false;
  // What is kept of this machine puts better figures into a modelled channel, which is derived then. True: it did;
  // false: nothing is kept for it; an error: what is kept does not fit, and why. Empty: nobody looked.
  std::function<Result<bool>(Channel&, std::optional<bool> clocks)> calibrated = {};
  std::optional<bool> clocks = {};  // clocks of the processor are read beside; nullopt: not known
};

// A channel that lies in a channel of another sensor: names of both. (Within one sensor, part_of says it.)
struct Within {
  std::string part, whole;
};

// What a sensor found on this machine: the sensor if anything can be read, and what could not, with reason and remedy.
struct Probe {
  std::unique_ptr<Sensor> sensor;        // null: nothing to read here; then `unavailable` says why
  std::vector<Unavailable> unavailable;  // also partial: a zone that is unreadable while others work
  // One per further package, read from that package's own CPU; part_of is relative to each sensor's own list.
  std::vector<std::unique_ptr<Sensor>> more = {};
  std::vector<Within> within = {};  // between `sensor` and `more`
  // What was left out on purpose, or works in another way than it might: shown and recorded, but nothing is missing.
  std::vector<Unavailable> notes = {};
  // Names of channels that were not seen to count while they were probed: they are recorded, and a stand-in beside
  // them.
  std::vector<std::string> doubted = {};
  // What the Run should keep of the devices: "gpu-0.name"; keys get the row's name before them.
  std::vector<Fact> facts = {};
};

struct SensorRow {
  std::string_view name;  // "rapl"
  std::string_view help;  // one line: what it sees
  Probe (*make)(Machine&, const SensorOptions&);
  bool stand_in = false;  // used only if no other sensor gives measured energy of the CPU (cpu-model)
};

// Every sensor there is, in every build, in the order in which they are shown.
[[nodiscard]] std::span<const SensorRow> sensor_catalogue();

}  // namespace prony
