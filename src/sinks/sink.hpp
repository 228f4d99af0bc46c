// Sink: writes a Table in some format, row by row; nothing is held but one row. Where the bytes go is the caller's: any
// std::ostream (open files in binary mode). Numbers read back as the same double and look alike in every locale; an
// absent cell stays absent. Thread promise: one thread at a time. Errors: those of the table, or `full` when the stream
// no longer takes bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "model/table.hpp"

namespace prony {

class Sink {
 public:
  virtual ~Sink() = default;
  // Writes header (where the format has one) and every row; returns the number of rows.
  [[nodiscard]] virtual Result<std::uint64_t> write(Table& table, std::ostream& out) = 0;
};

[[nodiscard]] std::unique_ptr<Sink> make_csv_sink();
[[nodiscard]] std::unique_ptr<Sink> make_jsonl_sink();

struct SinkRow {
  std::string_view name;  // what --format takes
  std::string_view help;
  std::unique_ptr<Sink> (*make)();
};
// Every sink of this build.
[[nodiscard]] std::span<const SinkRow> sink_catalog() noexcept;
// Error (usage): no such format; `fix` names the nearest one and all of them.
[[nodiscard]] Result<std::unique_ptr<Sink>> make_sink(std::string_view name);

}  // namespace prony
