#include "passport/use.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "passport/parts.hpp"

namespace prony::passport {

namespace {

// Changes below these are not told: a clock's ppm, or a machine that was busier this time.
constexpr double least_period_change = 0.10;
// The source's oscillator and the one that keeps our time drift apart from watch to watch: quartz is within some 20 ppm
// over temperature, and time daemons correct the monotonic clock's rate by as much.
constexpr double clock_drift = 20e-6;
constexpr double least_step_change = 0.05;
constexpr double least_cost_factor = 4;
constexpr double least_cost_change_ns = 2000;

double ns(const std::optional<Duration>& duration) { return duration ? static_cast<double>(duration->ns) : 0; }

std::string period_words(const ChannelPassport& passport) {
  std::string words = time_words(ns(passport.update_period));
  if (passport.period_spread) words += " ± " + time_words(ns(passport.period_spread));
  return words;
}

void period_drift(const ChannelPassport& before, const ChannelPassport& now, std::vector<Drift>& drifts) {
  if (!before.update_period) return;
  const double was = ns(before.update_period);
  if (now.update_period) {
    const double doubt = 2 * (ns(before.period_spread) + ns(now.period_spread));
    if (std::abs(ns(now.update_period) - was) > std::max(least_period_change * was, doubt))
      drifts.push_back({now.channel, "update period was " + period_words(before) + ", is now " + period_words(now)});
  } else if (now.faster_than && now.transitions >= 100 && ns(now.faster_than) < (1 - 3 * least_period_change) * was) {
    drifts.push_back({now.channel, "update period was " + period_words(before) + ", updates now come at least every " +
                                       time_words(ns(now.faster_than))});
  }
}

// A multiple of the old step may be chance (every change seen happened to be even): only a finer step or another one is
// told.
void step_drift(const ChannelPassport& before, const ChannelPassport& now, std::vector<Drift>& drifts) {
  if (!before.step || !now.step || *before.step <= 0) return;
  const double ratio = *now.step / *before.step;
  if (std::abs(ratio - std::max(1.0, std::round(ratio))) > least_step_change)
    drifts.push_back({now.channel, "step was " + format_number(*before.step) + " " + before.unit + ", is now " +
                                       format_number(*now.step) + " " + now.unit});
}

void cost_drift(const ChannelPassport& before, const ChannelPassport& now, std::vector<Drift>& drifts) {
  // A tick of a Run finds cold caches, a watch warm ones.
  if (!before.read_cost || !now.read_cost || before.learned_by != now.learned_by) return;
  const double was = ns(before.read_cost), is = ns(now.read_cost);
  const bool factor = is > least_cost_factor * was || was > least_cost_factor * is;
  if (factor && std::abs(is - was) > least_cost_change_ns)
    drifts.push_back({now.channel, "a read cost " + time_words(was) + ", now " + time_words(is)});
}

template <class T>
void fill(T& kept, const T& learned) {
  if (!kept) kept = learned;
}

void forget_absences_of_what_is_known(ChannelPassport& passport) {
  std::erase_if(passport.absent, [&](const Unavailable& entry) {
    return (entry.subject == "update_period" && passport.update_period) ||
           (entry.subject == "phase" && passport.phase) || (entry.subject == "jitter" && passport.jitter) ||
           (entry.subject == "averaging_window" && passport.averaging_window) ||
           (entry.subject == "step" && passport.step) || (entry.subject == "noise_rms" && passport.noise_rms) ||
           (entry.subject == "read_cost" && passport.read_cost) ||
           (entry.subject == "worst_latency" && passport.worst_latency) ||
           (entry.subject == "slows_others" && passport.slows_others);
  });
}

int known_figures(const ChannelPassport& p) {
  return (p.update_period ? 1 : 0) + (p.averaging_window ? 1 : 0) + (p.step ? 1 : 0) + (p.noise_rms ? 1 : 0) +
         (p.read_cost ? 1 : 0) + (p.slows_others ? 1 : 0) + (p.duplicate_of.empty() ? 0 : 1) +
         (p.contained_in.empty() ? 0 : 1);
}

bool knows_something(const ChannelPassport& p) { return p.faster_than || known_figures(p) > (p.read_cost ? 1 : 0); }

void fill_absent(ChannelPassport& kept, const ChannelPassport& learned) {
  if (!kept.update_period && learned.update_period) {
    kept.update_period = learned.update_period;
    kept.period_spread = learned.period_spread;
    kept.jitter = learned.jitter;
    kept.faster_than.reset();
  }
  // The newest phase of this boot is worth more than an older one: it has had less time to run away.
  if (learned.phase && kept.update_period && learned.update_period) {
    kept.phase = learned.phase;
    kept.phase_doubt = learned.phase_doubt;
    kept.boot_id = learned.boot_id;
  }
  if (!kept.averaging_window && learned.averaging_window) {
    kept.averaging_window = learned.averaging_window;
    kept.averaging_how = learned.averaging_how;
  }
  fill(kept.step, learned.step);
  fill(kept.noise_rms, learned.noise_rms);
  fill(kept.read_cost, learned.read_cost);
  fill(kept.worst_latency, learned.worst_latency);
  fill(kept.slows_others, learned.slows_others);
  if (kept.duplicate_of.empty()) kept.duplicate_of = learned.duplicate_of;
  if (kept.contained_in.empty()) kept.contained_in = learned.contained_in;
  forget_absences_of_what_is_known(kept);
}

// A document may name the period to the letter: where a watch does not refute it, a Run's own updates judge it further.
// What was learned is known with a doubt, and is the mean; single updates may take longer.
void fill_period(Channel& channel, const ChannelPassport& passport, std::vector<std::string>& filled) {
  const double mean = ns(passport.update_period), documented = static_cast<double>(channel.update_period.ns);
  if (!(mean > 0)) return;
  const double spread = passport.period_spread ? ns(passport.period_spread) : least_period_change * mean;  // 95 %
  const LearnedPeriod learned{mean, std::hypot(spread / 2, clock_drift * mean), ns(passport.jitter)};
  if (documented == 0 || std::abs(documented - mean) > 2 * spread) channel.learned_period = learned;
  // As long as an update may really take to come: the mean, and twice what single ones stray.
  const Duration longest = *passport.update_period + 2 * passport.jitter.value_or(Duration{});
  if (static_cast<double>(longest.ns) <= documented * (1 + least_period_change)) return;
  filled.push_back(channel.name + ": update period " + time_words(static_cast<double>(longest.ns)) +
                   (documented > 0 ? " (documented: " + time_words(documented) + ")" : std::string()));
  channel.update_period = longest;
  channel.learned_period = learned;
}

}  // namespace

std::vector<std::string> fill_channels(std::span<Channel> channels, const MachinePassport& machine) {
  std::vector<std::string> filled;
  for (Channel& channel : channels) {
    const ChannelPassport* passport = machine.find(channel.name);
    if (passport == nullptr || !gives_energy(channel) || channel.origin != Origin::measured) continue;
    const auto note = [&](const std::string& text) { filled.push_back(channel.name + ": " + text); };
    if (passport->update_period) fill_period(channel, *passport, filled);
    if (channel.resolution <= 0 && passport->step && channel.scale > 0 &&
        std::isfinite(*passport->step / channel.scale)) {
      channel.resolution = *passport->step / channel.scale;
      note("step " + format_number(*passport->step) + " " + passport->unit);
    }
    if (channel.averaging_window.ns == 0 && passport->averaging_window) {
      channel.averaging_window = *passport->averaging_window;
      note("averaging window " + time_words(static_cast<double>(channel.averaging_window.ns)));
    }
  }
  return filled;
}

std::vector<Drift> find_drift(const MachinePassport& before, std::span<const ChannelPassport> now) {
  std::vector<Drift> drifts;
  for (const ChannelPassport& passport : now)
    if (const ChannelPassport* was = before.find(passport.channel)) {
      period_drift(*was, passport, drifts);
      if (was->learned_by == passport.learned_by) step_drift(*was, passport, drifts);
      cost_drift(*was, passport, drifts);
    }
  return drifts;
}

bool join(MachinePassport& kept, std::span<const ChannelPassport> learned) {
  bool changed = false;
  for (const ChannelPassport& passport : learned) {
    const auto found = std::find_if(kept.channels.begin(), kept.channels.end(),
                                    [&](const ChannelPassport& one) { return one.channel == passport.channel; });
    if (found == kept.channels.end()) {
      kept.channels.push_back(passport);
      changed = changed || knows_something(passport);
      continue;
    }
    const bool from_run = passport.learned_by == "run";
    if (!from_run || (found->learned_by == "run" && passport.transitions > found->transitions)) {
      auto fresh = passport;
      if (from_run) fill_absent(fresh, *found);
      changed = changed || !from_run || known_figures(fresh) > known_figures(*found);
      *found = std::move(fresh);
    } else {
      const auto before = known_figures(*found);
      fill_absent(*found, passport);
      changed = changed || known_figures(*found) > before;
    }
  }
  return changed;
}

}  // namespace prony::passport
