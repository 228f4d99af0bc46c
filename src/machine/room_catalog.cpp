// The machines that can be simulated. Their figures are round and of the right size; they are nobody's measurement.
// A load of 0…1 drives each processor: watts = idle + load × (full − idle), and busy time is load × CPUs.
#include <array>
#include <string>

#include "machine/room_builder.hpp"
#include "machine/room_curves.hpp"
#include "machine/rooms.hpp"

namespace prony {

namespace {

std::string x86(const char* vendor, int family, int model, const char* name, const char* flags) {
  return std::string("vendor_id\t: ") + vendor + "\ncpu family\t: " + std::to_string(family) +
         "\nmodel\t\t: " + std::to_string(model) + "\nmodel name\t: " + name + "\nflags\t\t: fpu " + flags;
}

// One package with what is inside it, the platform around it, and a battery that feeds all.
void laptop(RoomBuilder& room) {
  const auto load = curve("sine:0.35,0.15,7+square:0,0.2,3.1,0.4+noise:11,0.1,0.1,0.02");
  const auto package = draws(3, 25, load);
  const auto platform = package.plus(curve("sine:5,0.5,13"));
  room.processors({8, x86("GenuineIntel", 6, 0x9e, "Simulated laptop processor", "sse2"), 800e3, 4'200e3}, load);
  room.machine_facts(16'384, "laptop", false);
  room.zone({"intel-rapl:0", "package-0", "package-0", 0x1p-14, 28}, package);
  room.zone({"intel-rapl:0:0", "core", "core-0", 0x1p-14}, draws(0.8, 20, load));
  room.zone({"intel-rapl:0:1", "uncore", "uncore-0", 0x1p-14}, draws(0.4, 2, load));
  room.zone({"intel-rapl:1", "psys", "psys", 0x1p-14}, platform);
  room.chip("hwmon0", "coretemp");
  room.text("/sys/class/hwmon/hwmon0/temp1_label", "Package id 0");
  room.temperature("/sys/class/hwmon/hwmon0/temp1_input", package, 38, 1.6, 1);
  room.thermal_zone(0, "x86_pkg_temp", package, 38, 1.6);
  room.battery("BAT0", platform, 57, 11.4);
  room.truth("cpu", package);
}

// Two packages in AMD's finer unit, shown by powercap and by amd_energy alike; nothing sees the whole platform.
void epyc_2s(RoomBuilder& room) {
  const std::array loads{curve("sine:0.4,0.2,11+noise:21,0.15,0.15,0.05"),
                         curve("sine:0.3,0.15,5,0.3+noise:22,0.2,0.2,0.03")};
  room.processors({128,
                   x86("AuthenticAMD", 25, 1, "Simulated EPYC processor", "sse2"),
                   1'500e3,
                   3'400e3,
                   true,
                   {loads[0], loads[1]}},
                  loads[0].plus(loads[1]).scaled(0.5));
  room.machine_facts(262'144, "server with two AMD packages", false);
  room.chip("hwmon0", "amd_energy");
  for (int i = 0; i < 2; ++i) {
    const auto package = draws(90, 150, loads[static_cast<std::size_t>(i)]);
    const auto core = draws(20, 110, loads[static_cast<std::size_t>(i)]);
    const auto n = std::to_string(i), id = "intel-rapl:" + n;
    room.zone({id, "package-" + n, "package-" + n, 0x1p-16}, package);
    room.zone({id + ":0", "core", "core-" + n, 0x1p-16}, core);
    room.energy("hwmon0", i + 1, "Esocket" + n, "amd_energy-Esocket" + n, package);
  }
  room.truth("cpu", draws(90, 150, loads[0]).plus(draws(90, 150, loads[1])));
}

// Two packages with memory beside them and the platform around all; the first package's counter wraps within the first
// second.
void intel_2s(RoomBuilder& room) {
  const std::array loads{curve("square:0.3,0.7,1.7,0.5+noise:31,0.1,0.1,0.02"),
                         curve("sine:0.5,0.25,9+noise:32,0.1,0.1,0.04")};
  room.processors({64,
                   x86("GenuineIntel", 6, 0x6a, "Simulated Xeon processor", "sse2"),
                   800e3,
                   3'500e3,
                   true,
                   {loads[0], loads[1]}},
                  loads[0].plus(loads[1]).scaled(0.5));
  room.machine_facts(524'288, "server with two Intel packages", false);
  auto all = watts(60), packages = watts(0);
  for (int i = 0; i < 2; ++i) {
    const auto package = draws(100, 170, loads[static_cast<std::size_t>(i)]);
    const auto memory = draws(10, 22, loads[static_cast<std::size_t>(i)]);
    const auto n = std::to_string(i), id = "intel-rapl:" + n;
    room.zone({id, "package-" + n, "package-" + n, 0x1p-14, 205, i == 0 ? 120.0 : 0.0}, package);
    room.zone({id + ":0", "dram", "dram-" + n, 0x1p-16}, memory);
    room.thermal_zone(i, "x86_pkg_temp", package, 30, 0.15);
    packages = packages.plus(package);
    all = all.plus(package).plus(memory);
  }
  room.zone({"intel-rapl:2", "psys", "psys", 0x1p-14}, all);
  room.truth("cpu", packages);
}

// Eight GPUs on two packages: training on four of them, requests that come and go on two, one idle, one at its limit.
void h100x8(RoomBuilder& room) {
  const auto load = curve("sine:0.25,0.1,9+noise:61,0.05,0.05,0.03");
  room.processors(
      {112, x86("GenuineIntel", 6, 0x8f, "Simulated Xeon processor", "sse2"), 800e3, 3'800e3, true, {load, load}},
      load);
  room.machine_facts(2'097'152, "server with eight NVIDIA GPUs", false);
  for (int i = 0; i < 2; ++i) {
    const auto n = std::to_string(i), id = "intel-rapl:" + n;
    room.zone({id, "package-" + n, "package-" + n, 0x1p-14, 350}, draws(120, 230, load));
    room.zone({id + ":0", "dram", "dram-" + n, 0x1p-16}, draws(15, 30, load));
  }
  room.truth("cpu", draws(240, 460, load));
  const std::array<const char*, 8> powers{"square:240,640,1.7,0.6+noise:71,20,20,0.05",
                                          "square:240,640,1.7,0.6+noise:72,20,20,0.05",
                                          "square:240,640,1.7,0.6+noise:73,20,20,0.05",
                                          "square:240,640,1.7,0.6+noise:74,20,20,0.05",
                                          "square:90,420,0.37,0.3+noise:75,10,10,0.01",
                                          "square:90,300,0.9,0.5+noise:76,10,10,0.02",
                                          "constant:70",
                                          "constant:700"};
  std::vector<SimulatedGpu> gpus;
  for (std::size_t i = 0; i < powers.size(); ++i) {
    SimulatedGpu gpu;
    gpu.uuid = "GPU-" + std::string(1, static_cast<char>('a' + i % 6)) + "51" + std::to_string(i) +
               "0000-5171-4000-8000-00000000000" + std::to_string(i);
    gpu.name = "NVIDIA H100 80GB HBM3 (simulated)";
    gpu.bus_id = "00000000:" + std::to_string(10 + 10 * i) + ":00.0";
    gpu.power = curve(powers[i]);
    gpu.energy_start_mj = 1'000'000'000 * (i + 1);
    gpus.push_back(std::move(gpu));
  }
  room.nvidia_gpus(std::move(gpus));
}

// A small board: a clock and a temperature, and no sensor of energy at all.
void board(RoomBuilder& room) {
  const auto load = curve("sine:0.55,0.25,6+noise:41,0.1,0.1,0.05");
  const auto soc = draws(2.1, 4.2, load);
  room.processors({4, "model name\t: Simulated Arm board\nCPU implementer\t: 0x41\nCPU part\t: 0xd08", 600e3, 1'800e3},
                  load);
  room.machine_facts(4'096, "Simulated board without counters", true);
  room.thermal_zone(0, "cpu-thermal", soc, 34, 4);
  room.truth("cpu", soc);
}

void pi5(RoomBuilder& room) { room.raspberry(5, curve("sine:0.45,0.2,5+noise:61,0.15,0.15,0.05")); }
// The same with the module of Raspberry Pi's AI kit: a temperature, and watts that nothing on the board sees.
void pi5_hailo(RoomBuilder& room) {
  pi5(room);
  SimulatedHailoChip chip;
  chip.power = draws(0.5, 2, curve("square:0,1,4,0.5"));
  room.hailo_chips({chip});
}
void pi4(RoomBuilder& room) { room.raspberry(4, curve("sine:0.4,0.2,7+noise:62,0.15,0.15,0.05")); }

// A virtual machine sees no hardware: /proc/stat and nothing more.
void vm(RoomBuilder& room) {
  const auto load = curve("sine:0.6,0.2,4+noise:51,0.1,0.1,0.01");
  room.processors({4, x86("AuthenticAMD", 25, 1, "Simulated virtual processor", "sse2 hypervisor"), 0, 0, false}, load);
  room.machine_facts(8'192, "virtual machine", false);
  room.truth("cpu", draws(2, 8, load));
  room.truth("wall", draws(2, 8, load).scaled(1.25).plus(watts(1.5)));  // what its host draws at the plug for it
}

}  // namespace

std::span<const RoomRow> room_catalogue() noexcept {
  static constexpr std::array<RoomRow, 13> rows{{
      {"laptop", "one Intel package with core and uncore, psys, a battery", laptop},
      {"epyc-2s", "two AMD packages, in powercap and in amd_energy; no psys", epyc_2s},
      {"intel-2s", "two Intel packages with memory, psys; a counter wraps within the first second", intel_2s},
      {"h100x8", "eight NVIDIA GPUs behind a simulated NVML, two Intel packages with memory", h100x8},
      {"board", "four Arm cores, a temperature, no energy sensor: joules are modelled", board},
      {"pi5", "a Raspberry Pi 5: the rails of its PMIC through the firmware, throttling now and then", pi5},
      {"pi5-hailo", "the same with a Hailo-8L module: its temperature, and watts that no rail sees", pi5_hailo},
      {"pi4", "a Raspberry Pi 4: firmware without rails, joules are modelled", pi4},
      {"vm", "a virtual machine that sees no sensor: joules are modelled", vm},
      {"jetson-orin", "an Orin Nano: the module's input and what lies in it, GPU load", room_jetson_orin},
      {"xavier", "an AGX Xavier under an old kernel: six rails that together are the module", room_xavier},
      {"mi300", "a server with four AMD cards (MI300X) beside two AMD packages", room_mi300},
      {"arc", "a desktop with an Intel card that counts its energy", room_arc},
  }};
  return rows;
}

}  // namespace prony
