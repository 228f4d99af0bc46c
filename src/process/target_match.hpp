// TargetMatch: which targets name a process by what it is itself (its number, name, user, control groups, sockets);
// who belongs to one by descent is the process table's business. A set of targets is a bit mask, bit i for choice i.
// Thread promise: one thread. The Machine must outlive it. Errors: usage.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "machine/machine.hpp"
#include "model/manifest.hpp"
#include "process/container_names.hpp"
#include "process/proc_files.hpp"
#include "process/selector.hpp"
#include "process/socket_owners.hpp"

namespace prony {

using TargetMask = std::uint64_t;

// What is read of a process once, when it is first seen, as far as the choices need it.
struct ProcessFacts {
  ProcessStat stat;
  std::string program;                // base name of argv[0]; "": a kernel thread, or not asked for
  std::optional<std::uint32_t> user;  // effective
  std::string cgroups;                // text of /proc/PID/cgroup
  std::string network;                // where /proc/PID/ns/net leads to
};

class TargetMatch {
 public:
  // Looks up users. Errors: usage, for a user that is not known here.
  [[nodiscard]] static Result<TargetMatch> make(Machine& machine, std::vector<TargetChoice> choices);

  // Processes of this control group belong to the command whatever they descend from; `path` as a directory.
  void set_command_cgroup(std::string path) { command_cgroup_ = std::move(path); }
  [[nodiscard]] bool in_command_cgroup(const ProcessFacts& facts) const;

  // Nothing: it is gone. What else may not be read stays empty.
  [[nodiscard]] std::optional<ProcessFacts> read_facts(std::int64_t pid);
  // The targets that name it by itself. `pid` choices and ports are roots that the table keeps.
  [[nodiscard]] TargetMask named(const ProcessFacts& facts);
  // The targets to which a name as such would belong: what is left to tell of a process that has ended.
  [[nodiscard]] TargetMask named_by_comm(std::string_view comm) const;
  // Targets of which whoever descends from a process of theirs is a process.
  [[nodiscard]] TargetMask trees() const noexcept { return trees_; }
  // Targets whose processes' children are theirs at birth: trees, and all but those that go by the name alone.
  [[nodiscard]] TargetMask inherited() const noexcept { return inherited_; }
  [[nodiscard]] bool has_ports() const noexcept { return ports_; }
  // "command" for the index behind the last.
  [[nodiscard]] std::string name_of(std::size_t index) const {
    return index < choices_.size() ? choices_[index].name : std::string(command_target);
  }
  // Slow. Hands each process that listens on a chosen port to `root(pid, target)`.
  template <class Root>
  void find_port_owners(std::span<const SocketOwners::Candidate> candidates, Root root) {
    for (std::size_t i = 0; i < choices_.size(); ++i)
      for (const std::int64_t pid : owners_of(i, candidates)) root(pid, i);
  }
  // What could not be told so far, and what would mend it. Slow: looks for what the user may have meant instead.
  // `taken_by`: by target, as ProcessTable has it.
  [[nodiscard]] std::vector<Unavailable> unavailable(std::span<const bool> ever_seen,
                                                     std::span<const std::optional<int>> taken_by,
                                                     std::int64_t own_pid) const;

 private:
  TargetMatch(Machine& machine, std::vector<TargetChoice> choices)
      : machine_(&machine), choices_(std::move(choices)), names_(machine), sockets_(machine) {}
  [[nodiscard]] bool matches(std::size_t index, const ProcessFacts& facts);
  [[nodiscard]] bool in_container(const std::string& value, const ProcessFacts& facts);
  [[nodiscard]] Unavailable taken(std::size_t index, int by) const;
  [[nodiscard]] std::vector<std::int64_t> owners_of(std::size_t index, std::span<const SocketOwners::Candidate> all);

  struct PortState {
    bool listening = false, found = false;
    std::size_t closed = 0;
  };

  Machine* machine_;
  std::vector<TargetChoice> choices_;
  std::vector<std::uint32_t> users_;  // of each choice; 0 where it is none of a user
  std::vector<PortState> port_states_;
  ContainerNames names_;
  SocketOwners sockets_;
  std::string command_cgroup_;
  TargetMask trees_ = 0, inherited_ = 0;
  bool programs_ = false, of_users_ = false, cgroups_ = false, ports_ = false;
};

}  // namespace prony
