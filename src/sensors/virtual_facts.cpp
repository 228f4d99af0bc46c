// Facts of what stands between Prony and the machine: a hypervisor, a container. See machine_facts.hpp.
// Source: systemd's detect-virt rules (man 1 systemd-detect-virt), docker and podman documentation, man 7 cgroups.
#include <array>

#include "base/text.hpp"
#include "sensors/cpu_family.hpp"
#include "sensors/machine_facts.hpp"
#include "sensors/own_cgroup.hpp"

namespace prony {

namespace {

constexpr const char* virtual_blind =
    "a virtual machine sees no energy, idle states, temperatures or throttling of the processor unless its host passes "
    "them on, nor other guests, nor the time in which the host left its CPUs waiting in full";
constexpr const char* container_blind =
    "a container sees the machine's sensors only where the host lets it read them, and of other processes only that "
    "the "
    "CPU was busy";

struct Clue {
  std::string_view begins;  // of sys_vendor or product_name
  std::string_view kind;
};

// What firmware written for guests calls itself.
std::string guest_firmware(Machine& machine) {
  static constexpr std::array<Clue, 14> clues{{{"QEMU", "QEMU or KVM"},
                                               {"KVM", "KVM"},
                                               {"VMware", "VMware"},
                                               {"VMW", "VMware"},
                                               {"innotek GmbH", "VirtualBox"},
                                               {"VirtualBox", "VirtualBox"},
                                               {"Xen", "Xen"},
                                               {"HVM domU", "Xen"},
                                               {"Virtual Machine", "Hyper-V"},
                                               {"Google Compute Engine", "Google Compute Engine"},
                                               {"Parallels", "Parallels"},
                                               {"OpenStack", "OpenStack"},
                                               {"Bochs", "Bochs"},
                                               {"Apple Virtualization", "Apple Virtualization"}}};
  std::string product;
  for (const char* file : {"product_name", "sys_vendor", "bios_vendor"}) {
    const auto text = machine.read_text(std::string("/sys/class/dmi/id/") + file).value_or(std::string());
    for (const auto& clue : clues)
      if (text.starts_with(clue.begins)) return std::string(clue.kind);
    if (file == std::string_view("product_name")) product = text;
    // Amazon sells whole machines too; their products say so.
    if (text.starts_with("Amazon EC2") && product.find("metal") == std::string::npos) return "Amazon EC2";
  }
  if (machine.read_text("/sys/firmware/devicetree/base/model").value_or("") == "linux,dummy-virt") return "QEMU or KVM";
  if (const auto text = machine.read_text("/sys/firmware/devicetree/base/hypervisor/compatible"))
    return printable(*text, 40);
  return {};
}

// "no" only where the processor itself says so; empty: nothing tells.
std::string virtual_words(Machine& machine, bool& is_virtual) {
  is_virtual = true;
  const auto kernel = machine.read_text("/proc/sys/kernel/osrelease").value_or(std::string());
  if (kernel.find("microsoft-standard") != std::string::npos) return "yes (WSL 2, Hyper-V)";
  const bool xen_host = machine.read_text("/proc/xen/capabilities").value_or("").find("control_d") != std::string::npos;
  const auto hypervisor = machine.read_text("/sys/hypervisor/type").value_or(std::string());
  if (!hypervisor.empty() && !xen_host) return "yes (" + printable(hypervisor, 40) + ")";
  const auto processor = processor_id(machine);
  const auto firmware = guest_firmware(machine);
  // x86 has a flag for it, which a host does not show; firmware alone may be a host's own (QEMU's makers sell none).
  if (processor.hypervisor)
    return firmware.empty() ? "yes (the processor says a hypervisor runs it)" : "yes (" + firmware + ")";
  if (!firmware.empty() && processor.family < 0) return "yes (" + firmware + ")";
  is_virtual = false;
  return processor.family >= 0 ? "no" : "";
}

std::string container_kind(Machine& machine) {
  const auto group = machine.read_text("/proc/self/cgroup").value_or(std::string());
  const auto in_group = [&](std::string_view part) { return group.find(part) != std::string::npos; };
  if (machine.exists("/var/run/secrets/kubernetes.io") || in_group("kubepods")) return "Kubernetes";
  if (machine.exists("/run/.containerenv") || in_group("/libpod-")) return "podman";
  if (machine.exists("/.dockerenv") || in_group(":/docker/") || in_group("/docker-")) return "docker";
  if (in_group(":/lxc/") || in_group("/lxc.payload")) return "lxc";
  for (const char* file : {"/run/systemd/container", "/run/host/container-manager"})
    if (const auto text = machine.read_text(file); text && !text->empty()) return printable(*text, 40);
  if (machine.exists("/dev/lxd/sock") || machine.exists("/dev/incus/sock")) return "lxc";
  return {};
}

// Whose processes, whose energy, whose groups a container shows Prony, and the mounts that would show more. The
// kernel's own thread 2, kthreadd, is in the host's list of processes and in no other.
std::string container_sees(Machine& machine) {
  const bool host_processes = trim(machine.read_text("/proc/2/comm").value_or("")) == "kthreadd";
  const bool host_groups = machine.exists("/sys/fs/cgroup") && !machine.exists("/sys/fs/cgroup/cgroup.events");
  const auto zone = machine.read_text("/sys/class/powercap/intel-rapl:0/energy_uj");
  const bool sensors = machine.exists("/sys/class/hwmon/hwmon0");
  std::string words = host_processes ? "processes: the whole machine's"
                                     : "processes: this container's alone (--pid=host shows the machine's)";
  words += host_groups ? "; containers of others: yes"
                       : "; containers of others: no (--cgroupns=host -v /sys/fs/cgroup:/sys/fs/cgroup:ro)";
  if (zone)
    words += "; energy: the host's RAPL counters";
  else if (zone.error().code == ErrorCode::denied)
    words +=
        "; energy: the host's RAPL counters are there but closed to this user (run it as root, or `prony setup rapl` "
        "on "
        "the host)";
  else
    words += "; energy: no RAPL counters (-v /sys/devices/virtual/powercap, see docs/container.md)";
  words += sensors ? "; sensors: the host's hwmon" : "; sensors: no hwmon";
  return words;
}

}  // namespace

void describe_virtual(Machine& machine, Manifest& manifest) {
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) manifest.set(std::string("machine.") + key, value, "machine");
  };
  bool is_virtual = false;
  set("virtual", virtual_words(machine, is_virtual));
  const auto container = container_kind(machine);
  set("container", container);
  if (!container.empty()) set("container_sees", container_sees(machine));
  const auto limits = own_cgroup_limits(machine);
  if (limits.cpus) set("cpu_limit", format_number(*limits.cpus) + " CPUs");
  if (limits.memory_bytes) set("memory_limit_bytes", std::to_string(*limits.memory_bytes));
  std::string blind;
  if (is_virtual) blind = virtual_blind;
  if (!container.empty()) blind += (blind.empty() ? "" : "; ") + std::string(container_blind);
  set("cannot_see", blind);
}

}  // namespace prony
