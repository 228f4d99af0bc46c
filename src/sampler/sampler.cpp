#include "sampler/sampler.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "base/interruptible.hpp"
#include "sampler/lane.hpp"

namespace prony {
namespace {

using sampler::Doorbell;
using sampler::Lane;
using sampler::monotonic_ns;

constexpr std::int64_t first_tick_bound_ns = 5'000'000'000;
constexpr std::int64_t answer_bound_ns = 2'000'000'000;  // tick_now() and stop()
constexpr std::int64_t patience_ns = 1'000'000'000;      // stop(): before a sensor that waits is interrupted

void* lane_main(void* argument) {
  const std::unique_ptr<std::shared_ptr<Lane>> lane(static_cast<std::shared_ptr<Lane>*>(argument));
  (*lane)->run();
  return nullptr;
}

Result<void> check(const LanePlan& plan) {
  if (plan.interval.ns < 1000) {
    return fail(ErrorCode::usage, "the interval of a lane must be at least 1 µs", plan.name);
  }
  std::size_t channels = 0;
  for (const Sensor* sensor : plan.sensors) channels += sensor->channels().size();
  if (channels != plan.group.channels.size()) {
    return fail(ErrorCode::usage,
                "the group has " + std::to_string(plan.group.channels.size()) + " channels, its sensors have " +
                    std::to_string(channels),
                plan.name);
  }
  return {};
}

class LaneSampler final : public Sampler {
 public:
  LaneSampler(Machine& machine, std::vector<LanePlan> plans) : doorbell_(std::make_shared<Doorbell>()) {
    doorbell_->fd = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    for (LanePlan& plan : plans) {
      Thread thread;
      thread.lane = std::make_shared<Lane>(machine, std::move(plan), doorbell_);
      lanes_.push_back(std::move(thread));
    }
  }
  ~LaneSampler() override { stop_lanes(); }

  Result<void> start() override {
    for (const Thread& thread : lanes_) {
      if (auto ok = check(thread.lane->plan()); !ok) return ok;
    }
    if (!doorbell_->fd.valid()) {
      return fail(ErrorCode::unavailable, "the kernel gave no eventfd to wait on", "sampler", "raise `ulimit -n`");
    }
    for (Thread& thread : lanes_) {
      if (auto ok = start_thread(thread); !ok) {
        stop_lanes();
        return ok;
      }
    }
    const std::int64_t until = monotonic_ns() + first_tick_bound_ns;
    for (const Thread& thread : lanes_) {
      if (!thread.lane->blocking() && !thread.lane->wait_first_tick(until)) {
        return fail(ErrorCode::transient, "the first reading did not come within 5 s", thread.lane->plan().name,
                    "leave out the sensor that hangs: --sensors");
      }
    }
    return {};
  }

  void tick_now() override {
    std::vector<std::pair<const Lane*, std::uint32_t>> asked;
    for (const Thread& thread : lanes_) {
      if (!thread.running) continue;
      const std::uint32_t ticket = thread.lane->ask_tick();
      if (!thread.lane->blocking()) asked.emplace_back(thread.lane.get(), ticket);
    }
    const std::int64_t until = monotonic_ns() + answer_bound_ns;
    for (const auto& [lane, ticket] : asked) static_cast<void>(lane->wait_served(ticket, until));
  }

  void stop() override { stop_lanes(); }

