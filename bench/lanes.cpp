// bench_lanes DIR: how late the fast lane's ticks begin (every 10 ms, 20 energy counters in DIR, which stands in for
// /sys), alone and beside a sensor whose every read blocks for 2 s; and how late a bare thread wakes that does nothing
// else, which is the machine's own timer noise. In turns; one JSON object on stdout: percentiles over all turns, in ns,
// and for each turn the 99th.
#include <sys/resource.h>
#include <algorithm>

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "recording.hpp"

namespace {

using namespace prony;
using bench::clock_ns;

constexpr std::int64_t interval_ns = 10'000'000, turn_ns = 2'500'000'000;
constexpr int turns = 5;

// A management controller that takes 2 s to answer; a turn that is over needs no answer any more.
class BlockingSensor final : public Sensor {
 public:
  BlockingSensor() {
    channels_[0].name = "bench.blocking.power";
    channels_[0].measure = Measure::power;
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    std::unique_lock lock(mutex_);
    ++reads_;
    over_.wait_for(lock, std::chrono::seconds(2), [&] { return is_over_; });
    out[0] = {1, Quality::ok};
  }
  void turn_over() {
    const std::scoped_lock lock(mutex_);
    is_over_ = true;
    over_.notify_all();
  }
  [[nodiscard]] int reads() {
    const std::scoped_lock lock(mutex_);
    return reads_;
  }

 private:
  std::array<Channel, 1> channels_;
  std::mutex mutex_;
  std::condition_variable over_;
  bool is_over_ = false;
  int reads_ = 0;
};

// The lane's own rule (a deadline that passed is not made up for), on the begins that it recorded. The first tick is
// made at once and begins the schedule.
void add_lateness(const std::vector<std::int64_t>& begins, std::vector<std::int64_t>& lateness) {
  std::int64_t deadline = begins.empty() ? 0 : begins.front();
  for (std::size_t i = 1; i < begins.size(); ++i) {
    const std::int64_t late = begins[i] - (deadline + interval_ns);
    lateness.push_back(late);
    deadline += interval_ns * (1 + std::max<std::int64_t>(0, late) / interval_ns);
  }
}

std::vector<std::int64_t> bare_thread() {
  std::vector<std::int64_t> begins{clock_ns(CLOCK_MONOTONIC)};
  std::int64_t next = begins.front();
  while (next < begins.front() + turn_ns) {
    next += interval_ns;
    const struct timespec until{next / 1'000'000'000, next % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    begins.push_back(clock_ns(CLOCK_MONOTONIC));
    next += std::max<std::int64_t>(0, begins.back() - next) / interval_ns * interval_ns;
  }
  return begins;
}

std::vector<std::int64_t> fast_lane(Machine& machine, const LanePlan& fast, BlockingSensor* blocking) {
  std::vector<LanePlan> plans{fast};
  if (blocking != nullptr) {
    LanePlan slow;
    slow.name = slow.group.name = "bench";
    slow.interval = slow.group.interval = {interval_ns};
    slow.sensors = {blocking};
    slow.group.id = {1};
    slow.group.channels = {{static_cast<std::uint32_t>(fast.group.channels.size())}};
    plans.push_back(std::move(slow));
  }
  auto sampler = Sampler::create(machine, std::move(plans));
  std::vector<std::int64_t> begins;
  const auto note = [&](std::unique_ptr<TickBlock> block) {
    for (std::size_t i = 0; block->group() == fast.group.id && i < block->ticks(); ++i)
      begins.push_back(block->begin(i).ns);
    sampler->recycle(std::move(block));
  };
  if (!sampler->start()) std::exit(2);
  const std::int64_t end = clock_ns(CLOCK_MONOTONIC) + turn_ns;
  while (clock_ns(CLOCK_MONOTONIC) < end) {
    if (auto block = sampler->take(milliseconds(200), milliseconds(500))) note(std::move(block));
  }
  if (blocking != nullptr) blocking->turn_over();
  sampler->stop();
  while (auto block = sampler->take({0}, {0})) note(std::move(block));
  begins.pop_back();  // the tick that stop() asks for is on no schedule
  return begins;
}

std::int64_t percentile(std::vector<std::int64_t> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

struct Kind {
  const char* name;
  std::vector<std::int64_t> all = {}, each_p99 = {};
  void add(const std::vector<std::int64_t>& begins) {
    std::vector<std::int64_t> turn;
    add_lateness(begins, turn);
    if (turn.empty()) std::exit(2);
    each_p99.push_back(percentile(turn, 0.99));
    all.insert(all.end(), turn.begin(), turn.end());
  }
  void print() const {
    std::printf("\"%s\": {\"p50\": %lld, \"p99\": %lld, \"worst\": %lld, \"ticks\": %zu, \"each_p99\": [", name,
                static_cast<long long>(percentile(all, 0.5)), static_cast<long long>(percentile(all, 0.99)),
                static_cast<long long>(percentile(all, 1)), all.size());
    for (std::size_t i = 0; i < each_p99.size(); ++i)
      std::printf("%s%lld", i > 0 ? ", " : "", static_cast<long long>(each_p99[i]));
    std::printf("]}, ");
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string root = argv[1];
  bench::make_packages(root, 20);
  auto machine = make_live_machine({.sysfs = root});
  const auto sensors = bench::open_rows(*machine, {"rapl"});
  const auto lane = bench::one_lane(sensors, {interval_ns});
  if (lane.channels.size() != 20) return 2;
  bench::wake_exactly();
  setpriority(PRIO_PROCESS, 0, -15);  // as the lane, where that is allowed: else neither goes first
  Kind bare{"bare"}, alone{"alone"}, beside{"beside"};
  int blocked = 0;
  for (int turn = 0; turn < turns; ++turn) {
    bare.add(bare_thread());
    alone.add(fast_lane(*machine, lane.plan, nullptr));
    BlockingSensor blocking;
    beside.add(fast_lane(*machine, lane.plan, &blocking));
    blocked += blocking.reads();
  }
  std::printf("{");
  for (const Kind* kind : {&bare, &alone, &beside}) kind->print();
  std::printf("\"turns\": %d, \"blocking_reads\": %d}\n", turns, blocked);
}
