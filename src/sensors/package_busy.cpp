#include "sensors/package_busy.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <mutex>
#include <vector>

#include "machine/names.hpp"

namespace prony {

namespace {

constexpr std::int64_t largest_cpu = 65535;
constexpr std::size_t bytes_per_cpu = 192;  // ten numbers of a machine that is up for years
constexpr Duration shortest_period = milliseconds(10);
constexpr Duration dear_read = Duration{100'000}, dear_period = milliseconds(100);
constexpr Duration very_dear_read = Duration{2'000'000};

class PackageBusySensor final : public Sensor {
 public:
  PackageBusySensor(Machine& machine, CpuPackages packages, std::unique_ptr<File> file, std::size_t cpus)
      : machine_(machine),
        packages_(std::move(packages)),
        file_(std::move(file)),
        buffer_(4096 + bytes_per_cpu * cpus),
        cpus_(cpus),
        sums_(packages_.count(), Sum{}) {
    const auto on = packages_.cpus();
    for (std::size_t place = 0; place < packages_.count(); ++place) {
      Channel channel;
      channel.id = {static_cast<std::uint32_t>(place)};
      channel.name = "cpu.busy." + packages_.name(place);
      channel.sensor = "cpu";
      channel.device = "/proc/stat";
      channel.domain = packages_.name(place);
      channel.measure = Measure::cpu_time;
      channel.kind = ChannelKind::counter;
      channel.scale = 0.01;
      channel.max_rate = 2 * on[place];
      channels_.push_back(std::move(channel));
    }
    const auto begin = machine_.now();
    ok_ = look(true);
    const auto cost = machine_.now() - begin;
    period_ = std::max(shortest_period, machine_.tick_period());
    if (cost > dear_read) period_ = std::max(period_, dear_period);
    if (cost > very_dear_read) lane_ = LaneKind::slow;
    for (Channel& channel : channels_) channel.update_period = period_;
  }

  [[nodiscard]] bool works() const noexcept { return ok_; }
  [[nodiscard]] LaneKind lane() const noexcept override { return lane_; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }

  void read(std::span<Reading> out) noexcept override {
    const std::lock_guard lock(mutex_);
    const auto now = machine_.now();
    if (now >= next_) {
      ok_ = look(false);
      failed_ = failed_ || !ok_;
      next_ = now + period_;
    }
    for (std::size_t i = 0; i < sums_.size(); ++i)
      out[i] = ok_ ? Reading{sums_[i].busy.count(), Quality::ok} : Reading{0, Quality::gap};
  }

  // Off the tick: the packages of CPUs that came are asked for.
  [[nodiscard]] std::vector<Event> changes() override {
    {
      const std::lock_guard lock(mutex_);
      if (!std::exchange(strangers_, false)) return {};
    }
    CpuPackages now = packages_;  // nobody else changes it
    now.see_newcomers(machine_);
    const std::lock_guard lock(mutex_);
    packages_ = std::move(now);
    return {};
  }

  [[nodiscard]] std::vector<Unavailable> complaints() override {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(failed_, false)) return {};
    return {{"cpu.busy." + packages_.name(0), "/proc/stat: cannot be read, or does not tell of each CPU", {}}};
  }

 private:
  struct Seen {
    std::int64_t ticks = -1;  // −1: not seen yet
    CpuTimes times;
  };
  struct Sum {  // of a package's CPUs; what those that left had counted stays in it
    std::int64_t ticks = 0;
    CpuTimes times;
    unsigned cpus = 0;  // at this look
    BusyByIdle busy{0.01, true};
  };

  // `first`: what CPUs used before counts, so that a counter begins where the kernel's do.
  bool look(bool first) noexcept {
    const auto got = file_->read(buffer_);
    if (got <= 0) {
      (void)file_->reopen();
      return false;
    }
    const std::string_view text(buffer_.data(), static_cast<std::size_t>(got));
    std::size_t at = text.find('\n');  // behind the line of all CPUs
    if (at == std::string_view::npos) return false;
    ++at;
    const auto now = machine_.now().ns;
    for (Sum& sum : sums_) sum.cpus = 0;
    std::size_t lines = 0;
    while (text.substr(at).starts_with("cpu")) {
      const auto line = next_cpu_line(text, at);
      if (!line) return false;
      ++lines;
      add(*line, first);
    }
    for (Sum& sum : sums_) {
      sum.busy.move(sum.ticks);
      sum.busy.see(now, sum.times, sum.cpus);
    }
    return lines > 0;
  }
  void add(const CpuLine& line, bool first) noexcept {
    if (static_cast<std::size_t>(line.cpu) >= cpus_.size()) return;
    Seen& seen = cpus_[static_cast<std::size_t>(line.cpu)];
    const auto place = packages_.place_of(line.cpu);
    if (!place) {
      strangers_ = true;
      return;
    }
    Sum& sum = sums_[*place];
    ++sum.cpus;
    const std::int64_t before = seen.ticks >= 0 ? seen.ticks : first ? 0 : line.ticks;
    sum.ticks += std::max<std::int64_t>(0, line.ticks - before);
    if (seen.ticks >= 0) {
      sum.times.not_busy += line.times.not_busy - seen.times.not_busy;
      sum.times.all += line.times.all - seen.times.all;
    }
    seen = {line.ticks, line.times};
  }

  Machine& machine_;
  CpuPackages packages_;
  std::unique_ptr<File> file_;
  std::vector<char> buffer_;
  std::vector<Seen> cpus_;
  std::vector<Sum> sums_;
  std::vector<Channel> channels_;
  LaneKind lane_ = LaneKind::fast;
  Duration period_;
  Instant next_;
  bool ok_ = false, failed_ = false, strangers_ = false;
  std::mutex mutex_;
};

// One more than the largest number that a CPU can have here.
std::size_t possible_cpus(Machine& machine) {
  std::size_t most = 0;
  for (const char* name : {"possible", "online"}) {
    const auto text = machine.read_text(std::string("/sys/devices/system/cpu/") + name);
    const auto list = text ? cpus_of_list(*text) : std::nullopt;
    if (list)
      for (const unsigned cpu : *list) most = std::max<std::size_t>(most, cpu + 1);
  }
  return most;
}

}  // namespace

std::optional<CpuLine> next_cpu_line(std::string_view text, std::size_t& at) noexcept {
  const auto end = text.find('\n', at);
  if (end == std::string_view::npos || !text.substr(at).starts_with("cpu")) return std::nullopt;
  // cpuN user nice system idle iowait irq softirq …; guest is inside user.
  static constexpr std::array<bool, 9> busy{false, true, true, true, false, false, true, true, false};
  CpuLine line;
  const char* next = text.data() + at + 3;
  const char* const last = text.data() + end;
  for (std::size_t field = 0; field < busy.size(); ++field) {
    while (next != last && *next == ' ') ++next;
    std::int64_t value = 0;
    const auto parsed = std::from_chars(next, last, value);
    if (parsed.ec != std::errc{} || value < 0 || value > largest_busy_count) return std::nullopt;
    if (parsed.ptr != last && *parsed.ptr != ' ') return std::nullopt;
    next = parsed.ptr;
    if (field == 0) line.cpu = value;
    if (field == 0) continue;
    (busy[field] ? line.ticks : line.times.not_busy) += value;
  }
  line.times.all = line.ticks + line.times.not_busy;
  if (line.cpu > largest_cpu) return std::nullopt;
  at = end + 1;
  return line;
}

std::unique_ptr<Sensor> make_package_busy(Machine& machine, std::vector<Unavailable>& unavailable) {
  auto packages = CpuPackages::of(machine);
  if (!packages.several()) return nullptr;
  const std::string name = "cpu.busy." + packages.name(0);
  auto file = machine.open("/proc/stat");
  if (!file) {
    unavailable.push_back({name, file.error().where + ": " + file.error().what, file.error().fix});
    return nullptr;
  }
  auto sensor =
      std::make_unique<PackageBusySensor>(machine, std::move(packages), std::move(*file), possible_cpus(machine));
  if (sensor->works()) return sensor;
  unavailable.push_back({name, "/proc/stat does not tell the times of each CPU, so the packages' are not known", {}});
  return nullptr;
}

}  // namespace prony
