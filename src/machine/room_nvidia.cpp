// NVIDIA GPUs of a simulated machine: their library, and what they draw in truth.
#include "machine/room_builder.hpp"

namespace prony {

namespace {

SimulatedNvmlFault fault_of(const RoomChoice& choice) {
  using Kind = SimulatedNvmlFault::Kind;
  const auto kind = [&] {
    switch (choice.fault) {
      case RoomFault::reset: return Kind::reset;
      case RoomFault::eio: return Kind::error;
      case RoomFault::vanish: return Kind::lost;
      case RoomFault::stale: return Kind::stale;
      case RoomFault::none: break;
    }
    return Kind::none;
  }();
  // A reset is a moment.
  return {kind, choice.fault_at, kind == Kind::reset ? Duration{} : choice.fault_length, {}};
}

}  // namespace

void RoomBuilder::nvidia_gpus(std::vector<SimulatedGpu> gpus) {
  for (std::size_t i = 0; i < gpus.size(); ++i)
    domains_.push_back({"gpu-" + std::to_string(i), {"gpu-" + std::to_string(i), gpus[i].uuid}, gpus[i].power});
  // Counters of several GPUs are not renewed at once.
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    const auto phase = static_cast<std::int64_t>(mixed_hash(23, i) % 100'000'000);
    gpus[i].energy_updates.phase = {phase};
    if (gpus[i].average) gpus[i].average->updates.phase = {phase};
    if (gpus[i].instant) gpus[i].instant->updates.phase = {phase};
  }
  auto nvml =
      std::make_shared<SimulatedNvml>(std::move(gpus), [clock = clock_, start = start_] { return clock() - start; });
  nvml->set_fault(fault_of(choice_));
  files_.set_library("libnvidia-ml.so.1", nvml->table());
}

}  // namespace prony
