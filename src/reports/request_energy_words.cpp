// The same figures as JSON and as lines of the summary.
#include <algorithm>

#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/json_put.hpp"
#include "reports/request_energy.hpp"

namespace prony {

namespace {

using Json = nlohmann::ordered_json;

Json estimate_json(const Estimate& estimate) {
  return Json{{"value", estimate.value},
              {"low", estimate.low},
              {"high", estimate.high},
              {"kind", std::string(to_string(estimate.kind))}};
}

Json metric_json(const EnergyMetric& metric) {
  Json out{{"name", metric.name}, {"unit", metric.unit}};
  if (metric.value) out.update(estimate_json(*metric.value));
  if (metric.requests > 0) out["requests"] = metric.requests;
  if (metric.denominator > 0) out["denominator"] = metric.denominator;
  put(out, "absent", metric.absent);
  return out;
}

Json metrics_json(const std::vector<EnergyMetric>& metrics) {
  Json out = Json::array();
  for (const EnergyMetric& metric : metrics) out.push_back(metric_json(metric));
  return out;
}

const EnergyMetric* find(const std::vector<EnergyMetric>& metrics, std::string_view name) {
  const auto found = std::ranges::find(metrics, name, &EnergyMetric::name);
  return found != metrics.end() && found->value ? &*found : nullptr;
}

constexpr double bytes_per_mib = 1048576;
Estimate scaled_to(const Estimate& one, double factor) {
  return {one.value * factor, one.low * factor, one.high * factor, one.kind};
}

std::string joules_of(const EnergyMetric& metric, const Summary& summary) {
  return figures::joules(*metric.value, summary.headline_mark());
}

}  // namespace

Json to_json(const RequestSharing& sharing) {
  Json out{{"target", sharing.target},
           {"asked", std::string(to_string(sharing.asked))},
           {"used", std::string(to_string(sharing.used))}};
  put(out, "why", sharing.why);
  if (!sharing.fit) return out;
  const WorkFit& fit = *sharing.fit;
  Json told{{"prefill_token_j", estimate_json(fit.prefill_token_j)},
            {"decode_token_j", estimate_json(fit.decode_token_j)}};
  if (fit.kv_read_j) told[fit.kv_in_bytes ? "kv_byte_read_j" : "kv_token_read_j"] = estimate_json(*fit.kv_read_j);
  if (fit.shared_j) told[fit.shared_by_step ? "engine_step_j" : "second_served_j"] = estimate_json(*fit.shared_j);
  put(told, "left_out", fit.left_out);
  told["residual_share"] = fit.residual;
  put(told, "condition", std::optional(fit.condition));
  told["windows"] = fit.windows;
  told["window_s"] = fit.window_s;
  told["prompts_placed_by"] = fit.shared_by_step ? "steps" : "first tokens";
  told["requests_with_assumed_tokens"] = fit.assumed;
  out["fit"] = std::move(told);
  return out;
}

Json to_json(const RequestEnergy& energy) {
  Json out{{"metrics", metrics_json(energy.metrics)}, {"lifecycle", metrics_json(energy.lifecycle)}};
  out["waste"] = Json::array();
  for (const WasteRow& row : energy.waste) {
    Json one{{"why", row.why}, {"requests", row.requests}, {"requests_without_joules", row.without_joules}};
    if (row.charged) {
      one["charged_j"] = row.charged->value;
      one["charged_low_j"] = row.charged->low;
      one["charged_high_j"] = row.charged->high;
    }
    out["waste"].push_back(std::move(one));
  }
  if (energy.closure) {
    const Closure& c = *energy.closure;
    Json targets = Json::array();
    for (const Closure::OfTarget& of : c.targets)
      targets.push_back({{"target", of.target},
                         {"requests_j", of.requests_j},
                         {"phases_j", of.phases_j},
                         {"other_spans_j", of.other_spans_j},
                         {"rest_j", of.rest_j}});
    out["closure"] = Json{
        {"targets", std::move(targets)},      {"foreign_j", c.foreign_j},  {"prony_j", c.prony_j}, {"idle_j", c.idle_j},
        {"unattributed_j", c.unattributed_j}, {"recorded_j", c.recorded_j}};
  }
  return out;
}

std::vector<std::string> efficiency_words(const Summary& summary, const RequestEnergy& energy) {
  std::vector<std::string> items;
  const auto add = [&](const char* name, const char* words) {
    if (const EnergyMetric* metric = find(energy.metrics, name))
      items.push_back(joules_of(*metric, summary) + " charged per " + words);
  };
  add("charged_j_per_output_token", "output token");
  add("charged_j_per_total_token", "token (prompt and output)");
  add("charged_j_per_completed_request", "completed request");
  if (const EnergyMetric* metric = find(energy.metrics, "output_tokens_per_charged_j"))
    items.push_back(figures::significant(metric->value->value, 3) + " output tokens per charged J" +
                    std::string(figures::sign(summary.headline_mark())));
  if (items.empty()) {
    const auto absent = std::ranges::find(energy.metrics, "charged_j_per_output_token", &EnergyMetric::name);
    if (absent != energy.metrics.end() && !absent->absent.empty()) items.push_back("per token: " + absent->absent);
    return items;
  }
  add("prefill_charged_j_per_uncached_prompt_token", "prompt token, in prefill");
  add("decode_charged_j_per_token_after_the_first", "further output token, in decode");
  const auto requests = find(energy.metrics, "charged_j_per_completed_request");
  if (requests != nullptr)
    items.push_back("n = " + figures::count(static_cast<double>(requests->requests)) + " completed requests");
  return items;
}

std::vector<std::string> sharing_words(const Summary& summary) {
  std::vector<std::string> items;
  for (const EnergyRow& row : summary.energy) {
    if (!row.ledger.headline) continue;
    for (const RequestSharing& sharing : row.ledger.sharing) {
      std::string words = row.channel.domain + ": by " + std::string(to_string(sharing.used));
      if (!sharing.why.empty()) words += " (" + sharing.why + ")";
      if (sharing.fit) {
        const WorkFit& fit = *sharing.fit;
        const auto cost = [&](const Estimate& one) { return figures::joules(one, summary.headline_mark()); };
        words += ", fitted to " + std::to_string(fit.windows) + " windows: " + cost(fit.prefill_token_j) +
                 " a prompt token, " + cost(fit.decode_token_j) + " an output token";
        if (fit.kv_read_j)
          words += ", " + (fit.kv_in_bytes ? cost(scaled_to(*fit.kv_read_j, bytes_per_mib)) + " a MiB read of the cache"
                                           : cost(*fit.kv_read_j) + " a token read of the cache");
        if (fit.shared_j)
          words += ", " + cost(*fit.shared_j) + (fit.shared_by_step ? " a step of the engine" : " a second served");
        words += "; prompts are placed by the engine's " + std::string(fit.shared_by_step ? "steps" : "first tokens") +
                 "; the fit leaves " + figures::percent(fit.residual);
        if (!fit.left_out.empty()) words += "; not told apart: " + fit.left_out;
        if (fit.assumed > 0) words += "; tokens of " + std::to_string(fit.assumed) + " requests are assumed";
      }
      items.push_back(words);
    }
  }
  return items;
}

std::vector<std::string> waste_words(const Summary& summary, const RequestEnergy& energy) {
  std::vector<std::string> items;
  for (const WasteRow& row : energy.waste) {
    std::string words = std::to_string(row.requests) + " " + row.why;
    words += row.charged ? ": " + figures::joules(*row.charged, summary.headline_mark()) + " charged" : std::string();
    if (row.without_joules > 0)
      words += (row.charged ? ", " : ": ") + std::to_string(row.without_joules) + " of them too short for this sensor";
    items.push_back(words);
  }
  if (const EnergyMetric* drafts = find(energy.metrics, "refused_draft_tokens_j"))
    items.push_back("refused draft tokens: " + joules_of(*drafts, summary));
  return items;
}

std::vector<std::string> lifecycle_words(const Summary& summary, const RequestEnergy& energy) {
  std::vector<std::string> items;
  if (const EnergyMetric* load = find(energy.lifecycle, "load_charged_j"))
    items.push_back("loading took " + joules_of(*load, summary));
  if (const EnergyMetric* keep = find(energy.lifecycle, "keep_loaded_w"))
    items.push_back("kept loaded it draws " + figures::watts(keep->value->value) +
                    std::string(figures::sign(summary.headline_mark())) + " more than idle");
  if (const EnergyMetric* pays = find(energy.lifecycle, "unload_pays_after_s"))
    items.push_back("unloading pays where nobody asks for " + figures::seconds(pays->value->value) + " (" +
                    figures::seconds(pays->value->low) + " to " + figures::seconds(pays->value->high) + ")");
  if (const EnergyMetric* saved = find(energy.lifecycle, "prompt_cache_saved_j"))
    items.push_back("the prompt cache saved " + joules_of(*saved, summary) + " in " +
                    figures::count(static_cast<double>(saved->requests)) + " requests (not computed, so not measured)");
  return items;
}

}  // namespace prony
