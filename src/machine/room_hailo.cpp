// Hailo accelerators of a simulated machine: where PCI Express shows them, their library, and what they draw in truth.
#include "machine/room_builder.hpp"

namespace prony {

void RoomBuilder::hailo_chips(std::vector<SimulatedHailoChip> chips) {
  for (std::size_t i = 0; i < chips.size(); ++i) {
    truth("hailo-" + std::to_string(i), chips[i].power);
    const std::string folder = "/sys/bus/pci/devices/" + chips[i].id + "/";
    text(folder + "vendor", "0x1e60");
    text(folder + "device", "0x2864");
    text(folder + "class", "0x120000");
    text(folder + "current_link_speed", "8.0 GT/s PCIe");
    text(folder + "current_link_width", "1");
  }
  auto hailo =
      std::make_shared<SimulatedHailo>(std::move(chips), [clock = clock_, start = start_] { return clock() - start; });
  using Kind = SimulatedHailoFault::Kind;
  const Kind kind = choice_.fault == RoomFault::vanish  ? Kind::lost
                    : choice_.fault == RoomFault::eio   ? Kind::error
                    : choice_.fault == RoomFault::stale ? Kind::stale
                                                        : Kind::none;
  hailo->set_fault({kind, choice_.fault_at, choice_.fault_length});
  files_.set_library("libhailort.so", hailo->table());
}

}  // namespace prony
