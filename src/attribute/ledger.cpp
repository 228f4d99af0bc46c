// From the closed curves to the Ledger. Every formula is derived in docs/methodology.md.
#include <algorithm>
#include <cmath>
#include <optional>

#include "attribute/resolvable.hpp"
#include "attribute/split.hpp"

namespace prony {

using namespace attribution;

namespace {

constexpr std::int64_t shortest_peak_ns = 100'000'000;
constexpr double counter_updates_in_peak = 10;
constexpr double gauge_updates_in_peak = 2;
constexpr double dead_after_s =
    1;  // a counter that did not move for so long (and ten periods) is not metering anything

double seconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-9; }

// From which on two baselines of one Run are not the same idle: this share of their mean, and outside both's doubt.
constexpr double least_drift = 0.05;

struct Baseline {
  Estimate watts;
  std::optional<Estimate> before, after;
  std::string absent;  // why there is none; empty: there is
};

class Builder {
 public:
  explicit Builder(const Attribution::State& state);
  Ledger build();

 private:
  void split();
  void choose_headline();
  void energy_channel(const Curve& curve);
  void window_figures(const Curve& curve, const Measured& gross, const Baseline& baseline, const Parties* parties,
                      ChannelLedger& row) const;
  void party_estimates(const Measured& gross, const Estimate& idle, const Parties& parties, ChannelLedger& row) const;
  void peak(const Curve& curve, ChannelLedger& row) const;
  void charge_spans(const Curve& curve, const Parties* parties, const Measured& gross, ChannelLedger& row);
  void gauges();
  void headline_sum();
  [[nodiscard]] Baseline baseline(const Curve& curve) const;
  [[nodiscard]] const Curve* curve_of(const Channel* channel) const;
  [[nodiscard]] bool dead(const Curve& curve) const;
  [[nodiscard]] Estimate charged(double value, const Measured& gross, double length_s) const;

