#include "sensors/busy_by_idle.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace prony {

namespace {

constexpr double user_hz_s = 0.01;
// So long must times add up before they are believed, and so often it is asked again.
constexpr std::int64_t first_check_ns = 250'000'000, check_every_ns = 1'000'000'000;
// Of CPUs × time: by so much the sum of sampled and stamped times may differ from it and still be of this machine. On a
// busy one wrong ticks are a large part of it; times of half or twice as many CPUs are another's.
constexpr double believable = 0.45;
constexpr double slack_s = 0.05;  // of what is told in steps of 10 ms, and not of all at one instant

double seconds(std::int64_t ticks) noexcept { return static_cast<double>(ticks) * user_hz_s; }

}  // namespace

std::optional<CpuTimes> cpu_times_of_proc_stat(std::string_view text) noexcept {
  // cpu  user nice system idle iowait irq softirq steal guest guest_nice
  static constexpr std::array<bool, 8> not_busy{false, false, false, true, true, false, false, true};
  if (!text.starts_with("cpu ")) return std::nullopt;
  CpuTimes times;
  std::size_t at = 4;
  for (const bool idle : not_busy) {
    while (at < text.size() && text[at] == ' ') ++at;
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
    // A number that runs into the end of the buffer may have been cut.
    if (error != std::errc{} || stop == text.data() + text.size() || value < 0 || value > (std::int64_t{1} << 56))
      return std::nullopt;
    at = static_cast<std::size_t>(stop - text.data());
    if (text[at] != ' ' && text[at] != '\n') return std::nullopt;
    times.all += value;
    if (idle) times.not_busy += value;
  }
  return times;
}

bool BusyByIdle::adds_up(const Seen& now) const noexcept {
  const double all_s = cpus_ * static_cast<double>(now.now_ns - checked_.now_ns) * 1e-9;
  const double told_s = seconds(now.times.all - checked_.times.all);
  return now.times.not_busy >= checked_.times.not_busy && std::abs(told_s - all_s) <= believable * all_s;
}

bool BusyByIdle::follows(const Seen& now) const noexcept {
  const double idle_s = seconds(now.times.not_busy - last_.times.not_busy);
  const double all_s = cpus_ * static_cast<double>(now.now_ns - last_.now_ns) * 1e-9;
  return idle_s >= -slack_s && idle_s <= all_s + cpus_ * slack_s;  // waiting for disks may step back a little
}

void BusyByIdle::begin(const Seen& now, unsigned cpus) noexcept {
  base_ = checked_ = last_ = now;
  base_count_ = truth_seen_ = published_;
  raw_seen_ = raw_.value_or(0);
  cpus_ = cpus;
  trusted_ = false;
  factor_ = 1;
}

void BusyByIdle::lose() noexcept {
  base_.reset();
  trusted_ = false;
  factor_ = 1;
}

void BusyByIdle::see(std::int64_t now_ns, const CpuTimes& times, unsigned cpus) noexcept {
  const Seen now{now_ns, times};
  if (!base_ || cpus != cpus_ || !follows(now)) return begin(now, cpus);
  last_ = now;
  if (now_ns - checked_.now_ns >= (trusted_ ? check_every_ns : first_check_ns)) {
    if (!adds_up(now)) return begin(now, cpus);
    trusted_ = true;
    checked_ = now;
  }
  if (!trusted_) return;
  const double all_s = cpus_ * static_cast<double>(now_ns - base_->now_ns) * 1e-9;
  const double busy_s = all_s - seconds(times.not_busy - base_->times.not_busy);
  const double truth = std::max(truth_seen_, base_count_ + busy_s / unit_s_);
  const double counted = static_cast<double>(raw_.value_or(0) - raw_seen_);
  published_ = std::max(published_, truth);
  // As the ticks were wrong since the last look, less what was counted too much.
  const double owed = truth - truth_seen_ - (published_ - truth);
  factor_ = std::clamp(counted > 0 ? owed / counted : 1.0, 0.0, largest_factor_);
  truth_seen_ = truth;
  raw_seen_ = raw_.value_or(0);
}

void BusyByIdle::move(std::int64_t raw) noexcept {
  const double step = static_cast<double>(raw - raw_.value_or(0));
  published_ += raw_ && step > 0 ? step * factor_ : step;  // a counter that begins anew is let through
  if (step < 0 || !raw_) lose();
  raw_ = raw;
}

}  // namespace prony
