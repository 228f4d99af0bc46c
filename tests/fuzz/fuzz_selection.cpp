// parts: process
// Any text in what chooses targets: a selector of the command line, control groups, sockets, the files of container
// engines, users, and CUDA's environment. The first byte says which kind of selector it is. Nothing that comes out is
// longer than what went in allows, a chosen name is a name, and a port is found only where a socket waits.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "machine/simulated.hpp"
#include "process/cgroup_names.hpp"
#include "process/container_names.hpp"
#include "process/selector.hpp"
#include "process/socket_owners.hpp"
#include "process/target_match.hpp"
#include "process/visible_devices.hpp"

namespace {

const std::string id(64, 'a');

void containers(const std::string& text) {
  prony::SimulatedMachine machine;
  machine.set_file("/var/lib/docker/containers/" + id + "/config.v2.json", text);
  machine.set_file("/var/lib/containers/storage/overlay-containers/containers.json", text);
  machine.set_file("/run/containerd/io.containerd.runtime.v2.task/default/" + id + "/config.json", text);
  machine.set_file("/proc/7/root/etc/hostname", text);
  prony::ContainerNames names(machine);
  for (const std::string& name : names.names_of(id, 7))
    if (name.empty() || name.size() > text.size()) std::abort();
}

void selectors(prony::SelectorKind kind, const std::string& text) {
  auto choice = prony::parse_target_choice(kind, text);
  if (!choice) return;
  for (const char c : choice->name)
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\\') std::abort();
  (void)prony::selector_text(*choice);
  prony::SimulatedMachine machine;
  machine.set_file("/etc/passwd", text);
  std::vector<prony::TargetChoice> choices{*choice, *choice};
  const auto named = prony::name_targets(choices);
  if (named && (named->size() != 2 || named->at(0).name == named->at(1).name)) std::abort();
  (void)prony::TargetMatch::make(machine, choices);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr int kinds = static_cast<int>(prony::SelectorKind::all) + 1;
  selectors(static_cast<prony::SelectorKind>(data[0] % kinds), text);
  containers(text);
  for (const auto name : prony::containers_of_cgroup(text))
    if (name.empty() || name.size() > text.size()) std::abort();
  if (prony::pod_of_cgroup(text).size() > text.size()) std::abort();
  const auto [path, rest] = std::pair(text.substr(0, text.size() / 2), text.substr(text.size() / 2));
  (void)prony::lies_in_cgroup(path, rest);
  (void)prony::lies_in_unit(path, rest);
  std::vector<std::uint64_t> inodes;
  prony::append_listeners(text, data[0] % 2 == 0, 8080, inodes);
  if (inodes.size() > text.size()) std::abort();
  const prony::NamedDevice devices[] = {{"GPU-8f1c2d3e", "gpu-0"}, {"GPU-70b1c2d3", "gpu-1"}};
  if (prony::visible_devices_words(path, rest, devices).empty()) std::abort();
  const auto value = prony::environment_value(text, "CUDA_VISIBLE_DEVICES");
  if (value.data() != nullptr && text.find("CUDA_VISIBLE_DEVICES=") == std::string::npos) std::abort();
  return 0;
}
