// Written by tools/cpu_power_table.py from SPECpower_ssj2008 results; do not edit. What the figures mean:
// cpu_power_rows.hpp; how they were found and checked: docs/sensors/cpu-model.md.
#include "sensors/cpu_power_rows.hpp"

#include <array>

namespace prony {

namespace {

// clang-format off: one row a line
constexpr std::array<CpuPowerRow, 36> measured_rows{{
    {"epyc-1", "AMD EPYC 1st generation", 16, 32, 32, 2, 10, {13.6, 0.0, 0.24, 4.74}, {83.2, 0.324, 0.49, 2.19}},
    {"epyc-2", "AMD EPYC 2nd generation", 64, 64, 64, 2, 36, {6.86, 0.161, 0.18, 6.18}, {52.6, 1.23, 0.46, 2.2}},
    {"epyc-3", "AMD EPYC 3rd generation", 64, 64, 64, 2, 28, {6.39, 0.15, 0.2, 5.81}, {61.2, 1.43, 0.45, 2.19}},
    {"raphael", "AMD EPYC 4004", 8, 8, 16, 2, 2, {12.5, 0.0261, 0.18, 6.37}, {23.1, 2.67, 0.43, 2.42}},
    {"granite-ridge", "AMD EPYC 4005", 12, 12, 12, 2, 2, {2.49, 0.311, 0.18, 6.37}, {27.7, 3.47, 0.43, 2.42}},
    {"epyc-4", "AMD EPYC 4th generation", 8, 96, 128, 2, 71, {18.0, 0.0, 0.22, 4.47}, {55.9, 1.39, 0.42, 2.29}},
    {"epyc-5", "AMD EPYC 5th generation", 96, 160, 192, 2, 39, {19.7, 0.00326, 0.24, 4.33}, {245.0, 0.0801, 0.53, 2.01}},
    {"opteron-k10", "AMD Opteron, 10h", 2, 6, 12, 1, 36, {19.2, 0.0, 0.26, 4.95}, {60.7, 2.57, 0.4, 2.44}},
    {"opteron-15h", "AMD Opteron, 15h", 4, 16, 16, 1, 28, {2.02, 0.59, 0.16, 5.25}, {11.5, 5.97, 0.42, 2.1}},
    {"neoverse-n1", "Arm Neoverse N1", 64, 128, 128, 1, 7, {22.8, 0.0, 0.25, 3.64}, {71.7, 0.214, 0.43, 3.08}},
    {"neoverse-v2", "Arm Neoverse V2", 144, 144, 144, 1, 1, {66.4, 0.692, 0.18, 6.37}, {178.0, 1.85, 0.43, 2.42}},
    {"raptor-lake-server", "Intel Xeon E-2400, 6300", 8, 8, 8, 2, 10, {2.47, 0.462, 0.24, 4.79}, {23.8, 4.45, 0.51, 2.04}},
    {"sierra-forest", "Intel Sierra Forest", 144, 144, 144, 1, 19, {11.9, 0.124, 0.21, 6.7}, {105.0, 1.09, 0.47, 1.96}},
    {"granite-rapids", "Intel Granite Rapids", 86, 86, 128, 2, 27, {16.8, 0.294, 0.15, 3.33}, {134.0, 2.33, 0.46, 2.21}},
    {"sapphire-rapids", "Intel Sapphire Rapids", 12, 56, 60, 2, 68, {18.5, 0.187, 0.2, 6.17}, {71.0, 3.84, 0.46, 2.26}},
    {"emerald-rapids", "Intel Emerald Rapids", 28, 64, 64, 2, 32, {4.84, 0.397, 0.18, 4.54}, {91.0, 2.85, 0.5, 3.04}},
    {"ice-lake-d", "Intel Xeon D-2700", 16, 16, 16, 2, 4, {6.43, 0.603, 0.26, 3.5}, {34.2, 3.2, 0.58, 1.85}},
    {"cooper-lake", "Intel Cooper Lake", 28, 28, 28, 2, 8, {5.69, 0.305, 0.13, 4.68}, {65.9, 3.53, 0.4, 1.99}},
    {"ice-lake-server", "Intel Ice Lake server", 24, 40, 40, 2, 43, {21.1, 0.0, 0.22, 5.7}, {84.1, 3.22, 0.5, 2.3}},
    {"cascade-lake", "Intel Cascade Lake", 10, 28, 28, 2, 76, {8.94, 0.0, 0.21, 7.55}, {46.4, 3.32, 0.41, 2.09}},
    {"skylake-server", "Intel Skylake server", 12, 28, 28, 2, 77, {8.16, 0.0, 0.2, 5.96}, {29.4, 4.09, 0.44, 2.03}},
    {"rocket-lake", "Intel Xeon E-2300", 6, 8, 8, 2, 15, {2.3, 0.432, 0.2, 4.03}, {19.5, 3.65, 0.46, 1.98}},
    {"coffee-lake", "Intel Xeon E-2100, E-2200", 6, 6, 8, 2, 9, {1.89, 0.472, 0.18, 4.45}, {18.8, 4.71, 0.31, 2.26}},
    {"broadwell-server", "Intel Broadwell server", 16, 22, 22, 2, 17, {2.68, 0.183, 0.25, 12.31}, {35.5, 2.42, 0.48, 3.66}},
    {"haswell-server", "Intel Haswell server", 18, 18, 18, 2, 16, {2.79, 0.232, 0.23, 5.8}, {38.4, 3.2, 0.5, 1.87}},
    {"ivy-bridge-server", "Intel Ivy Bridge server", 10, 10, 10, 2, 4, {3.24, 0.487, 0.27, 6.37}, {31.3, 4.7, 0.61, 1.7}},
    {"sandy-bridge-server", "Intel Sandy Bridge server", 4, 8, 8, 2, 115, {8.81, 0.0, 0.21, 6.16}, {21.8, 8.27, 0.49, 2.76}},
    {"westmere", "Intel Westmere", 4, 6, 10, 2, 84, {0.0, 1.92, 0.17, 6.3}, {0.0, 14.2, 0.47, 2.05}},
    {"kaby-lake", "Intel Xeon E3 v6", 4, 4, 4, 2, 3, {1.47, 0.551, 0.18, 6.37}, {12.2, 4.59, 0.43, 2.42}},
    {"skylake", "Intel Xeon E3 v5", 4, 4, 4, 2, 3, {1.9, 0.712, 0.18, 6.37}, {10.8, 4.05, 0.43, 2.42}},
    {"haswell", "Intel Xeon E3 v3", 4, 4, 4, 2, 5, {1.9, 0.712, 0.23, 4.26}, {15.4, 5.79, 0.4, 2.08}},
    {"ivy-bridge", "Intel Xeon E3 v2", 4, 4, 4, 2, 8, {2.26, 0.848, 0.21, 8.64}, {17.4, 6.54, 0.5, 2.48}},
    {"sandy-bridge", "Intel Xeon E3", 4, 4, 4, 2, 9, {2.55, 0.956, 0.19, 6.29}, {26.6, 9.98, 0.31, 1.97}},
    {"arrow-lake-h", "Intel Arrow Lake H", 16, 16, 16, 1, 6, {2.63, 0.246, 0.27, 3.71}, {10.2, 0.958, 0.53, 2.17}},
    {"nehalem", "Intel Nehalem", 4, 4, 8, 2, 63, {0.0, 3.02, 0.17, 6.51}, {0.0, 18.8, 0.52, 1.99}},
    {"core-2", "Intel Core 2 server", 2, 4, 4, 1, 76, {36.9, 0.0, 0.31, 3.27}, {84.4, 0.0, 0.49, 2.27}},
}};
// clang-format on

}  // namespace

std::span<const CpuPowerRow> measured_cpu_power() { return measured_rows; }

}  // namespace prony
