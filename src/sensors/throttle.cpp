// throttle: how often and how long the processors were slowed by heat, and limits of clock and power below the
// hardware's own.
// reads       cpu*/thermal_throttle/{core,package}_throttle_{count,total_time_ms} (Intel; the time since Linux 5.5),
//             once per core and per package; policies whose scaling_max_freq is below cpuinfo_max_freq
// unit        1 (counter), ms of one core or package (counter), policies (gauge)
// states      throttling that begins and ends; scaling_max_freq and bios_limit of at most 16 policies evenly; power
// limits of
//             powercap constraints and hwmon chips (power*_cap): each change is an event (limit)
// period      at the processor's interrupt;  wrap never;  privilege none;  part_of nothing
// bound       cores are one sum; of the files that Prony may open (`ulimit -Hn`) three eighths at most:
//             above it without the cores' times, then without the cores
// source      Documentation/ABI/testing/sysfs-devices-system-cpu, Documentation/power/powercap, cpufreq.rst
#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <set>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/hwmon_chips.hpp"
#include "sensors/rows.hpp"
#include "sensors/state_watch.hpp"
#include "sensors/sum_sensor.hpp"

namespace prony {

namespace {

constexpr std::size_t most_policies = 512;         // a kept-open file each
constexpr std::size_t most_policies_watched = 16;  // looked at as text, which opens them every time
constexpr std::size_t most_limits_watched = 32;
constexpr int calm_calls = 10;  // looks without a new count after which throttling is over

Channel throttle_channel(const std::string& domain, Measure measure) {
  Channel channel;
  channel.sensor = "throttle";
  channel.device = "thermal_throttle";
  channel.domain = domain;
  channel.name = "throttle." + domain + (measure == Measure::time ? ".time" : ".count");
  channel.measure = measure;
  channel.kind = ChannelKind::counter;
  channel.scale = measure == Measure::time ? 1e-3 : 1;
  return channel;
}

std::string clock_text(std::string_view khz) {
  const auto value = parse_u64(khz);
  return value ? format_number(static_cast<double>(*value) * 1e-6) + " GHz" : printable(khz, 40);
}
std::string power_text(std::string_view microwatts) {
  const auto value = parse_u64(microwatts);
  return value ? format_number(static_cast<double>(*value) * 1e-6) + " W" : printable(microwatts, 40);
}

// Counters of one domain, as last read; shared by the tick and by changes().
struct Episode {
  std::string domain;
  std::size_t count_at = 0;            // channel of the count
  std::optional<std::size_t> time_at;  // and of the time
  std::atomic<std::int64_t> count{-1}, time_ms{-1};
  std::int64_t told_count = -1, begin_count = 0, begin_time_ms = 0;
  int calm = 0;
  bool running = false;
};

class ThrottleSensor final : public Sensor {
 public:
  ThrottleSensor(Machine& machine, std::unique_ptr<Sensor> counters, std::vector<IntegerFile> limits,
                 std::vector<std::int64_t> hardware, StateWatch watch)
      : machine_(machine),
        counters_(std::move(counters)),
        limits_(std::move(limits)),
        hardware_(std::move(hardware)),
        watch_(std::move(watch)) {
    if (counters_) channels_.assign(counters_->channels().begin(), counters_->channels().end());
    for (std::size_t i = 0; i < channels_.size(); ++i) {
      if (channels_[i].measure == Measure::count) {
        episodes_.push_back(std::make_unique<Episode>());
        episodes_.back()->domain = channels_[i].domain;
        episodes_.back()->count_at = i;
      } else if (!episodes_.empty() && episodes_.back()->domain == channels_[i].domain) {
        episodes_.back()->time_at = i;
      }
    }
    if (limits_.empty()) return;
    Channel limited;
    limited.id = {static_cast<std::uint32_t>(channels_.size())};
    limited.sensor = "throttle";
    limited.device = std::to_string(limits_.size()) + " policies";
    limited.domain = "clock-limit";
    limited.name = "throttle.clock-limited.policies";
    limited.measure = Measure::count;
    channels_.push_back(std::move(limited));
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::slow; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }

