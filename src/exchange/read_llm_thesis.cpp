// The aggregate of the thesis that LLenergyMeasure comes from ({task}_results.json): a list of
// {"CONFIGURATION_RUN_#id": {setup, variables, model_architecture, results}}, each run written twice; or its table.
//
// Its mistake: every rank runs all prompts and meters all of the node, joules are summed over ranks and tokens taken
// from one. So J per token is N² too high at N ranks. Here the node's joules are counted once (the mean of what the
// ranks say, who agree within their sampling) and the tokens of all ranks.
#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "exchange/parsing.hpp"
#include "exchange/thesis_table.hpp"

namespace prony::exchange {

namespace {

// metric → value by rank. What is there and below 0 goes into `notes`, where those are given.
std::vector<double> by_rank(const Found& ranks, const char* metric, std::vector<std::string>* notes = nullptr) {
  std::vector<double> values;
  std::size_t negative = 0;
  for (const auto& [rank, value] : object_at(ranks, metric).items()) {
    if (!value.is_number() || !std::isfinite(value.get<double>())) continue;
    if (value.get<double>() >= 0)
      values.push_back(value.get<double>());
    else
      ++negative;
  }
  if (negative > 0 && notes != nullptr)
    notes->push_back(std::string(metric) + " is below 0 for " + std::to_string(negative) + " processes: left out");
  return values;
}

struct Part {
  const char* metric;
  const char* name;
  const char* domain;
  Origin origin;
};
// What CodeCarbon 2.8 asks: NVML for GPUs; for CPU and memory a table where RAPL cannot be read (112.5 W throughout).
constexpr Part parts[] = {{"gpu_energy", "codecarbon.gpu.energy", "gpu", Origin::measured},
                          {"cpu_energy", "codecarbon.cpu.energy", "cpu", Origin::modelled},
                          {"ram_energy", "codecarbon.ram.energy", "dram", Origin::modelled}};
constexpr double joules_per_kwh = 3.6e6;
// What of it was metered and what came from a table is not told, so none of it passes for measured.
constexpr Part whole{"total_energy_joules", "codecarbon.total.energy", "node", Origin::modelled};

struct Entry {
  std::string id;         // what --select takes
  std::string told = {};  // the id in the file
  const Found* found = nullptr;
};

Result<std::vector<Entry>> entries_of(const Found& file, std::vector<std::string>& notes) {
  std::vector<Entry> all;
  std::size_t doubled = 0, number = 0, unnamed = 0, renamed = 0;
  if (!file.is_array()) return fail(ErrorCode::malformed, "not a list of runs", {}, "{task}_results.json is one.");
  for (const Found& one : file) {
    ++number;
    if (!one.is_object() || one.size() != 1 || !one.begin()->is_object()) {
      notes.push_back("entry " + std::to_string(number) + " is no run: left out");
      continue;
    }
    std::string told = one.begin().key();
    if (const auto hash = told.find('#'); hash != std::string::npos) told = told.substr(hash + 1);
    if (told == "null" || told == "None") told.clear();
    const auto is_same = [&](const Entry& before) { return before.told == told && *before.found == *one.begin(); };
    if (std::ranges::any_of(all, is_same)) {
      ++doubled;
      continue;
    }
    const std::string place = "entry-" + std::to_string(number);
    const bool taken = !told.empty() && std::ranges::find(all, told, &Entry::told) != all.end();
    unnamed += told.empty() ? 1 : 0;
    renamed += taken ? 1 : 0;
    const std::string id = told.empty() ? place : taken ? told + "-" + place : told;
    all.push_back({id, told, &*one.begin()});
  }
  if (doubled > 0) notes.push_back(std::to_string(doubled) + " entries that were there already: left out");
  if (unnamed > 0) notes.push_back(std::to_string(unnamed) + " entries have no id: they are entry-N here");
  if (renamed > 0)
    notes.push_back(std::to_string(renamed) +
                    " entries have the id of another run that was there already: they are ID-entry-N here");
  return all;
}

Result<const Found*> chosen(const std::vector<Entry>& entries, const std::string& wanted) {
  if (wanted.empty() && entries.size() == 1) return entries.front().found;
  std::string first;
  for (std::size_t i = 0; i < entries.size() && i < 8; ++i) first += (i > 0 ? ", " : "") + entries[i].id;
  for (const Entry& entry : entries)
    if (!wanted.empty() && entry.id == wanted) return entry.found;
  if (entries.empty()) return fail(ErrorCode::malformed, "no run is in the file", {});
  return fail(ErrorCode::usage,
              wanted.empty() ? "the file has " + std::to_string(entries.size()) + " runs: which one?"
                             : "the file has no run '" + printable(wanted, 40) + "'",
              "--select", "It has: " + printable(first, 200) + (entries.size() > 8 ? ", …" : ""));
}

std::string ratio_words(double joules, double tokens) {
  return tokens > 0 ? format_number(std::round(joules / tokens * 1e6) / 1e6) : std::string();
}

// The mean of what the ranks say, or their sum as written; 0 of none.
Result<double> node_joules(const std::vector<double>& each, double scale, bool as_written, const char* metric) {
  double sum = 0;
  for (const double one : each) sum += one * scale;
  const double value = as_written || each.empty() ? sum : sum / static_cast<double>(each.size());
  if (!(value < most_joules)) return fail(ErrorCode::malformed, "more joules than any node draws", metric);
  return value;
}

// Of each part; of the total where no part is told (Prony writes one so where a domain has no name there).
Result<std::vector<ReadJoules>> joules_of_ranks(const Found& ranks, bool as_written, Imported& out) {
  std::vector<ReadJoules> joules;
  double sum = 0;
  for (const Part& part : parts) {
    const auto each = by_rank(ranks, part.metric, &out.notes);
    if (each.empty()) {
      out.manifest.unavailable.push_back({part.name, "the file does not tell it", ""});
      continue;
    }
    const auto value = node_joules(each, joules_per_kwh, as_written, part.metric);
    if (!value) return Unexpected<Error>(value.error());
    joules.push_back({part.name, part.domain, part.origin, *value});
    sum += *value;
  }
  const auto each = by_rank(ranks, whole.metric, &out.notes);
  if (each.empty()) return joules;
  const auto total = node_joules(each, 1, as_written, whole.metric);
  if (!total) return Unexpected<Error>(total.error());
  const auto words = [](double value) { return format_number(std::round(value * 1e3) / 1e3) + " J"; };
  if (joules.empty()) {
    joules.push_back({whole.name, whole.domain, whole.origin, *total});
    out.notes.push_back("of its " + words(*total) +
                        " only the total is told, and not what of it was metered: it counts as modelled");
  } else if (std::abs(*total - sum) > 0.01 * std::max(*total, sum)) {
    out.notes.push_back("its parts add up to " + words(sum) + ", and its total is " + words(*total) +
                        ": the parts are taken");
  }
  return joules;
}

}  // namespace

Result<Imported> read_llm_thesis(std::string_view bytes, const ReadOptions& options) {
  Imported out;
  const auto file = is_thesis_table(bytes) ? thesis_of_table(bytes, out.notes) : json_document(bytes);
  if (!file) return Unexpected<Error>(file.error());
  const auto entries = entries_of(*file, out.notes);
  if (!entries) return Unexpected<Error>(entries.error());
  const auto run = chosen(*entries, options.select);
  if (!run) return Unexpected<Error>(run.error());
  const Found &setup = object_at(**run, "setup"), &results = object_at(**run, "results");
  const Found &inference = object_at(results, "inference_metrics"),
              &raw = object_at(inference, "raw_inference_metrics"),
              &global = object_at(results, "global_energy_metrics"),
              &ranks = object_at(global, "local_process_results");
  const auto seconds = number_at(object_at(inference, "inference_performance"), "total_inference_time_sec");
  if (!seconds || !(*seconds > 0) || *seconds > longest_s)
    return fail(ErrorCode::malformed, "the run does not tell how long it took", "total_inference_time_sec");
  const std::size_t processes = std::max<std::size_t>(by_rank(ranks, "total_energy_joules").size(), 1);
  const std::int64_t times = options.as_written ? 1 : static_cast<std::int64_t>(processes);
  const auto taken = joules_of_ranks(ranks, options.as_written, out);
  if (!taken) return Unexpected<Error>(taken.error());
  const std::vector<ReadJoules>& joules = *taken;
  double node = 0;
  for (const ReadJoules& one : joules) node += one.joules;
  const auto input = whole_at(raw, "total_input_tokens"), output = whole_at(raw, "total_generated_tokens");
  constexpr std::int64_t most_tokens = std::int64_t{1} << 50;
  const auto of_all = [&](const std::optional<std::int64_t>& tokens) -> std::optional<std::int64_t> {
    return tokens && *tokens >= 0 && *tokens < most_tokens / times ? std::optional(*tokens * times) : std::nullopt;
  };
  ReadRequest request;
  request.name = "all prompts";
  request.e2e_s = *seconds;
  request.prompt_tokens = of_all(input);
  request.output_tokens = of_all(output);
  out.notes.emplace_back(
      "one row stands for all prompts: the file has no times of single ones; padding is counted as "
      "tokens, and simulated waits are in the time");
  if (processes > 1 && output && *output > 0) {
    double summed = 0;
    for (const double one : by_rank(ranks, "total_energy_joules")) summed += one;
    const std::string reported = ratio_words(summed, static_cast<double>(*output)),
                      corrected = ratio_words(summed / static_cast<double>(processes),
                                              static_cast<double>(*output) * static_cast<double>(processes));
    add_fact(out, "import.reported_j_per_output_token", reported);
    add_fact(out, "import.corrected_j_per_output_token", corrected);
    out.notes.push_back(std::to_string(processes) +
                        " processes each ran all prompts and metered the whole node, and the "
                        "file adds their joules up over the tokens of one: " +
                        reported +
                        " J per output token. The node "
                        "counted once over the tokens of all: " +
                        corrected + " J" + (options.as_written ? " (left as written)" : " (corrected here)"));
  }
  if (!joules.empty()) {
    add_fact(out, "import.node_j", format_number(std::round(node * 1e3) / 1e3));
    out.notes.emplace_back(
        "the file has one total for each part, and nothing that tells how far it may be off: it is "
        "kept as recorded (recorded_j, import.node_j), and no figure with low and high is made of it");
  }
  add_fact(out, "model.name", text_at(setup, "model"));
  add_fact(out, "engine.name", text_at(object_at(**run, "variables"), "backend"));
  add_fact(out, "machine.cpu_model", text_at(setup, "cpu_model"));
  add_fact(out, "machine.gpu_model", text_at(setup, "gpu_model"));
  add_fact(out, "import.config_name", text_at(object_at(**run, "variables"), "config_name"));
  add_fact(out, "import.date", text_at(setup, "date_time"));
  add_fact(out, "import.processes", std::to_string(processes));
  add_joules(out, "codecarbon", joules, *seconds);
  add_spans(out, {request}, *seconds);
  return out;
}

}  // namespace prony::exchange
