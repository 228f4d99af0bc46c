// Group rows: the samples of one Group on their way to disk and back. Fast groups become chunks: a small tail chunk at
// every commit, all tails replaced by one long chunk when that is full. Slow groups (interval ≥ slow_interval) become
// plain rows. Thread promise: as Database. Memory: one long chunk per group, taken at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "model/sample.hpp"
#include "store/database.hpp"

namespace prony {

inline constexpr Duration slow_interval = milliseconds(500);

class GroupWriter {
 public:
  [[nodiscard]] static Result<GroupWriter> prepare(Database& database, const Group& group);

  // usage: another number of channels than the group has, or a tick that is older than the last one.
  [[nodiscard]] Result<void> append(const TickBlock& block);
  // Writes what came since the last call as a tail (to be committed by the caller).
  [[nodiscard]] Result<void> write_tail();
  // Replaces the tails by one long chunk.
  [[nodiscard]] Result<void> compact();
  [[nodiscard]] Instant latest() const noexcept { return latest_; }
  [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_; }

 private:
  [[nodiscard]] Result<void> write_chunk(std::size_t first, std::size_t ticks);
  [[nodiscard]] Result<void> write_rows(const TickBlock& block);

  Group group_;
  Statement insert_, forget_;
  TickBlock pending_;  // ticks of the long chunk that is not full yet; tails of the first tailed_ are on disk
  std::vector<Reading> readings_;
  std::size_t tailed_ = 0;
  std::size_t tails_ = 0;
  std::int64_t first_tick_ = 0;  // number, in the Run, of pending_'s first tick
  Instant latest_;
  std::uint64_t bytes_ = 0;
};

// Blocks of the group in time order, but for whole ones before `from`; ticks that begin after `until` are left out
// (nothing: none). A damaged chunk is visited as two ticks of gaps at its first and last time, the others are read on,
// and the answer is an error naming it.
[[nodiscard]] Result<void> read_group(Database& database, const Group& group, Instant from,
                                      std::optional<Instant> until, const std::function<bool(const TickBlock&)>& visit,
                                      const std::string& where);

[[nodiscard]] constexpr bool is_slow(const Group& group) noexcept { return group.interval >= slow_interval; }

}  // namespace prony
