#include "machine/simulated.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "machine/live_library.hpp"
#include "machine/names.hpp"

namespace prony {

struct SimulatedMachine::State {
  struct Node {
    Text text;
    bool present = true;
    std::uint64_t serial = 0;  // no two nodes of a machine have the same
  };
  struct DeviceNode {
    Control control;
    std::function<bool(Instant)> silent;
    bool present = true;
  };

  mutable std::mutex mutex;
  Instant time;  // where there is no clock
  Clock clock;
  std::int64_t wall_offset_ns = 1'700'000'000'000'000'000;
  std::map<std::string, std::shared_ptr<Node>> files;
  std::uint64_t nodes_made = 0;
  std::map<std::string, std::string> links;
  std::map<std::string, std::shared_ptr<DeviceNode>> devices;
  std::map<std::string, Program> programs;
  std::map<std::string, Fault> faults;
  std::map<std::string, std::uint64_t> reopens;
  std::map<std::int64_t, CpuTime> processes;
  // Type, config, and the CPU or the process.
  std::map<std::tuple<std::uint32_t, std::uint64_t, std::int64_t>, PerfCount> perf, process_perf;
  std::map<int, int> perf_read_faults;  // CPU → errno
  int perf_fault = 0;
  std::map<std::string, LibraryTable, std::less<>> libraries;
  Duration own_cpu;
  unsigned cpus = 1;
  Duration tick = milliseconds(4);

  [[nodiscard]] Instant now() const { return clock ? clock() : time; }
  [[nodiscard]] int fault(const std::string& path) const {
    const auto found = faults.find(path);
    return found == faults.end() ? 0 : found->second(now());
  }
  [[nodiscard]] bool is_directory(const std::string& path) const {
    const auto prefix = path + "/";
    const auto below = [&](const auto& entries) {
      const auto next = entries.lower_bound(prefix);
      return next != entries.end() && next->first.starts_with(prefix);
    };
    return below(files) || below(links);
  }
};

namespace {

class SimulatedFile final : public File {
 public:
  SimulatedFile(std::shared_ptr<SimulatedMachine::State> state, std::shared_ptr<SimulatedMachine::State::Node> node,
                std::string path)
      : state_(std::move(state)), node_(std::move(node)), path_(std::move(path)) {}

  [[nodiscard]] std::int64_t read(std::span<char> buffer) noexcept override {
    const std::lock_guard lock(state_->mutex);
    if (const int fault = state_->fault(path_); fault != 0) return -fault;
    if (!node_->present) return -ENODEV;
    const auto text = node_->text(state_->now());
    return static_cast<std::int64_t>(text.copy(buffer.data(), buffer.size()));
  }
  [[nodiscard]] bool reopen() noexcept override {
    const std::lock_guard lock(state_->mutex);
    ++state_->reopens[path_];
    const auto found = state_->files.find(path_);
    if (found == state_->files.end() || state_->fault(path_) != 0) return false;
    node_ = found->second;
    return true;
  }

 private:
  std::shared_ptr<SimulatedMachine::State> state_;
  std::shared_ptr<SimulatedMachine::State::Node> node_;
  std::string path_;
};

class SimulatedDevice final : public Device {
 public:
  SimulatedDevice(std::shared_ptr<SimulatedMachine::State> state,
                  std::shared_ptr<SimulatedMachine::State::DeviceNode> node, std::string path)
      : state_(std::move(state)), node_(std::move(node)), path_(std::move(path)) {}

  [[nodiscard]] int control(unsigned long request, std::span<std::byte> data) noexcept override {
    const std::lock_guard lock(state_->mutex);
    if (const int fault = state_->fault(path_); fault != 0) return -fault;
    if (!node_->present) return -ENODEV;
    return node_->control(request, data, state_->now());
  }
  [[nodiscard]] bool wait(Duration) noexcept override {
    const std::lock_guard lock(state_->mutex);
    return node_->present && (!node_->silent || !node_->silent(state_->now()));
  }

