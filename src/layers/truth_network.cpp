#include "layers/truth_network.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "layers/regression.hpp"
#include "layers/truth_device.hpp"

namespace prony::layers {

namespace {

constexpr std::size_t least_windows = 1500, windows_for_each = 20;

// Joules above idle of one run of each layer, where its power is told narrowly enough to be a figure.
std::vector<std::optional<Interval95>> joules_of(const Regression& told, const TrueNetwork& network) {
  std::vector<std::optional<Interval95>> out(network.seconds.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Interval95& gross = told.layers[i].gross_w;
    const auto joules = [&](double w) { return (w - network.idle_w) * network.seconds[i]; };
    if (told.layers[i].resolved) out[i] = Interval95{joules(gross.value), joules(gross.low), joules(gross.high)};
  }
  return out;
}

double mean_w(const Watched& watched) {
  double sum = 0;
  for (const SensorReading& one : watched.readings) sum += one.w / static_cast<double>(watched.readings.size());
  return sum;
}

std::string micro(double joules) { return format_fixed(joules * 1e6, joules < 1e-5 ? 2 : 1); }
std::string micro(const std::optional<Interval95>& one) {
  return one ? micro(one->value) + " (" + micro(one->low) + "…" + micro(one->high) + ")" : "–";
}

}  // namespace

Balance EngineTruth::balance() const {
  std::vector<LayerJoules> told;
  for (const EngineTruthRow& row : rows) told.push_back(row.modelled);
  return layers::balance(measured_j, idle_j, told);
}

Expected<EngineTruth, std::string> engine_truth(const std::vector<EngineLayer>& given,
                                                const EngineTruthOptions& options) {
  TruthRandom random(options.seed);
  TrueNetwork network;
  std::vector<NetworkLayer> layers;
  std::vector<NamedTime> times;
  for (const EngineLayer& one : given) {
    if (!(one.seconds > 0)) continue;  // computed within another
    network.seconds.push_back(one.seconds);
    network.above_idle_w.push_back(1.2 + 7.8 * random.uniform());
    layers.push_back(one.layer);
    times.push_back({one.layer.name, one.seconds});
  }
  if (layers.empty()) return Unexpected<std::string>("no layer took any time");
  if (layers.size() > most_engine_layers)
    return Unexpected<std::string>(std::to_string(layers.size()) + " layers, and " +
                                   std::to_string(most_engine_layers) + " are what a regression is made of here");
  const std::size_t windows = std::max(least_windows, windows_for_each * (layers.size() + 1));
  EngineTruth out;
  out.verdict = identify(options.sensor, times, 5.25).verdict;
  const Watched runs = watch(network, as_it_runs(network, random), options.sensor, windows, random);
  const Watched cuts =
      watch(network, with_cuts(network, options.sensor.window_s, random), options.sensor, windows, random);
  out.watched_s = runs.seconds;
  double busy_s = 0;  // of one run
  for (const double seconds : network.seconds) busy_s += seconds;
  const double each_s = busy_s / runs.busy, mean = mean_w(runs);
  out.measured_j = mean * each_s, out.idle_j = network.idle_w * each_s;
  const auto split = modelled(layers, out.measured_j - out.idle_j);
  std::vector<std::optional<Interval95>> as_it_is(layers.size()), cut(layers.size());
  if (const auto told = regress(runs.occupancy))
    as_it_is = joules_of(*told, network);
  else
    out.why_regressed = told.error();
  if (const auto told = regress(cuts.occupancy))
    cut = joules_of(*told, network), out.condition = told->condition;
  else
    out.why_cut = told.error();
  const double above_w = (out.measured_j - out.idle_j) / busy_s;
  for (std::size_t i = 0; i < layers.size(); ++i)
    out.rows.push_back({layers[i].name, network.seconds[i], network.above_idle_w[i] * network.seconds[i], as_it_is[i],
                        cut[i], split[i], above_w * network.seconds[i]});
  return out;
}

std::string engine_truth_text(const EngineTruth& truth, const EngineTruthOptions& options) {
  std::string out =
      "SIMULATED: no joule here is real. Layers as the engine ran them; each has a power drawn from 1.2 to "
      "9 W above an idle of 4 W;\na sensor of " +
      format_fixed(options.sensor.window_s * 1e3, 1) +
      " ms windows, steps of 40 mW and noise of 20 mW "
      "watches for " +
      format_fixed(truth.watched_s, 1) + " s, seed " + std::to_string(options.seed) + "\n" + truth.verdict +
      "\n\nµJ above idle, of one run:\n";
  out += "| layer | ms | true | (c) regressed, as it runs | (c) regressed, cut anew | (d) modelled ~ | mean power |\n";
  out += "|---|---|---|---|---|---|---|\n";
  struct Off {
    double sum = 0;
    std::size_t count = 0, inside = 0;
  } as_it_runs, cut, split, mean;
  const auto hold = [](Off& off, const Interval95& told, double truth_j) {
    off.sum += std::fabs(told.value - truth_j) / truth_j, ++off.count;
    off.inside += told.low <= truth_j && truth_j <= told.high ? 1U : 0U;
  };
  for (const EngineTruthRow& row : truth.rows) {
    if (row.regressed_j) hold(as_it_runs, *row.regressed_j, row.true_j);
    if (row.cut_j) hold(cut, *row.cut_j, row.true_j);
    if (row.modelled.above_idle_j) hold(split, *row.modelled.above_idle_j, row.true_j);
    hold(mean, {row.mean_j, row.mean_j, row.mean_j}, row.true_j);
    out += "| " + printable(row.name, 40) + " | " + format_fixed(row.seconds * 1e3, 4) + " | " + micro(row.true_j) +
           " | " + micro(row.regressed_j) + " | " + micro(row.cut_j) + " | " + micro(row.modelled.above_idle_j) +
           " | " + micro(row.mean_j) + " |\n";
  }
  const auto words = [&](const char* name, const Off& off, bool interval) {
    out += std::string(name) + ": " + std::to_string(off.count) + " of " + std::to_string(truth.rows.size()) + " told";
    if (off.count > 0)
      out += ", off by " + format_fixed(100 * off.sum / static_cast<double>(off.count), 1) + " % (mean)";
    if (off.count > 0 && interval) out += ", " + std::to_string(off.inside) + " true values in their 95 %";
    out += "\n";
  };
  out += "\n";
  words("(c) as it runs", as_it_runs, true);
  if (!truth.why_regressed.empty()) out += " " + truth.why_regressed + "\n";
  words("(c) cut anew", cut, true);
  if (!truth.why_cut.empty()) out += " " + truth.why_cut + "\n";
  words("(d) modelled", split, false);
  words("mean power, as EdgeProfiler has it", mean, false);
  const Balance sums = truth.balance();
  out += "(d): Σ layers " + micro(sums.layers_j) + " + idle " + micro(sums.idle_j) + " + unattributed " +
         micro(sums.unattributed_j()) + " = measured " + micro(sums.measured_j) + " µJ a run\n";
  return out;
}

}  // namespace prony::layers
