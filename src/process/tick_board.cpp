#include "process/tick_board.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/text.hpp"
#include "process/new_numbers.hpp"
#include "process/proc_files.hpp"

namespace prony {

namespace {

// Reading the clocks of targets may take 1/100 of the time; where it takes long, looks come more often than that, and a
// tick between them need not repeat what they read.
constexpr std::int64_t tick_cost_factor = 100, long_tick_cost_factor = 1000;
constexpr Duration long_tick = milliseconds(1);

}  // namespace

std::int64_t read_process_clock(Machine& machine, std::int64_t pid, File* stat, bool from_stat) noexcept {
  if (!from_stat) {
    const auto clock = machine.process_cpu_time(pid);
    if (clock) return clock->ns;
    return clock.error().code == ErrorCode::gone ? -1 : -2;
  }
  std::array<char, 1024> buffer;
  const auto got = stat != nullptr ? stat->read(buffer) : -ENOENT;
  if (got <= 0) return got == -ESRCH || got == -ENODEV ? -1 : -2;
  const auto parsed = parse_process_stat({buffer.data(), static_cast<std::size_t>(got)});
  if (!parsed) return -2;
  return static_cast<std::int64_t>(parsed->user_ticks + parsed->system_ticks) * ns_per_tick();
}

// The last number of /proc/loadavg, of our process id namespace; −1: not told (somebody lives, so it is not 0, as some
// sandboxes have it). Source: proc(5), fs/proc/loadavg.c.
std::int64_t read_newest_pid(File* loadavg) noexcept {
  if (loadavg == nullptr) return -1;
  std::array<char, 128> buffer;
  const auto got = loadavg->read(buffer);
  const auto text = trim(std::string_view(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0));
  const auto newest = text.empty() ? std::nullopt : parse_i64(text.substr(text.rfind(' ') + 1));
  return newest && *newest > 0 ? *newest : -1;
}

TickBoard::TickBoard(Machine& machine, std::size_t targets, const std::vector<double>& cpus)
    : machine_(machine),
      parts_(cpus.empty() ? 0 : targets, PackageParts(cpus)),
      sums_(targets),
      shown_(targets),
      residents_(targets) {
  if (auto file = machine_.open("/proc/loadavg")) loadavg_ = std::move(*file);
  page_.totals.resize(targets);
  page_.residents.resize(targets);
}

void TickBoard::take_seen(std::vector<Clock>& clocks) {
  const std::lock_guard lock(mutex_);
  clocks.assign(page_.clocks.begin(), page_.clocks.end());
}

void TickBoard::publish(Page& page) {
  const std::lock_guard lock(mutex_);
  std::swap(page_, page);
  for (std::size_t target = 0; target < page_.places.size(); ++target) {
    const Places& places = page_.places[target];
    if (!places.expected.empty()) parts_[target].expect(places.expected);
    parts_[target].place(places.placed_ns);
    parts_[target].finish_look(page_.totals[target], places.pending_ns);
  }
  page.places.clear();
}

void TickBoard::show_packages(std::size_t target, std::span<Reading> out) noexcept {
  const std::lock_guard lock(mutex_);
  parts_[target].show(shown_[target], out);
}

void TickBoard::tick(Instant now) noexcept {
  const std::lock_guard lock(mutex_);
  if (now >= clocks_again_) {
    // Numbers are given out in turn: one that may have been given away again since the last look waits for the next.
    const auto newest = read_newest_pid(loadavg_.get()), before = page_.newest_pid;
    for (Clock& clock : page_.clocks)
      if (newest < 0 || !given_out_between(before, newest, clock.pid))
        clock.seen_ns =
            std::max(clock.seen_ns, read_process_clock(machine_, clock.pid, clock.stat.get(), page_.from_stat));
    const Duration cost = machine_.now() - now;
    clocks_again_ = now + (cost < long_tick ? tick_cost_factor : long_tick_cost_factor) * cost;
  }
  std::copy(page_.totals.begin(), page_.totals.end(), sums_.begin());
  for (const Clock& clock : page_.clocks) sums_[clock.target] += clock.seen_ns - clock.credited_ns;
  for (std::size_t i = 0; i < sums_.size(); ++i) shown_[i] = std::max(shown_[i], sums_[i]);
  std::copy(page_.residents.begin(), page_.residents.end(), residents_.begin());
}

}  // namespace prony
