#include "sensors/storage.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.hpp"
#include "sensors/own_cgroup.hpp"

namespace prony {

namespace {

bool holds(const std::string& mount, const std::string& path) {
  return mount == "/" || (path.starts_with(mount) && (path.size() == mount.size() || path[mount.size()] == '/'));
}

bool is_network(std::string_view type) {
  static constexpr std::array<std::string_view, 14> types{"nfs",    "nfs4",      "cifs", "smb3",       "ceph",
                                                          "lustre", "glusterfs", "afs",  "fuse.sshfs", "fuse.glusterfs",
                                                          "beegfs", "gpfs",      "9p",   "fuse.rclone"};
  return std::find(types.begin(), types.end(), type) != types.end();
}

// The whole disk in a link below /sys: "…/block/sda/sda1" → "sda".
std::string disk_of_link(std::string_view link) {
  const auto at = link.rfind("/block/");
  if (at == std::string_view::npos) return {};
  const auto name = link.substr(at + 7);
  return std::string(name.substr(0, name.find('/')));
}

std::string whole_disk(Machine& machine, const MountPoint& mount) {
  if (const auto link = machine.read_link("/sys/dev/block/" + mount.device))
    if (auto disk = disk_of_link(*link); !disk.empty()) return disk;
  // btrfs and others have a device number of their own; what was mounted says the device.
  if (mount.source.starts_with("/dev/"))
    if (const auto link = machine.read_link("/sys/class/block/" + mount.source.substr(mount.source.rfind('/') + 1)))
      return disk_of_link(*link);
  return {};
}

// The disks that a stacked device (dm, md) lies on in the end; itself if it is one.
void collect_disks(Machine& machine, const std::string& disk, int depth, std::vector<std::string>& disks) {
  const auto slaves = machine.list("/sys/block/" + disk + "/slaves").value_or(std::vector<std::string>{});
  if (slaves.empty() || depth == 0) {
    if (std::find(disks.begin(), disks.end(), disk) == disks.end()) disks.push_back(disk);
    return;
  }
  for (const auto& slave : slaves) {
    const auto link = machine.read_link("/sys/class/block/" + slave);
    const auto whole = link ? disk_of_link(*link) : std::string();
    collect_disks(machine, whole.empty() ? slave : whole, depth - 1, disks);
  }
}

std::string kind_of_disk(Machine& machine, const std::string& disk) {
  const auto folder = "/sys/block/" + disk;
  const auto starts = [&](std::string_view stem) { return disk.starts_with(stem); };
  if (starts("nvme")) return "nvme";
  if (starts("mmcblk")) return "mmc";
  if (starts("vd") || starts("xvd")) return "virtual disk";
  if (starts("zram") || starts("ram") || starts("pmem")) return "memory";
  if (starts("nbd") || starts("rbd")) return "network";
  const auto vendor = machine.read_text(folder + "/device/vendor").value_or(std::string());
  for (const std::string_view guest : {"QEMU", "VMware", "VBOX", "Msft", "Google"})
    if (vendor.starts_with(guest)) return "virtual disk";
  const auto rotational = machine.read_text(folder + "/queue/rotational");
  if (!rotational) return {};
  return *rotational == "0" ? "ssd" : *rotational == "1" ? "hdd" : "";
}

}  // namespace

std::optional<Storage> storage_of(Machine& machine, const std::string& path) {
  const auto text = machine.read_text("/proc/self/mountinfo");
  if (!text || !path.starts_with('/')) return std::nullopt;
  std::optional<MountPoint> best;
  for (auto& mount : mount_points(*text))  // of two at one place the later one is seen
    if (holds(mount.path, path) && (!best || mount.path.size() >= best->path.size())) best = std::move(mount);
  if (!best) return std::nullopt;
  Storage storage;
  storage.filesystem = best->type;
  storage.mount = best->path;
  if (is_network(best->type)) {
    storage.kind = "network";
  } else if (best->type == "virtiofs") {
    storage.kind = "folder of the host";
  } else if (best->type == "tmpfs" || best->type == "ramfs") {
    storage.kind = "memory";
  } else if (best->type == "overlay") {
    storage.kind = "layers";
  } else if (const auto disk = whole_disk(machine, *best); !disk.empty()) {
    std::vector<std::string> disks;
    collect_disks(machine, disk, 4, disks);
    for (const auto& name : disks) storage.device += (storage.device.empty() ? "" : ", ") + name;
    storage.kind = kind_of_disk(machine, disks.front());
    const auto same = [&](const std::string& name) { return kind_of_disk(machine, name) == storage.kind; };
    if (!std::all_of(disks.begin(), disks.end(), same)) storage.kind.clear();
    if (disks.size() == 1) {
      storage.model = machine.read_text("/sys/block/" + disk + "/device/model").value_or(std::string());
      if (disks.front() != disk)
        storage.model = machine.read_text("/sys/block/" + disks.front() + "/device/model").value_or(std::string());
    }
    storage.model = printable(trim(storage.model), 60);
  }
  return storage;
}

std::string storage_words(const Storage& storage) {
  std::string inside;
  for (const auto* part : {&storage.device, &storage.model, &storage.filesystem})
    if (!part->empty()) inside += (inside.empty() ? "" : ", ") + *part;
  return (storage.kind.empty() ? "not known" : storage.kind) + " (" + inside + ")";
}

}  // namespace prony
