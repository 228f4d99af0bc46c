// Which counters of use may split anything: those that counted all of it. docs/methodology.md §6.
#include <algorithm>
#include <cmath>

#include "attribute/builder.hpp"
#include "base/text.hpp"
#include "model/target.hpp"

namespace prony::attribution {

namespace {

// How far the time for which events counted may be from the CPU time of the same processes: interrupts are in the one
// and not in the other, and a clock of another CPU's task may lag a tick behind.
constexpr double most_uncounted_share = 0.03;
constexpr double most_uncounted_s = 0.005;

bool has_readings(const Fold& fold) { return fold.counter ? fold.counter->any() : fold.gauge && fold.gauge->any(); }

std::string whose(const Channel& channel) {
  if (channel.scope == Scope::host) return "those of the machine";
  return channel.scope == Scope::prony ? "those of Prony" : "those of " + target_name(channel);
}

}  // namespace

void Builder::find_read() {
  std::vector<const Channel*> all;
  for (const Fold& fold : state_.folds)
    if (has_readings(fold)) all.push_back(&fold.channel);
  const Basis machine = machine_basis(all, targets_);
  for (const Channel* channel : all) {
    const std::string target = target_name(*channel);
    const auto at = static_cast<std::size_t>(std::ranges::find(targets_, target) - targets_.begin());
    const Channel* clock = at < targets_.size() ? machine.targets[at] : nullptr;
    if (std::string why = why_refused(fold_of(*channel), clock); !why.empty())
      refused_.push_back({channel, std::move(why)});
    else
      read_.push_back(channel);
  }
}

const Fold& Builder::fold_of(const Channel& channel) const {
  return *std::ranges::find_if(state_.folds, [&](const Fold& fold) { return &fold.channel == &channel; });
}

// What a counter of events missed it never tells later on, unlike energy: a pause is a part that is not there.
std::string Builder::why_refused(const Fold& fold, const Channel* clock) const {
  const Channel& channel = fold.channel;
  if (channel.measure != Measure::count || channel.kind != ChannelKind::counter) return {};
  if (fold.gap_in_window) return whose(channel) + " were not counted all the time";
  if (channel.scope != Scope::target || clock == nullptr) return {};
  const auto counted = std::ranges::find_if(state_.folds, [&](const Fold& other) {
    return other.channel.scope == Scope::target && other.channel.domain == counted_domain &&
           target_name(other.channel) == target_name(channel) && has_readings(other);
  });
  if (counted == state_.folds.end()) return {};
  const auto in_window = [&](const Fold& of) {
    return Curve(of, state_).between(ledger_.window, state_.run.has_value()).estimate.value;
  };
  const double counted_s = in_window(*counted), used_s = in_window(fold_of(*clock));
  if (std::abs(counted_s - used_s) <= most_uncounted_share * used_s + most_uncounted_s) return {};
  return whose(channel) + " were counted for " + format_fixed(counted_s, 3) + " s of its " + format_fixed(used_s, 3) +
         " s of CPU time";
}

}  // namespace prony::attribution
