// ggml's tensor types: how many bytes a block of so many weights takes. Pure; a table. Types that are not in it are
// reported as unknown, never guessed. Source: ggml's type table as of 2025 (ggml.h, ggml-common.h of llama.cpp).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace prony::complexity {

struct TensorType {
  std::uint32_t id = 0;
  std::string_view name;
  std::uint32_t block = 1;        // weights
  std::uint32_t block_bytes = 1;  // bytes of them
  [[nodiscard]] constexpr double bits_per_weight() const { return 8.0 * block_bytes / block; }
};
[[nodiscard]] std::span<const TensorType> tensor_types() noexcept;
[[nodiscard]] const TensorType* tensor_type(std::uint32_t id) noexcept;  // null: unknown

// What each number in the key-value cache takes, by the type's name as engines call it ("f16", "q8_0", …).
[[nodiscard]] std::optional<double> cache_bytes_per_number(std::string_view type) noexcept;
inline constexpr double f16_bytes = 2;

}  // namespace prony::complexity
