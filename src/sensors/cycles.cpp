// cycles: CPU cycles and last-level cache misses of all CPUs, together and per package, and Prony's own.
// reads       perf events cpu-cycles and cache-misses, one group per CPU; Prony's own: events of its threads
// unit        1, counters, 64 bits: never wrap;  period every read;  resolution 1
// privilege   CAP_PERFMON or kernel.perf_event_paranoid ≤ 0 for whole CPUs; Prony's own: paranoid ≤ 2
// part_of     nothing: it is no energy, but what energy is split by (docs/methodology.md)
// bound       two files per CPU; above three eighths of the files that Prony may have nothing is read, and it says so
// CPUs off    what a CPU had counted stays in the sum. When it comes (back), its events are opened within a second;
//             until then the sums that it belongs to are gaps
// source      perf_event_open(2), Documentation/admin-guide/perf-security.rst, arch/x86/events/core.c (hybrid CPUs)
#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>

#include "base/text.hpp"
#include "machine/names.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/rapl_perf.hpp"
#include "sensors/rows.hpp"
#include "sensors/sum_sensor.hpp"

namespace prony {

namespace {

const std::string cpu_folder = "/sys/devices/system/cpu";
constexpr std::size_t event_kinds = 2;  // cycles, misses
constexpr double most_cycles_per_s = 1e10;

// One CPU's events.
struct Counted {
  unsigned cpu = 0;
  std::array<PerfEvent, event_kinds> events{perf_cycles, perf_cache_misses};
  bool on = false;
  std::optional<std::uint32_t> package;             // told by the kernel once it is on
  std::unique_ptr<PerfGroup> group;                 // null: its CPU is off, or has to be opened
  std::array<std::uint64_t, event_kinds> before{};  // what groups that were closed had counted
  std::array<std::uint64_t, event_kinds> shown{};   // and what this one did when it was read last
};

std::optional<std::uint32_t> package_of_cpu(Machine& machine, unsigned cpu) {
  const auto package =
      probe_integer(machine, cpu_folder + "/cpu" + std::to_string(cpu) + "/topology/physical_package_id");
  if (!package || *package < 0 || *package > 65535) return std::nullopt;
  return static_cast<std::uint32_t>(*package);
}

Channel channel_of(std::size_t kind, const std::string& package, std::size_t cpus) {
  Channel channel;
  channel.sensor = "cycles";
  channel.device = package.empty() ? "perf, all CPUs" : "perf, CPUs of " + package;
  channel.domain = (kind == 0 ? "cycles" : "llc-misses") + (package.empty() ? std::string() : "-" + package);
  channel.name = (kind == 0 ? "cycles." : "cycles.llc-misses.") + (package.empty() ? std::string("cpu") : package);
  channel.measure = Measure::count;
  channel.kind = ChannelKind::counter;
  channel.max_rate = most_cycles_per_s * static_cast<double>(cpus);
  return channel;
}

class CyclesSensor final : public Sensor {
 public:
  // `events`: 1 or 2 of each CPU's. `own`: Prony's; null where they cannot be had.
  CyclesSensor(Machine& machine, std::vector<Counted> cpus, std::size_t events, std::unique_ptr<File> online,
               std::array<std::unique_ptr<PerfGroup>, event_kinds> own)
      : machine_(machine), cpus_(std::move(cpus)), events_(events), online_(std::move(online)), own_(std::move(own)) {
    std::set<std::uint32_t> packages;
    for (const Counted& counted : cpus_)
      if (counted.package) packages.insert(*counted.package);
    if (packages.size() > 1) packages_.assign(packages.begin(), packages.end());
    for (std::size_t kind = 0; kind < events_; ++kind) {
      add(channel_of(kind, {}, cpus_.size()));
      for (const auto package : packages_) add(channel_of(kind, "package-" + std::to_string(package), cpus_.size()));
    }
    for (std::size_t kind = 0; kind < event_kinds; ++kind) {
      if (!own_[kind]) continue;
      auto channel = channel_of(kind, {}, cpus_.size());
      channel.name = kind == 0 ? "prony.cycles" : "prony.llc-misses";
      channel.device = "perf, Prony";
      channel.scope = Scope::prony;
      add(std::move(channel));
    }
    std::vector<Reading> readings(channels_.size());
    const auto begin = machine_.now();
    read(readings);
    if (machine_.now() - begin > fast_enough) lane_ = LaneKind::slow;
  }

  [[nodiscard]] LaneKind lane() const noexcept override { return lane_; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }

