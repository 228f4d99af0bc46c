#include "sampler/lane.hpp"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/thread_priority.hpp"

namespace prony::sampler {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::size_t blocks_per_lane = 16;
static_assert(blocks_per_lane < BlockQueue::places);

// A second of ticks: the consumer comes about once a second, and the pool rides out a disk that stalls for many.
std::size_t block_capacity(Duration interval) {
  const std::int64_t ticks = second_ns / std::max<std::int64_t>(1, interval.ns);
  return static_cast<std::size_t>(std::clamp<std::int64_t>(ticks, 16, 1024));
}

bool all_fast(const LanePlan& plan) {
  return std::all_of(plan.sensors.begin(), plan.sensors.end(),
                     [](const Sensor* sensor) { return sensor->lane() == LaneKind::fast; });
}

bool any_blocking(const LanePlan& plan) {
  return std::any_of(plan.sensors.begin(), plan.sensors.end(),
                     [](const Sensor* sensor) { return sensor->lane() == LaneKind::blocking; });
}

void raise_to(std::atomic<std::int64_t>& worst, std::int64_t value) noexcept {
  if (value > worst.load(std::memory_order_relaxed)) worst.store(value, std::memory_order_relaxed);
}

// Counters have one writer, so a load and a store do; fetch_add would lock the bus for nothing.
void add(std::atomic<std::uint64_t>& counter, std::uint64_t n) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

// A real-time thread that is never done leaves its CPU to nobody: a lane whose readings take most of its interval for
// so many ticks on end is an ordinary thread from then on.
constexpr int most_long_ticks = 8;

// A counter of a package is read from one of its CPUs at about a sixteenth of the cost. Where the CPU may not be used
// (cpuset, offline) the lane runs anywhere, and reads cost more.
void stay_on(unsigned cpu) noexcept {
  if (cpu >= CPU_SETSIZE) return;
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(cpu, &only);
  (void)sched_setaffinity(0, sizeof only, &only);
}

std::int64_t cpu_clock_ns(clockid_t clock) noexcept {
  struct timespec t{};
  if (clock_gettime(clock, &t) != 0) return -1;
  return std::int64_t{t.tv_sec} * second_ns + t.tv_nsec;
}

}  // namespace

std::int64_t monotonic_ns() noexcept { return cpu_clock_ns(CLOCK_MONOTONIC); }

// A futex with an absolute deadline sleeps as exactly as clock_nanosleep(TIMER_ABSTIME) and can be woken, which a sleep
// cannot without a signal.
Wake wait_word(const std::atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t until_ns) noexcept {
  static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
  if (word.load(std::memory_order_acquire) != expected) return Wake::changed;
  // The kernel's own timespec of this call: two longs on every machine, also where the C library's has 64 bits of time.
  const struct {
    long seconds, nanoseconds;
  } until{static_cast<long>(std::min<std::int64_t>(until_ns / second_ns, std::numeric_limits<long>::max())),
          static_cast<long>(until_ns % second_ns)};
  const long result =
      syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, expected, &until, nullptr, FUTEX_BITSET_MATCH_ANY);
  const bool on_time = result == -1 && errno == ETIMEDOUT;
  if (word.load(std::memory_order_acquire) != expected) return Wake::changed;
  return on_time ? Wake::time : Wake::early;
}

void wake_word(std::atomic<std::uint32_t>& word) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, std::numeric_limits<int>::max(), nullptr, nullptr, 0);
}

void Doorbell::ring() const noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(fd.get(), &one, sizeof one);  // EAGAIN: it rings already
}

bool BlockQueue::push(TickBlock* block) noexcept {
  const std::uint32_t head = head_.load(std::memory_order_relaxed);
  if (head - tail_.load(std::memory_order_acquire) == places) return false;
  blocks_[head % places].store(block, std::memory_order_relaxed);
  head_.store(head + 1, std::memory_order_release);
  return true;
}

