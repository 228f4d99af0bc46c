// From the closed curves to the Ledger. Every formula is derived in docs/methodology.md.
#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "attribute/builder.hpp"
#include "attribute/marginal.hpp"
#include "model/target.hpp"

namespace prony {

namespace attribution {

namespace {

constexpr std::int64_t shortest_peak_ns = 100'000'000;
constexpr double counter_updates_in_peak = 10;
constexpr double gauge_updates_in_peak = 2;

}  // namespace

Builder::Builder(const Attribution::State& state, std::vector<Fold>* to_use_up) : state_(state) {
  ledger_.recorded = state.recorded.value_or(Interval{});
  ledger_.window = state.run.value_or(ledger_.recorded);
  ledger_.idle_to = state.options.idle_to;
  other_host_.absent = "another host's: nobody of this one is charged for it";
  name_targets();
  find_read();
  // Only what something is split by is worth a curve.
  std::unordered_set<const Channel*> needed;
  const auto need = [&](const Basis& basis) {
    needed.insert({basis.host, basis.prony});
    needed.insert(basis.targets.begin(), basis.targets.end());
  };
  need(machine_basis(read_, targets_));
  for (const Channel* channel : read_)
    if (gives_energy(*channel) && channel->scope == Scope::host) need(basis_of(*channel, read_, targets_, refused_));
  curves_.reserve(state.folds.size());
  for (std::size_t i = 0; i < state.folds.size(); ++i) {
    const Fold& fold = state.folds[i];
    const bool energy = gives_energy(fold.channel);
    if (!(energy || needed.contains(&fold.channel)) || !(fold.counter || fold.gauge)) continue;
    if (energy && to_use_up != nullptr)
      curves_.emplace_back(std::move((*to_use_up)[i]), state);
    else
      curves_.emplace_back(fold, state);
  }
}

const Curve* Builder::curve_of(const Channel* channel) const {
  if (channel == nullptr) return nullptr;
  for (const Curve& curve : curves_)
    if (curve.channel().id == channel->id) return &curve;
  return nullptr;
}

// The Run's targets, or those that its channels name; the one that nobody named is the measured command's.
void Builder::name_targets() {
  targets_ = state_.options.targets;
  for (const Fold& fold : state_.folds) {
    if (fold.channel.scope != Scope::target || fold.channel.measure != Measure::cpu_time) continue;
    std::string name = target_name(fold.channel);
    if (std::ranges::find(targets_, name) == targets_.end()) targets_.push_back(std::move(name));
  }
  if (targets_.empty()) targets_.emplace_back(command_target);
}

Users Builder::users_of(const Basis& basis) const {
  Users users;
  users.host = curve_of(basis.host);
  for (const Channel* target : basis.targets) users.targets.push_back(curve_of(target));
  users.prony = curve_of(basis.prony);
  if (basis.weight == Weight::cpu_time && basis.place.empty())
    users.staleness_s = state_.busy_staleness_s;
  else if (users.host != nullptr && users.host->is_counter())
    users.staleness_s = users.host->channel().update_period.seconds().value();
  if (basis.weight == Weight::cycles || basis.weight == Weight::cache_misses)  // each is read when it can be
    for (const Curve* curve : users.targets)
      if (curve != nullptr) users.staleness_s = std::max(users.staleness_s, curve->period_s());
  // What a followed process used is told by looks. Where they come late it is known how much, and not when.
  const std::int64_t longest_ns = state_.process_fold.longest_ns();
  const bool followed = std::ranges::any_of(targets_, [](const std::string& name) { return name != command_target; });
  if (basis.weight == Weight::cpu_time && followed && longest_ns > 2 * state_.plan.step_ns)
    users.late_s = static_cast<double>(longest_ns) * 1e-9;
  return users;
}

const Split& Builder::split_by(const Basis& basis) {
  const auto found = splits_.find(basis.text);
  if (found != splits_.end()) return found->second;
  return splits_.emplace(basis.text, split_by_use(basis, users_of(basis), ledger_.window, state_.plan)).first->second;
}

void Builder::split() {
  const Basis basis = machine_basis(read_, targets_);
  const Users users = users_of(basis);
  std::vector<const Curve*> own = users.targets;
  own.push_back(users.prony);
  ledger_.idle_foreign_cpus = foreign_cpus(users.host, own, state_.spans);
  machine_ = &split_by(basis);
  ledger_.cpu_split = machine_->absent.empty() ? machine_->method : "none: " + machine_->absent;
  if (!machine_->absent.empty()) return;
  tell_cpu_use();
  find_pieces();
  if (!state_.process_fold.any()) return;
  ledger_.process_cells = Duration{state_.process_fold.width_ns()};
  std::unordered_map<std::uint32_t, std::size_t> party;
  for (const ProcessRecord& process : state_.processes) {
    const auto found = std::ranges::find(targets_, process.target);
    if (state_.options.own_pid == process.pid)
      party[process.number] = machine_->prony();
    else if (found != targets_.end())
      party[process.number] = static_cast<std::size_t>(found - targets_.begin());
  }
  process_shares_ = share_among_processes(
      state_.process_fold, *machine_,
      [&](std::uint32_t number) {
        const auto known = party.find(number);
        return known == party.end() ? machine_->foreign() : known->second;
      },
      state_.options.most_process_rows);
}

void Builder::tell_cpu_use() {
  CpuUse use;
  for (std::size_t i = 0; i < targets_.size(); ++i)
    use.targets.push_back({targets_[i], machine_->target_known[i] ? std::optional(machine_->totals[i]) : std::nullopt});
  if (machine_->prony_known) use.prony_s = machine_->totals[machine_->prony()];
  use.foreign_s = machine_->totals[machine_->foreign()];
  for (const double part : machine_->totals) use.busy_s += part;
  if (use.busy_s > 0) use.foreign_share = std::clamp(use.foreign_s / use.busy_s, 0.0, 1.0);
  ledger_.cpu = std::move(use);
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
    const double watts = (curve.at_grid(from + over) - curve.at_grid(from)) / seconds_of(over);
    row.peak_w = std::max(row.peak_w.value_or(watts), watts);
  }
  if (!row.peak_w)
    row.absent.emplace_back("peak_w", "the window holds no stretch of " + std::to_string(over / 1'000'000) +
                                          " ms, over which peaks are taken");
}

void Builder::window_figures(const Curve& curve, const Measured& gross, const Baseline& base, const Shared& shared,
                             ChannelLedger& row) const {
  const double length_s = ledger_.window.length().seconds().value();
  row.resolvable = gross.resolvable();
  if (!row.resolvable) {
    row.needed_s = needed_s(curve, gross, ledger_.window);
    const std::string why = why_not_resolvable(curve, gross, ledger_.window);
    row.target_active.reset();
    for (const char* field : {"gross", "active", "marginal", "target_active", "target_share", "mean_w", "peak_w"})
      row.absent.emplace_back(field, why);
    for (TargetEnergy& target : row.targets) {
      if (target.active) target.absent.emplace_back("active", why);
      target.active.reset();
    }
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
    marginal(shared, row);
    if (!shared.parties) row.absent.emplace_back("target_active", shared.split->absent);
  } else {
    row.absent.emplace_back("active", base.absent);
    row.absent.emplace_back("marginal", base.absent);
    row.absent.emplace_back("target_active", base.absent);
    for (TargetEnergy& target : row.targets)
      if (target.charged) target.absent.emplace_back("active", base.absent);
  }
  if (!shared.parties) return row.absent.emplace_back("target_share", shared.split->absent), void();
  row.target_share = target_share(*shared.split, *shared.parties);
  if (!row.target_share) row.absent.emplace_back("target_share", why_no_share);
}

void Builder::marginal(const Shared& shared, ChannelLedger& row) const {
  if (!shared.parties) return row.absent.emplace_back("marginal", shared.split->absent), void();
  CoTenants others{ledger_.idle_foreign_cpus, {}, 0, ledger_.window.length().seconds().value()};
  if (!others.baseline_cpus) others.baseline_cpus = state_.options.known_idle_foreign_cpus;
  if (ledger_.cpu) {
    others.foreign_s = ledger_.cpu->foreign_s;
    for (const auto& target : ledger_.cpu->targets) others.targets_s += target.cpu_s.value_or(0);
  }
  Marginal told = marginal_of(*row.active, others);
  if (!told.absent.empty()) row.absent.emplace_back("marginal", std::move(told.absent));
  row.marginal = told.energy;
}

void Builder::begin_row(const Curve& curve, ChannelLedger& row) const {
  row.channel = curve.channel().id;
  row.headline = std::ranges::any_of(headline_, [&](std::size_t i) { return &curves_[i] == &curve; });
  if (!curve.any()) {
    row.resolvable = false;
    for (const char* field : {"recorded", "gross", "target", "foreign", "prony", "idle", "unattributed"})
      row.absent.emplace_back(field, "never read");
    return;
  }
  if (const CounterCurve* counter = curve.counter()) {
    row.wraps = counter->wraps();
    row.resets = counter->resets();
    if (counter->ambiguous() > 0)
      row.absent.emplace_back("wraps", "some pauses were long enough for further wraps; high allows for them");
  }
  row.clock = curve.clock();
  if (curve.channel().origin == Origin::modelled && curve.channel().model && !row.clock)
    row.absent.emplace_back("clock", why_no_clock(state_, *curve.channel().model));
  row.gaps = curve.gaps();
  row.gap_time = Duration{curve.gap_ns()};
  row.held_time = Duration{curve.held_ns()};
  row.recorded = curve.whole().estimate;
  row.recorded.value = curve.total();
  if (std::string why = why_unbounded(curve); !why.empty()) row.absent.emplace_back("recorded_bounds", std::move(why));
}

void Builder::energy_channel(const Curve& curve) {
  ChannelLedger row;
  begin_row(curve, row);
  if (!curve.any()) return ledger_.energy.push_back(std::move(row)), void();
  const Measured gross = curve.between(ledger_.window, state_.run.has_value());
  const Baseline base = baseline_of(curve, state_.spans, state_.options.known_idle);
  tell_drift(base, row);
  row.loaded_idle_w = loaded_idle_w(curve, state_.spans);
  const double length_s = ledger_.window.length().seconds().value();
  // Energy that is seen through one party is another host's, laid beside this one's: nobody here is split by it.
  const bool here = curve.channel().scope == Scope::host;
  const Basis basis = machine_->absent.empty() && here ? basis_of(curve.channel(), read_, targets_, refused_) : Basis{};
  Shared shared{!here                      ? &other_host_
                : machine_->absent.empty() ? &split_by(basis)
                                           : machine_,
                {},
                is_accelerator(curve.channel()),
                {}};
  shared.absent = shared.split->absent;
  const IdleTo idle_to = state_.options.idle_to;
  if (shared.split->absent.empty()) {
    Window window{gross, {}, base.absent.empty(), length_s, curve.never_negative()};
    if (window.baseline)
      window.idle = {base.watts.value * length_s, base.watts.low * length_s, base.watts.high * length_s,
                     base.watts.kind};
    shared.parties = split_channel(curve, *shared.split,
                                   {&state_.plan, window.baseline ? base.watts.value : 0, idle_to,
                                    state_.work.has_value(), process_shares_ ? state_.process_fold.width_ns() : 0});
    tell_parties(*shared.split, *shared.parties, window, idle_to, targets_, row);
    if (!window.baseline) row.absent.emplace_back("idle", base.absent);
    row.unattributed = unattributed_of(curve, window, *shared.parties, row.recorded);
    processes(shared, basis.weight, row);
    // The one line on the split tells of the headline's, where it is not by CPU time or might have been another.
    if (row.headline && (basis.weight == Weight::cycles || !basis.instead_of.empty()))
      ledger_.cpu_split = shared.split->method;
  } else {
    tell_no_parties(shared.split->absent, targets_, row);
    row.unattributed = row.recorded;
  }
  window_figures(curve, gross, base, shared, row);
  charge_spans(curve, shared, row);
  ledger_.energy.push_back(std::move(row));
}

// A target's processes share what it is charged by CPU time; that says nothing of memory held or of a device.
void Builder::processes(const Shared& shared, Weight weight, ChannelLedger& row) const {
  if (!process_shares_) return;
  if (weight == Weight::cpu_time || weight == Weight::cycles)
    charge_processes(state_.process_fold, *process_shares_, *shared.parties, ledger_.window.length().seconds().value(),
                     row);
  else
    row.absent.emplace_back("processes",
                            "split " + shared.split->method + ", which was not followed process by process");
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

Ledger Builder::build() {
  split();
  choose_headline();
  for (Curve& curve : curves_) {
    if (!gives_energy(curve.channel())) continue;
    energy_channel(curve);
    if (!curve.channel().model) curve.forget_fixed();  // a model's busy time may be what others are split by
  }
  gauges();
  headline_sum();
  return std::move(ledger_);
}

}  // namespace attribution

Ledger Attribution::State::ledger() const { return attribution::Builder(*this).build(); }
Ledger Attribution::State::last_ledger() { return attribution::Builder(*this, &folds).build(); }

}  // namespace prony
