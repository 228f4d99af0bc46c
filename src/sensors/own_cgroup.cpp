#include "sensors/own_cgroup.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace prony {

namespace {

// Spaces, tabs, line ends and backslashes in mountinfo are written as \040 and the like.
std::string unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] <= '3' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

bool lists(std::string_view names, std::string_view name) {
  const auto parts = split(names, ',');
  return std::find(parts.begin(), parts.end(), name) != parts.end();
}

// The group of a controller in /proc/self/cgroup ("4:memory:/docker/ab12"), and of version 2 ("0::/user.slice").
std::optional<std::string> group_of(std::string_view cgroup_text, std::string_view controller) {
  std::optional<std::string> result;
  for_each_line(cgroup_text, [&](std::string_view line) {
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) return;
    const auto names = line.substr(first + 1, second - first - 1);
    const bool fits = controller.empty() ? line.starts_with("0::") : lists(names, controller);
    if (fits) result = std::string(line.substr(second + 1));
  });
  return result;
}

std::string folder_of_group(std::string folder, std::string_view group) {
  if (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  return group.empty() || group == "/" ? folder : folder + std::string(group);
}

// Where a group is below a mount that shows the hierarchy from `root` on; nullopt: outside of it.
std::optional<std::string> below(std::string_view root, std::string_view group) {
  if (root == "/" || group.starts_with("/..")) return std::string(group.starts_with("/..") ? "/" : group);
  if (group == root) return "/";
  if (group.size() > root.size() && group.starts_with(root) && group[root.size()] == '/')
    return std::string(group.substr(root.size()));
  return std::nullopt;
}

std::optional<CgroupFolder> folder_in(Machine& machine, std::string_view controller, bool version_2) {
  const auto groups = machine.read_text("/proc/self/cgroup");
  const auto mounts = machine.read_text("/proc/self/mountinfo");
  if (!groups || !mounts) return std::nullopt;
  const auto group = group_of(*groups, version_2 ? std::string_view() : controller);
  if (!group) return std::nullopt;
  std::optional<CgroupFolder> result;
  for (const auto& mount : mount_points(*mounts)) {
    const bool fits = version_2 ? mount.type == "cgroup2" : mount.type == "cgroup" && lists(mount.options, controller);
    if (!fits) continue;
    const auto inside = below(mount.root, *group);
    if (!inside) continue;
    CgroupFolder folder{folder_of_group(mount.path, *inside), *group, version_2, false};
    if (!machine.exists(folder.path + "/cgroup.procs")) continue;
    // Only groups below the root have these; what looks like "/" in a container does have them.
    folder.top = version_2
                     ? !machine.exists(folder.path + "/cgroup.events") && !machine.exists(folder.path + "/cgroup.type")
                     : *group == "/" && mount.root == "/";
    if (!result) result = std::move(folder);
  }
  return result;
}

// The file in the group and in every group above it that this mount shows.
template <class Take>
void up_the_tree(Machine& machine, std::string path, const std::string& file, const Take& take) {
  for (int level = 0; level < 32 && path.size() > 1; ++level) {
    if (!machine.exists(path + "/cgroup.procs")) return;
    if (const auto text = machine.read_text(path + "/" + file)) take(path, *text);
    path.resize(std::min(path.size(), path.rfind('/')));
  }
}

template <class T>
void tighten(std::optional<T>& limit, T value) {
  if (!limit || value < *limit) limit = value;
}

}  // namespace

std::vector<MountPoint> mount_points(std::string_view mountinfo) {
  std::vector<MountPoint> result;
  for_each_line(mountinfo, [&](std::string_view line) {
    const auto dash = line.find(" - ");
    if (dash == std::string_view::npos) return;
    std::vector<std::string_view> left, right;
    for (const auto part : split(line.substr(0, dash), ' '))
      if (!part.empty()) left.push_back(part);
    for (const auto part : split(line.substr(dash + 3), ' '))
      if (!part.empty()) right.push_back(part);
    if (left.size() < 6 || right.size() < 2) return;
    result.push_back({std::string(left[2]), unescaped(left[3]), unescaped(left[4]), std::string(right[0]),
                      unescaped(right[1]), right.size() > 2 ? std::string(right[2]) : std::string()});
  });
  return result;
}

std::optional<CgroupFolder> own_cgroup(Machine& machine, std::string_view controller) {
  // With both versions mounted, a controller belongs to one of them only.
  if (auto first = folder_in(machine, controller, false)) return first;
  return folder_in(machine, controller, true);
}

CgroupLimits own_cgroup_limits(Machine& machine) {
  CgroupLimits limits;
  if (const auto cpu = own_cgroup(machine, "cpu")) {
    const auto quota = [&](std::optional<std::int64_t> most, std::optional<std::int64_t> period) {
      if (most && period && *most > 0 && *period > 0)
        tighten(limits.cpus, static_cast<double>(*most) / static_cast<double>(*period));
    };
    if (cpu->version_2)
      up_the_tree(machine, cpu->path, "cpu.max", [&](const std::string&, std::string_view text) {
        const auto space = text.find(' ');
        if (space != std::string_view::npos) quota(parse_i64(text.substr(0, space)), parse_i64(text.substr(space + 1)));
      });
    else
      up_the_tree(machine, cpu->path, "cpu.cfs_quota_us", [&](const std::string& path, std::string_view text) {
        const auto period = machine.read_text(path + "/cpu.cfs_period_us");
        quota(parse_i64(text), period ? parse_i64(*period) : std::nullopt);
      });
  }
  if (const auto memory = own_cgroup(machine, "memory")) {
    // Version 1 writes "no limit" as the largest number of pages in 63 bits.
    constexpr std::int64_t no_limit = std::int64_t{1} << 60;
    const std::string file = memory->version_2 ? "memory.max" : "memory.limit_in_bytes";
    up_the_tree(machine, memory->path, file, [&](const std::string&, std::string_view text) {
      const auto bytes = parse_i64(text);
      if (bytes && *bytes > 0 && *bytes < no_limit) tighten(limits.memory_bytes, *bytes);
    });
  }
  return limits;
}

}  // namespace prony
