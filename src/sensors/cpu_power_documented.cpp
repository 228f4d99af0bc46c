// Families for which nobody published measurements of whole machines that could be taken apart: the vendor's limits.
// value = the power that the class is sold for, high = what its limit allows for long, low = the smallest that it can
// be set to (and, at idle, what deep package sleep leaves). `low` and `high` are factors on the line.
#include <array>

#include "sensors/cpu_power_rows.hpp"

namespace prony {

namespace {

constexpr std::string_view from_intel =
    "Intel datasheets and announcements, processor base and maximum turbo power: U 15/55 W, P 28/64 W, H 45/115 W (35 "
    "W "
    "least), HX 55/157 W, N 6 to 15 W, desktop 35 to 125 W/up to 253 W; idle: the range of small Xeon E servers";
constexpr std::string_view from_amd =
    "AMD: TDP of the class, and its correction of May 2022 that package power may reach 1.35 times that (65 W to 88 W, "
    "105 W to 142 W, 170 W to 230 W)";
constexpr std::string_view pi4 =
    "whole board at 5 V: 2.7 W idle, 6.4 W with four busy cores (Raspberry Pi Dramble); 1.8 to 5.4 W (chipwired.com, "
    "36 "
    "measurements)";
constexpr std::string_view pi5 =
    "ceiling: the official 27 W supply less 8 W for USB; idle as a Raspberry Pi 4, of which measurements exist";
constexpr std::string_view pi3 =
    "superjamie's Raspberry Pi power page: SoC 300 mA idle, 1.35 A in a stress test, at 5 V";
constexpr std::string_view arm_server =
    "the figures of Arm Neoverse N1 and V2 in SPECpower_ssj2008 taken together, half as wide again";

// What a class idles at is told by few: the band of the small servers of the measured table (0.8 to 30 W).
constexpr std::array<CpuPowerRow, 14> documented_rows{{
    {"client-n", "Intel N series", 2, 4, 8, 1, 0, {1, 0, 0.15, 5}, {10, 0, 0.5, 2.5}, from_intel},
    {"client-u", "Intel mobile, U class", 2, 8, 12, 2, 0, {1.5, 0, 0.1, 6}, {20, 0, 0.35, 2.8}, from_intel},
    {"client-p", "Intel mobile, P class", 4, 12, 14, 2, 0, {2, 0, 0.1, 6}, {32, 0, 0.4, 2.1}, from_intel},
    {"client-h", "Intel mobile, H class", 4, 8, 16, 2, 0, {3, 0, 0.1, 6}, {55, 0, 0.4, 2.2}, from_intel},
    {"client-hx", "Intel mobile, HX class", 6, 16, 24, 2, 0, {5, 0, 0.1, 6}, {80, 0, 0.4, 2.1}, from_intel},
    {"client-desktop", "Intel desktop", 2, 8, 24, 2, 0, {6, 0, 0.14, 5}, {85, 0, 0.25, 3.1}, from_intel},
    {"ryzen-mobile", "AMD Ryzen mobile", 2, 8, 16, 2, 0, {2.5, 0, 0.1, 6}, {28, 0, 0.35, 3}, from_amd},
    {"ryzen-desktop", "AMD Ryzen desktop", 2, 8, 16, 2, 0, {15, 0, 0.1, 3}, {90, 0, 0.3, 2.6}, from_amd},
    {"threadripper", "AMD Ryzen Threadripper", 8, 24, 96, 2, 0, {45, 0, 0.2, 3}, {250, 0, 0.4, 1.9}, from_amd},
    {"neoverse", "Arm Neoverse other than N1", 16, 64, 144, 1, 0, {8, 0.5, 0.1, 6}, {40, 1.9, 0.3, 3}, arm_server},
    {"pi-3", "Raspberry Pi 3 or Zero 2", 4, 4, 4, 1, 0, {1, 0, 0.2, 1.6}, {4, 0, 0.25, 1.7}, pi3},
    {"pi-4", "Raspberry Pi 4", 4, 4, 4, 1, 0, {1.5, 0, 0.2, 2}, {4.5, 0, 0.4, 1.5}, pi4},
    {"pi-5", "Raspberry Pi 5", 4, 4, 4, 1, 0, {1.8, 0, 0.2, 2.5}, {7, 0, 0.35, 2.8}, pi5},
    {"arm-board", "small Arm board", 2, 4, 12, 1, 0, {1.5, 0, 0.1, 6}, {6, 0, 0.2, 5}, pi4},
}};

}  // namespace

std::span<const CpuPowerRow> documented_cpu_power() { return documented_rows; }

}  // namespace prony
