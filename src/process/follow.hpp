// ProcessFollower: the processes of targets that were chosen by selectors, while they come, go and come back; how much
// CPU time and memory each target uses; and, where processes are followed one by one, what each process used.
// Everything is read through the Machine, so that a captured or scripted one can be followed too.
// Thread promise: any thread; the sensor's read() runs on the sampler's, survey() on one of the app's.
// Ownership: owns its sensor; the Machine must outlive it. Sources: proc(5), cgroups(7). See docs/targets.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "model/manifest.hpp"
#include "model/process_use.hpp"
#include "model/target.hpp"
#include "process/guard.hpp"
#include "process/life_events.hpp"
#include "process/selector.hpp"
#include "sensors/sensor.hpp"

namespace prony {

struct FollowOptions {
  bool each_process = false;                 // make looks, of all processes of the machine
  Duration look_period = milliseconds(100);  // between two looks at the list of processes
  // Set where the follower lives for months: ticks come this often. Looks then take about 1/1000 of the time, at most a
  // second or a tick apart, and the last before a tick comes just before it, so that it knows who was born.
  std::optional<Duration> sparing = {};
  // Ticks that are further apart than looks: then looks that cost much come with them, and take about 1/400 of the
  // time.
  std::optional<Duration> ticks = {};
  bool tells_processes = true;              // false: nobody takes looks and records; targets are counted all the same
  bool kernel_events = true;                // use exit events where the kernel gives them to this user
  std::unique_ptr<LifeEvents> events = {};  // used in their place, if set
  std::int64_t own_pid = 0;                 // Prony's own process, which belongs to no target; 0: this one
  bool own_thread = true;                   // on a live machine look from a thread, else from the sensor's read()
};

// A process of a target, as a look found it.
struct TargetMember {
  std::int64_t pid = 0;
  std::uint64_t start_ticks = 0;
  std::int64_t parent = 0;
  std::size_t target = 0;  // its number among the targets
};

class ProcessFollower {
 public:
  // Looks once, so that who is there at the start is known. Errors: usage (two targets of one name, no such user),
  // `absent` for a --pid that is not there (the other selectors may wait for theirs), `denied` where /proc is closed.
  // Without choices and with each_process it makes looks only.
  [[nodiscard]] static Result<std::unique_ptr<ProcessFollower>> create(Machine& machine,
                                                                       std::vector<TargetChoice> choices,
                                                                       FollowOptions options);
  virtual ~ProcessFollower() = default;

  // The measured command's tree: its processes belong to the command and to no other target. Call when it is known
  // (after ProcessTree::attach, with its guard_target()), before the command is released.
  virtual void exclude_command(const GuardTarget& command) = 0;
  // Target channels "target.NAME.cpu", "target.NAME.rss", per package "target.NAME.cpu.package-0" (domain
  // "package-0") where there are several packages. Its changes() are the events "target-appeared" and "target-gone".
  [[nodiscard]] virtual Sensor& sensor() noexcept = 0;
  // In the order of the choices; fixed after create().
  [[nodiscard]] virtual const std::vector<Target>& targets() const noexcept = 0;
  // The target that a living process belongs to, by its index; nullopt: none, or the command's.
  [[nodiscard]] virtual std::optional<std::size_t> target_of(std::int64_t pid) const = 0;
  // Tells the targets' processes, ascending by pid: now and after each look, from the thread that looks. Their targets
  // are numbered from `first` on. Call once, before the sensor is read.
  virtual void tell_members_to(std::function<void(std::span<const TargetMember>)> tell, std::size_t first) = 0;
  // Slow things (ports, container names, memory of each process), about once a second from a thread of the app.
  virtual void survey() = 0;
  // A look now, whatever the period: at the end of a recording, so that its looks reach until then.
  virtual void look_now() = 0;
  // Adds the looks that are complete and not yet taken. False: there were none. Looks that nobody takes for a while
  // become longer ones; nothing is lost.
  virtual bool take_looks(std::vector<ProcessLook>& looks) = 0;
  // Those that belong to a target or have a number: the ended ones that were not taken yet, and all that live.
  [[nodiscard]] virtual std::vector<ProcessRecord> processes() const = 0;
  // Adds the ended ones and forgets them: what a recording that runs for months calls now and then. Past 16384 that
  // nobody took, ended processes have no row; their use stays in their target's channel.
  virtual void take_ended(std::vector<ProcessRecord>& records) = 0;
  // What could not be seen and why: a port whose owner may not be asked, a container name that nobody could resolve.
  [[nodiscard]] virtual std::vector<Unavailable> unavailable() const = 0;
  // How processes that live and die between two looks are counted: "exit-events", "ebpf" or
  // "polling", and why not better.
  [[nodiscard]] virtual std::string rung() const = 0;
  [[nodiscard]] virtual std::string why_not_better() const = 0;
};

}  // namespace prony
