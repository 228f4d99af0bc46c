#include "reports/summary_json.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "model/absence.hpp"
#include "reports/calibrated.hpp"
#include "reports/comparison.hpp"
#include "reports/engine_tokens.hpp"
#include "reports/footprint.hpp"
#include "reports/json_put.hpp"
#include "reports/load_figures.hpp"
#include "reports/load_json.hpp"
#include "reports/nominal_work.hpp"
#include "reports/passport_rows.hpp"
#include "reports/prompt_checks.hpp"
#include "reports/request_energy.hpp"
#include "reports/target_json.hpp"
#include "reports/utilisation.hpp"
#include "reports/was_read.hpp"

namespace prony {

namespace {

using Json = nlohmann::ordered_json;

// Totals that count things are whole numbers, and look so.
void put_total(Json& object, const std::string& name, double value) {
  if (!std::isfinite(value)) return;
  if (value == std::floor(value) && std::abs(value) < 9e15 && !name.ends_with("_s")) {
    object[name] = static_cast<std::int64_t>(value);
  } else {
    object[name] = value;
  }
}

Json joules_json(const Estimate& estimate, const char* value_name) {
  return Json{{value_name, estimate.value},
              {"low_j", estimate.low},
              {"high_j", estimate.high},
              {"kind", std::string(to_string(estimate.kind))}};
}

void put_gross(Json& out, const std::optional<Estimate>& gross, bool resolvable, const std::optional<double>& needed) {
  if (gross) out.update(joules_json(*gross, "gross_j"));
  out["resolvable"] = resolvable;
  if (!resolvable) put(out, "needed_s", needed);
}

// Where the truth is in 95 % of cases, beside the bound that it cannot be outside of.
void put_interval(Json& out, const std::optional<Estimate>& interval) {
  if (!interval) return;
  out["interval_95_low_j"] = interval->low;
  out["interval_95_high_j"] = interval->high;
}

void put_party(Json& out, const std::string& name, const std::optional<Estimate>& estimate) {
  if (!estimate) return;
  out[name + "_j"] = estimate->value;
  out[name + "_low_j"] = estimate->low;
  out[name + "_high_j"] = estimate->high;
}

void put_watts(Json& out, const std::string& name, const std::optional<Estimate>& watts) {
  if (!watts) return;
  out[name + "_w"] = watts->value;
  out[name + "_low_w"] = watts->low;
  out[name + "_high_w"] = watts->high;
}

void put_channel(Json& out, const EnergyRow& row) {
  out["channel"] = row.channel.name;
  out["domain"] = row.channel.domain;
  out["origin"] = std::string(to_string(row.channel.origin));
  out["scope"] = std::string(to_string(row.channel.scope));
}

Json energy_json(const EnergyRow& row) {
  const ChannelLedger& l = row.ledger;
  Json out;
  put_channel(out, row);
  out["sensor"] = row.channel.sensor;
  if (row.part_of) out["part_of"] = *row.part_of;
  out["coverage_known"] = row.channel.coverage_known;
  out["headline"] = l.headline;
  put_gross(out, l.gross, l.resolvable, l.needed_s);
  put_interval(out, l.interval);
  put(out, "true_j", row.true_j);
  put_party(out, "active", l.active);
  put_party(out, "marginal", l.marginal);
  put_party(out, "target_active", l.target_active);
  put(out, "target_share", l.target_share);
  put(out, "mean_w", l.mean_w);
  put(out, "peak_w", l.peak_w);
  if (l.peak_w) out["peak_over_s"] = l.peak_over.seconds().value();
  if (l.idle) out["idle_j"] = l.idle->value;
  put_watts(out, "idle", l.idle_w);
  put_watts(out, "loaded_idle", l.loaded_idle_w);
  put(out, "idle_before_w", l.idle_before_w);
  put(out, "idle_after_w", l.idle_after_w);
  if (l.idle_before_w && l.idle_after_w) out["idle_drifted"] = l.idle_drifted;
  Json ledger = was_read(l) ? joules_json(l.recorded, "recorded_j") : Json::object();
  if (!is_bounded(l)) ledger = Json{{"recorded_j", l.recorded.value}};
  put_party(ledger, "target", l.target);
  put_party(ledger, "foreign", l.foreign);
  put_party(ledger, "prony", l.prony);
  put_party(ledger, "idle", l.idle);
  if (was_read(l) && is_bounded(l)) put_party(ledger, "unattributed", l.unattributed);
  if (!is_bounded(l)) ledger["unattributed_j"] = l.unattributed.value;
  out["ledger"] = std::move(ledger);
  if (!l.sharing.empty()) {
    out["request_sharing"] = Json::array();
    for (const RequestSharing& sharing : l.sharing) out["request_sharing"].push_back(to_json(sharing));
  }
  out["wraps"] = l.wraps;
  out["resets"] = l.resets;
  out["gaps"] = l.gaps;
  out["gap_s"] = l.gap_time.seconds().value();
  if (l.held_time.ns > 0) out["held_s"] = l.held_time.seconds().value();
  if (row.channel.model)
    out["model"] = Json{{"name", row.channel.model->name},
                        {"source", row.channel.model->source},
                        {"cpus", row.channel.model->cpus},
                        {"idle_w", row.channel.model->idle.value()},
                        {"full_w", row.channel.model->full.value()}};
  if (row.channel.model && row.channel.origin == Origin::derived) {
    const PowerModel& fitted = *row.channel.model;
    out["model"].update({{"idle_low_w", fitted.idle_low.value()},
                         {"idle_high_w", fitted.idle_high.value()},
                         {"full_low_w", fitted.full_low.value()},
                         {"full_high_w", fitted.full_high.value()}});
  }
  if (l.clock)
    out["model"]["clock"] = Json{{"mean_hz", l.clock->mean_hz},
                                 {"reference_hz", l.clock->reference_hz},
                                 {"load_factor", l.clock->value},
                                 {"load_factor_low", l.clock->low},
                                 {"load_factor_high", l.clock->high}};
  return out;
}

Json span_energy_json(const Summary& summary, const std::vector<SpanJoules>& parts) {
  Json out = Json::array();
  for (const SpanJoules& part : parts) {
    Json one;
    put_channel(one, summary.energy[part.row]);
    put_gross(one, part.energy.gross, part.energy.resolvable, part.energy.needed_s);
    put_interval(one, part.energy.interval);
    put_party(one, "charged", part.energy.charged);
    if (!part.energy.absent.empty()) one["absent"] = part.energy.absent.str();
    out.push_back(std::move(one));
  }
  return out;
}

Json headline_json(const HeadlineJoules& headline) {
  Json out;
  put_gross(out, headline.gross, headline.resolvable, headline.needed_s);
  put_party(out, "charged", headline.charged);
  return out;
}

Json gaps_json(const GapStatistics& itl) {
  Json out{{"count", itl.count}};
  put(out, "mean_s", itl.mean_s);
  put(out, "sd_s", itl.sd_s);
  put(out, "p50_s", itl.p50_s);
  put(out, "p90_s", itl.p90_s);
  put(out, "p95_s", itl.p95_s);
  put(out, "p99_s", itl.p99_s);
  put(out, "max_s", itl.max_s);
  return out;
}

// What the request reached, where it ran alone: shares of the peaks are of the whole Run's object "utilisation".
void put_work(Json& out, const char* phase, const std::optional<WorkDone>& done) {
  if (!done) return;
  const std::string name(phase);
  out[name + "_flop_per_s"] = done->flop_per_s();
  put(out, (name + "_bytes_per_s").c_str(), done->bytes_per_s());
}

Json request_json(const Summary& summary, const RequestRow& row, const Utilisation& used, bool at_once) {
  Json out{{"id", row.span.name}, {"status", std::string(to_string(row.span.status))}};
  put(out, "clock", row.span.attribute("clock").value_or(""));
  put(out, "finish", row.finish);
  put(out, "prompt", row.prompt);
  put(out, "answer", row.answer);
  put(out, "prompt_tokens", row.prompt_tokens);
  put(out, "output_tokens", row.output_tokens);
  out["begin_s"] = row.begin_s;
  put(out, "tokenise_s", row.tokenise_s);
  put(out, "prefill_s", row.prefill_s);
  put(out, "sent_late_s", late_s(row));
  put(out, "level", row.span.count("level"));
  put(out, "ttft_s", row.ttft_s);
  put(out, "e2e_s", row.e2e_s);
  put(out, "tpot_s", row.tpot_s);
  put(out, "prefill_tokens_per_s", row.prefill_tokens_per_s);
  put(out, "decode_tokens_per_s", row.decode_tokens_per_s);
  if (!at_once) {
    put_work(out, "prefill", prefill_work(used, row));
    put_work(out, "decode", decode_work(used, row));
  }
  put_request_check(out, row);
  out["itl"] = gaps_json(row.itl);
  out["headline"] = headline_json(row.headline);
  if (row.headline.gross && row.headline.resolvable && !at_once && row.output_tokens && *row.output_tokens > 0)
    out["gross_j_per_output_token"] = row.headline.gross->value / static_cast<double>(*row.output_tokens);
  if (row.headline.charged && row.output_tokens && *row.output_tokens > 0)
    out["charged_j_per_output_token"] = row.headline.charged->value / static_cast<double>(*row.output_tokens);
  if (!row.prefill_energy.empty()) out["prefill"] = headline_json(row.prefill);
  if (!row.decode_energy.empty()) out["decode"] = headline_json(row.decode);
  out["energy"] = span_energy_json(summary, row.energy);
  out["prefill_energy"] = span_energy_json(summary, row.prefill_energy);
  out["decode_energy"] = span_energy_json(summary, row.decode_energy);
  Json gauges = Json::array();
  for (const SpanGaugeRow& gauge : row.gauges)
    gauges.push_back({{"channel", gauge.channel.name},
                      {"unit", std::string(unit_of(gauge.channel.measure))},
                      {"min", gauge.gauge.min},
                      {"mean", gauge.gauge.mean},
                      {"max", gauge.gauge.max},
                      {"readings", gauge.gauge.readings}});
  out["gauges"] = std::move(gauges);
  return out;
}

Json phases_json(const Summary& summary) {
  Json out = Json::array();
  for (const PhaseRow& row : summary.phases)
    out.push_back({{"name", row.span.name},
                   {"status", std::string(to_string(row.span.status))},
                   {"begin_s", row.begin_s},
                   {"duration_s", row.duration_s},
                   {"headline", headline_json(row.headline)},
                   {"energy", span_energy_json(summary, row.energy)}});
  return out;
}

Json gauges_json(const Summary& summary) {
  Json out = Json::array();
  for (const GaugeRow& row : summary.gauges) {
    Json one{{"channel", row.channel.name},
             {"measure", std::string(to_string(row.channel.measure))},
             {"unit", std::string(unit_of(row.channel.measure))},
             {"scope", std::string(to_string(row.channel.scope))},
             {"readings", row.ledger.readings},
             {"gaps", row.ledger.gaps}};
    if (row.ledger.readings > 0 && row.channel.kind == ChannelKind::gauge)
      one.update({{"min", row.ledger.min},
                  {"mean", row.ledger.mean},
                  {"max", row.ledger.max},
                  {"first", row.ledger.first},
                  {"last", row.ledger.last}});
    put(one, "increase", row.ledger.increase);
    out.push_back(std::move(one));
  }
  return out;
}

Json sampler_json(const Summary& summary) {
  Json out = Json::object();
  Json lanes = Json::array();
  std::optional<double> ticks, missed, late, dropped, cpu;
  const auto add = [](std::optional<double>& sum, const std::optional<double>& part) {
    if (part) sum = sum.value_or(0) + *part;
  };
  for (const LaneRow& lane : summary.lanes) {
    Json one{{"lane", lane.name}};
    const auto field = [&](const char* name, const std::optional<double>& value, std::optional<double>& sum) {
      if (value) put_total(one, name, *value);
      add(sum, value);
    };
    field("ticks", lane.ticks, ticks);
    field("missed", lane.missed, missed);
    field("late", lane.late, late);
    field("dropped", lane.dropped, dropped);
    field("cpu_s", lane.cpu_s, cpu);
    lanes.push_back(std::move(one));
  }
  if (ticks) put_total(out, "ticks", *ticks);
  if (missed) put_total(out, "missed", *missed);
  if (late) put_total(out, "late", *late);
  if (dropped) put_total(out, "dropped", *dropped);
  put(out, "cpu_s", cpu);
  out["lanes"] = std::move(lanes);
  return out;
}

// Facts whose key starts with "<group>.", without it.
Json facts_json(const Summary& summary, std::string_view group) {
  Json out = Json::object();
  const std::string prefix = std::string(group) + ".";
  for (const Fact& fact : summary.manifest.facts)
    if (fact.key.starts_with(prefix)) out[fact.key.substr(prefix.size())] = fact.value;
  return out;
}

// What the truth can be computed from once more: the curves' own words and where on the monotonic clock they begin.
Json simulated_json(const Summary& summary) {
  Json out{{"machine", summary.simulated}, {"note", "no joule here is real"}};
  put(out, "fault", summary.fact("simulated.fault"));
  put(out, "start_ns", parse_i64(summary.fact("simulated.start_ns")));
  if (const Json curves = facts_json(summary, "simulated.curve"); !curves.empty()) out["curves"] = curves;
  return out;
}

Json settings_json(const Summary& summary) {
  Json out = Json::array();
  constexpr std::string_view prefix = "setting.";
  for (const Fact& fact : summary.manifest.facts)
    if (fact.key.starts_with(prefix))
      out.push_back({{"name", fact.key.substr(prefix.size())}, {"value", fact.value}, {"origin", fact.origin}});
  return out;
}

Json totals_json(const std::vector<Total>& totals) {
  Json out = Json::object();
  for (const Total& total : totals)
    if (total.name != "wall_s" && total.name != "exit_code" && total.name != "exit_signal")
      put_total(out, total.name, total.value);
  return out;
}

void put_lists(Json& out, const Summary& summary) {
  Json repeated = Json::array();
  for (const Repeated& row : summary.repeated)
    repeated.push_back({{"prompt", row.prompt},
                        {"count", row.count},
                        {"decode_tokens_per_s", row.mean},
                        {"low", row.low},
                        {"high", row.high},
                        {"kind", "interval(0.95)"}});
  out["repeated"] = std::move(repeated);
  Json events = Json::array();
  for (const Event& event : summary.events)
    events.push_back({{"at_s", (event.at - summary.window.begin).seconds().value()},
                      {"kind", event.kind},
                      {"subject", event.subject},
                      {"text", event.text}});
  out["events"] = std::move(events);
  out["settings"] = settings_json(summary);
  Json unavailable = Json::array();
  for (const Unavailable& one : summary.unavailable) {
    Json entry{{"name", one.subject}, {"kind", absence_kind(one.reason)}, {"reason", one.reason}};
    put(entry, "remedy", one.remedy);
    unavailable.push_back(std::move(entry));
  }
  out["unavailable"] = std::move(unavailable);
}

// A figure that is not finite is no figure: it is left out (a fuzzed or damaged file can hold one).
void drop_not_finite(Json& json) {
  for (auto it = json.begin(); it != json.end();) {
    if (it->is_structured()) drop_not_finite(*it);
    if (it->is_number_float() && !std::isfinite(it->get<double>())) {
      it = json.erase(it);
    } else {
      ++it;
    }
  }
}

// Names and texts may hold any bytes; JSON may not.
void make_valid(Json& json) {
  drop_not_finite(json);
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  json = Json::parse(text);
}

}  // namespace

Json to_json(const Summary& summary) {
  Json out{{"schema", "prony.summary/1"}, {"state", std::string(to_string(summary.state))}, {"kind", summary.kind}};
  if (!summary.simulated.empty()) out["simulated"] = simulated_json(summary);
  put(out, "prony_version", summary.fact("prony.version"));
  put(out, "command", summary.fact("run.command"));
  put(out, "started_utc", summary.fact("run.started_utc"));
  put(out, "wall_s", summary.wall_s);
  put(out, "exit_code", summary.exit_code);
  put(out, "exit_signal", summary.exit_signal);
  out["machine"] = facts_json(summary, "machine");
  if (const Json engine = facts_json(summary, "engine"); !engine.empty()) out["engine"] = engine;
  if (const Json model = facts_json(summary, "model"); !model.empty()) out["model"] = model;
  if (const Json tags = facts_json(summary, "tag"); !tags.empty()) out["tags"] = tags;
  if (const Json study = facts_json(summary, "study"); !study.empty()) out["study"] = study;
  if (const Json warm_up = facts_json(summary, "warmup"); !warm_up.empty()) out["warm_up"] = warm_up;
  if (const Json imported = facts_json(summary, "import"); !imported.empty()) out["import"] = imported;
  out["process"] = totals_json(summary.process);
  put(out["process"], "accounting", summary.fact("target.rung"));
  if (summary.headline_j) {
    Json headline = joules_json(*summary.headline_j, "gross_j");
    put(headline, "true_j", summary.headline_true_j);
    headline["origin"] = std::string(to_string(summary.headline_origin()));
    out["headline"] = std::move(headline);
  }
  if (Json footprint = footprint_json(summary); !footprint.is_null()) out["footprint"] = std::move(footprint);
  out["cpu_split"] = summary.cpu_split;
  out["energy"] = Json::array();
  for (const EnergyRow& row : summary.energy) out["energy"].push_back(energy_json(row));
  out["comparisons"] = comparisons_json(summary);
  if (Json derived = calibrated_json(summary); !derived.is_null()) out["calibrated"] = std::move(derived);
  if (Json baseline = baseline_json(summary); !baseline.is_null()) out["baseline"] = std::move(baseline);
  put_targets(out, summary);
  if (Json load = load_json(summary); !load.is_null()) out["load"] = std::move(load);
  out["requests"] = Json::array();
  // A document that can still be opened; the exported table of requests has all of them.
  constexpr std::size_t most_requests = 10'000;
  const std::size_t told = std::min(summary.requests.size(), most_requests);
  const bool at_once = ran_at_once(summary);
  const Utilisation used = utilisation(summary);
  for (std::size_t i = 0; i < told; ++i)
    out["requests"].push_back(request_json(summary, summary.requests[i], used, at_once));
  if (told < summary.requests.size()) out["requests_left_out"] = summary.requests.size() - told;
  if (Json engines = engine_json(summary); !engines.empty()) out["engine_tokens"] = std::move(engines);
  put_prompt_checks(out, summary);
  if (!summary.requests.empty()) out["request_energy"] = to_json(request_energy(summary));
  if (!summary.requests.empty()) out["utilisation"] = to_json(used);
  out["nominal_work"] = to_json(nominal_work(summary));
  out["phases"] = phases_json(summary);
  out["gauges"] = gauges_json(summary);
  out["sampler"] = sampler_json(summary);
  out["prony"] = totals_json(summary.prony);
  out["spans_lost"] = summary.spans_lost;
  out["passports"] = Json::array();
  for (const ChannelPassport& passport : summary.passports) out["passports"].push_back(to_json(passport));
  put_lists(out, summary);
  make_valid(out);
  return out;
}

}  // namespace prony
