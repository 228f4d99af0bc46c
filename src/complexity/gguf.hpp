// The head of a GGUF file: what the model says of itself, and the table of its tensors; no weight is read. Versions 1
// to 3 in both byte orders. Every length is held against what is there, so a hostile file costs a bounded time and
// memory: the head may have 256 MiB, and long texts and lists are passed over. Thread promise: any thread, no shared
// state. Errors: malformed (no GGUF, cut off, a count or length that cannot be), unavailable (a version nobody knows),
// full (a longer head), and those of opening. Source: the GGUF specification (ggml, docs/gguf.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace prony::complexity {

inline constexpr std::uint64_t largest_head_bytes = 256u << 20;
inline constexpr std::size_t longest_kept_text = 4096;                        // bytes; longer ones are passed over
inline constexpr std::size_t longest_kept_list = 1024;                        // numbers; longer ones are passed over
inline constexpr std::uint64_t most_values = 16'384, most_tensors = 262'144;  // more is refused

struct PassedOver {
  std::uint64_t count = 0;  // of the list, or bytes of the text
};
using GgufValue = std::variant<std::int64_t, std::uint64_t, double, bool, std::string, std::vector<double>, PassedOver>;

struct GgufTensor {
  std::string name;
  std::array<std::uint64_t, 4> shape{1, 1, 1, 1};  // the first changes fastest in memory
  std::uint32_t dimensions = 0;
  std::uint32_t type = 0;      // ggml's number
  std::string_view type_name;  // of a constant; empty: a type that is not in the table
  std::uint64_t offset = 0;
  std::uint64_t elements = 0;
  std::optional<std::uint64_t> bytes;  // absent: a type that is not in the table
};

struct GgufHeader {
  std::uint32_t version = 0;
  bool big_endian = false;
  std::map<std::string, GgufValue, std::less<>> values;
  std::vector<GgufTensor> tensors;
  std::uint64_t head_bytes = 0;  // up to where the tensors' data begins, without padding
  std::uint64_t file_bytes = 0;

  [[nodiscard]] std::optional<std::uint64_t> number(std::string_view key) const;  // whole, not negative
  [[nodiscard]] std::optional<double> real(std::string_view key) const;           // any number
  [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
  // A list of numbers, or a single one where a list might be. Absent: not there, or passed over.
  [[nodiscard]] std::optional<std::vector<double>> numbers(std::string_view key) const;
};

// `head`: the first bytes of a file of `file_bytes`; all of it, or enough of it. `more`: set where it was not enough.
[[nodiscard]] Result<GgufHeader> parse_gguf(std::span<const std::byte> head, std::uint64_t file_bytes, bool& more);
[[nodiscard]] Result<GgufHeader> parse_gguf(std::span<const std::byte> whole);

// Reads as much of a file as its head takes.
[[nodiscard]] Result<GgufHeader> read_gguf(const std::string& path);

}  // namespace prony::complexity
