// RoomBuilder: lays the files of one device after another into a simulated machine, from curves. Internal to the rooms.
// Layout: as the kernel's; each function names the document. Thread promise: one thread, before the machine is used.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "machine/hailo_simulated.hpp"
#include "machine/nvml_simulated.hpp"
#include "machine/power_curve.hpp"
#include "machine/room.hpp"
#include "machine/sensor_view.hpp"
#include "machine/simulated.hpp"

namespace prony {

class RoomBuilder {
 public:
  RoomBuilder(SimulatedMachine& files, std::vector<RoomDomain>& domains, const RoomChoice& choice, Instant start,
              Duration tick, SimulatedMachine::Clock clock = {})
      : files_(files), domains_(domains), choice_(choice), start_(start), tick_(tick), clock_(std::move(clock)) {}

  void text(const std::string& path, const std::string& text) { files_.set_file(path, text + "\n"); }

  // A powercap zone "intel-rapl:0:1": energy_uj of 32 bits of `quantum_j`. Source: Documentation/power/powercap.
  struct Zone {
    std::string id, name;
    std::string domain;          // what a channel of it is called: "package-0", "core-0"
    double quantum_j = 0x1p-14;  // Intel; AMD 2^-16
    double design_w = 0;         // constraint_0_max_power_uw; 0: none
    double to_wrap_j = 0;        // how far the counter is from its wrap when the room is made; 0: far
  };
  void zone(const Zone& zone, const PowerCurve& curve);

  // hwmon: a chip, its energy counters (64 bits) and temperatures. Source: Documentation/hwmon/sysfs-interface.rst.
  void chip(const std::string& hwmon, const std::string& name) { text("/sys/class/hwmon/" + hwmon + "/name", name); }
  void energy(const std::string& hwmon, int index, const std::string& label, const std::string& domain,
              const PowerCurve& curve);
  // 1/1000 °C, the mean over two seconds, once a second: start + per_w × W.
  void temperature(const std::string& file, const PowerCurve& curve, double start_celsius, double celsius_per_w,
                   double step_celsius);
  void thermal_zone(int index, const std::string& type, const PowerCurve& curve, double start_celsius,
                    double celsius_per_w);
  // A battery that feeds all of `curve`, and a charger that is not plugged in. Source: Documentation/ABI/testing/
  // sysfs-class-power. The gauge is the mean over the second before.
  void battery(const std::string& name, const PowerCurve& curve, double full_wh, double volts);

  // Processors: count, /proc/stat, cgroup root, clocks, all of `load` (0…1 of all CPUs), and what /proc/cpuinfo says.
  struct Processors {
    unsigned cpus = 1;
    std::string cpuinfo;                    // lines of the first processor
    double least_khz = 0, most_khz = 0;     // of the one policy; 0: no frequency driver
    bool cgroup = true;                     // the root of cgroup v2 is here
    std::vector<PowerCurve> packages = {};  // load of each, 0…1 of its CPUs; empty: one package, which is not told
  };
  void processors(const Processors& processors, const PowerCurve& load);
  // What the device tree says of a board. Source: Devicetree Specification 2.3.1 (compatible), 2.3.2 (model).
  void board(const std::string& model, const std::vector<std::string>& compatible);
  // One input of an INA3221: volts that stand still, milliamperes in steps of 40 µV over the shunt, renewed every 6.6
  // ms (three inputs of 2 × 1.1 ms). `domain`: what a channel of it is called. Source: Documentation/hwmon/ina3221.rst,
  // TI SBOS576.
  struct ShuntRail {
    std::string hwmon;  // "hwmon1"
    int index = 1;      // 1…3
    std::string label, domain;
    double volts = 5, shunt_ohms = 0.005;
  };
  void rail(const ShuntRail& rail, const PowerCurve& curve);
  // The same as kernels 4.4 and 4.9 of Jetson boards show it: milliwatts, made of the same volts and milliamperes.
  void iio_rail(const std::string& chip, int device, int index, const std::string& label, double volts,
                const PowerCurve& curve);
  // A graphics processor: /sys/class/drm/cardN with its driver, address and hwmon folder, in both classes.
  void card(int number, const std::string& driver, const std::string& address);
  // Its energy counter in µJ. Source: Documentation/ABI/testing/sysfs-driver-intel-i915-hwmon.
  void card_energy(int number, const std::string& domain, const PowerCurve& curve);
  // Its binary gpu_metrics 1.4, of which only the energy accumulator is filled in. Source: kgd_pp_interface.h.
  void card_metrics(int number, const PowerCurve& curve);
  // A gauge in µW, the mean over `window`, renewed every `period`; its truth is `domain`.
  void power(const std::string& path, const std::string& domain, const PowerCurve& curve, Duration period,
             Duration window);
  // A file of `counts_per_unit` × curve, the mean over `window`, renewed every `period`: a load, a clock.
  void reading(const std::string& path, const PowerCurve& curve, double counts_per_unit, Duration period,
               Duration window, double offset_counts = 0);
  // /proc/meminfo, host name, kernel, DMI or device tree.
  void machine_facts(std::uint64_t memory_mib, const std::string& product, bool device_tree);

  // A Raspberry Pi 5 or 4 of this load (0…1 of all CPUs): device tree, fan, thermal zone, and the firmware behind
  // /dev/vcio, which tells its rails on a 5 only. Sources: firmware_device.hpp; rails and their volts as published
  // answers to `pmic_read_adc` have them.
  void raspberry(int model, const PowerCurve& load);

  // Hailo accelerators on PCI Express, behind the functions of their vendor's library; the chosen fault is one of all.
  void hailo_chips(std::vector<SimulatedHailoChip> chips);

  // NVIDIA GPUs behind the functions of their driver's library; the chosen fault is one of all of them.
  void nvidia_gpus(std::vector<SimulatedGpu> gpus);

  // Joules that no file shows, known as `name`: the whole that a modelled channel stands for.
  void truth(const std::string& name, const PowerCurve& curve) { domains_.push_back({name, {name}, curve}); }

 private:
  // A curve as a stale sensor sees its time.
  [[nodiscard]] std::function<Duration(Instant)> shown_time() const;
  void counter_file(const std::string& path, const PowerCurve& curve, CounterView view);
  void gauge_file(const std::string& path, const PowerCurve& curve, const GaugeView& view, bool may_fail);
  // The chosen fault for a file that tells energy; reset and stale are in its text.
  void fault_for(const std::string& path);
  [[nodiscard]] UpdateClock register_clock(Duration period);

  SimulatedMachine& files_;
  std::vector<RoomDomain>& domains_;
  const RoomChoice& choice_;
  Instant start_;
  Duration tick_;
  SimulatedMachine::Clock clock_;
  std::uint64_t sources_ = 0;  // seeds and phases: no two registers are renewed at once
};

}  // namespace prony
