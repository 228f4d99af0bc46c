// Session: a mapped span file and the rings of this process in it. Everything here is for libprony alone.
// It is loaded into other people's programs (ctypes, C), so it needs libc only: no C++ run-time library, no exceptions
// (hence no `noexcept` around calls that the compiler must believe may throw), no allocation on the hot path.
// Thread promise: open_session() under the caller's lock; the rest from any thread. Ownership: a Session is never freed
// and its mapping never undone, because another thread may be writing to it; there is one per span file that was
// opened.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "model/span_ring.hpp"

namespace prony::client {

inline constexpr std::uint32_t most_rings = 4096;      // more in a header means: not one of ours
inline constexpr std::uint32_t most_slots = 1U << 24;  // per ring
inline constexpr std::size_t most_text_bytes = 65535;  // of an attribute's value
inline constexpr std::size_t most_name_bytes = 1024;   // of a name or key

struct Session {
  ring::FileHeader* file = nullptr;
  ring::RingHeader* rings = nullptr;
  ring::Slot* slots = nullptr;
  std::uint32_t ring_count = 0;
  std::uint32_t slots_per_ring = 0;
  std::uint64_t device = 0, inode = 0;  // which file this is
  Session* next = nullptr;              // older sessions
  // Rings of threads of this process that ended: bit r of word r / 64. The next thread takes one before it claims a
  // new.
  std::atomic<std::uint64_t> free_rings[most_rings / 64];
};

// Maps `path`. 0, or −errno: −EINVAL is not a span file, −EPROTO one of a newer version. `known` is the list of
// sessions already open; the same file again gives the same session.
int open_session(const char* path, Session* known, Session** out);

// A ring for the calling thread: one that an ended thread gave back, or a new one. −1: none left (counted in
// `rejected`) or no disk space for it.
std::int64_t claim_ring(Session& session);
void give_back_ring(Session& session, std::uint32_t ring);
// After fork, in the child: the rings of the parent's threads are not ours.
void forget_free_rings(Session& session);

}  // namespace prony::client
