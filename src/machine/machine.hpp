// Machine: the port to the machine that is measured. Live, captured and simulated machines implement it, so that every
// sensor runs the same code on all three. Paths are the live machine's ("/sys/class/powercap"); the implementation
// knows where they lead. Thread promise: the Machine may be used from any thread; a File from one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "machine/library.hpp"
#include "model/time.hpp"

namespace prony {

// A kept-open file. read() gives what a pread(…, 0) gives now.
class File {
 public:
  virtual ~File() = default;
  // Bytes read into `buffer` (0…size), or −errno. No allocation, no throw.
  [[nodiscard]] virtual std::int64_t read(std::span<char> buffer) noexcept = 0;
  // After read() failed: opens the same path again in place (the device came back, the driver was reloaded). True:
  // done, read() now sees the new file. False: the old one stays. No allocation, no throw; costs an open, so not on
  // every tick.
  [[nodiscard]] virtual bool reopen() noexcept { return false; }
};

// One event of a perf PMU: `type` from /sys/bus/event_source/devices/PMU/type, `config` from its events/ folder.
struct PerfEvent {
  std::uint32_t type = 0;
  std::uint64_t config = 0;
};
// The kernel's own names for what every processor with counters has. Source: perf_event_open(2).
inline constexpr PerfEvent perf_cycles{0, 0};        // PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES
inline constexpr PerfEvent perf_cache_misses{0, 3};  // PERF_COUNT_HW_CACHE_MISSES: of the last level, as a rule

// Whom an event of a process counts.
enum class PerfReach {
  alone,               // one thread: it has the number that is given as the process's
  threads,             // and the threads that it and they start from now on (Linux 5.13)
  children,            // and the processes, too
  children_from_exec,  // likewise, from the next exec of that thread on: not what a held child does before
};

// Events that were opened together and are read by one call.
class PerfGroup {
 public:
  virtual ~PerfGroup() = default;
  // Counts since the group was opened, one per event in the order in which they were opened. 0, or −errno. Exact only
  // while the PMU has counters for all of them: multiplexed groups fail with −EBUSY. No allocation, no throw.
  [[nodiscard]] virtual int read(std::span<std::uint64_t> counts) noexcept = 0;
};

// A kept-open device that is asked by controls. Source: ioctl(2), poll(2).
class Device {
 public:
  virtual ~Device() = default;
  // Hands `data`, laid out as the driver's header says, and takes what it becomes (pointers in it are followed, as the
  // driver does). The driver's answer ≥ 0, or −errno. Lasts as long as the driver takes. No allocation, no throw.
  [[nodiscard]] virtual int control(unsigned long request, std::span<std::byte> data) noexcept = 0;
  // Waits until the device has something to fetch. False: `most` went by, or it is broken.
  [[nodiscard]] virtual bool wait(Duration most) noexcept = 0;
};

// What a program printed before it ended.
struct ProgramOutput {
  std::string out;    // the first 64 KiB
  std::string err;    // likewise
  int exit_code = 0;  // as the shell says it: 128 + number for a signal
};

// A process as a listing of /proc names it. `identity` is another number for another process of the same pid, and is
// had without opening anything (on Linux the inode of its directory); 0: this machine cannot tell, ask its start time.
struct ListedProcess {
  std::int64_t pid = 0;
  std::uint64_t identity = 0;
};

enum class MachineKind { live, captured, simulated };

class Machine {
 public:
  virtual ~Machine() = default;

  [[nodiscard]] virtual MachineKind kind() const noexcept = 0;
  // CLOCK_MONOTONIC of this machine; simulated machines have their own.
  [[nodiscard]] virtual Instant now() const noexcept = 0;
  // One pair of monotonic and wall readings.
  [[nodiscard]] virtual Anchor anchor() const noexcept = 0;

  [[nodiscard]] virtual Result<std::unique_ptr<File>> open(const std::string& path) = 0;
  // Names in a directory, sorted naturally (hwmon2 before hwmon10); links are listed as what they lead to.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  // The first 64 KiB of a text, trailing white space (and the NUL that ends device-tree strings) trimmed.
  [[nodiscard]] virtual Result<std::string> read_text(const std::string& path) = 0;
  // Target of a symbolic link, as written in it.
  [[nodiscard]] virtual Result<std::string> read_link(const std::string& path) = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) = 0;

  // Every process there is now, ascending by pid, in place of what `out` held; takes no memory while `out` has room.
  // Errors: as list("/proc").
  [[nodiscard]] virtual Result<void> list_processes(std::vector<ListedProcess>& out);
  // CPU time that a whole process (all threads, dead ones too) has used: clock_gettime on its process clock.
  [[nodiscard]] virtual Result<Duration> process_cpu_time(std::int64_t pid) noexcept = 0;
  // Opens events as one group: of `pid` (−1: of everybody, 0: of the thread that calls) on `cpu` (−1: wherever the pid
  // runs); `reach` says whom a process's events count. Errors: denied (with what would allow it), absent, gone (no such
  // process), unavailable (a machine without perf events: every captured one).
  [[nodiscard]] virtual Result<std::unique_ptr<PerfGroup>> open_perf(std::span<const PerfEvent> events,
                                                                     std::int64_t pid, int cpu,
                                                                     PerfReach reach = PerfReach::alone);
  // The first of these libraries that is there ("libnvidia-ml.so.1"), opened at run time. Errors: see
  // machine/library.hpp; unavailable on every captured machine.
  [[nodiscard]] virtual Result<std::unique_ptr<Library>> open_library(std::span<const std::string_view> names);
  // Opens a device for controls. Errors: denied, absent, unavailable (a machine whose devices are not here: every
  // captured one, and a live one whose /sys is another's).
  [[nodiscard]] virtual Result<std::unique_ptr<Device>> open_device(const std::string& path);
  // Runs a program of that machine (the first word is looked up in PATH), without a terminal and in the C locale, and
  // waits for its end; after `most` it is killed. Allocates and may block: not for a tick of a fast or slow lane.
  // Errors: absent (no such program), denied, transient (it took longer than `most`), unavailable (as above). A
  // captured machine gives what was recorded below programs/, under the name that captured_program_file() tells.
  [[nodiscard]] virtual Result<ProgramOutput> run_program(std::span<const std::string> arguments, Duration most);
  // CPU time of this program itself, all threads.
  [[nodiscard]] virtual Duration own_cpu_time() const noexcept = 0;
  // Logical CPUs online.
  [[nodiscard]] virtual unsigned cpu_count() = 0;
  // Files that this program may have open at once, on the machine it runs on; what a sensor keeps open is a share of
  // it.
  [[nodiscard]] virtual std::size_t most_open_files() const noexcept { return 1024; }
  // Scheduler tick (1/HZ): how stale tick-accounted CPU times may be. The default is the longest that Linux is built
  // with.
  [[nodiscard]] virtual Duration tick_period() const noexcept { return milliseconds(10); }
};

struct LiveMachineOptions {
  std::string sysfs = "/sys";    // --sysfs DIR
  std::string procfs = "/proc";  // --procfs DIR
};
[[nodiscard]] std::unique_ptr<Machine> make_live_machine(const LiveMachineOptions& options = {});
// Where below a captured machine's root lies what these words printed: "programs/vcgencmd_measure_temp". Pure.
[[nodiscard]] std::string captured_program_file(std::span<const std::string> arguments);
// `root` holds proc/ and sys/ of another machine. The clock is the live one, process clocks are absent.
[[nodiscard]] std::unique_ptr<Machine> make_captured_machine(const std::string& root);

}  // namespace prony
