// Programs whose true CPU time is known, because each of their processes writes down its own clock before it ends. They
// are modes of the test program itself: it is started again with PRONY_BURNER set, and never reaches main().
#pragma once

#include <string>
#include <vector>

#include "base/spawn.hpp"

namespace prony::testing_process {

// "sequence": 200 children of 5 ms, one after another · "double-fork": an orphan of 150 ms · "threads": 4 × 60 ms ·
// "auto-reap": 20 children of 20 ms under an ignored SIGCHLD · "sleep-tree": three generations that sleep 30 s, the
// last one orphaned · "leave": ends at once and leaves an orphan that burns 400 ms · "memory": holds 64 MiB for 300 ms
SpawnOptions burner(const std::string& mode, const std::string& truth_file);
// Sum of what the processes of a burner wrote, seconds.
double truth_s(const std::string& truth_file);
void burn_ns(long ns);
// What the end of a process costs here after it wrote down its clock, seconds: its memory is released then, which takes
// a microsecond or, under a sanitizer, a millisecond. The most of a few.
double cost_of_an_end_s();

}  // namespace prony::testing_process
