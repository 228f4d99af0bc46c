#include "burners.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "base/text.hpp"

namespace prony::rigs {

namespace {

constexpr std::int64_t beat_ns = 10'000'000;  // of a burner's duty, on average
constexpr int burner_nice = -10;              // where it may: so that a full machine leaves a burner its share

std::int64_t clock_ns(clockid_t clock) noexcept {
  timespec now{};
  if (::clock_gettime(clock, &now) != 0) return -1;
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

void burn_until(clockid_t clock, std::int64_t ns) {
  volatile unsigned long sink = 0;
  while (clock_ns(clock) < ns)
    for (int i = 0; i < 500; ++i) sink = sink + static_cast<unsigned long>(i);
}

// `keep`: the one descriptor of the conductor's that stays open.
void become(const std::string& name, int nice = 0, int keep = -1) {
  if (keep > 3) ::close_range(3, static_cast<unsigned>(keep) - 1, 0);
  ::close_range(static_cast<unsigned>(std::max(keep, 2)) + 1, ~0U, 0);
  if (::setpriority(PRIO_PROCESS, 0, nice) != 0) ::setpriority(PRIO_PROCESS, 0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, name.c_str());
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// What it could not have on a full machine it makes up for later: the share holds on the whole, if it can be had at
// all.
void burn_share(double share, std::int64_t begin, std::int64_t end, std::int64_t phase) {
  const std::int64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  // Never in step with the kernel's ticks, which would take a burst at each of them for twice its length, or for none.
  std::minstd_rand random(static_cast<unsigned>(::getpid() + phase));
  std::uniform_int_distribution<std::int64_t> beat(beat_ns / 2, beat_ns * 3 / 2);
  for (std::int64_t at = begin + phase; at < end; at += beat(random)) {
    sleep_until(at);
    const auto due = static_cast<std::int64_t>(share * static_cast<double>(at + beat_ns - phase - begin));
    burn_until(CLOCK_THREAD_CPUTIME_ID, before + due);
  }
  sleep_until(end);
}

void burn_steadily(const BurnerPlan& plan, std::int64_t zero) {
  const auto at = [&](double s) { return zero + static_cast<std::int64_t>(s * 1e9); };
  std::vector<std::thread> threads;
  for (int i = 0; i < plan.threads; ++i)
    threads.emplace_back([&, i] {
      burn_share(plan.share / plan.threads, at(plan.begin_s), at(plan.end_s), beat_ns * i / plan.threads);
    });
  for (auto& thread : threads) thread.join();
}

std::int64_t usage_ns(const rusage& usage) {
  const auto ns = [](const timeval& time) {
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::int64_t>(time.tv_usec) * 1000;
  };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

void bear_short_ones(const BurnerPlan& plan, std::size_t index, Stage& stage) {
  const std::int64_t zero = stage.begin_ns.load();
  for (double at_s = plan.begin_s; at_s + plan.every_s <= plan.end_s; at_s += plan.every_s) {
    sleep_until(zero + static_cast<std::int64_t>(at_s * 1e9));
    rusage usage{};
    const pid_t child = start_short_one(plan);
    stage.child[index] = child;
    if (::wait4(child, nullptr, 0, &usage) > 0) stage.children_ns[index] += usage_ns(usage);
    stage.child[index] = 0;
  }
  sleep_until(zero + static_cast<std::int64_t>(plan.end_s * 1e9));
}

}  // namespace

std::int64_t monotonic_ns() noexcept { return clock_ns(CLOCK_MONOTONIC); }

std::int64_t process_clock_ns(pid_t pid) noexcept {
  clockid_t clock{};
  return ::clock_getcpuclockid(pid, &clock) == 0 ? clock_ns(clock) : -1;
}

void sleep_until(std::int64_t ns) noexcept {
  const timespec at{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {
  }
}

pid_t start_short_one(const BurnerPlan& plan) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  become(plan.name, burner_nice);
  burn_until(CLOCK_PROCESS_CPUTIME_ID, static_cast<std::int64_t>(plan.each_s * 1e9));
  ::_exit(0);
}

pid_t start_burner(const BurnerPlan& plan, std::size_t index, Stage& stage, const Fd& begin) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  become(plan.name, burner_nice, begin.get());
  char none = 0;
  while (stage.begin_ns.load() == 0 && ::read(begin.get(), &none, 1) > 0) {
  }
  if (plan.each_s > 0)
    bear_short_ones(plan, index, stage);
  else
    burn_steadily(plan, stage.begin_ns.load());
  ::_exit(0);
}

pid_t start_sleeper(const std::string& name) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  become(name);
  for (;;) ::pause();
}

Result<BurnerPlan> parse_burner(std::string_view words) {
  std::map<std::string, std::string, std::less<>> values;
  for (const auto word : split(words, ' ')) {
    const auto equals = word.find('=');
    if (word.empty()) continue;
    if (equals == std::string_view::npos) return fail(ErrorCode::usage, "is not KEY=VALUE", std::string(word));
    values[std::string(word.substr(0, equals))] = word.substr(equals + 1);
  }
  BurnerPlan plan;
  const auto number = [&](const char* key, double otherwise) -> double {
    const auto found = values.extract(key);
    return found.empty() ? otherwise : parse_finite(found.mapped()).value_or(std::nan(""));
  };
  plan.share = number("share", 0), plan.begin_s = number("begin", 0), plan.end_s = number("end", 10);
  plan.each_s = number("each", 0), plan.every_s = number("every", 1);
  const double threads = number("threads", 1);
  if (const auto by = values.extract("by"); !by.empty()) plan.by_parent = by.mapped() == "parent";
  if (const auto name = values.extract("name"); !name.empty()) plan.name = name.mapped();
  const bool numbers = plan.share >= 0 && plan.begin_s >= 0 && plan.end_s > plan.begin_s && plan.each_s >= 0 &&
                       plan.every_s > plan.each_s && threads >= 1 && threads <= 64;
  if (plan.name.empty() || plan.name.size() > 15 || !values.empty() || !numbers)
    return fail(ErrorCode::usage, "is no burner", std::string(words));
  plan.threads = static_cast<int>(threads);
  return plan;
}

}  // namespace prony::rigs
