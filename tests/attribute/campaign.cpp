#include "campaign.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "passport/learn.hpp"
#include "passport/use.hpp"
#include "rig.hpp"

namespace prony::campaign {

namespace {

using rig::millisecond;
using rig::origin;

constexpr double max_rate_w = 400;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

// One term between 0 W and `most_w`; times of change from tens of milliseconds to seconds.
std::string draw_term(Dice& dice, double most_w) {
  const double period_s = dice.log_uniform(0.05, 4);
  const double low = dice.uniform(0.02, 0.6) * most_w, high = dice.uniform(0.6, 1) * most_w;
  const std::string mean = number((low + high) / 2), amplitude = number((high - low) / 2 * 0.999);
  switch (dice.integer(0, 4)) {
    case 0: return "constant:" + number(dice.chance(0.1) ? 0 : high);
    case 1: return "sine:" + mean + "," + amplitude + "," + number(period_s) + "," + number(dice.uniform(0, 1));
    case 2:
      return "square:" + number(low) + "," + number(high) + "," + number(period_s) + "," +
             number(dice.uniform(0.2, 0.8));
    case 3:
      return "noise:" + std::to_string(dice.integer(1, 1'000'000)) + "," + mean + "," + amplitude + "," +
             number(period_s / 4);
    default: {
      std::string text = "steps:0=" + number(low);
      double at = 0;
      const auto steps = dice.integer(2, 6);
      for (std::int64_t i = 1; i < steps; ++i) {
        at += dice.uniform(0.1, 1) * period_s / 2;
        text += "," + number(at) + "=" + number(dice.chance(0.15) ? 0 : dice.uniform(low, high));
      }
      return text + ",repeat=" + number(at + period_s / 2);
    }
  }
}

// Quanta of real registers: µJ files, 2^-16 J and 2^-14 J of RAPL, and a coarse one.
void draw_view(Dice& dice, double update_ns, Stream& stream) {
  CounterView& view = stream.view;
  const double counts =
      std::array<double, 4>{1, 15.2587890625, 61.03515625, 1000}[static_cast<std::size_t>(dice.integer(0, 3))];
  view.counts_per_quantum = counts;
  view.quantum_j = counts * 1e-6;
  view.updates.period = {static_cast<std::int64_t>(update_ns)};
  view.updates.phase = {static_cast<std::int64_t>(dice.uniform(0, update_ns))};
  view.updates.seed = stream.seed;
  if (!stream.dense && dice.chance(0.4))
    view.updates.jitter = {static_cast<std::int64_t>(update_ns * dice.uniform(0.005, 0.15))};

  Channel& channel = stream.channel;
  channel = rig::energy_counter(0);
  channel.max_rate = max_rate_w;
  channel.resolution = counts;
  // Documents are right, silent, a little off, or give the half of it.
  const double documented = std::array<double, 4>{update_ns, 0, update_ns * 1.024,
                                                  update_ns / 2}[static_cast<std::size_t>(dice.integer(0, 3))];
  channel.update_period = {static_cast<std::int64_t>(documented)};
}

// Some wrap often, some once, some never; none so often that a pause between two polls can hide a wrap, which is not a
// bound any more (the tests of gaps and faults see to that).
void draw_wrap(Dice& dice, Stream& stream) {
  const std::int64_t kind = dice.integer(0, 2);
  if (kind == 2) return;
  const double believed_s = stream.channel.update_period.ns > 0 ? 0.05 : 1.1;
  const double pause_s =
      2 * stream.view.updates.period.seconds().value() * 2 + static_cast<double>(12 * stream.poll_ns) * 1e-9;
  const double range_j = kind == 0 ? max_rate_w * (believed_s + pause_s) * dice.uniform(1.3, 3) : 65'536;
  stream.view.wrap_quanta = static_cast<std::uint64_t>(range_j / stream.view.quantum_j);
  // Near its end when the recording begins.
  const double before_end_j = std::min(dice.uniform(0, 30), range_j / 2);
  const auto quanta = static_cast<std::int64_t>(stream.view.wrap_quanta);
  const auto before = stream.curve.joules(curve_time({origin})).quanta(stream.view.quantum_j, before_end_j);
  stream.view.start_quanta = static_cast<std::uint64_t>(quanta - 1 - before % quanta);
  stream.channel.range = static_cast<std::uint64_t>(
      std::llround(static_cast<double>(stream.view.wrap_quanta) * stream.view.counts_per_quantum));
}

void draw_windows(Dice& dice, Stream& stream) {
  const auto length = static_cast<double>(stream.length_ns);
  for (int i = 0; i < 10; ++i) {
    const double shortest = std::min(1.5 * static_cast<double>(stream.view.updates.period.ns), length / 4);
    const double long_ns = dice.log_uniform(shortest, length * 0.98);
    double from = dice.uniform(0, length - long_ns);
    // Programs begin when the recording does: before the counter was seen to renew itself even once.
    if (dice.chance(0.15)) from = dice.uniform(0, std::min(static_cast<double>(stream.view.updates.period.ns), from));
    stream.windows.push_back({Instant{origin + static_cast<std::int64_t>(from)},
                              Instant{origin + static_cast<std::int64_t>(from + long_ns)}});
  }
}

// How far the power moves in the two updates that the window's edges lie in, and in as many to either side of each.
double swing_w(const Stream& stream, const Interval& window, int beside) {
  const auto& updates = stream.view.updates;
  double least = 1e300, most = 0;
  for (const Instant edge : {window.begin, window.end}) {
    const Duration first = updates.last(curve_time(edge));
    const Duration from = first - beside * updates.period, to = first + (1 + beside) * updates.period;
    least = std::min(least, stream.curve.least(from, to).value());
    most = std::max(most, stream.curve.most(from, to).value());
  }
  return most - least;
}

// From and to: since the origin.
std::vector<rig::Tick> poll(const Stream& stream, std::int64_t from_ns, std::int64_t to_ns, Dice dice) {
  std::vector<rig::Tick> ticks;
  std::int64_t failing = 0, free_ns = from_ns - 1;
  for (std::int64_t due = from_ns; due <= to_ns; due += stream.poll_ns) {
    auto begin =
        due + static_cast<std::int64_t>(dice.uniform(0, stream.poll_jitter) * static_cast<double>(stream.poll_ns));
    if (dice.chance(0.003))
      begin += static_cast<std::int64_t>(dice.uniform(1, 6) * static_cast<double>(stream.poll_ns));
    if (begin <= free_ns) continue;  // a tick that was late costs the deadlines it covered
    const auto width = static_cast<std::int64_t>(static_cast<double>(stream.read_ns) * dice.log_uniform(0.5, 4));
    const auto read = begin + dice.integer(0, width);
    free_ns = begin + width;
    if (failing == 0 && dice.chance(stream.gap_chance)) failing = dice.integer(1, 5);
    rig::Tick tick{origin + begin, origin + free_ns, {Reading{}}};
    if (failing > 0)
      --failing;
    else
      tick.readings[0] = {static_cast<std::int64_t>(stream.view.raw(stream.curve, curve_time({origin + read}))),
                          Quality::ok};
    ticks.push_back(std::move(tick));
  }
  return ticks;
}

std::vector<rig::Tick> poll(const Stream& stream) {
  const std::int64_t after_ns = 3 * std::max(stream.poll_ns, stream.view.updates.period.ns);
  return poll(stream, -stream.before_ns, stream.length_ns + after_ns, Dice(stream.seed * 7 + 1));
}

// What a tool does that subtracts the last readings before the edges. It is given the wraps for nothing.
double plain_at(const Stream& stream, const std::vector<rig::Tick>& ticks, std::int64_t at_ns) {
  double counts = 0, wraps = 0, before = -1;
  for (const rig::Tick& tick : ticks) {
    if (tick.end > at_ns) break;
    if (tick.readings[0].quality == Quality::gap) continue;
    counts = static_cast<double>(tick.readings[0].raw);
    if (counts < before) ++wraps;
    before = counts;
  }
  return (counts + wraps * static_cast<double>(stream.channel.range)) * stream.channel.scale;
}

}  // namespace

double Dice::log_uniform(double low, double high) { return std::exp(uniform(std::log(low), std::log(high))); }

Duration curve_time(Instant at) { return {at.ns - origin + 1000 * rig::second}; }

double Stream::update_j() const {
  const Duration begin = curve_time({origin});
  return curve.most(begin, begin + Duration{length_ns}).value() * view.updates.period.seconds().value();
}

std::string Stream::text() const {
  return "seed " + std::to_string(seed) + (dense ? " (dense) " : " ") + curve_text + ", updates every " +
         number(static_cast<double>(view.updates.period.ns) * 1e-6) + " ms ± " +
         number(static_cast<double>(view.updates.jitter.ns) * 1e-6) +
         " ms (documented: " + number(static_cast<double>(channel.update_period.ns) * 1e-6) + "), quantum " +
         number(view.quantum_j * 1e6) + " µJ, range " + number(static_cast<double>(channel.range) * 1e-6) +
         " J, polled every " + number(static_cast<double>(poll_ns) * 1e-6) + " ms";
}

Stream draw(std::uint64_t seed, bool dense) {
  Dice dice(seed * 2 + (dense ? 1 : 0));
  Stream stream;
  stream.seed = seed;
  stream.dense = dense;
  stream.curve_text = draw_term(dice, 150);
  if (dice.chance(0.3)) stream.curve_text += "+" + draw_term(dice, 50);
  const auto parsed = PowerCurve::parse(stream.curve_text);
  if (!parsed) {
    ADD_FAILURE() << "no curve: " << stream.curve_text;
    return stream;
  }
  stream.curve = *parsed;
  const double update_ns = dice.log_uniform(0.9e6, 150e6);
  stream.poll_ns = std::max<std::int64_t>(
      20'000, static_cast<std::int64_t>(update_ns * (dense ? dice.log_uniform(0.01, 0.1) : dice.log_uniform(0.02, 3))));
  draw_view(dice, update_ns, stream);
  draw_wrap(dice, stream);
  // Now and then a read takes as long as the pause between two polls.
  stream.read_ns = dense               ? std::clamp<std::int64_t>(stream.poll_ns / 50, 1'000, 20'000)
                   : dice.chance(0.25) ? stream.poll_ns / 4
                                       : std::min<std::int64_t>(stream.poll_ns / 5, dice.integer(2'000, 400'000));
  stream.poll_jitter = dice.chance(0.3) ? 0 : dice.uniform(0, 0.9);
  stream.gap_chance = !dense && dice.chance(0.25) ? 0.004 : 0;
  // At least a hundred updates, but no more polls than can be paid for.
  stream.length_ns =
      static_cast<std::int64_t>(std::min(6000.0 * static_cast<double>(stream.poll_ns), std::max(100 * update_ns, 4e9)));
  // How long it was polled before the first window can begin.
  stream.before_ns = stream.poll_ns * 2 + static_cast<std::int64_t>(dice.uniform(0, 2) * update_ns);
  draw_windows(dice, stream);
  return stream;
}

Stream jittering(std::uint64_t seed, std::int64_t length_ns) {
  Dice dice(seed * 2 + 1);
  Stream stream;
  stream.seed = seed;
  stream.curve_text = "constant:" + number(dice.uniform(5, 100));
  stream.curve = *PowerCurve::parse(stream.curve_text);
  draw_view(dice, 50e6, stream);
  stream.view.updates.jitter = {static_cast<std::int64_t>(dice.uniform(0.005, 0.12) * 50e6)};
  stream.channel.update_period = {};
  stream.poll_ns = 5 * millisecond;
  stream.read_ns = 20'000;
  stream.poll_jitter = 0.5;
  stream.length_ns = length_ns;
  stream.before_ns = 12 * millisecond;
  draw_windows(dice, stream);
  return stream;
}

Stream with_passport(Stream stream, const Stream& first_run) {
  constexpr std::size_t kept_ticks = 8192;  // as many of a Run are learned from
  constexpr std::int64_t ago_ns = 600 * rig::second;
  const auto run = poll(first_run, -ago_ns, -ago_ns + first_run.length_ns, Dice(first_run.seed * 7 + 3));
  std::vector<std::int64_t> begins, ends, raws;
  std::vector<Quality> qualities;
  for (const rig::Tick& tick : std::span(run).first(std::min(run.size(), kept_ticks))) {
    begins.push_back(tick.begin);
    ends.push_back(tick.end);
    raws.push_back(tick.readings[0].raw);
    qualities.push_back(tick.readings[0].quality);
  }
  MachinePassport machine;
  machine.channels.push_back(passport::learn_channel(stream.channel, {begins, ends, raws, qualities}, {}));
  (void)passport::fill_channels({&stream.channel, 1}, machine);
  return stream;
}

std::vector<Outcome> measure(const Stream& stream) {
  rig::Recording run;
  const Group group{GroupId{1}, "fast", Duration{stream.poll_ns}, {ChannelId{1}}};
  Channel channel = stream.channel;
  channel.id = ChannelId{1};
  run.spans.push_back(rig::span(1, SpanKind::run, "run", origin, origin + stream.length_ns));
  for (std::size_t i = 0; i < stream.windows.size(); ++i)
    run.spans.push_back(
        rig::span(i + 2, SpanKind::request, "r", stream.windows[i].begin.ns, stream.windows[i].end.ns, 1));
  Attribution attribution({&channel, 1}, {&group, 1}, run.spans);
  const auto ticks = poll(stream);
  for (const TickBlock& block : rig::in_blocks(group.id, ticks, 512)) attribution.push(block);
  const Ledger ledger = attribution.finish();

  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < stream.windows.size(); ++i) {
    const SpanEnergy* energy = rig::span_energy(ledger, i + 2);
    if (energy == nullptr) {
      // A counter that never moved is no headline channel: then there is nothing to say of its spans.
      EXPECT_FALSE(ledger.energy.empty() || ledger.energy[0].headline) << stream.text();
      continue;
    }
    const Interval window = stream.windows[i];
    Outcome outcome;
    outcome.window = window;
    outcome.stream = &stream;
    outcome.energy = *energy;
    outcome.truth_j = stream.curve.joules(curve_time(window.begin), curve_time(window.end)).value();
    outcome.plain_j = plain_at(stream, ticks, window.end.ns) - plain_at(stream, ticks, window.begin.ns);
    const double update_s = stream.view.updates.period.seconds().value();
    const auto allowed = [&](int beside) {
      return 3 * (2 * stream.view.quantum_j + update_s * swing_w(stream, window, beside));
    };
    outcome.allowed_j = allowed(0);
    outcome.allowed_beside_j = allowed(1);
    outcomes.push_back(outcome);
  }
  return outcomes;
}

}  // namespace prony::campaign
