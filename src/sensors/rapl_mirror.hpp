// Are two counters one? Some processors with several dies show the package's counter once per die (AMD Threadripper):
// added, they give twice the joules. Counters are one if their readings bracket each other, read after read, while both
// move: of a1 ≤ b ≤ a2, read in this order, no honest second counter keeps to it for long.
// Thread promise: one thread. Cost: no more than the budget of all comparisons together.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "machine/machine.hpp"

namespace prony {

// Reads a counter now; nullopt: it cannot be read.
using ReadCounter = std::function<std::optional<std::uint64_t>()>;

class MirrorWatch {
 public:
  // `budget` is shared by all comparisons; where the machine's clock stands still, reads are counted instead.
  MirrorWatch(const Machine& machine, Duration budget);

  // True: they moved together and never apart. `same_origin`: one counter would also show the same number in both
  // (powercap; perf groups count from when they were opened). `step`: counts by which equal registers may differ.
  [[nodiscard]] bool same(const ReadCounter& a, const ReadCounter& b, bool same_origin, double step);

 private:
  [[nodiscard]] bool spent() const;

  const Machine& machine_;
  Instant end_;
  std::uint64_t rounds_left_;
};

}  // namespace prony
