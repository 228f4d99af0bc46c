// ContainerNames: what a container is called, from the files that its engine keeps, without asking the engine itself:
// Docker's config.v2.json, Podman's containers.json, the annotations in containerd's config.json, and the host name
// that the container sees. Each id is looked up once. Thread promise: one thread. The Machine must outlive it.
// Sources: the storage layouts of Docker (daemon/container), containers/storage, containerd (runtime v2 bundles).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"

namespace prony {

class ContainerNames {
 public:
  explicit ContainerNames(Machine& machine) : machine_(machine) {}

  // Names of the container, of which `pid` is a process; empty: nothing that names it could be read.
  [[nodiscard]] const std::vector<std::string>& names_of(std::string_view id, std::int64_t pid);
  // How many containers were asked for whose names stayed unknown; of them, those whose files may not be read.
  [[nodiscard]] std::size_t unknown() const noexcept { return unknown_; }
  [[nodiscard]] std::size_t denied() const noexcept { return denied_; }
  // Every name and id found so far, for advice on a slip of the finger.
  [[nodiscard]] std::vector<std::string> all() const;

 private:
  std::vector<std::string> look_up(const std::string& id, std::int64_t pid, bool& denied);

  Machine& machine_;
  std::map<std::string, std::vector<std::string>, std::less<>> names_;
  std::size_t unknown_ = 0, denied_ = 0;
};

}  // namespace prony
