// LLenergyMeasure's result.json, schema 3.0 (its version 0.9): joules in J, J per token by its own three denominators.
// Its "tokens" are prompt and answer together, avg_energy_per_token_j is by output tokens: both are kept as they are
// there, and under prony_ stand the same with their denominators in the name.
#include "base/text.hpp"
#include "exchange/fields.hpp"

namespace prony::exchange {

namespace {

// Every field that its schema has and a Run does not tell, so that its readers find their keys.
void put_nulls(Json& out) {
  for (const char* name : {"steady_state_window", "total_flops", "flops_per_output_token", "flops_per_input_token",
                           "flops_per_second", "timeseries", "latency_stats", "multi_gpu", "thermal_throttle",
                           "warmup_result", "warmup_excluded_samples", "reproducibility_notes", "extended_metrics"})
    if (!out.contains(name)) out[name] = nullptr;
  out["process_results"] = Json::array();
}

void put_energy(Json& out, const Summary& summary, double input, double output) {
  if (!summary.headline_j) return;
  const double joules = summary.headline_j->value, tokens = input + output;
  out["total_energy_j"] = joules;
  if (output > 0) out["avg_energy_per_token_j"] = joules / output;
  if (tokens > 0) out["mj_per_tok_total"] = joules * 1e3 / tokens;
  Json devices = Json::array();
  double active = 0, idle = 0;
  bool has_active = true;
  for (const EnergyRow& row : summary.energy) {
    if (!row.ledger.headline) continue;
    if (row.ledger.gross) devices.push_back(row.ledger.gross->value);
    has_active = has_active && row.ledger.active && row.ledger.idle_w;
    if (row.ledger.active) active += row.ledger.active->value;
    if (row.ledger.idle_w) idle += row.ledger.idle_w->value;
  }
  out["energy_per_device_j"] = devices;
  out["energy_breakdown"] = {{"raw_j", joules}};
  if (has_active && !devices.empty()) {
    out["baseline_power_w"] = idle;
    out["energy_adjusted_j"] = active;  // below 0 where the idle machine drew more: it is not clipped here
    out["energy_breakdown"].update({{"adjusted_j", active}, {"baseline_power_w", idle}});
    if (tokens > 0) out["mj_per_tok_adjusted"] = active * 1e3 / tokens;
  }
  out["prony_headline_low_j"] = summary.headline_j->low;
  out["prony_headline_high_j"] = summary.headline_j->high;
  out["prony_headline_origin"] = std::string(to_string(summary.headline_origin()));
  if (output > 0) out["prony_run_gross_j_per_output_token"] = joules / output;
  if (tokens > 0) out["prony_run_gross_j_per_total_token"] = joules / tokens;
}

}  // namespace

Result<std::string> write_llenergymeasure(const Summary& summary, WallOffset wall) {
  if (summary.requests.empty()) return nothing_to_write(summary, "llenergymeasure");
  double input = 0, output = 0;
  bool told = true;
  for (const RequestRow* row : answered(summary)) {
    told = told && row->prompt_tokens && row->output_tokens;
    input += static_cast<double>(row->prompt_tokens.value_or(0));
    output += static_cast<double>(row->output_tokens.value_or(0));
  }
  const double window = summary.window.length().seconds().value();
  const std::string model = model_of(summary), started = summary.fact("run.started_utc");
  Json out{{"schema_version", "3.0"},
           {"experiment_id", model + "_" + started},
           {"engine", summary.fact("engine.name")},
           {"model_name", model},
           {"measurement_methodology", "total"},
           {"total_inference_time_sec", window},
           {"measurement_warnings", Json::array()},
           {"aggregation", nullptr}};
  if (told) {
    out["total_tokens"] = static_cast<std::int64_t>(input + output);
    if (window > 0) out["avg_tokens_per_second"] = (input + output) / window;
    out["prony_input_tokens"] = static_cast<std::int64_t>(input);
    out["prony_output_tokens"] = static_cast<std::int64_t>(output);
  } else {
    out["measurement_warnings"].push_back("not every request tells its tokens: none is added up");
  }
  put_energy(out, summary, told ? input : 0, told ? output : 0);
  if (!summary.headline_j) out["measurement_warnings"].push_back("no joules: the Run has none, or is too short");
  if (!summary.simulated.empty()) out["measurement_warnings"].push_back("simulated: no joule here is real");
  if (wall) {
    out["start_time"] = format_utc(summary.window.begin.ns + *wall);
    out["end_time"] = format_utc(summary.window.end.ns + *wall);
  }
  put_nulls(out);
  return json_text(out, 2);
}

}  // namespace prony::exchange
