#include "machine/room_builder.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>

namespace prony {

namespace {

// RAPL renews about 1024 times a second, with jitter: never more than the documented millisecond apart.
constexpr Duration register_period{976'563}, register_jitter{11'000};
// INA3221: 40 µV a step; one shunt is looked at for 1.1 ms, and its turn comes every 6.6 ms.
constexpr double shunt_step_v = 40e-6;
constexpr Duration shunt_period{6'600'000}, shunt_window{1'100'000};
constexpr std::uint64_t register_quanta = 1ULL << 32;

std::string number_line(std::uint64_t value) { return std::to_string(value) + '\n'; }
std::string number_line(std::int64_t value) { return std::to_string(value) + '\n'; }

bool within(Duration t, const RoomChoice& choice) {
  return t >= choice.fault_at && (choice.fault_length.ns == 0 || t < choice.fault_at + choice.fault_length);
}

// Time as a stale sensor sees it.
Duration shown(Duration t, const RoomChoice& choice) {
  return choice.fault == RoomFault::stale && within(t, choice) ? choice.fault_at : t;
}

}  // namespace

UpdateClock RoomBuilder::register_clock(Duration period) {
  ++sources_;
  const auto phase = static_cast<std::int64_t>(mixed_hash(17, sources_) % static_cast<std::uint64_t>(period.ns));
  return {.period = period, .phase = {phase}, .jitter = register_jitter, .seed = sources_};
}

std::function<Duration(Instant)> RoomBuilder::shown_time() const {
  return [start = start_, choice = choice_](Instant now) { return shown(now - start, choice); };
}

void RoomBuilder::fault_for(const std::string& path) {
  if (choice_.fault != RoomFault::eio && choice_.fault != RoomFault::vanish) return;
  const int error = choice_.fault == RoomFault::eio ? EIO : ENODEV;
  files_.set_fault(
      path, [error, start = start_, choice = choice_](Instant now) { return within(now - start, choice) ? error : 0; });
}

void RoomBuilder::counter_file(const std::string& path, const PowerCurve& curve, CounterView view) {
  CounterView after = view;  // a reset: what the register shows from then on
  if (choice_.fault == RoomFault::reset) {
    const auto then = static_cast<std::uint64_t>(curve.joules(choice_.fault_at).quanta(view.quantum_j));
    after.start_quanta = view.wrap_quanta == 0 ? 0 - then : view.wrap_quanta - then % view.wrap_quanta;
  }
  files_.set_file(path, [curve, view, after, start = start_, choice = choice_](Instant now) {
    const auto t = shown(now - start, choice);
    // What was renewed before the reset still stands: it is the register that restarts, at its next update.
    const bool restarted = choice.fault == RoomFault::reset && view.updates.last(t) >= choice.fault_at;
    return number_line((restarted ? after : view).raw(curve, t));
  });
  fault_for(path);
}

void RoomBuilder::gauge_file(const std::string& path, const PowerCurve& curve, const GaugeView& view, bool may_fail) {
  files_.set_file(path, [curve, view, start = start_, choice = choice_, may_fail](Instant now) {
    return number_line(view.raw(curve, may_fail ? shown(now - start, choice) : now - start));
  });
  if (may_fail) fault_for(path);
}

void RoomBuilder::zone(const Zone& zone, const PowerCurve& curve) {
  const auto folder = "/sys/class/powercap/" + zone.id;
  CounterView view{.updates = register_clock(register_period),
                   .quantum_j = zone.quantum_j,
                   .counts_per_quantum = zone.quantum_j * 1e6,
                   .wrap_quanta = register_quanta};
  // A third of its range and some, so that no two counters look alike; or as near to the wrap as asked.
  const auto to_wrap = static_cast<std::uint64_t>(zone.to_wrap_j / zone.quantum_j);
  view.start_quanta = to_wrap > 0 ? register_quanta - to_wrap : register_quanta / 3 + sources_ * 7'654'321;
  text(folder + "/name", zone.name);
  text(folder + "/enabled", "1");
  text(folder + "/max_energy_range_uj", std::to_string(view.largest_raw()));
  if (zone.design_w > 0) {
    text(folder + "/constraint_0_name", "long_term");
    text(folder + "/constraint_0_max_power_uw", std::to_string(std::llround(zone.design_w * 1e6)));
    text(folder + "/constraint_0_power_limit_uw", std::to_string(std::llround(zone.design_w * 1e6)));
  }
  counter_file(folder + "/energy_uj", curve, view);
  domains_.push_back({zone.domain, {zone.domain, zone.id}, curve});
}

void RoomBuilder::energy(const std::string& hwmon, int index, const std::string& label, const std::string& domain,
                         const PowerCurve& curve) {
  const auto stem = "/sys/class/hwmon/" + hwmon + "/energy" + std::to_string(index);
  text(stem + "_label", label);
  counter_file(stem + "_input", curve,
               {.updates = register_clock(register_period),
                .quantum_j = 0x1p-16,
                .counts_per_quantum = 1e6 * 0x1p-16,
                .wrap_quanta = 0,
                .start_quanta = sources_ * 1'234'567'890});
  domains_.push_back({domain, {domain}, curve});
}

void RoomBuilder::temperature(const std::string& file, const PowerCurve& curve, double start_celsius,
                              double celsius_per_w, double step_celsius) {
  gauge_file(file, curve,
             {.updates = register_clock(milliseconds(1000)),
              .window = milliseconds(2000),
              .counts_per_w = celsius_per_w * 1000,
              .offset_counts = start_celsius * 1000,
              .quantum_counts = step_celsius * 1000},
             false);
}

void RoomBuilder::thermal_zone(int index, const std::string& type, const PowerCurve& curve, double start_celsius,
                               double celsius_per_w) {
  const auto folder = "/sys/class/thermal/thermal_zone" + std::to_string(index);
  text(folder + "/type", type);
  temperature(folder + "/temp", curve, start_celsius, celsius_per_w, 1);
}

void RoomBuilder::battery(const std::string& name, const PowerCurve& curve, double full_wh, double volts) {
  const auto folder = "/sys/class/power_supply/" + name;
  const GaugeView power{.updates = register_clock(milliseconds(1000)),
                        .window = milliseconds(1000),
                        .counts_per_w = 1e6,
                        .offset_counts = 0,
                        .quantum_counts = 1000};
  text(folder + "/type", "Battery");
  text(folder + "/scope", "System");
  text(folder + "/present", "1");
  text(folder + "/status", "Discharging");
  text(folder + "/voltage_now", std::to_string(std::llround(volts * 1e6)));
  text(folder + "/energy_full", std::to_string(std::llround(full_wh * 1e6)));
  gauge_file(folder + "/power_now", curve, power, true);
  // µWh left: it begins at four fifths and, once empty, stays so.
  const auto left_uwh = [curve, full_wh, start = start_](Instant now) {
    const double used_wh = curve.joules(now - start).value().value() / 3600;
    return std::max<std::int64_t>(0, std::llround((0.8 * full_wh - used_wh) * 1e6) / 10'000 * 10'000);
  };
  files_.set_file(folder + "/energy_now", [left_uwh](Instant now) { return number_line(left_uwh(now)); });
  files_.set_file(folder + "/capacity", [left_uwh, full_wh](Instant now) {
    return number_line(static_cast<std::int64_t>(static_cast<double>(left_uwh(now)) / (full_wh * 1e4)));
  });
  domains_.push_back({name, {name}, curve});
  text("/sys/class/power_supply/AC/type", "Mains");
  text("/sys/class/power_supply/AC/online", "0");
}

void RoomBuilder::processors(const Processors& p, const PowerCurve& load) {
  files_.set_cpu_count(p.cpus);
  text("/sys/devices/system/cpu/online", p.cpus == 1 ? "0" : "0-" + std::to_string(p.cpus - 1));
  text("/proc/cpuinfo", "processor\t: 0\n" + p.cpuinfo);
  // CPU seconds, moved at the scheduler's tick, and some that were used before the room was made.
  const CounterView busy{.updates = {.period = tick_, .phase = {}, .jitter = {}, .seed = 0},
                         .quantum_j = 1e-6,
                         .counts_per_quantum = 1,
                         .wrap_quanta = 0,
                         .start_quanta = 1'000'000'000};
  const auto busy_us = [busy, curve = load.scaled(p.cpus), start = start_](Instant now) {
    return busy.raw(curve, now - start);
  };
  if (p.cgroup) {
    text("/sys/fs/cgroup/cgroup.procs", "1");
    files_.set_file("/sys/fs/cgroup/cpu.stat", [busy_us](Instant now) {
      const auto all = busy_us(now), user = all / 20 * 17;
      return "usage_usec " + number_line(all) + "user_usec " + number_line(user) + "system_usec " +
             number_line(all - user);
    });
  }
  const auto share = p.cpus / std::max(1U, static_cast<unsigned>(p.packages.size()));
  for (unsigned cpu = 0; !p.packages.empty() && cpu < p.cpus; ++cpu)
    text("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/physical_package_id",
         std::to_string(std::min<std::size_t>(cpu / share, p.packages.size() - 1)));
  // Every CPU of a package is as busy as the others.
  const auto lines = [busy, packages = p.packages, share, cpus = p.cpus, start = start_](Instant now) {
    std::vector<std::string> times;
    for (const auto& one : packages)
      times.push_back(" " + std::to_string(busy.raw(one, now - start) / 10'000) + " 0 0 500000 0 0 0 0 0 0\n");
    std::string text;
    for (unsigned cpu = 0; !packages.empty() && cpu < cpus; ++cpu)
      text += "cpu" + std::to_string(cpu) + times[std::min<std::size_t>(cpu / share, times.size() - 1)];
    return text;
  };
  files_.set_file("/proc/stat", [busy_us, lines, cpus = p.cpus, start = start_](Instant now) {
    const auto all = busy_us(now) / 10'000, user = all / 20 * 17;
    const auto up = static_cast<std::uint64_t>(std::max<std::int64_t>(0, (now - start).ns) / 10'000'000);
    const auto idle = 500'000 + std::max(up * cpus + 100'000, all) - all;
    return "cpu  " + std::to_string(user) + " 0 " + std::to_string(all - user) + " " + std::to_string(idle) +
           " 0 0 0 0 0 0\n" + lines(now);
  });
  if (p.most_khz <= 0) return;
  const std::string policy = "/sys/devices/system/cpu/cpufreq/policy0";
  text(policy + "/scaling_governor", "schedutil");
  text(policy + "/cpuinfo_min_freq", std::to_string(std::llround(p.least_khz)));
  text(policy + "/cpuinfo_max_freq", std::to_string(std::llround(p.most_khz)));
  gauge_file(policy + "/scaling_cur_freq", load,
             {.updates = register_clock(milliseconds(10)),
              .window = milliseconds(10),
              .counts_per_w = p.most_khz - p.least_khz,
              .offset_counts = p.least_khz,
              .quantum_counts = 1000},
             false);
}

void RoomBuilder::machine_facts(std::uint64_t memory_mib, const std::string& product, bool device_tree) {
  const auto kib = memory_mib * 1024;
  text("/proc/meminfo", "MemTotal:       " + std::to_string(kib) + " kB\nMemFree:        " + std::to_string(kib / 2) +
                            " kB\nMemAvailable:   " + std::to_string(kib * 3 / 4) + " kB");
  text("/proc/sys/kernel/osrelease", "6.1.0-simulated");
  text("/proc/sys/kernel/hostname", "simulated-" + choice_.name);
  if (device_tree) {
    text("/sys/firmware/devicetree/base/model", product);
  } else {
    text("/sys/class/dmi/id/sys_vendor", "Simulated");
    text("/sys/class/dmi/id/product_name", product);
  }
}

void RoomBuilder::board(const std::string& model, const std::vector<std::string>& compatible) {
  const std::string top = "/sys/firmware/devicetree/base/", end(1, '\0');
  files_.set_file(top + "model", model + end);
  std::string texts;
  for (const auto& text : compatible) texts += text + end;
  files_.set_file(top + "compatible", texts);
}

void RoomBuilder::rail(const ShuntRail& rail, const PowerCurve& curve) {
  const auto folder = "/sys/class/hwmon/" + rail.hwmon, n = std::to_string(rail.index);
  text(folder + "/name", "ina3221");
  text(folder + "/update_interval", "7");
  text(folder + "/samples", "1");
  text(folder + "/in" + n + "_label", rail.label);
  text(folder + "/in" + n + "_input", std::to_string(std::llround(rail.volts * 1000)));
  text(folder + "/shunt" + n + "_resistor", std::to_string(std::llround(rail.shunt_ohms * 1e6)));
  const double step_ma = shunt_step_v / rail.shunt_ohms * 1000;
  gauge_file(folder + "/curr" + n + "_input", curve,
             {.updates = register_clock(shunt_period),
              .window = shunt_window,
              .counts_per_w = 1000 / rail.volts,
              .offset_counts = step_ma / 2,
              .quantum_counts = step_ma},
             true);
  domains_.push_back({rail.domain, {rail.domain}, curve});
}

void RoomBuilder::iio_rail(const std::string& chip, int device, int index, const std::string& label, double volts,
                           const PowerCurve& curve) {
  const auto n = std::to_string(index);
  const auto folder = "/sys/bus/i2c/drivers/ina3221x/" + chip + "/iio:device" + std::to_string(device);
  text(folder + "/rail_name_" + n, label);
  text(folder + "/in_voltage" + n + "_input", std::to_string(std::llround(volts * 1000)));
  const double step_mw = shunt_step_v / 0.005 * volts * 1000;
  gauge_file(folder + "/in_power" + n + "_input", curve,
             {.updates = register_clock(shunt_period),
              .window = shunt_window,
              .counts_per_w = 1000,
              .offset_counts = step_mw / 2,
              .quantum_counts = step_mw},
             true);
  domains_.push_back({label, {label}, curve});
}

void RoomBuilder::reading(const std::string& path, const PowerCurve& curve, double counts_per_unit, Duration period,
                          Duration window, double offset_counts) {
  gauge_file(path, curve,
             {.updates = register_clock(period),
              .window = window,
              .counts_per_w = counts_per_unit,
              .offset_counts = offset_counts,
              .quantum_counts = 1},
             false);
}

void RoomBuilder::card(int number, const std::string& driver, const std::string& address) {
  const auto n = std::to_string(number);
  const auto folder = "/sys/class/drm/card" + n;
  files_.set_link(folder + "/device", "../../../" + address);
  files_.set_link(folder + "/device/driver", "../../bus/pci/drivers/" + driver);
  for (const auto& chip : {folder + "/device/hwmon/hwmon" + n, "/sys/class/hwmon/hwmon" + n})
    text(chip + "/name", driver);
}

void RoomBuilder::card_energy(int number, const std::string& domain, const PowerCurve& curve) {
  const auto n = std::to_string(number);
  counter_file("/sys/class/drm/card" + n + "/device/hwmon/hwmon" + n + "/energy1_input", curve,
               {.updates = register_clock(register_period),
                .quantum_j = 0x1p-14,
                .counts_per_quantum = 1e6 * 0x1p-14,
                .wrap_quanta = 0,
                .start_quanta = sources_ * 1'234'567});
  domains_.push_back({domain, {domain}, curve});
}

void RoomBuilder::card_metrics(int number, const PowerCurve& curve) {
  const CounterView view{.updates = register_clock(register_period),
                         .quantum_j = 0x1p-16,
                         .counts_per_quantum = 1,
                         .wrap_quanta = 0,
                         .start_quanta = sources_ * 1'234'567};
  files_.set_file("/sys/class/drm/card" + std::to_string(number) + "/device/gpu_metrics",
                  [curve, view, start = start_, choice = choice_](Instant now) {
                    constexpr std::size_t size = 288, energy = 24;
                    std::string table(size, '\xff');
                    table[0] = static_cast<char>(size & 0xff);
                    table[1] = static_cast<char>(size >> 8);
                    table[2] = 1;
                    table[3] = 4;
                    const std::uint64_t counts = view.raw(curve, shown(now - start, choice));
                    for (std::size_t i = 0; i < sizeof counts; ++i)
                      table[energy + i] = static_cast<char>(counts >> 8 * i & 0xff);
                    return table;
                  });
  fault_for("/sys/class/drm/card" + std::to_string(number) + "/device/gpu_metrics");
}

void RoomBuilder::power(const std::string& path, const std::string& domain, const PowerCurve& curve, Duration period,
                        Duration window) {
  gauge_file(path, curve,
             {.updates = register_clock(period),
              .window = window,
              .counts_per_w = 1e6,
              .offset_counts = 500'000,
              .quantum_counts = 1e6},
             true);
  domains_.push_back({domain, {domain}, curve});
}

}  // namespace prony
