#include "line_queue.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <thread>

namespace prony_engine {

void LineQueue::start(int fd) {
  std::thread([this, fd] { read_all(fd); }).detach();
}

void LineQueue::push(Line line) {
  // A cancel overtakes what waits before it: that is its purpose.
  if (!line.too_long && line.text.find("cancel") != std::string::npos) {
    const auto message = nlohmann::json::parse(line.text, nullptr, false);
    if (message.is_object() && message.contains("type") && message["type"] == "cancel") {
      cancelled_ = true;
      return;
    }
  }
  const std::lock_guard lock(mutex_);
  lines_.push_back(std::move(line));
  ready_.notify_one();
}

void LineQueue::read_all(int fd) {
  std::array<char, 65536> buffer{};
  Line line;
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    for (ssize_t i = 0; i < got; ++i) {
      const char c = buffer[static_cast<std::size_t>(i)];
      if (c == '\n') {
        push(std::move(line));
        line = {};
      } else if (line.text.size() < line_limit) {
        line.text.push_back(c);
      } else {
        line.too_long = true;
      }
    }
  }
  if (!line.text.empty()) push(std::move(line));
  cancelled_ = true;
  const std::lock_guard lock(mutex_);
  ended_ = true;
  ready_.notify_one();
}

std::optional<Line> LineQueue::next() {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [this] { return !lines_.empty() || ended_; });
  if (lines_.empty()) return std::nullopt;
  Line line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

bool LineQueue::ended() {
  const std::lock_guard lock(mutex_);
  return ended_;
}

}  // namespace prony_engine
