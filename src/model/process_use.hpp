// What each followed process used between two looks at all of them: the raw material of energy per process. A look
// lists only those that used something, so that thousands of sleepers cost nothing. Thread promise: plain data.
#pragma once

#include <cstdint>
#include <vector>

#include "model/time.hpp"

namespace prony {

struct ProcessUse {
  std::uint32_t process = 0;         // ProcessRecord::number
  std::int64_t cpu_ns = 0;           // CPU time of all its threads within the look
  std::uint64_t resident_bytes = 0;  // held at the look's end; 0: not read in this look
};

// Looks of a Run follow each other without a gap. Who was born and died within one is a use of it like any other, where
// the mechanism in use can tell; `ended_unseen_ns` is CPU time that ended processes used and that no number stands for.
struct ProcessLook {
  Interval between;
  std::vector<ProcessUse> uses;  // ascending by process
  std::int64_t ended_unseen_ns = 0;
};

}  // namespace prony
