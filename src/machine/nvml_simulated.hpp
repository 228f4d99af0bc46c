// SimulatedNvml: NVIDIA GPUs made of power curves behind the functions of their management library, with the ways in
// which real ones mislead: a counter that is renewed about ten times a second, power that is the mean of the last
// second, power of which only a quarter of the time is looked at, values that are not there (blank), calls that take
// long, a GPU that falls off the bus, a driver that is loaded again and counts from 0. Rooms and tests make a table of
// functions of it (table()); the stand-in library of the tests exports the same.
// Thread promise: the functions from any thread; the description never changes once table() was called. Times are those
// of the curves: since `start`. Source: NVML API Reference Guide; for the 25 % window: Yang, Adamek, Armour, "Part-time
// Power Measurements: nvidia-smi's Lack of Attention", SC24.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "machine/library.hpp"
#include "machine/nvml_abi.hpp"
#include "machine/power_curve.hpp"
#include "machine/sensor_view.hpp"
#include "model/time.hpp"

namespace prony {

// A process as the driver sees it on one GPU at one time.
struct SimulatedGpuUse {
  std::int64_t pid = 0;
  double sm = 0;  // 0…1
  std::uint64_t memory_bytes = 0;
  unsigned instance = 0xffffffff;  // of MIG
};

struct SimulatedGpu {
  std::string uuid, name;
  std::string bus_id = "00000000:01:00.0";
  unsigned architecture = nvml::arch_hopper;
  PowerCurve power = PowerCurve::constant(Watts(0));
  std::optional<PowerCurve> module = {};  // the whole superchip that it lies in
  bool counts_energy = true;              // Volta and later
  UpdateClock energy_updates{milliseconds(100), {}, {}};
  std::uint64_t energy_start_mj = 0;
  std::optional<GaugeView> average = GaugeView{{milliseconds(100), {}, {}}, milliseconds(1000), 1e3};
  std::optional<GaugeView> instant = GaugeView{{milliseconds(100), {}, {}}, milliseconds(25), 1e3};
  double limit_w = 700, idle_w = 70;                              // busy: by how much power is above idle
  std::optional<std::pair<Duration, double>> lowered_limit = {};  // when, and to how many watts
  std::function<unsigned long long(Duration)> reasons = {};       // in place of those that the curve gives
  std::uint64_t memory_bytes = 80ULL << 30, memory_used_bytes = 1ULL << 30;
  std::vector<std::string> instances = {};  // UUIDs of MIG devices; not empty: MIG is on
  bool driver_fields = true;                // nvmlDeviceGetFieldValues knows violations and PCIe counters
  bool process_use = true;                  // nvmlDeviceGetProcessUtilization works
  std::vector<std::string> blank = {};      // functions that answer "success" and the value that stands for nothing
  std::function<std::vector<SimulatedGpuUse>(Duration)> processes = {};

  [[nodiscard]] double load(Duration t) const;  // 0…1 of the way from idle to the limit
};

struct SimulatedNvmlFault {
  enum class Kind {
    none,
    lost,    // every call says that the GPU is lost; then it is back, and counts from 0
    driver,  // the driver goes; when it is back the library must be initialised anew, and all counts from 0
    error,   // calls fail with an unknown error; counting goes on
    reset,   // counters go back to 0 at `at`
    stale,   // values stand still
  };
  Kind kind = Kind::none;
  Duration at, length;                  // 0: until the end
  std::optional<std::size_t> gpu = {};  // this one alone
};

class SimulatedNvml : public std::enable_shared_from_this<SimulatedNvml> {
 public:
  using Clock = std::function<Duration()>;  // time of the curves
  SimulatedNvml(std::vector<SimulatedGpu> gpus, Clock clock);

  void set_fault(SimulatedNvmlFault fault) { fault_ = fault; }
  // Called with a function's name before it does anything: latency, a lock.
  void before_calls(std::function<void(std::string_view)> act) { before_ = std::move(act); }
  void set_wall_offset_us(std::int64_t us) { wall_offset_us_ = us; }
  void set_driver(std::string version) { driver_ = std::move(version); }
  [[nodiscard]] const std::vector<SimulatedGpu>& gpus() const noexcept { return gpus_; }
  // Every function, named as in the vendor's library; keeps this object. Functions may be taken out of it.
  [[nodiscard]] LibraryTable table();

 private:
  friend struct NvmlFunctions;
  struct Handle {
    std::size_t gpu = 0;
    std::optional<std::size_t> instance = {};
    std::uint64_t generation = 0;
  };
  struct Call {  // what a call found: the GPU, if it answers, and the time it shows
    nvml::Status status = nvml::success;
    const SimulatedGpu* gpu = nullptr;
    std::size_t index = 0;
    std::optional<std::size_t> instance = {};
    Duration t;
  };
  [[nodiscard]] Call begin(std::string_view function, nvml::Device device);
  [[nodiscard]] nvml::Status library_status(Duration t) const;
  [[nodiscard]] nvml::Device handle(std::size_t gpu, std::optional<std::size_t> instance);
  [[nodiscard]] bool within_fault(Duration t) const;
  [[nodiscard]] std::uint64_t energy_mj(const Call& call) const;
  // How long a policy has held the clocks down, in ns: power, for as long as the curve stood at its limit.
  [[nodiscard]] static unsigned long long violation_ns(const Call& call, int policy);
  [[nodiscard]] static bool blank(const Call& call, std::string_view function);
  void field(const Call& call, nvml::FieldValue& value) const;

  std::vector<SimulatedGpu> gpus_;
  Clock clock_;
  SimulatedNvmlFault fault_;
  std::function<void(std::string_view)> before_;
  std::int64_t wall_offset_us_ = 1'700'000'000'000'000;
  std::string driver_ = "550.54.15";
  std::mutex mutex_;
  std::deque<Handle> handles_;  // places never move
  int initialised_ = 0;
  Duration initialised_at_;
  std::uint64_t generation_ = 0;
};

}  // namespace prony
