// Watts of one processor package by family: a line over its cores, at idle and with every core busy, and how far the
// truth may lie from it. Two tables: what was fitted to published measurements (written by tools/cpu_power_table.py)
// and what vendors document where nobody published measurements. Thread promise: constants.
#pragma once

#include <span>
#include <string_view>

namespace prony {

// W of one package with n cores:  per_package_w + per_core_w · n;  times low … high is its range.
struct CpuPowerLine {
  double per_package_w, per_core_w, low, high;
};

struct CpuPowerRow {
  std::string_view key;  // "epyc-4"; see cpu_family.hpp
  std::string_view name;
  unsigned fewest_cores, usual_cores,
      most_cores;  // per package, of the results; a virtual machine does not see its own
  unsigned threads_per_core;
  unsigned results;  // published measurements behind it; 0: documented figures only
  CpuPowerLine idle, full;
  std::string_view source = {};  // of documented figures
};

// SPECpower_ssj2008 (whole servers at the wall), less what else is in the wall figure.
[[nodiscard]] std::span<const CpuPowerRow> measured_cpu_power();
// Vendors' power limits, boards measured by others; each with its source.
[[nodiscard]] std::span<const CpuPowerRow> documented_cpu_power();

}  // namespace prony
