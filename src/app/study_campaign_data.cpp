// From the Runs of a campaign to a data set: what a layer of the file took, whichever nodes the engine made of it.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "app/study_campaign.hpp"
#include "base/text.hpp"
#include "predict/fuse.hpp"
#include "reports/network_report.hpp"
#include "reports/summary.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

using Json = nlohmann::ordered_json;

double middle_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.empty() ? 0 : values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Of cycles, as the campaign wants it.
double told_of(const study::Campaign& campaign, const std::vector<double>& cycles) {
  return campaign.least_of_cycles && !cycles.empty() ? *std::ranges::min_element(cycles) : middle_of(cycles);
}

double number_at(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}

// What cycles of one configuration told.
struct CycleTimes {
  std::vector<double> latencies, clocks_hz, joules;  // joules: charged, of one run of the network
  std::vector<std::vector<double>> layers;           // of each fused layer, a time for each cycle
  double engine_s = 0, rows_s = 0;                   // sums over cycles of what nodes took, and of what rows have
};

// The layer that a node of the engine is told under: of those that it computes the one that costs most.
std::optional<std::size_t> dearest(const Json& row, const std::map<std::string, std::size_t>& layer_of,
                                   const std::vector<predict::FusedLayer>& layers) {
  const auto covers = row.find("covers");
  if (covers == row.end() || !covers->is_array()) return std::nullopt;
  std::optional<std::size_t> best;
  const auto cost = [&](std::size_t at) { return layers[at].layer.flop() + 1e-3 * layers[at].layer.bytes(); };
  for (const Json& name : *covers) {
    if (!name.is_string()) continue;
    const auto found = layer_of.find(name.get<std::string>());
    if (found != layer_of.end() && (!best || cost(found->second) > cost(*best))) best = found->second;
  }
  return best;
}

void add_clock(const Summary& summary, CycleTimes& into) {
  double sum = 0, count = 0;
  for (const GaugeRow& row : summary.gauges)
    if (row.channel.name == "cpufreq.cpus-mean.frequency" && row.ledger.readings > 0)
      sum += row.ledger.mean, count += 1;
  if (count > 0) into.clocks_hz.push_back(sum / count);
}

// Watts of the idle machine over all headline channels; nothing where one of them has none.
std::optional<double> idle_w(const Summary& summary) {
  std::optional<double> sum;
  for (const EnergyRow& row : summary.energy) {
    if (!row.ledger.headline) continue;
    if (!row.ledger.idle_w) return std::nullopt;
    sum = sum.value_or(0) + row.ledger.idle_w->value;
  }
  return sum;
}

// Joules above idle of one run, from where sensors measured them, and from nowhere else.
void add_joules(const Summary& summary, double runs, CycleTimes& into, predict::Dataset& dataset) {
  if (summary.headline_origin() != Origin::measured || runs < 1) return;
  const auto idle = idle_w(summary);
  for (const PhaseRow& phase : summary.phases) {
    if (phase.span.name != layer_runs_phase || !phase.headline.gross || !phase.headline.resolvable) continue;
    if (!idle) {
      dataset.facts["energy"] =
          "not told: sensors measured it, but idle was not measured (idle = \"2s\" in the campaign)";
      continue;
    }
    const double above_j = phase.headline.gross->value - *idle * phase.duration_s;
    if (above_j > 0) into.joules.push_back(above_j / runs);
  }
}

Result<void> add_run(const Summary& summary, const std::vector<predict::FusedLayer>& layers,
                     const std::map<std::string, std::size_t>& layer_of, const std::string& where, CycleTimes& into,
                     predict::Dataset& dataset) {
  const Json times = Json::parse(summary.fact(layer_times_fact), nullptr, false);
  if (!times.is_object() || !times.contains("plain") || !times["plain"].is_object() || !times.contains("rows") ||
      !times["rows"].is_array())
    return fail(ErrorCode::malformed, "the Run has no times of layers", where);
  const double latency = number_at(times["plain"], "median_s");
  if (!(latency > 0)) return fail(ErrorCode::malformed, "the Run has no latency", where);
  into.latencies.push_back(latency);
  std::vector<double> seconds(layers.size(), 0);
  for (const Json& row : times["rows"]) {
    if (!row.is_object()) continue;
    const double took = number_at(row, "median_s");
    into.engine_s += took;
    if (const auto at = dearest(row, layer_of, layers)) seconds[*at] += took, into.rows_s += took;
  }
  if (into.layers.empty()) into.layers.resize(layers.size());
  for (std::size_t i = 0; i < seconds.size(); ++i) into.layers[i].push_back(seconds[i]);
  add_clock(summary, into);
  add_joules(summary, number_at(times["plain"], "runs"), into, dataset);
  return {};
}

