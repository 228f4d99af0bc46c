// The span ring: the file through which everything that happens in a workload reaches the meter.
//
// One file per Run (`<run>.spans`, beside the Run while it records). A header page, then `ring_count` rings of
// `slots_per_ring` slots. Each writing thread of each process claims one ring with a fetch_add on `claimed` (threads
// that come too late find none and count in `rejected`). One producer per ring, one consumer (Prony), no locks:
//
//   producer:  if (head - tail == slots_per_ring) { ++lost; return; }
//              fill slot[head % n] except `sequence`; slot.sequence.store(head + 1, release); head.store(head+1,
//              release)
//   consumer:  read slots tail … head−1; a slot whose `sequence` ≠ its index + 1 is half written (crash): skip and
//   count it;
//              tail.store(…, release)
//
// A record is one slot and the text slots it needs, published together by one store of `head`. Text (a name, a key)
// that fits has length 0…20; else length is 255, all 20 bytes are used, and the rest follows in text slots: 255 = 20
// bytes and more follows, anything else = the last one. An attribute is its key (with the key's own text slots), then
// at least one text slot of its value (an empty value: one of length 0). Text slots repeat `span`. The number in a span
// id is the index of the slot that began it, + 1, so ids stay unique when a ring passes from a thread that ended to the
// next one.
//
// After a crash of the meter the file stays; the next open of the Run drains what is left. Little endian, x86-64 and
// aarch64 alike; all fields naturally aligned. Source: own design; see docs/run-format.md.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace prony::ring {

inline constexpr std::uint64_t magic = 0x31304e5350'4e5250;  // "PRNPSN01" as bytes, version in the last two
inline constexpr std::uint32_t version = 1;
inline constexpr std::uint32_t default_ring_count = 64;
inline constexpr std::uint32_t default_slots_per_ring = 16384;  // 1 MiB per ring; the file is sparse

enum class SlotType : std::uint8_t {
  begin = 1,      // span begins: id, parent, kind, name
  end = 2,        // span ends: id, status in `kind`
  count = 3,      // id, name = key, value
  attribute = 4,  // id, name = key; the value follows in `text` slots
  text = 5,       // continuation bytes of the attribute, or of a name longer than a slot holds
  complete = 6,   // a whole span in one slot (token): id, parent, kind, time_ns = begin, value = end; name as in begin
};

inline constexpr std::size_t slot_text_bytes = 20;  // longer names and values continue in text slots

struct Slot {
  std::atomic<std::uint64_t> sequence;  // index + 1 once whole
  std::uint64_t time_ns;                // CLOCK_MONOTONIC
  std::uint64_t span;                   // id; unique in the Run: (ring + 1) << 40 | counter
  std::uint64_t parent;
  std::int64_t value;
  std::uint16_t kind;  // SpanKind, or SpanStatus for `end`
  SlotType type;
  std::uint8_t length;  // bytes used in `text`; 255 = more follows in text slots
  char text[slot_text_bytes];
};
static_assert(sizeof(Slot) == 64);

struct alignas(64) RingHeader {
  alignas(64) std::atomic<std::uint64_t> head;  // written by the producer
  std::atomic<std::uint64_t> lost;              // spans' slots dropped because the ring was full
  std::atomic<std::int64_t> pid;                // of the producer
  std::atomic<std::int64_t> thread;             // gettid of the producer
  alignas(64) std::atomic<std::uint64_t> tail;  // written by the consumer
};
static_assert(sizeof(RingHeader) == 128);

struct alignas(4096) FileHeader {
  std::atomic<std::uint64_t> magic;
  std::uint32_t version;
  std::uint32_t ring_count;
  std::uint32_t slots_per_ring;
  std::atomic<std::uint32_t> claimed;
  std::atomic<std::uint64_t> rejected;   // threads that found no free ring
  std::atomic<std::uint32_t> recording;  // 1 while a meter drains; 0: producers may skip writing
};
static_assert(sizeof(FileHeader) == 4096);

// Layout: FileHeader · ring_count × RingHeader (padded to a page) · ring_count × slots_per_ring × Slot.
[[nodiscard]] constexpr std::size_t headers_bytes(std::uint32_t rings) {
  return sizeof(FileHeader) + (rings * sizeof(RingHeader) + 4095) / 4096 * 4096;
}
// 64 bits on every machine: what a foreign header claims must not shrink to something small by wrapping.
[[nodiscard]] constexpr std::uint64_t file_bytes(std::uint32_t rings, std::uint32_t slots) {
  return headers_bytes(rings) + std::uint64_t{rings} * slots * sizeof(Slot);
}

}  // namespace prony::ring
