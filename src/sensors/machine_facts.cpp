#include "sensors/machine_facts.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "base/text.hpp"
#include "machine/names.hpp"
#include "sensors/cpu_family.hpp"

namespace prony {

namespace {

constexpr std::size_t longest_fact = 160;

// Sets facts out of texts, if there is something to say.
class Facts {
 public:
  Facts(Machine& machine, Manifest& manifest) : machine_(machine), manifest_(manifest) {}
  void set(const std::string& key, std::string_view value) {
    const auto words = printable(trim(value), longest_fact);
    if (!words.empty()) manifest_.set("machine." + key, words, "machine");
  }
  [[nodiscard]] std::string text(const std::string& path) const {
    return machine_.read_text(path).value_or(std::string());
  }
  void file(const std::string& key, const std::string& path) { set(key, text(path)); }

 private:
  Machine& machine_;
  Manifest& manifest_;
};

bool is_filler(std::string_view text) {
  static constexpr std::array<std::string_view, 7> fillers{
      "To Be Filled", "System ", "Default string", "Not Specified", "O.E.M.", "Not Appl", "None"};
  return text.empty() ||
         std::any_of(fillers.begin(), fillers.end(), [&](auto filler) { return text.starts_with(filler); });
}

// What the firmware calls the machine, without the fillers of vendors that wrote nothing.
std::string dmi_words(const Facts& facts, std::initializer_list<const char*> parts) {
  std::string words;
  for (const char* part : parts) {
    const auto text = facts.text(std::string("/sys/class/dmi/id/") + part);
    if (!is_filler(text)) words += (words.empty() ? "" : " ") + text;
  }
  return words;
}

// The value of the first "key\t: value".
std::string cpuinfo_value(std::string_view cpuinfo, std::string_view key) {
  std::string value;
  for_each_line(cpuinfo, [&](std::string_view line) {
    const auto colon = line.find(':');
    if (!value.empty() || colon == std::string_view::npos || trim(line.substr(0, colon)) != key) return;
    value = trim(line.substr(colon + 1));
  });
  return value;
}

void describe_processor(Machine& machine, Facts& facts) {
  const auto processor = processor_id(machine);
  std::string cpu_model = processor.model_name;
  if (cpu_model.empty() && !processor.vendor.empty() && processor.model >= 0) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string part;
    for (int shift = 8; shift >= 0; shift -= 4)
      part += digits[static_cast<std::size_t>((processor.model >> shift) & 15)];
    cpu_model = "Arm implementer " + processor.vendor + " part 0x" + part;
  }
  facts.set("cpu_model", cpu_model);
  if (processor.family >= 0) {
    facts.set("cpu_family", processor.vendor + " family " + std::to_string(processor.family) + " model " +
                                std::to_string(processor.model));
    if (processor.stepping >= 0) facts.set("cpu_stepping", std::to_string(processor.stepping));
    facts.set("microcode", cpuinfo_value(facts.text("/proc/cpuinfo"), "microcode"));
  }
  facts.set("cpus", std::to_string(machine.cpu_count()));
}

void describe_topology(Machine& machine, Facts& facts) {
  const std::string top = "/sys/devices/system/cpu";
  std::set<std::string> packages, cores;
  for (const auto& cpu : machine.list(top).value_or(std::vector<std::string>{})) {
    const auto topology = top + "/" + cpu + "/topology/";
    if (!cpu.starts_with("cpu") || !machine.exists(topology + "core_id")) continue;
    const auto package = facts.text(topology + "physical_package_id");
    packages.insert(package);
    cores.insert(package + "." + facts.text(topology + "die_id") + "." + facts.text(topology + "cluster_id") + "." +
                 facts.text(topology + "core_id"));
  }
  if (!cores.empty()) {
    facts.set("sockets", std::to_string(packages.size()));
    facts.set("cores", std::to_string(cores.size()));
  }
  facts.file("smt", top + "/smt/control");
  facts.file("cpus_offline", top + "/offline");
  facts.file("cpus_isolated", top + "/isolated");
  if (const auto nodes = count_cpu_list(facts.text("/sys/devices/system/node/online")); nodes && *nodes > 0)
    facts.set("numa_nodes", std::to_string(*nodes));
}

// "3 mitigated (mds, …), 1 vulnerable (…)": what costs time, and what was left open to save it.
void describe_mitigations(Machine& machine, Facts& facts) {
  const std::string top = "/sys/devices/system/cpu/vulnerabilities";
  std::array<std::vector<std::string>, 2> names;
  for (const auto& name : machine.list(top).value_or(std::vector<std::string>{})) {
    const auto text = facts.text(top + "/" + name);
    if (text.find("Mitigation") != std::string::npos) names[0].push_back(name);
    if (text.starts_with("Vulnerable") || text.find(": Vulnerable") != std::string::npos) names[1].push_back(name);
  }
  std::string words;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) continue;
    std::string list;
    for (const auto& name : names[i]) list += (list.empty() ? "" : ", ") + name;
    words += (words.empty() ? "" : "; ") + std::string(i == 0 ? "mitigated: " : "vulnerable: ") + list;
  }
  facts.set("mitigations", words);
}

