#include "opener.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace prony_proxy {

namespace {

constexpr std::size_t most_threads = 8;
constexpr std::int64_t connect_patience_ns = 10'000'000'000;

}  // namespace

Opener::Opener(prony_http::Url url, std::string ca_file)
    : url_(std::move(url)), ca_file_(std::move(ca_file)), told_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Opener::~Opener() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
  if (told_ >= 0) ::close(told_);
}

void Opener::forget_told() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(told_, &count, sizeof count);
}

void Opener::open(std::uint64_t link) {
  const std::lock_guard lock(mutex_);
  wanted_.push_back(link);
  if (threads_.size() < most_threads && threads_.size() < wanted_.size())
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  wake_.notify_one();
}

std::optional<Opener::Opened> Opener::take() {
  const std::lock_guard lock(mutex_);
  if (opened_.empty()) return std::nullopt;
  Opened opened = std::move(opened_.front());
  opened_.pop_front();
  return opened;
}

void Opener::work(const std::stop_token& stop) {
  while (true) {
    std::uint64_t link = 0;
    {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [&] { return !wanted_.empty(); })) return;
      link = wanted_.front();
      wanted_.pop_front();
    }
    auto connection = prony_http::connect_to(url_, ca_file_, connect_patience_ns);
    const std::lock_guard lock(mutex_);
    opened_.push_back({link, std::move(connection)});
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t told = ::write(told_, &one, sizeof one);
  }
}

}  // namespace prony_proxy
