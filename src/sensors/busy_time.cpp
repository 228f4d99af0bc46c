#include "sensors/busy_time.hpp"

#include <array>
#include <atomic>
#include <charconv>

#include "base/text.hpp"
#include "machine/names.hpp"
#include "sensors/retry_pause.hpp"

namespace prony {

namespace {

// USER_HZ is part of the kernel's ABI, 100 on every machine Prony is built for; it is not the kernel's own HZ.
constexpr double user_hz = 100;
constexpr std::int64_t online_every_ns = 1'000'000'000;
// Of /proc/stat beside cpu.stat: at most so often, and at most 1/1000 of the time.
constexpr std::int64_t times_every_ns = 100'000'000, times_cost_factor = 1000;

std::optional<std::int64_t> number_at(std::string_view text, std::size_t& at) noexcept {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + at, end, value);
  // A number that runs into the end of the buffer may have been cut.
  if (error != std::errc{} || stop == end || value < 0 || value > largest_busy_count) return std::nullopt;
  at = static_cast<std::size_t>(stop - text.data());
  return value;
}

std::optional<std::int64_t> value_of_line(std::string_view text, std::string_view key) noexcept {
  for (std::size_t line = 0; line < text.size();) {
    if (text.substr(line).starts_with(key) && text.size() > line + key.size() && text[line + key.size()] == ' ') {
      std::size_t at = line + key.size() + 1;
      const auto value = number_at(text, at);
      if (!value || text[at] != '\n') return std::nullopt;
      return value;
    }
    const auto end = text.find('\n', line);
    if (end == std::string_view::npos) break;
    line = end + 1;
  }
  return std::nullopt;
}

// In a container /sys/fs/cgroup may be the container's own group: only the true root has no cgroup.events.
bool is_root_group(Machine& machine, const std::string& directory) {
  return machine.exists(directory + "/cgroup.procs") && !machine.exists(directory + "/cgroup.events") &&
         !machine.exists(directory + "/cgroup.type");
}

}  // namespace

std::optional<std::int64_t> busy_usec_of_cpu_stat(std::string_view text) noexcept {
  // Not usage_usec: some kernels count stolen time into the root's.
  const auto user = value_of_line(text, "user_usec");
  const auto system = value_of_line(text, "system_usec");
  if (!user || !system) return std::nullopt;
  return *user + *system;
}

std::optional<std::int64_t> busy_ticks_of_proc_stat(std::string_view text) noexcept {
  // cpu  user nice system idle iowait irq softirq steal guest guest_nice; guest is inside user.
  static constexpr std::array<bool, 7> busy{true, true, true, false, false, true, true};
  if (!text.starts_with("cpu ")) return std::nullopt;
  std::size_t at = 4;
  std::int64_t sum = 0;
  for (const bool counts : busy) {
    while (at < text.size() && text[at] == ' ') ++at;
    const auto value = number_at(text, at);
    if (!value || (text[at] != ' ' && text[at] != '\n')) return std::nullopt;
    if (counts) sum += *value;
  }
  return sum;
}

Result<BusyTime> BusyTime::open(Machine& machine) {
  BusyTime busy;
  busy.machine_ = &machine;
  busy.tick_ = machine.tick_period();
  for (const char* directory : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (!is_root_group(machine, directory)) continue;
    const auto path = std::string(directory) + "/cpu.stat";
    const auto text = machine.read_text(path);
    if (!text || !busy_usec_of_cpu_stat(*text + "\n")) continue;
    auto file = machine.open(path);
    if (!file) continue;
    busy.file_ = std::move(*file);
    busy.path_ = path;
    busy.cgroup_ = true;
    busy.open_idle_times();
    return busy;
  }
  auto file = machine.open("/proc/stat");
  if (!file) return Unexpected<Error>(file.error());
  busy.file_ = std::move(*file);
  busy.path_ = "/proc/stat";
  if (busy.read().quality == Quality::gap)
    return fail(ErrorCode::malformed, "its first line is not the CPU times of all CPUs", "/proc/stat");
  busy.open_idle_times();
  return busy;
}

