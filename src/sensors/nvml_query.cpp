// What there is to ask of a GPU.
#include "sensors/nvml_query.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace prony {

namespace {

using nvml::Status;
constexpr int trials = 5;
constexpr Duration enough_of_trials{15'000'000};  // a call that takes 20 ms is tried once: eight GPUs start in time
constexpr unsigned most_gpu_mw = 100'000'000, most_mhz = 100'000, most_gpu_celsius = 250;
constexpr unsigned most_kilobytes_per_s = 1'000'000'000;  // 1 TB/s; PCIe 7 with 16 lanes is a quarter of it
constexpr Duration one_second = milliseconds(1000), pcie_sampled_for = milliseconds(20);
// What A100 and H100 do: 25 ms of every 100 ms are sampled (Yang, Adamek, Armour, SC24).
constexpr Duration sampled_every = milliseconds(100), sampled_for = milliseconds(25);

Reading checked(unsigned value, unsigned most) {
  return nvml_blank(value) || value > most ? Reading{} : Reading{value, Quality::ok};
}
Reading checked(unsigned long long value) {
  return nvml_blank(value) || value > INT64_MAX ? Reading{} : Reading{static_cast<std::int64_t>(value), Quality::ok};
}

// The number in a field, of whatever type the driver chose.
Reading number_in(const nvml::FieldValue& field) {
  if (field.status != nvml::success) return {};
  switch (field.type) {
    case nvml::value_unsigned: return checked(field.value.ui, 0xfffffffe);
    case nvml::value_unsigned_long:
    case nvml::value_unsigned_long_long: return checked(field.value.ull);
    case nvml::value_signed_long_long: return field.value.sll < 0 ? Reading{} : checked(field.value.ull);
    case nvml::value_signed: return field.value.si < 0 ? Reading{} : Reading{field.value.si, Quality::ok};
    case nvml::value_unsigned_short: return Reading{field.value.us, Quality::ok};
    default: return {};  // a double would lose its fraction; no field of ours is one
  }
}
Reading at_most(Reading reading, std::int64_t most) { return reading.raw > most ? Reading{} : reading; }

class Finder {
 public:
  Finder(Machine& machine, NvmlGpu& gpu) : machine_(machine), gpu_(gpu), facts_(gpu.facts()) {}
  NvmlFound find();

 private:
  [[nodiscard]] Channel channel(const std::string& leaf, Measure measure, double scale) const;
  [[nodiscard]] bool add(NvmlQuery query);
  // The same of a second way to something: what the first one lacks is said there.
  [[nodiscard]] bool add_quietly(NvmlQuery query) {
    const bool added = add(std::move(query));
    if (!added) found_.missing.pop_back();
    return added;
  }
  [[nodiscard]] bool has(const std::string& name) const;
  // One query for those fields of which the driver gives any.
  void add_fields(const std::string& what, bool fast, const std::vector<std::pair<nvml::FieldValue, Channel>>& fields,
                  std::int64_t most);
  template <class F>
  bool add_number(const std::string& what, Channel channel, unsigned most, F ask);
  void find_energy();
  void find_power();
  void put_inside(const std::string& part, const std::string& whole, const std::string& suffix);
  void find_load();
  void find_conditions();
  void find_violations();
  void find_bus();
  [[nodiscard]] bool find_throughput();
  void find_instances();
  [[nodiscard]] bool sampled_quarter() const;
  [[nodiscard]] bool averages() const;
  void set_instant(Channel& power) const;
  void power_of_scope(nvml::FieldValue average, nvml::FieldValue instant, const std::string& domain);

