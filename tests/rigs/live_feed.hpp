// LiveFeed: how a program tells the FUSE tree what its package has used so far: one number in a file that both map.
// Units: nanojoules since the feed began; it never falls. Thread promise: one writer, any readers.
// Ownership: whoever maps the file keeps the mapping as long as the pointer is used.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace prony::rigs {

struct LiveFeed {
  std::atomic<std::uint64_t> used_nj{0};
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "two processes share it");

// In a file of zeros, as a new one is. The bytes must be those of a mapping, which begins at a page.
[[nodiscard]] inline LiveFeed* live_feed_in(std::span<std::byte> bytes) noexcept {
  return bytes.size() < sizeof(LiveFeed) ? nullptr : reinterpret_cast<LiveFeed*>(bytes.data());
}

}  // namespace prony::rigs