TickBlock* BlockQueue::pop() noexcept {
  const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
  if (tail == head_.load(std::memory_order_acquire)) return nullptr;
  TickBlock* block = blocks_[tail % places].load(std::memory_order_relaxed);
  tail_.store(tail + 1, std::memory_order_release);
  return block;
}

Lane::Lane(Machine& machine, LanePlan plan, std::shared_ptr<Doorbell> doorbell)
    : machine_(machine),
      plan_(std::move(plan)),
      doorbell_(std::move(doorbell)),
      blocking_(any_blocking(plan_)),
      own_clock_(machine.kind() == MachineKind::simulated),
      interval_ns_(plan_.interval.ns),
      readings_(plan_.group.channels.size()),
      wanted_interval_ns_(plan_.interval.ns),
      newest_(plan_.group.channels.size()) {
  std::size_t from = 0;
  for (const Sensor* sensor : plan_.sensors) {
    const std::size_t count = sensor->channels().size();
    if (from + count > readings_.size()) break;  // start() refuses such a plan
    slices_.push_back(std::span<Reading>(readings_).subspan(from, count));
    from += count;
  }
  for (std::size_t i = 0; i < blocks_per_lane; ++i) {
    auto block = std::make_unique<TickBlock>(plan_.group.id, readings_.size(), block_capacity(plan_.interval));
    block->touch();  // a tick waits for no page
    empty_.push(block.release());
  }
}

Lane::~Lane() {
  delete filling_.load();
  delete held_back_;
  while (TickBlock* block = full_.pop()) delete block;
  while (TickBlock* block = empty_.pop()) delete block;
}

void Lane::run() noexcept {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);  // the default lets the kernel be 50 µs late to save wake-ups
  // An engine keeps every core busy, and a reading that waits for it is a blurred window edge. Beside somebody's
  // compiler in another session nice alone left every tenth tick too late.
  if (!blocking_) go_before_most();  // what is left where the next is refused, and after step_back()
  real_time_ = all_fast(plan_) && set_real_time(true);
  if (plan_.cpu) stay_on(*plan_.cpu);
  clockid_t clock{};
  if (pthread_getcpuclockid(pthread_self(), &clock) == 0) cpu_clock_.store(clock, std::memory_order_release);
  std::int64_t deadline = monotonic_ns();
  tick(deadline);
  served_.store(1, std::memory_order_release);
  wake_word(served_);
  while (!stop_.load(std::memory_order_acquire)) wait_and_tick(deadline);
  tick(0);
  finish();
}

void Lane::set_interval(Duration interval) noexcept {
  if (interval.ns < 1000 || wanted_interval_ns_.exchange(interval.ns, std::memory_order_acq_rel) == interval.ns) return;
  wake_word(asked_);  // the word stays as it is: the lane looks again and sleeps on, to another deadline
}

// The schedule goes on from the last deadline that was due. With a shorter interval some of the new ones lie before
// now: they were nobody's, so they are passed over, not missed.
void Lane::adopt_interval(std::int64_t& deadline) noexcept {
  const std::int64_t wanted = wanted_interval_ns_.load(std::memory_order_acquire);
  if (wanted == interval_ns_) return;
  if (wanted < interval_ns_) deadline += std::max<std::int64_t>(0, monotonic_ns() - deadline) / wanted * wanted;
  interval_ns_ = wanted;
}

// Sleeps to the next deadline (or until asked for a tick) and ticks. `deadline`: the last one that was served.
void Lane::wait_and_tick(std::int64_t& deadline) noexcept {
  adopt_interval(deadline);
  const std::int64_t next = deadline + interval_ns_;
  // served_ counts the first tick too, so ticket n is answered by served_ = n + 1.
  const std::uint32_t asked = served_.load(std::memory_order_relaxed) - 1;
  Wake wake = Wake::time;
  if (asked_.load(std::memory_order_acquire) != asked) {
    wake = Wake::changed;
  } else if (last_end_ < next) {  // else the deadline passed during the last tick: no system call to learn that
    wake = wait_word(asked_, asked, next);
  }
  if (stop_.load(std::memory_order_acquire)) return;
  if (wake == Wake::changed) {
    const std::uint32_t ticket = asked_.load(std::memory_order_acquire);
    tick(0);
    served_.store(ticket + 1, std::memory_order_release);
    wake_word(served_);
    return;
  }
  if (wake == Wake::early) return;
  const std::int64_t began = tick(next);
  step_back_if_long(last_end_ - began);
  const std::int64_t passed = (began - next) / interval_ns_;  // whole intervals that this tick came too late
  add(missed_, static_cast<std::uint64_t>(passed));
  deadline = next + passed * interval_ns_;
}

