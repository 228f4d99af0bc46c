#include "sensors/machine_facts.hpp"

#include "sensors/cpu_family.hpp"

namespace prony {

namespace {

// What the firmware calls the machine, without the fillers of vendors that wrote nothing.
std::string board_name(Machine& machine) {
  if (auto model = machine.read_text("/sys/firmware/devicetree/base/model"); model && !model->empty()) return *model;
  std::string name;
  for (const char* part : {"sys_vendor", "product_name"}) {
    const auto text = machine.read_text(std::string("/sys/class/dmi/id/") + part);
    if (!text || text->empty() || text->starts_with("To Be Filled") || text->starts_with("System ")) continue;
    name += (name.empty() ? "" : " ") + *text;
  }
  return name;
}

}  // namespace

void describe_machine(Machine& machine, Manifest& manifest) {
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) manifest.set(key, value, "machine");
  };
  const auto text = [&](const char* path) { return machine.read_text(path).value_or(std::string()); };
  const auto processor = processor_id(machine);
  std::string cpu_model = processor.model_name;
  if (cpu_model.empty() && !processor.vendor.empty() && processor.model >= 0) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string part;
    for (int shift = 8; shift >= 0; shift -= 4)
      part += digits[static_cast<std::size_t>((processor.model >> shift) & 15)];
    cpu_model = "Arm implementer " + processor.vendor + " part 0x" + part;
  }
  set("machine.cpu_model", cpu_model);
  set("machine.cpus", std::to_string(machine.cpu_count()));
  set("machine.kernel", text("/proc/sys/kernel/osrelease"));
  set("machine.hostname", text("/proc/sys/kernel/hostname"));
  set("machine.board", board_name(machine));
  const auto hypervisor = text("/sys/hypervisor/type");
  if (!hypervisor.empty()) {
    set("machine.virtual", "yes (" + hypervisor + ")");
  } else if (processor.hypervisor) {
    set("machine.virtual", "yes (the processor says a hypervisor runs it)");
  } else if (processor.family >= 0) {
    set("machine.virtual", "no");  // only x86 has the flag; elsewhere nothing is said
  }
}

}  // namespace prony
