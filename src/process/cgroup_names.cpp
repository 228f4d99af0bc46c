#include "process/cgroup_names.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t shortest_id = 12;  // Docker's short form; the folders are named by all 64 digits

bool is_id(std::string_view text) noexcept {
  return text.size() >= shortest_id &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Hands each component of a path to `each` until it returns true.
template <class Each>
bool any_component(std::string_view path, Each each) {
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    if (end > 0 && each(path.substr(0, end))) return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

// The id that a component holds, given whether the one before it names an engine or a pod.
std::string_view id_in(std::string_view component, bool below_engine) noexcept {
  for (const std::string_view prefix : {"lxc.payload.", "lxc.monitor."})
    if (component.starts_with(prefix))
      return prefix == "lxc.payload." ? component.substr(prefix.size()) : std::string_view{};
  auto rest = component;
  if (rest.ends_with(".scope")) rest.remove_suffix(6);
  const bool scope = rest.size() != component.size();
  static constexpr std::array<std::string_view, 5> engines = {"docker-", "libpod-", "cri-containerd-", "crio-",
                                                              "nerdctl-"};
  for (const std::string_view engine : engines)
    if (rest.starts_with(engine) && is_id(rest.substr(engine.size()))) return rest.substr(engine.size());
  return !scope && below_engine && is_id(component) ? component : std::string_view{};
}

bool is_pod(std::string_view component) noexcept {
  return component.starts_with("pod") || component.find("-pod") != std::string_view::npos;
}

bool leads_to_ids(std::string_view component) noexcept {
  return component == "docker" || component == "containerd" || component == "default" || component == "k8s.io" ||
         component == "moby" || component == "libpod_parent" || is_pod(component);
}

}  // namespace

void for_each_cgroup_path(std::string_view text, const std::function<void(std::string_view)>& each) {
  for_each_line(text, [&each](std::string_view line) {
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second != std::string_view::npos && second + 1 < line.size()) each(line.substr(second + 1));
  });
}

std::vector<std::string_view> containers_of_cgroup(std::string_view path) {
  std::vector<std::string_view> ids;
  bool below_engine = false;
  any_component(path, [&](std::string_view component) {
    const auto id = id_in(component, below_engine);
    if (!id.empty()) ids.push_back(id);
    below_engine = leads_to_ids(component);
    return false;
  });
  return ids;
}

std::string pod_of_cgroup(std::string_view path) {
  std::string uid;
  any_component(path, [&](std::string_view component) {
    if (component.ends_with(".slice")) component.remove_suffix(6);
    const auto at = component.starts_with("pod") ? 0 : component.find("-pod");
    if (at == std::string_view::npos) return false;
    std::string found(component.substr(at + (component[at] == '-' ? 4 : 3)));
    std::replace(found.begin(), found.end(), '_', '-');  // the systemd driver may not use dashes: they mean nesting
    // A uid, or the hash of a static pod's manifest.
    const bool uuid = found.size() == 36 && std::count(found.begin(), found.end(), '-') == 4;
    if (uuid || (found.size() == 32 && is_id(found))) uid = std::move(found);
    return !uid.empty();
  });
  return uid;
}

bool lies_in_cgroup(std::string_view path, std::string_view group) noexcept {
  while (group.size() > 1 && group.ends_with('/')) group.remove_suffix(1);
  const auto below = [path](std::string_view top) {
    return top == "/" || path == top || (path.starts_with(top) && path.size() > top.size() && path[top.size()] == '/');
  };
  if (below(group)) return true;
  constexpr std::string_view mount = "/sys/fs/cgroup";
  if (!group.starts_with(mount) || group.size() <= mount.size() || group[mount.size()] != '/') return false;
  group.remove_prefix(mount.size());
  if (below(group)) return true;
  const auto hierarchy = group.find('/', 1);  // version 1, and "unified": a mount of its own below
  return hierarchy != std::string_view::npos && below(group.substr(hierarchy));
}

bool lies_in_unit(std::string_view path, std::string_view unit) noexcept {
  const auto has_suffix = [unit] {
    for (const std::string_view suffix : {".service", ".scope", ".slice", ".socket", ".mount"})
      if (unit.size() > suffix.size() && unit.ends_with(suffix)) return true;
    return false;
  }();
  return any_component(path, [&](std::string_view component) {
    if (has_suffix) return component == unit;
    if (!component.ends_with(".service")) return false;
    component.remove_suffix(8);
    return component == unit || (unit.ends_with('@') && component.starts_with(unit));
  });
}

}  // namespace prony
