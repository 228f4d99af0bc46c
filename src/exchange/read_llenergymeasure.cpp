// LLenergyMeasure's results: result.json of its version 0.9 (schema 3.0), and of the versions before (`lem`) the file
// of one process and the aggregate over processes. What is known of them: docs/import.md.
#include <algorithm>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

constexpr std::size_t most_processes = 4096;

std::string short_number(double value) { return format_number(std::round(value * 1e6) / 1e6); }

bool can_be_joules(double value) { return value >= 0 && value < most_joules; }

// What is there and cannot be joules is told.
std::optional<double> joules_at(const Found& object, const char* name, std::vector<std::string>& notes) {
  const auto value = number_at(object, name);
  if (!value || can_be_joules(*value)) return value;
  std::string note = std::string(name) + " is " + short_number(*value) + ", which no joules can be: left out";
  if (std::ranges::find(notes, note) == notes.end() && notes.size() < 100) notes.push_back(std::move(note));
  return std::nullopt;
}

std::optional<std::int64_t> counted_tokens(const Found& object, const char* name) {
  const auto value = whole_at(object, name);
  return value && *value >= 0 && *value < (std::int64_t{1} << 50) ? value : std::nullopt;
}

// One process, as both of the older files have it.
struct ProcessResult {
  std::optional<std::int64_t> index, input, output;
  std::string gpu;  // "": the file does not say which
  double seconds = 0;
  std::optional<double> total_j, gpu_j, cpu_j, ram_j, rate;
};

Result<ProcessResult> process_from(const Found& found, std::vector<std::string>& notes) {
  const Found &inference = object_at(found, "inference_metrics"), &energy = object_at(found, "energy_metrics");
  ProcessResult out;
  out.index = whole_at(found, "process_index");
  out.gpu = text_at(found, "gpu_id");
  if (const auto number = whole_at(found, "gpu_id")) out.gpu = std::to_string(*number);
  const auto seconds = number_at(inference, "inference_time_sec");
  if (!seconds || !(*seconds > 0) || *seconds > longest_s)
    return fail(ErrorCode::malformed, "a process does not tell how long it took", "inference_time_sec");
  out.seconds = *seconds;
  out.input = counted_tokens(inference, "input_tokens");
  out.output = counted_tokens(inference, "output_tokens");
  out.rate = number_at(inference, "tokens_per_second");
  out.total_j = joules_at(energy, "total_energy_j", notes);
  out.gpu_j = joules_at(energy, "gpu_energy_j", notes);
  out.cpu_j = joules_at(energy, "cpu_energy_j", notes);
  out.ram_j = joules_at(energy, "ram_energy_j", notes);
  return out;
}

std::optional<double> added(const std::optional<double>& a, const std::optional<double>& b) {
  return a || b ? std::optional(a.value_or(0) + b.value_or(0)) : std::nullopt;
}

// Joules of processes that met the same GPU are of one GPU: their mean counts, once.
struct ProcessSum {
  std::optional<double> gpu_j, cpu_j, ram_j;
  std::optional<std::int64_t> input, output;
  double seconds = 0;
  std::size_t shared = 0;  // processes that share a GPU with one before
};

ProcessSum sum_of(const std::vector<ProcessResult>& all, bool as_written) {
  ProcessSum sum;
  std::map<std::string, std::pair<double, std::size_t>> by_gpu;
  std::size_t nameless = 0;
  const bool counted = std::ranges::all_of(all, [](const ProcessResult& p) { return p.input && p.output; });
  for (const ProcessResult& one : all) {
    sum.seconds = std::max(sum.seconds, one.seconds);
    if (counted) {
      sum.input = sum.input.value_or(0) + *one.input;
      sum.output = sum.output.value_or(0) + *one.output;
    }
    const std::string name = one.gpu.empty() ? "?" + std::to_string(nameless++) : one.gpu;
    const auto joules = one.gpu_j ? one.gpu_j : one.cpu_j || one.ram_j ? std::nullopt : one.total_j;
    if (joules) {
      auto& [total, count] = by_gpu[name];
      sum.shared += count > 0 ? 1 : 0;
      total += *joules;
      ++count;
    }
    sum.cpu_j = added(sum.cpu_j, one.cpu_j);
    sum.ram_j = added(sum.ram_j, one.ram_j);
  }
  for (const auto& [name, joules] : by_gpu)
    sum.gpu_j = sum.gpu_j.value_or(0) + joules.first / (as_written ? 1.0 : static_cast<double>(joules.second));
  return sum;
}

void add_request(Imported& out, std::optional<std::int64_t> input, std::optional<std::int64_t> output, double seconds) {
  ReadRequest request;
  request.name = "all prompts";
  request.e2e_s = seconds;
  request.prompt_tokens = input;
  request.output_tokens = output;
  out.notes.emplace_back("one row stands for all prompts: the file has no times of single ones");
  add_spans(out, {request}, seconds);
}

