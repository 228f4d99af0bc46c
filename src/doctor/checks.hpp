// The rows of the table in examine.cpp, one function each; see doctor.hpp. Pure over what the Patient shows.
#pragma once

#include "doctor/doctor.hpp"

namespace prony::doctor {

[[nodiscard]] Finding check_energy(const Patient& patient);
[[nodiscard]] Finding check_load(const Patient& patient);
[[nodiscard]] Finding check_governor(const Patient& patient);
[[nodiscard]] Finding check_turbo(const Patient& patient);
[[nodiscard]] Finding check_throttling(const Patient& patient);
[[nodiscard]] Finding check_clocks(const Patient& patient);
[[nodiscard]] Finding check_timers(const Patient& patient);
[[nodiscard]] Finding check_place(const Patient& patient);
[[nodiscard]] Finding check_perf(const Patient& patient);
[[nodiscard]] Finding check_enclosure(const Patient& patient);
[[nodiscard]] Finding check_limits(const Patient& patient);
[[nodiscard]] Finding check_memory(const Patient& patient);
[[nodiscard]] Finding check_swap(const Patient& patient);

// How numbers are written on the screen: 3 significant places at most, a unit that reads well.
[[nodiscard]] std::string time_words(double seconds);  // "12.3 ms"
[[nodiscard]] std::string size_words(double bytes);    // "1.2 GiB"
[[nodiscard]] std::string number_words(double value);  // "0.25"

}  // namespace prony::doctor