 private:
  std::shared_ptr<SimulatedMachine::State> state_;
  std::shared_ptr<SimulatedMachine::State::DeviceNode> node_;
  std::string path_;
};

class SimulatedPerfGroup final : public PerfGroup {
 public:
  using Counts =
      std::vector<std::pair<SimulatedMachine::PerfCount, std::uint64_t>>;  // the register, and it at the open
  SimulatedPerfGroup(std::shared_ptr<SimulatedMachine::State> state, Counts counts, int cpu)
      : state_(std::move(state)), counts_(std::move(counts)), cpu_(cpu) {}

  [[nodiscard]] int read(std::span<std::uint64_t> counts) noexcept override {
    const std::lock_guard lock(state_->mutex);
    if (const auto fault = state_->perf_read_faults.find(cpu_); fault != state_->perf_read_faults.end())
      if (fault->second != 0) return -fault->second;
    if (counts.size() < counts_.size()) return -EINVAL;
    for (std::size_t i = 0; i < counts_.size(); ++i) counts[i] = counts_[i].first(state_->now()) - counts_[i].second;
    return 0;
  }

 private:
  std::shared_ptr<SimulatedMachine::State> state_;
  Counts counts_;
  int cpu_;
};

}  // namespace

SimulatedMachine::SimulatedMachine() : state_(std::make_shared<State>()) {}
SimulatedMachine::~SimulatedMachine() = default;

void SimulatedMachine::set_now(Instant now) {
  const std::lock_guard lock(state_->mutex);
  state_->time = now;
}
void SimulatedMachine::advance(Duration step) {
  const std::lock_guard lock(state_->mutex);
  state_->time = state_->time + step;
}
void SimulatedMachine::set_clock(Clock clock) {
  const std::lock_guard lock(state_->mutex);
  state_->clock = std::move(clock);
}
void SimulatedMachine::set_wall_offset(std::int64_t wall_minus_monotonic_ns) {
  const std::lock_guard lock(state_->mutex);
  state_->wall_offset_ns = wall_minus_monotonic_ns;
}
void SimulatedMachine::set_file(const std::string& path, std::string text) {
  set_file(path, [text = std::move(text)](Instant) { return text; });
}
void SimulatedMachine::set_file(const std::string& path, Text text) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->files.find(path);
  // A file that is there changes for those who hold it open too; one that was removed is a new file.
  if (found != state_->files.end()) {
    found->second->text = std::move(text);
  } else {
    state_->files[path] = std::make_shared<State::Node>(State::Node{std::move(text), true, ++state_->nodes_made});
  }
}
void SimulatedMachine::set_link(const std::string& path, std::string target) {
  const std::lock_guard lock(state_->mutex);
  state_->links[path] = std::move(target);
}
void SimulatedMachine::set_fault(const std::string& path, int errno_value) {
  set_fault(path, [errno_value](Instant) { return errno_value; });
}
void SimulatedMachine::set_fault(const std::string& path, Fault fault) {
  const std::lock_guard lock(state_->mutex);
  state_->faults[path] = std::move(fault);
}
void SimulatedMachine::set_device(const std::string& path, Control control, std::function<bool(Instant)> silent) {
  const std::lock_guard lock(state_->mutex);
  state_->devices[path] =
      std::make_shared<State::DeviceNode>(State::DeviceNode{std::move(control), std::move(silent), true});
}
void SimulatedMachine::set_program(const std::string& name, Program program) {
  const std::lock_guard lock(state_->mutex);
  state_->programs[name] = std::move(program);
}
void SimulatedMachine::remove(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  if (const auto device = state_->devices.find(path); device != state_->devices.end()) {
    device->second->present = false;
    state_->devices.erase(device);
  }
  const auto found = state_->files.find(path);
  if (found == state_->files.end()) return;
  found->second->present = false;
  state_->files.erase(found);
}
std::uint64_t SimulatedMachine::reopens(const std::string& path) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->reopens.find(path);
  return found == state_->reopens.end() ? 0 : found->second;
}
void SimulatedMachine::set_process(std::int64_t pid, CpuTime cpu_time) {
  const std::lock_guard lock(state_->mutex);
  state_->processes[pid] = std::move(cpu_time);
}
void SimulatedMachine::remove_process(std::int64_t pid) {
  const std::lock_guard lock(state_->mutex);
  state_->processes.erase(pid);
}
void SimulatedMachine::set_perf(PerfEvent event, int cpu, PerfCount count) {
  const std::lock_guard lock(state_->mutex);
  state_->perf[{event.type, event.config, cpu}] = std::move(count);
}
void SimulatedMachine::set_process_perf(PerfEvent event, std::int64_t pid, PerfCount count) {
  const std::lock_guard lock(state_->mutex);
  state_->process_perf[{event.type, event.config, pid}] = std::move(count);
}
void SimulatedMachine::set_perf_fault(int errno_value) {
  const std::lock_guard lock(state_->mutex);
  state_->perf_fault = errno_value;
}
void SimulatedMachine::set_perf_read_fault(int cpu, int errno_value) {
  const std::lock_guard lock(state_->mutex);
  state_->perf_read_faults[cpu] = errno_value;
}
void SimulatedMachine::set_library(const std::string& name, LibraryTable table) {
  const std::lock_guard lock(state_->mutex);
  state_->libraries.insert_or_assign(name, std::move(table));
}
void SimulatedMachine::remove_library(const std::string& name) {
  const std::lock_guard lock(state_->mutex);
  state_->libraries.erase(name);
}
void SimulatedMachine::set_own_cpu_time(Duration cpu_time) {
  const std::lock_guard lock(state_->mutex);
  state_->own_cpu = cpu_time;
}
void SimulatedMachine::set_cpu_count(unsigned cpus) {
  const std::lock_guard lock(state_->mutex);
  state_->cpus = cpus;
}
void SimulatedMachine::set_tick_period(Duration tick) {
  const std::lock_guard lock(state_->mutex);
  state_->tick = tick;
}

