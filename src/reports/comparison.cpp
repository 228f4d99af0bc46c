#include "reports/comparison.hpp"

#include <cmath>

#include "base/text.hpp"
#include "calibrate/compare.hpp"
#include "reports/figures.hpp"
#include "reports/prompt_checks.hpp"

namespace prony {

namespace {

using Json = nlohmann::ordered_json;
using calibrate::Comparison;
using calibrate::Likeness;

std::vector<Comparison> comparisons(const Summary& s) {
  std::vector<calibrate::MeteredRow> rows;
  for (const EnergyRow& row : s.energy) rows.push_back({&row.channel, row.ledger.gross, row.ledger.headline});
  return calibrate::compare(rows);
}

std::string short_name(const Summary& s, const std::string& channel) {
  for (const EnergyRow& row : s.energy)
    if (row.channel.name == channel) return printable(row.channel.domain, 30);
  return printable(channel, 30);
}

// Parts inside a processor are what the table's tree shows anyway.
bool worth_a_line(const Summary& s, const Comparison& one) {
  return one.likeness != Likeness::part || short_name(s, one.against).find("package") == std::string::npos;
}

std::string ratio_words(const Estimate& ratio) {
  const auto percent = [](double value, double (*round)(double)) { return format_fixed(round(value * 1000) / 10, 1); };
  return percent(ratio.value, [](double v) { return std::round(v); }) + " % (" +
         percent(ratio.low, [](double v) { return std::floor(v); }) + "…" +
         percent(ratio.high, [](double v) { return std::ceil(v); }) + ")";
}

// Over the headline's domains; absent where one of them cannot tell.
std::optional<Estimate> headline_marginal(const Summary& s) {
  std::optional<Estimate> sum;
  for (const EnergyRow& row : s.energy) {
    if (!row.ledger.headline) continue;
    if (!row.ledger.marginal) return std::nullopt;
    sum = sum ? *sum + *row.ledger.marginal : *row.ledger.marginal;
  }
  return sum;
}

}  // namespace

std::vector<std::string> comparison_words(const Summary& s) {
  constexpr std::size_t most = 4;
  std::vector<std::string> words;
  for (const Comparison& one : comparisons(s)) {
    if (!worth_a_line(s, one)) continue;
    if (words.size() == most) {
      words.push_back("more: --json");
      break;
    }
    std::string what;
    for (const std::string& channel : one.what) what += (what.empty() ? "" : " + ") + short_name(s, channel);
    const char* kind = one.likeness == Likeness::meter               ? ": software against a meter"
                       : one.likeness == Likeness::counter_and_power ? ": counter against integrated power"
                       : one.likeness == Likeness::same              ? ": two sensors of one thing"
                                                                     : "";
    words.push_back(what + " is " + ratio_words(one.ratio) + " of " + short_name(s, one.against) + kind);
  }
  return words;
}

Json comparisons_json(const Summary& s) {
  Json out = Json::array();
  for (const Comparison& one : comparisons(s))
    out.push_back({{"relation", std::string(to_string(one.likeness))},
                   {"channels", one.what},
                   {"against", one.against},
                   {"ratio", one.ratio.value},
                   {"ratio_low", one.ratio.low},
                   {"ratio_high", one.ratio.high},
                   {"kind", std::string(to_string(one.ratio.kind))}});
  return out;
}

std::optional<NetOfIdle> net_of_idle(const Summary& s) {
  if (ran_at_once(s)) return std::nullopt;  // idle and gross of the same second would count for each that ran in it
  std::optional<NetOfIdle> sum;
  const auto less = [](const Estimate& gross, const Estimate& watts, double length_s) {
    return Estimate{gross.value - watts.value * length_s, gross.low - watts.high * length_s,
                    gross.high - watts.low * length_s, weaker(gross.kind, watts.kind)};
  };
  bool idle_known = true, loaded_known = true;
  const auto add = [](std::optional<Estimate>& to, const Estimate& part) { to = to ? *to + part : part; };
  for (const RequestRow& request : s.requests) {
    if (!request.headline.gross) return std::nullopt;
    const double length_s = request.span.interval.length().seconds().value();
    for (const SpanJoules& part : request.energy) {
      const ChannelLedger& row = s.energy[part.row].ledger;
      if (!row.headline || !part.energy.gross) continue;
      if (!sum) sum = NetOfIdle{{0, 0, 0, part.energy.gross->kind}, {}, {}};
      sum->gross = sum->gross + *part.energy.gross;
      idle_known = idle_known && row.idle_w;
      loaded_known = loaded_known && row.loaded_idle_w;
      if (row.idle_w) add(sum->net_of_idle, less(*part.energy.gross, *row.idle_w, length_s));
      if (row.loaded_idle_w) add(sum->net_of_loaded_idle, less(*part.energy.gross, *row.loaded_idle_w, length_s));
    }
  }
  if (!sum || (!idle_known && !loaded_known)) return std::nullopt;
  if (!idle_known) sum->net_of_idle.reset();
  if (!loaded_known) sum->net_of_loaded_idle.reset();
  if (!sum->net_of_idle && !sum->net_of_loaded_idle) return std::nullopt;
  return sum;
}

std::vector<std::string> baseline_words(const Summary& s) {
  std::vector<std::string> words;
  if (s.fact("baseline.source") == "stored") {
    std::string line = "kept of this machine, taken " + printable(s.fact("baseline.taken_utc"), 24);
    if (const auto age = parse_finite(s.fact("baseline.age_s"))) line += ", " + figures::seconds(*age) + " old";
    if (const auto then = parse_finite(s.fact("baseline.temperature_celsius")))
      line += ", at " + figures::significant(*then, 2) + " °C";
    words.push_back(line);
  }
  const auto others = s.idle_foreign_cpus;
  if (others && *others > quiet_baseline_cpus)
    words.push_back("not quiet: others used " + figures::significant(*others, 2) +
                    " CPUs during it, so idle holds their load");
  if (const auto marginal = headline_marginal(s); others && *others > quiet_baseline_cpus && marginal)
    words.push_back("marginal " + figures::joules(*marginal, s.headline_mark()) + ": not drawn without " +
                    (s.targets.empty() ? "this program" : "the targets"));
  if (const auto net = net_of_idle(s)) {
    words.push_back("requests gross " + figures::joules(net->gross, s.headline_mark()));
    if (net->net_of_idle) words.push_back("net of idle " + figures::joules(*net->net_of_idle, s.headline_mark()));
    if (net->net_of_loaded_idle)
      words.push_back("net of loaded idle " + figures::joules(*net->net_of_loaded_idle, s.headline_mark()));
  }
  return words;
}

Json baseline_json(const Summary& s) {
  bool any = false;
  for (const EnergyRow& row : s.energy) any = any || row.ledger.idle_w || row.ledger.loaded_idle_w;
  if (!any) return nullptr;
  Json out{{"source", s.fact("baseline.source") == "stored" ? "stored" : "measured"}};
  if (const std::string taken = s.fact("baseline.taken_utc"); !taken.empty()) out["taken_utc"] = taken;
  for (const char* field : {"age_s", "length_s", "temperature_celsius", "clock_hz"})
    if (const auto value = parse_finite(s.fact("baseline." + std::string(field)))) out[field] = *value;
  if (s.idle_foreign_cpus) {
    out["foreign_cpus"] = *s.idle_foreign_cpus;
    out["quiet"] = *s.idle_foreign_cpus <= quiet_baseline_cpus;
  }
  const auto put = [](Json& to, const std::string& name, const Estimate& e) {
    to[name + "_j"] = e.value;
    to[name + "_low_j"] = e.low;
    to[name + "_high_j"] = e.high;
  };
  if (const auto net = net_of_idle(s)) {
    Json requests{{"kind", std::string(to_string(net->gross.kind))}};
    put(requests, "gross", net->gross);
    if (net->net_of_idle) put(requests, "net_of_idle", *net->net_of_idle);
    if (net->net_of_loaded_idle) put(requests, "net_of_loaded_idle", *net->net_of_loaded_idle);
    out["requests"] = std::move(requests);
  }
  return out;
}

}  // namespace prony
