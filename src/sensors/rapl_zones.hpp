// The energy zones of powercap: which there are, what each covers, how they nest, which show the same joules again.
// Thread promise: as Machine. Ownership: plain values. Nothing here reads energy.
// Source: Documentation/power/powercap/powercap.rst, drivers/powercap/intel_rapl_common.c (names of zones).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"
#include "model/manifest.hpp"

namespace prony {

enum class RaplKind { psys, package, core, uncore, dram, other };

// What of the machine a counter covers, whichever interface shows it. A machine whose packages have one die each (or
// whose interface does not tell them apart) has no die numbers.
struct RaplDomain {
  RaplKind kind = RaplKind::other;
  std::optional<unsigned> package, die;

  bool operator==(const RaplDomain&) const = default;
  // The same joules, or some of them: same kind and package, and no two different dies.
  [[nodiscard]] bool overlaps(const RaplDomain& other) const noexcept;
};
// "psys", "package-0", "core-0-die-1"; what Channel::domain says.
[[nodiscard]] std::string to_string(const RaplDomain& domain);

struct RaplZone {
  std::string id;      // "intel-rapl:0:0"
  std::string path;    // "/sys/class/powercap/intel-rapl:0:0"
  std::string name;    // "core", as the kernel writes it
  std::string parent;  // id; empty for a top-level zone
  RaplDomain domain;
  RaplDomain home;      // the package it lies in, or itself
  std::string channel;  // text for Channel::domain, also of zones with names of their own: "core-0"
};

struct RaplZones {
  std::vector<RaplZone> zones;    // psys first, then each package followed by what is inside it
  std::vector<Unavailable> left;  // zones left out on purpose, and why
  bool class_there = false;       // /sys/class/powercap is there at all
};
[[nodiscard]] RaplZones find_rapl_zones(Machine& machine);

}  // namespace prony