Instant SimulatedMachine::now() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->now();
}
Anchor SimulatedMachine::anchor() const noexcept {
  const std::lock_guard lock(state_->mutex);
  const auto now = state_->now();
  return {now, now.ns + state_->wall_offset_ns, {0}};
}

Result<std::unique_ptr<File>> SimulatedMachine::open(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  if (const int fault = state_->fault(path); fault != 0)
    return Unexpected<Error>(error_from_errno(fault, path, "cannot open"));
  const auto found = state_->files.find(path);
  if (found == state_->files.end()) return Unexpected<Error>(error_from_errno(ENOENT, path, "cannot open"));
  return std::make_unique<SimulatedFile>(state_, found->second, path);
}

Result<std::unique_ptr<Device>> SimulatedMachine::open_device(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  if (const int fault = state_->fault(path); fault != 0)
    return Unexpected<Error>(error_from_errno(fault, path, "cannot open"));
  const auto found = state_->devices.find(path);
  if (found == state_->devices.end()) return Unexpected<Error>(error_from_errno(ENOENT, path, "cannot open"));
  return std::make_unique<SimulatedDevice>(state_, found->second, path);
}

Result<ProgramOutput> SimulatedMachine::run_program(std::span<const std::string> arguments, Duration) {
  if (arguments.empty()) return fail(ErrorCode::usage, "no program to run");
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->programs.find(arguments.front());
  if (found == state_->programs.end()) return fail(ErrorCode::absent, "there is no such program", arguments.front());
  return found->second(arguments, state_->now());
}

Result<std::vector<std::string>> SimulatedMachine::list(const std::string& directory) {
  const std::lock_guard lock(state_->mutex);
  if (!state_->is_directory(directory)) return Unexpected<Error>(error_from_errno(ENOENT, directory, "cannot list"));
  const auto prefix = directory + "/";
  std::set<std::string> unique;
  const auto collect = [&](const auto& entries) {
    for (auto next = entries.lower_bound(prefix); next != entries.end() && next->first.starts_with(prefix); ++next)
      unique.insert(next->first.substr(prefix.size(), next->first.find('/', prefix.size()) - prefix.size()));
  };
  collect(state_->files);
  collect(state_->links);
  std::vector<std::string> names(unique.begin(), unique.end());
  std::sort(names.begin(), names.end(), natural_less);
  return names;
}

