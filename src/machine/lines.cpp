#include "machine/lines.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/fd.hpp"
#include "base/spawn.hpp"

namespace prony {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t look_every_ns = 50'000'000;
constexpr std::int64_t patience_ns = 500'000'000;  // of a program that was asked to end

// What all three share: a descriptor that is waited for, and given up when asked.
class DescriptorLines : public LineSource {
 public:
  DescriptorLines(Fd fd, std::string where) : fd_(std::move(fd)), where_(std::move(where)) {}
  [[nodiscard]] Result<std::size_t> read(std::span<char> buffer, Duration wait) override {
    const auto end = Clock::now() + std::chrono::nanoseconds(wait.ns);
    for (;;) {
      if (interrupted_.load()) return fail(ErrorCode::gone, "interrupted", where_);
      const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(end - Clock::now()).count();
      const std::int64_t now = std::clamp<std::int64_t>(left, 0, look_every_ns);
      auto got = take(buffer, now);
      if (!got || *got > 0 || left <= 0) return got;
    }
  }
  void interrupt() noexcept override { interrupted_.store(true); }

 protected:
  // One look, of `wait_ns` at most.
  [[nodiscard]] virtual Result<std::size_t> take(std::span<char> buffer, std::int64_t wait_ns) {
    pollfd waited{fd_.get(), POLLIN, 0};
    if (::poll(&waited, 1, static_cast<int>((wait_ns + 999'999) / 1'000'000)) <= 0) return std::size_t{0};
    const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::size_t{0};
    return Unexpected<Error>(ended(got == 0 ? 0 : errno));
  }
  [[nodiscard]] virtual Error ended(int errno_value) {
    Error error = errno_value == 0 ? Error{ErrorCode::gone, "was pulled", where_, {}}
                                   : error_from_errno(errno_value, where_, "cannot read");
    error.code = ErrorCode::gone;
    return error;
  }
  Fd fd_;
  std::string where_;

 private:
  std::atomic<bool> interrupted_ = false;
};

class ProgramLines final : public DescriptorLines {
 public:
  ProgramLines(Fd fd, std::string where, Child child)
      : DescriptorLines(std::move(fd), std::move(where)), child_(std::move(child)) {}
  ~ProgramLines() override {
    fd_.reset();  // one that writes learns it
    if (over_) return;
    child_.signal(SIGTERM);
    if (const auto done = child_.wait(patience_ns); done && *done) return;
    child_.signal(SIGKILL);
    (void)child_.wait(patience_ns);
  }

 protected:
  [[nodiscard]] Error ended(int /*errno_value*/) override {
    const auto status = child_.wait(patience_ns);
    over_ = status && *status;
    const std::string how = !over_                   ? "closed its output"
                            : (*status)->signal != 0 ? "was killed by signal " + std::to_string((*status)->signal)
                                                     : "ended with code " + std::to_string((*status)->code);
    return {ErrorCode::gone, "the program " + how, where_, {}};
  }

 private:
  Child child_;
  bool over_ = false;
};

// A file has no end to wait for: what is not there yet may come.
class FileLines final : public DescriptorLines {
 public:
  using DescriptorLines::DescriptorLines;

 protected:
  [[nodiscard]] Result<std::size_t> take(std::span<char> buffer, std::int64_t wait_ns) override {
    const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && errno != EINTR) return Unexpected<Error>(ended(errno));
    struct stat facts{};
    // Written anew from its beginning: what comes now is read from there.
    if (::fstat(fd_.get(), &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size < ::lseek(fd_.get(), 0, SEEK_CUR))
      (void)::lseek(fd_.get(), 0, SEEK_SET);
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min<std::int64_t>(wait_ns, 20'000'000)));
    return std::size_t{0};
  }
};

class TextLines final : public LineSource {
 public:
  explicit TextLines(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] Result<std::size_t> read(std::span<char> buffer, Duration wait) override {
    if (interrupted_.load()) return fail(ErrorCode::gone, "interrupted", {});
    const std::size_t size = text_.copy(buffer.data(), buffer.size(), at_);
    at_ += size;
    if (size == 0) std::this_thread::sleep_for(std::chrono::nanoseconds(std::min<std::int64_t>(wait.ns, 10'000'000)));
    return size;
  }
  void interrupt() noexcept override { interrupted_.store(true); }

 private:
  std::string text_;
  std::size_t at_ = 0;
  std::atomic<bool> interrupted_ = false;
};

struct Rate {
  unsigned baud;
  speed_t speed;
};
constexpr std::array<Rate, 12> rates{{{1200, B1200},
                                      {2400, B2400},
                                      {4800, B4800},
                                      {9600, B9600},
                                      {19200, B19200},
                                      {38400, B38400},
                                      {57600, B57600},
                                      {115200, B115200},
                                      {230400, B230400},
                                      {460800, B460800},
                                      {921600, B921600},
                                      {1000000, B1000000}}};

Result<Fd> open_serial(const LineRequest& request) {
  const auto rate = std::ranges::find(rates, request.baud, &Rate::baud);
  if (rate == rates.end())
    return fail(ErrorCode::usage, "no serial port runs at " + std::to_string(request.baud) + " baud", request.target,
                "baud= may be 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1000000");
  auto fd = Fd::open(request.target, O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (!fd) {
    Error error = fd.error();
    if (error.code == ErrorCode::denied) error.fix = "sudo usermod -aG dialout $USER   and log in again";
    return Unexpected<Error>(error);
  }
  termios settings{};
  if (::tcgetattr(fd->get(), &settings) != 0)
    return fail(ErrorCode::usage, "is no serial port", request.target, "A file of lines is named  file:PATH");
  ::cfmakeraw(&settings);
  settings.c_cflag |= CLOCAL | CREAD;
  if (::cfsetispeed(&settings, rate->speed) != 0 || ::cfsetospeed(&settings, rate->speed) != 0 ||
      ::tcsetattr(fd->get(), TCSANOW, &settings) != 0)
    return Unexpected<Error>(error_from_errno(errno, request.target, "cannot be set to its baud rate"));
  (void)::tcflush(fd->get(), TCIFLUSH);  // what lay there is older than the Run
  return fd;
}

Result<std::unique_ptr<LineSource>> open_program(const LineRequest& request) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Unexpected<Error>(error_from_errno(errno, request.target));
  Fd ours(ends[0]), theirs(ends[1]);
  auto nothing = Fd::open("/dev/null", O_RDONLY);
  if (!nothing) return Unexpected<Error>(nothing.error());
  SpawnOptions options;
  // exec: what is signalled at the end is the program, not a shell before it.
  options.arguments = {"/bin/sh", "-c", "exec " + request.target};
  options.stdin_fd = nothing->get();
  options.stdout_fd = theirs.get();
  auto child = spawn(options);
  if (!child) return Unexpected<Error>(child.error());
  return std::make_unique<ProgramLines>(std::move(ours), request.target, std::move(*child));
}

}  // namespace

Result<std::unique_ptr<LineSource>> open_live_lines(const LineRequest& request) {
  switch (request.kind) {
    case LineRequest::Kind::program: return open_program(request);
    case LineRequest::Kind::serial: {
      auto fd = open_serial(request);
      if (!fd) return Unexpected<Error>(fd.error());
      return std::make_unique<DescriptorLines>(std::move(*fd), request.target);
    }
    case LineRequest::Kind::file: break;
  }
  auto fd = Fd::open(request.target, O_RDONLY | O_NONBLOCK);
  if (!fd) return Unexpected<Error>(fd.error());
  struct stat facts{};
  if (::fstat(fd->get(), &facts) != 0) return Unexpected<Error>(error_from_errno(errno, request.target));
  if (S_ISDIR(facts.st_mode)) return fail(ErrorCode::usage, "is a directory", request.target);
  if (request.from_the_end && S_ISREG(facts.st_mode)) (void)::lseek(fd->get(), 0, SEEK_END);
  return std::make_unique<FileLines>(std::move(*fd), request.target);
}

std::unique_ptr<LineSource> make_text_lines(std::string text) { return std::make_unique<TextLines>(std::move(text)); }

}  // namespace prony
