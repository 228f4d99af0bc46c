// The CSV files of MonitorSystem in Python: samples of the hardware, prompts, and the only file of its first version,
// whose cells are texts ("Temperature: 57.1, Frequency: 154618968072, …"). Stamps are dates or a number since 1970 in
// s, ms, µs or ns, told apart by its size. Its clock rate was read to the base 16: 2400023808 Hz is 154618968072 there.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/text.hpp"
#include "exchange/csv_table.hpp"
#include "exchange/monitorsystem_samples.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

constexpr std::int64_t latest_ns = 7'258'118'400'000'000'000;  // the year 2200

std::optional<std::int64_t> stamp_ns(const std::string& text) {
  if (const auto date = local_ns(text)) return date;
  const auto number = parse_finite(text);
  if (!number || !(*number >= 1e8)) return std::nullopt;
  const double ns = *number < 1e11   ? *number * 1e9
                    : *number < 1e14 ? *number * 1e6
                    : *number < 1e17 ? *number * 1e3
                                     : *number;
  if (!(ns < static_cast<double>(latest_ns))) return std::nullopt;
  if (const auto whole = parse_i64(text); whole && *number >= 1e17) return *whole;  // a double has no ns of today
  return static_cast<std::int64_t>(ns);
}

// "154618968072" → 2.400023808e9: its hexadecimal digits are the decimal ones that the board printed.
std::optional<double> clock_hz(const std::optional<double>& value, bool& corrected) {
  if (!value || *value < 1e6 || *value > 1e15) return std::nullopt;
  if (*value < 1e10) return value;
  double hz = 0, place = 1;
  for (auto rest = static_cast<std::uint64_t>(*value); rest > 0; rest /= 16, place *= 10) {
    if (rest % 16 > 9) return std::nullopt;
    hz += place * static_cast<double>(rest % 16);
  }
  corrected = true;
  return hz < 1e10 ? std::optional(hz) : std::nullopt;
}

constexpr std::array<MonitorField, 5> csv_fields{
    {{"temperature", "monitorsystem.soc.temperature", "soc", Measure::temperature, 200},
     {"frequency", "monitorsystem.core.frequency", "core", Measure::frequency, 1e15, 1},
     {"voltage", "monitorsystem.core.voltage", "core", Measure::voltage, 100},
     {"fan_speed", "monitorsystem.fan.speed", "fan", Measure::fan_speed, 1e6},
     {"mem_used", "monitorsystem.memory.used", "memory", Measure::memory, 1e12}}};
constexpr std::size_t frequency_field = 1;

// "Temperature: 57.1, Frequency: 154618968072, Voltage: 0.8404, Throttling: 0, Memory: 1020" → by name, in small.
std::map<std::string, std::optional<double>> named_values(const std::string& text) {
  std::map<std::string, std::optional<double>> out;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t colon = part.find(':');
    if (colon == std::string_view::npos) continue;
    std::string name(trim(part.substr(0, colon)));
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    out[name] = parse_finite(trim(part.substr(colon + 1)));
  }
  return out;
}

struct CsvSamples {
  std::vector<MonitorSample> rows;
  std::size_t without_stamp = 0, not_later = 0, without_prompt = 0;
  bool corrected = false;
};

CsvSamples samples_from(const CsvTable& table, bool first_version, bool as_written) {
  CsvSamples out;
  for (const Cells& row : table.rows) {
    const auto ns = stamp_ns(table.cell(row, first_version ? "Timestamp" : "timestamp"));
    if (!ns) {
      ++out.without_stamp;
      continue;
    }
    if (!out.rows.empty() && *ns <= out.rows.back().ns) {
      ++out.not_later;
      continue;
    }
    const auto named =
        first_version ? named_values(table.cell(row, "Metric_V")) : std::map<std::string, std::optional<double>>{};
    MonitorSample sample{*ns, std::vector<std::optional<double>>(csv_fields.size())};
    for (std::size_t i = 0; i < csv_fields.size(); ++i) {
      const MonitorField& field = csv_fields[i];
      const auto at = named.find(field.field);
      auto value = !first_version      ? table.number(row, field.field)
                   : at == named.end() ? std::optional<double>()
                                       : at->second;
      if (i == frequency_field && !as_written) value = clock_hz(value, out.corrected);
      if (value && *value >= 0 && *value <= field.most) sample.values[i] = value;
    }
    out.without_prompt += table.number(row, "prompt_id").value_or(0) < 0 ? 1 : 0;
    out.rows.push_back(sample);
  }
  return out;
}

