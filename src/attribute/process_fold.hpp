// Looks at all followed processes → what each used, by stretches of the clock: what a party is charged in a stretch is
// shared by its processes there. Looks are folded, not kept: memory is bounded by `most_entries` and by the number of
// processes, whatever the length of the Run; when a limit is reached stretches double. Within a look use is spread
// evenly. Seconds of CPU time. Thread promise: one thread at a time; copying gives an independent fold.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/process_use.hpp"

namespace prony::attribution {

// Number of the stretch that holds `ns`, for stretches that begin at multiples of their length.
[[nodiscard]] constexpr std::int64_t stretch_of(std::int64_t ns, std::int64_t length) noexcept {
  return ns / length - (ns % length < 0 ? 1 : 0);
}

class ProcessFold {
 public:
  // Stretches begin at multiples of `step_ns` (later of 2, 4, … of them). Only what lies in the window counts; no
  // window: all does.
  void begin(std::int64_t step_ns, std::optional<Interval> window, std::size_t most_entries = 2'000'000);
  void push(const ProcessLook& look);

  [[nodiscard]] bool any() const noexcept { return looks_ > 0; }
  [[nodiscard]] std::int64_t width_ns() const noexcept { return width_ns_; }
  // The longest look in the window: for so long it is not known when somebody used what the look told.
  [[nodiscard]] std::int64_t longest_ns() const noexcept { return longest_ns_; }
  [[nodiscard]] std::size_t entries() const noexcept { return slots_.size() + touched_.size(); }
  [[nodiscard]] std::span<const std::uint32_t> numbers() const noexcept { return numbers_; }  // by slot

  // In time order: the stretch's number, the slots that used something in it (ascending), how much each.
  using Visit = std::function<void(std::int64_t, std::span<const std::uint32_t>, std::span<const double>)>;
  void for_each_stretch(const Visit& visit) const;

 private:
  struct Stretch {
    std::int64_t number = 0;
    std::size_t first = 0;  // index into slots_ and cpu_s_
  };
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t process);
  void add(std::int64_t at, std::span<const ProcessUse> uses, double part);
  void add_one(std::uint32_t slot, double cpu_s);
  void close_open();
  void reopen_last();
  void coarsen();
  [[nodiscard]] std::size_t end_of(std::size_t stretch) const {
    return stretch + 1 < stretches_.size() ? stretches_[stretch + 1].first : slots_.size();
  }
  void sorted_open(std::vector<std::uint32_t>& slots, std::vector<double>& cpu_s) const;

  std::int64_t width_ns_ = 100'000'000;
  std::optional<Interval> window_;
  std::size_t most_entries_ = 0;
  std::uint64_t looks_ = 0;
  std::int64_t last_end_ns_ = 0, longest_ns_ = 0;
  std::unordered_map<std::uint32_t, std::uint32_t> slot_;
  std::vector<std::uint32_t> numbers_;
  std::vector<Stretch> stretches_;  // closed ones
  std::vector<std::uint32_t> slots_;
  std::vector<double> cpu_s_;
  std::optional<std::int64_t> open_;  // number of the stretch that is being filled
  std::vector<double> open_cpu_s_;    // by slot
  std::vector<std::uint32_t> touched_;
  std::vector<std::uint32_t> scratch_;
};

}  // namespace prony::attribution
