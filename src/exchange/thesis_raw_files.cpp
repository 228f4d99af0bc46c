// The folder raw_results/{id} of the thesis that LLenergyMeasure comes from, as one entry of its aggregate:
// {id}_1_experiment_setup.json … {id}_7_global_energy_results.json, and a file _6_ for each rank. Where the last,
// which rank 0 wrote, is missing or not whole, the ranks' own files say the same.
#include <array>
#include <map>
#include <set>

#include "base/text.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

constexpr std::size_t raw_setup = 1, raw_variables = 2, raw_architecture = 3, raw_inference = 4, raw_compute = 5,
                      raw_rank = 6, raw_global = 7;

struct RawName {
  std::string id;
  std::size_t part = 0;  // 0: none of them
};

// "0042_6_local_energy_results_process_3.json" → {"0042", 6}.
RawName raw_name(std::string_view name) {
  if (!name.ends_with(".json")) return {};
  const auto words = split(name, '_');
  if (words.size() < 3 || words[1].size() != 1 || words[1][0] < '1' || words[1][0] > '8') return {};
  return {std::string(words[0]), static_cast<std::size_t>(words[1][0] - '0')};
}

struct RawRun {
  std::array<Found, 9> parts;
  std::map<std::string, Found> ranks;  // "process_0" → its energy_results
  std::string id;
};

std::string rank_key(const Found& file, std::size_t number) {
  for (const char* name : {"local_process_index", "process_id"}) {
    if (const auto index = whole_at(file, name)) return "process_" + std::to_string(*index);
    if (const std::string text = text_at(file, name); !text.empty()) return "process_" + text;
  }
  return "process_unnamed_" + std::to_string(number);
}

void add_rank(RawRun& run, Found file, const std::string& name, std::vector<std::string>& notes) {
  const std::string key = rank_key(file, run.ranks.size());
  const Found& energy = object_at(file, "energy_results");
  if (energy.empty())
    notes.push_back(printable(name, 80) + " tells no energy: left out");
  else if (!run.ranks.emplace(key, energy).second)
    notes.push_back(printable(name, 80) + " is of a process that was there already: left out");
}

Found global_of(const RawRun& run, std::vector<std::string>& notes) {
  Found out = run.parts[raw_global].is_object() ? run.parts[raw_global] : Found::object();
  if (!object_at(out, "local_process_results").empty() || run.ranks.empty()) return out;
  notes.push_back("the file of all processes is missing or empty: made of the files of " +
                  std::to_string(run.ranks.size()));
  Found local = Found::object();
  for (const auto& [process, results] : run.ranks)
    for (const auto& [metric, value] : results.items()) local[metric][process] = value;
  out["local_process_results"] = std::move(local);
  return out;
}

}  // namespace

Result<std::string> thesis_of_raw_files(std::span<const RawFile> files, std::vector<std::string>& notes) {
  RawRun run;
  std::set<std::string> ids;
  for (const RawFile& file : files) {
    const RawName name = raw_name(file.name);
    if (name.part == 0 || name.part > raw_global) continue;
    ids.insert(name.id);
    run.id = name.id;
    Found found = Found::parse(file.bytes, nullptr, false);
    if (!found.is_object()) {
      if (name.part == raw_inference)
        return fail(ErrorCode::malformed, "not JSON, or not written to its end", printable(file.name, 80),
                    "Without it nothing is known of the run's time and tokens.");
      notes.push_back(printable(file.name, 80) + " is not JSON, or not written to its end: left out");
    } else if (name.part == raw_rank) {
      add_rank(run, std::move(found), file.name, notes);
    } else {
      run.parts[name.part] = std::move(found);
    }
  }
  if (ids.size() > 1)
    return fail(ErrorCode::usage, "files of " + std::to_string(ids.size()) + " runs are in the folder", {},
                "Name the folder of one run:  raw_results/0042");
  if (!run.parts[raw_inference].is_object())
    return fail(ErrorCode::malformed, "no {id}_4_inference_metrics.json is in the folder", {},
                "raw_results/{id} of the thesis has one.");
  const auto processes = whole_at(object_at(run.parts[raw_variables], "accelerate_config"), "num_processes");
  if (processes && *processes > 0 && !run.ranks.empty() && static_cast<std::size_t>(*processes) != run.ranks.size())
    notes.push_back("energy of " + std::to_string(run.ranks.size()) + " of " + std::to_string(*processes) +
                    " processes is in the folder");
  const auto whole = [](Found& part) { return part.is_object() ? std::move(part) : Found::object(); };
  Found results = {{"compute_metrics", whole(run.parts[raw_compute])},
                   {"global_energy_metrics", global_of(run, notes)}};
  results["inference_metrics"] = whole(run.parts[raw_inference]);
  Found entry = {{"setup", whole(run.parts[raw_setup])},
                 {"variables", whole(run.parts[raw_variables])},
                 {"model_architecture", whole(run.parts[raw_architecture])}};
  entry["results"] = std::move(results);
  Found all = Found::array();
  all.push_back(Found::object());
  all.back()["CONFIGURATION_RUN_#" + run.id] = std::move(entry);
  return all.dump(-1, ' ', false, Found::error_handler_t::replace);
}

}  // namespace prony::exchange