Result<void> SimulatedMachine::list_processes(std::vector<ListedProcess>& out) {
  const std::lock_guard lock(state_->mutex);
  out.clear();
  const std::string_view top = "/proc/", leaf = "/stat";
  for (auto next = state_->files.lower_bound(std::string(top)); next != state_->files.end(); ++next) {
    const std::string_view path = next->first;
    if (!path.starts_with(top)) break;
    if (!path.ends_with(leaf) || path.size() <= top.size() + leaf.size()) continue;
    const auto pid = parse_i64(path.substr(top.size(), path.size() - top.size() - leaf.size()));
    if (pid && *pid > 0) out.push_back({*pid, next->second->serial});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.pid < b.pid; });
  return {};
}

Result<std::string> SimulatedMachine::read_text(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  if (const int fault = state_->fault(path); fault != 0)
    return Unexpected<Error>(error_from_errno(fault, path, "cannot read"));
  const auto found = state_->files.find(path);
  if (found == state_->files.end()) return Unexpected<Error>(error_from_errno(ENOENT, path, "cannot open"));
  auto text = found->second->text(state_->now());
  text.resize(std::min<std::size_t>(text.size(), 64 * 1024));
  while (!text.empty() && (text.back() == '\0' || trim(std::string_view(text).substr(text.size() - 1)).empty()))
    text.pop_back();
  return text;
}

Result<std::string> SimulatedMachine::read_link(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->links.find(path);
  if (found == state_->links.end()) return Unexpected<Error>(error_from_errno(ENOENT, path, "cannot read link"));
  return found->second;
}

bool SimulatedMachine::exists(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  return state_->files.contains(path) || state_->links.contains(path) || state_->devices.contains(path) ||
         state_->is_directory(path);
}

Result<Duration> SimulatedMachine::process_cpu_time(std::int64_t pid) noexcept {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->processes.find(pid);
  if (found == state_->processes.end()) return fail(ErrorCode::gone, "no such process", "pid " + std::to_string(pid));
  return found->second(state_->now());
}
Result<std::unique_ptr<PerfGroup>> SimulatedMachine::open_perf(std::span<const PerfEvent> events, std::int64_t pid,
                                                               int cpu, PerfReach) {
  const std::lock_guard lock(state_->mutex);
  if (state_->perf_fault != 0)
    return Unexpected<Error>(error_from_errno(state_->perf_fault, "perf_event_open", "cannot open perf event"));
  SimulatedPerfGroup::Counts counts;
  for (const PerfEvent& event : events) {
    const auto& counts_of = pid < 0 ? state_->perf : state_->process_perf;
    const auto found = counts_of.find({event.type, event.config, pid < 0 ? cpu : pid});
    if (found == counts_of.end()) {
      const auto any = counts_of.lower_bound({event.type, event.config, INT64_MIN});
      const bool counted = any != counts_of.end() && std::get<0>(any->first) == event.type &&
                           std::get<1>(any->first) == event.config;  // of other processes
      return Unexpected<Error>(
          error_from_errno(counted && pid >= 0 ? ESRCH : ENOENT, "perf_event_open", "cannot open perf event"));
    }
    counts.emplace_back(found->second, found->second(state_->now()));
  }
  return std::make_unique<SimulatedPerfGroup>(state_, std::move(counts), cpu);
}
Result<std::unique_ptr<Library>> SimulatedMachine::open_library(std::span<const std::string_view> names) {
  const std::lock_guard lock(state_->mutex);
  for (const auto name : names)
    if (const auto found = state_->libraries.find(name); found != state_->libraries.end())
      return make_table_library(found->first, found->second);
  return fail(ErrorCode::absent, "not found by the loader", joined_names(names));
}
Duration SimulatedMachine::own_cpu_time() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->own_cpu;
}
unsigned SimulatedMachine::cpu_count() {
  const std::lock_guard lock(state_->mutex);
  return state_->cpus;
}
Duration SimulatedMachine::tick_period() const noexcept {
  const std::lock_guard lock(state_->mutex);
  return state_->tick;
}

}  // namespace prony
