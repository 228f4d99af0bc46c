// HailoLibrary: Hailo's runtime library (HailoRT), opened while Prony runs, with the functions that Prony uses; one
// that it lacks answers hailo::function_not_found. HailoChip: one accelerator by its PCIe address, and the way back
// after it was lost. Units: °C, W. Thread promise: a chip's calls from one thread, complaint() and changes() from one
// other. Ownership: chips share the library; the last one closes it, and each gives its handle back. Errors of open():
// absent (no library), unavailable (not what it is called), each with what the user can do. Source: hailo/hailort.h of
// github.com/hailo-ai/hailort.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "machine/hailo_abi.hpp"
#include "machine/machine.hpp"
#include "model/manifest.hpp"

namespace prony {

class HailoLibrary {
 public:
  template <class... Arguments>
  using Function = LibraryFunction<hailo::Status(Arguments...)>;

  [[nodiscard]] static Result<std::shared_ptr<const HailoLibrary>> open(Machine& machine);
  explicit HailoLibrary(std::unique_ptr<Library> library);

  Function<hailo::Version*> version;
  Function<void*, hailo::DeviceId*, std::size_t*> scan;
  Function<const hailo::DeviceId*, hailo::Device*> create;
  Function<hailo::Device> release;
  Function<hailo::Device, hailo::Identity*> identify;
  Function<hailo::Device, hailo::Temperature*> temperature;
  Function<hailo::Device, int, int, float*> power;

  // Calls a function of this library: call(&HailoLibrary::temperature, device, &value).
  template <class... Parameters, class... Arguments>
  [[nodiscard]] hailo::Status call(Function<Parameters...> HailoLibrary::* function, Arguments... arguments) const {
    const auto& one = this->*function;
    return one ? one(arguments...) : hailo::function_not_found;
  }

 private:
  std::unique_ptr<Library> library_;
};

// "its driver failed", for a status that the library gave; a number where nobody knows it.
[[nodiscard]] std::string hailo_words(hailo::Status status);

class HailoChip {
 public:
  // `index`: its place among this machine's; `address`: "0001:01:00.0".
  HailoChip(Machine& machine, std::shared_ptr<const HailoLibrary> library, std::size_t index, std::string address);
  ~HailoChip();
  HailoChip(const HailoChip&) = delete;
  HailoChip& operator=(const HailoChip&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }  // "hailo-0"
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  // Takes a handle. The chip is awake from then on.
  [[nodiscard]] hailo::Status open();
  // What its board calls itself; may be empty.
  [[nodiscard]] std::string product();

  // A query of this chip, `function` being one whose first argument is the device. While it is away: the status that
  // it left with; it is looked for again after a second, later more rarely, up to a minute.
  template <class... Parameters, class... Arguments>
  [[nodiscard]] hailo::Status call(HailoLibrary::Function<hailo::Device, Parameters...> HailoLibrary::* function,
                                   Arguments... arguments) {
    if (device_ == nullptr)
      if (const auto status = come_back(); status != hailo::success) return status;
    const auto status = library_->call(function, device_, arguments...);
    if (means_away(status)) leave(status);
    return status;
  }
  // False: it was lost, and has not come back.
  [[nodiscard]] bool here() const noexcept { return here_.load(std::memory_order_relaxed); }

  // Why it left, the first time that it did; once.
  [[nodiscard]] std::optional<Unavailable> complaint();
  // "sensor-lost" again, "sensor-back" since this was last asked.
  [[nodiscard]] std::vector<Event> changes();

 private:
  [[nodiscard]] static bool means_away(hailo::Status status) noexcept;
  void leave(hailo::Status status) noexcept;
  [[nodiscard]] hailo::Status come_back() noexcept;
  void give_back() noexcept;

  Machine& machine_;
  const std::shared_ptr<const HailoLibrary> library_;
  const std::string address_, name_;
  hailo::Device device_ = nullptr;
  hailo::Status left_with_ = hailo::not_found;
  Instant next_try_;
  unsigned tries_ = 0;
  std::atomic<bool> here_{false};
  // For complaint() and changes(): when it last left and came back, and what they told of it.
  std::atomic<std::int64_t> left_ns_{0}, back_ns_{0};
  std::atomic<hailo::Status> told_with_{hailo::success};
  std::int64_t told_left_ns_ = 0, told_back_ns_ = 0;
  bool complained_ = false;
};

}  // namespace prony
