#include "reports/load_json.hpp"

#include "reports/json_put.hpp"
#include "reports/load_figures.hpp"
#include "reports/scenario.hpp"

namespace prony {

namespace {

using Json = nlohmann::ordered_json;

Json spread_json(const Spread& spread) {
  Json out{{"count", spread.count}};
  put(out, "mean_s", spread.mean);
  put(out, "sd_s", spread.sd);
  put(out, "min_s", spread.min);
  put(out, "p50_s", spread.p50);
  put(out, "p90_s", spread.p90);
  put(out, "p99_s", spread.p99);
  put(out, "max_s", spread.max);
  return out;
}

Json level_json(const LevelFigures& level, bool slo) {
  Json out = Json::object();
  if (level.number > 0) out["level"] = level.number;
  put(out, "name", level.name);
  out.update({{"requests", level.requests},
              {"answered", level.ok},
              {"failed", level.failed},
              {"cancelled", level.cancelled},
              {"begin_s", level.begin_s},
              {"duration_s", level.duration_s},
              {"most_under_way", level.most_under_way}});
  if (level.oversaturated) out["oversaturated"] = true;
  put(out, "offered_requests_per_s", level.offered_per_s);
  put(out, "reached_requests_per_s", level.reached_per_s);
  put(out, "prompt_tokens", level.prompt_tokens);
  put(out, "output_tokens", level.output_tokens);
  put(out, "output_tokens_per_s", level.output_tokens_per_s);
  put(out, "total_tokens_per_s", level.total_tokens_per_s);
  out["ttft"] = spread_json(level.ttft);
  out["tpot"] = spread_json(level.tpot);
  out["itl"] = spread_json(level.itl);
  out["e2e"] = spread_json(level.e2e);
  if (level.open) {
    out["ttft_from_sending"] = spread_json(level.ttft_sent);
    out["e2e_from_sending"] = spread_json(level.e2e_sent);
    out["sent_late"] = spread_json(level.late);
  }
  if (!slo) return out;
  out["within_slo"] = level.within;
  out["judged_by_slo"] = level.judged;
  put(out, "share_within_slo", level.share_within);
  put(out, "goodput_requests_per_s", level.goodput_per_s);
  return out;
}

Json slo_json(const Slo& slo) {
  Json out = Json::object();
  put(out, "preset", slo.preset);
  put(out, "ttft_s", slo.ttft_s);
  put(out, "tpot_s", slo.tpot_s);
  put(out, "e2e_s", slo.e2e_s);
  return out;
}

Json verdict_json(const ScenarioVerdict& verdict, const std::string& name) {
  Json out{{"name", name}, {"valid", verdict.valid}};
  put(out, verdict.metric.c_str(), verdict.value);
  put(out, "early_stopping_estimate_s", verdict.early_stopping_s);
  out["reasons"] = verdict.reasons;
  return out;
}

}  // namespace

Json load_json(const Summary& summary) {
  const auto load = load_figures(summary);
  if (!load) return nullptr;
  Json out{{"mode", load->mode}};
  put(out, "arrivals", load->description);
  if (load->not_begun) out["not_begun"] = *load->not_begun;
  if (load->slo) out["slo"] = slo_json(*load->slo);
  out.update(level_json(load->all, load->slo.has_value()));
  if (const auto verdict = scenario_verdict(summary, *load)) out["scenario"] = verdict_json(*verdict, load->scenario);
  put(out, "knee", load->knee);
  if (load->levels.empty()) return out;
  out["levels"] = Json::array();
  for (const LevelFigures& level : load->levels) out["levels"].push_back(level_json(level, load->slo.has_value()));
  return out;
}

}  // namespace prony
