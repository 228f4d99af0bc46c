#include "sensors/busy_by_idle.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace prony {

namespace {

constexpr double user_hz_s = 0.01;
constexpr std::int64_t every_ns = 1'000'000'000;
// Of CPUs × time: by so much the sum of sampled and stamped times may differ from it and still be of this machine.
constexpr double believable = 0.2;
constexpr double least_factor = 0.5, largest_factor = 2;

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

void BusyByIdle::begin(std::int64_t now_ns, const CpuTimes& times, unsigned cpus) noexcept {
  base_ = Base{now_ns, times, cpus, published_};
  truth_seen_ = published_;
  factor_ = 1;
}

void BusyByIdle::lose(std::int64_t now_ns) noexcept {
  next_ns_ = now_ns + every_ns;
  base_.reset();
  factor_ = 1;
}

void BusyByIdle::see(std::int64_t now_ns, const CpuTimes& times, unsigned cpus) noexcept {
  next_ns_ = now_ns + every_ns;
  const std::int64_t raw = raw_.value_or(0);
  const double counted = static_cast<double>(raw - raw_seen_);
  const auto seconds = [](std::int64_t ticks) { return static_cast<double>(ticks) * user_hz_s; };
  const double since_s = static_cast<double>(now_ns - seen_ns_) * 1e-9;
  const double apart_s = std::abs(seconds(times.all - seen_.all) - cpus * since_s);
  const bool follows = base_ && base_->cpus == cpus && times.not_busy >= seen_.not_busy && since_s > 0 &&
                       apart_s <= believable * cpus * since_s;
  seen_ns_ = now_ns;
  seen_ = times;
  raw_seen_ = raw;
  if (!follows) return begin(now_ns, times, cpus);
  const double elapsed_s = static_cast<double>(now_ns - base_->now_ns) * 1e-9;
  const double busy_s = cpus * elapsed_s - seconds(times.not_busy - base_->times.not_busy);
  const double truth = base_->published + std::max(0.0, busy_s) / unit_s_;
  const double owed = truth - published_;
  // As the last second went, and what is owed besides.
  if (counted > 0)
    factor_ = std::clamp((truth - truth_seen_ + owed) / counted, least_factor, largest_factor);
  else if (owed > 0)
    published_ += owed, factor_ = 1;  // work that no tick has met
  truth_seen_ = truth;
}

std::int64_t BusyByIdle::publish(std::int64_t raw) noexcept {
  if (!raw_) {
    published_ = static_cast<double>(raw);
    raw_seen_ = raw;
  } else {
    const double step = static_cast<double>(raw - *raw_);
    published_ += step > 0 ? step * factor_ : step;  // a counter that begins anew is let through
  }
  raw_ = raw;
  return static_cast<std::int64_t>(std::floor(published_));
}

}  // namespace prony
