// LifeEvents: a mechanism of the kernel that tells who was born, who ended, and with how much CPU time, so that those
// are counted who live and die between two looks at the processes. The process table works without one, by looking.
// Implementations: the process connector with taskstats (make_kernel_life_events), tests' scripts; a BPF program at
// the scheduler's switches would be another, and its `used` takes the place of process clocks.
// Thread promise: one thread. Ownership: owns what it listens on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "machine/machine.hpp"
#include "model/time.hpp"

namespace prony {

struct Birth {
  std::int64_t parent = 0;               // process
  std::int64_t thread = 0, process = 0;  // equal: a new process; else a new thread of `process`
  Instant at;                            // 0: not told
};

struct End {  // of a thread
  std::int64_t thread = 0;
  std::int64_t cpu_ns = 0;      // of its whole life
  std::array<char, 16> name{};  // as it was called at the end
};

struct Used {
  std::int64_t process = 0;
  std::int64_t cpu_ns = 0;  // of all its threads, dead ones too, since it was born
};

struct LifeBatch {
  std::vector<Birth> births;  // in the kernel's order
  std::vector<End> ends;      // in the kernel's order; whoever is here was born before or in `births`
  std::vector<Used> used;     // of those that used something since the last batch, where the mechanism knows
  bool lost = false;          // the kernel had to drop some
  std::int64_t lost_ns = 0;   // CPU time of processes for which the mechanism had no room
  void clear() {
    births.clear();
    ends.clear();
    used.clear();
    lost = false;
    lost_ns = 0;
  }
};

class LifeEvents {
 public:
  virtual ~LifeEvents() = default;
  [[nodiscard]] virtual std::string name() const = 0;  // "exit-events"
  // Adds all that was told since the last call. Does not wait.
  virtual void read(LifeBatch& batch) = 0;
};

// Errors: as KernelEvents::open, and `unavailable` where the kernel accepts a listener but tells it nothing (inside a
// process id namespace).
[[nodiscard]] Result<std::unique_ptr<LifeEvents>> make_kernel_life_events();

// "ebpf": the switch meter (process/switch_meter.hpp) tells who appeared, who ended, and what it had used in its whole
// life; nothing of single threads. Who lived and died between two reads is told without its parent: it finds its target
// by its name alone.
[[nodiscard]] Result<std::unique_ptr<LifeEvents>> make_switch_life_events(Machine& machine);

}  // namespace prony
