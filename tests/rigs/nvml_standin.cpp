// A library that stands in for NVIDIA's (libnvidia-ml.so.1): the same functions over GPUs made of power curves, so that
// the real prony opens it by the loader's path and reads joules whose truth is known. What the GPUs are and how they
// fail stands in a JSON file, named by PRONY_NVML_SCRIPT:
//   {"t0_ns": CLOCK_MONOTONIC of the curves' 0, "latency_us": {"energy": 20, "processes": 4500},
//    "fault": {"kind": "lost|driver|error|reset|stale", "at_s": 3, "for_s": 1, "gpu": 0},
//    "gpus": [{"uuid": …, "name": …, "power": CURVE, "module": CURVE, "architecture": 9, "counts_energy": true,
//              "average": true, "quarter": true, "limit_w": 700, "instances": [UUID…], "blank": ["temperature"],
//              "driver_fields": true, "process_use": true, "processes": DIRECTORY}]}
// A file DIRECTORY/PID that holds "SM_SHARE BYTES [INSTANCE]" is a process on that GPU. A call holds a lock while its
// latency lasts, as the driver does. Where there is no script the driver is not loaded.
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "machine/nvml_simulated.hpp"

namespace {

using namespace prony;
using nlohmann::json;

std::int64_t clock_ns(clockid_t which) {
  timespec now{};
  ::clock_gettime(which, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}
Duration seconds_of(const json& value) { return {static_cast<std::int64_t>(value.get<double>() * 1e9)}; }

std::vector<SimulatedGpuUse> processes_in(const std::string& directory) {
  std::vector<SimulatedGpuUse> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    SimulatedGpuUse use;
    const std::string name = entry.path().filename();
    if (std::from_chars(name.data(), name.data() + name.size(), use.pid).ec != std::errc{}) continue;
    std::ifstream file(entry.path());
    if (file >> use.sm >> use.memory_bytes) found.push_back(use);
    if (unsigned instance = 0; file >> instance) found.back().instance = instance;
  }
  return found;
}

SimulatedGpu gpu_of(const json& text) {
  SimulatedGpu gpu;
  gpu.uuid = text.at("uuid");
  gpu.name = text.value("name", "NVIDIA H100 80GB HBM3");
  gpu.bus_id = text.value("bus_id", gpu.bus_id);
  gpu.architecture = text.value("architecture", gpu.architecture);
  gpu.power = PowerCurve::parse(text.at("power").get<std::string>()).value();
  if (text.contains("module")) gpu.module = PowerCurve::parse(text.at("module").get<std::string>()).value();
  gpu.counts_energy = text.value("counts_energy", true);
  gpu.energy_start_mj = text.value("energy_start_mj", 123'456'789ULL);
  if (!text.value("average", true)) gpu.average.reset();
  if (!text.value("quarter", true)) gpu.instant = GaugeView{{milliseconds(20), {}, {}}, {}, 1e3};
  gpu.limit_w = text.value("limit_w", gpu.limit_w);
  gpu.instances = text.value("instances", gpu.instances);
  gpu.blank = text.value("blank", gpu.blank);
  gpu.driver_fields = text.value("driver_fields", true);
  gpu.process_use = text.value("process_use", true);
  if (text.contains("processes"))
    gpu.processes = [directory = text.at("processes").get<std::string>()](Duration) { return processes_in(directory); };
  return gpu;
}

SimulatedNvmlFault fault_of(const json& text) {
  using Kind = SimulatedNvmlFault::Kind;
  SimulatedNvmlFault fault;
  const std::string kind = text.at("kind");
  fault.kind = kind == "lost"     ? Kind::lost
               : kind == "driver" ? Kind::driver
               : kind == "error"  ? Kind::error
               : kind == "reset"  ? Kind::reset
                                  : Kind::stale;
  fault.at = seconds_of(text.at("at_s"));
  fault.length = seconds_of(text.value("for_s", json(0)));
  if (text.contains("gpu")) fault.gpu = text.at("gpu").get<std::size_t>();
  return fault;
}

// What the script says; no table: there is none, or it is not to be read.
struct Standin {
  std::shared_ptr<SimulatedNvml> nvml;
  LibraryTable table;
  std::map<std::string, std::int64_t, std::less<>> latency_us;
  std::mutex driver_lock;

  Standin() {
    const char* path = ::getenv("PRONY_NVML_SCRIPT");
    if (path == nullptr) return;
    std::ifstream file(path);
    const json script = json::parse(file, nullptr, false);
    if (script.is_discarded()) return;
    const std::int64_t t0 = script.at("t0_ns");
    std::vector<SimulatedGpu> gpus;
    for (const json& gpu : script.at("gpus")) gpus.push_back(gpu_of(gpu));
    nvml = std::make_shared<SimulatedNvml>(std::move(gpus), [t0] { return Duration{clock_ns(CLOCK_MONOTONIC) - t0}; });
    nvml->set_wall_offset_us((clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC) + t0) / 1000);
    if (script.contains("fault")) nvml->set_fault(fault_of(script.at("fault")));
    if (script.contains("latency_us")) latency_us = script.at("latency_us").get<decltype(latency_us)>();
    nvml->before_calls([this](std::string_view function) { wait(function); });
    table = nvml->table();
  }
  void wait(std::string_view function) {
    const auto found = latency_us.find(function);
    if (found == latency_us.end()) return;
    const std::lock_guard lock(driver_lock);
    ::usleep(static_cast<useconds_t>(found->second));
  }
};

