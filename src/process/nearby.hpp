// Nearby: what there is on the machine in place of what a selector names: names, control groups, units and numbers that
// are a slip of the finger away, a process whose command line holds the name, the process that a thread belongs to.
// Reads every process of /proc, once, when it is first asked: never on a tick. Words are printable.
// Thread promise: one thread. The Machine must outlive it. Errors: none; what cannot be read is not named.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "machine/machine.hpp"
#include "process/selector.hpp"

namespace prony {

// "did you mean 'a', 'b' or 'c'?"; "" for none.
[[nodiscard]] std::string did_you_mean(std::span<const std::string> names);

class Nearby {
 public:
  // `own_pid`: Prony's process, which with those that it descends from holds on its command line what is looked for.
  Nearby(Machine& machine, std::int64_t own_pid) : machine_(machine), own_pid_(own_pid) {}

  // For `comm`, `cgroup`, `unit` and `pid`: what the user may have meant, else how to list what there is.
  [[nodiscard]] std::string advice(const TargetChoice& choice);

 private:
  struct Seen {
    std::int64_t pid = 0, parent = 0;
    std::string name, program, command_line;
    std::string cgroups;
  };
  void look();
  [[nodiscard]] std::string for_name(const std::string& wanted);
  [[nodiscard]] std::string for_group(std::string wanted);
  [[nodiscard]] std::string for_unit(const std::string& wanted);
  [[nodiscard]] std::string for_number(const std::string& wanted);
  [[nodiscard]] std::string whose_command_line_holds(const std::string& wanted) const;

  Machine& machine_;
  const std::int64_t own_pid_;
  bool looked_ = false;
  std::vector<Seen> seen_;              // ascending by pid, Prony's own process apart
  std::vector<std::int64_t> own_line_;  // the processes that Prony descends from
};

}  // namespace prony
