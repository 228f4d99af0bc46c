// Simulated Jetson boards. Their figures are round and of the right size; they are nobody's measurement. Labels, shunts
// and volts are those of the boards (sensors/jetson_rails.cpp names the documents).
#include <array>
#include <string>

#include "machine/room_builder.hpp"
#include "machine/room_curves.hpp"
#include "machine/rooms.hpp"

namespace prony {

namespace {

// Load and clock of the GPU, fan, power mode, release.
void jetson_conditions(RoomBuilder& room, const std::string& gpu_folder, const std::string& devfreq,
                       const PowerCurve& gpu_load, const std::string& release) {
  room.reading(gpu_folder + "/load", gpu_load, 1000, milliseconds(100), milliseconds(100));
  const auto folder = "/sys/class/devfreq/" + devfreq;
  room.reading(folder + "/cur_freq", gpu_load, 318'750'000, milliseconds(50), milliseconds(50), 306'000'000);
  room.text(folder + "/min_freq", "306000000");
  room.text(folder + "/max_freq", "624750000");
  room.text("/var/lib/nvpmodel/status", "pmode:0000 fmode:quiet");
  room.text("/etc/nvpmodel.conf", "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=7W >");
  room.text("/etc/nv_tegra_release", release);
}

}  // namespace

// One chip whose first input is the module.
void room_jetson_orin(RoomBuilder& room) {
  const auto cpu = curve("sine:0.35,0.15,7+noise:61,0.1,0.1,0.02"), gpu = curve("square:0,0.8,3.1,0.4+constant:0.05");
  const auto compute = draws(0.6, 3.2, cpu).plus(gpu.scaled(5.5)), soc = draws(1.1, 0.9, gpu);
  const auto module = compute.plus(soc).plus(draws(1.6, 0.7, cpu));
  room.processors({6, "model name\t: Simulated Orin\nCPU implementer\t: 0x41\nCPU part\t: 0xd42", 115e3, 1'510e3}, cpu);
  room.machine_facts(7'620, "", true);
  room.board("NVIDIA Jetson Orin Nano Developer Kit (simulated)", {"nvidia,p3768-0000+p3767-0005", "nvidia,tegra234"});
  room.rail({"hwmon1", 1, "VDD_IN", "ina3221-VDD_IN"}, module);
  room.rail({"hwmon1", 2, "VDD_CPU_GPU_CV", "ina3221-VDD_CPU_GPU_CV"}, compute);
  room.rail({"hwmon1", 3, "VDD_SOC", "ina3221-VDD_SOC"}, soc);
  room.text("/sys/class/hwmon/hwmon0/name", "pwmfan");
  room.text("/sys/class/hwmon/hwmon0/pwm1", "66");
  room.thermal_zone(0, "cpu-thermal", module, 35, 1.5);
  room.thermal_zone(1, "gpu-thermal", module, 34, 1.5);
  jetson_conditions(room, "/sys/devices/platform/bus@0/17000000.gpu", "17000000.gpu", gpu,
                    "# R36 (release), REVISION: 4.3, GCID: 0");
}

// Two chips under a kernel of 2018: six rails side by side, which together are the module.
void room_xavier(RoomBuilder& room) {
  const auto cpu = curve("sine:0.4,0.2,9+noise:62,0.1,0.1,0.02"), gpu = curve("square:0.1,0.7,2.3,0.5");
  room.processors({8, "model name\t: Simulated Xavier\nCPU implementer\t: 0x4e\nCPU part\t: 0x004", 115e3, 2'265e3},
                  cpu);
  room.machine_facts(31'420, "", true);
  room.board("Jetson-AGX", {"nvidia,galen", "nvidia,p2822-0000+p2888-0001", "nvidia,tegra194"});
  const std::array<std::pair<const char*, PowerCurve>, 6> rails{{{"GPU", draws(0.3, 12, gpu)},
                                                                 {"CPU", draws(0.6, 9, cpu)},
                                                                 {"SOC", draws(1, 2, gpu)},
                                                                 {"CV", watts(0.304)},
                                                                 {"VDDRQ", draws(0.4, 2.5, gpu)},
                                                                 {"SYS5V", draws(2.2, 0.6, cpu)}}};
  auto module = watts(0);
  for (int i = 0; i < 6; ++i) {
    const auto& [label, draw] = rails[static_cast<std::size_t>(i)];
    room.iio_rail(i < 3 ? "1-0040" : "1-0041", i / 3, i % 3, label, i == 5 ? 5 : 19, draw);
    module = module.plus(draw);
  }
  room.truth("module", module);
  room.thermal_zone(0, "CPU-therm", module, 30, 0.8);
  jetson_conditions(room, "/sys/devices/gpu.0", "17000000.gv11b", gpu, "# R32 (release), REVISION: 7.1, GCID: 0");
}

}  // namespace prony
