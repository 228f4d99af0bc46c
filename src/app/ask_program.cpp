#include "app/ask_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.hpp"
#include "base/spawn.hpp"

namespace prony::app {

namespace {

// Everything that the child writes until it closes its end; false: it took too long.
bool read_all(int fd, std::string& text, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(left.count())) <= 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    if (text.size() < 65536) text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

Result<std::string> ask_program(const std::vector<std::string>& command, std::chrono::seconds patience) {
  SpawnOptions options;
  options.arguments = command;
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return Unexpected<Error>(error_from_errno(errno, command.front(), "cannot connect to the program"));
  const Fd from(ends[0]);
  Fd to(ends[1]);
  const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  options.stdin_fd = nothing.get();
  options.stdout_fd = to.get();
  auto child = spawn(options);
  if (!child) return Unexpected<Error>(child.error());
  to.reset();
  std::string text;
  const bool in_time = read_all(from.get(), text, std::chrono::steady_clock::now() + patience);
  if (!in_time) child->signal(SIGKILL);
  (void)child->wait();
  if (!in_time)
    return fail(ErrorCode::unavailable, "no answer in " + std::to_string(patience.count()) + " s", command.front());
  return text;
}

}  // namespace prony::app
