#include "attribute/process_fold.hpp"

#include <algorithm>

namespace prony::attribution {

namespace {

constexpr std::size_t most_stretches = 1 << 17;
constexpr std::int64_t most_stretches_of_a_look = 4096;
constexpr std::int64_t latest_told_ns = std::int64_t{1} << 61;  // what is told of times beyond is rubbish

std::int64_t pair_of(std::int64_t number) { return stretch_of(number, 2); }

}  // namespace

void ProcessFold::begin(std::int64_t step_ns, std::optional<Interval> window, std::size_t most_entries) {
  width_ns_ = step_ns;
  window_ = window;
  most_entries_ = most_entries;
}

std::uint32_t ProcessFold::slot_of(std::uint32_t process) {
  const auto [found, added] = slot_.try_emplace(process, static_cast<std::uint32_t>(numbers_.size()));
  if (added) {
    numbers_.push_back(process);
    open_cpu_s_.push_back(0);
  }
  return found->second;
}

void ProcessFold::add_one(std::uint32_t slot, double cpu_s) {
  if (cpu_s <= 0) return;
  if (open_cpu_s_[slot] == 0) touched_.push_back(slot);
  open_cpu_s_[slot] += cpu_s;
}

void ProcessFold::push(const ProcessLook& look) {
  // Looks follow each other; one that reaches back counts where the one before it ended.
  std::int64_t begin = look.between.begin.ns;
  if (looks_ > 0) begin = std::max(begin, last_end_ns_);
  const std::int64_t end = std::max(begin, look.between.end.ns);
  if (begin < -latest_told_ns || end > latest_told_ns) return;
  ++looks_;
  last_end_ns_ = end;
  const std::int64_t from = window_ ? std::clamp(begin, window_->begin.ns, window_->end.ns) : begin;
  const std::int64_t to = window_ ? std::clamp(end, window_->begin.ns, window_->end.ns) : end;
  if (looks_ > 1) longest_ns_ = std::max(longest_ns_, to - from);  // the first one begins when following began
  const bool moment = begin == end && (!window_ || window_->contains(Instant{begin}));
  if (look.uses.empty() || (from >= to && !moment)) return;
  while ((to - from) / width_ns_ > most_stretches_of_a_look) coarsen();
  scratch_.clear();
  for (const ProcessUse& use : look.uses) scratch_.push_back(slot_of(use.process));
  if (moment) return add(begin, look.uses, 1);
  std::int64_t at = from;
  while (at < to) {
    const std::int64_t stop = std::min(to, (stretch_of(at, width_ns_) + 1) * width_ns_);
    add(at, look.uses, static_cast<double>(stop - at) / static_cast<double>(end - begin));
    at = stop;
  }
}

// scratch_ holds the slots of `uses`.
void ProcessFold::add(std::int64_t at, std::span<const ProcessUse> uses, double part) {
  if (open_ && *open_ < stretch_of(at, width_ns_)) close_open();
  const std::int64_t stretch = stretch_of(at, width_ns_);  // closing may have doubled them
  if (!open_ && !stretches_.empty() && stretches_.back().number == stretch) reopen_last();
  if (!open_) open_ = stretch;
  for (std::size_t i = 0; i < uses.size(); ++i) add_one(scratch_[i], static_cast<double>(uses[i].cpu_ns) * 1e-9 * part);
}

void ProcessFold::sorted_open(std::vector<std::uint32_t>& slots, std::vector<double>& cpu_s) const {
  slots = touched_;
  std::ranges::sort(slots);
  cpu_s.clear();
  for (const std::uint32_t slot : slots) cpu_s.push_back(open_cpu_s_[slot]);
}

void ProcessFold::close_open() {
  std::ranges::sort(touched_);
  if (!touched_.empty()) stretches_.push_back({*open_, slots_.size()});
  for (const std::uint32_t slot : touched_) {
    slots_.push_back(slot);
    cpu_s_.push_back(open_cpu_s_[slot]);
    open_cpu_s_[slot] = 0;
  }
  touched_.clear();
  open_.reset();
  // One entry for each process is the least there can be.
  most_entries_ = std::max(most_entries_, 4 * numbers_.size());
  if (slots_.size() <= most_entries_ && stretches_.size() <= most_stretches) return;
  // Neighbours may have few processes in common: as often as it takes.
  do coarsen();
  while (slots_.size() > most_entries_ / 2 && stretches_.size() > 1);
}

void ProcessFold::reopen_last() {
  const Stretch last = stretches_.back();
  for (std::size_t i = last.first; i < slots_.size(); ++i) add_one(slots_[i], cpu_s_[i]);
  open_ = last.number;
  slots_.resize(last.first);
  cpu_s_.resize(last.first);
  stretches_.pop_back();
}

void ProcessFold::coarsen() {
  width_ns_ *= 2;
  std::vector<Stretch> stretches;
  std::vector<std::uint32_t> slots;
  std::vector<double> cpu_s;
  for (std::size_t i = 0; i < stretches_.size(); ++i) {
    const std::int64_t number = pair_of(stretches_[i].number);
    const bool both = i + 1 < stretches_.size() && pair_of(stretches_[i + 1].number) == number;
    std::size_t a = stretches_[i].first, b = end_of(i);
    const std::size_t a_end = end_of(i), b_end = both ? end_of(i + 1) : b;
    stretches.push_back({number, slots.size()});
    while (a < a_end || b < b_end) {
      const bool from_a = b >= b_end || (a < a_end && slots_[a] <= slots_[b]);
      const bool from_both = from_a && a < a_end && b < b_end && slots_[a] == slots_[b];
      slots.push_back(from_a ? slots_[a] : slots_[b]);
      cpu_s.push_back(from_both ? cpu_s_[a] + cpu_s_[b] : from_a ? cpu_s_[a] : cpu_s_[b]);
      if (from_a) ++a;
      if (!from_a || from_both) ++b;
    }
    if (both) ++i;
  }
  stretches_ = std::move(stretches);
  slots_ = std::move(slots);
  cpu_s_ = std::move(cpu_s);
  if (open_) open_ = pair_of(*open_);
  if (open_ && !stretches_.empty() && stretches_.back().number == *open_) reopen_last();
}

void ProcessFold::for_each_stretch(const Visit& visit) const {
  std::vector<std::uint32_t> slots;
  std::vector<double> cpu_s;
  sorted_open(slots, cpu_s);
  for (std::size_t i = 0; i < stretches_.size(); ++i)
    visit(stretches_[i].number, std::span(slots_).subspan(stretches_[i].first, end_of(i) - stretches_[i].first),
          std::span(cpu_s_).subspan(stretches_[i].first, end_of(i) - stretches_[i].first));
  if (!slots.empty()) visit(*open_, slots, cpu_s);
}

}  // namespace prony::attribution