  void read(std::span<Reading> out) noexcept override {
    if (counters_) counters_->read(out.first(counters_->channels().size()));
    for (const auto& episode : episodes_) {
      const Reading& count = out[episode->count_at];
      if (count.quality != Quality::gap) episode->count.store(count.raw, std::memory_order_relaxed);
      if (episode->time_at && out[*episode->time_at].quality != Quality::gap)
        episode->time_ms.store(out[*episode->time_at].raw, std::memory_order_relaxed);
    }
    if (limits_.empty()) return;
    Reading limited{0, Quality::ok};
    for (std::size_t i = 0; i < limits_.size(); ++i) {
      const auto limit = limits_[i].read();
      if (limit.quality == Quality::gap) limited.quality = Quality::gap;
      limited.raw += limit.raw < hardware_[i] ? 1 : 0;
    }
    out.back() = limited.quality == Quality::gap ? Reading{} : limited;
  }

  [[nodiscard]] std::vector<Event> changes() override {
    auto events = watch_.changes();
    for (const auto& episode : episodes_) follow(*episode, events);
    return events;
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    auto result = counters_ ? counters_->complaints() : std::vector<Unavailable>{};
    for (auto& limit : limits_)
      if (const auto fault = limit.take_fault())
        result.push_back({channels_.back().name, fault->where + ": " + fault->what, fault->fix});
    return result;
  }

 private:
  void follow(Episode& episode, std::vector<Event>& events) const {
    const auto count = episode.count.load(std::memory_order_relaxed);
    const auto time_ms = episode.time_ms.load(std::memory_order_relaxed);
    if (count < 0) return;
    if (episode.told_count < 0) episode.told_count = count;  // what was before the Run is not the Run's
    const bool more = count > episode.told_count;
    if (more && !episode.running) {
      episode.running = true;
      episode.begin_count = episode.told_count;
      episode.begin_time_ms = time_ms;
      events.push_back({machine_.now(), "throttle", "throttle." + episode.domain,
                        "slowed by heat: the processor's limit of temperature was reached"});
    }
    episode.calm = more ? 0 : episode.calm + 1;
    if (episode.running && episode.calm >= calm_calls) {
      episode.running = false;
      auto text = "no longer slowed by heat, after " + std::to_string(count - episode.begin_count) + " times";
      if (time_ms > episode.begin_time_ms && episode.begin_time_ms >= 0)
        text += ", at least " + std::to_string(time_ms - episode.begin_time_ms) + " ms";
      events.push_back({machine_.now(), "throttle", "throttle." + episode.domain, std::move(text)});
    }
    episode.told_count = count;
  }

