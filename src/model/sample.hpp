// Samples: one tick reads a Group of channels under one pair of time stamps; a TickBlock holds many ticks by column.
// Thread promise: plain data; one owner at a time (blocks are handed over, never shared).
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/channel.hpp"
#include "model/time.hpp"

namespace prony {

enum class Quality : std::uint8_t {
  ok,    // read within its tick
  late,  // read, but the tick began later than its deadline by more than one interval
  gap,   // not read: `raw` means nothing. A gap is not zero.
};

struct Reading {
  std::int64_t raw = 0;  // as read; unsigned 64-bit counters keep their bits
  Quality quality = Quality::gap;
};

// From `at` on a lane was asked for another interval.
struct IntervalChange {
  Instant at;
  Duration interval;
};

// Channels that are read together: one lane's tick. `interval` is what was asked for; ticks carry what happened.
struct Group {
  GroupId id;
  std::string name;  // "fast", "slow"
  Duration interval;
  std::vector<ChannelId> channels;
  std::vector<IntervalChange> changes = {};  // of `interval` while it was recorded, in time order
};

// Leaves what it makes as it is: zeroing megabytes that a short Run never fills would be most of what it costs.
template <class T>
struct UntouchedAllocator : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = UntouchedAllocator<U>;
  };
  template <class U>
  void construct(U* place) noexcept {
    ::new (static_cast<void*>(place)) U;
  }
  template <class U, class... Values>
  void construct(U* place, Values&&... values) {
    ::new (static_cast<void*>(place)) U(std::forward<Values>(values)...);
  }
};

// Columns of up to `capacity` ticks of one group. Memory is asked for once, in the constructor; the kernel gives its
// pages when they are first written, or at once with touch().
class TickBlock {
 public:
  TickBlock() = default;
  TickBlock(GroupId group, std::size_t channels, std::size_t capacity)
      : group_(group),
        channels_(channels),
        capacity_(capacity),
        begin_ns_(capacity),
        end_ns_(capacity),
        raw_(channels * capacity),
        quality_(channels * capacity) {}

  // Takes all pages now: for whoever must not wait for one while it fills the block.
  void touch() noexcept {
    for (auto* column : {&begin_ns_, &end_ns_, &raw_}) std::fill(column->begin(), column->end(), 0);
    std::fill(quality_.begin(), quality_.end(), Quality::gap);
  }

  [[nodiscard]] GroupId group() const noexcept { return group_; }
  [[nodiscard]] std::size_t channels() const noexcept { return channels_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t ticks() const noexcept { return ticks_; }
  [[nodiscard]] bool full() const noexcept { return ticks_ == capacity_; }
  void clear() noexcept { ticks_ = 0; }

  // Adds a tick; `readings.size()` must equal channels(), and full() must be false.
  void push(Instant begin, Instant end, std::span<const Reading> readings) noexcept {
    begin_ns_[ticks_] = begin.ns;
    end_ns_[ticks_] = end.ns;
    for (std::size_t c = 0; c < channels_; ++c) {
      raw_[c * capacity_ + ticks_] = readings[c].raw;
      quality_[c * capacity_ + ticks_] = readings[c].quality;
    }
    ++ticks_;
  }

  [[nodiscard]] Instant begin(std::size_t tick) const noexcept { return {begin_ns_[tick]}; }
  [[nodiscard]] Instant end(std::size_t tick) const noexcept { return {end_ns_[tick]}; }
  [[nodiscard]] Reading reading(std::size_t channel, std::size_t tick) const noexcept {
    return {raw_[channel * capacity_ + tick], quality_[channel * capacity_ + tick]};
  }
  [[nodiscard]] std::span<const std::int64_t> begins() const noexcept { return {begin_ns_.data(), ticks_}; }
  [[nodiscard]] std::span<const std::int64_t> ends() const noexcept { return {end_ns_.data(), ticks_}; }
  [[nodiscard]] std::span<const std::int64_t> raws(std::size_t channel) const noexcept {
    return {raw_.data() + channel * capacity_, ticks_};
  }
  [[nodiscard]] std::span<const Quality> qualities(std::size_t channel) const noexcept {
    return {quality_.data() + channel * capacity_, ticks_};
  }

 private:
  GroupId group_;
  std::size_t channels_ = 0;
  std::size_t capacity_ = 0;
  std::size_t ticks_ = 0;
  template <class T>
  using Column = std::vector<T, UntouchedAllocator<T>>;
  Column<std::int64_t> begin_ns_, end_ns_;
  Column<std::int64_t> raw_;  // raw_[channel * capacity + tick]
  Column<Quality> quality_;   // same layout
};

}  // namespace prony