void add_what_it_was(Imported& out, const Found& file) {
  add_fact(out, "model.name", text_at(file, "model_name"));
  for (const char* name : {"engine", "backend"}) add_fact(out, "engine.name", text_at(file, name));
  for (const char* name : {"engine_version", "backend_version"}) add_fact(out, "engine.version", text_at(file, name));
  add_fact(out, "machine.gpu_model", text_at(file, "gpu_name"));
  add_fact(out, "import.experiment", text_at(file, "experiment_id"));
  std::string date = text_at(file, "start_time");
  if (date.empty()) date = text_at(object_at(file, "timestamps"), "start");
  add_fact(out, "import.date", std::move(date));
}

Result<Imported> of_processes(const Found& file, const std::vector<const Found*>& found, const ReadOptions& options) {
  if (found.size() > most_processes)
    return fail(ErrorCode::full, "more than " + std::to_string(most_processes) + " processes", "process_results");
  Imported out;
  std::vector<ProcessResult> all;
  std::size_t doubled = 0;
  for (const Found* one : found) {
    auto process = process_from(*one, out.notes);
    if (!process) return Unexpected<Error>(process.error());
    const bool there = process->index && std::ranges::any_of(all, [&](const ProcessResult& before) {
                         return before.index == process->index;
                       });
    if (there)
      ++doubled;
    else
      all.push_back(std::move(*process));
  }
  if (doubled > 0) out.notes.push_back(std::to_string(doubled) + " processes that were there already: left out");
  const ProcessSum sum = sum_of(all, options.as_written);
  if (sum.shared > 0)
    out.notes.push_back(std::to_string(sum.shared) +
                        " processes metered a GPU that another of them metered too, and the file adds them up" +
                        (options.as_written ? " (left as written)" : ": each GPU counts once here, with their mean"));
  if (all.size() > 1 && std::ranges::any_of(all, [](const ProcessResult& p) { return p.gpu.empty(); }))
    out.notes.emplace_back("a process does not say which GPU it metered: it is taken for one of its own");
  add_what_it_was(out, file);
  add_fact(out, "import.processes", std::to_string(all.size()));
  if (all.size() > 1)
    out.notes.emplace_back(
        "its tokens per second are the mean over processes; here they are all tokens over the longest time");
  out.notes.emplace_back(
      "energy_per_token_j, emissions and durations that it writes as 0 were never filled: they are not taken");
  std::vector<ReadJoules> joules;
  if (sum.gpu_j) joules.push_back({"llenergymeasure.gpu.energy", "gpu", Origin::measured, *sum.gpu_j});
  if (sum.cpu_j && *sum.cpu_j > 0)
    joules.push_back({"llenergymeasure.cpu.energy", "cpu", Origin::modelled, *sum.cpu_j});
  if (sum.ram_j && *sum.ram_j > 0)
    joules.push_back({"llenergymeasure.ram.energy", "dram", Origin::modelled, *sum.ram_j});
  add_joules(out, "llenergymeasure", joules, sum.seconds);
  add_request(out, sum.input, sum.output, sum.seconds);
  return out;
}

// Its output tokens are not stored, but joules over them are; where those were over all tokens the split is not known.
std::optional<std::int64_t> output_of(const Found& file, const std::optional<double>& joules,
                                      const std::optional<std::int64_t>& all) {
  const auto ours = counted_tokens(file, "prony_output_tokens");
  if (ours && all && *ours <= *all) return ours;
  const auto each = number_at(file, "avg_energy_per_token_j");
  if (!joules || !each || !(*each > 0) || !all) return std::nullopt;
  const double tokens = *joules / *each;
  const double whole = std::round(tokens);
  if (std::abs(tokens - whole) > 0.02 || whole < 1 || whole > static_cast<double>(*all) - 0.5) return std::nullopt;
  return static_cast<std::int64_t>(whole);
}

void add_baseline(Imported& out, const Found& file, double joules, double seconds, bool as_written) {
  const auto idle_w = number_at(file, "baseline_power_w"), adjusted = number_at(file, "energy_adjusted_j");
  if (idle_w) add_fact(out, "import.baseline_w", short_number(*idle_w));
  if (!adjusted) return;
  const double net = idle_w ? joules - *idle_w * seconds : *adjusted;
  const bool clipped = idle_w && *adjusted == 0 && net < 0;
  add_fact(out, "import.net_of_idle_j", short_number(clipped && !as_written ? net : *adjusted));
  if (clipped)
    out.notes.push_back("energy_adjusted_j is 0 because it was cut off there: it is " + short_number(net) + " J" +
                        (as_written ? " (left as written)" : " (corrected here)"));
  if (joules > 0 && *adjusted < 0.5 * joules)
    out.notes.emplace_back("more than half of its joules are taken for idle: a small rest of two large figures");
}

