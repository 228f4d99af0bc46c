// Names and lists as the kernel writes them: natural order (hwmon2 before hwmon10) and CPU lists ("0-3,8").
// Thread promise: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace prony {

// True if `a` comes before `b` with runs of digits compared as numbers; a total order (equal numbers: by text).
[[nodiscard]] bool natural_less(std::string_view a, std::string_view b) noexcept;

// How many CPUs a list such as "0-3,8,10-11" names. Not a list: nullopt. Source: Documentation/admin-guide/cputopology.
[[nodiscard]] std::optional<unsigned> count_cpu_list(std::string_view list) noexcept;
// Which CPUs such a list names, in its order. Not a list, or more than 65536 CPUs: nullopt.
[[nodiscard]] std::optional<std::vector<unsigned>> cpus_of_list(std::string_view list);
// True if such a list names this CPU; what cannot be understood names nobody further.
[[nodiscard]] bool cpu_list_holds(std::string_view list, unsigned cpu) noexcept;

}  // namespace prony
