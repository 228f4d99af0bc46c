#include "sensors/cpu_power_table.hpp"

#include <array>
#include <charconv>
#include <optional>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr const char* source =
    "SPECpower_ssj2008 wall watts per hardware thread: median, half of 5th and 95th percentile; "
    "cloud-carbon-footprint/ccf-coefficients b0032d9, Apache-2.0";

struct Row {
  std::string_view vendor;
  int family, first_model, last_model;  // inclusive
  std::string_view name;
  double idle_p5, idle, idle_p95;  // W per logical CPU
  double full_p5, full, full_p95;
};

// Family and model numbers: arch/x86/include/asm/intel-family.h, AMD's revision guides; Arm parts: asm/cputype.h.
// Broadwell to Granite Rapids are the server models; Coffee Lake stands for the desktop ones too.
constexpr std::string_view intel = "GenuineIntel", amd = "AuthenticAMD", arm = "0x41";
constexpr std::array rows{
    Row{amd, 0x17, 0x00, 0x0f, "AMD EPYC 1st generation", 0.605, 0.744, 1.609, 2.094, 2.320, 4.344},
    Row{amd, 0x17, 0x30, 0x3f, "AMD EPYC 2nd generation", 0.319, 0.437, 0.684, 1.527, 1.664, 1.953},
    Row{amd, 0x19, 0x00, 0x0f, "AMD EPYC 3rd generation", 0.307, 0.424, 0.702, 1.594, 1.916, 2.291},
    Row{amd, 0x19, 0x10, 0x1f, "AMD EPYC 4th generation", 0.315, 0.379, 2.141, 1.633, 1.849, 4.219},
    Row{amd, 0x19, 0xa0, 0xaf, "AMD EPYC 4th generation, dense", 0.315, 0.379, 2.141, 1.633, 1.849, 4.219},
    Row{amd, 0x1a, 0x00, 0x1f, "AMD EPYC 5th generation", 0.180, 0.219, 0.414, 1.086, 1.184, 2.479},
    Row{arm, -1, 0xd0c, 0xd0c, "Arm Neoverse N1", 0.559, 0.617, 1.142, 1.102, 1.922, 2.094},
    Row{intel, 6, 0x2a, 0x2d, "Intel Sandy Bridge", 1.442, 1.760, 4.000, 5.562, 7.836, 12.938},
    Row{intel, 6, 0x3e, 0x3e, "Intel Ivy Bridge server", 1.303, 1.392, 2.427, 5.412, 5.458, 5.800},
    Row{intel, 6, 0x3f, 0x3f, "Intel Haswell server", 0.556, 0.657, 1.054, 3.667, 3.833, 4.361},
    Row{intel, 6, 0x4f, 0x4f, "Intel Broadwell server", 0.474, 0.530, 1.953, 2.761, 3.091, 6.914},
    Row{intel, 6, 0x55, 0x55, "Intel Skylake or Cascade Lake server", 0.382, 0.565, 1.652, 3.098, 4.080, 5.458},
    Row{intel, 6, 0x5e, 0x5e, "Intel Skylake desktop", 1.450, 1.900, 2.013, 5.588, 5.931, 5.987},
    Row{intel, 6, 0x6a, 0x6c, "Intel Ice Lake server", 0.688, 0.830, 1.081, 3.438, 4.056, 4.180},
    Row{intel, 6, 0x8f, 0x8f, "Intel Sapphire Rapids", 0.637, 0.899, 1.734, 2.750, 3.987, 5.359},
    Row{intel, 6, 0x9e, 0x9e, "Intel Coffee Lake", 0.833, 1.050, 1.667, 3.325, 5.975, 7.758},
    Row{intel, 6, 0xad, 0xae, "Intel Granite Rapids", 0.468, 0.618, 0.779, 2.189, 2.712, 3.363},
    Row{intel, 6, 0xcf, 0xcf, "Intel Emerald Rapids", 0.586, 0.828, 1.016, 2.457, 3.275, 4.555},
};
// All 1088 results together; the low end is lowered to a small board's (0.1 W idle, 0.7 W full per core), because
// nobody publishes such boards there.
constexpr Row any{"", -1, 0, 0, "unknown processor", 0.2, 1.114, 17.875, 1.4, 4.451, 30.5};

std::optional<int> number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

ProcessorId processor_id(std::string_view cpuinfo) {
  ProcessorId id;
  bool ended = false;  // only the first processor's lines; mixed cores are named by the first
  for_each_line(cpuinfo, [&](std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) {
      ended = ended || !id.vendor.empty();
      return;
    }
    if (ended) return;
    const auto key = trim(line.substr(0, colon));
    const auto value = trim(line.substr(colon + 1));
    if (key == "vendor_id" || key == "CPU implementer") id.vendor = value;
    if (key == "model name") id.model_name = value;
    if (key == "cpu family") id.family = number(value).value_or(-1);
    if (key == "model" || key == "CPU part") id.model = number(value).value_or(-1);
    if (key == "flags") id.hypervisor = (" " + std::string(value) + " ").find(" hypervisor ") != std::string::npos;
  });
  return id;
}

ProcessorId processor_id(Machine& machine) {
  const auto text = machine.read_text("/proc/cpuinfo");
  return text ? processor_id(*text) : ProcessorId{};
}

PowerModel power_model_for(const ProcessorId& processor, unsigned cpus) {
  const Row* row = &any;
  for (const auto& candidate : rows)
    if (candidate.vendor == processor.vendor && candidate.family == processor.family &&
        candidate.first_model <= processor.model && processor.model <= candidate.last_model)
      row = &candidate;
  const double n = cpus;
  PowerModel model;
  model.name = std::string(row->name);
  if (row == &any) model.name += ", widest range";
  if (processor.hypervisor) model.name += " (virtual: per visible CPU)";
  model.source = source;
  model.cpus = n;
  model.idle = Watts(n * row->idle);
  model.idle_low = Watts(n * row->idle_p5 / 2);
  model.idle_high = Watts(n * row->idle_p95);
  model.full = Watts(n * row->full);
  model.full_low = Watts(n * row->full_p5 / 2);
  model.full_high = Watts(n * row->full_p95 * (processor.hypervisor ? 2 : 1));
  return model;
}

}  // namespace prony
