#include "machine/cpu_packages.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "machine/names.hpp"

namespace prony {

namespace {

const std::string cpu_folder = "/sys/devices/system/cpu";
constexpr std::int64_t largest_package = 65535;

}  // namespace

// Two files a package as a rule: its first CPU's, which names the others. Kernels before 5.4 call that list otherwise.
void CpuPackages::ask(Machine& machine) {
  const auto text = machine.read_text(cpu_folder + "/online");
  const auto online = text ? cpus_of_list(*text) : std::nullopt;
  if (!online) return;
  const auto put = [this](unsigned cpu, std::int32_t package) {
    if (package_.size() <= cpu) package_.resize(cpu + 1, -1);
    if (package_[cpu] < 0) package_[cpu] = package;
  };
  for (const unsigned cpu : *online) {
    if (cpu < package_.size() && package_[cpu] >= 0) continue;
    const std::string topology = cpu_folder + "/cpu" + std::to_string(cpu) + "/topology/";
    const auto told = machine.read_text(topology + "physical_package_id");
    const auto number = told ? parse_i64(trim(*told)) : std::nullopt;
    if (!number || *number < 0 || *number > largest_package) continue;
    put(cpu, static_cast<std::int32_t>(*number));
    auto list = machine.read_text(topology + "package_cpus_list");
    if (!list) list = machine.read_text(topology + "core_siblings_list");
    if (list)
      for (const unsigned other : cpus_of_list(*list).value_or(std::vector<unsigned>{}))
        put(other, static_cast<std::int32_t>(*number));
  }
}

CpuPackages CpuPackages::of(Machine& machine) {
  CpuPackages packages;
  packages.ask(machine);
  for (const std::int32_t number : packages.package_)
    if (number >= 0) packages.numbers_.push_back(static_cast<std::uint32_t>(number));
  std::sort(packages.numbers_.begin(), packages.numbers_.end());
  packages.numbers_.erase(std::unique(packages.numbers_.begin(), packages.numbers_.end()), packages.numbers_.end());
  return packages;
}

void CpuPackages::see_newcomers(Machine& machine) { ask(machine); }

std::optional<std::size_t> CpuPackages::place_of(std::int64_t cpu) const noexcept {
  if (cpu < 0 || static_cast<std::size_t>(cpu) >= package_.size()) return std::nullopt;
  const std::int32_t number = package_[static_cast<std::size_t>(cpu)];
  if (number < 0) return std::nullopt;
  for (std::size_t i = 0; i < numbers_.size(); ++i)
    if (numbers_[i] == static_cast<std::uint32_t>(number)) return i;
  return std::nullopt;
}

std::vector<double> CpuPackages::cpus() const {
  std::vector<double> result(numbers_.size(), 0.0);
  for (std::size_t cpu = 0; cpu < package_.size(); ++cpu)
    if (const auto place = place_of(static_cast<std::int64_t>(cpu))) result[*place] += 1;
  return result;
}

}  // namespace prony
