// bench_tick DIR: CPU time of one tick over 20 files, the floor's and Prony's own (live machine, rapl sensor, sampler
// lane, block hand-over), in turns of 10 000 ticks each; the ratio is the median over the turns. DIR should be on
// tmpfs. One JSON object on stdout.
#include <algorithm>

#include "recording.hpp"

namespace {

using namespace prony;

constexpr int ticks = 10'000, rounds = 41;

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
  const auto sensors = bench::open_rows(*machine, {"rapl"});
  const auto one = bench::one_lane(sensors, milliseconds(1));
  if (one.channels.size() != fds.size()) {
    std::fprintf(stderr, "bench_tick: the rapl sensor does not see 20 packages in %s\n", root.c_str());
    return 2;
  }
  std::vector<double> floor, lane, ratio;
  std::uint64_t dropped = 0;
  for (int round = 0; round < rounds; ++round) {  // neighbours in time: what slows one slows the other
    floor.push_back(bench::floor_ns(fds, ticks));
    lane.push_back(bench::lane_ns(*machine, one.plan, ticks, dropped));
    ratio.push_back(lane.back() / floor.back());
  }
  std::printf(
      "{\"floor_ns\": %.1f, \"tick_ns\": %.1f, \"ratio\": %.3f, \"least_floor_ns\": %.1f, \"least_tick_ns\": %.1f, "
      "\"files\": 20, \"rounds\": %d, \"ticks\": %d, \"dropped\": %llu}\n",
      median(floor), median(lane), median(ratio), *std::min_element(floor.begin(), floor.end()),
      *std::min_element(lane.begin(), lane.end()), rounds, ticks, static_cast<unsigned long long>(dropped));
}
