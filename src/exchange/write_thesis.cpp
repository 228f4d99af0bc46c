// The files of the thesis that LLenergyMeasure comes from: its aggregate, its table, and raw_results/{id}. Names and
// units are its own (kWh; tokens per joule); what a Run does not tell is null there and "NA" in the table, never 0.
// Where it is known to have been wrong, what is right stands under its names: tokens are real ones, without padding,
// and joules and tokens are of the same processes. There is one process, for a Run meters each domain once.
#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "exchange/fields.hpp"

namespace prony::exchange {

namespace {

constexpr double joules_a_kwh = 3.6e6;

// "April 23, 2025 at 10:59:57 PM", of UTC.
std::string thesis_date(std::int64_t wall_ns) {
  constexpr std::array<const char*, 12> months{"January", "February", "March",     "April",   "May",      "June",
                                               "July",    "August",   "September", "October", "November", "December"};
  const std::string utc = format_utc(wall_ns);  // 2025-04-23T22:59:57…
  if (utc.size() < 19) return utc;
  const auto part = [&](std::size_t at, std::size_t size) { return parse_u64(utc.substr(at, size)).value_or(0); };
  const std::uint64_t month = part(5, 2), hour = part(11, 2);
  if (month < 1 || month > 12) return utc;
  const std::uint64_t of_twelve = hour % 12 == 0 ? 12 : hour % 12;
  return std::string(months[static_cast<std::size_t>(month - 1)]) + " " + std::to_string(part(8, 2)) + ", " +
         utc.substr(0, 4) + " at " + (of_twelve < 10 ? "0" : "") + std::to_string(of_twelve) + utc.substr(13, 6) +
         (hour < 12 ? " AM" : " PM");
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json fact_number(const std::string& text) {
  if (const auto whole = parse_i64(text)) return *whole;
  const auto value = parse_finite(text);
  return value ? Json(*value) : Json();
}

Json first_number(const Summary& summary, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (Json value = fact_number(summary.fact(key)); !value.is_null()) return value;
  return {};
}

// By what CodeCarbon calls them; a domain that it has no name for (a board, a plug) is in the total alone.
struct ThesisJoules {
  std::optional<double> cpu, gpu, ram, total;
};

ThesisJoules joules_of(const Summary& summary) {
  ThesisJoules out;
  if (!summary.headline_j) return out;
  out.total = summary.headline_j->value;
  for (const EnergyRow& row : summary.energy) {
    if (!row.ledger.headline || !row.ledger.gross) continue;
    const std::string& domain = row.channel.domain;
    std::optional<double>* into = nullptr;
    if (domain.starts_with("gpu")) into = &out.gpu;
    if (domain.starts_with("dram")) into = &out.ram;
    if (domain.starts_with("package") || domain.starts_with("cpu")) into = &out.cpu;
    if (into != nullptr) *into = into->value_or(0) + row.ledger.gross->value;
  }
  return out;
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json scaled(const std::optional<double>& value, double by) { return value ? Json(*value * by) : Json(); }

struct ThesisParts {
  Json setup, variables, architecture, inference, compute, local, global;
};

Json setup_json(const Summary& summary, WallOffset wall, const std::string& id) {
  const std::string cycle = summary.fact("study.cycle"), system = summary.fact("machine.kernel");
  return {{"experiment_id", id},
          {"cycle_id", fact_number(cycle)},
          {"date_time", wall ? Json(thesis_date(summary.window.begin.ns + *wall)) : Json()},
          {"model", text_or_null(model_of(summary))},
          {"is_encoder_decoder", false},
          {"task_type", "text_generation"},
          {"available_gpu_count", nullptr},
          {"gpu_model", text_or_null(summary.fact("machine.gpu_model"))},
          {"available_cpu_count", first_number(summary, {"machine.cpus", "machine.cpus_online"})},
          {"cpu_model", text_or_null(summary.fact("machine.cpu_model"))},
          {"os", text_or_null(system)},
          {"python_version", nullptr},
          {"country", nullptr},
          {"region", nullptr}};
}

Json variables_json(const Summary& summary, std::size_t prompts) {
  Json decoder = {{"decoding_mode", nullptr}};
  decoder["decoder_temperature"] = first_number(summary, {"setting.temperature"});
  decoder["decoder_top_k"] = first_number(summary, {"setting.top-k"});
  decoder["decoder_top_p"] = first_number(summary, {"setting.top-p"});
  return {{"config_name", text_or_null(summary.fact("tag.study.variant"))},
          {"max_input_tokens", first_number(summary, {"setting.truncate-prompt"})},
          {"max_output_tokens", first_number(summary, {"setting.max-tokens"})},
          {"number_input_prompts", prompts},
          {"decode_token_to_text", true},
          {"decoder_config", std::move(decoder)},
          {"query_rate", nullptr},
          {"latency_simulation", Json::object()},
          {"fp_precision", text_or_null(summary.fact("model.quant"))},
          {"quantisation", Json::object()},
          {"batching_options", Json::object()},
          {"sharding_config", Json::object()},
          {"accelerate_config", {{"distributed_type", "NO"}, {"num_processes", 1}}},
          {"inference_type", "pure_generative"},
          {"backend", text_or_null(summary.fact("engine.name"))}};
}

struct ThesisTokens {
  std::optional<double> input, output;  // of all answered requests; absent where one of them does not tell
  std::size_t requests = 0;
};

ThesisTokens tokens_of(const Summary& summary) {
  ThesisTokens out;
  double input = 0, output = 0;
  bool told = true;
  for (const RequestRow* row : answered(summary)) {
    ++out.requests;
    told = told && row->prompt_tokens && row->output_tokens;
    input += static_cast<double>(row->prompt_tokens.value_or(0));
    output += static_cast<double>(row->output_tokens.value_or(0));
  }
  if (told && out.requests > 0) {
    out.input = input;
    out.output = output;
  }
  return out;
}

Json whole_or_null(const std::optional<double>& value) {
  return value ? Json(static_cast<std::int64_t>(*value)) : Json();
}

Json inference_json(const Summary& summary, const ThesisTokens& tokens, double seconds) {
  std::optional<double> latency_ms;
  double sum = 0;
  bool timed = tokens.requests > 0;
  for (const RequestRow* row : answered(summary)) {
    timed = timed && row->e2e_s;
    sum += row->e2e_s.value_or(0);
  }
  if (timed) latency_ms = sum * 1e3 / static_cast<double>(tokens.requests);
  const auto rate = [&](const std::optional<double>& count) {
    return count && seconds > 0 ? Json(*count / seconds) : Json();
  };
  return {{"raw_inference_metrics",
           {{"number_input_prompts", tokens.requests},
            {"total_input_tokens", whole_or_null(tokens.input)},
            {"total_generated_tokens", whole_or_null(tokens.output)}}},
          {"inference_performance",
           {{"total_inference_time_sec", seconds},
            {"average_latency_ms_per_batch", or_null(latency_ms)},
            {"throughput_queries_per_sec", rate(static_cast<double>(tokens.requests))},
            {"throughput_tokens_per_sec", rate(tokens.output)}}}};
}

Json energy_json(const ThesisJoules& joules, double seconds) {
  const double per_s = seconds > 0 ? 1 / seconds : 0;
  return {{"cpu_power", scaled(joules.cpu, per_s)},
          {"gpu_power", scaled(joules.gpu, per_s)},
          {"ram_power", scaled(joules.ram, per_s)},
          {"cpu_energy", scaled(joules.cpu, 1 / joules_a_kwh)},
          {"gpu_energy", scaled(joules.gpu, 1 / joules_a_kwh)},
          {"ram_energy", scaled(joules.ram, 1 / joules_a_kwh)},
          {"total_energy_kwh", scaled(joules.total, 1 / joules_a_kwh)},
          {"total_energy_joules", or_null(joules.total)},
          {"final_emissions", nullptr}};
}

Json global_json(const Json& local, const ThesisJoules& joules, const ThesisTokens& tokens, double seconds,
                 const std::string& id) {
  Json by_process = Json::object();
  for (const auto& [metric, value] : local.items()) by_process[metric] = {{"process_0", value}};
  const auto ratio = [](const std::optional<double>& a, const std::optional<double>& b) {
    return a && b && *b > 0 ? Json(*a / *b) : Json();
  };
  const double per_s = seconds > 0 ? 1 / seconds : 0;
  Json all = {{"cpu_power_avg", scaled(joules.cpu, per_s)},    {"gpu_power_avg", scaled(joules.gpu, per_s)},
              {"ram_power_avg", scaled(joules.ram, per_s)},    {"cpu_energy_total", local["cpu_energy"]},
              {"gpu_energy_total", local["gpu_energy"]},       {"ram_energy_total", local["ram_energy"]},
              {"total_energy_kwh", local["total_energy_kwh"]}, {"total_energy_joules", local["total_energy_joules"]}};
  return {{"experiment_id", id},
          {"local_process_results", std::move(by_process)},
          {"global_experiment_results", std::move(all)},
          {"global_derived_quantities",
           {{"tokens_per_joule", ratio(tokens.output, joules.total)},
            {"joules_per_token", ratio(joules.total, tokens.output)},
            {"flops_per_joule", nullptr},
            {"joules_per_flop", nullptr}}},
          {"per-process_emissions", Json::array()}};
}

ThesisParts parts_of_thesis(const Summary& summary, WallOffset wall, const std::string& id) {
  ThesisParts out;
  const ThesisTokens tokens = tokens_of(summary);
  const ThesisJoules joules = joules_of(summary);
  const double seconds = summary.window.length().seconds().value();
  out.setup = setup_json(summary, wall, id);
  out.variables = variables_json(summary, tokens.requests);
  out.architecture = {{"total_params", first_number(summary, {"model.parameters"})},
                      {"num_hidden_layers", first_number(summary, {"model.layers"})},
                      {"hidden_size", first_number(summary, {"model.hidden", "model.embedding"})},
                      {"num_attention_heads", first_number(summary, {"model.heads"})},
                      {"intermediate_size", first_number(summary, {"model.feed_forward"})}};
  out.inference = inference_json(summary, tokens, seconds);
  out.compute = {{"flops", nullptr},
                 {"memory",
                  {{"gpu_current_memory_allocated_bytes", nullptr},
                   {"gpu_max_memory_allocated_bytes", nullptr},
                   {"gpu_current_memory_reserved_bytes", nullptr},
                   {"gpu_max_memory_reserved_bytes", nullptr}}},
                 {"compute_utilisation",
                  {{"gpu_utilization_percent", Json::array()},
                   {"cpu_usage_percent", nullptr},
                   {"cpu_memory_usage_bytes", whole_or_null(summary.process_total("rss_peak_bytes"))}}}};
  out.local = energy_json(joules, seconds);
  out.global = global_json(out.local, joules, tokens, seconds, id);
  return out;
}

Json entry_json(const ThesisParts& parts) {
  return {{"setup", parts.setup},
          {"variables", parts.variables},
          {"model_architecture", parts.architecture},
          {"results",
           {{"inference_metrics", parts.inference},
            {"compute_metrics", parts.compute},
            {"global_energy_metrics", parts.global},
            {"local_energy_results", Json::object()}}}};
}

// Nested names joined with "_", entries of lists by number; "results" and the name of its part are left out.
void flatten(const Json& value, const std::string& prefix, std::vector<std::pair<std::string, std::string>>& out) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) flatten(inner, prefix.empty() ? key : prefix + "_" + key, out);
  } else if (value.is_array()) {
    std::size_t number = 0;
    for (const Json& inner : value) flatten(inner, prefix + "_" + std::to_string(number++), out);
  } else if (value.is_null()) {
    out.emplace_back(prefix, "NA");
  } else {
    out.emplace_back(prefix, value.is_string() ? value.get<std::string>() : value.dump());
  }
}

}  // namespace

