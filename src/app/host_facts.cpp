#include "app/host_facts.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

#include "base/fd.hpp"

namespace prony::app {

namespace {

namespace fs = std::filesystem;

constexpr long wakeups = 100;
constexpr std::int64_t wakeup_ns = 1'000'000, second_ns = 1'000'000'000;

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * second_ns + now.tv_nsec;
}

// As a lane sleeps: to absolute deadlines, with the least slack. In a thread of its own, for slack belongs to a thread.
doctor::HostFacts::Timers measure_timers() {
  std::vector<std::int64_t> lateness;
  std::thread([&lateness] {
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    std::int64_t deadline = now_ns();
    for (long i = 0; i < wakeups; ++i) {
      deadline = std::max(deadline, now_ns()) + wakeup_ns;
      const timespec until{static_cast<time_t>(deadline / second_ns), static_cast<long>(deadline % second_ns)};
      while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
      }
      lateness.push_back(std::max<std::int64_t>(0, now_ns() - deadline));
    }
  }).join();
  std::ranges::sort(lateness);
  const auto at = [&](std::size_t percent) {
    return static_cast<double>(lateness[(lateness.size() * percent - 1) / 100]) * 1e-9;
  };
  return {at(50), at(99)};
}

std::optional<doctor::HostFacts::Ntp> ntp_state() {
  struct timex state{};
  const int clock = ::adjtimex(&state);
  if (clock < 0) return std::nullopt;
  const bool in_step = clock != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  return doctor::HostFacts::Ntp{in_step, static_cast<double>(state.maxerror) * 1e-6};
}

// A span file is written by the measured program and read by Prony through shared memory: try just that, unnamed.
std::string why_no_shared_file(const fs::path& folder) {
  std::string name = (folder / ".prony-doctor-XXXXXX").string();
  const Fd file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file.valid()) return std::strerror(errno);
  ::unlink(name.c_str());
  constexpr std::size_t page = 4096;
  if (::ftruncate(file.get(), page) != 0) return std::strerror(errno);
  void* mapped = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) return std::string("no shared memory on this file system: ") + std::strerror(errno);
  ::munmap(mapped, page);
  return {};
}

doctor::HostFacts::Place place_of(const fs::path& runs) {
  fs::path folder = runs;
  std::error_code ignored;
  while (!folder.empty() && !fs::is_directory(folder, ignored)) folder = folder.parent_path();
  if (folder.empty()) folder = ".";
  doctor::HostFacts::Place place;
  place.path = fs::absolute(folder, ignored).lexically_normal().string();
  struct statfs state{};
  if (::statfs(folder.c_str(), &state) == 0) {
    place.free_bytes = static_cast<std::uint64_t>(state.f_bavail) * static_cast<std::uint64_t>(state.f_bsize);
    constexpr std::array<unsigned long, 4> networks{NFS_SUPER_MAGIC, CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
                                                    CEPH_SUPER_MAGIC};
    place.network =
        std::ranges::find(networks, static_cast<unsigned long>(state.f_type) & 0xffffffffUL) != networks.end();
  }
  place.trouble = why_no_shared_file(folder);
  return place;
}

}  // namespace

doctor::HostFacts gather_host_facts(const fs::path& runs) {
  doctor::HostFacts facts;
  facts.own_pid = ::getpid();
  facts.root = ::geteuid() == 0;
  facts.ntp = ntp_state();
  facts.timers = measure_timers();
  facts.place = place_of(runs);
  return facts;
}

}  // namespace prony::app
