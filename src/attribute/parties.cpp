#include "attribute/parties.hpp"

#include <algorithm>

#include "attribute/part.hpp"
#include "model/share.hpp"

namespace prony::attribution {

namespace {

// One party, or the targets together.
struct Part {
  double active = 0, given = 0;
  double time = 0;  // of the window, by its share in each cell: what of the idle power lies under it
};

class Doubts {
 public:
  Doubts(const Split& split, const Parties& parties, const Window& window) : window_(window) {
    for (std::size_t party = 0; party < split.parties(); ++party) {
      const Part part{parties.active[party], parties.given[party], parties.time[party]};
      for (Part* sum : {&all_, party < split.targets ? &targets_ : nullptr}) {
        if (sum == nullptr) continue;
        sum->active += part.active;
        sum->given += part.given;
        sum->time += part.time;
      }
    }
    clocks_ = std::min(1.0, 2 * split.staleness_s / std::max(window.length_s, 1e-9));
    const Estimate& gross = window.gross.estimate;
    split_.value = drawn(all_);
    split_.low = split_.value - (gross.value - gross.low);
    split_.high = split_.value + (gross.high - gross.value);
    split_.kind = gross.kind;
    if (window.never_negative) split_.low = std::max(split_.low, 0.0);
  }
  [[nodiscard]] const Part& targets() const { return targets_; }
  [[nodiscard]] double active_sum() const { return all_.active; }

  // What it drew in all, idle included, is a share of what all drew. Of the idle power under it, what the policy does
  // not give back is taken away: a baseline that is too high by a watt takes its part of that watt.
  [[nodiscard]] Estimate of(const Part& part) const {
    const Estimate& idle = window_.idle;
    const double share = share_of(drawn(part), split_.value);
    const Estimate gross = part_of(drawn(part), split_, std::min(share, 1 - share) * clocks_);
    const double net = (idle.value != 0 ? part.given / idle.value : 0) - part.time;
    const double down = net * (idle.low - idle.value), up = net * (idle.high - idle.value);
    const double value = part.active + part.given;
    if (!window_.baseline) return gross;
    return {value, value - (gross.value - gross.low) + std::min({down, up, 0.0}),
            value + (gross.high - gross.value) + std::max({down, up, 0.0}), gross.kind};
  }

 private:
  [[nodiscard]] double drawn(const Part& part) const { return part.active + part.time * window_.idle.value; }

  const Window& window_;
  Part all_, targets_;
  Estimate split_;  // what all parties drew, idle included
  double clocks_ = 0;
};

void tell_idle(const Parties& parties, const Window& window, IdleTo idle_to, ChannelLedger& row) {
  if (idle_to != IdleTo::none && parties.idle == 0) {
    row.absent.emplace_back("idle", "given away" + method_of(idle_to));
    return;
  }
  row.idle = window.idle;
  if (idle_to != IdleTo::none && window.idle.value != 0) {
    const double left = parties.idle / window.idle.value;
    row.idle->low *= left;
    row.idle->high *= left;
  }
  row.idle->value = parties.idle;
}

}  // namespace

std::string method_of(IdleTo policy) {
  switch (policy) {
    case IdleTo::share: return "; idle to the parties by their shares";
    case IdleTo::target: return "; idle to the targets";
    case IdleTo::none: break;
  }
  return {};
}

std::optional<double> target_share(const Split& split, const Parties& parties) {
  double targets = 0, sum = 0;
  for (std::size_t party = 0; party < split.targets; ++party) targets += parties.active[party];
  sum = targets + parties.active[split.prony()] + parties.active[split.foreign()];
  return share_in(targets, sum);
}

void tell_parties(const Split& split, const Parties& parties, const Window& window, IdleTo idle_to,
                  std::span<const std::string> targets, ChannelLedger& row) {
  const Doubts doubts(split, parties, window);
  const auto part = [&](std::size_t party) {
    return Part{parties.active[party], parties.given[party], parties.time[party]};
  };
  row.method = split.method + (window.baseline ? method_of(idle_to) : "");
  row.target = doubts.of(doubts.targets());
  row.foreign = doubts.of(part(split.foreign()));
  if (split.prony_known)
    row.prony = doubts.of(part(split.prony()));
  else
    row.absent.emplace_back("prony", split.prony_absent);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    TargetEnergy& target = row.targets.emplace_back();
    target.target = targets[i];
    if (!split.target_known[i]) {
      for (const char* field : {"charged", "active", "share"})
        target.absent.emplace_back(field, "what " + targets[i] + " used was not recorded: its part is in foreign");
      continue;
    }
    target.charged = doubts.of(part(i));
    target.share = share_in(parties.active[i], doubts.active_sum());
    if (!target.share) target.absent.emplace_back("share", why_no_share);
    if (window.baseline) target.active = doubts.of({parties.active[i], 0, parties.time[i]});
  }
  if (window.baseline) {
    row.target_active = doubts.of({doubts.targets().active, 0, doubts.targets().time});
    tell_idle(parties, window, idle_to, row);
  }
}

// What lies outside the window, and in it where nobody used anything. A model is off in the same way inside the window
// and outside of it; the edges of what was measured are not.
Estimate unattributed_of(const Curve& curve, const Window& window, const Parties& parties, const Estimate& recorded) {
  const Estimate& gross = window.gross.estimate;
  const double value = curve.total() - gross.value + parties.no_use;
  const double whole_down = recorded.value - recorded.low, whole_up = recorded.high - recorded.value;
  const double gross_down = gross.value - gross.low, gross_up = gross.high - gross.value;
  const auto kind = weaker(gross.kind, EstimateKind::interval_95);
  Estimate told{value, value - whole_down - gross_up, value + whole_up + gross_down, kind};
  if (curve.channel().model) {
    const double unused = share_of(parties.no_use, gross.value);
    told.low = value - std::max(0.0, whole_down - gross_down) - unused * gross_down;
    told.high = value + std::max(0.0, whole_up - gross_up) + unused * gross_up;
  }
  if (window.never_negative && !window.baseline) told.low = std::min(std::max(told.low, 0.0), value);
  return told;
}

void tell_no_parties(const std::string& why, std::span<const std::string> targets, ChannelLedger& row) {
  for (const char* field : {"target", "foreign", "prony", "idle"}) row.absent.emplace_back(field, why);
  for (const std::string& name : targets) {
    TargetEnergy& target = row.targets.emplace_back();
    target.target = name;
    for (const char* field : {"charged", "active", "share"}) target.absent.emplace_back(field, why);
  }
}

}  // namespace prony::attribution