  void read(std::span<Reading> out) noexcept override {
    const std::lock_guard lock(mutex_);
    see_which_are_on();
    const std::size_t row = 1 + packages_.size();  // channels of a kind
    for (std::size_t i = 0; i < row * events_; ++i) out[i] = {0, Quality::ok};
    for (Counted& counted : cpus_) {
      const bool known = count(counted);
      const std::size_t place = place_of(counted);
      for (std::size_t kind = 0; kind < events_; ++kind) {
        put(out[kind * row], counted.shown[kind], known);
        if (place > 0) put(out[kind * row + place], counted.shown[kind], known);
      }
    }
    std::size_t at = row * events_;
    for (const auto& own : own_) {
      if (!own) continue;
      std::uint64_t value = 0;
      const int status = own->read({&value, 1});
      if (status != 0) fault_ = -status;
      out[at++] = status == 0 ? Reading{static_cast<std::int64_t>(value), Quality::ok} : Reading{0, Quality::gap};
    }
  }

  // Off the tick: the events of CPUs that came are opened.
  [[nodiscard]] std::vector<Event> changes() override {
    const std::lock_guard lock(mutex_);
    for (Counted& counted : cpus_) {
      if (!counted.on || counted.group) continue;
      auto group = machine_.open_perf({counted.events.data(), events_}, -1, static_cast<int>(counted.cpu));
      if (!group) continue;
      counted.group = std::move(*group);
      counted.before = counted.shown;
      if (!counted.package) counted.package = package_of_cpu(machine_, counted.cpu);
    }
    return {};
  }

  [[nodiscard]] std::vector<Unavailable> complaints() override {
    const std::lock_guard lock(mutex_);
    if (fault_ == 0) return {};
    return {{"cycles", perf_read_reason(std::exchange(fault_, 0)), {}}};
  }

 private:
  void add(Channel channel) {
    channel.id = {static_cast<std::uint32_t>(channels_.size())};
    channels_.push_back(std::move(channel));
  }
  // Of its package's channel within a kind's; 0: none.
  [[nodiscard]] std::size_t place_of(const Counted& counted) const noexcept {
    for (std::size_t i = 0; i < packages_.size(); ++i)
      if (counted.package == packages_[i]) return i + 1;
    return 0;
  }
  static void put(Reading& sum, std::uint64_t value, bool known) noexcept {
    if (sum.quality == Quality::gap) return;
    sum.raw += static_cast<std::int64_t>(value);
    if (!known) sum = {0, Quality::gap};
  }
  // False: what this CPU counts is not known now.
  [[nodiscard]] bool count(Counted& counted) noexcept {
    if (!counted.on) return true;  // it counts nothing; what it had counted stays
    if (!counted.group) return false;
    std::array<std::uint64_t, event_kinds> values{};
    const int status = counted.group->read({values.data(), events_});
    if (status != 0) {
      fault_ = -status;
      if (status == -ENODEV) counted.group.reset();  // to be opened again
      return false;
    }
    for (std::size_t kind = 0; kind < events_; ++kind) counted.shown[kind] = counted.before[kind] + values[kind];
    return true;
  }
  // The kernel does not revive the events of a CPU that went off: they are closed.
  void see_which_are_on() noexcept {
    std::array<char, 4096> text;
    const auto size = online_->read(text);
    if (size <= 0) return;
    const std::string_view now(text.data(), static_cast<std::size_t>(size));
    if (now == std::string_view(online_text_.data(), online_size_)) return;
    for (Counted& counted : cpus_) {
      counted.on = cpu_list_holds(trim(now), counted.cpu);
      if (!counted.on) counted.group.reset();
    }
    online_size_ = now.copy(online_text_.data(), online_text_.size());
  }