Result<std::string> write_thesis(const Summary& summary, WallOffset wall) {
  if (summary.requests.empty()) return nothing_to_write(summary, "llm-thesis");
  Json all = Json::array();
  all.push_back(Json::object());
  all.back()["CONFIGURATION_RUN_#0001"] = entry_json(parts_of_thesis(summary, wall, "0001"));
  return json_text(all, 4);
}

Result<std::string> write_thesis_csv(const Summary& summary, WallOffset wall) {
  if (summary.requests.empty()) return nothing_to_write(summary, "llm-thesis-csv");
  const ThesisParts parts = parts_of_thesis(summary, wall, "0001");
  std::vector<std::pair<std::string, std::string>> cells;
  for (const Json* part :
       {&parts.setup, &parts.variables, &parts.architecture, &parts.inference, &parts.compute, &parts.global})
    flatten(*part, "", cells);
  std::string names, values;
  std::vector<std::string> seen;
  for (const auto& [name, value] : cells) {
    if (std::ranges::find(seen, name) != seen.end()) continue;  // the id, and the number of prompts, are there twice
    names += (seen.empty() ? "" : ",") + csv_field(name);
    values += (seen.empty() ? "" : ",") + csv_field(value);
    seen.push_back(name);
  }
  return names + "\n" + values + "\n";
}

Result<std::vector<RawFile>> thesis_raw_files(const Summary& summary, WallOffset wall, const std::string& id) {
  if (summary.requests.empty()) return nothing_to_write(summary, "llm-thesis");
  const ThesisParts parts = parts_of_thesis(summary, wall, id);
  const Json local = {{"process_id", 0}, {"local_process_index", 0}, {"energy_results", parts.local}};
  return std::vector<RawFile>{{id + "_1_experiment_setup.json", json_text(parts.setup, 4)},
                              {id + "_2_experiment_variables.json", json_text(parts.variables, 4)},
                              {id + "_3_model_architecture.json", json_text(parts.architecture, 4)},
                              {id + "_4_inference_metrics.json", json_text(parts.inference, 4)},
                              {id + "_5_compute_metrics.json", json_text(parts.compute, 4)},
                              {id + "_6_local_energy_results_process_0.json", json_text(local, 4)},
                              {id + "_7_global_energy_results.json", json_text(parts.global, 4)}};
}

}  // namespace prony::exchange