Standin& standin() {
  static Standin one;
  return one;
}

template <class... Arguments>
int forward(const char* name, Arguments... arguments) {
  const auto found = standin().table.functions.find(name);
  if (found == standin().table.functions.end()) return nvml::driver_not_loaded;
  return LibraryFunction<int(Arguments...)>({found->second, standin().nvml.get()})(arguments...);
}

using D = nvml::Device;
using U = unsigned*;

}  // namespace

extern "C" {
#pragma GCC visibility push(default)
int nvmlInit_v2() { return forward("nvmlInit_v2"); }
int nvmlShutdown() { return forward("nvmlShutdown"); }
int nvmlSystemGetDriverVersion(char* t, unsigned n) { return forward("nvmlSystemGetDriverVersion", t, n); }
int nvmlDeviceGetCount_v2(U o) { return forward("nvmlDeviceGetCount_v2", o); }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, D* o) { return forward("nvmlDeviceGetHandleByIndex_v2", i, o); }
int nvmlDeviceGetHandleByUUID(const char* u, D* o) { return forward("nvmlDeviceGetHandleByUUID", u, o); }
int nvmlDeviceGetUUID(D d, char* t, unsigned n) { return forward("nvmlDeviceGetUUID", d, t, n); }
int nvmlDeviceGetName(D d, char* t, unsigned n) { return forward("nvmlDeviceGetName", d, t, n); }
int nvmlDeviceGetPciInfo_v3(D d, nvml::PciInfo* o) { return forward("nvmlDeviceGetPciInfo_v3", d, o); }
int nvmlDeviceGetArchitecture(D d, U o) { return forward("nvmlDeviceGetArchitecture", d, o); }
int nvmlDeviceGetPowerUsage(D d, U o) { return forward("nvmlDeviceGetPowerUsage", d, o); }
int nvmlDeviceGetEnforcedPowerLimit(D d, U o) { return forward("nvmlDeviceGetEnforcedPowerLimit", d, o); }
int nvmlDeviceGetPowerManagementLimitConstraints(D d, U a, U b) {
  return forward("nvmlDeviceGetPowerManagementLimitConstraints", d, a, b);
}
int nvmlDeviceGetUtilizationRates(D d, nvml::Utilization* o) { return forward("nvmlDeviceGetUtilizationRates", d, o); }
int nvmlDeviceGetMemoryInfo(D d, nvml::Memory* o) { return forward("nvmlDeviceGetMemoryInfo", d, o); }
int nvmlDeviceGetClockInfo(D d, int t, U o) { return forward("nvmlDeviceGetClockInfo", d, t, o); }
int nvmlDeviceGetTemperature(D d, int s, U o) { return forward("nvmlDeviceGetTemperature", d, s, o); }
int nvmlDeviceGetCurrPcieLinkGeneration(D d, U o) { return forward("nvmlDeviceGetCurrPcieLinkGeneration", d, o); }
int nvmlDeviceGetCurrPcieLinkWidth(D d, U o) { return forward("nvmlDeviceGetCurrPcieLinkWidth", d, o); }
int nvmlDeviceGetPcieReplayCounter(D d, U o) { return forward("nvmlDeviceGetPcieReplayCounter", d, o); }
// Below: what the driver of a stand-in for an old one lacks (nvml_standin_old.map hides them).
int nvmlDeviceGetTotalEnergyConsumption(D d, unsigned long long* o) {
  return forward("nvmlDeviceGetTotalEnergyConsumption", d, o);
}
int nvmlDeviceGetFieldValues(D d, int n, nvml::FieldValue* v) { return forward("nvmlDeviceGetFieldValues", d, n, v); }
int nvmlDeviceGetCurrentClocksEventReasons(D d, unsigned long long* o) {
  return forward("nvmlDeviceGetCurrentClocksEventReasons", d, o);
}
int nvmlDeviceGetViolationStatus(D d, int p, nvml::ViolationTime* o) {
  return forward("nvmlDeviceGetViolationStatus", d, p, o);
}
int nvmlDeviceGetPcieThroughput(D d, int w, U o) { return forward("nvmlDeviceGetPcieThroughput", d, w, o); }
int nvmlDeviceGetComputeRunningProcesses_v3(D d, U n, nvml::ProcessInfo* o) {
  return forward("nvmlDeviceGetComputeRunningProcesses_v3", d, n, o);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(D d, U n, nvml::ProcessInfo* o) {
  return forward("nvmlDeviceGetGraphicsRunningProcesses_v3", d, n, o);
}
int nvmlDeviceGetProcessUtilization(D d, nvml::ProcessSample* o, U n, unsigned long long since) {
  return forward("nvmlDeviceGetProcessUtilization", d, o, n, since);
}
int nvmlDeviceGetMigMode(D d, U now, U pending) { return forward("nvmlDeviceGetMigMode", d, now, pending); }
int nvmlDeviceGetMaxMigDeviceCount(D d, U o) { return forward("nvmlDeviceGetMaxMigDeviceCount", d, o); }
int nvmlDeviceGetMigDeviceHandleByIndex(D d, unsigned i, D* o) {
  return forward("nvmlDeviceGetMigDeviceHandleByIndex", d, i, o);
}
int nvmlDeviceGetC2cModeInfoV(D d, nvml::C2cMode* o) { return forward("nvmlDeviceGetC2cModeInfoV", d, o); }
#pragma GCC visibility pop
}
