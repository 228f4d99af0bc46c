#include "attribute/parties.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace prony::attribution {

namespace {

// One party, or the targets together.
struct Part {
  double active = 0, given = 0;
};

class Doubts {
 public:
  Doubts(const Split& split, const Parties& parties, const Window& window) : window_(window) {
    const auto& active = parties.active;
    const auto first_other = active.begin() + static_cast<std::ptrdiff_t>(split.targets);
    targets_.active = std::accumulate(active.begin(), first_other, 0.0);
    targets_.given =
        std::accumulate(parties.given.begin(), parties.given.begin() + static_cast<std::ptrdiff_t>(split.targets), 0.0);
    active_sum_ = targets_.active + active[split.prony()] + active[split.foreign()];
    given_sum_ = targets_.given + parties.given[split.prony()] + parties.given[split.foreign()];
    clocks_ = std::min(1.0, 2 * split.staleness_s / std::max(window.length_s, 1e-9));
  }
  [[nodiscard]] Part targets() const { return targets_; }
  [[nodiscard]] double active_sum() const { return active_sum_; }

  [[nodiscard]] Estimate of(const Part& part) const {
    const Estimate& whole = window_.gross.estimate;
    const Estimate& idle = window_.idle;
    const double share = share_of(part.active, active_sum_);
    const double value = part.active + part.given;
    const double sum = active_sum_ + given_sum_;
    const double charged_share = share_of(value, sum);
    const double blur = std::abs(sum) * std::min(charged_share, 1 - charged_share) * clocks_;
    const auto kind = weaker(whole.kind, EstimateKind::interval_95);
    if (part.given == 0)
      return {value, value - share * (whole.value - whole.low + idle.high - idle.value) - blur,
              value + share * (whole.high - whole.value + idle.value - idle.low) + blur, kind};
    // A baseline that is too high by one joule takes `share` of it from what is above idle and gives back what the
    // policy gives.
    const double net = (idle.value != 0 ? part.given / idle.value : 0) - share;
    const double down = net < 0 ? -net * (idle.high - idle.value) : net * (idle.value - idle.low);
    const double up = net < 0 ? -net * (idle.value - idle.low) : net * (idle.high - idle.value);
    return {value, value - share * (whole.value - whole.low) - down - blur,
            value + share * (whole.high - whole.value) + up + blur, kind};
  }

 private:
  [[nodiscard]] static double share_of(double part, double sum) {
    return sum != 0 ? std::clamp(part / sum, 0.0, 1.0) : 0;
  }
  const Window& window_;
  Part targets_;
  double active_sum_ = 0, given_sum_ = 0, clocks_ = 0;
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
  return sum > 0 ? std::optional(targets / sum) : std::nullopt;
}

void tell_parties(const Split& split, const Parties& parties, const Window& window, IdleTo idle_to,
                  std::span<const std::string> targets, ChannelLedger& row) {
  const Doubts doubts(split, parties, window);
  const auto part = [&](std::size_t party) { return Part{parties.active[party], parties.given[party]}; };
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
    if (doubts.active_sum() > 0)
      target.share = parties.active[i] / doubts.active_sum();
    else
      target.absent.emplace_back("share", "there was nothing to share");
    if (window.baseline) target.active = doubts.of({parties.active[i], 0});
  }
  if (window.baseline) {
    row.target_active = doubts.of({doubts.targets().active, 0});
    tell_idle(parties, window, idle_to, row);
  }
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
