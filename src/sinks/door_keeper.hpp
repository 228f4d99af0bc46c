// DoorKeeper: a thread beside a door's own. It compares passwords with their hashes, one after the other, for that
// takes from a tenth of a second to seconds, in which the door must go on answering; and looks now and then after what
// the door wants looked after. A few guesses may wait, no more. Thread promise: ask() and close() by any thread;
// close() and destruction not from what it calls. Ownership: keeps what it is given until it is told.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "sinks/web_config.hpp"

namespace prony {

class DoorKeeper {
 public:
  static constexpr std::size_t places = 8;
  // `compare`: slow, whether it is right; `look`: quick, every `every`. Both are called from the keeper's thread.
  DoorKeeper(std::function<bool(const Guess&)> compare, std::function<void()> look, std::chrono::milliseconds every);
  ~DoorKeeper() { close(); }
  DoorKeeper(const DoorKeeper&) = delete;
  DoorKeeper& operator=(const DoorKeeper&) = delete;

  // false: there is no place, and nothing is called. Else `taken` is called before this returns and before `told`, and
  // `told` once, from the keeper's thread or from close().
  [[nodiscard]] bool ask(Guess guess, const std::function<void()>& taken, std::function<void(bool right)> told);
  // Whoever still waits is told that it was wrong; nothing is taken any more.
  void close();

 private:
  struct Waiting {
    Guess guess;
    std::function<void(bool)> told;
  };
  void keep();

  std::function<bool(const Guess&)> compare_;
  std::function<void()> look_;
  std::chrono::milliseconds every_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  bool closed_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace prony
