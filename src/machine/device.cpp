#include "machine/device.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/fd.hpp"
#include "base/spawn.hpp"

namespace prony {

namespace {

constexpr std::size_t most_output = 64 * 1024;

int milliseconds_of(Duration time) noexcept {
  constexpr std::int64_t longest = 3'600'000;
  return static_cast<int>(std::clamp<std::int64_t>((time.ns + 999'999) / 1'000'000, 0, longest));
}

Duration since_boot() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return {static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec};
}

class LiveDevice final : public Device {
 public:
  explicit LiveDevice(Fd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] int control(unsigned long request, std::span<std::byte> data) noexcept override {
    int answer = -1;
    do {
      answer = ::ioctl(fd_.get(), request, data.data());
    } while (answer < 0 && errno == EINTR);
    return answer < 0 ? -errno : answer;
  }
  [[nodiscard]] bool wait(Duration most) noexcept override {
    pollfd ready{fd_.get(), POLLIN, 0};
    return ::poll(&ready, 1, milliseconds_of(most)) == 1 && (ready.revents & POLLIN) != 0;
  }

 private:
  Fd fd_;
};

struct Pipe {
  Fd read_end, write_end;
};
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Unexpected<Error>(error_from_errno(errno, {}, "cannot make a pipe"));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// Takes what is there; what is beyond the limit is read and dropped, so that the program does not hang on it. False:
// there is no more to come.
bool take(Fd& end, std::string& text) {
  std::array<char, 4096> buffer;
  const auto count = ::read(end.get(), buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  text.append(buffer.data(), std::min(static_cast<std::size_t>(count), most_output - text.size()));
  return count > 0;
}

bool is_stopped(const std::atomic<int>* stop) noexcept { return stop != nullptr && stop->load() != 0; }

// Reads both ends until they are closed. False: `until` or a stop came first.
bool drain(Fd& out, Fd& err, ProgramOutput& output, Duration until, const std::atomic<int>* stop) {
  constexpr Duration look{100'000'000};
  std::array<Fd*, 2> ends{&out, &err};
  std::array<std::string*, 2> texts{&output.out, &output.err};
  std::array<bool, 2> open{true, true};
  while (open[0] || open[1]) {
    std::array<pollfd, 2> ready{};
    for (std::size_t i = 0; i < ends.size(); ++i) ready[i] = {open[i] ? ends[i]->get() : -1, POLLIN, 0};
    Duration left = until - since_boot();
    if (left.ns <= 0 || is_stopped(stop)) return false;
    if (stop != nullptr) left = std::min(left, look);
    if (::poll(ready.data(), ready.size(), milliseconds_of(left)) < 0 && errno != EINTR) return false;
    for (std::size_t i = 0; i < ends.size(); ++i)
      if (ready[i].revents != 0) open[i] = take(*ends[i], *texts[i]);
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<Device>> Machine::open_device(const std::string& path) {
  return fail(ErrorCode::unavailable, "the devices of this machine are not here to be asked", path);
}
Result<ProgramOutput> Machine::run_program(std::span<const std::string> arguments, Duration) {
  return fail(ErrorCode::unavailable, "programs of this machine cannot be run here",
              arguments.empty() ? std::string() : arguments.front());
}

Result<std::unique_ptr<Device>> open_live_device(const std::string& path) {
  // Controls need no more than the right to read; some drivers want writing too (ipmi's does not).
  auto fd = Fd::open(path, O_RDWR | O_NONBLOCK | O_NOCTTY);
  if (!fd && fd.error().code == ErrorCode::denied) fd = Fd::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) return Unexpected<Error>(fd.error());
  return std::make_unique<LiveDevice>(std::move(*fd));
}

Result<ProgramOutput> run_live_program(std::span<const std::string> arguments, Duration most,
                                       const std::atomic<int>* stop) {
  if (arguments.empty()) return fail(ErrorCode::usage, "no program to run");
  const auto until = since_boot() + most;
  auto nothing = Fd::open("/dev/null", O_RDONLY);
  if (!nothing) return Unexpected<Error>(nothing.error());
  auto out = make_pipe(), err = make_pipe();
  if (!out) return Unexpected<Error>(out.error());
  if (!err) return Unexpected<Error>(err.error());
  SpawnOptions options;
  options.arguments.assign(arguments.begin(), arguments.end());
  options.environment = {{"LC_ALL", "C"}};
  // Most machines have none of the programs that sensors ask: no process is made to learn that.
  if (const auto there = find_program(options); !there) return Unexpected<Error>(there.error());
  options.own_group = true;
  options.die_with_parent = true;  // where it hangs while we end
  options.stdin_fd = nothing->get();
  options.stdout_fd = out->write_end.get();
  options.stderr_fd = err->write_end.get();
  auto child = spawn(options);
  if (!child) return Unexpected<Error>(child.error());
  out->write_end.reset();
  err->write_end.reset();
  ProgramOutput output;
  bool in_time = drain(out->read_end, err->read_end, output, until, stop);
  std::optional<ExitStatus> status;
  if (in_time) {
    auto ended = child->wait(std::max<std::int64_t>(0, (until - since_boot()).ns));
    if (!ended) return Unexpected<Error>(ended.error());
    status = *ended;
    in_time = status.has_value();
  }
  if (!in_time) {
    // With its children: a wrapper's sudo or ipmitool would hang on, one more a second. It is not reaped yet, so that
    // its number is nobody else's group.
    ::kill(-child->pid(), SIGKILL);
    // A program in uninterruptible sleep dies when its driver lets go of it: it is not waited for longer than this.
    (void)child->wait(1'000'000'000);
    if (is_stopped(stop))
      return fail(ErrorCode::transient, "was ended by signal " + std::to_string(stop->load()), arguments.front());
    return fail(ErrorCode::transient,
                "did not end within " + std::to_string(milliseconds_of(most)) + " ms and was killed",
                arguments.front());
  }
  output.exit_code = status->shell_code();
  return output;
}

}  // namespace prony
