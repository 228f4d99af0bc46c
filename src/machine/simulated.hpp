// SimulatedMachine: a machine made of functions of its own clock, which moves only when told, or of a clock that it is
// given. Tests set files, faults and process clocks; a Room (machine/room.hpp) does the same from a description.
// Thread promise: everything from any thread (one mutex). Ownership: files handed out keep what they need alive.
// Its files allocate when read: the promise of File is kept in what it returns, not in what it costs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "machine/machine.hpp"

namespace prony {

class SimulatedMachine : public Machine {
 public:
  using Text = std::function<std::string(Instant)>;  // a file's text at a time of this machine
  using Fault = std::function<int(Instant)>;         // an errno, or 0 while all is well
  using Clock = std::function<Instant()>;
  using PerfCount = std::function<std::uint64_t(Instant)>;
  // What a device makes of a control at a time of this machine; the answer as Device::control().
  using Control = std::function<int(unsigned long, std::span<std::byte>, Instant)>;
  // What a program prints, or why it does not.
  using Program = std::function<Result<ProgramOutput>(std::span<const std::string>, Instant)>;
  using CpuTime = std::function<Duration(Instant)>;  // a process's CPU time at a time of this machine

  SimulatedMachine();
  ~SimulatedMachine() override;

  void set_now(Instant now);
  void advance(Duration step);
  // From now on time is what `clock` says; it is called under the machine's mutex.
  void set_clock(Clock clock);
  void set_wall_offset(std::int64_t wall_minus_monotonic_ns);

  void set_file(const std::string& path, std::string text);
  void set_file(const std::string& path, Text text);
  void set_link(const std::string& path, std::string target);
  // Every open and read of `path` fails with this errno until it is 0 again.
  void set_fault(const std::string& path, int errno_value);
  void set_fault(const std::string& path, Fault fault);
  // The device leaves: open handles give ENODEV, the path is gone until set_file() puts a new one there.
  void remove(const std::string& path);
  [[nodiscard]] std::uint64_t reopens(const std::string& path) const;  // calls of File::reopen(), successful or not

  void set_process(std::int64_t pid, CpuTime cpu_time);
  void remove_process(std::int64_t pid);
  // An event of a perf PMU as `cpu` counts it; `count` is the register, of which a group shows what came since it was
  // opened. An event that nobody set cannot be opened (ENOENT).
  void set_perf(PerfEvent event, int cpu, PerfCount count);
  // The same of a process on whatever CPU it runs (0: this program); who is reached is in the count.
  void set_process_perf(PerfEvent event, std::int64_t pid, PerfCount count);
  // Every open_perf() fails with this errno until it is 0 again (EACCES: denied).
  void set_perf_fault(int errno_value);
  // Every read of a group on `cpu` fails with this errno until it is 0 again (EBUSY: multiplexed, ENODEV: in error).
  void set_perf_read_fault(int cpu, int errno_value);
  // A vendor's library; it stays with those who have opened it when it is removed.
  void set_library(const std::string& name, LibraryTable table);
  void remove_library(const std::string& name);
  // A device at `path`; set_fault() and remove() hold for it as for a file. It always has something to fetch, but while
  // `silent` says that it has not.
  void set_device(const std::string& path, Control control, std::function<bool(Instant)> silent = {});
  // What run_program() does with words that begin with `name`.
  void set_program(const std::string& name, Program program);
  void set_own_cpu_time(Duration cpu_time);
  void set_cpu_count(unsigned cpus);
  void set_tick_period(Duration tick);

  [[nodiscard]] MachineKind kind() const noexcept override { return MachineKind::simulated; }
  [[nodiscard]] Instant now() const noexcept override;
  [[nodiscard]] Anchor anchor() const noexcept override;
  [[nodiscard]] Result<std::unique_ptr<File>> open(const std::string& path) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& directory) override;
  // Those with a /proc/PID/stat; a file that was removed and set again is another process.
  [[nodiscard]] Result<void> list_processes(std::vector<ListedProcess>& out) override;
  [[nodiscard]] Result<std::string> read_text(const std::string& path) override;
  [[nodiscard]] Result<std::string> read_link(const std::string& path) override;
  [[nodiscard]] bool exists(const std::string& path) override;
  [[nodiscard]] Result<Duration> process_cpu_time(std::int64_t pid) noexcept override;
  [[nodiscard]] Result<std::unique_ptr<PerfGroup>> open_perf(std::span<const PerfEvent> events, std::int64_t pid,
                                                             int cpu, PerfReach reach) override;
  [[nodiscard]] Result<std::unique_ptr<Library>> open_library(std::span<const std::string_view> names) override;
  [[nodiscard]] Result<std::unique_ptr<Device>> open_device(const std::string& path) override;
  [[nodiscard]] Result<ProgramOutput> run_program(std::span<const std::string> arguments, Duration most) override;
  [[nodiscard]] Duration own_cpu_time() const noexcept override;
  [[nodiscard]] unsigned cpu_count() override;
  [[nodiscard]] Duration tick_period() const noexcept override;

  struct State;  // defined in simulated.cpp

 private:
  std::shared_ptr<State> state_;
};

}  // namespace prony
