// bench_tick DIR: CPU time of one tick over 20 files, the floor's and Prony's own (live machine, rapl sensor, sampler
// lane, block hand-over), in turns of 10 000 ticks each; the ratio is the median over the turns. DIR should be on
// tmpfs. One JSON object on stdout.
#include <algorithm>
#include <cstring>

#include "floor.hpp"
#include "machine/machine.hpp"
#include "sampler/sampler.hpp"
#include "sensors/sensor.hpp"

namespace {

using namespace prony;
using bench::clock_ns;

constexpr int ticks = 10'000, rounds = 41;

double floor_ns(const std::vector<int>& fds) {
  std::int64_t sum = 0;
  const std::int64_t from = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < ticks; ++i) sum += bench::floor_tick(fds);
  const auto used = static_cast<double>(clock_ns(CLOCK_THREAD_CPUTIME_ID) - from);
  if (sum == 42) std::puts("");
  return used / ticks;
}

// The shortest interval there is: every deadline has passed when a tick ends, so the lane never sleeps.
double lane_ns(Machine& machine, Sensor& sensor, std::uint64_t& dropped) {
  LanePlan plan;
  plan.name = "fast";
  plan.interval = {1000};
  plan.sensors = {&sensor};
  for (std::uint32_t c = 0; c < sensor.channels().size(); ++c) plan.group.channels.push_back({c});
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

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string root = argv[1];
  const auto fds = bench::open_all(bench::make_packages(root, 20));
  auto machine = make_live_machine({.sysfs = root});
  Probe probe;
  for (const SensorRow& row : sensor_catalogue()) {
    if (row.name == "rapl") probe = row.make(*machine, {});
  }
  if (!probe.sensor || probe.sensor->channels().size() != 20) {
    std::fprintf(stderr, "bench_tick: the rapl sensor does not see 20 packages in %s\n", root.c_str());
    return 2;
  }
  std::vector<double> floor, lane, ratio;
  std::uint64_t dropped = 0;
  for (int round = 0; round < rounds; ++round) {  // neighbours in time: what slows one slows the other
    floor.push_back(floor_ns(fds));
    lane.push_back(lane_ns(*machine, *probe.sensor, dropped));
    ratio.push_back(lane.back() / floor.back());
  }
  std::printf(
      "{\"floor_ns\": %.1f, \"tick_ns\": %.1f, \"ratio\": %.3f, \"least_floor_ns\": %.1f, \"least_tick_ns\": %.1f, "
      "\"files\": 20, \"rounds\": %d, \"ticks\": %d, \"dropped\": %llu}\n",
      median(floor), median(lane), median(ratio), *std::min_element(floor.begin(), floor.end()),
      *std::min_element(lane.begin(), lane.end()), rounds, ticks, static_cast<unsigned long long>(dropped));
}
