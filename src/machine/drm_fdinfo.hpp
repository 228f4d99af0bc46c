// What the kernel tells of one client of a graphics processor in /proc/PID/fdinfo/FD: time on each engine, memory.
// Several descriptors (dup, fork) and several processes may show the same client: drm-client-id tells which are one,
// within one device. Units: in the names. Thread promise: pure, no allocation but for the names in the result.
// Errors: a text that is not of a DRM client is nullopt; a line that makes no sense is passed over.
// Source: Documentation/gpu/drm-usage-stats.rst; for xe Documentation/gpu/xe/xe-drm-usage-stats.rst.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prony {

struct DrmEngine {
  std::string name;                           // "gfx", "compute", "render", "rcs"
  std::uint64_t capacity = 1;                 // engines of that kind (drm-engine-capacity-*)
  std::optional<std::uint64_t> busy_ns;       // drm-engine-*: amdgpu, i915
  std::optional<std::uint64_t> cycles;        // drm-cycles-*: xe
  std::optional<std::uint64_t> total_cycles;  // drm-total-cycles-*: what the engine had at the same time
};

struct DrmClient {
  std::string driver;                         // "amdgpu", "i915", "xe"
  std::string device;                         // "0000:03:00.0" (drm-pdev); "": not on PCI
  std::optional<std::uint64_t> client_id;     // nullopt: the driver does not tell clients apart
  std::vector<DrmEngine> engines;             // at most 32
  std::optional<std::uint64_t> memory_bytes;  // resident in the card's own memory (vram0, vram, local0)
};

// nullopt: no drm-driver line, which every DRM client has.
[[nodiscard]] std::optional<DrmClient> parse_drm_fdinfo(std::string_view text);

// Time on all engines of the client, each engine of a kind counted for itself; nullopt: the driver tells cycles only,
// or nothing.
[[nodiscard]] std::optional<std::uint64_t> drm_busy_ns(const DrmClient& client) noexcept;

}  // namespace prony
