#include "process/container_names.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace prony {

namespace {

using Json = nlohmann::json;

// nullptr-like (is_discarded) if it cannot be read or is not JSON.
Json json_of(Machine& machine, const std::string& path, bool& denied) {
  const auto text = machine.read_text(path);
  if (!text) {
    denied = denied || text.error().code == ErrorCode::denied;
    return Json(Json::value_t::discarded);
  }
  return Json::parse(*text, nullptr, false);
}

void add_text(const Json& object, const char* key, std::vector<std::string>& names) {
  if (!object.is_object()) return;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return;
  auto name = found->get<std::string>();
  if (name.starts_with('/')) name.erase(0, 1);  // Docker's way of writing it
  if (!name.empty() && name.size() <= 255) names.push_back(std::move(name));
}

// The "org.opencontainers" bundle that containerd keeps while the container runs.
void add_bundle_names(const Json& bundle, std::vector<std::string>& names) {
  if (!bundle.is_object()) return;
  add_text(bundle, "hostname", names);
  const auto annotations = bundle.find("annotations");
  if (annotations == bundle.end()) return;
  for (const char* key : {"io.kubernetes.cri.container-name", "io.kubernetes.cri.sandbox-name",
                          "io.kubernetes.cri-o.Name", "io.kubernetes.pod.name", "nerdctl/name"})
    add_text(*annotations, key, names);
}

// Podman's list of all containers: [{"id": …, "names": […]}, …].
void add_podman_names(const Json& list, std::string_view id, std::vector<std::string>& names) {
  if (!list.is_array()) return;
  for (const Json& container : list) {
    if (!container.is_object() || container.value("id", Json()) != Json(std::string(id))) continue;
    const auto found = container.find("names");
    if (found == container.end() || !found->is_array()) continue;
    for (const Json& name : *found)
      if (name.is_string()) names.push_back(name.get<std::string>());
  }
}

}  // namespace

std::vector<std::string> ContainerNames::look_up(const std::string& id, std::int64_t pid, bool& denied) {
  std::vector<std::string> names;
  add_text(json_of(machine_, "/var/lib/docker/containers/" + id + "/config.v2.json", denied), "Name", names);
  const std::string root = "/proc/" + std::to_string(pid) + "/root";
  const std::string store = "/storage/overlay-containers/containers.json";
  add_podman_names(json_of(machine_, "/var/lib/containers" + store, denied), id, names);
  if (names.empty()) {  // a container of a user of its own
    if (const auto homes = machine_.list("/home"))
      for (const std::string& home : *homes)
        add_podman_names(json_of(machine_, "/home/" + home + "/.local/share/containers" + store, denied), id, names);
  }
  for (const char* space : {"k8s.io", "default", "moby"})
    add_bundle_names(
        json_of(machine_,
                "/run/containerd/io.containerd.runtime.v2.task/" + std::string(space) + "/" + id + "/config.json",
                denied),
        names);
  if (const auto host = machine_.read_text(root + "/etc/hostname")) {
    const auto line = trim(std::string_view(*host).substr(0, host->find('\n')));
    // An engine that is told no host name makes one of the id, which names nobody.
    if (!line.empty() && line.size() <= 64 && !std::string_view(id).starts_with(line)) names.emplace_back(line);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

const std::vector<std::string>& ContainerNames::names_of(std::string_view id, std::int64_t pid) {
  const auto found = names_.find(id);
  if (found != names_.end()) return found->second;
  bool is_denied = false;
  auto names = look_up(std::string(id), pid, is_denied);
  if (names.empty()) ++unknown_;
  if (names.empty() && is_denied) ++denied_;
  return names_.emplace(std::string(id), std::move(names)).first->second;
}

std::vector<std::string> ContainerNames::all() const {
  std::vector<std::string> all;
  for (const auto& [id, names] : names_) {
    all.push_back(id);
    all.insert(all.end(), names.begin(), names.end());
  }
  return all;
}

}  // namespace prony
