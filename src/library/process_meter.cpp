// The meter in a process of its own: a `prony run --pid` beside the measured program, which measures on when that
// crashes.
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

#include "app/common.hpp"
#include "app/machine_choice.hpp"
#include "base/fd.hpp"
#include "base/spawn.hpp"
#include "base/text.hpp"
#include "library/meter.hpp"
#include "process/selector.hpp"
#include "store/run.hpp"

namespace prony::library {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t patience_ns = 60 * second_ns;  // for a beginning or an end on a machine that is busy

bool runnable(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

// Where this library lies, `prony` lies too, or in the bin folder of the same installation.
std::optional<std::string> beside_this_library() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&beside_this_library), &info) == 0 || info.dli_fname == nullptr)
    return std::nullopt;
  const std::filesystem::path folder = std::filesystem::path(info.dli_fname).parent_path();
  for (const char* place : {"prony", "../bin/prony", "../../bin/prony"})  // lib, lib/x86_64-linux-gnu
    if (runnable(folder / place)) return (folder / place).lexically_normal().string();
  return std::nullopt;
}

std::string program_of(const MeterOptions& options) {
  if (!options.program.empty()) return options.program;
  if (const char* named = std::getenv("PRONY_PROGRAM"); named != nullptr && *named != '\0') return named;
  return beside_this_library().value_or("prony");
}

std::string duration_words(Duration duration) { return std::to_string(duration.ns) + "ns"; }

class ProcessMeter final : public Meter {
 public:
  explicit ProcessMeter(MeterOptions options) : options_(std::move(options)) {}
  ~ProcessMeter() override { (void)stop(); }
  ProcessMeter(const ProcessMeter&) = delete;
  ProcessMeter& operator=(const ProcessMeter&) = delete;

  [[nodiscard]] Result<void> prepare();
  Result<void> start() override;
  Result<void> stop() override;
  const std::string& path() const noexcept override { return path_; }
  const std::string& spans_path() const noexcept override { return spans_path_; }

 private:
  [[nodiscard]] SpawnOptions command() const;
  [[nodiscard]] Result<void> wait_until_ready(const Fd& told);
  [[nodiscard]] Error what_it_said(const std::string& otherwise) const;

  MeterOptions options_;
  Child child_;
  Fd said_;  // what it writes on stderr: a file in memory, so that it never waits for a reader
  std::string path_, spans_path_;
  bool running_ = false;
};

Result<void> ProcessMeter::prepare() {
  const auto choice = parse_target_choice(SelectorKind::pid, options_.name + "=" + std::to_string(options_.pid));
  if (!choice) return Unexpected<Error>(choice.error());
  SpawnOptions wanted;
  wanted.arguments = {program_of(options_)};
  if (auto found = find_program(wanted); !found)
    return fail(found.error().code, "the program that measures is not there: " + found.error().what,
                wanted.arguments[0], "Name it in `program` or PRONY_PROGRAM, or take mode PRONY_METER_THREAD.");
  app::MachineChoice machine;
  machine.simulate = options_.simulate;
  if (auto opened = app::open_machine(machine); !opened) return Unexpected<Error>(opened.error());
  return {};
}

SpawnOptions ProcessMeter::command() const {
  SpawnOptions spawned;
  auto& words = spawned.arguments;
  words = {program_of(options_), "run", "--quiet", "--until-exit"};
  const auto add = [&](const char* option, const std::string& value) { words.insert(words.end(), {option, value}); };
  add("--pid", options_.name + "=" + std::to_string(options_.pid));
  add("--interval", duration_words(options_.interval));
  if (!options_.out.empty()) add("--out", options_.out);
  if (options_.force) words.emplace_back("--force");
  if (!options_.sensors.empty()) add("--sensors", options_.sensors);
  if (!options_.simulate.empty()) add("--simulate", options_.simulate);
  if (options_.every_channel) words.emplace_back("--every-channel");
  if (options_.kept_baseline) add("--baseline", "stored");
  if (options_.baseline.ns > 0) add("--baseline", duration_words(options_.baseline));
  return spawned;
}

