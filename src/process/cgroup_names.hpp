// What the path of a control group says about who is in it: the ids of containers and pods, the unit of systemd.
// Thread promise: pure functions. Views lie in the path that was given. A path can be any text.
// Sources: systemd.resource-control(5) and "Control Group APIs and Delegation"; the cgroup drivers "systemd" and
// "cgroupfs" of Docker, Podman (libpod), containerd, CRI-O and the kubelet; cgroups(7) for /proc/PID/cgroup.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace prony {

// The path of each hierarchy that /proc/PID/cgroup names: of version 2 ("0::/path") and of each of version 1.
void for_each_cgroup_path(std::string_view proc_cgroup_text, const std::function<void(std::string_view)>& each);

// The ids of the containers that the path lies in, outermost first: "docker-<id>.scope", "/docker/<id>",
// "libpod-<id>.scope", "cri-containerd-<id>.scope", "crio-<id>.scope", "/pod<uid>/<id>", "lxc.payload.<name>". A
// monitor that stands beside its container ("libpod-conmon-<id>.scope") is in none.
[[nodiscard]] std::vector<std::string_view> containers_of_cgroup(std::string_view path);
// The uid of the Kubernetes pod, with dashes; "": none.
[[nodiscard]] std::string pod_of_cgroup(std::string_view path);

// True: the path is `group` or lies below it. `group` may begin with where the hierarchy is mounted
// ("/sys/fs/cgroup/…"), with or without a "/" at its end.
[[nodiscard]] bool lies_in_cgroup(std::string_view path, std::string_view group) noexcept;

// True: one of the path's components is that unit. "ollama" means "ollama.service"; "worker@" any instance of it.
[[nodiscard]] bool lies_in_unit(std::string_view path, std::string_view unit) noexcept;

}  // namespace prony
