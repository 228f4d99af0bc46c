// Look rows: what each followed process used, look by look, on the way to disk and back: a small tail chunk at every
// commit, all tails replaced by one long chunk when that is full. CPU time is kept to the microsecond.
// Thread promise: as Database. Memory: one long chunk.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/process_use.hpp"
#include "store/database.hpp"

namespace prony {

class LookWriter {
 public:
  [[nodiscard]] static Result<LookWriter> prepare(Database& database);

  // usage: a look that begins before the last one ended or ends before it began, or uses that do not ascend by process.
  [[nodiscard]] Result<void> append(const ProcessLook& look);
  // Writes what came since the last call as a tail (to be committed by the caller).
  [[nodiscard]] Result<void> write_tail();
  // Replaces the tails by one long chunk.
  [[nodiscard]] Result<void> compact();

 private:
  [[nodiscard]] Result<void> write_chunk(std::size_t first);

  Statement insert_, forget_;
  std::vector<ProcessLook> pending_;  // of the long chunk that is not full yet; the first tailed_ are on disk in tails
  std::size_t tailed_ = 0, tails_ = 0, uses_ = 0;
  std::int64_t first_look_ = 0;  // number, in the Run, of pending_'s first look
  std::optional<Instant> latest_;
};

// Looks in time order; those that end after `until` are left out. A damaged chunk is left out, the others are read on,
// and the answer is an error naming it. Return false from `visit` to stop.
[[nodiscard]] Result<void> read_looks(Database& database, std::optional<Instant> until,
                                      const std::function<bool(const ProcessLook&)>& visit, const std::string& where);
// End of the last look; nullopt: there are none.
[[nodiscard]] Result<std::optional<Instant>> end_of_looks(Database& database);

}  // namespace prony