void Lane::step_back_if_long(std::int64_t length_ns) noexcept {
  if (!real_time_) return;
  long_ticks_ = 2 * length_ns > interval_ns_ ? long_ticks_ + 1 : 0;
  if (long_ticks_ >= most_long_ticks) real_time_ = !set_real_time(false);
}

std::int64_t Lane::tick(std::int64_t deadline) noexcept {
  const std::int64_t own_begin = own_clock_ ? monotonic_ns() : 0;
  const Instant begin = machine_.now();
  for (std::size_t s = 0; s < slices_.size(); ++s) plan_.sensors[s]->read(slices_[s]);
  const Instant end = machine_.now();
  const std::int64_t began = own_clock_ ? own_begin : begin.ns;
  const std::int64_t lateness = deadline == 0 ? 0 : began - deadline;
  const bool late = lateness > interval_ns_;
  if (late) {
    for (Reading& reading : readings_) {
      if (reading.quality == Quality::ok) reading.quality = Quality::late;
    }
  }
  last_end_ = own_clock_ ? monotonic_ns() : end.ns;
  account(lateness, end.ns - begin.ns, late);
  publish(begin);
  store(begin, end);
  return began;
}

void Lane::account(std::int64_t lateness, std::int64_t length, bool late) noexcept {
  add(ticks_, 1);
  if (late) add(late_, 1);
  raise_to(worst_lateness_, lateness);
  raise_to(worst_tick_, length);
}

// Puts the tick into the block being filled, or drops it if the consumer has left us without one.
void Lane::store(Instant begin, Instant end) noexcept {
  TickBlock* block = filling_.exchange(nullptr, std::memory_order_acq_rel);
  if (block == nullptr) {
    block = empty_.pop();
    if (block == nullptr) {
      add(dropped_, 1);
      return;
    }
  }
  if (block->ticks() == 0) filling_since_ns_.store(monotonic_ns(), std::memory_order_relaxed);
  block->push(begin, end, readings_);
  if (!block->full()) {
    filling_.store(block, std::memory_order_release);
    return;
  }
  filling_since_ns_.store(0, std::memory_order_relaxed);
  full_.push(block);
  doorbell_->ring();
}

// A seqlock out of atomics alone (no fence, which the thread sanitizer would not understand): a reader that saw any of
// the new values also sees the odd sequence, because each value is stored with release and loaded with acquire.
void Lane::publish(Instant begin) noexcept {
  const std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
  sequence_.store(sequence + 1, std::memory_order_relaxed);
  newest_at_.store(begin.ns, std::memory_order_release);
  for (std::size_t c = 0; c < readings_.size(); ++c) {
    newest_[c].raw.store(readings_[c].raw, std::memory_order_release);
    newest_[c].quality.store(readings_[c].quality, std::memory_order_release);
  }
  sequence_.store(sequence + 2, std::memory_order_release);
}

void Lane::finish() noexcept {
  cpu_ns_.store(cpu_clock_ns(CLOCK_THREAD_CPUTIME_ID), std::memory_order_release);
  served_.store(std::numeric_limits<std::uint32_t>::max(), std::memory_order_release);  // nobody waits for us any more
  wake_word(served_);
  finished_.store(1, std::memory_order_release);
  wake_word(finished_);
  doorbell_->ring();
}

std::uint32_t Lane::ask_tick() noexcept {
  const std::uint32_t ticket = asked_.fetch_add(1, std::memory_order_acq_rel) + 1;
  wake_word(asked_);
  return ticket;
}

