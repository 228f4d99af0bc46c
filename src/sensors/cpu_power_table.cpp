#include "sensors/cpu_power_table.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "sensors/cpu_power_rows.hpp"

namespace prony {

namespace {

constexpr const char* spec_source =
    "SPECpower_ssj2008 results of the family (wall watts of whole servers, less power supply, memory and fans between "
    "bounds); cloud-carbon-footprint/ccf-coefficients b0032d9, Apache-2.0";

// Nobody knows this processor: W per logical CPU, from a small board's core (0.1 W idle, 0.7 W busy) to the largest in
// the results (a single-core package).
struct Unknown {
  double idle_low = 0.1, idle = 1.1, idle_high = 18, full_low = 0.7, full = 4.5, full_high = 31;
};

struct Range {
  double low = 0, value = 0, high = 0;
};

const CpuPowerRow* row_of(std::string_view key) {
  if (key.empty()) return nullptr;
  for (const auto rows : {measured_cpu_power(), documented_cpu_power()})
    for (const auto& row : rows)
      if (row.key == key) return &row;
  return nullptr;
}

double line_watts(const CpuPowerLine& line, double cores) { return line.per_package_w + line.per_core_w * cores; }

// Outside of the core counts that the results had, the end that is less sure is taken halfway back to them: a small
// package may be one that was sold for its clock, with nearly the power of a large one.
Range of_packages(const CpuPowerRow& row, const CpuPowerLine& line, double packages, double cores) {
  const double fewest = row.fewest_cores, most = row.most_cores;
  const double for_high = cores < fewest ? (cores + fewest) / 2 : cores;
  const double for_low = cores > most ? (cores + most) / 2 : cores;
  return {packages * line_watts(line, for_low) * line.low, packages * line_watts(line, cores),
          packages * line_watts(line, for_high) * line.high};
}

// One CPU that a virtual machine sees.
Range of_virtual_cpu(const CpuPowerRow& row, const CpuPowerLine& line) {
  const auto per_core = [&](double cores) { return line_watts(line, cores) / cores; };
  const double threads = row.threads_per_core;
  return {line.low * per_core(row.most_cores) / threads, per_core(row.usual_cores) / threads,
          line.high * per_core(row.fewest_cores)};
}

Range times(const Range& range, double factor) {
  return {range.low * factor, range.value * factor, range.high * factor};
}

std::optional<double> frequency(Machine& machine, const std::string& path) {
  const auto text = machine.read_text(path);
  std::uint64_t value = 0;
  if (!text) return std::nullopt;
  const auto [stop, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || stop != text->data() + text->size() || value == 0) return std::nullopt;
  return static_cast<double>(value);
}

constexpr const char* clocks_folder = "/sys/devices/system/cpu/";

// Base clock in kHz: intel_pstate tells it for each policy, AMD's and others' firmware in MHz.
std::optional<double> base_khz(Machine& machine, const std::string& policy) {
  if (const auto base = frequency(machine, policy + "base_frequency")) return base;
  if (const auto mhz = frequency(machine, std::string(clocks_folder) + "cpu0/acpi_cppc/nominal_freq"))
    return *mhz * 1e3;
  return std::nullopt;
}

// Reference and highest clock: means over the policies, as the recorded clocks are compared with them as a mean too. A
// processor with cores of two kinds has two clocks.
void add_clocks(Machine& machine, CpuPowerContext& context) {
  const std::string folder = std::string(clocks_folder) + "cpufreq";
  const bool turbo = machine.read_text(folder + "/boost").has_value() ||
                     machine.read_text(std::string(clocks_folder) + "intel_pstate/no_turbo").has_value();
  double reference = 0, highest = 0, policies = 0;
  for (const auto& name : machine.list(folder).value_or(std::vector<std::string>{})) {
    if (!name.starts_with("policy")) continue;
    const std::string policy = folder + "/" + name + "/";
    const auto most = frequency(machine, policy + "cpuinfo_max_freq");
    if (!most || *most > 1e9) continue;
    const double otherwise = turbo ? *most * CpuPowerContext{}.clock_floor : *most;
    reference += std::min(base_khz(machine, policy).value_or(otherwise), *most);
    highest += *most;
    policies += 1;
  }
  if (policies == 0) return;
  context.reference_clock_hz = reference / policies * 1e3;
  context.highest_clock_hz = highest / policies * 1e3;
}

}  // namespace

CpuPowerContext cpu_power_context(Machine& machine) {
  CpuPowerContext context;
  context.cpus = machine.cpu_count();
  const std::string policy = "/sys/devices/system/cpu/cpufreq/policy0/";
  const auto allowed = frequency(machine, policy + "scaling_max_freq");
  const auto possible = frequency(machine, policy + "cpuinfo_max_freq");
  const auto base = base_khz(machine, policy);
  if (base && possible) context.clock_floor = std::clamp(*base / *possible, 0.05, 1.0);
  if (allowed && possible) context.clock_limit = std::clamp(*allowed / *possible, 0.05, 1.0);
  add_clocks(machine, context);
  return context;
}

PowerModel power_model_for(const ProcessorId& processor, const CpuPowerContext& context) {
  PowerModel model;
  const CpuPowerRow* row = row_of(cpu_family(processor));
  const double n = context.cpus;
  Range idle, full;
  if (row == nullptr) {
    constexpr Unknown any;
    idle = times({any.idle_low, any.idle, any.idle_high}, n);
    full = times({any.full_low, any.full, any.full_high * (processor.hypervisor ? 2 : 1)}, n);
    model.name = "unknown processor, widest range";
    model.source = spec_source;
  } else {
    model.name = std::string(row->name);
    model.source = std::string(row->results > 0 ? spec_source : row->source);
    if (processor.hypervisor) {
      idle = times(of_virtual_cpu(*row, row->idle), n);
      full = times(of_virtual_cpu(*row, row->full), n);
      model.name += ", virtual: per visible CPU";
    } else {
      const double packages = std::max(processor.packages, 1u);
      const double told = processor.cores > 0 ? processor.cores : n / packages / row->threads_per_core;
      idle = of_packages(*row, row->idle, packages, std::max(told, 1.0));
      full = of_packages(*row, row->full, packages, std::max(told, 1.0));
    }
  }
  const double clock = context.clock_limit;
  full.value = idle.value + (full.value - idle.value) * clock;
  full.low = idle.low + std::max(0.0, full.low - idle.low) * context.clock_floor * clock * clock * clock;
  if (clock < 1) model.name += ", clock limited";
  model.source += "; low end at the base clock";
  model.cpus = n;
  model.reference_clock_hz = context.reference_clock_hz, model.highest_clock_hz = context.highest_clock_hz;
  model.clock_floor = context.clock_floor, model.clock_limit = clock;
  model.idle = Watts(idle.value), model.idle_low = Watts(idle.low), model.idle_high = Watts(idle.high);
  model.full = Watts(full.value), model.full_low = Watts(full.low);
  model.full_high = Watts(std::max(full.high, idle.high));
  return model;
}

}  // namespace prony
