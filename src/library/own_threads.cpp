#include "library/own_threads.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/text.hpp"

namespace prony::library {

namespace {

// −1: there is no such thread any more.
std::int64_t thread_clock_ns(std::int64_t tid) noexcept {
  constexpr unsigned per_thread = 4, scheduler = 2;  // CPUCLOCK_PERTHREAD_MASK, CPUCLOCK_SCHED
  const auto clock = static_cast<clockid_t>((~static_cast<unsigned>(tid) << 3) | per_thread | scheduler);
  timespec used{};
  if (::clock_gettime(clock, &used) != 0) return -1;
  return std::int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
}

class LessOwnThreads final : public Machine {
 public:
  explicit LessOwnThreads(std::shared_ptr<OwnThreads> threads) : threads_(std::move(threads)) {}

  [[nodiscard]] Result<Duration> process_cpu_time(std::int64_t pid) noexcept override {
    if (pid != ::getpid()) return live_->process_cpu_time(pid);
    const std::int64_t own = threads_->cpu_ns();  // first: what they use meanwhile is then in the program's part
    const auto all = live_->process_cpu_time(pid);
    return all ? Result<Duration>(Duration{std::max<std::int64_t>(0, all->ns - own)}) : all;
  }
  [[nodiscard]] Duration own_cpu_time() const noexcept override { return {threads_->cpu_ns()}; }

  [[nodiscard]] MachineKind kind() const noexcept override { return live_->kind(); }
  [[nodiscard]] Instant now() const noexcept override { return live_->now(); }
  [[nodiscard]] Anchor anchor() const noexcept override { return live_->anchor(); }
  [[nodiscard]] Result<std::unique_ptr<File>> open(const std::string& path) override { return live_->open(path); }
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) override { return live_->list(path); }
  [[nodiscard]] Result<std::string> read_text(const std::string& path) override { return live_->read_text(path); }
  [[nodiscard]] Result<std::string> read_link(const std::string& path) override { return live_->read_link(path); }
  [[nodiscard]] bool exists(const std::string& path) override { return live_->exists(path); }
  [[nodiscard]] Result<void> list_processes(std::vector<ListedProcess>& out) override {
    return live_->list_processes(out);
  }
  [[nodiscard]] Result<std::unique_ptr<PerfGroup>> open_perf(std::span<const PerfEvent> events, std::int64_t pid,
                                                             int cpu, PerfReach reach) override {
    return live_->open_perf(events, pid, cpu, reach);
  }
  [[nodiscard]] Result<std::unique_ptr<Library>> open_library(std::span<const std::string_view> names) override {
    return live_->open_library(names);
  }
  [[nodiscard]] Result<std::unique_ptr<Device>> open_device(const std::string& path) override {
    return live_->open_device(path);
  }
  [[nodiscard]] Result<ProgramOutput> run_program(std::span<const std::string> arguments, Duration most) override {
    return live_->run_program(arguments, most);
  }
  [[nodiscard]] unsigned cpu_count() override { return live_->cpu_count(); }
  [[nodiscard]] std::size_t most_open_files() const noexcept override { return live_->most_open_files(); }
  [[nodiscard]] Duration tick_period() const noexcept override { return live_->tick_period(); }

 private:
  std::unique_ptr<Machine> live_ = make_live_machine();
  std::shared_ptr<OwnThreads> threads_;
};

}  // namespace

void OwnThreads::look() {
  std::vector<std::int64_t> there;
  std::error_code error;
  for (std::filesystem::directory_iterator task("/proc/self/task", error), end; !error && task != end;
       task.increment(error)) {
    const auto name = read_whole_file((task->path() / "comm").string(), 64);
    const auto tid = parse_i64(task->path().filename().string());
    if (name && tid && name->starts_with("prony-")) there.push_back(*tid);
  }
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < count_;) {
    if (std::erase(there, threads_[i].tid) > 0) {
      ++i;
      continue;
    }
    ended_ns_ += threads_[i].used_ns;
    threads_[i] = threads_[--count_];
  }
  for (const std::int64_t tid : there)
    if (count_ < most) threads_[count_++] = {tid, 0};
}

std::int64_t OwnThreads::cpu_ns() noexcept {
  const std::scoped_lock lock(mutex_);
  std::int64_t sum = ended_ns_;
  for (std::size_t i = 0; i < count_; ++i) {
    threads_[i].used_ns = std::max(threads_[i].used_ns, thread_clock_ns(threads_[i].tid));
    sum += threads_[i].used_ns;
  }
  return sum;
}

std::unique_ptr<Machine> make_machine_less(std::shared_ptr<OwnThreads> threads) {
  return std::make_unique<LessOwnThreads>(std::move(threads));
}

}  // namespace prony::library
