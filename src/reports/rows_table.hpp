// RowsTable: a Table whose rows fit in memory: all but the samples. Thread promise: one thread at a time.
#pragma once

#include <vector>

#include "model/table.hpp"

namespace prony {

class RowsTable final : public Table {
 public:
  std::vector<Column> header;
  std::vector<std::vector<Cell>> rows;
  const std::vector<Column>& columns() const noexcept override { return header; }
  Result<bool> next(std::vector<Cell>& row) override {
    if (at_ == rows.size()) return false;
    row = rows[at_++];
    return true;
  }

 private:
  std::size_t at_ = 0;
};

}  // namespace prony
