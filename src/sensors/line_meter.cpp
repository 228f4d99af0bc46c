// line-meter: a meter that writes lines: a program that is started for it, a serial port, a file that grows.
// reads       whatever --meter exec:, serial:, file: names, with a map of its columns; each line gets the time at which
// it
//             was read, by a thread of its own
// gives       power: the mean of the lines since the last tick, or the newest line; energy where the meter counts
// itself period      how far apart lines were in the first seconds;  wrap none: a smaller count is a reset privilege
// that of the program, port or file part_of     nothing; what the machine itself measures is part of it
// (sensors/wall.hpp) lane        fast: a tick takes what the thread has left, and waits for nobody source
// sensors/line_map.hpp
#include <pthread.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>

#include "base/interruptible.hpp"
#include "base/text.hpp"
#include "machine/lines.hpp"
#include "sensors/line_map.hpp"
#include "sensors/meter_rows.hpp"
#include "sensors/wall.hpp"

namespace prony {

namespace {

constexpr Duration first_lines = milliseconds(3000);   // how long a meter may take to say something
constexpr Duration pace_watched = milliseconds(1000);  // how long its pace is watched
constexpr Duration shortest_silence = milliseconds(2000);
constexpr double watt_counts = 1000, joule_counts = 1000;  // mW, mJ
constexpr std::uint64_t most_lines_per_s = 20'000;
constexpr std::size_t burst = 8;

// What the reading thread leaves for the tick. One writer, one reader, neither ever waits (a sequence lock of atomics).
struct Left {
  std::int64_t sum = 0, count = 0, newest = 0, energy = 0, at_ns = 0;
};
class Drop {
 public:
  void put(const Left& left) noexcept {
    const auto sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    const std::array<std::int64_t, 5> values{left.sum, left.count, left.newest, left.energy, left.at_ns};
    for (std::size_t i = 0; i < values.size(); ++i) values_[i].store(values[i], std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
  }
  // Empty: it is being written just now.
  [[nodiscard]] std::optional<Left> take() const noexcept {
    for (int tries = 0; tries < 4; ++tries) {
      const auto before = sequence_.load(std::memory_order_acquire);
      std::array<std::int64_t, 5> v{};
      for (std::size_t i = 0; i < v.size(); ++i) v[i] = values_[i].load(std::memory_order_acquire);
      if (before % 2 == 0 && sequence_.load(std::memory_order_relaxed) == before)
        return Left{v[0], v[1], v[2], v[3], v[4]};
    }
    return std::nullopt;
  }

 private:
  std::atomic<std::uint64_t> sequence_{0};
  std::array<std::atomic<std::int64_t>, 5> values_{};
};

class LineMeter final : public Sensor, public Interruptible {
 public:
  LineMeter(Machine& machine, Meter meter, LineMap map, std::unique_ptr<LineSource> source)
      : machine_(machine), meter_(std::move(meter)), parser_(std::move(map)), source_(std::move(source)) {}
  ~LineMeter() override {
    source_->interrupt();
    if (thread_.joinable()) thread_.join();
  }
  LineMeter(const LineMeter&) = delete;
  LineMeter& operator=(const LineMeter&) = delete;