  std::unique_ptr<TickBlock> take(Duration wait, Duration max_age) override {
    const std::int64_t give_up = monotonic_ns() + std::max<std::int64_t>(0, wait.ns);
    for (;;) {
      const bool stopped = stopped_.load(std::memory_order_acquire);
      const std::int64_t now = monotonic_ns();
      std::int64_t ripe = std::numeric_limits<std::int64_t>::max();
      for (std::size_t i = 0; i < lanes_.size(); ++i) {
        Lane& lane = *lanes_[next_lane_].lane;
        next_lane_ = (next_lane_ + 1) % lanes_.size();  // every lane has its turn
        if (auto block = lane.take(now, max_age.ns, stopped)) return block;
        ripe = std::min(ripe, lane.ripe_ns(max_age.ns));
      }
      if (stopped || now >= give_up) return nullptr;
      if (!wait_for_bell(std::max(std::min(ripe, give_up), now + 100'000) - now)) return nullptr;
    }
  }

  void recycle(std::unique_ptr<TickBlock> block) override {
    if (!block) return;
    for (const Thread& thread : lanes_) {
      if (thread.lane->plan().group.id == block->group()) {
        thread.lane->recycle(std::move(block));
        return;
      }
    }
  }

  void also_wait_for(int descriptor) override { also_ = descriptor; }

  void set_interval(GroupId group, Duration interval) override {
    for (const Thread& thread : lanes_) {
      if (thread.lane->plan().group.id == group) thread.lane->set_interval(interval);
    }
  }

  std::vector<Reading> latest(GroupId group, Instant& at) const override {
    for (const Thread& thread : lanes_) {
      if (thread.lane->plan().group.id == group) return thread.lane->latest(at);
    }
    return {};
  }

  std::vector<LaneStats> stats() const override {
    std::vector<LaneStats> out;
    for (const Thread& thread : lanes_) out.push_back(thread.lane->stats());
    return out;
  }

 private:
  struct Thread {
    std::shared_ptr<Lane> lane;
    pthread_t thread{};
    bool running = false;
  };

  // Signals are for the program's own threads, never for a lane: it inherits a mask of all of them.
  static Result<void> start_thread(Thread& thread) {
    auto argument = std::make_unique<std::shared_ptr<Lane>>(thread.lane);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int error = pthread_create(&thread.thread, nullptr, lane_main, argument.get());
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    if (error != 0) {
      return fail(ErrorCode::unavailable, std::string("no thread to be had: ") + std::strerror(error),
                  thread.lane->plan().name, "raise `ulimit -u`");
    }
    static_cast<void>(argument.release());  // the thread's now
    thread.running = true;
    pthread_setname_np(thread.thread, ("prony-" + thread.lane->plan().name).substr(0, 15).c_str());
    return {};
  }

  void stop_lanes() {
    for (const Thread& thread : lanes_) {
      if (thread.running) thread.lane->ask_stop();
    }
    const std::int64_t begin = monotonic_ns(), until = begin + answer_bound_ns;
    for (const Thread& thread : lanes_) {
      if (!thread.running || thread.lane->wait_finished(begin + patience_ns)) continue;
      for (Sensor* sensor : thread.lane->plan().sensors)
        if (auto* waiting = dynamic_cast<Interruptible*>(sensor)) waiting->interrupt();
    }
    for (Thread& thread : lanes_) {
      if (!thread.running) continue;
      thread.running = false;
      if (thread.lane->wait_finished(until)) {
        pthread_join(thread.thread, nullptr);
      } else {
        thread.lane->set_stuck();
        pthread_detach(thread.thread);  // it holds its Lane; the sensor must outlive it (see stop())
      }
    }
    stopped_.store(true, std::memory_order_release);
    doorbell_->ring();
  }

  // False: the other descriptor can be read. A negative one is passed over by the kernel.
  [[nodiscard]] bool wait_for_bell(std::int64_t ns) const {
    std::array<pollfd, 2> waited{pollfd{doorbell_->fd.get(), POLLIN, 0}, pollfd{also_, POLLIN, 0}};
    const struct timespec limit{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    if (ppoll(waited.data(), waited.size(), &limit, nullptr) <= 0) return true;
    if (waited[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto got = read(waited[0].fd, &count, sizeof count);
    }
    return waited[1].revents == 0;
  }

  std::shared_ptr<Doorbell> doorbell_;
  std::vector<Thread> lanes_;
  std::size_t next_lane_ = 0;  // consumer's
  int also_ = -1;              // consumer's
  std::atomic<bool> stopped_{false};
};

}  // namespace

std::unique_ptr<Sampler> Sampler::create(Machine& machine, std::vector<LanePlan> lanes) {
  return std::make_unique<LaneSampler>(machine, std::move(lanes));
}

}  // namespace prony
