// Lane: one thread that reads its sensors on absolute deadlines, and the path by which its blocks reach the consumer.
// The lane never takes a lock: the block being filled is an atomic pointer that both sides may only exchange, full and
// empty blocks travel through single-producer single-consumer queues, all of fixed size.
// Thread promise: run() is the lane's thread; the functions marked so are for the consumer or the owner.
// Ownership: shared by the Sampler and the thread, so that a thread stuck in a sensor outlives the Sampler safely.
#pragma once

#include <time.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/fd.hpp"
#include "sampler/sampler.hpp"

namespace prony::sampler {

// Waits until `word` differs from `expected` or CLOCK_MONOTONIC reaches `until_ns`.
enum class Wake { changed, time, early };  // early: neither; ask again
Wake wait_word(const std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t until_ns) noexcept;
void wake_word(std::atomic<std::uint32_t>& word) noexcept;
[[nodiscard]] std::int64_t monotonic_ns() noexcept;

// Rings the consumer: an eventfd, so that no wake-up is ever lost. Shared by all lanes.
struct Doorbell {
  Fd fd;
  void ring() const noexcept;
};

// Fixed queue of blocks, one producer and one consumer; never holds more than it was made for.
class BlockQueue {
 public:
  static constexpr std::size_t places = 32;
  bool push(TickBlock* block) noexcept;  // false: full (cannot happen while a lane has fewer blocks than places)
  TickBlock* pop() noexcept;             // null: empty

 private:
  std::array<std::atomic<TickBlock*>, places> blocks_{};
  alignas(64) std::atomic<std::uint32_t> head_{0};
  alignas(64) std::atomic<std::uint32_t> tail_{0};
};

class Lane {
 public:
  Lane(Machine& machine, LanePlan plan, std::shared_ptr<Doorbell> doorbell);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  [[nodiscard]] const LanePlan& plan() const noexcept { return plan_; }
  [[nodiscard]] bool blocking() const noexcept { return blocking_; }

  void run() noexcept;  // the thread

  // Owner. ask_tick() and ask_stop() return the ticket that wait_served() waits for, until `until_ns`.
  std::uint32_t ask_tick() noexcept;
  void ask_stop() noexcept;
  [[nodiscard]] bool wait_first_tick(std::int64_t until_ns) const noexcept;
  [[nodiscard]] bool wait_served(std::uint32_t ticket, std::int64_t until_ns) const noexcept;
  [[nodiscard]] bool wait_finished(std::int64_t until_ns) const noexcept;
  void set_stuck() noexcept { stuck_.store(true, std::memory_order_relaxed); }

  // Consumer. `any_age`: the block being filled too, however young.
  [[nodiscard]] std::unique_ptr<TickBlock> take(std::int64_t now_ns, std::int64_t max_age_ns, bool any_age);
  // When the block being filled will be older than max_age; a far future if it is empty.
  [[nodiscard]] std::int64_t ripe_ns(std::int64_t max_age_ns) const noexcept;
  void recycle(std::unique_ptr<TickBlock> block);

  // Any thread.
  [[nodiscard]] std::vector<Reading> latest(Instant& at) const;
  [[nodiscard]] LaneStats stats() const;
  void set_interval(Duration interval) noexcept;

 private:
  struct Newest {  // one channel's newest reading; see latest()
    std::atomic<std::int64_t> raw{0};
    std::atomic<Quality> quality{Quality::gap};
  };

  void wait_and_tick(std::int64_t& deadline) noexcept;
  void adopt_interval(std::int64_t& deadline) noexcept;
  std::int64_t tick(std::int64_t deadline) noexcept;  // deadline 0: out of schedule; returns the begin
  void step_back_if_long(std::int64_t length_ns) noexcept;
  void store(Instant begin, Instant end) noexcept;
  void publish(Instant begin) noexcept;
  void account(std::int64_t lateness, std::int64_t length, bool late) noexcept;
  void finish() noexcept;

  Machine& machine_;
  const LanePlan plan_;
  const std::shared_ptr<Doorbell> doorbell_;
  const bool blocking_;
  const bool own_clock_;       // a simulated machine: its clock is not the one that deadlines are on
  std::int64_t last_end_ = 0;  // of the last tick, on the deadlines' clock
  std::int64_t interval_ns_;   // in force; the lane's own
  bool real_time_ = false;     // its thread goes before every ordinary one
  int long_ticks_ = 0;         // so many on end took most of the interval
  std::vector<Reading> readings_;
  std::vector<std::span<Reading>> slices_;  // of readings_, one per sensor

  // Lane ↔ consumer.
  std::atomic<TickBlock*> filling_{nullptr};  // only ever exchanged; null: the lane has it in hand, or there is none
  std::atomic<std::int64_t> filling_since_ns_{0};  // first tick in it; 0: none
  BlockQueue full_, empty_;
  TickBlock* held_back_ = nullptr;  // consumer's: taken half-filled, but a full one turned out to be older

  // Owner → lane, lane → owner.
  std::atomic<std::uint32_t> asked_{0};
  std::atomic<std::uint32_t> served_{0};
  std::atomic<std::uint32_t> finished_{0};
  std::atomic<std::int64_t> wanted_interval_ns_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> stuck_{false};

  // Lane → anyone.
  std::atomic<std::uint64_t> sequence_{0};  // odd while newest_ is being written
  std::atomic<std::int64_t> newest_at_{0};
  std::vector<Newest> newest_;
  std::atomic<std::uint64_t> ticks_{0}, missed_{0}, late_{0}, dropped_{0};
  static constexpr clockid_t no_clock = -1;
  std::atomic<clockid_t> cpu_clock_{no_clock};                                // of the thread, while it runs
  std::atomic<std::int64_t> cpu_ns_{-1}, worst_lateness_{0}, worst_tick_{0};  // cpu_ns_: set when the thread ends
};

}  // namespace prony::sampler
