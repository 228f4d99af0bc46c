#include "process/device_use.hpp"

#include <algorithm>

#include "model/target.hpp"

namespace prony {

namespace {

// Inode of the first namespace of process ids. Source: kernel include/linux/proc_ns.h, PROC_PID_INIT_INO.
constexpr std::string_view first_pid_namespace = "pid:[4026531836]";

// The driver numbers processes as the host does.
std::string why_no_pids(Machine& machine) {
  const auto own = machine.read_link("/proc/self/ns/pid");
  if (machine.kind() != MachineKind::live || !own || *own == first_pid_namespace) return {};
  return "this container sees its own processes only, and numbers them in its own way";
}

}  // namespace

std::unique_ptr<DeviceUseByTarget> DeviceUseByTarget::create(Machine& machine, const std::vector<DeviceUsers*>& devices,
                                                             DeviceUseOptions options,
                                                             std::vector<Unavailable>& unavailable) {
  std::unique_ptr<DeviceUseByTarget> made(new DeviceUseByTarget(machine, std::move(options)));
  const std::string pids = why_no_pids(machine);
  for (DeviceUsers* users : devices) {
    made->named_.push_back({users->users_device(), users->users_domain()});
    const std::string why = pids.empty() ? users->why_no_users() : pids;
    if (why.empty())
      made->add_device(*users);
    else
      unavailable.push_back(
          {"use." + users->users_domain(),
           "who uses " + users->users_domain() + " cannot be told, so its energy is not separable: " + why,
           pids.empty() ? "" : "share the host's process namespace (--pid=host)"});
  }
  if (made->devices_.empty()) return nullptr;
  return made;
}

Channel DeviceUseByTarget::channel(const DeviceUsers& users, const std::string& name, Scope scope) const {
  Channel channel;
  channel.id = {static_cast<std::uint32_t>(channels_.size())};
  channel.sensor = "device-use";
  channel.device = users.users_device();
  channel.domain = users.users_domain();
  channel.name = name;
  channel.measure = Measure::time;
  channel.kind = ChannelKind::counter;
  channel.scope = scope;
  channel.scale = 1e-9;
  return channel;
}

void DeviceUseByTarget::add_device(DeviceUsers& users) {
  const std::string& domain = users.users_domain();
  channels_.push_back(channel(users, "use." + domain, Scope::host));
  channels_.push_back(channel(users, "prony." + domain + ".use", Scope::prony));
  for (const std::string& target : options_.targets) {
    const bool command = target.empty() || target == command_target;
    const std::string stem = "target." + (command ? std::string() : target + ".") + domain;
    for (const bool memory : {false, true}) {
      channels_.push_back(channel(users, stem + (memory ? ".memory" : ".use"), Scope::target));
      channels_.back().target = command ? "" : target;
      if (!memory) continue;
      channels_.back().measure = Measure::memory;
      channels_.back().kind = ChannelKind::gauge;
      channels_.back().scale = 1;
    }
  }
  Device device;
  device.users = &users;
  device.used_ns.resize(options_.targets.size());
  device.memory_bytes.resize(options_.targets.size());
  device.touched.resize(options_.targets.size());
  devices_.push_back(std::move(device));
}

void DeviceUseByTarget::look(Device& device) {
  device.failed = !device.users->look_at_users(seen_);
  if (device.failed) return;
  std::fill(device.memory_bytes.begin(), device.memory_bytes.end(), 0);
  for (const DeviceUse& use : seen_) {
    device.everybody_ns += use.used_ns;
    if (use.pid == options_.own_pid) {
      device.own_ns += use.used_ns;
      continue;
    }
    const auto target = options_.target_of(use.pid);
    if (!target || *target >= device.used_ns.size()) continue;
    device.used_ns[*target] += use.used_ns;
    device.memory_bytes[*target] += use.memory_bytes;
    device.touched[*target] = true;
    note_shown(*target, use.pid);
  }
}

void DeviceUseByTarget::note_shown(std::size_t target, std::int64_t pid) {
  if (shown_[target]) return;
  const auto environment = machine_.read_text("/proc/" + std::to_string(pid) + "/environ");
  if (!environment) return;
  const auto value = environment_value(*environment, "CUDA_VISIBLE_DEVICES");
  shown_[target] = value.data() == nullptr
                       ? std::string()
                       : visible_devices_words(value, environment_value(*environment, "CUDA_DEVICE_ORDER"), named_);
}

void DeviceUseByTarget::read(std::span<Reading> out) noexcept {
  const std::lock_guard lock(mutex_);
  std::size_t at = 0;
  for (Device& device : devices_) {
    look(device);
    const auto show = [&](std::int64_t value) { out[at++] = device.failed ? Reading{} : Reading{value, Quality::ok}; };
    show(device.everybody_ns);
    show(device.own_ns);
    for (std::size_t target = 0; target < device.used_ns.size(); ++target) {
      show(device.used_ns[target]);
      show(static_cast<std::int64_t>(device.memory_bytes[target]));
    }
  }
}

std::vector<Unavailable> DeviceUseByTarget::complaints() {
  const std::lock_guard lock(mutex_);
  std::vector<Unavailable> told;
  for (Device& device : devices_) {
    if (!device.failed || device.told) continue;
    device.told = true;
    told.push_back({"use." + device.users->users_domain(), "its driver does not tell who uses it any more", {}});
  }
  return told;
}

std::vector<Fact> DeviceUseByTarget::facts() const {
  const std::lock_guard lock(mutex_);
  std::vector<Fact> facts;
  const auto add = [&](const std::string& key, const std::string& value) {
    if (!value.empty()) facts.push_back({key, value, "machine"});
  };
  const auto append = [](std::string& list, const std::string& name) { list += (list.empty() ? "" : ", ") + name; };
  for (std::size_t target = 0; target < options_.targets.size(); ++target) {
    std::string used;
    for (const Device& device : devices_)
      if (device.touched[target])
        append(used, device.users->users_domain() + " (" + device.users->users_device() + ")");
    const std::string& name = options_.targets[target];
    const std::string key = "target." + (name.empty() ? std::string(command_target) : name);
    add(key + ".devices", used);
    add(key + ".visible_devices", shown_[target].value_or(""));
  }
  std::string idle;
  for (const Device& device : devices_)
    if (std::ranges::find(device.touched, true) == device.touched.end()) append(idle, device.users->users_domain());
  add("devices.not_used", idle);
  return facts;
}

}  // namespace prony
