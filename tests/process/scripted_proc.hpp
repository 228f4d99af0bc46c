// A machine whose processes a test makes up: names, parents, users, groups, clocks, births and ends.
#pragma once

#include <map>
#include <string>

#include "machine/simulated.hpp"
#include "process/follow.hpp"

namespace prony::testing_process {

struct ScriptedProcess {
  std::int64_t pid = 0, parent = 1;
  std::string name = "sleeper";
  std::uint64_t start_ticks = 100;
  std::int64_t cpu_ns = 0;
  std::int64_t children_ticks = 0;
  std::uint32_t user = 0;
  std::string cgroup = "0::/";
  std::string command = {};  // argv[0]; "": as the name
  std::int64_t pages = 10;
  int threads = 1;
  int cpu = 0;  // last seen on
  char state = 'S';
};

class ScriptedProc {
 public:
  ScriptedProc() {
    machine.set_now({1'000'000'000});
    add({.pid = 1, .parent = 0, .name = "init", .start_ticks = 1});
  }
  void add(const ScriptedProcess& process) {
    newest_ = process.pid;
    machine.set_file("/proc/loadavg", "0.1 0.1 0.1 1/100 " + std::to_string(newest_));
    set(process);
  }
  // Says anew what it is and has used.
  void set(const ScriptedProcess& process) {
    processes[process.pid] = process;
    const std::string folder = "/proc/" + std::to_string(process.pid) + "/";
    machine.set_file(folder + "stat", stat_of(process));
    machine.set_file(folder + "statm", "100 " + std::to_string(process.pages) + " 1 1 0 1 0");
    machine.set_file(folder + "cmdline", (process.command.empty() ? process.name : process.command) + '\0' + "-x");
    const auto user = std::to_string(process.user);
    machine.set_file(folder + "status", "Name:\t" + process.name + "\nUid:\t0\t" + user + "\t0\t0\n");
    machine.set_file(folder + "cgroup", process.cgroup);
    machine.set_process(process.pid, [cpu = process.cpu_ns](Instant) { return Duration{cpu}; });
  }
  void use(std::int64_t pid, std::int64_t more_ns) {
    auto process = processes.at(pid);
    process.cpu_ns += more_ns;
    set(process);
  }
  // It ends, and its parent (or whoever it was given to) waits for it: `lost` by nobody.
  void end(std::int64_t pid, bool waited_for = true) {
    const auto process = processes.at(pid);
    for (const char* name : {"stat", "statm", "cmdline", "status", "cgroup"})
      machine.remove("/proc/" + std::to_string(pid) + "/" + name);
    machine.remove_process(pid);
    processes.erase(pid);
    const auto parent = processes.find(process.parent);
    if (!waited_for || parent == processes.end()) return;
    auto changed = parent->second;
    changed.children_ticks += process.children_ticks + process.cpu_ns / 10'000'000;
    set(changed);
  }
  // Numbers were given out, to threads or to somebody who has gone again.
  void births(std::int64_t count = 1) {
    newest_ += count;
    machine.set_file("/proc/loadavg", "0.1 0.1 0.1 1/100 " + std::to_string(newest_));
  }
  void pass(std::int64_t ms) { machine.advance(milliseconds(ms)); }

  SimulatedMachine machine;
  std::map<std::int64_t, ScriptedProcess> processes;

 private:
  static std::string stat_of(const ScriptedProcess& p) {
    return std::to_string(p.pid) + " (" + p.name + ") " + p.state + " " + std::to_string(p.parent) +
           " 0 0 0 0 0 0 0 0 0 0 0 " + std::to_string(p.children_ticks) + " 0 20 0 " + std::to_string(p.threads) +
           " 0 " + std::to_string(p.start_ticks) + " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 " + std::to_string(p.cpu) +
           " 0 0";
  }
  std::int64_t newest_ = 1;
};

}  // namespace prony::testing_process