Result<Imported> read_samples(const CsvTable& table, bool first_version, const ReadOptions& options, Imported out) {
  const CsvSamples samples = samples_from(table, first_version, options.as_written);
  if (samples.rows.size() < 2)
    return fail(ErrorCode::malformed, "fewer than two samples with a timestamp are in the file", {});
  const auto note = [&](std::size_t count, const char* what) {
    if (count > 0) out.notes.push_back(std::to_string(count) + what);
  };
  note(samples.without_stamp, " lines without a timestamp: left out");
  note(samples.not_later, " samples not later than the one before: left out");
  note(samples.without_prompt, " samples with prompt_id -1: it never knew which prompt ran; by time they can be laid");
  if (samples.corrected)
    out.notes.emplace_back("its clock rate was read to the base 16 (2400023808 Hz is 154618968072): corrected here");
  if (options.as_written) out.notes.emplace_back("its clock rate is read to the base 16 (left as written)");
  out.notes.emplace_back(first_version
                             ? "Idle is the mean since the machine began, and Memory a part of the firmware's "
                               "split: neither is taken"
                             : "cpu_usage_pid is of the program that asked, and 0 throughout: not taken");
  out.notes.emplace_back("there is no power in these files");
  add_monitor_samples(out, csv_fields, samples.rows);
  if (out.channels.empty()) return fail(ErrorCode::malformed, "no field of a sample is in the file", {});
  out.anchor = {{0}, samples.rows.front().ns, {0}};
  add_spans(out, {}, static_cast<double>(samples.rows.back().ns - samples.rows.front().ns) * 1e-9);
  return out;
}

struct CsvPrompts {
  std::vector<std::pair<std::int64_t, ReadRequest>> rows;
  std::size_t without_stamp = 0, negative = 0, reloaded = 0;
};

CsvPrompts prompts_from(const CsvTable& table) {
  constexpr double most_tokens = 1e12, noticeable_load_ns = 1e8;
  CsvPrompts out;
  for (const Cells& row : table.rows) {
    const auto begun = stamp_ns(table.cell(row, "start_timestamp")),
               ended = stamp_ns(table.cell(row, "finish_timestamp"));
    if (!begun || !ended || *ended < *begun) {
      ++out.without_stamp;
      continue;
    }
    const auto count = [&](const char* name) -> std::optional<std::int64_t> {
      const auto value = table.number(row, name);
      return value && *value >= 0 && *value < most_tokens ? std::optional(static_cast<std::int64_t>(*value))
                                                          : std::nullopt;
    };
    ReadRequest request;
    const std::string id = table.cell(row, "prompt_id");
    request.name = id.empty() ? "row-" + std::to_string(out.rows.size() + 1) : printable(id, 60);
    request.e2e_s = static_cast<double>(*ended - *begun) * 1e-9;
    request.prompt_tokens = count("prompt_eval_count");
    request.output_tokens = count("eval_count");
    out.negative += table.number(row, "total_duration").value_or(0) < 0 ? 1 : 0;
    out.reloaded += table.number(row, "load_duration").value_or(0) > noticeable_load_ns && !out.rows.empty() ? 1 : 0;
    if (const auto decode = table.number(row, "eval_duration");
        decode && *decode > 0 && *decode * 1e-9 <= *request.e2e_s)
      request.ttft_s = *request.e2e_s - *decode * 1e-9;
    out.rows.emplace_back(*begun, std::move(request));
  }
  return out;
}

Result<Imported> read_prompts(const CsvTable& table, Imported out) {
  CsvPrompts prompts = prompts_from(table);
  if (prompts.rows.empty())
    return fail(ErrorCode::malformed, "no prompt with start_timestamp and finish_timestamp is in the file", {});
  std::ranges::sort(prompts.rows, [](const auto& a, const auto& b) { return a.first < b.first; });
  const std::int64_t zero = prompts.rows.front().first;
  std::vector<ReadRequest> requests;
  double end_s = 0;
  for (auto& [begun, request] : prompts.rows) {
    request.begin_s = static_cast<double>(begun - zero) * 1e-9;
    end_s = std::max(end_s, request.begin_s + *request.e2e_s);
    requests.push_back(std::move(request));
  }
  if (!(end_s < longest_s)) return fail(ErrorCode::malformed, "the prompts are more than ten years apart", {});
  const auto note = [&](std::size_t count, const char* what) {
    if (count > 0) out.notes.push_back(std::to_string(count) + what);
  };
  note(prompts.without_stamp, " prompts without a begin and an end: left out");
  note(prompts.negative, " prompts with a negative total_duration: their end less their begin is taken");
  note(prompts.reloaded,
       " prompts for which the model was loaded anew (it was kept for 1 s): their times have that in them");
  out.notes.emplace_back(
      "no token was seen as it came: TTFT is all of a request but the server's eval_duration, loading among it");
  add_fact(out, "model.name", table.cell(table.rows.front(), "model"));
  out.anchor = {{0}, zero, {0}};
  add_spans(out, requests, end_s);
  return out;
}

}  // namespace

Result<Imported> read_monitorsystem_csv(std::string_view bytes, const ReadOptions& options) {
  Imported out;
  const auto table = csv_of(bytes, out.notes);
  if (!table) return Unexpected<Error>(table.error());
  if (table->has("start_timestamp") && table->has("finish_timestamp")) return read_prompts(*table, std::move(out));
  if (table->has("Timestamp") && table->has("Metric_V")) return read_samples(*table, true, options, std::move(out));
  if (table->has("timestamp") && table->has("temperature")) return read_samples(*table, false, options, std::move(out));
  return fail(ErrorCode::malformed, "its first line is of none of MonitorSystem's files", "line 1",
              "There are hardware_metrics_*.csv, prompt_metrics_*.csv and metrics.csv.");
}

}  // namespace prony::exchange
