#include "base/thread_priority.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace prony {

void go_before_most() noexcept {
  constexpr int nice_value = -15;
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), nice_value);
}

bool set_real_time(bool on) noexcept {
  struct sched_param param{};
  param.sched_priority = on ? 1 : 0;
  return sched_setscheduler(0, (on ? SCHED_FIFO : SCHED_OTHER) | SCHED_RESET_ON_FORK, &param) == 0;
}

}  // namespace prony
