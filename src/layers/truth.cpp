#include "layers/truth.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "layers/edgeprofiler_write.hpp"
#include "layers/legacy.hpp"
#include "layers/truth_device.hpp"

namespace prony::layers {

namespace {

struct Tally {
  TruthRow row;
  double errors = 0, spreads = 0;
  std::size_t covered = 0, with_interval = 0, spread_networks = 0;
  std::vector<double> conditions;

  void add(double told, double truth) {
    errors += std::fabs(told - truth) / truth;
    ++row.layers;
  }
  void hold(const Interval95& told, double truth) {
    ++with_interval;
    covered += told.low <= truth && truth <= told.high;
  }
  void add(const Interval95& told, double truth) {
    add(told.value, truth);
    hold(told, truth);
  }
  void add_spread(const std::vector<double>& told) {
    const auto spread = spread_of(told);
    if (!spread || !spread->deviation || spread->mean == 0) return;
    spreads += *spread->deviation / std::fabs(spread->mean);
    ++spread_networks;
  }
  TruthRow finish() {
    if (row.layers > 0) row.error = errors / static_cast<double>(row.layers);
    if (with_interval > 0) row.covered = static_cast<double>(covered) / static_cast<double>(with_interval);
    if (spread_networks > 0) row.spread_told = spreads / static_cast<double>(spread_networks);
    if (!conditions.empty()) {
      std::ranges::sort(conditions);
      row.condition = conditions[conditions.size() / 2];
    }
    return row;
  }
};

// EdgeProfiler's mapping, given true ends of layers and a poll every 1.35 ms of the sensor's last value.
class Naive {
 public:
  explicit Naive(std::size_t layers) : recording_() { recording_.layers.resize(layers); }
  void see(double begin_s, const Segment& segment) {
    if (segment.layer == Segment::idle) return;
    LayerTimes& layer = recording_.layers[segment.layer];
    layer.ms.push_back(segment.seconds * 1e3);
    layer.told_us.push_back(start_us + std::llround((begin_s + segment.seconds) * 1e6));
  }
  [[nodiscard]] std::vector<std::optional<double>> powers_above_idle(const Watched& watched, double idle_w) const {
    std::string log_text;
    std::size_t at = 0;
    constexpr double enough_s = 15;  // its figure is the network's mean after a second
    for (double now = watched.readings.front().end_s; now < std::min(watched.seconds, enough_s); now += 0.00135) {
      while (at + 1 < watched.readings.size() && watched.readings[at + 1].end_s <= now) ++at;
      log_text += power_line({start_us + std::llround(now * 1e6), 5000, watched.readings[at].w * 200});
    }
    TextSource source(log_text);
    PowerLog log(source);
    std::vector<double> sums(recording_.layers.size(), 0.0);
    std::vector<std::size_t> counts(recording_.layers.size(), 0);
    const auto mapped = map_legacy(recording_, log, idle_w * 1e6, [&](const LegacyRow& row) {
      if (row.without_idle_uw) sums[row.layer] += *row.without_idle_uw * 1e-6, ++counts[row.layer];
    });
    std::vector<std::optional<double>> out(recording_.layers.size());
    for (std::size_t i = 0; mapped && i < out.size(); ++i)
      if (counts[i] > 0) out[i] = sums[i] / static_cast<double>(counts[i]);
    return out;
  }

