// What the benchmarks share: sensors of the catalogue by name, a lane of them, a Run to record into, and CPU shares of
// the floor's loop and of the product over a stretch of time.
#pragma once

#include <sys/prctl.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "floor.hpp"
#include "machine/machine.hpp"
#include "sampler/sampler.hpp"
#include "sensors/sensor.hpp"
#include "store/recorder.hpp"

namespace prony::bench {

// The sensors of these catalogue rows, as `prony run` would make them; what the machine lacks is left out.
inline std::vector<std::unique_ptr<Sensor>> open_rows(Machine& machine, const std::vector<std::string_view>& names) {
  std::vector<std::unique_ptr<Sensor>> sensors;
  for (const std::string_view name : names) {
    for (const SensorRow& row : sensor_catalogue()) {
      if (row.name != name) continue;
      Probe probe = row.make(machine, {});
      if (probe.sensor) sensors.push_back(std::move(probe.sensor));
      for (auto& more : probe.more) sensors.push_back(std::move(more));
    }
  }
  return sensors;
}

// One lane that reads them all, and their channels numbered through.
struct OneLane {
  LanePlan plan;
  std::vector<Channel> channels;
};
inline OneLane one_lane(const std::vector<std::unique_ptr<Sensor>>& sensors, Duration interval) {
  OneLane lane;
  lane.plan.name = lane.plan.group.name = "fast";
  lane.plan.interval = lane.plan.group.interval = interval;
  for (const auto& sensor : sensors) {
    lane.plan.sensors.push_back(sensor.get());
    for (Channel channel : sensor->channels()) {
      channel.id = {static_cast<std::uint32_t>(lane.channels.size())};
      channel.part_of.reset();
      lane.plan.group.channels.push_back(channel.id);
      lane.channels.push_back(std::move(channel));
    }
  }
  return lane;
}

inline std::unique_ptr<Recorder> open_run(const std::string& path, const std::vector<Channel>& channels,
                                          const Group& group) {
  auto recorder = Recorder::create(path, {.if_exists = IfExists::replace});
  const std::vector<Group> groups{group};
  const Anchor anchor{{clock_ns(CLOCK_MONOTONIC)}, clock_ns(CLOCK_REALTIME), {100}};
  if (!recorder || !(*recorder)->begin({}, channels, groups, anchor)) {
    std::fprintf(stderr, "bench: cannot record into %s\n", path.c_str());
    std::exit(2);
  }
  return std::move(*recorder);
}

// As the lanes do: else the kernel may be 50 µs late to save wake-ups.
inline void wake_exactly() { prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

// CPU time of the floor's loop over `length_ns`, one tick every `interval_ns`, as a share of that time.
inline double floor_share(const std::vector<int>& fds, std::int64_t interval_ns, std::int64_t length_ns) {
  std::int64_t sum = 0, next = clock_ns(CLOCK_MONOTONIC);
  const std::int64_t end = next + length_ns, from = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  while (next < end) {
    sum += floor_tick(fds);
    next += interval_ns;
    const struct timespec until{next / 1'000'000'000, next % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  }
  if (sum == 42) std::puts("");
  return static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - from) / static_cast<double>(length_ns);
}

// CPU time of the whole process (lane, consumer, store) while it records the lane into `run`, as a share of the time;
// without a path the blocks are only taken and given back.
inline double record_share(Machine& machine, const OneLane& lane, std::int64_t length_ns, const std::string& run,
                           LaneStats& stats) {
  auto recorder = run.empty() ? nullptr : open_run(run, lane.channels, lane.plan.group);
  auto sampler = Sampler::create(machine, {lane.plan});
  const std::int64_t begin = clock_ns(CLOCK_MONOTONIC), from = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  if (!sampler->start()) std::exit(2);
  while (clock_ns(CLOCK_MONOTONIC) - begin < length_ns) {
    if (auto block = sampler->take(milliseconds(200), milliseconds(500))) {
      if (recorder && !recorder->append(*block)) std::exit(2);
      sampler->recycle(std::move(block));
    }
  }
  const double share = static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - from) /
                       static_cast<double>(clock_ns(CLOCK_MONOTONIC) - begin);
  sampler->stop();
  stats = sampler->stats()[0];
  if (recorder && !recorder->close(RunState::complete)) std::exit(2);
  return share;
}

// CPU time of one tick of the lane in ns, made back to back: the shortest interval there is, so that every deadline has
// passed when a tick ends and the lane never sleeps.
inline double lane_ns(Machine& machine, LanePlan plan, std::uint64_t ticks, std::uint64_t& dropped) {
  plan.interval = plan.group.interval = {1000};
  auto sampler = Sampler::create(machine, {plan});
  if (!sampler->start()) std::exit(2);
  while (sampler->stats()[0].ticks < ticks) {
    if (auto block = sampler->take(milliseconds(20), milliseconds(1000))) sampler->recycle(std::move(block));
  }
  sampler->stop();
  const LaneStats stats = sampler->stats()[0];
  dropped += stats.dropped;
  return static_cast<double>(stats.cpu.ns) / static_cast<double>(stats.ticks);
}

// CPU time of one tick of the floor in ns, made back to back.
inline double floor_ns(const std::vector<int>& fds, int ticks) {
  std::int64_t sum = 0;
  const std::int64_t from = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < ticks; ++i) sum += floor_tick(fds);
  const auto used = static_cast<double>(clock_ns(CLOCK_THREAD_CPUTIME_ID) - from);
  if (sum == 42) std::puts("");
  return used / ticks;
}

}  // namespace prony::bench
