#include "sensors/jetson_files.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"

namespace prony {

namespace {

// "17000000.ga10b", "57000000.gpu", "gpu.0": the module's own GPU.
bool names_gpu(std::string_view name) {
  static constexpr std::array<std::string_view, 6> endings{".gpu", ".gm20b", ".gp10b", ".gv11b", ".ga10b", ".gb10b"};
  return name == "gpu.0" || std::ranges::any_of(endings, [&](auto ending) { return name.ends_with(ending); });
}

// The number behind `key` in `text`, up to the next separator.
std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view key, std::string_view separators) {
  const auto at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  const auto rest = text.substr(at + key.size());
  return parse_u64(rest.substr(0, rest.find_first_of(separators)));
}

// The name that nvpmodel's configuration gives a mode: "< POWER_MODEL ID=2 NAME=25W >".
std::string mode_name(Machine& machine, std::uint64_t mode) {
  std::string name;
  for_each_line(machine.read_text("/etc/nvpmodel.conf").value_or(""), [&](std::string_view line) {
    line = trim(line);
    if (!line.starts_with('<') || line.find("POWER_MODEL") == std::string_view::npos || !name.empty()) return;
    if (number_behind(line, "ID=", " >") != mode) return;
    if (const auto at = line.find("NAME="); at != std::string_view::npos) {
      const auto rest = line.substr(at + 5);
      name = printable(rest.substr(0, rest.find_first_of(" >")), 40);
    }
  });
  return name;
}

// min = max = the hardware's largest: held. nullopt: not told.
std::optional<bool> held(Machine& machine, const std::string& lowest, const std::string& highest) {
  const auto least = probe_integer(machine, lowest), most = probe_integer(machine, highest);
  if (!least || !most || *most <= 0) return std::nullopt;
  return *least == *most;
}

}  // namespace

std::vector<std::string> names_in(Machine& machine, const std::string& folder) {
  return machine.list(folder).value_or(std::vector<std::string>{});
}

JetsonGpu jetson_gpu(Machine& machine) {
  JetsonGpu gpu;
  for (const std::string folder :
       {"/sys/devices", "/sys/devices/platform", "/sys/devices/platform/bus@0", "/sys/devices/platform/host1x"})
    for (const auto& name : names_in(machine, folder))
      if (gpu.load.empty() && names_gpu(name) && machine.exists(folder + "/" + name + "/load"))
        gpu.load = folder + "/" + name + "/load";
  for (const auto& name : names_in(machine, "/sys/class/devfreq")) {
    const auto folder = "/sys/class/devfreq/" + name;
    // On a Thor the devices are "gpu-gpc-0" and the like.
    if (!gpu.devfreq.empty() || !(names_gpu(name) || name.starts_with("gpu-gpc")) ||
        !machine.exists(folder + "/cur_freq"))
      continue;
    gpu.devfreq = folder;
    if (gpu.load.empty() && machine.exists(folder + "/device/load")) gpu.load = folder + "/device/load";
  }
  return gpu;
}

std::string jetson_fan_duty(Machine& machine) {
  for (const auto& name : names_in(machine, "/sys/class/hwmon")) {
    const auto folder = "/sys/class/hwmon/" + name;
    if (machine.read_text(folder + "/name").value_or("") == "pwmfan" && machine.exists(folder + "/pwm1"))
      return folder + "/pwm1";
  }
  for (const std::string path : {"/sys/devices/pwm-fan/cur_pwm", "/sys/devices/pwm-fan/target_pwm"})
    if (machine.exists(path)) return path;
  return {};
}

std::span<const std::string_view> jetson_memory_activity_files() noexcept {
  static constexpr std::array<std::string_view, 3> files{"/sys/kernel/debug/cactmon/mc_all",
                                                         "/sys/kernel/debug/bpmp/debug/actmon/mc_all_avg_activity",
                                                         "/sys/kernel/actmon_avg_activity/mc_all"};
  return files;
}

std::span<const std::string_view> jetson_memory_clock_files() noexcept {
  static constexpr std::array<std::string_view, 4> files{
      "/sys/kernel/debug/bpmp/debug/clk/emc/rate", "/sys/class/devfreq/bwmgr/cur_freq",
      "/sys/kernel/debug/clk/override.emc/clk_rate", "/sys/kernel/debug/clk/emc/clk_rate"};
  return files;
}

std::optional<std::int64_t> jetson_memory_load(std::int64_t activity, std::int64_t clock_hz) noexcept {
  std::int64_t product = 0;
  if (activity < 0 || clock_hz <= 0 || __builtin_mul_overflow(activity, std::int64_t{10'000}, &product))
    return std::nullopt;
  const auto thousandths = product / clock_hz;
  return thousandths <= 1000 ? std::optional(thousandths) : std::nullopt;
}

std::string jetson_power_mode(Machine& machine) {
  const auto status = machine.read_text(std::string(nvpmodel_status_file));
  if (!status) return {};
  const auto mode = number_behind(*status, "pmode:", " \t\r\n");
  if (!mode) return {};
  const auto name = mode_name(machine, *mode);
  return name.empty() ? "mode " + std::to_string(*mode) : name + " (mode " + std::to_string(*mode) + ")";
}

std::string jetson_clocks_held(Machine& machine) {
  const std::string top = "/sys/devices/system/cpu/cpufreq";
  std::optional<bool> cpus;
  for (const auto& name : names_in(machine, top))
    if (const auto one = held(machine, top + "/" + name + "/scaling_min_freq", top + "/" + name + "/scaling_max_freq"))
      cpus = cpus.value_or(true) && *one;
  const auto folder = jetson_gpu(machine).devfreq;
  const auto gpu = folder.empty() ? std::nullopt : held(machine, folder + "/min_freq", folder + "/max_freq");
  if (!cpus && !gpu) return {};
  if (cpus.value_or(true) && gpu.value_or(true)) return "yes";
  if (cpus.value_or(false)) return "in part: CPUs";
  return gpu.value_or(false) ? "in part: GPU" : "no";
}

std::string jetson_release(Machine& machine) {
  // "# R36 (release), REVISION: 4.3, GCID: …"
  const auto text = machine.read_text("/etc/nv_tegra_release").value_or("");
  const auto major = number_behind(text, "# R", " (");
  const auto at = text.find("REVISION: ");
  if (!major || at == std::string::npos) return {};
  const auto rest = std::string_view(text).substr(at + 10);
  const auto revision = rest.substr(0, rest.find_first_not_of("0123456789."));
  return revision.empty() ? std::string() : "L4T " + std::to_string(*major) + "." + printable(revision, 12);
}

}  // namespace prony
