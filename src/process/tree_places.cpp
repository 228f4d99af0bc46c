#include "process/tree_places.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <exception>
#include <string>

namespace prony {

namespace {

constexpr Duration first_step = milliseconds(10), longest_step = milliseconds(100);
constexpr std::int64_t asking_cost_factor = 100;

}  // namespace

TreePlaces::TreePlaces(Machine& machine)
    : machine_(machine), packages_(CpuPackages::of(machine)), parts_(packages_.cpus()) {}

TreePlaces::~TreePlaces() { stop(); }

void TreePlaces::start(Members members) {
  if (!packages_.several() || thread_.joinable()) return;
  members_ = std::move(members);
  members_(seen_);
  std::vector<double> first(packages_.count());
  for (const Seen& seen : seen_)
    if (const auto place = last_place(machine_, packages_, std::to_string(seen.pid))) first[*place] += 1;
  {
    const std::lock_guard lock(mutex_);
    parts_.expect(first);
  }
  sigset_t all, old;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &old);  // signals are for the threads that wait for them
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "prony-places");
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

void TreePlaces::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void TreePlaces::show(std::int64_t total_ns, std::span<Reading> out) noexcept {
  const std::lock_guard lock(mutex_);
  parts_.show(total_ns, out);
}

void TreePlaces::run() {
  for (Duration step = first_step;;) {
    const auto begin = machine_.now();
    try {
      look();
    } catch (const std::exception&) {  // out of memory: the distribution that is known stays
    }
    const auto wait = std::max(step, asking_cost_factor * (machine_.now() - begin));
    step = std::min(2 * step, longest_step);
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, std::chrono::nanoseconds(wait.ns), [this] { return stop_; })) return;
  }
}

void TreePlaces::look() {
  seen_.clear();
  const std::int64_t total_ns = members_(seen_);
  std::vector<Known> now;
  std::vector<std::int64_t> used(packages_.count());
  std::int64_t pending_ns = 0;
  for (const Seen& seen : seen_) {
    const auto old = std::find_if(known_.begin(), known_.end(), [&](const Known& known) {
      return known.who.pid == seen.pid && known.who.start_ticks == seen.start_ticks;
    });
    Known known = old != known_.end() ? std::move(*old) : Known{seen, {seen.base_ns, {}}};
    if (const auto clock = machine_.process_cpu_time(seen.pid)) {
      place_threads(machine_, packages_, std::to_string(seen.pid), seen.start_ticks, clock->ns, known.places, used);
      pending_ns += std::max<std::int64_t>(0, clock->ns - known.places.placed_ns);
    }
    now.push_back(std::move(known));
  }
  known_ = std::move(now);
  const std::lock_guard lock(mutex_);
  parts_.place(used);
  parts_.finish_look(total_ns, pending_ns);
}

}  // namespace prony
