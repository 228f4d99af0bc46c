// CpuPackages: which package (socket) each CPU of a machine lies in. Read once, and again when CPUs come that were off.
// Packages are told by their place in the list, ascending by the kernel's number. Thread promise: a plain value; the
// Machine from any thread. Errors: none; a machine that does not tell its packages has none.
// Source: Documentation/ABI/stable/sysfs-devices-system-cpu (physical_package_id, package_cpus_list).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine/machine.hpp"

namespace prony {

class CpuPackages {
 public:
  [[nodiscard]] static CpuPackages of(Machine& machine);

  // Only then is there something to tell apart.
  [[nodiscard]] bool several() const noexcept { return numbers_.size() > 1; }
  [[nodiscard]] std::size_t count() const noexcept { return numbers_.size(); }
  [[nodiscard]] std::string name(std::size_t place) const { return "package-" + std::to_string(numbers_[place]); }
  // nullopt: its package is not known (it was off), or is none of the list.
  [[nodiscard]] std::optional<std::size_t> place_of(std::int64_t cpu) const noexcept;
  // CPUs that were on, by place.
  [[nodiscard]] std::vector<double> cpus() const;
  // Asks for CPUs that are on and were not known. Packages that were not in the list stay out of it.
  void see_newcomers(Machine& machine);

 private:
  void ask(Machine& machine);

  std::vector<std::uint32_t> numbers_;
  std::vector<std::int32_t> package_;  // by CPU; −1: not known
};

}  // namespace prony