void describe_memory(Facts& facts) {
  std::uint64_t swap_bytes = 0;
  const auto bytes = [&](std::string_view line, std::string_view key) -> std::optional<std::uint64_t> {
    if (!line.starts_with(key) || !line.ends_with(" kB")) return std::nullopt;
    const auto kib = parse_u64(line.substr(key.size(), line.size() - key.size() - 3));
    return kib && *kib < UINT64_MAX / 1024 ? std::optional(*kib * 1024) : std::nullopt;
  };
  for_each_line(facts.text("/proc/meminfo"), [&](std::string_view line) {
    if (const auto total = bytes(line, "MemTotal:")) facts.set("memory_bytes", std::to_string(*total));
    if (const auto total = bytes(line, "SwapTotal:")) {
      swap_bytes = *total;
      facts.set("swap_bytes", std::to_string(*total));
    }
  });
  std::string on;
  for_each_line(facts.text("/proc/swaps"), [&](std::string_view line) {
    if (!line.starts_with('/')) return;
    const auto path = line.substr(0, line.find_first_of(" \t"));
    on += (on.empty() ? "" : ", ") + std::string(path.starts_with("/dev/") ? path.substr(5) : "a file");
  });
  if (swap_bytes > 0) facts.set("swap_on", on);
}

}  // namespace

std::string power_options(std::string_view command_line) {
  static constexpr std::array<std::string_view, 31> names{"acpi_cpufreq",
                                                          "amd_prefcore",
                                                          "amd_pstate",
                                                          "clocksource",
                                                          "cpufreq",
                                                          "cpuidle",
                                                          "default_hugepagesz",
                                                          "hugepages",
                                                          "hugepagesz",
                                                          "idle",
                                                          "intel_idle",
                                                          "intel_pstate",
                                                          "isolcpus",
                                                          "maxcpus",
                                                          "mitigations",
                                                          "nohlt",
                                                          "nohz",
                                                          "nohz_full",
                                                          "nosmt",
                                                          "nr_cpus",
                                                          "numa_balancing",
                                                          "pcie_aspm",
                                                          "preempt",
                                                          "processor",
                                                          "psi",
                                                          "rcu_nocbs",
                                                          "spectre_v2",
                                                          "threadirqs",
                                                          "transparent_hugepage",
                                                          "tsc",
                                                          "workqueue"};
  std::string options;
  for (const auto option : split(command_line, ' ')) {
    const auto word = trim(option);
    if (word == "--" || word == "---") break;  // what follows is for init
    // "intel_idle.max_cstate=1": the module's name counts.
    const auto name = word.substr(0, word.find_first_of("=."));
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    options += (options.empty() ? "" : " ") + std::string(word);
  }
  return options;
}

void describe_machine(Machine& machine, Manifest& manifest) {
  Facts facts(machine, manifest);
  describe_processor(machine, facts);
  describe_topology(machine, facts);
  facts.file("kernel", "/proc/sys/kernel/osrelease");
  facts.set("kernel_options", power_options(facts.text("/proc/cmdline")));
  facts.file("hostname", "/proc/sys/kernel/hostname");
  const auto model = facts.text("/sys/firmware/devicetree/base/model");
  facts.set("board", model.empty() ? dmi_words(facts, {"sys_vendor", "product_name", "product_version"}) : model);
  facts.set("firmware", dmi_words(facts, {"bios_vendor", "bios_version", "bios_date"}));
  facts.file("clocksource", "/sys/devices/system/clocksource/clocksource0/current_clocksource");
  describe_mitigations(machine, facts);
  describe_memory(facts);
  describe_power(machine, manifest);
  describe_virtual(machine, manifest);
  describe_raspberry(machine, manifest);
  describe_jetson(machine, manifest);
}

}  // namespace prony
