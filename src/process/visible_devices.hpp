// What CUDA_VISIBLE_DEVICES means: which GPUs a program was shown. What it truly used is another question, which the
// driver answers (process/device_use.hpp). Pure. Forms: indices, UUIDs or enough of their beginning, MIG devices
// ("MIG-…", and "MIG-GPU-…/gi/ci" of before driver 470); what comes after an entry that names nothing is not shown.
// Thread promise: plain values. Source: CUDA C++ Programming Guide, "CUDA Environment Variables".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace prony {

struct NamedDevice {
  std::string device, domain;  // "GPU-8f1c…", "gpu-0"
};

// `value`: of the variable; `order`: of CUDA_DEVICE_ORDER, "" where it is not set. "gpu-2, gpu-0", "none", or with what
// is doubtful: "gpu-2 (if CUDA counts as the driver does)".
[[nodiscard]] std::string visible_devices_words(std::string_view value, std::string_view order,
                                                std::span<const NamedDevice> devices);

// The value of `name` in an environment as /proc/PID/environ holds it; null data(): it is not set.
[[nodiscard]] std::string_view environment_value(std::string_view environment, std::string_view name) noexcept;

}  // namespace prony
