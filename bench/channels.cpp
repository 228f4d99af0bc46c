// bench_channels DIR RUN TURNS < FILES: one tick over all the files named on stdin (one a line, all in DIR, which
// stands in for /sys), the floor's and Prony's own, in turns. Prony: the sensors of the catalogue that read those
// files, in one lane. Two ways: every 10 ms, CPU of the whole process, with and without a Run file behind it; and back
// to back, CPU of the reading thread. One JSON object on stdout: an array of shares or of ns per way, one value a turn.
#include <iostream>

#include "recording.hpp"

namespace {

using namespace prony;

constexpr std::int64_t interval_ns = 10'000'000, turn_ns = 1'000'000'000;
constexpr int ticks = 1000;

void print(const char* name, const std::vector<double>& values, double scale, const char* after) {
  std::printf("\"%s\": [", name);
  for (std::size_t i = 0; i < values.size(); ++i) std::printf("%s%.4f", i ? ", " : "", values[i] * scale);
  std::printf("]%s", after);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int turns = std::atoi(argv[3]);
  std::vector<std::string> paths;
  for (std::string line; std::getline(std::cin, line);) paths.push_back(line);
  const auto fds = bench::open_all(paths);
  auto machine = make_live_machine({.sysfs = argv[1]});
  const auto sensors = bench::open_rows(*machine, {"rapl", "hwmon", "hwmon-climate", "thermal", "cpufreq"});
  const auto lane = bench::one_lane(sensors, {interval_ns});
  if (paths.empty() || lane.channels.size() != paths.size()) {
    std::fprintf(stderr, "bench_channels: %zu files, but the sensors see %zu channels in %s\n", paths.size(),
                 lane.channels.size(), argv[1]);
    return 2;
  }
  bench::wake_exactly();
  std::vector<double> floor, lane_only, recorded, floor_hot, lane_hot;
  std::uint64_t dropped = 0, missed = 0, made = 0;
  for (int turn = 0; turn < turns; ++turn) {  // neighbours in time: what slows one slows the other
    LaneStats stats;
    floor.push_back(bench::floor_share(fds, interval_ns, turn_ns));
    lane_only.push_back(bench::record_share(*machine, lane, turn_ns, "", stats));
    recorded.push_back(bench::record_share(*machine, lane, turn_ns, argv[2], stats));
    missed += stats.missed;
    made += stats.ticks;
    floor_hot.push_back(bench::floor_ns(fds, ticks));
    lane_hot.push_back(bench::lane_ns(*machine, lane.plan, ticks, dropped));
  }
  std::printf("{");
  print("floor_percent", floor, 100, ", ");
  print("lane_percent", lane_only, 100, ", ");
  print("record_percent", recorded, 100, ", ");
  print("floor_tick_ns", floor_hot, 1, ", ");
  print("tick_ns", lane_hot, 1, ", ");
  std::printf("\"files\": %zu, \"missed\": %llu, \"ticks\": %llu, \"dropped\": %llu}\n", paths.size(),
              static_cast<unsigned long long>(missed), static_cast<unsigned long long>(made),
              static_cast<unsigned long long>(dropped));
}
