// Sensors and a machine for the sampler's tests: the clock is the real one, what sensors do is scripted.
#pragma once

#include <time.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "sampler/sampler.hpp"

namespace prony::test {

inline constexpr Duration ms = milliseconds(1);

inline std::int64_t now_ns() {
  struct timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

class FakeMachine final : public Machine {
 public:
  [[nodiscard]] MachineKind kind() const noexcept override {
    return simulated_offset == 0 ? MachineKind::live : MachineKind::simulated;
  }
  [[nodiscard]] Instant now() const noexcept override { return {now_ns() + simulated_offset}; }
  [[nodiscard]] Anchor anchor() const noexcept override { return {}; }
  Result<std::unique_ptr<File>> open(const std::string& path) override {
    return fail(ErrorCode::absent, "no files", path);
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return fail(ErrorCode::absent, "no files", path);
  }
  Result<std::string> read_text(const std::string& path) override { return fail(ErrorCode::absent, "no files", path); }
  Result<std::string> read_link(const std::string& path) override { return fail(ErrorCode::absent, "no files", path); }
  bool exists(const std::string&) override { return false; }
  Result<Duration> process_cpu_time(std::int64_t) noexcept override { return Duration{}; }
  [[nodiscard]] Duration own_cpu_time() const noexcept override { return {}; }
  unsigned cpu_count() override { return 1; }

  std::int64_t simulated_offset = 0;
};

// Counts its reads; channel c of read n gives 1000·n + c. `during` runs inside each read.
class FakeSensor final : public Sensor {
 public:
  explicit FakeSensor(std::size_t channels, LaneKind lane = LaneKind::fast, std::function<void(int)> during = {})
      : channels_(channels), lane_(lane), during_(std::move(during)) {}
  [[nodiscard]] LaneKind lane() const noexcept override { return lane_; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    const int n = reads.load(std::memory_order_relaxed);
    if (during_) during_(n);
    for (std::size_t c = 0; c < out.size(); ++c) {
      out[c] = {1000 * static_cast<std::int64_t>(n) + static_cast<std::int64_t>(c),
                c == gap_channel ? Quality::gap : Quality::ok};
    }
    reads.store(n + 1, std::memory_order_release);
  }
  std::atomic<int> reads{0};
  std::size_t gap_channel = 9999;

 private:
  std::vector<Channel> channels_;
  LaneKind lane_;
  std::function<void(int)> during_;
};

inline LanePlan lane_of(std::uint32_t group, Duration interval, std::vector<Sensor*> sensors) {
  LanePlan plan;
  plan.name = "lane" + std::to_string(group);
  plan.interval = interval;
  plan.group.id = {group};
  plan.group.interval = interval;
  for (const Sensor* sensor : sensors) {
    for (std::size_t c = 0; c < sensor->channels().size(); ++c) {
      plan.group.channels.push_back({static_cast<std::uint32_t>(plan.group.channels.size())});
    }
  }
  plan.sensors = std::move(sensors);
  return plan;
}

inline void sleep_for(Duration d) { std::this_thread::sleep_for(std::chrono::nanoseconds(d.ns)); }

// A door that a sensor stands before until somebody opens it.
class Door {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

struct Tick {
  Instant begin, end;
  std::vector<Reading> readings;
};

// Takes every block that there is, per group, and gives it back.
inline std::vector<std::vector<Tick>> drain(Sampler& sampler, std::size_t groups, Duration wait = {}) {
  std::vector<std::vector<Tick>> out(groups);
  while (auto block = sampler.take(wait, {0})) {
    for (std::size_t t = 0; t < block->ticks(); ++t) {
      Tick tick{block->begin(t), block->end(t), {}};
      for (std::size_t c = 0; c < block->channels(); ++c) tick.readings.push_back(block->reading(c, t));
      out[block->group().value].push_back(std::move(tick));
    }
    sampler.recycle(std::move(block));
  }
  return out;
}

}  // namespace prony::test
