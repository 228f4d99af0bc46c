// One thing that the FUSE tree measures: a power curve with a closed-form integral, and what a sensor of its kind shows
// of it. Settings come as words KEY=VALUE; every value is a function of the time since the tree's 0 and of the fault
// that is switched on. Units: in the names. Thread promise: one thread. Errors: usage, naming the word that is off.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "live_feed.hpp"
#include "machine/power_curve.hpp"
#include "machine/sensor_view.hpp"

namespace prony::rigs {

enum class Kind { zone, hwmon, thermal, supply };
// torn: every other read gives only the first half of its text, as a reader gets that meets a writer half-way.
enum class Fault { ok, eio, rubbish, empty, negative, vanish, stale, denied, torn };

inline constexpr const char* domain_help =
    R"(  all kinds: power=CURVE (constant:W sine:MEAN,AMPLITUDE,PERIOD square:LOW,HIGH,PERIOD steps:0=W,T=W,…,repeat=S
           noise:SEED,MEAN,AMPLITUDE,CELL; sums with '+'), or curve=constant|sine|square|steps base=W amp=W period=S levels=N
           update_us=N phase_us=N jitter_us=N seed=N  when values are renewed
  --zone   id=intel-rapl:0 name=package-0  quantum_uj=X wrap_quanta=N start_uj=N max_w=W
           live=FILE (what a program says that was used, live_feed.hpp, in place of power=; renewed when that says more)
  --hwmon  id=hwmon0 chip=NAME label=TEXT  power1_input, energy1_input, temp1_input, fan1_input; quantum_uj=X start_uj=N
           quantum_uw=N window_us=N (what power is the mean over)  average=yes (as power1_average, which says so)
           only=power|energy|rail (rail: neither, but in1_input and curr1_input at volts=V)
           interval_ms=N (its update_interval; no such file without)
  --thermal id=thermal_zone0 type=NAME  temp = start_mc + mc_per_w · power, a mean over window_us, in steps of quantum_mc
  --supply id=BAT0 type=Battery|Mains volts=V status=TEXT full_j=N quantum_uw=N window_us=N only=product (no power_now)
)";

struct Domain {
  Kind kind = Kind::zone;
  std::string id, name, label;
  PowerCurve curve = PowerCurve::constant(Watts(20));
  CounterView counter;
  GaugeView power, temperature;
  double max_w = 200, volts = 12, full_j = 180'000;
  std::string only, status = "Discharging";
  bool average = false;
  std::int64_t interval_ms = 0;  // what update_interval says; 0: there is no such file
  Mapping live;                  // of a LiveFeed: time is then what it says, and the curve 1 W

  Fault fault = Fault::ok;
  Duration frozen;          // for `stale`: when time stopped for it
  std::uint64_t reads = 0;  // for `torn`

  [[nodiscard]] std::string counter_uj(Duration t) const;
  [[nodiscard]] std::string power_uw(Duration t) const;
  [[nodiscard]] std::string millivolts() const;
  [[nodiscard]] std::string current(Duration t, double per_ampere) const;  // of power / volts
  [[nodiscard]] std::string temperature_mc(Duration t) const;
  [[nodiscard]] std::string energy_left_uwh(Duration t) const;
  [[nodiscard]] std::string capacity_percent(Duration t) const;

  // "eio", "ok", …, and "reset", which happens once. False: no such word.
  [[nodiscard]] bool switch_to(std::string_view word, Duration now);
  // What a read of `text` gives now: changed as the fault says, or a negative errno in `error`.
  void spoil(std::string& text, int& error);
  [[nodiscard]] nlohmann::json description() const;

 private:
  [[nodiscard]] Duration seen(Duration t) const {
    const Duration at = clock(t);
    return fault == Fault::stale ? std::min(at, frozen) : at;
  }
  // 1 W for a nanosecond is a nanojoule: so views of a live domain are those of any other.
  [[nodiscard]] Duration clock(Duration t) const {
    if (!live.valid()) return t;
    return {static_cast<std::int64_t>(live_feed_in(live.bytes())->used_nj.load(std::memory_order_acquire))};
  }
  [[nodiscard]] double left_j(Duration t) const;
};

[[nodiscard]] Result<std::unique_ptr<Domain>> make_domain(Kind kind, std::string_view words);
[[nodiscard]] std::string_view to_string(Kind kind);

}  // namespace prony::rigs