void Lane::ask_stop() noexcept {
  stop_.store(true, std::memory_order_release);
  asked_.fetch_add(1, std::memory_order_acq_rel);
  wake_word(asked_);
}

bool Lane::wait_first_tick(std::int64_t until_ns) const noexcept { return wait_served(0, until_ns); }

bool Lane::wait_served(std::uint32_t ticket, std::int64_t until_ns) const noexcept {
  for (;;) {
    const std::uint32_t served = served_.load(std::memory_order_acquire);
    if (served > ticket) return true;
    if (monotonic_ns() >= until_ns) return false;
    wait_word(served_, served, until_ns);
  }
}

bool Lane::wait_finished(std::int64_t until_ns) const noexcept {
  while (finished_.load(std::memory_order_acquire) == 0) {
    if (monotonic_ns() >= until_ns) return false;
    wait_word(finished_, 0, until_ns);
  }
  return true;
}

std::unique_ptr<TickBlock> Lane::take(std::int64_t now_ns, std::int64_t max_age_ns, bool any_age) {
  TickBlock* full = full_.pop();
  if (held_back_ != nullptr && (full == nullptr || held_back_->begin(0) < full->begin(0))) std::swap(full, held_back_);
  if (full != nullptr) return std::unique_ptr<TickBlock>(full);
  if (!any_age && ripe_ns(max_age_ns) > now_ns) return nullptr;
  TickBlock* half = filling_.exchange(nullptr, std::memory_order_acq_rel);
  if (half == nullptr) return nullptr;
  if (TickBlock* older = full_.pop()) {  // the lane turned the page between our two looks: time order first
    held_back_ = half;
    return std::unique_ptr<TickBlock>(older);
  }
  return std::unique_ptr<TickBlock>(half);
}

std::int64_t Lane::ripe_ns(std::int64_t max_age_ns) const noexcept {
  const std::int64_t since = filling_since_ns_.load(std::memory_order_relaxed);
  if (since == 0 || filling_.load(std::memory_order_relaxed) == nullptr)
    return std::numeric_limits<std::int64_t>::max();
  return since + max_age_ns;
}

void Lane::recycle(std::unique_ptr<TickBlock> block) {
  block->clear();
  empty_.push(block.release());
}

std::vector<Reading> Lane::latest(Instant& at) const {
  std::vector<Reading> out(newest_.size());
  for (;;) {
    const std::uint64_t before = sequence_.load(std::memory_order_acquire);
    if (before == 0) return {};
    at.ns = newest_at_.load(std::memory_order_acquire);
    for (std::size_t c = 0; c < newest_.size(); ++c) {
      out[c] = {newest_[c].raw.load(std::memory_order_acquire), newest_[c].quality.load(std::memory_order_acquire)};
    }
    if (before % 2 == 0 && sequence_.load(std::memory_order_relaxed) == before) return out;
    sched_yield();
  }
}

LaneStats Lane::stats() const {
  LaneStats out;
  out.name = plan_.name;
  out.ticks = ticks_.load(std::memory_order_relaxed);
  out.missed = missed_.load(std::memory_order_relaxed);
  out.late = late_.load(std::memory_order_relaxed);
  out.dropped = dropped_.load(std::memory_order_relaxed);
  out.worst_lateness.ns = worst_lateness_.load(std::memory_order_relaxed);
  out.worst_tick.ns = worst_tick_.load(std::memory_order_relaxed);
  out.interval.ns = wanted_interval_ns_.load(std::memory_order_relaxed);
  out.stuck = stuck_.load(std::memory_order_relaxed);
  std::int64_t cpu = cpu_ns_.load(std::memory_order_acquire);
  const clockid_t clock = cpu_clock_.load(std::memory_order_acquire);
  if (cpu < 0 && clock != no_clock) {
    cpu = cpu_clock_ns(clock);
    if (cpu < 0) cpu = cpu_ns_.load(std::memory_order_acquire);  // it ended while we asked
  }
  out.cpu.ns = std::max<std::int64_t>(0, cpu);
  return out;
}

}  // namespace prony::sampler