  [[nodiscard]] Result<void> begin(bool alone);
  void take_header(std::string_view text) {
    parser_.feed(text, [](const LineReading&) {});
    if (parser_.half_line_left()) parser_.feed("\n", [](const LineReading&) {});
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void interrupt() noexcept override { source_->interrupt(); }

  void read(std::span<Reading> out) noexcept override {
    std::ranges::fill(out, Reading{});
    const auto now = drop_.take();
    if (!now || now->at_ns == 0 || machine_.now().ns - now->at_ns > silence_.ns) return;
    const std::int64_t lines = now->count - seen_.count;
    std::size_t next = 0;
    if (parser_.map().power()) out[next++] = {lines > 0 ? (now->sum - seen_.sum) / lines : now->newest, Quality::ok};
    if (parser_.map().energy()) out[next] = {now->energy, Quality::ok};
    seen_ = *now;
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    const std::lock_guard lock(mutex_);
    if (!trouble_) return {};
    const Error error = *std::exchange(trouble_, std::nullopt);
    std::vector<Unavailable> told;
    for (const Channel& channel : channels_)
      told.push_back({channel.name, printable(meter_.address, 80) + ": " + error.what, error.fix});
    return told;
  }

 private:
  void listen() noexcept;
  void take(const LineReading& reading, Instant at);
  [[nodiscard]] Result<std::size_t> hear(std::span<char> buffer, Duration wait);
  void tell(Error error) {
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(error);
  }

  Machine& machine_;
  Meter meter_;
  LineParser parser_;
  std::unique_ptr<LineSource> source_;
  std::vector<Channel> channels_;
  Duration silence_ = shortest_silence;
  Drop drop_;
  Left left_, seen_;                     // the thread's; the tick's
  FinestStep watts_step_, joules_step_;  // of the lines heard so far; told of those that came before the first tick
  std::mutex mutex_;
  std::optional<Error> trouble_;
  std::thread thread_;
};

void LineMeter::take(const LineReading& reading, Instant at) {
  watts_step_.see(reading.watts_step);
  joules_step_.see(reading.joules_step);
  if (reading.watts) {
    left_.newest = std::llround(*reading.watts * watt_counts);
    left_.sum += left_.newest;
  }
  if (reading.joules) left_.energy = std::llround(*reading.joules * joule_counts);
  ++left_.count;
  left_.at_ns = at.ns;
}

// What came at one read has one time: that of the read.
Result<std::size_t> LineMeter::hear(std::span<char> buffer, Duration wait) {
  const auto got = source_->read(buffer, wait);
  if (!got || *got == 0) return got;
  const Instant at = machine_.now();
  std::size_t readings = 0;
  parser_.feed({buffer.data(), *got}, [&](const LineReading& reading) {
    take(reading, at);
    ++readings;
  });
  if (readings > 0) drop_.put(left_);
  return readings;
}

// Until the source ends. A flood is read no faster than it can be of use: the writer waits then.
void LineMeter::listen() noexcept {
  std::array<char, 16384> buffer;
  std::size_t bursts = 0;
  std::uint64_t since = 0;
  Instant second = machine_.now();
  for (;;) {
    const auto heard = hear(buffer, milliseconds(500));
    if (!heard) {
      tell(heard.error());
      return;
    }
    since += *heard;
    bursts = *heard > burst ? bursts + 1 : 0;
    if (bursts == 5)
      tell({ErrorCode::transient,
            "its lines come many at a time, so their times are those of the last",
            {},
            "A program that writes to no terminal holds lines back; run it as:  exec:stdbuf -oL PROGRAM"});
    if (machine_.now() - second > milliseconds(1000)) {
      since = 0;
      second = machine_.now();
    } else if (since > most_lines_per_s) {
      tell({ErrorCode::full, "more than 20000 lines a second: they are read no faster", {}, {}});
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

Result<void> LineMeter::begin(bool alone) {
  std::array<char, 16384> buffer;
  const Instant begin = machine_.now();
  Instant first, last;
  std::size_t times = 0;
  while (machine_.now() - begin < first_lines && (times < 2 || machine_.now() - first < pace_watched)) {
    const auto heard = hear(buffer, milliseconds(200));
    if (!heard) return Unexpected<Error>(heard.error());
    if (*heard > 0 && times++ == 0) first = machine_.now();
    if (*heard > 0) last = machine_.now();
    // A simulated clock does not move while it is read.
    if (machine_.kind() == MachineKind::simulated && *heard == 0) break;
  }
  if (times == 0 && parser_.lines() == 0 && meter_.kind != MeterKind::file)
    return fail(ErrorCode::transient, "wrote no line within 3 s", meter_.address,
                meter_.kind == MeterKind::serial ? "Is its baud rate right?  #baud=115200" : "");
  if (times == 0 && parser_.passed_over() > 0 && meter_.kind != MeterKind::file)
    return fail(ErrorCode::malformed, "no reading in its lines, such as '" + parser_.last_passed_over() + "'",
                meter_.address, "Say which column is what:  #watts=2  (`prony help meters`)");
  const Duration period = times > 1 ? Duration{(last - first).ns / static_cast<std::int64_t>(times - 1)} : Duration{};
  silence_ = std::max(shortest_silence, 5 * period);
  const auto add = [&](std::string_view what, Measure measure, double counts, const FinestStep& step) {
    Channel channel = meter_channel(meter_, "line-meter", what, measure, alone);
    channel.id = {static_cast<std::uint32_t>(channels_.size())};
    channel.scale = 1 / counts;
    channel.resolution = step.in_counts(counts);
    channel.update_period = 2 * period;  // as long as one line may be in coming
    channels_.push_back(std::move(channel));
  };
  if (parser_.map().power()) add("power", Measure::power, watt_counts, watts_step_);
  if (parser_.map().energy()) add("energy", Measure::energy, joule_counts, joules_step_);
  if (channels_.size() == 2) channels_[1].coverage_known = false;  // the same joules again
  thread_ = std::thread([this] { listen(); });
  ::pthread_setname_np(thread_.native_handle(), "prony-meter");
  return {};
}

Result<std::unique_ptr<Sensor>> open_line_meter(Machine& machine, MeterPort& port, const Meter& meter, bool alone) {
  auto map = line_map_of(meter);
  if (!map) return Unexpected<Error>(map.error());
  LineRequest request;
  request.kind = meter.kind == MeterKind::serial ? LineRequest::Kind::serial
                 : meter.kind == MeterKind::file ? LineRequest::Kind::file
                                                 : LineRequest::Kind::program;
  request.target = meter.address;
  if (meter.has("baud")) {
    const auto baud = parse_u64(meter.option("baud"));
    request.baud = baud && *baud < 10'000'000 ? static_cast<unsigned>(*baud) : 0;
  }
  auto source = port.open_lines(request);
  if (!source) return Unexpected<Error>(source.error());
  auto sensor = std::make_unique<LineMeter>(machine, meter, std::move(*map), std::move(*source));
  // Its header stands where it was begun.
  if (meter.kind == MeterKind::file)
    if (const auto head = machine.read_text(meter.address)) sensor->take_header(*head);
  if (auto begun = sensor->begin(alone); !begun) return Unexpected<Error>(begun.error());
  return sensor;
}

}  // namespace

Probe make_line_meter(Machine& machine, const SensorOptions& /*options*/) {
  return open_meters(
      machine, "line-meter", [](const Meter& meter) { return meter.lines(); },
      [&](MeterPort& port, const Meter& meter, bool alone) { return open_line_meter(machine, port, meter, alone); });
}

}  // namespace prony
