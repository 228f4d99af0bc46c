// Perf events: what a Machine without them says, and the live ones.
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/fd.hpp"
#include "machine/machine.hpp"
#include "machine/perf.hpp"

namespace prony {

namespace {

constexpr std::size_t most_events = 16;
constexpr const char* perf_remedy = "sudo prony setup perf";

// What PERF_FORMAT_GROUP | TOTAL_TIME_ENABLED | TOTAL_TIME_RUNNING gives: number, enabled, running, counts.
// Source: perf_event_open(2).
class LivePerfGroup final : public PerfGroup {
 public:
  explicit LivePerfGroup(std::vector<Fd> events) : events_(std::move(events)) {}

  [[nodiscard]] int read(std::span<std::uint64_t> counts) noexcept override {
    std::array<std::uint64_t, 3 + most_events> words{};
    const auto bytes = ::read(events_.front().get(), words.data(), sizeof words);
    if (bytes < 0) return -errno;
    if (bytes == 0) return -ENODEV;  // the group is in error state: its CPU or PMU has gone
    if (words[0] != events_.size() || counts.size() < events_.size()) return -EINVAL;
    if (words[2] < words[1]) return -EBUSY;  // multiplexed: scaled counts would be guesses
    for (std::size_t i = 0; i < events_.size(); ++i) counts[i] = words[3 + i];
    return 0;
  }

 private:
  std::vector<Fd> events_;  // the first leads
};

}  // namespace

Result<std::unique_ptr<PerfGroup>> Machine::open_perf(std::span<const PerfEvent>, std::int64_t, int, PerfReach) {
  return fail(ErrorCode::unavailable, "this machine has no perf events", "perf");
}

Result<std::unique_ptr<PerfGroup>> open_live_perf(std::span<const PerfEvent> events, std::int64_t pid, int cpu,
                                                  PerfReach reach) {
  if (events.empty() || events.size() > most_events)
    return fail(ErrorCode::usage, "a perf group holds 1 to 16 events", "perf");
  std::vector<Fd> opened;
  for (const PerfEvent& event : events) {
    perf_event_attr attributes;
    std::memset(&attributes, 0, sizeof attributes);
    attributes.size = sizeof attributes;
    attributes.type = event.type;
    attributes.config = event.config;
    attributes.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    attributes.inherit = reach != PerfReach::alone;
    attributes.inherit_thread = reach == PerfReach::threads;
    attributes.disabled = attributes.enable_on_exec = reach == PerfReach::children_from_exec;
    const int leader = opened.empty() ? -1 : opened.front().get();
    const long fd = ::syscall(SYS_perf_event_open, &attributes, static_cast<pid_t>(pid), cpu, leader,
                              static_cast<unsigned long>(PERF_FLAG_FD_CLOEXEC));
    if (fd < 0) {
      auto error = error_from_errno(errno, "perf_event_open", "cannot open perf event");
      if (error.code == ErrorCode::denied) error.fix = perf_remedy;
      return Unexpected<Error>(std::move(error));
    }
    opened.emplace_back(static_cast<int>(fd));
  }
  return std::make_unique<LivePerfGroup>(std::move(opened));
}

}  // namespace prony