void add_configuration(const study::Campaign& campaign, const study::Configuration& configuration,
                       std::vector<predict::FusedLayer>& layers, const CycleTimes& measured,
                       predict::Dataset& dataset) {
  const std::string& network = campaign.models[configuration.model].name;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    predict::DatasetRow row;
    if (const std::string& why = layers[i].layer.unknown; !why.empty()) {  // its columns would be no measure of it
      dataset.facts["left out: " + network + " " + layers[i].layer.name] = why;
      continue;
    }
    row.network = network, row.config = configuration.name();
    row.layer = std::move(layers[i].layer);
    row.layer.threads = static_cast<double>(configuration.threads);
    if (!measured.clocks_hz.empty()) row.layer.clock_hz = middle_of(measured.clocks_hz);
    row.runtime_s = told_of(campaign, measured.layers[i]);
    dataset.rows.push_back(std::move(row));
  }
  predict::MeasuredNetwork whole;
  whole.network = network, whole.config = configuration.name();
  whole.latency_s = told_of(campaign, measured.latencies);
  const auto [least, most] = std::ranges::minmax(measured.latencies);
  if (measured.latencies.size() > 1) whole.spread = (most - least) / 2 / whole.latency_s;
  if (measured.joules.size() == measured.latencies.size()) whole.energy_j = middle_of(measured.joules);
  dataset.networks.push_back(std::move(whole));
}

void add_facts(const Manifest& manifest, predict::Dataset& dataset) {
  for (const char* key : {"machine.cpu_model", "machine.cpus", "machine.smt", "machine.virtual", "machine.kernel",
                          "machine.memory_bytes", "engine.name", "engine.version", "prony.version"})
    if (const auto value = manifest.get(key); value && !value->empty()) dataset.facts[key] = *value;
  if (dataset.facts.contains("clocks")) return;
  for (const Unavailable& gone : manifest.unavailable)
    if (gone.subject == "cpufreq") dataset.facts["clocks"] = "not known: " + gone.reason;
}

const StudyAttempt* done_attempt(const StudyRun& run) { return run.status == "done" ? run.good() : nullptr; }

}  // namespace

Result<CampaignData> campaign_data(const study::Campaign& campaign, const std::vector<study::Configuration>& all,
                                   const std::vector<NetworkLayers>& networks, const StudyFolder& folder,
                                   const StudyManifest& manifest) {
  CampaignData data;
  std::map<std::string, std::vector<const StudyRun*>> runs_of_variant;
  for (const StudyRun& run : manifest.runs) {
    data.failed_runs += done_attempt(run) == nullptr ? 1 : 0;
    runs_of_variant[run.variant].push_back(&run);
  }
  double engine_s = 0, rows_s = 0;
  std::vector<double> spreads;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string& name = campaign.models[all[i].model].name;
    std::vector<predict::FusedLayer> layers = predict::fused_layers(networks[i]);
    std::map<std::string, std::size_t> layer_of;
    for (std::size_t at = 0; at < layers.size(); ++at)
      for (const std::size_t place : layers[at].covers) layer_of[networks[i].layers[place].name] = at;
    CycleTimes measured;
    for (const StudyRun* run : runs_of_variant[name + " " + all[i].name()]) {
      const StudyAttempt* attempt = done_attempt(*run);
      if (attempt == nullptr) continue;
      const std::string path = folder.file(attempt->run).string();
      const auto opened = Run::open(path);
      if (!opened) return Unexpected<Error>(opened.error());
      const auto summary = summarise(**opened);
      if (!summary) return Unexpected<Error>(summary.error());
      if (auto added = add_run(*summary, layers, layer_of, path, measured, data.dataset); !added)
        return Unexpected<Error>(added.error());
      add_facts(summary->manifest, data.dataset);
      data.runs.push_back(attempt->run);
    }
    if (measured.latencies.empty()) continue;
    add_configuration(campaign, all[i], layers, measured, data.dataset);
    ++data.configurations;
    engine_s += measured.engine_s, rows_s += measured.rows_s;
    if (std::isfinite(data.dataset.networks.back().spread)) spreads.push_back(data.dataset.networks.back().spread);
  }
  data.time_in_rows = engine_s > 0 ? rows_s / engine_s : 0;
  std::ranges::sort(spreads);
  if (!spreads.empty()) {
    data.spread_median = middle_of(spreads);
    const auto rank = static_cast<std::size_t>(std::ceil(0.9 * static_cast<double>(spreads.size())));
    data.spread_90 = spreads[std::max<std::size_t>(rank, 1) - 1];
  }
  std::ranges::sort(data.runs);
  return data;
}

}  // namespace prony::app
