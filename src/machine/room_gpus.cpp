// Simulated machines with graphics processors of AMD and Intel. Their figures are round and of the right size; they are
// nobody's measurement.
#include <string>

#include "machine/room_builder.hpp"
#include "machine/room_curves.hpp"
#include "machine/rooms.hpp"

namespace prony {

// Two EPYC packages and four cards; each card's power is the firmware's, renewed every 5 ms, beside its accumulator.
void room_mi300(RoomBuilder& room) {
  const auto cpu = curve("sine:0.25,0.1,8+noise:71,0.1,0.1,0.05");
  room.processors({96, "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: Simulated EPYC host",
                   1'500e3, 3'700e3},
                  cpu);
  room.machine_facts(1'048'576, "server with four MI300X", false);
  for (int i = 0; i < 2; ++i) {
    const auto n = std::to_string(i);
    room.zone({"intel-rapl:" + n, "package-" + n, "package-" + n, 0x1p-16}, draws(95, 120, cpu));
  }
  for (int i = 0; i < 4; ++i) {
    const auto n = std::to_string(i);
    const auto load = curve("square:0.05,0.95," + std::to_string(1.9 + 0.3 * i) + ",0.6");
    const auto card = draws(135, 560, load);
    const auto device = "/sys/class/drm/card" + n + "/device", sensors = device + "/hwmon/hwmon" + n;
    room.card(i, "amdgpu", "0000:" + n + "5:00.0");
    room.power(sensors + "/power1_input", "amdgpu-" + n, card, milliseconds(5), milliseconds(5));
    room.card_metrics(i, card);
    room.reading(sensors + "/freq1_input", load, 1.98e9, milliseconds(50), milliseconds(50), 120e6);
    room.reading(device + "/gpu_busy_percent", load, 100, milliseconds(50), milliseconds(50));
    room.text(device + "/mem_info_vram_total", "206141652992");
    room.text(device + "/mem_info_vram_used", "8589934592");
  }
}

// A desktop with a card whose driver counts energy.
void room_arc(RoomBuilder& room) {
  const auto cpu = curve("sine:0.3,0.15,6+noise:72,0.1,0.1,0.03"), gpu = curve("square:0.05,0.9,2.7,0.5");
  const auto package = draws(12, 80, cpu), card = draws(38, 170, gpu);
  room.processors(
      {16, "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 151\nmodel name\t: Simulated desktop processor",
       800e3, 4'900e3},
      cpu);
  room.machine_facts(32'768, "desktop with an Arc card", false);
  room.zone({"intel-rapl:0", "package-0", "package-0", 0x1p-14, 125}, package);
  room.zone({"intel-rapl:0:0", "core", "core-0", 0x1p-14}, draws(4, 70, cpu));
  room.card(1, "i915", "0000:03:00.0");
  room.card_energy(1, "i915", card);
  room.reading("/sys/class/drm/card1/gt/gt0/rps_act_freq_mhz", gpu, 1800, milliseconds(10), milliseconds(10), 600);
  room.text("/sys/class/drm/card1/gt/gt0/throttle_reason_status", "0");
  room.text("/sys/class/drm/card1/gt/gt0/throttle_reason_thermal", "0");
}

}  // namespace prony