  Machine& machine_;
  std::vector<Counted> cpus_;
  const std::size_t events_;
  std::unique_ptr<File> online_;
  std::array<std::unique_ptr<PerfGroup>, event_kinds> own_;
  std::vector<std::uint32_t> packages_;  // empty: there is one
  std::vector<Channel> channels_;
  LaneKind lane_ = LaneKind::fast;
  std::mutex mutex_;
  std::array<char, 4096> online_text_{};
  std::size_t online_size_ = 0;
  int fault_ = 0;
};

// Processors with cores of two kinds have a PMU for each, and the plain numbers mean the first one's alone: the PMU's
// type has to stand in their upper half. Elsewhere the kernel finds the right PMU by the CPU.
void use_pmus_of_hybrid_cpus(Machine& machine, std::vector<Counted>& counted) {
  const std::string folder = "/sys/bus/event_source/devices";
  for (const auto& name : machine.list(folder).value_or(std::vector<std::string>{})) {
    if (!name.starts_with("cpu_")) continue;
    const auto type = probe_integer(machine, folder + "/" + name + "/type");
    const auto text = machine.read_text(folder + "/" + name + "/cpus");
    if (!type || *type < 0 || *type > INT32_MAX || !text) continue;
    for (Counted& one : counted)
      if (cpu_list_holds(*text, one.cpu))
        for (PerfEvent& event : one.events) event.config |= static_cast<std::uint64_t>(*type) << 32;
  }
}

// The CPUs that this machine can have; those that are on, with their packages.
std::vector<Counted> cpus_here(Machine& machine, const std::string& online) {
  const auto possible = machine.read_text(cpu_folder + "/possible");
  auto numbers = possible ? cpus_of_list(*possible) : std::nullopt;
  const auto on = cpus_of_list(online).value_or(std::vector<unsigned>{});
  if (!numbers || numbers->size() < on.size()) numbers = on;
  std::vector<Counted> cpus;
  for (const unsigned cpu : *numbers) {
    Counted counted;
    counted.cpu = cpu;
    counted.on = cpu_list_holds(online, cpu);
    if (counted.on) counted.package = package_of_cpu(machine, cpu);
    cpus.push_back(std::move(counted));
  }
  use_pmus_of_hybrid_cpus(machine, cpus);
  return cpus;
}

Unavailable why_not(const Error& error) {
  if (error.code == ErrorCode::denied || error.where == "perf") return {"cycles", error.what, error.fix};
  return {"cycles", "no hardware PMU: the kernel cannot count CPU cycles here",
          "usual in a virtual machine: its host may be told to pass the PMU through"};
}

// Opens the events of every CPU that is on. The first one decides whether misses are counted, too.
Result<std::size_t> open_all(Machine& machine, std::vector<Counted>& cpus, std::vector<Unavailable>& notes) {
  std::size_t events = event_kinds;
  bool first = true;
  for (Counted& counted : cpus) {
    if (!counted.on) continue;
    const auto open = [&] {
      return machine.open_perf({counted.events.data(), events}, -1, static_cast<int>(counted.cpu));
    };
    auto group = open();
    if (!group && first && group.error().code != ErrorCode::denied) {
      events = 1;
      const auto why = group.error().what;
      group = open();
      if (group) notes.push_back({"cycles.llc-misses.cpu", "this processor counts no cache misses: " + why, {}});
    }
    if (!group) return Unexpected<Error>(group.error());
    counted.group = std::move(*group);
    first = false;
  }
  if (first) return fail(ErrorCode::unavailable, "no CPU is on", "perf");
  return events;
}

// Of this program's threads: the one that probes, and those that it and they will start. On cores of two kinds a thread
// would need events of both PMUs, each of which counts a part of its time: that looks as if they were multiplexed.
std::array<std::unique_ptr<PerfGroup>, event_kinds> open_own(Machine& machine, const Counted& any, std::size_t events,
                                                             std::vector<Unavailable>& notes) {
  std::array<std::unique_ptr<PerfGroup>, event_kinds> own;
  if (any.events[0].config != perf_cycles.config) {
    notes.push_back({"prony.cycles", "this processor has cores of two kinds, whose cycles are not alike", {}});
    return own;
  }
  for (std::size_t kind = 0; kind < events; ++kind) {
    auto group = machine.open_perf({&any.events[kind], 1}, 0, -1, PerfReach::threads);
    if (group)
      own[kind] = std::move(*group);
    else
      notes.push_back({kind == 0 ? "prony.cycles" : "prony.llc-misses", group.error().what, group.error().fix});
  }
  return own;
}

}  // namespace

Probe make_cycles(Machine& machine, const SensorOptions&) {
  Probe probe;
  const auto say = [&](Unavailable reason) {
    probe.unavailable.push_back(std::move(reason));
    return std::move(probe);
  };
  auto online = machine.open(cpu_folder + "/online");
  const auto text = machine.read_text(cpu_folder + "/online");
  if (!online || !text || !cpus_of_list(*text))
    return say({"cycles", cpu_folder + "/online does not say which CPUs are on", {}});
  auto cpus = cpus_here(machine, *text);
  const auto on = static_cast<std::size_t>(std::count_if(cpus.begin(), cpus.end(), [](auto& cpu) { return cpu.on; }));
  if (const auto most = most_files_of_sensor(machine); event_kinds * on > most)
    return say({"cycles",
                std::to_string(event_kinds * on) +
                    " perf events would have to stay open; one sensor of Prony keeps "
                    "at most " +
                    std::to_string(most),
                "allow Prony more open files: ulimit -Hn"});
  const auto events = open_all(machine, cpus, probe.unavailable);
  if (!events) return say(why_not(events.error()));
  auto own = open_own(machine, cpus.front(), *events, probe.unavailable);
  probe.sensor = std::make_unique<CyclesSensor>(machine, std::move(cpus), *events, std::move(*online), std::move(own));
  return probe;
}

}  // namespace prony
