// bench_record live DIR SECONDS RUN: the floor's loop and a full recording (sampler, rapl sensor, Run file), each at 1
// kHz ×
//   20 files, one after the other; CPU of the whole process in % of one core.
// bench_record sleep SECONDS: CPU of a thread that does nothing but sleep to every 10 ms, in % of one core.
// bench_record bytes INTERVAL_NS TICKS RUN: a Run of made-up ticks × 20 energy counters. Input: 30 000 µJ ± uniform
// noise of
//   256 µJ per ms and channel (8 bits that no coder can save), time stamps with 16 µs of uniform jitter (14 bits a
//   tick). One request a second.
#include <cmath>
#include <random>

#include "recording.hpp"

namespace {

using namespace prony;
using bench::clock_ns;

int live(const std::string& root, double seconds, const std::string& run) {
  const auto fds = bench::open_all(bench::make_packages(root, 20));
  auto machine = make_live_machine({.sysfs = root});
  const auto sensors = bench::open_rows(*machine, {"rapl"});
  const auto lane = bench::one_lane(sensors, milliseconds(1));
  if (lane.channels.size() != fds.size()) return 2;
  const auto length = static_cast<std::int64_t>(seconds * 1e9);
  LaneStats stats;
  bench::wake_exactly();
  const double floor = bench::floor_share(fds, 1'000'000, length);
  const double share = bench::record_share(*machine, lane, length, run, stats);
  std::printf("{\"floor_percent\": %.3f, \"record_percent\": %.3f, \"ticks\": %llu, \"missed\": %llu}\n", floor * 100,
              share * 100, static_cast<unsigned long long>(stats.ticks), static_cast<unsigned long long>(stats.missed));
  return 0;
}

int sleep_only(double seconds) {
  bench::wake_exactly();
  const double share = bench::floor_share({}, 10'000'000, static_cast<std::int64_t>(seconds * 1e9));
  std::printf("{\"sleep_percent\": %.3f}\n", share * 100);
  return 0;
}

// A request of half a second in each second of the Run, so that reading it back has energies to charge.
void add_requests(Recorder& recorder, Interval run) {
  const auto add = [&](std::uint64_t id, SpanKind kind, Interval interval) {
    Span span;
    span.id = {id};
    if (id > 1) span.parent = {1};
    span.kind = kind;
    span.name = "made-up";
    span.interval = interval;
    if (!recorder.add_span(span)) std::exit(2);
  };
  add(1, SpanKind::run, run);
  std::uint64_t id = 1;
  for (Instant at = run.begin; at + milliseconds(500) < run.end; at = at + milliseconds(1000))
    add(++id, SpanKind::request, {at, at + milliseconds(500)});
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
  auto recorder = bench::open_run(run, channels, group);
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::int64_t> noise(-128, 127), jitter(0, 16'383);
  std::vector<Reading> readings(count, {1'000'000, Quality::ok});
  TickBlock block(group.id, count, 512);
  std::int64_t at = clock_ns(CLOCK_MONOTONIC);
  const std::int64_t from = at;
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
  add_requests(*recorder, {{from}, {at}});
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