Error ProcessMeter::what_it_said(const std::string& otherwise) const {
  std::array<char, 4096> buffer{};
  const auto got = ::pread(said_.get(), buffer.data(), buffer.size(), 0);
  std::string_view text(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  text = trim(text);
  if (text.starts_with("prony: ")) text.remove_prefix(7);
  Error error{ErrorCode::unavailable, text.empty() ? otherwise : std::string(text), {}, {}};
  if (const auto line = error.what.find('\n'); line != std::string::npos) {
    error.fix = std::string(trim(std::string_view(error.what).substr(line)));
    error.what.resize(line);
  }
  return error;
}

// Two lines: where the Run lies, and where spans go.
Result<void> ProcessMeter::wait_until_ready(const Fd& told) {
  std::string text;
  const auto waited_ms = static_cast<int>((patience_ns + options_.baseline.ns) / 1'000'000);
  while (std::count(text.begin(), text.end(), '\n') < 2) {
    pollfd waited{told.get(), POLLIN, 0};
    const int ready = ::poll(&waited, 1, waited_ms);
    if (ready < 0 && errno == EINTR) continue;
    std::array<char, 4096> buffer{};
    const auto got = ready > 0 ? ::read(told.get(), buffer.data(), buffer.size()) : 0;
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (ready == 0) child_.signal(SIGKILL);
      (void)child_.wait(patience_ns);
      return Unexpected<Error>(what_it_said(ready == 0 ? "prony did not begin to measure in time"
                                                       : "prony ended before it began to measure"));
    }
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  const std::size_t first = text.find('\n');
  path_ = text.substr(0, first);
  spans_path_ = text.substr(first + 1, text.find('\n', first + 1) - first - 1);
  return {};
}

Result<void> ProcessMeter::start() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Unexpected<Error>(error_from_errno(errno, "pipe", "cannot be made"));
  Fd told(ends[0]), tells(ends[1]);
  said_ = Fd(::memfd_create("prony-said", MFD_CLOEXEC));
  const auto nothing = Fd::open("/dev/null", O_RDONLY);
  if (!nothing) return Unexpected<Error>(nothing.error());
  SpawnOptions spawned = command();
  spawned.stdin_fd = nothing->get();
  spawned.stdout_fd = tells.get();
  spawned.stderr_fd = said_.get();
  spawned.environment.emplace_back("PRONY_READY_FD", "1");
  auto child = spawn(spawned);
  if (!child) return Unexpected<Error>(child.error());
  child_ = std::move(*child);
  tells.reset();
  if (auto ready = wait_until_ready(told); !ready) return ready;
  running_ = true;
  return {};
}

Result<void> ProcessMeter::stop() {
  if (!running_) return {};
  running_ = false;
  child_.signal(SIGTERM);
  const auto ended = child_.wait(patience_ns);
  if (ended && !*ended) {
    child_.signal(SIGKILL);
    (void)child_.wait(patience_ns);
    return Unexpected<Error>(what_it_said("prony did not end in time; what it had written can be read"));
  }
  if (ended && (*ended)->shell_code() != 0)
    return Unexpected<Error>(what_it_said("prony ended with " + std::to_string((*ended)->shell_code())));
  // A program that waits for any child may have had the end of this one: the Run itself tells whether it is whole.
  const auto run = Run::open(path_);
  if (!run) return Unexpected<Error>(run.error());
  if ((*run)->state() != RunState::complete) return Unexpected<Error>(what_it_said("prony did not finish the Run"));
  return {};
}

}  // namespace

Result<std::unique_ptr<Meter>> make_process_meter(MeterOptions options) {
  auto meter = std::make_unique<ProcessMeter>(std::move(options));
  if (auto ready = meter->prepare(); !ready) return Unexpected<Error>(ready.error());
  return meter;
}

}  // namespace prony::library