  const Attribution::State& state_;
  std::vector<Curve> curves_;  // energy and CPU time
  std::vector<std::size_t> headline_;
  Split split_;
  std::vector<Piece> pieces_;
  Ledger ledger_;
};

Builder::Builder(const Attribution::State& state) : state_(state) {
  ledger_.recorded = state.recorded.value_or(Interval{});
  ledger_.window = state.run.value_or(ledger_.recorded);
  for (const Fold& fold : state.folds)
    if (gives_energy(fold.channel) || fold.channel.measure == Measure::cpu_time) {
      if (fold.counter || fold.gauge) curves_.emplace_back(fold, state);
    }
}

const Curve* Builder::curve_of(const Channel* channel) const {
  if (channel == nullptr) return nullptr;
  for (const Curve& curve : curves_)
    if (curve.channel().id == channel->id) return &curve;
  return nullptr;
}

void Builder::split() {
  std::vector<Channel> channels;
  for (const Fold& fold : state_.folds) channels.push_back(fold.channel);
  CpuCurves cpu;
  cpu.busy = curve_of(find_busy(channels));
  cpu.target = curve_of(find_cpu_time(channels, Scope::target));
  cpu.prony = curve_of(find_cpu_time(channels, Scope::prony));
  split_ = split_by_cpu_time(cpu, ledger_.window, state_.plan, state_.busy_staleness_s);
  ledger_.cpu_split = split_.absent.empty() ? split_.method : "none: " + split_.absent;
  if (split_.absent.empty()) pieces_ = make_pieces(state_.spans, ledger_.window, state_.plan);
}

bool Builder::dead(const Curve& curve) const {
  if (!curve.any()) return true;
  const double length_s = seconds(curve.last_ns() - curve.first_ns());
  return curve.is_counter() && !curve.channel().model && curve.counter()->transitions() == 0 &&
         length_s >= std::max(dead_after_s, 10 * curve.period_s());
}

// A channel that shows nothing at all neither counts nor hides what is part of it.
void Builder::choose_headline() {
  std::vector<std::size_t> known, doubtful, modelled;
  for (std::size_t i = 0; i < curves_.size(); ++i) {
    const Channel& channel = curves_[i].channel();
    if (!gives_energy(channel) || channel.scope != Scope::host || dead(curves_[i])) continue;
    if (channel.origin == Origin::modelled) {
      modelled.push_back(i);
      continue;
    }
    bool inside_another = false;
    auto parent = channel.part_of;
    for (std::size_t steps = 0; parent && steps <= curves_.size(); ++steps) {
      const auto found = std::ranges::find(curves_, *parent, [](const Curve& curve) { return curve.channel().id; });
      if (found == curves_.end()) break;
      inside_another = inside_another || !dead(*found);
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
    ledger_.headline_modelled = true;
  }
}

// The mean power in the phases where nothing ran; low and high span both phases and their doubts.
Baseline Builder::baseline(const Curve& curve) const {
  Baseline result;
  std::size_t found = 0;
  bool too_short = false;
  for (const Span& span : state_.spans) {
    if (span.kind != SpanKind::phase || (span.name != phase::baseline_before && span.name != phase::baseline_after))
      continue;
    const double length_s = span.interval.length().seconds().value();
    if (length_s <= 0 || span.status == SpanStatus::unfinished || span.interval.begin.ns >= curve.last_ns() ||
        span.interval.end.ns <= curve.first_ns())
      continue;
    const Measured energy = curve.between_fixed(span.interval.begin.ns, span.interval.end.ns);
    if (!energy.resolvable()) {
      too_short = true;
      continue;
    }
    const Estimate watts{energy.estimate.value / length_s, energy.estimate.low / length_s,
                         energy.estimate.high / length_s, weaker(energy.estimate.kind, EstimateKind::interval_95)};
    (span.name == phase::baseline_before ? result.before : result.after) = watts;
    Estimate& sum = result.watts;
    sum = found == 0 ? watts
                     : Estimate{sum.value + watts.value, std::min(sum.low, watts.low), std::max(sum.high, watts.high),
                                weaker(sum.kind, watts.kind)};
    ++found;
  }
  if (found > 0)
    result.watts.value /= static_cast<double>(found);
  else
    result.absent = too_short ? "the baseline is too short for this sensor: measure a longer one"
                              : "no baseline was measured: run with --baseline 3s";
  return result;
}

void tell_drift(const Baseline& base, ChannelLedger& row) {
  if (base.before) row.idle_before_w = base.before->value;
  if (base.after) row.idle_after_w = base.after->value;
  if (!base.before || !base.after) return;
  const bool apart = base.before->high < base.after->low || base.after->high < base.before->low;
  row.idle_drifted = apart && std::abs(base.after->value - base.before->value) > least_drift * base.watts.value;
}

// Σ parties = what the window drew; each carries its share of the edges' doubt, the baseline's and the CPU clocks'.
void Builder::party_estimates(const Measured& gross, const Estimate& idle, const Parties& parties,
                              ChannelLedger& row) const {
  const Estimate& whole = gross.estimate;
  const double length_s = ledger_.window.length().seconds().value();
  const double split_sum = parties.target + parties.prony + parties.foreign;
  const double clocks = std::min(1.0, 2 * state_.busy_staleness_s / std::max(length_s, 1e-9));
  const auto party = [&](double value) {
    const double share = split_sum != 0 ? std::clamp(value / split_sum, 0.0, 1.0) : 0;
    const double blur = std::abs(split_sum) * std::min(share, 1 - share) * clocks;
    return Estimate{value, value - share * (whole.value - whole.low + idle.high - idle.value) - blur,
                    value + share * (whole.high - whole.value + idle.value - idle.low) + blur,
                    weaker(whole.kind, EstimateKind::interval_95)};
  };
  row.target = party(parties.target);
  row.foreign = party(parties.foreign);
  if (split_.prony_known)
    row.prony = party(parties.prony);
  else
    row.absent.emplace_back("prony", "no CPU time of Prony itself was recorded: its part is in foreign");
}

void Builder::peak(const Curve& curve, ChannelLedger& row) const {
  const double updates = curve.is_counter() ? counter_updates_in_peak : gauge_updates_in_peak;
  const auto wanted = std::max(shortest_peak_ns, static_cast<std::int64_t>(updates * curve.period_s() * 1e9));
  const std::int64_t step = state_.plan.step_ns;
  const std::int64_t over = (wanted + step - 1) / step * step;
  row.peak_over = Duration{over};
  const std::int64_t begin = std::max(ledger_.window.begin.ns, curve.first_ns());
  const std::int64_t end = std::min(ledger_.window.end.ns, curve.last_ns());
  for (std::int64_t from = (begin + step - 1) / step * step; from + over <= end; from += step) {
    const double watts = (curve.at_grid(from + over) - curve.at_grid(from)) / seconds(over);
    row.peak_w = std::max(row.peak_w.value_or(watts), watts);
  }
  if (!row.peak_w)
    row.absent.emplace_back("peak_w", "the window holds no stretch of " + std::to_string(over / 1'000'000) +
                                          " ms, over which peaks are taken");
}

void Builder::window_figures(const Curve& curve, const Measured& gross, const Baseline& base, const Parties* parties,
                             ChannelLedger& row) const {
  const double length_s = ledger_.window.length().seconds().value();
  row.resolvable = gross.resolvable();
  if (!row.resolvable) {
    row.needed_s = needed_s(curve, gross, ledger_.window);
    const std::string why = why_not_resolvable(curve, gross, ledger_.window);
    for (const char* field : {"gross", "active", "target_active", "target_share", "mean_w", "peak_w"})
      row.absent.emplace_back(field, why);
    return;
  }
  row.gross = gross.estimate;
  row.interval = gross.interval;
  if (length_s > 0) row.mean_w = gross.estimate.value / length_s;
  peak(curve, row);
  if (base.absent.empty()) {
    const Estimate& idle = base.watts;
    row.active = Estimate{gross.estimate.value - idle.value * length_s, gross.estimate.low - idle.high * length_s,
                          gross.estimate.high - idle.low * length_s, weaker(gross.estimate.kind, idle.kind)};
    if (parties != nullptr)
      row.target_active = row.target;
    else
      row.absent.emplace_back("target_active", split_.absent);
  } else {
    row.absent.emplace_back("active", base.absent);
    row.absent.emplace_back("target_active", base.absent);
  }
  if (parties == nullptr) return row.absent.emplace_back("target_share", split_.absent), void();
  const double whole = parties->target + parties->prony + parties->foreign;
  if (whole > 0)
    row.target_share = parties->target / whole;
  else
    row.absent.emplace_back("target_share", "there was nothing to share");
}

void Builder::energy_channel(const Curve& curve) {
  ChannelLedger row;
  row.channel = curve.channel().id;
  row.headline = std::ranges::any_of(headline_, [&](std::size_t i) { return &curves_[i] == &curve; });
  if (!curve.any()) {
    row.resolvable = false;
    for (const char* field : {"recorded", "gross", "target", "foreign", "prony", "idle"})
      row.absent.emplace_back(field, "never read");
    ledger_.energy.push_back(std::move(row));
    return;
  }
  if (const CounterCurve* counter = curve.counter()) {
    row.wraps = counter->wraps();
    row.resets = counter->resets();
    if (counter->ambiguous() > 0)
      row.absent.emplace_back("wraps", "some pauses were long enough for further wraps; high allows for them");
  }
  row.clock = curve.clock();
  if (curve.channel().model && !row.clock)
    row.absent.emplace_back("clock", why_no_clock(state_, *curve.channel().model));
  row.gaps = curve.gaps();
  row.gap_time = Duration{curve.gap_ns()};
  row.recorded = curve.whole().estimate;
  row.recorded.value = curve.total();
  const Measured gross = curve.between(ledger_.window, state_.run.has_value());
  const Baseline base = baseline(curve);
  tell_drift(base, row);
  const double length_s = ledger_.window.length().seconds().value();
  std::optional<Parties> parties;
  Estimate idle;
  if (split_.absent.empty()) {
    if (base.absent.empty())
      idle = {base.watts.value * length_s, base.watts.low * length_s, base.watts.high * length_s, base.watts.kind};
    parties = split_channel(curve, split_, state_.plan, base.absent.empty() ? base.watts.value : 0);
    party_estimates(gross, idle, *parties, row);
    if (base.absent.empty())
      row.idle = idle, row.idle->value = parties->idle;
    else
      row.absent.emplace_back("idle", base.absent);
    const double outside = curve.total() - gross.estimate.value;
    const double value = outside + parties->no_cpu;
    const double doubt_low = row.recorded.value - row.recorded.low + gross.estimate.high - gross.estimate.value;
    const double doubt_high = row.recorded.high - row.recorded.value + gross.estimate.value - gross.estimate.low;
    row.unattributed = {value, value - doubt_low, value + doubt_high,
                        weaker(gross.estimate.kind, EstimateKind::interval_95)};
  } else {
    for (const char* field : {"target", "foreign", "prony", "idle"}) row.absent.emplace_back(field, split_.absent);
    row.unattributed = row.recorded;
  }
  window_figures(curve, gross, base, parties ? &*parties : nullptr, row);
  charge_spans(curve, parties ? &*parties : nullptr, gross, row);
  ledger_.energy.push_back(std::move(row));
}

// What a span is charged carries the doubt of its window's edges in proportion, and of the CPU clocks.
Estimate Builder::charged(double value, const Measured& gross, double length_s) const {
  const Estimate& whole = gross.estimate;
  const double share = whole.value != 0 ? std::clamp(value / whole.value, 0.0, 1.0) : 0;
  const double blur = std::abs(value) * std::min(1.0, 2 * state_.busy_staleness_s / std::max(length_s, 1e-9));
  return {value, value - share * (whole.value - whole.low) - blur, value + share * (whole.high - whole.value) + blur,
          weaker(whole.kind, EstimateKind::interval_95)};
}

void Builder::charge_spans(const Curve& curve, const Parties* parties, const Measured&, ChannelLedger& row) {
  const std::vector<Span>& spans = state_.spans;
  std::vector<double> parts(spans.size(), 0.0);
  double charged_sum = 0;
  if (parties != nullptr) {
    for (const Piece& piece : pieces_) {
      const double amount = parties->target_at[piece.to] - parties->target_at[piece.from];
      if (piece.owners.empty()) continue;
      const double each = amount / static_cast<double>(piece.owners.size());
      for (const std::size_t span : piece.owners) parts[span] += each;
      for (const std::size_t span : piece.viewers) parts[span] += each;
      charged_sum += amount;
    }
  }
  std::vector<bool> owner(spans.size(), false);
  for (const Piece& piece : pieces_)
    for (const std::size_t span : piece.owners) owner[span] = true;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const Span& span = spans[i];
    if (span.kind == SpanKind::run) continue;
    const double length_s = span.interval.length().seconds().value();
    const Measured gross = curve.between_fixed(span.interval.begin.ns, span.interval.end.ns);
    const Estimate part = charged(parts[i], gross, length_s);
    if (owner[i] && parties != nullptr)
      ledger_.charges.push_back(
          {row.channel, Party::target, span.id, part, "the target's part in the span's time, " + split_.method});
    if (!row.headline) continue;
    SpanEnergy energy{span.id, row.channel, gross.resolvable(), {}, {}, {}, {}};
    const bool in_window = span.interval.begin >= ledger_.window.begin && span.interval.end <= ledger_.window.end;
    if (!energy.resolvable) {
      energy.needed_s = needed_s(curve, gross, span.interval);
    } else {
      energy.gross = gross.estimate;
      energy.interval = gross.interval;
      if (parties != nullptr && in_window) energy.charged = part;
    }
    ledger_.spans.push_back(energy);
  }
  if (parties != nullptr) {
    Estimate rest = *row.target;
    const double shift = charged_sum;
    rest = {rest.value - shift, rest.low - shift, rest.high - shift, rest.kind};
    ledger_.charges.push_back(
        {row.channel, Party::target, SpanId{}, rest, "the target outside all spans, " + split_.method});
    ledger_.charges.push_back({row.channel, Party::foreign, SpanId{}, *row.foreign, split_.method});
    if (row.prony) ledger_.charges.push_back({row.channel, Party::prony, SpanId{}, *row.prony, split_.method});
    if (row.idle) ledger_.charges.push_back({row.channel, Party::idle, SpanId{}, *row.idle, "baseline power × time"});
  }
  ledger_.charges.push_back(
      {row.channel, Party::unattributed, SpanId{}, row.unattributed,
       parties != nullptr ? "outside the measured window, and where nobody used the CPU" : split_.absent});
}

void Builder::gauges() {
  const double length_s = ledger_.window.length().seconds().value();
  for (const Fold& fold : state_.folds) {
    if (!fold.stats) continue;
    const auto& sum = fold.stats->window();
    if (sum.readings > 0) {
      GaugeLedger row;
      row.channel = fold.channel.id;
      row.min = sum.min, row.max = sum.max, row.first = sum.first, row.last = sum.last;
      row.mean = sum.sum / static_cast<double>(sum.readings);
      row.readings = sum.readings;
      row.gaps = fold.stats->gap_readings();
      if (fold.counter && fold.counter->any()) {
        const Curve curve(fold, state_);
        row.increase = curve.between(ledger_.window, state_.run.has_value()).estimate.value;
        row.min = row.first, row.max = row.last;
        row.mean = length_s > 0 ? *row.increase / length_s : 0;
      }
      ledger_.gauges.push_back(row);
    }
    for (std::size_t i = 0; i < fold.stats->per_request().size(); ++i) {
      const auto& part = fold.stats->per_request()[i];
      if (part.readings == 0) continue;
      ledger_.span_gauges.push_back({state_.spans[state_.requests[i].span].id, fold.channel.id, part.min,
                                     part.sum / static_cast<double>(part.readings), part.max, part.readings});
    }
  }
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

Ledger Builder::build() {
  split();
  choose_headline();
  for (const Curve& curve : curves_)
    if (gives_energy(curve.channel())) energy_channel(curve);
  gauges();
  headline_sum();
  return std::move(ledger_);
}

}  // namespace

Ledger Attribution::State::ledger() const { return Builder(*this).build(); }

}  // namespace prony
