// Which channels are the machine's joules: measured ones that lie in no other, one of whose coverage nothing is known
// where there is no better, a modelled one where nothing was measured. Why: docs/methodology.md.
#include <algorithm>
#include <optional>

#include "attribute/builder.hpp"

namespace prony::attribution {

namespace {

// A counter that did not move for so long (and ten periods) is not metering anything.
constexpr double dead_after_s = 1;

}  // namespace

bool Builder::dead(const Curve& curve) const {
  if (!curve.any()) return true;
  const double length_s = seconds_of(curve.last_ns() - curve.first_ns());
  return curve.is_counter() && !curve.channel().model && curve.counter()->transitions() == 0 &&
         length_s >= std::max(dead_after_s, 10 * curve.period_s());
}

// A meter at the wall renews its value about once a second: of a short window, or of requests, it has nothing to tell.
bool Builder::too_coarse(const Curve& curve) const {
  const Channel& channel = curve.channel();
  if (channel.model || !(channel.domain == "wall" || channel.domain.starts_with("wall:"))) return false;
  const auto resolves = [&](const Interval& interval) {
    return curve.between_fixed(interval.begin.ns, interval.end.ns).resolvable();
  };
  return !curve.between(ledger_.window, state_.run.has_value()).resolvable() ||
         std::ranges::any_of(state_.requests, [&](const auto& request) { return !resolves(request.interval); });
}

// A channel that shows nothing at all neither counts nor hides what is part of it. One at the wall that is too coarse
// steps back where anything else can tell: joules of the machine's own sensors are worth more than none of the wall.
void Builder::choose_headline() {
  std::vector<bool> left_out(curves_.size()), coarse(curves_.size());
  for (std::size_t i = 0; i < curves_.size(); ++i) {
    left_out[i] = !gives_energy(curves_[i].channel()) || dead(curves_[i]);
    coarse[i] = left_out[i] || too_coarse(curves_[i]);
  }
  if (!choose_headline_of(coarse)) (void)choose_headline_of(left_out);
}

bool Builder::choose_headline_of(const std::vector<bool>& left_out) {
  std::vector<std::size_t> known, doubtful, modelled;
  for (std::size_t i = 0; i < curves_.size(); ++i) {
    const Channel& channel = curves_[i].channel();
    if (left_out[i] || channel.scope != Scope::host) continue;
    if (channel.model || channel.origin == Origin::modelled) {
      modelled.push_back(i);
      continue;
    }
    bool inside_another = false;
    auto parent = channel.part_of;
    for (std::size_t steps = 0; parent && steps <= curves_.size(); ++steps) {
      const auto found = std::ranges::find(curves_, *parent, [](const Curve& curve) { return curve.channel().id; });
      if (found == curves_.end()) break;
      inside_another = inside_another || !left_out[static_cast<std::size_t>(found - curves_.begin())];
      parent = found->channel().part_of;
    }
    // A power that was ever zero or negative feeds no machine: a battery that rests or charges.
    const bool may_feed = channel.coverage_known || curves_[i].always_positive();
    if (!inside_another && may_feed) (channel.coverage_known ? known : doubtful).push_back(i);
  }
  // Where not one update was seen, a stand-in that was recorded beside has something to tell, and they have nothing.
  const auto still = [&](std::size_t i) { return curves_[i].is_counter() && curves_[i].counter()->transitions() == 0; };
  if (!modelled.empty() && std::ranges::all_of(known, still)) known.clear();
  if (!known.empty()) {
    headline_ = known;
  } else if (!doubtful.empty()) {
    headline_ = {*std::ranges::max_element(doubtful, {}, [&](std::size_t i) { return curves_[i].total(); })};
  } else if (!modelled.empty()) {
    headline_ = {modelled.front()};
    ledger_.headline_modelled = curves_[modelled.front()].channel().origin == Origin::modelled;
  }
  return !headline_.empty();
}

void Builder::headline_sum() {
  for (const ChannelLedger& row : ledger_.energy) {
    if (!row.headline) continue;
    if (!row.gross) {
      ledger_.headline_j.reset();
      return;
    }
    ledger_.headline_j = ledger_.headline_j ? *ledger_.headline_j + *row.gross : *row.gross;
  }
}

}  // namespace prony::attribution