 private:
  static constexpr std::int64_t start_us = 1'732'166'404'000'000;
  Recording recording_;
};

struct Bench {
  const TruthOptions& options;
  PowerSensor sensor;
  std::size_t windows;  // of the network as it runs, and of the cuts
  Tally naive, regressed, cuts, isolated, ablated;
  double worst_unattributed = 0;
};

Interval95 known(double value) { return {value, value, value}; }

// Of the joules that the sensor measured in the whole time, what neither layers nor idle have.
double unattributed_share(const Watched& watched, const std::vector<LayerJoules>& layers, double idle_j) {
  double measured = 0;
  for (const SensorReading& one : watched.readings) measured += one.w;
  measured *= watched.seconds / static_cast<double>(watched.readings.size());
  return std::fabs(balance(measured, idle_j, layers).unattributed_j()) / measured;
}

void regress_into(Tally& tally, const TrueNetwork& network, const Watched& watched, double& worst_unattributed) {
  tally.row.seconds = watched.seconds;
  const auto told = regress(watched.occupancy);
  if (!told) {
    tally.row.refused += network.seconds.size();
    return;
  }
  tally.conditions.push_back(told->condition);
  std::vector<double> powers;
  std::vector<LayerJoules> joules;  // gross here
  double busy_s = 0;
  for (std::size_t i = 0; i < network.seconds.size(); ++i) {
    const Interval95 gross = told->layers[i].gross_w;
    const Interval95 active{gross.value - network.idle_w, gross.low - network.idle_w, gross.high - network.idle_w};
    // Every interval is held against the truth; a figure is told only where its interval is narrow enough to be one.
    tally.hold(active, network.above_idle_w[i]);
    if (told->layers[i].resolved) {
      tally.add(active.value, network.above_idle_w[i]);
      powers.push_back(active.value);
    } else {
      ++tally.row.refused;
    }
    double seconds = 0;
    for (std::size_t w = 0; w < watched.occupancy.windows(); ++w)
      seconds += watched.occupancy.shares[w * network.seconds.size() + i];
    seconds *= watched.seconds / static_cast<double>(watched.occupancy.windows());
    busy_s += seconds;
    joules.push_back({"", Method::regressed, std::nullopt, known(gross.value * seconds), {}});
  }
  tally.add_spread(powers);
  worst_unattributed = std::max(
      worst_unattributed,
      unattributed_share(watched, joules, told->idle_w ? told->idle_w->value * (watched.seconds - busy_s) : 0));
}

void loops_into(Bench& bench, const TrueNetwork& network, TruthRandom& random) {
  constexpr std::size_t readings = 60;
  const PowerSensor& sensor = bench.sensor;
  std::vector<double> powers;
  bench.isolated.row.seconds = sensor.window_s * readings * static_cast<double>(network.seconds.size());
  bench.ablated.row.seconds = bench.isolated.row.seconds;
  Interval95 before = known(0);
  for (std::size_t i = 0; i < network.seconds.size(); ++i) {
    const NamedTime layer{"", network.seconds[i]};
    const Watched loop = watch(network, looped(network, i, random), sensor, readings, random);
    const LayerJoules alone = isolated(layer, loop.readings, sensor, 0, loop.seconds, loop.busy, known(network.idle_w));
    if (alone.above_idle_w) {
      bench.isolated.add(*alone.above_idle_w, network.above_idle_w[i]);
      powers.push_back(alone.above_idle_w->value);
    } else {
      ++bench.isolated.row.refused;
    }
    // One inference up to this layer: joules above idle, from its loop's mean power and how many ran.
    const Watched cut = watch(network, cut_behind(network, i, random), sensor, readings, random);
    const auto power = power_in(cut.readings, sensor, 0, cut.seconds);
    if (!power) {
      ++bench.ablated.row.refused;
      continue;
    }
    double busy_s = 0;
    for (std::size_t k = 0; k <= i; ++k) busy_s += network.seconds[k];
    const double per_inference = busy_s / cut.busy;  // seconds from one inference to the next
    const auto joules = [&](double w) { return (w - network.idle_w) * per_inference; };
    const Interval95 with{joules(power->value), joules(power->low), joules(power->high)};
    const LayerJoules difference = ablated(layer, with, before);
    bench.ablated.add(*difference.above_idle_w, network.above_idle_w[i]);
    before = with;
  }
  bench.isolated.add_spread(powers);
}

void one_network(Bench& bench, const TrueNetwork& network, TruthRandom& random) {
  Naive naive(network.seconds.size());
  const Watched runs = watch(network, as_it_runs(network, random), bench.sensor, bench.windows, random,
                             [&](double begin, const Segment& segment) { naive.see(begin, segment); });
  const auto told = naive.powers_above_idle(runs, network.idle_w);
  std::vector<double> powers;
  for (std::size_t i = 0; i < told.size(); ++i) {
    if (!told[i]) {
      ++bench.naive.row.refused;
      continue;
    }
    bench.naive.add(*told[i], network.above_idle_w[i]);
    powers.push_back(*told[i]);
  }
  bench.naive.add_spread(powers);
  bench.naive.row.seconds = runs.seconds;
  regress_into(bench.regressed, network, runs, bench.worst_unattributed);
  const Watched cuts =
      watch(network, with_cuts(network, bench.sensor.window_s, random), bench.sensor, bench.windows, random);
  regress_into(bench.cuts, network, cuts, bench.worst_unattributed);
  loops_into(bench, network, random);
}

}  // namespace

Truth truth_table(const TruthOptions& options) {
  Truth truth;
  double spreads = 0;
  const std::array<std::pair<PowerSensor, std::size_t>, 2> sensors{
      {{{0.0066, 0.0066, 0.040, 0.020}, 1500}, {{0.1, 0.1, 0.040, 0.020}, 600}}};
  for (const auto& [sensor, windows] : sensors) {
    Bench bench{options, sensor, windows, {}, {}, {}, {}, {}, 0};
    TruthRandom random(options.seed);
    for (std::size_t i = 0; i < options.networks; ++i) {
      const TrueNetwork network = true_network(options.layers, random);
      if (i == 0) {
        std::vector<NamedTime> times;
        for (const double seconds : network.seconds) times.push_back({"", seconds});
        truth.verdicts.push_back(identify(sensor, times, 5.25).verdict);
      }
      if (&sensor == &sensors.front().first)
        if (const auto spread = spread_of(network.above_idle_w); spread && spread->deviation)
          spreads += *spread->deviation / spread->mean;
      one_network(bench, network, random);
    }
    truth.worst_unattributed = std::max(truth.worst_unattributed, bench.worst_unattributed);
    const auto add = [&](Tally& tally, const char* method, const char* on) {
      TruthRow row = tally.finish();
      row.window_s = sensor.window_s;
      row.method = method;
      row.on = on;
      truth.rows.push_back(std::move(row));
    };
    add(bench.naive, "EdgeProfiler's mean", "the network as it runs");
    add(bench.regressed, "(c) regression", "the network as it runs");
    add(bench.cuts, "(c) regression", "cut behind layers drawn anew");
    add(bench.ablated, "(b) ablation", "cut behind each layer in turn");
    add(bench.isolated, "(a) isolated", "each layer looped alone");
  }
  truth.spread_true = options.networks > 0 ? spreads / static_cast<double>(options.networks) : 0;
  return truth;
}

std::string truth_text(const Truth& truth, const TruthOptions& options) {
  const auto percent = [](std::optional<double> share, int digits) {
    return share ? format_fixed(100 * *share, digits) + " %" : std::string("–");
  };
  std::string out = std::to_string(options.networks) + " networks of " + std::to_string(options.layers) +
                    " layers, 0.03–0.3 ms and 1.2–9 W above idle each (spread within a network " +
                    percent(truth.spread_true, 0) + "), idle 4 W, steps of 40 mW, noise of 20 mW, seed " +
                    std::to_string(options.seed) + "\n\n";
  out += "| window | method | on | told | not resolvable | error | told spread | 95 % covers | condition | watched |\n";
  out += "|---|---|---|---|---|---|---|---|---|---|\n";
  for (const TruthRow& row : truth.rows)
    out += "| " + format_fixed(row.window_s * 1e3, 1) + " ms | " + row.method + " | " + row.on + " | " +
           std::to_string(row.layers) + " | " + std::to_string(row.refused) + " | " + percent(row.error, 1) + " | " +
           percent(row.spread_told, 1) + " | " + percent(row.covered, 1) + " | " +
           (row.condition ? format_fixed(*row.condition, 0) : std::string("–")) + " | " + format_fixed(row.seconds, 1) +
           " s |\n";
  out += "\n(c): Σ layers + idle + unattributed = measured; unattributed is at most " +
         percent(truth.worst_unattributed, 2) + " of what was measured\n";
  for (const std::string& verdict : truth.verdicts) out += verdict + "\n";
  return out;
}

}  // namespace prony::layers
