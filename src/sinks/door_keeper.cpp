#include "sinks/door_keeper.hpp"

#include <utility>

namespace prony {

DoorKeeper::DoorKeeper(std::function<bool(const Guess&)> compare, std::function<void()> look,
                       std::chrono::milliseconds every)
    : compare_(std::move(compare)), look_(std::move(look)), every_(every), thread_([this] { keep(); }) {}

bool DoorKeeper::ask(Guess guess, const std::function<void()>& taken, std::function<void(bool right)> told) {
  const std::scoped_lock lock(mutex_);
  if (closed_ || waiting_.size() >= places) return false;
  waiting_.push_back({std::move(guess), std::move(told)});
  taken();  // the keeper cannot begin with it before the lock is free
  changed_.notify_one();
  return true;
}

void DoorKeeper::keep() {
  std::unique_lock lock(mutex_);
  auto next_look = std::chrono::steady_clock::now() + every_;
  while (!closed_) {
    if (waiting_.empty()) (void)changed_.wait_until(lock, next_look, [&] { return closed_ || !waiting_.empty(); });
    if (closed_) return;
    if (!waiting_.empty()) {
      const Waiting first = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      first.told(compare_(first.guess));
      lock.lock();
    }
    if (std::chrono::steady_clock::now() < next_look) continue;
    lock.unlock();
    look_();
    lock.lock();
    next_look = std::chrono::steady_clock::now() + every_;
  }
}

void DoorKeeper::close() {
  std::deque<Waiting> left;
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    left.swap(waiting_);
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  for (const Waiting& one : left) one.told(false);
}

}  // namespace prony
