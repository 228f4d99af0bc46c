// cpufreq: the clock of each frequency policy (a set of CPUs that share one), and changes of what governs it.
// reads       /sys/devices/system/cpu/cpufreq/policy*/scaling_cur_freq (kHz)
// states      scaling_governor, scaling_driver, energy_performance_preference of at most 16 policies evenly over the
//             machine; boost and intel_pstate's no_turbo, max_perf_pct; each change is an event
// period      the governor's, or on x86 the mean over the last tick in which the CPU ran; not documented
// bound       above 16 policies lowest, mean and highest of at most 128, evenly over the machine; each on request
// privilege   none;  part_of nothing;  source Documentation/admin-guide/pm/cpufreq.rst, intel_pstate.rst
#include <algorithm>
#include <array>

#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"
#include "sensors/state_watch.hpp"

namespace prony {

namespace {

constexpr const char* policies_folder = "/sys/devices/system/cpu/cpufreq";
constexpr std::size_t most_policies_shown = 16;
constexpr std::size_t most_read = 128;
constexpr std::size_t most_settings_watched = 16;

Channel clock_channel(const std::string& domain, const std::string& device) {
  Channel channel;
  channel.sensor = "cpufreq";
  channel.device = device;
  channel.domain = domain;
  channel.name = "cpufreq." + domain + ".frequency";
  channel.measure = Measure::frequency;
  channel.scale = 1e3;
  return channel;
}

// At most `most` of them, evenly from first to last.
std::vector<std::string> spread(const std::vector<std::string>& all, std::size_t most) {
  if (all.size() <= most) return all;
  std::vector<std::string> some;
  for (std::size_t i = 0; i < most; ++i) some.push_back(all[i * all.size() / most]);
  return some;
}

// The policies' own sensor, or lowest, mean and highest of its readings.
class ClockSensor final : public Sensor {
 public:
  ClockSensor(std::unique_ptr<Sensor> policies, StateWatch watch, bool summary)
      : policies_(std::move(policies)), watch_(std::move(watch)), summary_(summary) {
    if (!summary_) return;
    readings_.resize(policies_->channels().size());
    for (const char* domain : {"cpus-lowest", "cpus-mean", "cpus-highest"}) {
      channels_.push_back(clock_channel(domain, std::to_string(readings_.size()) + " policies"));
      channels_.back().id = {static_cast<std::uint32_t>(channels_.size() - 1)};
      if (channels_.size() == 2) channels_.back().origin = Origin::derived;
    }
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::slow; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override {
    return summary_ ? std::span<const Channel>(channels_) : policies_->channels();
  }
  void read(std::span<Reading> out) noexcept override {
    if (!summary_) return policies_->read(out);
    policies_->read(readings_);
    std::int64_t lowest = INT64_MAX, highest = 0, sum = 0, count = 0;
    for (const Reading& reading : readings_) {
      // A CPU that is switched off has no clock: it is not in the mean.
      if (reading.quality == Quality::gap || reading.raw <= 0 || reading.raw > 1'000'000'000) continue;
      lowest = std::min(lowest, reading.raw);
      highest = std::max(highest, reading.raw);
      sum += reading.raw;
      ++count;
    }
    const auto quality = count > 0 ? Quality::ok : Quality::gap;
    out[0] = {lowest, quality};
    out[1] = {count > 0 ? sum / count : 0, quality};
    out[2] = {highest, quality};
  }
  [[nodiscard]] std::vector<Event> changes() override { return watch_.changes(); }
  [[nodiscard]] std::vector<Unavailable> complaints() override { return policies_->complaints(); }

 private:
  std::unique_ptr<Sensor> policies_;
  StateWatch watch_;
  bool summary_;
  std::vector<Channel> channels_;
  std::vector<Reading> readings_;
};

StateWatch watch_of(Machine& machine, const std::vector<std::string>& policies) {
  StateWatch watch(machine, "clock-control");
  for (const auto& policy : spread(policies, most_settings_watched))
    for (const auto& [file, what] : {std::pair{"scaling_governor", "governor"},
                                     {"scaling_driver", "driver"},
                                     {"energy_performance_preference", "energy preference"}})
      watch.add("cpufreq." + policy, what, std::string(policies_folder) + "/" + policy + "/" + file);
  watch.add("cpufreq", "boost", std::string(policies_folder) + "/boost");
  watch.add("cpufreq", "no_turbo", "/sys/devices/system/cpu/intel_pstate/no_turbo");
  watch.add("cpufreq", "largest clock (%)", "/sys/devices/system/cpu/intel_pstate/max_perf_pct");
  return watch;
}

}  // namespace

Probe make_cpufreq(Machine& machine, const SensorOptions& options) {
  FileSensorBuilder builder(machine);
  std::vector<std::string> policies;
  for (const auto& name : machine.list(policies_folder).value_or(std::vector<std::string>{}))
    if (name.starts_with("policy")) policies.push_back(name);
  const bool summary = policies.size() > most_policies_shown && !options.every_channel;
  for (const auto& name : summary ? spread(policies, most_read) : policies)
    builder.add(clock_channel(name, name), std::string(policies_folder) + "/" + name + "/scaling_cur_freq");
  if (policies.empty())
    builder.unavailable().push_back({"cpufreq", "the kernel has no frequency driver here",
                                     "usual in a virtual machine; on hardware load the driver"});
  auto probe = builder.finish(LaneKind::slow);
  if (probe.sensor && policies.size() > most_settings_watched)
    probe.notes.push_back({"cpufreq",
                           "changes of governor, driver and energy preference are looked for in " +
                               std::to_string(most_settings_watched) + " of " + std::to_string(policies.size()) +
                               " policies, evenly over the machine",
                           {}});
  if (probe.sensor)
    probe.sensor = std::make_unique<ClockSensor>(std::move(probe.sensor), watch_of(machine, policies), summary);
  return probe;
}

}  // namespace prony
