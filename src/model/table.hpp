// Table: named, typed columns and rows pulled one at a time; what reports make and sinks write. A cell without a value
// is absent (never 0, −1 or NaN). Thread promise: one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace prony {

using Cell = std::variant<std::monostate, std::int64_t, double, std::string>;  // monostate: absent

struct Column {
  std::string name;  // with its unit where it has one: "e2e_s", "gross_j"
  std::string help;
};

class Table {
 public:
  virtual ~Table() = default;
  [[nodiscard]] virtual const std::vector<Column>& columns() const noexcept = 0;
  // Fills `row` (its size is columns().size()); false at the end.
  [[nodiscard]] virtual Result<bool> next(std::vector<Cell>& row) = 0;
};

}  // namespace prony