void BusyTime::open_idle_times() {
  by_idle_.emplace(cgroup_ ? 1e-6 : 1 / user_hz, !cgroup_);
  cpus_ = machine_->cpu_count();
  if (cgroup_)
    if (auto times = machine_->open("/proc/stat")) times_ = std::move(*times);
  if (auto online = machine_->open("/sys/devices/system/cpu/online")) online_ = std::move(*online);
}

void BusyTime::see_idle_times(std::string_view proc_stat) noexcept {
  const auto now = machine_->now().ns;
  if (online_ && now >= next_online_ns_) {
    next_online_ns_ = now + online_every_ns;
    std::array<char, 512> buffer;
    const auto count = online_->read(buffer);
    if (const auto online = count_cpu_list(trim({buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0})))
      cpus_ = *online;
  }
  if (const auto times = cpu_times_of_proc_stat(proc_stat))
    by_idle_->see(now, *times, cpus_);
  else
    by_idle_->lose();
}

// cpu.stat does not hold them.
void BusyTime::read_idle_times() noexcept {
  std::array<char, 512> buffer;
  const auto before = machine_->now().ns;
  const auto count = times_->read(buffer);
  const auto after = machine_->now().ns;
  next_times_ns_ = after + std::max(times_every_ns, times_cost_factor * (after - before));
  see_idle_times({buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0});
}

Reading BusyTime::read() noexcept {
  std::array<char, 512> buffer;  // what is summed stands in the first lines of either file
  const auto count = file_->read(buffer);
  if (count > 0) {
    const std::string_view text(buffer.data(), static_cast<std::size_t>(count));
    const auto value = cgroup_ ? busy_usec_of_cpu_stat(text) : busy_ticks_of_proc_stat(text);
    if (value && !by_idle_) return {*value, Quality::ok};
    if (value) {
      by_idle_->move(*value);
      if (!cgroup_)
        see_idle_times(text);
      else if (times_ && machine_->now().ns >= next_times_ns_)
        read_idle_times();
      return {by_idle_->count(), Quality::ok};
    }
  } else if (const auto now = machine_->now().ns; now >= next_reopen_ns_) {
    next_reopen_ns_ = now + reopen_pause_ns;
    (void)file_->reopen();
  }
  return {0, Quality::gap};
}

void BusyTime::describe(Channel& channel, unsigned cpus) const {
  channel.kind = ChannelKind::counter;
  channel.scale = cgroup_ ? 1e-6 : 1 / user_hz;
  channel.update_period = cgroup_ ? tick_ : std::max(tick_, milliseconds(10));
  channel.resolution = cgroup_ ? static_cast<double>(tick_.ns) * 1e-3 : 1;
  channel.device = path_;
  // CPU seconds per second; twice the CPUs, because a tick may bring two ticks' worth.
  channel.max_rate = 2.0 * cpus;
}

namespace {

class BusySensor final : public Sensor {
 public:
  BusySensor(BusyTime busy, Channel channel, unsigned cpus) : busy_(std::move(busy)), channel_(std::move(channel)) {
    busy_.describe(channel_, cpus);
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return {&channel_, 1}; }
  void read(std::span<Reading> out) noexcept override {
    out[0] = busy_.read();
    failing_.store(out[0].quality == Quality::gap, std::memory_order_relaxed);
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    if (!failing_.load(std::memory_order_relaxed)) return {};
    return {{channel_.name, busy_.path() + ": cannot be read, or is not the CPU times it should hold", {}}};
  }

 private:
  BusyTime busy_;
  Channel channel_;
  std::atomic<bool> failing_ = false;
};

}  // namespace

Probe make_busy_sensor(Machine& machine, Channel channel) {
  Probe probe;
  auto busy = BusyTime::open(machine);
  if (!busy) {
    probe.unavailable.push_back({channel.sensor, busy.error().where + ": " + busy.error().what, busy.error().fix});
    return probe;
  }
  probe.sensor = std::make_unique<BusySensor>(std::move(*busy), std::move(channel), machine.cpu_count());
  return probe;
}

}  // namespace prony
