#include "poller.hpp"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace prony_http {

Poller::Poller()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  watch(timer_, false, this);
}

Poller::~Poller() {
  ::close(timer_);
  ::close(epoll_);
}

bool Poller::watch(int fd, bool for_writing, void* tag) {
  epoll_event event{};
  event.events = EPOLLIN | (for_writing ? EPOLLOUT : 0U);
  event.data.ptr = tag;
  if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0) return true;
  return errno == ENOENT && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::forget(int fd) { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

std::span<const epoll_event> Poller::wait(std::int64_t until_ns) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const bool past = until_ns <= static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  if (!past && until_ns != armed_ns_) {
    itimerspec at{};
    at.it_value = {static_cast<time_t>(until_ns / 1'000'000'000),
                   static_cast<decltype(timespec::tv_nsec)>(until_ns % 1'000'000'000)};
    ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
    armed_ns_ = until_ns;
  }
  const int got = ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), past ? 0 : -1);
  auto* const end = events_.data() + std::max(got, 0);
  auto* const last = std::remove_if(events_.data(), end, [this](const epoll_event& event) {
    if (event.data.ptr != this) return false;
    std::uint64_t times = 0;
    (void)!::read(timer_, &times, sizeof times);
    armed_ns_ = 0;
    return true;
  });
  return {events_.data(), static_cast<std::size_t>(last - events_.data())};
}

}  // namespace prony_http
