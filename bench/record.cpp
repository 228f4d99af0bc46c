// bench_record live DIR SECONDS RUN: the floor's loop and a full recording (sampler, rapl sensor, Run file), each at 1
// kHz ×
//   20 files, one after the other; CPU of the whole process in % of one core.
// bench_record sleep SECONDS: CPU of a thread that does nothing but sleep to every 10 ms, in % of one core.
// bench_record bytes INTERVAL_NS TICKS RUN: a Run of made-up ticks × 20 energy counters. Input: 30 000 µJ ± uniform
// noise of
//   256 µJ per ms and channel (8 bits that no coder can save), time stamps with 16 µs of uniform jitter (14 bits a
//   tick).
#include <sys/prctl.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>

#include "floor.hpp"
#include "machine/machine.hpp"
#include "sampler/sampler.hpp"
#include "sensors/sensor.hpp"
#include "store/recorder.hpp"

namespace {

using namespace prony;
using bench::clock_ns;

std::unique_ptr<Recorder> open_run(const std::string& path, const std::vector<Channel>& channels, const Group& group) {
  auto recorder = Recorder::create(path, {.overwrite = true});
  const std::vector<Group> groups{group};
  const Anchor anchor{{clock_ns(CLOCK_MONOTONIC)}, clock_ns(CLOCK_REALTIME), {100}};
  if (!recorder || !(*recorder)->begin({}, channels, groups, anchor)) {
    std::fprintf(stderr, "bench_record: cannot record into %s\n", path.c_str());
    std::exit(2);
  }
  return std::move(*recorder);
}

double floor_share(const std::vector<int>& fds, std::int64_t interval_ns, std::int64_t length_ns) {
  std::int64_t sum = 0, next = clock_ns(CLOCK_MONOTONIC);
  const std::int64_t end = next + length_ns, from = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  while (next < end) {
    sum += bench::floor_tick(fds);
    next += interval_ns;
    const struct timespec until{next / 1'000'000'000, next % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  }
  if (sum == 42) std::puts("");
  return static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - from) / static_cast<double>(length_ns);
}

double record_share(Machine& machine, Sensor& sensor, std::int64_t length_ns, const std::string& run,
                    LaneStats& stats) {
  LanePlan plan;
  plan.name = "fast";
  plan.interval = milliseconds(1);
  plan.sensors = {&sensor};
  std::vector<Channel> channels(sensor.channels().begin(), sensor.channels().end());
  for (std::uint32_t c = 0; c < channels.size(); ++c) plan.group.channels.push_back({channels[c].id = {c}});
  plan.group.name = "fast";
  plan.group.interval = plan.interval;
  auto recorder = open_run(run, channels, plan.group);
  auto sampler = Sampler::create(machine, {plan});
  const std::int64_t begin = clock_ns(CLOCK_MONOTONIC), from = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  if (!sampler->start()) std::exit(2);
  while (clock_ns(CLOCK_MONOTONIC) - begin < length_ns) {
    if (auto block = sampler->take(milliseconds(200), milliseconds(500))) {
      if (!recorder->append(*block)) std::exit(2);
      sampler->recycle(std::move(block));
    }
  }
  const double share = static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - from) /
                       static_cast<double>(clock_ns(CLOCK_MONOTONIC) - begin);
  sampler->stop();
  stats = sampler->stats()[0];
  if (!recorder->close(RunState::complete)) std::exit(2);
  return share;
}

int live(const std::string& root, double seconds, const std::string& run) {
  const auto fds = bench::open_all(bench::make_packages(root, 20));
  auto machine = make_live_machine({.sysfs = root});
  Probe probe;
  for (const SensorRow& row : sensor_catalogue()) {
    if (row.name == "rapl") probe = row.make(*machine, {});
  }
  if (!probe.sensor) return 2;
  const auto length = static_cast<std::int64_t>(seconds * 1e9);
  LaneStats stats;
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);  // as the lanes do
  const double floor = floor_share(fds, 1'000'000, length);
  const double share = record_share(*machine, *probe.sensor, length, run, stats);
  std::printf("{\"floor_percent\": %.3f, \"record_percent\": %.3f, \"ticks\": %llu, \"missed\": %llu}\n", floor * 100,
              share * 100, static_cast<unsigned long long>(stats.ticks), static_cast<unsigned long long>(stats.missed));
  return 0;
}

int sleep_only(double seconds) {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  const double share = floor_share({}, 10'000'000, static_cast<std::int64_t>(seconds * 1e9));
  std::printf("{\"sleep_percent\": %.3f}\n", share * 100);
  return 0;
}

int bytes(std::int64_t interval_ns, int ticks, const std::string& run) {
  constexpr std::size_t count = 20;
  Group group;
  group.name = "fast";
  group.interval = {interval_ns};
  std::vector<Channel> channels(count);
  for (std::uint32_t c = 0; c < count; ++c) {
    group.channels.push_back(channels[c].id = {c});
    channels[c].name = "counter." + std::to_string(c);
    channels[c].measure = Measure::energy;
    channels[c].kind = ChannelKind::counter;
    channels[c].scale = 1e-6;
  }
  auto recorder = open_run(run, channels, group);
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::int64_t> noise(-128, 127), jitter(0, 16'383);
  std::vector<Reading> readings(count, {1'000'000, Quality::ok});
  TickBlock block(group.id, count, 512);
  std::int64_t at = clock_ns(CLOCK_MONOTONIC);
  const std::int64_t milliseconds_per_tick = interval_ns / 1'000'000;
  for (int t = 0; t < ticks; ++t, at += interval_ns) {
    for (auto& reading : readings) reading.raw += 30'000 * milliseconds_per_tick + noise(random);
    const std::int64_t begin = at + jitter(random);
    block.push({begin}, {begin + 8'000 + jitter(random) / 16}, readings);
    if (block.full() || t + 1 == ticks) {
      if (!recorder->append(block)) return 2;
      block.clear();
    }
  }
  return recorder->close(RunState::complete) ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 5 ? argv[1] : "";
  if (mode == "live") return live(argv[2], std::atof(argv[3]), argv[4]);
  if (argc == 3 && std::strcmp(argv[1], "sleep") == 0) return sleep_only(std::atof(argv[2]));
  if (mode == "bytes") return bytes(std::atoll(argv[2]), std::atoi(argv[3]), argv[4]);
  return 2;
}
