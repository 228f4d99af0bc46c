// SimulatedHailo: Hailo accelerators made of power curves behind the functions of their vendor's library, with the ways
// in which real ones disappoint: boards without power meters, whose one sensor belongs to the overcurrent protection;
// temperatures without a sample; values that are not watts; a chip that falls off the bus and comes back.
// Rooms and tests make a table of functions of it (table()); the stand-in library of the tests exports the same.
// Thread promise: the functions from any thread; the description never changes once table() was called. Times are those
// of the curves: since their start. Source: hailo/hailort.h and control.cpp of github.com/hailo-ai/hailort.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "machine/hailo_abi.hpp"
#include "machine/library.hpp"
#include "machine/power_curve.hpp"
#include "model/time.hpp"

namespace prony {

struct SimulatedHailoChip {
  std::string id = "0001:01:00.0";
  std::string product = "HAILO-8L AI ACC M.2 B+M KEY MODULE EXT TMP";
  PowerCurve power = PowerCurve::constant(Watts(1));
  bool measures_power = false;  // an evaluation board; false: a module
  bool microwatts = false;      // power comes in µW, as the chip's own Linux counts it
  double start_celsius = 38, celsius_per_w = 9;
  double sensor_1_above = 0.75;  // the second temperature sensor, °C above the first
};

struct SimulatedHailoFault {
  enum class Kind {
    none,
    lost,   // every call fails in the driver, no new handle is given; then it is back, and old handles stay dead
    error,  // the firmware refuses every request
    blank,  // temperatures of no sample, power that is not a number
    stale,  // values stand still
  };
  Kind kind = Kind::none;
  Duration at, length;  // length 0: until the end
};

class SimulatedHailo : public std::enable_shared_from_this<SimulatedHailo> {
 public:
  using Clock = std::function<Duration()>;  // time of the curves
  SimulatedHailo(std::vector<SimulatedHailoChip> chips, Clock clock);

  void set_fault(SimulatedHailoFault fault) { fault_ = fault; }
  // How often somebody's measurement switched an overcurrent protection off.
  [[nodiscard]] int protection_switched_off() const;
  // Handles that were given out and not taken back.
  [[nodiscard]] int open_handles() const;
  // Every function, named as in the vendor's library; keeps this object. Functions may be taken out of it.
  [[nodiscard]] LibraryTable table();

 private:
  friend struct HailoFunctions;
  struct Handle {
    std::size_t chip = 0;
    Duration opened;
    bool released = false;
  };
  struct Call {
    hailo::Status status = hailo::success;
    const SimulatedHailoChip* chip = nullptr;
    Duration t;  // that its values show
    bool blank = false;
  };
  [[nodiscard]] bool within_fault(Duration t) const;
  [[nodiscard]] Call begin(hailo::Device device);

  std::vector<SimulatedHailoChip> chips_;
  Clock clock_;
  SimulatedHailoFault fault_;
  mutable std::mutex mutex_;
  std::deque<Handle> handles_;  // places never move
  int protection_off_ = 0;
};

}  // namespace prony
