// self: Prony's own CPU time, all threads; by package where there are several.
// reads       CLOCK_PROCESS_CPUTIME_ID; for packages also /proc/self/task/TID/stat, once a second and off the tick
// unit        ns, counter;  period 1/HZ for threads that run elsewhere;  wrap never
// privilege   none;  part_of nothing (inside cpu.busy, which is not energy)
#include <mutex>

#include "machine/thread_places.hpp"
#include "model/package_parts.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

class SelfSensor final : public Sensor {
 public:
  SelfSensor(Machine& machine, CpuPackages packages)
      : machine_(machine), packages_(std::move(packages)), parts_(packages_.cpus()) {
    add("prony.cpu", "prony");
    if (!packages_.several()) return;
    for (std::size_t place = 0; place < packages_.count(); ++place)
      add("prony.cpu." + packages_.name(place), packages_.name(place));
    look();
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::fast; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    const auto total = machine_.own_cpu_time().ns;
    out[0] = {total, Quality::ok};
    if (out.size() == 1) return;
    const std::lock_guard lock(mutex_);
    parts_.show(total, out.subspan(1));
  }
  [[nodiscard]] std::vector<Event> changes() override {
    if (channels_.size() > 1) look();
    return {};
  }

 private:
  void add(std::string name, std::string domain) {
    Channel channel;
    channel.id = {static_cast<std::uint32_t>(channels_.size())};
    channel.name = std::move(name);
    channel.sensor = "self";
    channel.device = "process";
    channel.domain = std::move(domain);
    channel.measure = Measure::cpu_time;
    channel.kind = ChannelKind::counter;
    channel.scope = Scope::prony;
    channel.scale = 1e-9;
    channel.update_period = machine_.tick_period();
    channels_.push_back(std::move(channel));
  }
  void look() {
    const auto clock = machine_.own_cpu_time().ns;
    std::vector<std::int64_t> used(packages_.count());
    place_threads(machine_, packages_, "self", 0, clock, places_, used);
    const std::lock_guard lock(mutex_);
    parts_.place(used);
    parts_.finish_look(clock, clock - places_.placed_ns);
  }

  Machine& machine_;
  const CpuPackages packages_;
  std::vector<Channel> channels_;
  ThreadPlaces places_;  // of the thread that calls changes()
  std::mutex mutex_;
  PackageParts parts_;
};

}  // namespace

Probe make_self(Machine& machine, const SensorOptions&) {
  Probe probe;
  auto packages = CpuPackages::of(machine);
  if (packages.several() && !tells_threads(machine, "self")) {
    probe.unavailable.push_back(
        {"prony.cpu." + packages.name(0),
         "the threads of Prony are not in the /proc of this machine: which package they ran on is not known",
         {}});
    packages = CpuPackages{};
  }
  probe.sensor = std::make_unique<SelfSensor>(machine, std::move(packages));
  return probe;
}

}  // namespace prony
