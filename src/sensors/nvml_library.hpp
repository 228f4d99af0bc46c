// NvmlLibrary: NVIDIA's management library, opened while Prony runs, with the functions that Prony uses; one that an
// older driver lacks answers "function not found". Units: as the vendor's (mJ, mW, MHz, bytes, percent).
// Thread promise: any thread; restart() waits until no call is under way. Ownership: shared by the sensors; the last
// one shuts it down. Errors of open(): absent (no library), unavailable (no driver, versions that differ), denied, each
// with what the user can do. Source: NVML API Reference Guide.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "machine/nvml_abi.hpp"

namespace prony {

class NvmlLibrary {
 public:
  template <class... Arguments>
  using Function = LibraryFunction<nvml::Status(Arguments...)>;
  template <class T>
  using Getter = Function<nvml::Device, T*>;

  // Error: see above. The library is initialised.
  [[nodiscard]] static Result<std::shared_ptr<NvmlLibrary>> open(Machine& machine);
  ~NvmlLibrary();
  NvmlLibrary(const NvmlLibrary&) = delete;
  NvmlLibrary& operator=(const NvmlLibrary&) = delete;

  Function<> init, shutdown;
  Function<char*, unsigned> driver_version;
  Function<unsigned*> count;
  Function<unsigned, nvml::Device*> by_index;
  Function<const char*, nvml::Device*> by_uuid;
  Function<nvml::Device, char*, unsigned> uuid, name;
  Getter<nvml::PciInfo> pci;
  Getter<unsigned> architecture, power, enforced_limit, link_generation, link_width, replays, fan;
  Getter<unsigned long long> energy, reasons;
  Function<nvml::Device, int, nvml::FieldValue*> fields;
  Getter<nvml::Utilization> utilization;
  Getter<nvml::Memory> memory;
  Function<nvml::Device, int, unsigned*> clock, temperature, pcie_throughput;
  Function<nvml::Device, int, nvml::ViolationTime*> violation;
  Function<nvml::Device, unsigned*, unsigned*> limits, mig_mode;
  Function<nvml::Device, unsigned*, nvml::ProcessInfo*> compute_processes, graphics_processes;
  Function<nvml::Device, nvml::ProcessSample*, unsigned*, unsigned long long> process_use;
  Getter<unsigned> mig_count;
  Function<nvml::Device, unsigned, nvml::Device*> mig_by_index;
  Getter<nvml::C2cMode> c2c;

  // Calls a function of this library: call(&NvmlLibrary::energy, device, &value).
  template <class... Parameters, class... Arguments>
  [[nodiscard]] nvml::Status call(Function<Parameters...> NvmlLibrary::* function, Arguments... arguments) const {
    const std::shared_lock lock(calls_);
    const auto& one = this->*function;
    return one ? one(arguments...) : nvml::function_not_found;
  }

  // Goes up with every restart: handles of an earlier generation mean nothing.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_.load(std::memory_order_acquire); }
  // After the driver went or a GPU fell off the bus: shuts down and initialises anew, unless somebody did since
  // `seen`. It may take seconds and allocates inside the library: not on every tick.
  [[nodiscard]] nvml::Status restart(std::uint64_t seen);
  [[nodiscard]] const std::string& file() const noexcept { return file_; }

 private:
  explicit NvmlLibrary(std::unique_ptr<Library> library);

  std::unique_ptr<Library> library_;
  std::string file_;
  mutable std::shared_mutex calls_;
  std::atomic<std::uint64_t> generation_{1};
  bool initialised_ = false;
};

// "the GPU is lost: it fell off the bus", for a status that the library gave; a number where nobody knows it.
[[nodiscard]] std::string nvml_words(nvml::Status status);
// What a function left out means where it says so by a value: all bits set, or what NVIDIA's tools call blank.
[[nodiscard]] constexpr bool nvml_blank(unsigned value) noexcept {
  return value == 0xffffffffU || (value >= 0x7ffffff0U && value <= 0x7fffffffU);
}
[[nodiscard]] constexpr bool nvml_blank(unsigned long long value) noexcept {
  return value == 0xffffffffffffffffULL || value == 0xffffffffULL ||
         (value >= 0x7ffffffffffffff0ULL && value <= 0x7fffffffffffffffULL);
}

}  // namespace prony
