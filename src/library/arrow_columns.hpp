// Columns on their way into the Arrow C data interface: filled cell by cell, then handed over without a copy.
// A column's type follows its cells: int64, float64 where one of them is no whole number, utf8 where one is a text.
// Thread promise: one thread. Ownership: what was handed over belongs to whoever calls its release; children may be
// taken out one by one. Errors: full (a column of texts beyond 2 GiB). Source: the specification of Apache Arrow.
#pragma once

#include <prony/arrow.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/table.hpp"

namespace prony::library {

class ArrowColumn {
 public:
  enum class Type { integers, numbers, texts };
  explicit ArrowColumn(std::string name, std::string help = {}, Type type = Type::integers)
      : name_(std::move(name)), help_(std::move(help)), type_(type) {
    if (type_ == Type::texts) offsets_.push_back(0);
  }

  void absent();
  void integer(std::int64_t value);
  void number(double value);
  [[nodiscard]] Result<void> text(std::string_view value);
  [[nodiscard]] Result<void> cell(const Cell& cell);

  [[nodiscard]] std::int64_t length() const noexcept { return length_; }
  // The column must not be used afterwards.
  void hand_over(ArrowArray& out);
  void describe(ArrowSchema& out) const;

 private:
  void mark(bool present);
  void to_numbers();
  [[nodiscard]] Result<void> to_texts();

  std::string name_, help_;
  Type type_;
  std::int64_t length_ = 0, absent_ = 0;
  std::vector<std::uint8_t> valid_;  // bits, least significant first
  std::vector<std::int64_t> integers_;
  std::vector<double> numbers_;
  std::vector<std::int32_t> offsets_;
  std::string bytes_;
  friend struct ColumnOwner;
};

// A struct array with a child a column; all columns have `length` cells.
void describe(const std::vector<ArrowColumn>& columns, ArrowSchema& out);
void hand_over(std::vector<ArrowColumn>&& columns, std::int64_t length, ArrowArray& out);

// The whole table at once. `schema` and `array` are written only where all went well.
[[nodiscard]] Result<void> hand_over(Table& table, ArrowSchema& schema, ArrowArray& array);

}  // namespace prony::library
