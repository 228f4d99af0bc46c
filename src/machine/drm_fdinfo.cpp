#include "machine/drm_fdinfo.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t most_engines = 32;

// "123 ns", "45 KiB", "7": the number times what its unit is. nullopt: another unit, or too large.
std::optional<std::uint64_t> scaled(std::string_view text, std::string_view base_unit) {
  struct Unit {
    std::string_view name;
    std::uint64_t factor;
  };
  static constexpr std::array<Unit, 3> binary{{{"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}}};
  text = trim(text);
  const auto blank = text.find_first_of(" \t");
  const auto number = parse_u64(text.substr(0, blank));
  if (!number) return std::nullopt;
  const auto unit = blank == std::string_view::npos ? std::string_view{} : trim(text.substr(blank));
  if (unit == base_unit || (unit.empty() && base_unit != "ns")) return number;
  if (base_unit != "bytes") return std::nullopt;
  for (const auto& [name, factor] : binary)
    if (unit == name) return *number <= UINT64_MAX / factor ? std::optional(*number * factor) : std::nullopt;
  return std::nullopt;
}

DrmEngine* engine(DrmClient& client, std::string_view name) {
  if (name.empty() || name.size() > 40) return nullptr;
  const auto at = std::ranges::find(client.engines, name, &DrmEngine::name);
  if (at != client.engines.end()) return &*at;
  if (client.engines.size() >= most_engines) return nullptr;
  client.engines.push_back({});
  client.engines.back().name = printable(name, 40);
  return &client.engines.back();
}

// True: `key` begins with `prefix`, which is cut off.
bool cut(std::string_view& key, std::string_view prefix) {
  if (!key.starts_with(prefix)) return false;
  key.remove_prefix(prefix.size());
  return true;
}

// Memory of the card itself. amdgpu before Linux 6.10 says drm-memory-vram only.
bool own_memory(std::string_view key) {
  static constexpr std::array<std::string_view, 6> keys{"drm-resident-vram",   "drm-memory-vram",
                                                        "drm-resident-vram0",  "drm-memory-vram0",
                                                        "drm-resident-local0", "drm-memory-local0"};
  return std::ranges::find(keys, key) != keys.end();
}

void take_line(DrmClient& client, std::string_view key, std::string_view value) {
  if (own_memory(key)) {
    // Old and new names stand side by side: they say the same.
    if (const auto bytes = scaled(value, "bytes"))
      client.memory_bytes = std::max(client.memory_bytes.value_or(0), *bytes);
  } else if (cut(key, "drm-engine-capacity-")) {
    const auto capacity = scaled(value, "");
    if (DrmEngine* of = capacity && *capacity > 0 && *capacity <= 1024 ? engine(client, key) : nullptr)
      of->capacity = *capacity;
  } else if (cut(key, "drm-engine-")) {
    const auto ns = scaled(value, "ns");
    if (DrmEngine* of = ns ? engine(client, key) : nullptr) of->busy_ns = *ns;
  } else if (cut(key, "drm-total-cycles-")) {
    const auto cycles = scaled(value, "");
    if (DrmEngine* of = cycles ? engine(client, key) : nullptr) of->total_cycles = *cycles;
  } else if (cut(key, "drm-cycles-")) {
    const auto cycles = scaled(value, "");
    if (DrmEngine* of = cycles ? engine(client, key) : nullptr) of->cycles = *cycles;
  }
}

}  // namespace

std::optional<DrmClient> parse_drm_fdinfo(std::string_view text) {
  DrmClient client;
  for_each_line(text, [&](std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !line.starts_with("drm-")) return;
    const auto key = line.substr(0, colon), value = trim(line.substr(colon + 1));
    if (key == "drm-driver")
      client.driver = printable(value, 20);
    else if (key == "drm-pdev")
      client.device = printable(value, 20);
    else if (key == "drm-client-id")
      client.client_id = parse_u64(value);
    else
      take_line(client, key, value);
  });
  return client.driver.empty() ? std::nullopt : std::optional(std::move(client));
}

std::optional<std::uint64_t> drm_busy_ns(const DrmClient& client) noexcept {
  std::optional<std::uint64_t> sum;
  for (const DrmEngine& engine : client.engines) {
    if (!engine.busy_ns) continue;
    std::uint64_t next = 0;
    if (__builtin_add_overflow(sum.value_or(0), *engine.busy_ns, &next)) return std::nullopt;
    sum = next;
  }
  return sum;
}

}  // namespace prony