  Machine& machine_;
  std::unique_ptr<Sensor> counters_;
  std::vector<IntegerFile> limits_;
  std::vector<std::int64_t> hardware_;
  StateWatch watch_;
  std::vector<Channel> channels_;
  std::vector<std::unique_ptr<Episode>> episodes_;
};

// Files of one CPU per core and one per package; all CPUs of a core show the same count.
std::unique_ptr<Sensor> heat_counters(Machine& machine, std::vector<Unavailable>& unavailable) {
  const std::string top = "/sys/devices/system/cpu";
  std::set<std::string> cores;
  std::vector<std::string> core_folders;
  std::map<std::string, std::string> packages;
  for (const auto& cpu : machine.list(top).value_or(std::vector<std::string>{})) {
    const auto folder = top + "/" + cpu + "/thermal_throttle";
    if (!cpu.starts_with("cpu") || !machine.exists(folder)) continue;
    const auto topology = top + "/" + cpu + "/topology/";
    const auto package = machine.read_text(topology + "physical_package_id").value_or("0");
    const auto die = machine.read_text(topology + "die_id").value_or("0");
    const auto core = machine.read_text(topology + "core_id").value_or(cpu);
    if (cores.insert(package + "." + die + "." + core).second) core_folders.push_back(folder);
    packages.try_emplace(package, folder);
  }
  SumSensorBuilder builder(machine);
  const auto add = [&](const std::string& domain, const std::string& stem, const std::vector<std::string>& folders) {
    for (const bool time : {false, true}) {
      const std::string file = stem + (time ? "_throttle_total_time_ms" : "_throttle_count");
      std::vector<std::string> paths;
      for (const auto& folder : folders)
        if (machine.exists(folder + "/" + file)) paths.push_back(folder + "/" + file);
      if (paths.empty() || (time && 2 * folders.size() > most_files_of_sensor(machine))) continue;
      builder.add(throttle_channel(domain, time ? Measure::time : Measure::count), paths);
    }
  };
  for (const auto& [package, folder] : packages) add("package-" + name_part(package), "package", {folder});
  if (core_folders.size() <= most_files_of_sensor(machine)) add("cores", "core", core_folders);
  auto probe = builder.finish(LaneKind::slow);
  unavailable.insert(unavailable.end(), probe.unavailable.begin(), probe.unavailable.end());
  return std::move(probe.sensor);
}

// The largest clocks that are allowed: of every policy whether it is below the hardware's, of some what it is.
void watch_clock_limits(Machine& machine, StateWatch& watch, std::vector<IntegerFile>& limits,
                        std::vector<std::int64_t>& hardware, std::vector<Unavailable>& notes) {
  const std::string top = "/sys/devices/system/cpu/cpufreq";
  std::vector<std::string> policies;
  for (const auto& name : machine.list(top).value_or(std::vector<std::string>{}))
    if (name.starts_with("policy") && machine.exists(top + "/" + name + "/cpuinfo_max_freq")) policies.push_back(name);
  const auto most = std::min(most_policies, most_files_of_sensor(machine) / 4);
  const auto counted = std::min(policies.size(), most), watched = std::min(counted, most_policies_watched);
  for (std::size_t i = 0, w = 0; i < counted; ++i) {
    const auto& policy = policies[i * policies.size() / counted];
    const auto folder = top + "/" + policy;
    const auto hardware_khz = probe_integer(machine, folder + "/cpuinfo_max_freq");
    auto file = IntegerFile::open(machine, folder + "/scaling_max_freq", IntegerSign::signed_64);
    const bool turn = i >= w * counted / watched;
    if (turn) ++w;
    if (!hardware_khz || !file || file->read().quality == Quality::gap) continue;
    limits.push_back(std::move(*file));
    hardware.push_back(*hardware_khz);
    if (!turn) continue;
    watch.add("throttle." + policy, "largest clock allowed", folder + "/scaling_max_freq", clock_text);
    watch.add("throttle." + policy, "largest clock by firmware", folder + "/bios_limit", clock_text);
  }
  if (watched < policies.size())
    notes.push_back({"throttle",
                     "of " + std::to_string(policies.size()) + " policies, " + std::to_string(counted) +
                         " are counted and " + std::to_string(watched) +
                         " looked at for changes of their largest clock",
                     {}});
}

void watch_power_limits(Machine& machine, StateWatch& watch) {
  std::size_t watched = 0;
  for (const auto& zone : machine.list("/sys/class/powercap").value_or(std::vector<std::string>{})) {
    const auto folder = "/sys/class/powercap/" + zone;
    const auto name = machine.read_text(folder + "/name").value_or(zone);
    for (int i = 0; i < 3 && watched < most_limits_watched; ++i) {
      const auto stem = folder + "/constraint_" + std::to_string(i) + "_";
      const auto limit = machine.read_text(stem + "name").value_or("power");
      if (watch.add("throttle." + name_part(name), printable(limit, 20) + " power limit of " + printable(zone, 40),
                    stem + "power_limit_uw", power_text))
        ++watched;
    }
  }
  for (const auto& chip : hwmon_chips(machine))
    for (const auto& cap : chip.inputs(machine, "power", "_cap"))
      watch.add("throttle." + chip.name, "power cap of " + cap.label, cap.path, power_text);
}

}  // namespace

Probe make_throttle(Machine& machine, const SensorOptions&) {
  Probe probe;
  auto counters = heat_counters(machine, probe.unavailable);
  StateWatch watch(machine, "limit");
  std::vector<IntegerFile> limits;
  std::vector<std::int64_t> hardware;
  watch_clock_limits(machine, watch, limits, hardware, probe.notes);
  watch_power_limits(machine, watch);
  if (!counters && limits.empty()) {
    if (probe.unavailable.empty())
      probe.unavailable.push_back({"throttle", "the processor counts no throttling here, and no clock can be limited",
                                   "usual in a virtual machine: the host sees it"});
    return probe;
  }
  probe.sensor = std::make_unique<ThrottleSensor>(machine, std::move(counters), std::move(limits), std::move(hardware),
                                                  std::move(watch));
  return probe;
}

}  // namespace prony
