#include "passport/watch.hpp"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "passport/load.hpp"
#include "passport/parts.hpp"

namespace prony::passport {

namespace {

// Reads are this far apart at least: closely at first, then so that a 1 ms source is still read about ten times an
// update and the reader sleeps between.
constexpr Duration closest{40'000};
constexpr Duration close_for = milliseconds(300);
constexpr Duration closest_later{100'000};
constexpr Duration farthest = milliseconds(20);
constexpr std::int64_t reads_since_change = 64;  // a change is then known to a 64th of the time since the one before
constexpr Duration shortest_sleep{60'000};       // below it a sleep costs more than it saves
constexpr std::size_t log_bytes = std::size_t{64} << 20;

constexpr int slowing_pairs = 16;
constexpr Duration slowing_phase = milliseconds(5);
constexpr Duration longest_flat_out = milliseconds(1);  // a read longer than this is not read flat out

std::size_t room_for(Duration length, std::size_t channels) {
  const std::size_t bytes = 2 * sizeof(std::int64_t) + channels * (sizeof(std::int64_t) + sizeof(Quality));
  const std::int64_t close = std::min(length.ns, close_for.ns) / closest.ns + length.ns / closest_later.ns;
  return std::min(static_cast<std::size_t>(close) + 1000, log_bytes / bytes);
}

// What the watching thread and its master share; whoever is last lets go of it.
struct Job {
  std::shared_ptr<Machine> machine;
  std::shared_ptr<Sensor> sensor;
  WatchOptions options;
  std::shared_ptr<WatchLog> log;
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> alive_ns{0};  // when the last read came back
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;  // under the mutex
  std::vector<Instant> load_steps;
  Slowing slowing;
};

void sleep_until(Instant until, Instant now) {
  std::this_thread::sleep_for(std::chrono::nanoseconds((until - now).ns));
}

// Reads until `end`; changes of any channel set the pace.
void read_until(Job& job, Instant begin, Instant end) {
  std::vector<Reading> now_read(job.sensor->channels().size()), before(now_read.size());
  Instant changed = job.machine->now();
  while (!job.stop.load(std::memory_order_relaxed) && !job.log->full()) {
    const Instant from = job.machine->now();
    if (from >= end) break;
    job.sensor->read(now_read);
    const Instant to = job.machine->now();
    job.alive_ns.store(live_now().ns, std::memory_order_relaxed);
    job.log->push(from, to, now_read);
    for (std::size_t c = 0; c < now_read.size(); ++c)
      if (now_read[c].quality != Quality::gap && now_read[c].raw != before[c].raw) changed = to;
    before = now_read;
    const Duration least = from - begin < close_for ? closest : closest_later;
    const Instant next = from + std::clamp(Duration{(to - changed).ns / reads_since_change}, least, farthest);
    if (next - to >= shortest_sleep) {
      sleep_until(std::min(next, end), to);
    } else {
      const Instant resume = live_now() + (next - to);
      while (live_now() < resume) {
      }
    }
  }
}

std::optional<double> pair_of_phases(Job& job, const Burner& victim, bool read_first) {
  double rate[2] = {0, 0};
  double reads = 0, reading_ns = 0;
  std::vector<Reading> readings(job.sensor->channels().size());
  for (int phase = 0; phase < 2; ++phase) {
    const bool reads_now = (phase == 0) == read_first;
    const Instant begin = live_now();
    const std::uint64_t before = victim.work();
    Instant now = begin;
    while (now - begin < slowing_phase) {
      if (job.stop.load(std::memory_order_relaxed)) return std::nullopt;
      if (reads_now) {
        job.sensor->read(readings);
        ++reads;
      } else {
        compute_a_little();
      }
      now = live_now();
    }
    job.alive_ns.store(now.ns, std::memory_order_relaxed);
    const auto length = static_cast<double>((now - begin).ns);
    rate[reads_now ? 1 : 0] = static_cast<double>(victim.work() - before) / length;
    if (reads_now) reading_ns = length;
  }
  if (rate[0] <= 0 || reads < 1) return std::nullopt;
  return (1 - rate[1] / rate[0]) * reading_ns / reads;
}

Slowing measure_slowing(Job& job) {
  const auto cpus = allowed_cpus();
  if (job.machine->kind() != MachineKind::live) return {{}, "only a live machine has another CPU that could lose time"};
  if (cpus.size() < 2) return {{}, "it takes two CPUs, and this process may use one"};
  std::vector<Reading> readings(job.sensor->channels().size());
  const Instant begin = live_now();
  job.sensor->read(readings);
  if (live_now() - begin > longest_flat_out) return {{}, "a read takes too long for reading it flat out"};
  // The victim sits where the kernel would send an interrupt to: the sensor's own CPU, else the first.
  const int wanted = job.sensor->home_cpu() ? static_cast<int>(*job.sensor->home_cpu()) : cpus.front();
  const int victim_cpu = std::find(cpus.begin(), cpus.end(), wanted) != cpus.end() ? wanted : cpus.front();
  const int reader_cpu = cpus.back() != victim_cpu ? cpus.back() : cpus.front();
  set_turn(0);
  if (!stay_on_cpu(reader_cpu)) return {{}, "the reading thread could not be bound to a CPU"};
  Burner victim({victim_cpu}, slowing_pairs * 4 * slowing_phase + milliseconds(1000));
  std::vector<double> lost;
  for (int pair = 0; pair < slowing_pairs; ++pair)
    if (const auto loss = pair_of_phases(job, victim, pair % 2 == 0)) lost.push_back(*loss);
  return resolve_slowing(std::move(lost));
}

void run(const std::shared_ptr<Job>& job) {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  set_turn(-15);  // a read that waits for the CPU is a blurred transition; the sampler's lanes do the same
  // Where its reads cost least, as the sampler does.
  if (const auto home = job->sensor->home_cpu()) (void)stay_on_cpu(static_cast<int>(*home));
  const Instant begin = job->machine->now();
  const Duration length = job->options.length;
  if (job->options.make_load_steps) {
    const auto cpus = allowed_cpus();
    read_until(*job, begin, begin + Duration{length.ns / 2});
    std::vector<Instant> steps{job->machine->now()};
    {
      Burner burner(cpus, Duration{length.ns / 4} + milliseconds(100));
      read_until(*job, begin, begin + Duration{length.ns / 4 * 3});
      steps.push_back(job->machine->now());
    }
    const std::scoped_lock lock(job->mutex);
    job->load_steps = std::move(steps);
  }
  read_until(*job, begin, begin + length);
  Slowing slowing{{}, "not asked for"};
  if (job->options.measure_slowing && !job->stop) slowing = measure_slowing(*job);
  const std::scoped_lock lock(job->mutex);
  job->slowing = std::move(slowing);
  job->done = true;
  job->changed.notify_all();
}

}  // namespace

WatchLog::WatchLog(std::size_t channels, std::size_t capacity)
    : channels_(channels),
      capacity_(capacity),
      begin_(capacity),
      end_(capacity),
      raw_(channels * capacity),
      quality_(channels * capacity, Quality::gap) {}

void WatchLog::push(Instant begin, Instant end, std::span<const Reading> readings) noexcept {
  const std::size_t tick = ticks_.load(std::memory_order_relaxed);
  begin_[tick] = begin.ns;
  end_[tick] = end.ns;
  for (std::size_t c = 0; c < channels_; ++c) {
    raw_[c * capacity_ + tick] = readings[c].raw;
    quality_[c * capacity_ + tick] = readings[c].quality;
  }
  ticks_.store(tick + 1, std::memory_order_release);
}

Ticks WatchLog::channel(std::size_t channel, std::size_t count) const {
  return {{begin_.data(), count},
          {end_.data(), count},
          {raw_.data() + channel * capacity_, count},
          {quality_.data() + channel * capacity_, count}};
}

Slowing resolve_slowing(std::vector<double> lost) {
  if (lost.size() < 8) return {{}, "too few pairs of phases"};
  const double middle = median(lost);
  std::vector<double> off;
  for (const double one : lost) off.push_back(std::abs(one - middle));
  // Standard error of a median, from the median deviation: one burst of somebody else's spoils neither.
  const double error = 1.4826 * 1.2533 * median(off) / std::sqrt(static_cast<double>(lost.size()));
  if (middle > 3 * error && middle >= 1) return {Duration{static_cast<std::int64_t>(middle)}, {}};
  const double most = std::max(0.0, middle) + 3 * error;
  return {{}, "not resolved: another CPU loses less than " + time_words(most) + " by a read"};
}

Watched watch(const std::shared_ptr<Machine>& machine, const std::shared_ptr<Sensor>& sensor,
              const WatchOptions& options) {
  auto job = std::make_shared<Job>();
  job->machine = machine;
  job->sensor = sensor;
  job->options = options;
  const std::size_t channels = sensor->channels().size();
  job->log = std::make_shared<WatchLog>(channels, room_for(options.length, channels));
  job->alive_ns = live_now().ns;
  Watched watched;
  watched.log = job->log;
  std::thread thread([job] { run(job); });
  {
    std::unique_lock lock(job->mutex);
    while (!job->changed.wait_for(lock, std::chrono::milliseconds(20), [&] { return job->done; })) {
      if (options.interrupted != nullptr && *options.interrupted) {
        job->stop = true;
        watched.cut = true;
      }
      if (live_now().ns - job->alive_ns > options.patience.ns) {
        job->stop = true;
        watched.hung = true;
        break;
      }
    }
    watched.load_steps = job->load_steps;
    watched.slows_others = job->slowing.per_read;
    watched.why_not_slowing = watched.hung ? "a read did not come back" : job->slowing.why_not;
  }
  if (watched.hung) {
    thread.detach();
  } else {
    thread.join();
  }
  watched.ticks = job->log->ticks();
  watched.full = job->log->full();
  return watched;
}

}  // namespace prony::passport
