// The samples table: one row a tick, all groups merged by time, one column a channel in its unit. Blocks are fetched in
// batches of bounded memory; the Run must outlive the table. Errors: those of the Run. Internal to reports.
#pragma once

#include <cstddef>
#include <memory>

#include "model/table.hpp"
#include "store/run.hpp"

namespace prony {

inline constexpr std::size_t samples_batch_bytes = 32u << 20u;  // per group

[[nodiscard]] std::unique_ptr<Table> make_samples_table(const Run& run, std::size_t batch_bytes = samples_batch_bytes);

}  // namespace prony
