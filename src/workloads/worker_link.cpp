#include "workloads/worker_link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/text.hpp"

namespace prony {

namespace {

using nlohmann::json;

constexpr std::size_t line_limit = std::size_t{16} << 20;

std::string line_of(const json& message) { return message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

int poll_ms(std::int64_t left_ns) {
  return static_cast<int>(std::clamp<std::int64_t>(left_ns / 1'000'000 + 1, 0, 60'000));
}

}  // namespace

WorkerLink::WorkerLink() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

std::int64_t WorkerLink::now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

SpawnOptions WorkerLink::command(const std::vector<std::string>& arguments) {
  SpawnOptions spawn;
  spawn.arguments = arguments;
  // A socket for the worker's input: writing to a dead one is an error to be told, not a signal to the meter.
  std::array<int, 2> in{-1, -1}, out{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0)
    error_ = error_from_errno(errno, arguments.empty() ? "" : arguments.front(), "cannot connect to the worker");
  to_ = Fd(in[0]);
  child_in_ = Fd(in[1]);
  from_ = Fd(out[0]);
  child_out_ = Fd(out[1]);
  spawn.stdin_fd = child_in_.get();
  spawn.stdout_fd = child_out_.get();
  return spawn;
}

void WorkerLink::drop_child_ends() {
  child_in_.reset();
  child_out_.reset();
}

void WorkerLink::wake() noexcept {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void WorkerLink::forget_wake() noexcept {
  std::uint64_t count = 0;
  (void)!::read(wake_.get(), &count, sizeof count);
}

// What the worker takes now. False: it takes nothing any more.
bool WorkerLink::flush() {
  while (sent_ < outgoing_.size()) {
    const ssize_t got =
        ::send(to_.get(), outgoing_.data() + sent_, outgoing_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got >= 0) {
      sent_ += static_cast<std::size_t>(got);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return false;
    // Not at each line: moving what is left costs as much as what is left.
    if (sent_ > (std::size_t{1} << 20)) {
      outgoing_.erase(0, sent_);
      sent_ = 0;
    }
    return true;
  }
  outgoing_.clear();
  sent_ = 0;
  return true;
}

void WorkerLink::queue(const json& message) { outgoing_ += line_of(message); }

bool WorkerLink::send(const json& message, std::int64_t deadline_ns) {
  queue(message);
  for (;;) {
    if (!flush()) return false;
    if (queued_bytes() == 0) return true;
    const std::int64_t left = deadline_ns - now_ns();
    if (left <= 0) return false;
    pollfd ready{to_.get(), POLLOUT, 0};
    ::poll(&ready, 1, std::min(poll_ms(left), 1000));
  }
}

Reply WorkerLink::take_line(std::size_t end) {
  const std::string_view line = std::string_view(buffer_).substr(begin_, end - begin_);
  ++line_;
  Reply reply{json::parse(line, nullptr, false), {}, {}};
  if (!reply.message.is_object() || !reply.message.contains("type") || !reply.message["type"].is_string())
    reply = {
        {},
        Trouble::garbage,
        "line " + std::to_string(line_) + " of its standard output is not a reply: \"" + printable(line, 60) + "\""};
  begin_ = end + 1;
  if (begin_ == buffer_.size() || begin_ > (std::size_t{1} << 20)) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  return reply;
}

Reply WorkerLink::receive(std::int64_t deadline_ns, bool heed_wake) {
  std::size_t searched = begin_;
  for (;;) {
    if (const std::size_t end = buffer_.find('\n', searched); end != std::string::npos) return take_line(end);
    searched = buffer_.size();
    if (buffer_.size() - begin_ > line_limit)
      return {
          {}, Trouble::garbage, "line " + std::to_string(line_ + 1) + " of its standard output is longer than 16 MiB"};
    const bool open = flush();  // a worker that takes nothing has ended, or is about to: its last words count
    const std::int64_t left = deadline_ns - now_ns();
    std::array<pollfd, 3> ready{pollfd{from_.get(), POLLIN, 0}, pollfd{heed_wake ? wake_.get() : -1, POLLIN, 0},
                                pollfd{open && queued_bytes() > 0 ? to_.get() : -1, POLLOUT, 0}};
    ::poll(ready.data(), ready.size(), left > 0 ? poll_ms(left) : 0);
    if (ready[0].revents == 0) {
      if (ready[1].revents != 0) return {{}, Trouble::woken, {}};
      if (left <= 0) return {{}, Trouble::timeout, {}};
      continue;
    }
    std::array<char, 65536> chunk{};
    const ssize_t got = ::read(from_.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {{}, Trouble::ended, {}};
    buffer_.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace prony
