// Who goes first: threads that measure need microseconds where a workload needs seconds, so they go before it where
// that is allowed. Both belong to the calling thread on Linux; a command that is started from another never inherits
// them. Thread promise: of the calling thread alone. Source: sched(7), "The autogroup feature", "SCHED_FIFO".
#pragma once

namespace prony {

// By its nice value, which counts only within a session (the kernel's autogroups share the CPUs between sessions
// first). Without the right to it nothing changes.
void go_before_most() noexcept;

// True where it was allowed. Real time is outside of autogroups: for what never computes for long.
bool set_real_time(bool on) noexcept;

}  // namespace prony
