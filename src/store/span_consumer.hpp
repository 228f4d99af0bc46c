// SpanConsumer: Prony's side of the span ring (model/span_ring.hpp): makes the file, drains it, publishes how far it
// came. The file can be written by others, so nothing in it is believed: sizes are taken once and checked, indices are
// bounded, texts are cut at span_text_limit, and what makes no sense is skipped and counted. Thread promise: one
// consumer thread; any number of producers. Errors: full, denied, malformed (not a span file).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "model/span_ring.hpp"

namespace prony {

inline constexpr std::size_t span_text_limit = 65535;  // bytes of a name, key or value that are kept

// One thing that a producer said. `text` is the name (begin, complete) or the value (attribute).
struct SpanChange {
  ring::SlotType type = ring::SlotType::begin;
  std::uint64_t span = 0;
  std::uint64_t parent = 0;
  std::uint16_t kind = 0;  // SpanKind, or SpanStatus for `end`
  std::int64_t time_ns = 0;
  std::int64_t value = 0;  // count: the value; complete: the end
  std::string key;         // count and attribute
  std::string text;
  std::int64_t pid = 0;
  std::uint32_t ring = 0;
};

class SpanConsumer {
 public:
  struct Loss {
    std::uint32_t ring = 0;
    std::int64_t pid = 0;
    std::uint64_t dropped = 0;  // counted by the producer: its ring was full
    std::uint64_t broken = 0;   // slots that were half written or made no sense
  };

  // Makes a new file (never follows what already lies there) and holds its lock for as long as this object lives.
  [[nodiscard]] static Result<SpanConsumer> create(const std::filesystem::path& path);
  // Opens one that a recorder left behind; read-only where `writable` is false.
  [[nodiscard]] static Result<SpanConsumer> open(const std::filesystem::path& path, bool writable);
  // Whether a living recorder holds the lock of this span file.
  [[nodiscard]] static bool locked(const std::filesystem::path& path);

  // A descriptor that can be read once somebody has opened the file, which lies at `path`, since the first call; -1
  // where the kernel does not tell (then look at the file now and then). Dear at the end: the kernel lets go of a watch
  // only after 10 to 20 ms (a grace period), so that who records for less does better without.
  [[nodiscard]] int watch(const std::filesystem::path& path) noexcept;
  // Whether a thread has taken a ring.
  [[nodiscard]] bool begun() const noexcept;
  // Hands over everything new. An error of `sink` ends the drain and is passed on.
  [[nodiscard]] Result<void> drain(const std::function<Result<void>(const SpanChange&)>& sink);
  // Whether some ring has so much drained and not yet published that its producer might run out of slots.
  [[nodiscard]] bool should_publish() const noexcept;
  // Lets the producers reuse what was drained; to be called when it is safely stored.
  void publish() noexcept;
  // At the end of a drain: what was half said is said as far as it goes.
  [[nodiscard]] Result<void> finish(const std::function<Result<void>(const SpanChange&)>& sink);
  void stop_producers() noexcept;

  [[nodiscard]] std::vector<Loss> losses() const;
  [[nodiscard]] std::uint64_t rejected_threads() const noexcept;
  [[nodiscard]] std::uint64_t lost() const;  // the sum of all losses

 private:
  struct Slot {  // what a slot said, read once
    std::uint64_t time_ns = 0, span = 0, parent = 0;
    std::int64_t value = 0;
    std::uint16_t kind = 0;
    std::uint8_t type = 0, length = 0;
    char text[ring::slot_text_bytes] = {};
  };
  enum class Expect : std::uint8_t { nothing, name, value };
  struct Ring {
    std::uint64_t next = 0;       // first slot not yet read
    std::uint64_t safe = 0;       // first slot that a change not yet handed over needs
    std::uint64_t published = 0;  // tail as the producer sees it
    std::uint64_t broken = 0;
    Expect expect = Expect::nothing;
    SpanChange pending;
  };
  using Sink = std::function<Result<void>(const SpanChange&)>;

  SpanConsumer() = default;
  [[nodiscard]] Result<void> attach(bool writable);
  [[nodiscard]] Result<void> drain_ring(std::uint32_t index, const Sink& sink);
  [[nodiscard]] Result<void> take(Ring& ring, std::uint32_t index, const Slot& slot, const Sink& sink);
  [[nodiscard]] Result<void> continue_pending(Ring& ring, const Slot& slot, const Sink& sink);
  [[nodiscard]] Result<void> hand_over(Ring& ring, const Sink& sink);
  [[nodiscard]] bool read_slot(std::uint32_t index, std::uint64_t position, Slot& slot) const noexcept;
  [[nodiscard]] ring::FileHeader& header() const noexcept;
  [[nodiscard]] ring::RingHeader& ring_header(std::uint32_t index) const noexcept;
  [[nodiscard]] bool shrunk() const noexcept;
  void reserve_ahead() noexcept;

  Fd fd_, opened_;
  Mapping mapping_;
  bool writable_ = false;
  std::uint32_t ring_count_ = 0;
  std::uint32_t slots_ = 0;
  std::uint32_t reserved_ = 0;  // rings whose disk space is allocated
  std::vector<Ring> rings_;
};

}  // namespace prony
