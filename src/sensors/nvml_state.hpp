// NvmlState: what of a GPU is a state, not a number (why its clocks are held down, its power limit, its PCIe link), and
// whether its energy counter went back. Looked at in the slow lane; what changed becomes an Event.
// Thread promise: look() on the lane's thread, changes() on another. Source: NVML API Reference Guide, clocks event
// reasons.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "sensors/nvml_gpu.hpp"

namespace prony {

class NvmlState {
 public:
  NvmlState(Machine& machine, std::shared_ptr<NvmlGpu> gpu) : machine_(machine), gpu_(std::move(gpu)) { look(); }
  void look() noexcept;
  [[nodiscard]] std::vector<Event> changes();

 private:
  struct Seen {
    std::atomic<unsigned long long> reasons{0};
    std::atomic<bool> reasons_known{false};
    std::atomic<unsigned> limit_mw{0}, link_generation{0}, link_width{0};  // 0: not known
    std::atomic<std::uint64_t> looks{0};
  };
  void tell_reasons(std::vector<Event>& events);
  void tell_value(std::vector<Event>& events, const char* kind, const char* what, unsigned now, unsigned& told,
                  std::string (*words)(unsigned));
  void tell(std::vector<Event>& events, const char* kind, std::string text);

  Machine& machine_;
  std::shared_ptr<NvmlGpu> gpu_;
  Seen seen_;
  // Of changes() alone.
  std::uint64_t told_look_ = 0;
  unsigned long long running_ = 0;   // reasons that were told and have not ended
  std::array<unsigned, 16> calm_{};  // looks since each was seen last
  unsigned told_limit_ = 0, told_link_ = 0;
  std::size_t events_ = 0;
};

}  // namespace prony
