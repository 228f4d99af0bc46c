// nvml: NVIDIA GPUs, through the driver's own management library, opened while Prony runs.
// reads       energy counter (mJ, Volta and newer), average power (mean of 1 s) and instant power, of the GPU and on
//             Grace-Hopper-like superchips of the whole module; utilisation, memory, clocks, temperatures, fan, time
//             slowed by limits, PCIe bytes and replays; of MIG devices their memory
// states      why clocks are held down (throttle), power limit, PCIe link: each change is an event
// unit        mJ (counter), mW, %, bytes, MHz, °C, ns (counters)
// period      not documented: the energy counter is renewed every 20 to 100 ms, and learned from its steps
// averaging   power-average 1 s; power-instant on A100 and H100: 25 ms of every 100 ms
// wrap        never (64 bits since the driver was loaded); a driver that is loaded again counts from 0: a reset
// privilege   none (/dev/nvidiactl, /dev/nvidia*)
// part_of     power < energy of its GPU; on a superchip energy < power of the module, which holds the processor too
// lane        a thread of its own: NVML calls may wait for the driver's lock. What costs over 1 ms is read once a
// second source      NVML API Reference Guide; Yang, Adamek, Armour, "Part-time Power Measurements", SC24
#include <algorithm>
#include <array>
#include <map>

#include "base/text.hpp"
#include "sensors/nvml_query.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

constexpr std::string_view fast_lane = "nvml", slow_lane = "nvml-slow";
constexpr Duration costly{1'000'000}, slow_interval = milliseconds(1000), least_interval = milliseconds(20);
constexpr std::int64_t cost_factor = 100;  // reading may take 1/100 of the time

std::string microseconds_text(Duration cost) {
  return cost.ns < 1'000'000 ? std::to_string((cost.ns + 500) / 1000) + " µs"
                             : format_fixed(static_cast<double>(cost.ns) * 1e-6, 1) + " ms";
}

// "gpu-0, gpu-1, …": sentences that several GPUs share are said once.
class Sentences {
 public:
  void add(const std::string& domain, const std::string& text) {
    if (!gpus_.contains(text)) order_.push_back(text);
    auto& gpus = gpus_[text];
    gpus += (gpus.empty() ? "" : ", ") + domain;
  }
  [[nodiscard]] std::vector<Unavailable> take() const {
    std::vector<Unavailable> all;
    for (const std::string& text : order_) all.push_back({"nvml", gpus_.at(text) + ": " + text, {}});
    return all;
  }

 private:
  std::map<std::string, std::string> gpus_;
  std::vector<std::string> order_;
};

void say(const NvmlGpuFacts& facts, const NvmlFound& found, Sentences& sentences) {
  const bool power = !found.power_kind.empty();
  if (!found.energy && power)
    sentences.add(facts.domain,
                  "counts no energy (" +
                      std::string(facts.architecture > 0 && facts.architecture < nvml::arch_volta ? "before Volta"
                                                                                                  : "this driver") +
                      "): joules are integrated from its power (" + found.power_kind + ")");
  if (!found.energy && !power) sentences.add(facts.domain, "gives neither energy nor power");
  if (facts.mig)
    sentences.add(facts.domain, "MIG is on: energy is the whole GPU's and cannot be divided among its " +
                                    std::to_string(facts.instances.size()) + " instances");
  if (facts.superchip && std::ranges::any_of(found.within, [](const Within& one) {
        return one.whole.find("module-power") != std::string::npos;
      }))
    sentences.add(facts.domain, "is part of a module, whose power holds the processor and its memory, too");
  std::string missing;
  for (const auto& [what, why] : found.missing)
    if (what != "energy counter" || !power) missing += (missing.empty() ? "" : "; ") + what + " (" + why + ")";
  if (!missing.empty()) sentences.add(facts.domain, "does not give: " + missing);
  std::string slow;
  for (const NvmlQuery& query : found.queries)
    if (query.cost > costly) slow += (slow.empty() ? "" : ", ") + query.what + " " + microseconds_text(query.cost);
  if (!slow.empty()) sentences.add(facts.domain, "costly to ask, read once a second: " + slow);
}

void describe(const std::vector<std::shared_ptr<NvmlGpu>>& gpus, NvmlLibrary& library, std::vector<Fact>& facts) {
  std::array<char, 96> version{};  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE is 80
  if (library.driver_version && library.driver_version(version.data(), version.size() - 1) == nvml::success)
    facts.push_back({"driver", version.data(), "machine"});
  for (const auto& gpu : gpus) {
    const std::string& key = gpu->facts().domain;
    facts.push_back({key + ".name", gpu->facts().name, "machine"});
    unsigned milliwatts = 0;
    if (gpu->call(&NvmlLibrary::enforced_limit, &milliwatts) == nvml::success && !nvml_blank(milliwatts))
      facts.push_back({key + ".power_limit_w", format_number(milliwatts * 1e-3), "machine"});
  }
}

}  // namespace

Probe make_nvml(Machine& machine, const SensorOptions&) {
  Probe probe;
  auto library = NvmlLibrary::open(machine);
  if (!library) {
    const Error& error = library.error();
    probe.unavailable.push_back(
        {"nvml",
         error.where.empty() || error.what.starts_with(error.where) ? error.what : error.where + ": " + error.what,
         error.fix});
    return probe;
  }
  const auto gpus = find_nvml_gpus(machine, *library, probe.unavailable);
  if (gpus.empty() && probe.unavailable.empty())
    probe.unavailable.push_back({"nvml",
                                 "the NVIDIA driver is loaded and sees no GPU: none is there, or none is shown "
                                 "to this container",
                                 {}});
  struct Parts {
    std::shared_ptr<NvmlGpu> gpu;
    std::vector<NvmlQuery> fast, slow;
  };
  std::vector<Parts> parts;
  Sentences sentences;
  Duration cost;
  for (const auto& gpu : gpus) {
    NvmlFound found = find_nvml_queries(machine, *gpu);
    say(gpu->facts(), found, sentences);
    probe.within.insert(probe.within.end(), found.within.begin(), found.within.end());
    parts.push_back({gpu, {}, {}});
    for (NvmlQuery& query : found.queries) {
      const bool fast = query.fast && query.cost <= costly;
      if (fast) cost = cost + query.cost;
      (fast ? parts.back().fast : parts.back().slow).push_back(std::move(query));
    }
  }
  const Duration often = std::clamp(cost_factor * cost, least_interval, slow_interval);
  std::vector<std::unique_ptr<Sensor>> sensors;
  for (Parts& one : parts)
    if (!one.fast.empty())
      sensors.push_back(std::make_unique<NvmlSensor>(one.gpu, std::move(one.fast), nullptr, fast_lane, often));
  for (Parts& one : parts)
    if (!one.slow.empty())
      sensors.push_back(
          std::make_unique<NvmlSensorWithUsers>(machine, one.gpu, std::move(one.slow), slow_lane, slow_interval));
  describe(gpus, **library, probe.facts);
  for (auto& note : sentences.take()) probe.notes.push_back(std::move(note));
  if (sensors.empty()) return probe;
  probe.sensor = std::move(sensors.front());
  for (std::size_t i = 1; i < sensors.size(); ++i) probe.more.push_back(std::move(sensors[i]));
  return probe;
}

}  // namespace prony
