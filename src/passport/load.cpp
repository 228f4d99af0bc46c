#include "passport/load.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace prony::passport {

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  return cpus;
}

bool stay_on_cpu(int cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

void set_turn(int nice) noexcept { setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), nice); }

void compute_a_little() noexcept {
  volatile std::uint64_t seed = 88172645463325252ULL;  // else the compiler does the work beforehand
  std::uint64_t state = seed;
  for (int i = 0; i < 500; ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
  }
  seed = state;
}

Instant live_now() noexcept {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return {time.tv_sec * 1'000'000'000 + time.tv_nsec};
}

Burner::Burner(const std::vector<int>& cpus, Duration limit) : shared_(std::make_shared<Shared>(cpus.size())) {
  const Instant end = live_now() + limit;
  for (std::size_t i = 0; i < cpus.size(); ++i)
    threads_.emplace_back([shared = shared_, i, cpu = cpus[i], end] {
      set_turn(0);  // a thread begins with its maker's
      stay_on_cpu(cpu);
      for (std::uint64_t done = 1; !shared->stop.load(std::memory_order_relaxed) && live_now() < end; ++done) {
        compute_a_little();
        shared->done[i].store(done, std::memory_order_relaxed);
      }
    });
}

void Burner::stop() {
  shared_->stop.store(true);
  for (auto& thread : threads_)
    if (thread.joinable()) thread.join();
}

std::uint64_t Burner::work() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& done : shared_->done) sum += done.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace prony::passport
