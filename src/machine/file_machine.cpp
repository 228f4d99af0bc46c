#include "machine/file_machine.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <string_view>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "machine/names.hpp"

namespace prony {

namespace {

constexpr std::size_t text_limit = 64 * 1024;
// O_NONBLOCK: a FIFO in somebody's captured tree must not hang the probe; sysfs and procfs do not look at it.
constexpr int open_flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

std::int64_t clock_ns(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

class DiskFile final : public File {
 public:
  DiskFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  [[nodiscard]] std::int64_t read(std::span<char> buffer) noexcept override {
    const auto count = read_from_start(fd_, buffer.data(), buffer.size());
    return count >= 0 ? count : -errno;
  }
  [[nodiscard]] bool reopen() noexcept override {
    const int fd = ::open(path_.c_str(), open_flags);
    if (fd < 0) return false;
    fd_ = Fd(fd);
    return true;
  }

 private:
  Fd fd_;
  std::string path_;
};

}  // namespace

FileMachine::FileMachine(std::string sysfs, std::string procfs, std::string rest)
    : sysfs_(std::move(sysfs)), procfs_(std::move(procfs)), rest_(std::move(rest)) {
  // Another machine's /proc: its other files, such as /.dockerenv, lie beside it if anywhere; this machine's are not
  // its.
  if (rest_.empty() && procfs_ != "/proc") rest_ = procfs_ + "/..";
}

std::string FileMachine::real_path(const std::string& path) const {
  const auto below = [&](std::string_view top) {
    return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
  };
  if (below("/sys")) return sysfs_ + path.substr(4);
  if (below("/proc")) return procfs_ + path.substr(5);
  return rest_ + path;
}

std::size_t FileMachine::most_open_files() const noexcept {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return Machine::most_open_files();
  // RLIM_INFINITY is the largest number there is.
  return static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<std::int32_t>::max()));
}

Instant FileMachine::now() const noexcept { return {clock_ns(CLOCK_MONOTONIC)}; }

Anchor FileMachine::anchor() const noexcept {
  // The narrowest of a few brackets: a preemption between the two monotonic readings would only widen one of them.
  Anchor best{{}, 0, {INT64_MAX}};
  for (int attempt = 0; attempt < 5; ++attempt) {
    const auto before = clock_ns(CLOCK_MONOTONIC);
    const auto wall = clock_ns(CLOCK_REALTIME);
    const auto after = clock_ns(CLOCK_MONOTONIC);
    if (after - before < best.width.ns) best = {{before + (after - before) / 2}, wall, {after - before}};
  }
  return best;
}

Result<std::unique_ptr<File>> FileMachine::open(const std::string& path) {
  auto real = real_path(path);
  const int fd = ::open(real.c_str(), open_flags);
  if (fd < 0) return Unexpected<Error>(error_from_errno(errno, path, "cannot open"));
  Fd owner(fd);
  struct stat status{};
  if (::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode))
    return fail(ErrorCode::malformed, "is a directory, not a file", path);
  return std::make_unique<DiskFile>(std::move(owner), std::move(real));
}

Result<std::vector<std::string>> FileMachine::list(const std::string& directory) {
  DIR* stream = ::opendir(real_path(directory).c_str());
  if (stream == nullptr) return Unexpected<Error>(error_from_errno(errno, directory, "cannot list"));
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end(), natural_less);
  return names;
}

Result<std::string> FileMachine::read_text(const std::string& path) {
  const int fd = ::open(real_path(path).c_str(), open_flags);
  if (fd < 0) return Unexpected<Error>(error_from_errno(errno, path, "cannot open"));
  const Fd owner(fd);
  std::string text;
  std::array<char, 4096> buffer;
  while (text.size() < text_limit) {
    const auto count = ::read(fd, buffer.data(), std::min(buffer.size(), text_limit - text.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Unexpected<Error>(error_from_errno(errno, path, "cannot read"));
    if (count == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  while (!text.empty() && (text.back() == '\0' || trim(std::string_view(text).substr(text.size() - 1)).empty()))
    text.pop_back();
  return text;
}

Result<std::string> FileMachine::read_link(const std::string& path) {
  std::array<char, 4096> buffer;
  const auto count = ::readlink(real_path(path).c_str(), buffer.data(), buffer.size());
  if (count < 0) return Unexpected<Error>(error_from_errno(errno, path, "cannot read link"));
  return std::string(buffer.data(), static_cast<std::size_t>(count));
}

Result<ProgramOutput> FileMachine::recorded_program(std::span<const std::string> arguments) {
  // Where / is this machine's own, nothing was recorded.
  auto text = rest_.empty() ? Result<std::string>(fail(ErrorCode::absent, "not a recorded machine"))
                            : read_text("/" + captured_program_file(arguments));
  if (!text) return Machine::run_program(arguments, {});
  return ProgramOutput{std::move(*text), {}, 0};
}

std::string captured_program_file(std::span<const std::string> arguments) {
  std::string name;
  for (const auto& argument : arguments) name += (name.empty() ? "" : "_") + argument;
  const auto odd = [](char c) {
    return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.';
  };
  std::replace_if(name.begin(), name.end(), odd, '_');
  return "programs/" + name;
}

bool FileMachine::exists(const std::string& path) { return ::access(real_path(path).c_str(), F_OK) == 0; }

Duration FileMachine::own_cpu_time() const noexcept { return {clock_ns(CLOCK_PROCESS_CPUTIME_ID)}; }

unsigned FileMachine::cpu_count() {
  if (const auto online = read_text("/sys/devices/system/cpu/online"))
    if (const auto count = count_cpu_list(*online)) return *count;
  unsigned count = 0;
  if (const auto stat = read_text("/proc/stat"))
    for_each_line(*stat, [&](std::string_view line) {
      if (line.size() > 3 && line.starts_with("cpu") && line[3] >= '0' && line[3] <= '9') ++count;
    });
  if (count > 0) return count;
  const auto online = ::sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<unsigned>(online) : 1;
}

Duration FileMachine::tick_period() const noexcept {
  // The coarse clock moves once a tick, and its resolution is that step; nothing else tells HZ to an ordinary program.
  timespec step{};
  if (::clock_getres(CLOCK_MONOTONIC_COARSE, &step) != 0 || step.tv_sec != 0 || step.tv_nsec <= 0)
    return Machine::tick_period();
  return {step.tv_nsec};
}

}  // namespace prony
