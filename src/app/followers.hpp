// Followers: whose cost a recording asks for: the command's tree and the processes that selectors name, from before the
// command exists until all that they used is in the Run.
// Thread promise: as Recording; survey() on a thread of its own, carry() on the session's. Ownership: owns the tree and
// the follower; both machines and the session must outlive it. Errors: usage (--tree, selectors), absent, denied.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/common.hpp"
#include "app/follow_carrier.hpp"
#include "app/session.hpp"
#include "base/spawn.hpp"
#include "machine/machine.hpp"
#include "model/manifest.hpp"
#include "process/device_use.hpp"
#include "process/follow.hpp"
#include "process/process_tree.hpp"
#include "process/target_counts.hpp"
#include "sensors/device_users.hpp"

namespace prony::app {

// What a recording is like that asks for followers.
struct FollowersFor {
  bool command = false;                  // it has one
  bool inside_program = false;           // this very process is a target, not Prony's own
  std::optional<Duration> monitor = {};  // it goes on for months and ticks this often: what it costs is spared
  std::optional<Duration> ticks = {};    // how often a Run ticks, where that is known
  Machine* processes = nullptr;          // where others than the command are followed; null: see create()
  bool writes_run = true;                // who uses what, process by process, is written somewhere
};

class Followers {
 public:
  // A command runs on this machine (`live`). Others are looked for on the one that is `measured`, unless that is a
  // simulated one. Where `sensors` count the machine's cycles, those of the targets are counted too.
  [[nodiscard]] static Result<Followers> create(const RecordOptions& options, const FollowersFor& use,
                                                const SensorSet& sensors, Machine& measured, Machine& live);

  // Before watchers(): devices whose drivers tell who uses them are split by that.
  void watch_devices(Machine& measured, SensorSet& sensors);
  [[nodiscard]] std::vector<Sensor*> watchers();
  void describe(Manifest& manifest) const;
  // Targets of which nobody is there yet, in words: why, and who was probably meant. Slow.
  [[nodiscard]] std::vector<std::string> waited_for() const;
  // Before the session is started.
  void connect(Session& session);
  // The command: before it is spawned, and while it is held.
  void prepare(SpawnOptions& command);
  void attach(const Child& command);  // where its cycles cannot be counted, unavailable says why
  [[nodiscard]] GuardTarget guard_target() const;
  // When the session has begun: who the targets are.
  void begin();
  // A Run goes on in another file: `before` it does, and after. From the thread that carries.
  void turn_over(bool before);
  // Of the selectors; the command's is not among them.
  [[nodiscard]] std::vector<std::string> selected() const;
  void survey();
  // Everybody is looked at now, so that the next tick has what was used until now.
  void look();
  // When sampling has ended: the last look, and the totals of the command, whose end is known where there is an `exit`.
  void finish(const std::optional<ExitStatus>& exit);

 private:
  void add_tree_totals(const std::optional<ExitStatus>& exit);
  void count_cycles(const RecordOptions& options, Machine& measured, Machine& live);

  std::unique_ptr<TargetCounts> counts_;  // null: not counted; before follower_, which tells it of processes
  std::vector<Unavailable> unavailable_;
  std::unique_ptr<ProcessTree> tree_;                // null: no command
  std::unique_ptr<ProcessFollower> follower_;        // null: the command's tree is all that is asked for
  std::vector<std::unique_ptr<DeviceUsers>> cards_;  // graphics processors whose users the kernel tells
  std::unique_ptr<DeviceUseByTarget> devices_;       // null: nobody tells who uses a device
  std::unique_ptr<FollowCarrier> carrier_;           // its address is with the session
  Session* session_ = nullptr;
  bool inside_program_ = false;
};

}  // namespace prony::app