// Of each device; the total where they are not told, or not all of them. Of joules that Prony wrote so, their origin.
std::vector<ReadJoules> device_joules(const Found& file, const std::optional<double>& total,
                                      std::vector<std::string>& notes) {
  const Origin origin = origin_from(text_at(file, "prony_headline_origin")).value_or(Origin::measured);
  std::vector<ReadJoules> joules;
  double sum = 0;
  const auto devices = file.find("energy_per_device_j");
  const std::size_t told =
      devices != file.end() && devices->is_array() && devices->size() <= 1024 ? devices->size() : std::size_t{0};
  for (std::size_t i = 0; i < told; ++i) {
    const Found& device = (*devices)[i];
    if (!device.is_number() || !can_be_joules(device.get<double>())) continue;
    joules.push_back({"llenergymeasure.gpu" + std::to_string(i) + ".energy", "gpu", origin, device.get<double>()});
    sum += device.get<double>();
  }
  if (joules.size() < told)
    notes.push_back("energy_per_device_j has " + std::to_string(told - joules.size()) + " of " + std::to_string(told) +
                    " entries without joules" + (total ? ": the total is taken" : ": those are left out"));
  if (total && joules.size() == told && told > 0 && std::abs(sum - *total) > 0.01 * std::max(sum, *total))
    notes.push_back("energy_per_device_j adds up to " + short_number(sum) + " J, and total_energy_j is " +
                    short_number(*total) + " J: the devices' are taken");
  if (total && (joules.empty() || joules.size() < told))
    joules = {{"llenergymeasure.gpu.energy", "gpu", origin, *total}};
  return joules;
}

Result<Imported> of_result(const Found& file, const ReadOptions& options) {
  const auto seconds = number_at(file, "total_inference_time_sec");
  if (!seconds || !(*seconds > 0) || *seconds > longest_s)
    return fail(ErrorCode::malformed, "the result does not tell how long it took", "total_inference_time_sec");
  Imported out;
  add_what_it_was(out, file);
  const auto total = joules_at(file, "total_energy_j", out.notes);
  const auto tokens = counted_tokens(file, "total_tokens");
  const auto output = output_of(file, total, tokens);
  const std::vector<ReadJoules> joules = device_joules(file, total, out.notes);
  add_joules(out, "llenergymeasure", joules, *seconds);
  if (total) {
    add_fact(out, "import.total_energy_j", short_number(*total));
    add_baseline(out, file, *total, *seconds, options.as_written);
    out.notes.emplace_back("its joules are of GPUs alone, metered from before the timed section to after it");
  } else if (joules.empty()) {
    out.manifest.unavailable.push_back({"llenergymeasure.gpu.energy", "the file does not tell it", ""});
  }
  if (tokens && !output)
    out.notes.push_back("its " + std::to_string(*tokens) +
                        " tokens are of prompts and answers together, and nothing tells them apart: none is taken");
  else if (output)
    out.notes.emplace_back(
        "avg_tokens_per_second is of prompts and answers together; output tokens are those that avg_energy_per_token_j "
        "is made with, padding and what follows an answer's end among them");
  const auto warnings = file.find("measurement_warnings");
  if (warnings != file.end() && warnings->is_array())
    for (const Found& warning : *warnings)
      if (warning.is_string() && out.notes.size() < 100)
        out.notes.push_back("it warned itself: " + printable(warning.get<std::string>(), 200));
  add_request(out, output ? std::optional(*tokens - *output) : std::nullopt, output, *seconds);
  return out;
}

}  // namespace

Result<Imported> read_llenergymeasure(std::string_view bytes, const ReadOptions& options) {
  const auto file = json_document(bytes);
  if (!file) return Unexpected<Error>(file.error());
  if (file->is_object() && file->contains("inference_metrics")) return of_processes(*file, {&*file}, options);
  std::vector<const Found*> processes;
  const auto results = file->is_object() ? file->find("process_results") : file->end();
  if (file->is_object() && results != file->end() && results->is_array())
    for (const Found& one : *results)
      if (one.is_object() && one.contains("inference_metrics")) processes.push_back(&one);
  if (!processes.empty()) return of_processes(*file, processes, options);
  if (file->is_object() && file->contains("total_inference_time_sec")) return of_result(*file, options);
  return fail(ErrorCode::malformed, "neither a result nor a process of LLenergyMeasure", {},
              "It reads result.json, process_N.json and aggregated/*.json; of the thesis: --from llm-thesis.");
}

}  // namespace prony::exchange
