// Births and ends from the process connector and taskstats, for the whole machine.
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "process/kernel_events.hpp"
#include "process/life_events.hpp"

namespace prony {

namespace {

class KernelLifeEvents final : public LifeEvents {
 public:
  explicit KernelLifeEvents(KernelEvents events) : events_(std::move(events)) {}

  [[nodiscard]] std::string name() const override { return "exit-events"; }

  void read(LifeBatch& batch) override {
    forks_.clear();
    ends_.clear();
    // Ends first: a thread's fork is told before its end, so whatever ended was born in what is read after.
    const bool ends_lost = events_.read_ends(ends_);
    batch.lost = events_.read_forks(forks_) || ends_lost || batch.lost;
    for (const ForkEvent& fork : forks_)
      batch.births.push_back({fork.parent_process, fork.child_thread, fork.child_process, fork.at});
    for (const ThreadEnd& end : ends_) batch.ends.push_back({end.thread, end.cpu_ns, end.name});
  }

 private:
  KernelEvents events_;
  std::vector<ForkEvent> forks_;
  std::vector<ThreadEnd> ends_;
};

// The first process id and user namespaces have fixed numbers (PROC_PID_INIT_INO, PROC_USER_INIT_INO in the kernel's
// include/linux/proc_ns.h); in others the connector takes a listener and tells it nothing
// (drivers/connector/cn_proc.c).
bool in_first_namespace(const char* link, std::string_view first) noexcept {
  char target[64] = {};
  const auto length = ::readlink(link, target, sizeof target);
  return length > 0 && std::string_view(target, static_cast<std::size_t>(length)) == first;
}

}  // namespace

Result<std::unique_ptr<LifeEvents>> make_kernel_life_events() {
  if (!in_first_namespace("/proc/self/ns/pid", "pid:[4026531836]") ||
      !in_first_namespace("/proc/self/ns/user", "user:[4026531837]"))
    return fail(ErrorCode::unavailable, "the kernel tells process events only outside of containers", {},
                "start Prony on the host, or in a container with the host's process and user namespaces (--pid=host)");
  auto events = KernelEvents::open();
  if (!events) return Unexpected<Error>(events.error());
  return std::make_unique<KernelLifeEvents>(std::move(*events));
}

}  // namespace prony
