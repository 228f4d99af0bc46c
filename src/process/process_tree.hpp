// ProcessTree: who belongs to the measured command and how much CPU time, memory and I/O its whole tree has used, with
// the short-lived ones. A ladder of mechanisms; the best that works here is used, and its name is part of the result:
//   cgroup       own cgroup v2: cpu.stat counts everybody who was ever inside, to the microsecond
//   exit-events  process connector + taskstats: every exit of a descendant with its times (needs CAP_NET_ADMIN)
//   subreaper    orphans come to Prony; wait4 gives the times of all that were waited for
//   polling      process clocks of the descendants seen at ticks; those that live between two ticks are missed
// It is a Sensor as well (channels: target CPU time, target resident memory), read in the fast lane.
// It always looks at the live machine: --procfs and --sysfs do not move a real command elsewhere.
// What each rung can and cannot see: docs/process-tree.md. Sources: cgroup-v2.rst, taskstats.rst, proc(5), prctl(2).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/spawn.hpp"
#include "machine/machine.hpp"
#include "model/manifest.hpp"
#include "process/guard.hpp"
#include "sensors/sensor.hpp"

namespace prony {

enum class TreeRung { automatic, cgroup, exit_events, subreaper, polling };
[[nodiscard]] std::string_view to_string(TreeRung rung) noexcept;
[[nodiscard]] std::optional<TreeRung> tree_rung_from(std::string_view text) noexcept;

struct TreeUsage {
  double cpu_user_s = 0, cpu_system_s = 0;
  std::optional<double> cpu_unattributed_s;  // seen by the rung as the tree's, but not assignable to user/system
  // Largest sum over the tree at a tick (or a single process's ru_maxrss if larger); 0: not known.
  std::uint64_t rss_peak_bytes = 0;
  std::optional<std::uint64_t> pss_peak_bytes;
  std::optional<std::uint64_t> minor_faults, major_faults, voluntary_switches, involuntary_switches;
  std::optional<std::uint64_t> read_bytes, write_bytes;              // reached storage
  std::optional<std::uint64_t> read_calls_bytes, write_calls_bytes;  // rchar, wchar: through read and write calls
  std::uint64_t processes = 0;                                       // ever seen in the tree
  std::optional<std::uint64_t>
      short_lived;  // of them, began and ended between two ticks; absent where the rung cannot know
  std::vector<Unavailable> unavailable;  // fields that could not be had, with the reason
};

class ProcessTree {
 public:
  // Picks the rung (or the one forced: an Error says why it does not work here). Must be made before the command is
  // spawned; `prepare` then adds to its SpawnOptions what the rung needs.
  [[nodiscard]] static Result<std::unique_ptr<ProcessTree>> create(Machine& machine, TreeRung rung);
  virtual ~ProcessTree() = default;

  virtual void prepare(SpawnOptions& options) = 0;  // cgroup, and PRONY_RUN_ID by which orphans are found again
  virtual void attach(const Child& root) = 0;       // after spawn, before release
  [[nodiscard]] virtual TreeRung rung() const noexcept = 0;
  [[nodiscard]] virtual std::string why_not_better()
      const = 0;  // reason why the rungs above were not used; may be empty
  // The sensor of the tree's channels; owned by the tree. Its reads run on the sampler's thread.
  [[nodiscard]] virtual Sensor& sensor() noexcept = 0;
  // Slow things (PSS, listing of /proc, process names), called about once a second from a thread of the app.
  virtual void survey() = 0;
  // After the root was waited for: reap what is left to reap, then the sums. `root` is what wait() gave.
  [[nodiscard]] virtual TreeUsage finish(const ExitStatus& root) = 0;
  [[nodiscard]] virtual std::vector<ProcessRecord> processes() const = 0;
  // True: a process of the tree, or one that was until lately.
  [[nodiscard]] virtual bool holds(std::int64_t pid) = 0;
  // Ends the whole tree (--die-with-prony's guard does it after Prony's death; this is for use in life).
  virtual void kill_all(int signal) noexcept = 0;
  // What a guard needs to know to end this tree after our death; complete after attach().
  [[nodiscard]] virtual GuardTarget guard_target() const = 0;
};

}  // namespace prony
