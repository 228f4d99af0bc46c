// Protobuf's wire format, read forward with bounds: fields of a message, one after another. What is not looked at is
// passed over without being read. Thread promise: one thread at a time. Errors: the first one stands in the budget, and
// from then on there are no more fields. Source: Protocol Buffers, "Encoding".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.hpp"

namespace prony::complexity {

// Bytes of a file, of which a window is in memory, or of memory.
class WireBytes {
 public:
  explicit WireBytes(std::span<const std::byte> whole) : window_(whole), size_(whole.size()) {}
  WireBytes(Fd file, std::uint64_t size);
  WireBytes(const WireBytes&) = delete;
  WireBytes& operator=(const WireBytes&) = delete;

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  // `bytes` bytes (up to 4096) from `at`; null: they are not there.
  [[nodiscard]] const std::byte* look(std::uint64_t at, std::size_t bytes);
  [[nodiscard]] bool copy(std::uint64_t at, std::span<std::byte> out);

 private:
  Fd file_;
  std::vector<std::byte> buffer_;
  std::span<const std::byte> window_;
  std::uint64_t window_at_ = 0, size_ = 0;
};

// What one reading may cost, over all its messages, and what went wrong first.
class WireBudget {
 public:
  WireBudget(WireBytes& bytes, std::uint64_t fields, std::uint64_t kept)
      : bytes_(bytes), fields_(fields), kept_(kept) {}
  [[nodiscard]] WireBytes& bytes() noexcept { return bytes_; }
  [[nodiscard]] bool ok() const noexcept { return wrong_.empty(); }
  [[nodiscard]] bool too_much() const noexcept { return too_much_; }
  [[nodiscard]] const std::string& wrong() const noexcept { return wrong_; }
  void refuse(std::string why) {
    if (ok()) wrong_ = std::move(why);
  }
  [[nodiscard]] bool field();                    // one more is looked at
  [[nodiscard]] bool keep(std::uint64_t bytes);  // so much more is kept in memory

 private:
  WireBytes& bytes_;
  std::uint64_t fields_, kept_;
  bool too_much_ = false;
  std::string wrong_;
};

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct WireField {
  std::uint32_t number = 0;
  WireType type = WireType::varint;
  std::uint64_t value = 0;           // of a number
  std::uint64_t begin = 0, end = 0;  // of bytes: where they are
  [[nodiscard]] std::uint64_t size() const noexcept { return end - begin; }
  [[nodiscard]] bool is_bytes() const noexcept { return type == WireType::bytes; }
};

class WireMessage {
 public:
  explicit WireMessage(WireBudget& budget) : budget_(&budget), end_(budget.bytes().size()) {}
  WireMessage(WireBudget& budget, const WireField& inside) : budget_(&budget), at_(inside.begin), end_(inside.end) {}
  [[nodiscard]] std::optional<WireField> next();  // absent: the end, or the budget has an error
  [[nodiscard]] std::optional<std::uint64_t> varint();
  [[nodiscard]] bool at_end() const noexcept { return at_ >= end_; }

 private:
  WireBudget* budget_;
  std::uint64_t at_ = 0, end_ = 0;
};

// A text, kept; longer ones than `most` are refused. "" where the field holds none.
[[nodiscard]] std::string wire_text(WireBudget& budget, const WireField& field, std::size_t most = 65'535);
// Whole numbers of a repeated field, packed or single, up to `most` in all; more are refused.
void wire_integers(WireBudget& budget, const WireField& field, std::vector<std::int64_t>& out, std::size_t most);
// 32-bit floating numbers likewise.
void wire_floats(WireBudget& budget, const WireField& field, std::vector<double>& out, std::size_t most);

}  // namespace prony::complexity
