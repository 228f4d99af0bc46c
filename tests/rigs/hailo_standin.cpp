// A library that stands in for Hailo's (libhailort.so): the same functions over chips made of power curves, so that the
// real prony opens it by the loader's path. What the chips are and how they fail stands in a JSON file, named by
// PRONY_HAILO_SCRIPT:
//   {"t0_ns": CLOCK_MONOTONIC of the curves' 0, "missing": ["hailo_power_measurement"], "latency_us": 3000,
//    "fault": {"kind": "lost|error|blank|stale", "at_s": 3, "for_s": 1},
//    "chips": [{"id": "0001:01:00.0", "product": …, "power": CURVE, "measures_power": true, "microwatts": false}]}
// Functions of "missing" answer as a firmware does that has none. Where there is no script the driver is not loaded.
// As the real one does it writes hailort.log where it is loaded, unless HAILORT_LOGGER_PATH forbids it, and a line to
// stderr whenever the overcurrent protection is measured with.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "machine/hailo_simulated.hpp"

namespace {

using namespace prony;
using nlohmann::json;

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}
Duration seconds_of(const json& value) { return {static_cast<std::int64_t>(value.get<double>() * 1e9)}; }

SimulatedHailoFault fault_of(const json& text) {
  using Kind = SimulatedHailoFault::Kind;
  const std::string kind = text.at("kind");
  return {kind == "lost"    ? Kind::lost
          : kind == "error" ? Kind::error
          : kind == "blank" ? Kind::blank
                            : Kind::stale,
          seconds_of(text.at("at_s")), seconds_of(text.value("for_s", json(0)))};
}

struct Standin {
  std::shared_ptr<SimulatedHailo> hailo;
  LibraryTable table;
  std::vector<std::string> missing;
  unsigned latency_us = 0;

  Standin() {
    const char* path = ::getenv("PRONY_HAILO_SCRIPT");
    if (path == nullptr) return;
    std::ifstream file(path);
    const json script = json::parse(file, nullptr, false);
    if (script.is_discarded()) return;
    std::vector<SimulatedHailoChip> chips;
    for (const json& text : script.at("chips")) {
      SimulatedHailoChip chip;
      chip.id = text.value("id", chip.id);
      chip.product = text.value("product", chip.product);
      chip.power = PowerCurve::parse(text.at("power").get<std::string>()).value();
      chip.measures_power = text.value("measures_power", false);
      chip.microwatts = text.value("microwatts", false);
      chips.push_back(std::move(chip));
    }
    const std::int64_t t0 = script.at("t0_ns");
    hailo = std::make_shared<SimulatedHailo>(std::move(chips), [t0] { return Duration{monotonic_ns() - t0}; });
    if (script.contains("fault")) hailo->set_fault(fault_of(script.at("fault")));
    missing = script.value("missing", missing);
    latency_us = script.value("latency_us", 0U);
    table = hailo->table();
  }
};

Standin& standin() {
  static Standin one;
  return one;
}

template <class... Arguments>
int forward(const char* name, Arguments... arguments) {
  Standin& one = standin();
  if (one.latency_us > 0) ::usleep(one.latency_us);
  const auto found = one.table.functions.find(name);
  if (found == one.table.functions.end()) return hailo::driver_not_installed;
  if (std::ranges::find(one.missing, name) != one.missing.end()) return hailo::unsupported_opcode;
  return LibraryFunction<int(Arguments...)>({found->second, one.hailo.get()})(arguments...);
}

__attribute__((constructor)) void log_as_the_real_one() {
  const char* path = ::getenv("HAILORT_LOGGER_PATH");
  if (path == nullptr || std::strcmp(path, "NONE") != 0)
    std::ofstream(std::string(path == nullptr ? "." : path) + "/hailort.log", std::ios::app) << "loaded\n";
}

using D = hailo::Device;

}  // namespace

extern "C" {
#pragma GCC visibility push(default)
int hailo_get_library_version(hailo::Version* o) { return forward("hailo_get_library_version", o); }
int hailo_scan_devices(void* p, hailo::DeviceId* o, std::size_t* n) { return forward("hailo_scan_devices", p, o, n); }
int hailo_create_device_by_id(const hailo::DeviceId* i, D* o) { return forward("hailo_create_device_by_id", i, o); }
int hailo_release_device(D d) { return forward("hailo_release_device", d); }
int hailo_identify(D d, hailo::Identity* o) { return forward("hailo_identify", d, o); }
int hailo_get_chip_temperature(D d, hailo::Temperature* o) { return forward("hailo_get_chip_temperature", d, o); }
int hailo_power_measurement(D d, int supply, int kind, float* o) {
  const int before = standin().hailo ? standin().hailo->protection_switched_off() : 0;
  const int status = forward("hailo_power_measurement", d, supply, kind, o);
  if (standin().hailo && standin().hailo->protection_switched_off() != before)
    std::fputs("[HailoRT] [warning] the overcurrent protection is off while it is measured with\n", stderr);
  return status;
}
#pragma GCC visibility pop
}