  Machine& machine_;
  NvmlGpu& gpu_;
  const NvmlGpuFacts& facts_;
  NvmlFound found_;
};

Channel Finder::channel(const std::string& leaf, Measure measure, double scale) const {
  Channel channel;
  channel.sensor = "nvml";
  channel.device = facts_.uuid;
  channel.domain = facts_.domain;
  channel.name = "nvml." + facts_.label + "." + leaf;
  channel.measure = measure;
  channel.scale = scale;
  return channel;
}

// Tried before it is kept: what it gives, and what it costs.
bool Finder::add(NvmlQuery query) {
  std::vector<Reading> readings(query.channels.size());
  std::vector<bool> any(readings.size(), false);
  std::vector<std::int64_t> costs;
  Status status = nvml::success;
  const Instant begin = machine_.now();
  for (int i = 0; i < trials && machine_.now() - begin < enough_of_trials; ++i) {
    std::fill(readings.begin(), readings.end(), Reading{});
    const Instant before = machine_.now();
    status = query.read(gpu_, readings);
    costs.push_back((machine_.now() - before).ns);
    if (status == nvml::not_supported || status == nvml::function_not_found) break;
    for (std::size_t c = 0; c < readings.size(); ++c) any[c] = any[c] || readings[c].quality != Quality::gap;
  }
  if (std::ranges::find(any, true) == any.end()) {
    found_.missing.emplace_back(query.what, status == nvml::success
                                                ? "the driver answers with the value that stands for nothing"
                                                : nvml_words(status));
    return false;
  }
  std::nth_element(costs.begin(), costs.begin() + static_cast<std::ptrdiff_t>(costs.size() / 2), costs.end());
  query.cost = {costs[costs.size() / 2]};
  found_.queries.push_back(std::move(query));
  return true;
}

template <class F>
bool Finder::add_number(const std::string& what, Channel channel, unsigned most, F ask) {
  return add({what, {std::move(channel)}, [ask, most](NvmlGpu& gpu, std::span<Reading> out) {
                unsigned value = 0;
                const Status status = ask(gpu, &value);
                if (status == nvml::success) out[0] = checked(value, most);
                return status;
              }});
}

void Finder::add_fields(const std::string& what, bool fast,
                        const std::vector<std::pair<nvml::FieldValue, Channel>>& fields, std::int64_t most) {
  constexpr std::size_t most_fields = 8;
  std::array<nvml::FieldValue, most_fields> asked{};
  NvmlQuery query{what, {}, {}, {}, fast};
  std::size_t count = 0;
  Status last = nvml::not_supported;
  for (const auto& [field, channel] : fields) {
    nvml::FieldValue one = field;
    Status status = gpu_.call(&NvmlLibrary::fields, 1, &one);
    if (status == nvml::success) status = one.status;
    if (status == nvml::success && at_most(number_in(one), most).quality == Quality::gap) status = nvml::no_data;
    if (status != nvml::success) last = status;
    if (status != nvml::success || count == most_fields) continue;
    asked[count++] = field;
    query.channels.push_back(channel);
  }
  if (count == 0) return found_.missing.emplace_back(what, nvml_words(last)), void();
  query.read = [asked, count, most](NvmlGpu& gpu, std::span<Reading> out) {
    auto values = asked;
    const Status status = gpu.call(&NvmlLibrary::fields, static_cast<int>(count), values.data());
    for (std::size_t i = 0; status == nvml::success && i < count; ++i) out[i] = at_most(number_in(values[i]), most);
    return status;
  };
  (void)add(std::move(query));
}

// GA100 (A100, A30, A800) and Hopper.
bool Finder::sampled_quarter() const {
  if (facts_.architecture == nvml::arch_hopper) return true;
  return facts_.architecture == nvml::arch_ampere && !averages();
}
// nvmlDeviceGetPowerUsage is the mean of the last second on Ampere (except GA100) and newer.
bool Finder::averages() const {
  if (facts_.architecture == nvml::arch_unknown || facts_.architecture > nvml::arch_ampere) return true;
  if (facts_.architecture < nvml::arch_ampere) return false;
  for (const char* ga100 : {"A100", "A800", "A30", "A30X"})
    if (facts_.name.find(ga100) != std::string::npos && facts_.name.find("A3000") == std::string::npos) return false;
  return true;
}

void Finder::find_energy() {
  Channel energy = channel("energy", Measure::energy, 1e-3);
  energy.kind = ChannelKind::counter;
  unsigned least = 0, most = 0;
  // Twice the largest limit: a step above that is no energy. Without a limit nothing is known.
  if (gpu_.call(&NvmlLibrary::limits, &least, &most) == nvml::success && !nvml_blank(most) && most > 0 &&
      most < most_gpu_mw)
    energy.max_rate = 2e-3 * most;
  found_.energy = add({"energy counter",
                       {energy},
                       [](NvmlGpu& gpu, std::span<Reading> out) {
                         unsigned long long millijoules = 0;
                         const Status status = gpu.call(&NvmlLibrary::energy, &millijoules);
                         if (status == nvml::success) out[0] = checked(millijoules);
                         return status;
                       },
                       {},
                       true});
}

void Finder::set_instant(Channel& power) const {
  if (!sampled_quarter()) return;
  power.update_period = sampled_every;
  power.averaging_window = sampled_for;
}

void Finder::power_of_scope(nvml::FieldValue average, nvml::FieldValue instant, const std::string& domain) {
  const bool module = average.scope == nvml::scope_module;
  const std::string stem = module ? "module-" : "";
  Channel mean = channel(stem + "power-average", Measure::power, 1e-3);
  Channel now = channel(stem + "power-instant", Measure::power, 1e-3);
  mean.domain = now.domain = domain;
  mean.averaging_window = one_second;
  set_instant(now);
  add_fields(module ? "power of the whole module" : "average and instant power (fields)", true,
             {{average, mean}, {instant, now}}, most_gpu_mw);
}

bool Finder::has(const std::string& name) const {
  return std::ranges::any_of(found_.queries, [&](const NvmlQuery& query) {
    return std::ranges::any_of(query.channels, [&](const Channel& one) { return one.name == name; });
  });
}

// A further view of what the whole tells: it has a domain of its own, so that tables can name both.
void Finder::put_inside(const std::string& part, const std::string& whole, const std::string& suffix) {
  found_.within.push_back({part, whole});
  for (NvmlQuery& query : found_.queries)
    for (Channel& one : query.channels)
      if (one.name == part) one.domain += suffix;
}

void Finder::find_power() {
  const std::string stem = "nvml." + facts_.label + ".";
  const auto field = [](unsigned id, unsigned scope) {
    nvml::FieldValue value;
    value.field = id;
    value.scope = scope;
    return value;
  };
  using namespace nvml;
  power_of_scope(field(field_power_average, scope_gpu), field(field_power_instant, scope_gpu), facts_.domain);
  if (!has(stem + "power-average") && !has(stem + "power-instant")) {
    // A driver before 525: one function, whose meaning depends on the GPU.
    Channel power = channel(averages() ? "power-average" : "power-instant", Measure::power, 1e-3);
    if (averages())
      power.averaging_window = one_second;
    else
      set_instant(power);
    if (add_number("power", power, most_gpu_mw,
                   [](NvmlGpu& gpu, unsigned* out) { return gpu.call(&NvmlLibrary::power, out); }))
      found_.queries.back().fast = true;
  }
  const bool mean = has(stem + "power-average"), now = has(stem + "power-instant");
  // Older drivers may overlook the scope and give the GPU's again: only a superchip has a module.
  if (facts_.superchip)
    power_of_scope(field(field_power_average, scope_module), field(field_power_instant, scope_module),
                   "gpu-module-" + facts_.domain.substr(4));
  const bool module_mean = has(stem + "module-power-average"), module_now = has(stem + "module-power-instant");
  const std::string whole = found_.energy ? stem + "energy" : mean ? stem + "power-average" : stem + "power-instant";
  const std::string module = module_mean ? stem + "module-power-average" : stem + "module-power-instant";
  if (found_.energy && mean) put_inside(stem + "power-average", whole, "-average");
  if ((found_.energy || mean) && now) put_inside(stem + "power-instant", whole, "-instant");
  if (module_mean && module_now) put_inside(stem + "module-power-instant", module, "-instant");
  if ((module_mean || module_now) && (found_.energy || mean || now)) found_.within.push_back({whole, module});
  found_.power_kind = !mean && !now ? "" : mean ? "the mean of the last second" : "sampled";
}

void Finder::find_load() {
  Channel busy = channel("utilization", Measure::fraction, 0.01);
  Channel memory_busy = channel("memory-utilization", Measure::fraction, 0.01);
  busy.averaging_window = memory_busy.averaging_window = one_second;  // 1/6 s to 1 s, as the documentation says
  (void)add({"utilization", {busy, memory_busy}, [](NvmlGpu& gpu, std::span<Reading> out) {
               nvml::Utilization use;
               const Status status = gpu.call(&NvmlLibrary::utilization, &use);
               if (status != nvml::success) return status;
               out[0] = checked(use.gpu, 100);
               out[1] = checked(use.memory, 100);
               return status;
             }});
  (void)add({"memory", {channel("memory", Measure::memory, 1)}, [](NvmlGpu& gpu, std::span<Reading> out) {
               nvml::Memory memory;
               const Status status = gpu.call(&NvmlLibrary::memory, &memory);
               if (status == nvml::success && memory.used <= memory.total) out[0] = checked(memory.used);
               return status;
             }});
}

void Finder::find_conditions() {
  const auto clock_of = [](int type) {
    return [type](NvmlGpu& gpu, unsigned* out) { return gpu.call(&NvmlLibrary::clock, type, out); };
  };
  (void)add_number("clock", channel("clock", Measure::frequency, 1e6), most_mhz, clock_of(nvml::clock_sm));
  (void)add_number("memory clock", channel("memory-clock", Measure::frequency, 1e6), most_mhz,
                   clock_of(nvml::clock_memory));
  (void)add_number(
      "temperature", channel("temperature", Measure::temperature, 1), most_gpu_celsius,
      [](NvmlGpu& gpu, unsigned* out) { return gpu.call(&NvmlLibrary::temperature, nvml::temperature_gpu, out); });
  nvml::FieldValue field;
  field.field = nvml::field_memory_temperature;
  add_fields("memory temperature", false, {{field, channel("memory-temperature", Measure::temperature, 1)}},
             most_gpu_celsius);
  (void)add_number("fan", channel("fan", Measure::fraction, 0.01), 200,
                   [](NvmlGpu& gpu, unsigned* out) { return gpu.call(&NvmlLibrary::fan, out); });
  find_violations();
}

// How long something kept its clocks down, in ns: the driver's counters, which miss nothing between two looks. Those
// that it gives as no field are asked of the older function, one call each.
void Finder::find_violations() {
  struct Violation {
    unsigned field;
    int policy;
    const char* leaf;
  };
  static constexpr std::array<Violation, 4> violations{
      {{nvml::field_violation_power, nvml::policy_power, "slowed-by-power"},
       {nvml::field_violation_thermal, nvml::policy_thermal, "slowed-by-heat"},
       {nvml::field_violation_board_limit, nvml::policy_board_limit, "slowed-by-board"},
       {nvml::field_violation_reliability, nvml::policy_reliability, "slowed-by-reliability"}}};
  std::vector<std::pair<nvml::FieldValue, Channel>> fields;
  for (const Violation& one : violations) {
    Channel time = channel(one.leaf, Measure::time, 1e-9);
    time.kind = ChannelKind::counter;
    time.domain = facts_.domain + "-" + one.leaf;  // not a time that anybody used the GPU
    nvml::FieldValue field;
    field.field = one.field;
    fields.emplace_back(field, time);
  }
  const auto unknown = found_.missing.size();
  add_fields("violations (time slowed by power, heat, board, reliability)", false, fields, INT64_MAX);
  const bool by_fields = found_.missing.size() == unknown;
  bool by_function = false;
  for (std::size_t i = 0; i < violations.size(); ++i) {
    if (has(fields[i].second.name)) continue;
    by_function = add_quietly({std::string("violations (time ") + violations[i].leaf + ")",
                               {fields[i].second},
                               [policy = violations[i].policy](NvmlGpu& gpu, std::span<Reading> out) {
                                 nvml::ViolationTime time;
                                 const Status status = gpu.call(&NvmlLibrary::violation, policy, &time);
                                 if (status == nvml::success) out[0] = checked(time.violation_ns);
                                 return status;
                               }}) ||
                  by_function;
  }
  if (!by_fields && by_function) found_.missing.erase(found_.missing.begin() + static_cast<std::ptrdiff_t>(unknown));
}

void Finder::find_bus() {
  std::vector<std::pair<nvml::FieldValue, Channel>> fields;
  for (const bool sent : {true, false}) {
    Channel bytes = channel(sent ? "pcie-sent" : "pcie-received", Measure::data, 1);
    bytes.kind = ChannelKind::counter;
    nvml::FieldValue field;
    field.field = sent ? nvml::field_pcie_tx_bytes : nvml::field_pcie_rx_bytes;
    fields.emplace_back(field, bytes);
  }
  const auto unknown = found_.missing.size();
  add_fields("PCIe bytes", false, fields, INT64_MAX);
  // A driver that counts no bytes tells how fast they went in 20 ms, and takes as long to answer.
  if (found_.missing.size() > unknown && find_throughput())
    found_.missing.erase(found_.missing.begin() + static_cast<std::ptrdiff_t>(unknown));
  Channel replays = channel("pcie-replays", Measure::count, 1);
  replays.kind = ChannelKind::counter;
  (void)add_number("PCIe replays", replays, 0xfffffffe,
                   [](NvmlGpu& gpu, unsigned* out) { return gpu.call(&NvmlLibrary::replays, out); });
}

bool Finder::find_throughput() {
  bool any = false;
  for (const auto& [way, leaf] :
       {std::pair{nvml::pcie_sent, "pcie-sent-in-20-ms"}, {nvml::pcie_received, "pcie-received-in-20-ms"}}) {
    Channel bytes = channel(leaf, Measure::data, 1e3 * 0.02);  // KB/s over 20 ms
    bytes.averaging_window = pcie_sampled_for;
    any = add_quietly({std::string(way == nvml::pcie_sent ? "PCIe bytes sent" : "PCIe bytes received") + " (samples)",
                       {bytes},
                       [direction = static_cast<int>(way)](NvmlGpu& gpu, std::span<Reading> out) {
                         unsigned kilobytes_per_s = 0;
                         const Status status = gpu.call(&NvmlLibrary::pcie_throughput, direction, &kilobytes_per_s);
                         if (status == nvml::success) out[0] = checked(kilobytes_per_s, most_kilobytes_per_s);
                         return status;
                       }}) ||
          any;
  }
  return any;
}

// Memory is all that a MIG device has of its own: energy, power and clocks are the whole GPU's.
void Finder::find_instances() {
  for (std::size_t i = 0; i < facts_.instances.size(); ++i) {
    Channel memory = channel("mig-" + std::to_string(i) + ".memory", Measure::memory, 1);
    memory.device = facts_.instances[i].empty() ? facts_.uuid : facts_.instances[i];
    memory.domain = facts_.domain + "-mig-" + std::to_string(i);
    (void)add({"memory of MIG device " + std::to_string(i), {memory}, [i](NvmlGpu& gpu, std::span<Reading> out) {
                 nvml::Memory value;
                 const Status status = gpu.instance_memory(i, &value);
                 if (status == nvml::success && value.used <= value.total) out[0] = checked(value.used);
                 return status;
               }});
  }
}

NvmlFound Finder::find() {
  find_energy();
  find_power();
  find_load();
  find_conditions();
  find_bus();
  find_instances();
  return std::move(found_);
}

}  // namespace

NvmlFound find_nvml_queries(Machine& machine, NvmlGpu& gpu) { return Finder(machine, gpu).find(); }

}  // namespace prony
