#include "passport/learn.hpp"

#include "base/text.hpp"
#include "model/units.hpp"
#include "passport/parts.hpp"

namespace prony::passport {

namespace {

constexpr double kept_share = 0.95;  // of changes; the largest may be load
// Standard deviation of what is left of a normal distribution when the outer 5 % are cut off.
constexpr double left_by_cutting = 0.871;

Duration whole_ns(double ns) { return {static_cast<std::int64_t>(std::llround(ns))}; }
std::optional<Duration> maybe_ns(const std::optional<double>& ns) {
  return ns ? std::optional(whole_ns(*ns)) : std::nullopt;
}

// Gauge: half the mean square of changes from update to update (slow drift drops out); updates without a change count
// as changes of 0. Counter: the same of its increments.
std::optional<double> noise_counts(const Channel& channel, const std::vector<Transition>& list, double updates) {
  std::vector<double> squares;
  if (channel.kind == ChannelKind::gauge) {
    for (const auto& one : list) squares.push_back(one.counts * one.counts);
  } else {
    for (std::size_t i = 1; i < list.size(); ++i)
      squares.push_back((list[i].counts - list[i - 1].counts) * (list[i].counts - list[i - 1].counts));
  }
  if (squares.size() < 8) return std::nullopt;
  const auto all = std::max(updates, static_cast<double>(squares.size()));
  std::sort(squares.begin(), squares.end());
  // The quiet updates are among those kept.
  const double most = kept_share * all - (all - static_cast<double>(squares.size()));
  double sum = 0, used = 0;
  for (std::size_t i = 0; i < squares.size() && static_cast<double>(i) < most; ++i, ++used) sum += squares[i];
  if (used < 1) return std::nullopt;
  return std::sqrt(sum / (kept_share * all) / 2) / left_by_cutting;
}

struct Learner {
  const Channel& channel;
  const Ticks& ticks;
  const LearnContext& context;
  Transitions found;
  ChannelPassport told;

  void without(const char* field, const std::string& reason) {
    if (!reason.empty()) told.absent.push_back({field, reason, {}});
  }

  void learn_times() {
    auto fit = fit_period(found);
    told.update_period = maybe_ns(fit.period_ns);
    told.period_spread = maybe_ns(fit.spread_ns);
    told.faster_than = maybe_ns(fit.faster_than_ns);
    told.phase_doubt = maybe_ns(fit.phase_doubt_ns);
    told.jitter = maybe_ns(fit.jitter_ns);
    if (fit.phase_ns) told.phase = Instant{whole_ns(*fit.phase_ns).ns};
    if (!told.update_period) without("update_period", fit.why_no_period);
    if (!told.phase) without("phase", fit.why_no_phase);
    if (!told.jitter) without("jitter", fit.why_no_jitter);
  }

  void learn_values() {
    const auto step = fit_step(found.list);
    if (step.counts) told.step = *step.counts * channel.scale;
    without("step", step.why_not);
    const double updates =
        told.update_period ? told.watched.seconds().value() / told.update_period->seconds().value() : 0;
    if (channel.kind == ChannelKind::counter && !told.update_period) {
      without("noise_rms", "the increment of one update is not known without the update period");
    } else if (const auto noise = noise_counts(channel, found.list, updates)) {
      told.noise_rms = *noise * channel.scale;
    } else {
      without("noise_rms", "too few changes seen");
    }
    if (channel.kind == ChannelKind::counter) {
      without("averaging_window", "a counter averages nothing: it adds up");
    } else if (channel.measure != Measure::power) {
      without("averaging_window", "told for power only: nothing else can be made to change at once");
    } else if (!told.update_period) {
      without("averaging_window", "the update period is not known");
    } else {
      auto window = fit_window(found.list, static_cast<double>(told.update_period->ns), context.load_steps);
      told.averaging_window = maybe_ns(window.window_ns);
      told.averaging_how = std::move(window.how);
      without("averaging_window", window.why_not);
    }
  }

  void learn_cost() {
    if (!context.reads_alone) {
      for (const char* field : {"read_cost", "worst_latency"}) without(field, "read together with other sensors");
      return;
    }
    std::vector<double> costs;
    for (std::size_t i = 0; i < ticks.begin_ns.size(); ++i)
      costs.push_back(static_cast<double>(ticks.end_ns[i] - ticks.begin_ns[i]));
    if (costs.empty()) return without("read_cost", "never read");
    told.worst_latency = whole_ns(*std::max_element(costs.begin(), costs.end()));
    told.read_cost = whole_ns(quantile(costs, 0.5));
  }
};

}  // namespace

ChannelPassport learn_channel(const Channel& channel, const Ticks& ticks, const LearnContext& context) {
  Learner learner{channel, ticks, context, find_transitions(channel, ticks), {}};
  auto& told = learner.told;
  told.channel = channel.name;
  told.unit = channel.model ? "s" : std::string(unit_of(channel.measure));  // a model's readings are CPU time
  told.learned_utc = context.learned_utc;
  told.learned_by = context.learned_by;
  told.boot_id = context.boot_id;
  told.reads = learner.found.reads;
  told.gaps = learner.found.gaps;
  told.transitions = learner.found.list.size();
  if (!ticks.begin_ns.empty()) told.watched = {ticks.end_ns.back() - ticks.begin_ns.front()};
  if (learner.found.poll_ns > 0) told.poll = whole_ns(learner.found.poll_ns);
  if (told.gaps > 0)
    told.notes.push_back(std::to_string(told.gaps) + " of " + std::to_string(told.reads + told.gaps) +
                         " reads gave nothing");
  if (learner.found.resets > 0)
    told.notes.push_back("went backwards or leapt " + std::to_string(learner.found.resets) +
                         " times; those were left out");
  learner.learn_times();
  learner.learn_values();
  learner.learn_cost();
  learner.without("slows_others", "not measured: `prony probe` does");
  return std::move(learner.told);
}

}  // namespace prony::passport
