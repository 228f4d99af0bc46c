// Tables of a Run for sinks: samples (one row a tick, one column a channel), spans, charges, channels, requests,
// passports. Samples are streamed: a bounded part of the Run is in memory at any moment. The Run must outlive the
// Table. Thread promise: that of the Run. Errors: usage (no such table: the nearest and all are named), those of the
// Run.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "model/table.hpp"
#include "store/run.hpp"

namespace prony {

struct TableName {
  std::string_view name;
  std::string_view help;
};
[[nodiscard]] std::span<const TableName> table_names() noexcept;

[[nodiscard]] Result<std::unique_ptr<Table>> make_table(const Run& run, std::string_view name);

}  // namespace prony
