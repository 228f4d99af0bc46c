// On what a file lies: the file system and the device below it. Thread promise: as Machine.
// Source: /proc/self/mountinfo (man 5 proc), /sys/dev/block, Documentation/ABI/stable/sysfs-block (queue/rotational).
#pragma once

#include <optional>
#include <string>

#include "machine/machine.hpp"

namespace prony {

struct Storage {
  // "nvme", "ssd", "hdd", "mmc", "virtual disk", "network", "memory", "layers" (overlay); empty: nothing tells
  std::string kind;
  std::string device;      // "nvme0n1"; with several disks below "sda, sdb"; empty for network and memory
  std::string model;       // "Samsung SSD 970 PRO 512GB"; empty: nothing tells
  std::string filesystem;  // "ext4"
  std::string mount;       // "/home"
};

// `path` is absolute and free of links ("/models/model.gguf"; it need not exist). nullopt: no mount tells of it.
[[nodiscard]] std::optional<Storage> storage_of(Machine& machine, const std::string& path);
// "nvme (nvme0n1, Samsung SSD 970 PRO 512GB, ext4)"
[[nodiscard]] std::string storage_words(const Storage& storage);

}  // namespace prony
