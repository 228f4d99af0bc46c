#include "reports/network_report.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "reports/json_put.hpp"
#include "reports/text_layout.hpp"

namespace prony {

namespace {

using nlohmann::ordered_json;

double number_in(const ordered_json& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_number() ? found->get<double>() : 0;
}

std::string words_in(const ordered_json& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

ordered_json interval_of(const Estimate& energy, double per) {
  return {{"value", energy.value * per},
          {"low", energy.low * per},
          {"high", energy.high * per},
          {"kind", std::string(to_string(energy.kind))}};
}

// Of the series without a profiler, over all headline domains. Where the sensor cannot tell: how long it would take.
ordered_json energy_of_runs(const Summary& summary, const std::string& series, double frames) {
  ordered_json out;
  const auto phase = std::ranges::find_if(summary.phases, [&](const PhaseRow& row) {
    return row.span.name == series && row.span.status == SpanStatus::ok;
  });
  if (phase == summary.phases.end() || frames <= 0) {
    out["absent"] = "the Run has no finished series of runs";
    return out;
  }
  const HeadlineJoules& joules = phase->headline;
  out["window_s"] = phase->duration_s;
  out["origin"] = std::string(to_string(summary.headline_origin()));
  if (!joules.gross || !joules.resolvable) {
    out["resolvable"] = false;
    put(out, "needed_s", joules.needed_s);
    out["absent"] = summary.energy.empty() ? "no energy was read"
                    : joules.needed_s      ? "the series is too short for the sensor"
                                           : "the sensors cannot tell";
    return out;
  }
  out["resolvable"] = true;
  out["gross_j"] = interval_of(*joules.gross, 1);
  out["gross_j_per_frame"] = interval_of(*joules.gross, 1 / frames);
  if (phase->duration_s > 0) out["mean_w"] = interval_of(*joules.gross, 1 / phase->duration_s);
  if (joules.gross->low > 0) {
    const Estimate& e = *joules.gross;  // the inverse: the ends change places
    out["fps_per_w"] = {{"value", frames / e.value},
                        {"low", frames / e.high},
                        {"high", frames / e.low},
                        {"kind", std::string(to_string(e.kind))}};
  }
  return out;
}

std::string joined_words(const ordered_json& list) {
  std::string text;
  if (list.is_array())
    for (const auto& one : list)
      if (one.is_string()) text += (text.empty() ? "" : " + ") + one.get<std::string>();
  return text;
}

std::string mark_of(const ordered_json& energy) {
  return words_in(energy, "origin") == "measured" ? "" : " (" + words_in(energy, "origin") + ")";
}

std::string with_range(const ordered_json& figure, const char* unit) {
  return figures::significant(number_in(figure, "value"), 3) + " " + unit + " (" +
         figures::significant(number_in(figure, "low"), 3) + " … " +
         figures::significant(number_in(figure, "high"), 3) + ")";
}

std::string energy_lines(const ordered_json& energy, bool tokens) {
  if (energy.contains("absent")) {
    std::string text = " energy        not resolvable: " + words_in(energy, "absent");
    if (energy.contains("needed_s"))
      text += "; needs " + figures::seconds(number_in(energy, "needed_s")) + " of runs, had " +
              figures::seconds(number_in(energy, "window_s")) + " (--runs)";
    return text + "\n";
  }
  std::string text = " energy        " + with_range(energy["gross_j_per_frame"], "J") +
                     (tokens ? " a token, gross" : " a frame, gross") + mark_of(energy);
  if (energy.contains("mean_w")) text += " · " + with_range(energy["mean_w"], "W");
  if (energy.contains("fps_per_w"))
    text += " · " + with_range(energy["fps_per_w"], tokens ? "tok/s per W" : "FPS per W");
  return text + "\n";
}

std::string series_line(const char* label, const ordered_json& series) {
  std::string text = " " + std::string(label) + "mean " + figures::seconds(number_in(series, "mean_s")) + " · sd " +
                     figures::seconds(number_in(series, "sd_s")) + " · median " +
                     figures::seconds(number_in(series, "median_s"));
  if (series.contains("p90_s")) text += " · p90 " + figures::seconds(number_in(series, "p90_s"));
  return text + " · least " + figures::seconds(number_in(series, "min_s")) + " · most " +
         figures::seconds(number_in(series, "max_s")) + " · " + figures::count(number_in(series, "runs")) + " runs\n";
}

// Two standard errors of the difference of the means: what is less tells nothing.
bool within_spread(const ordered_json& times) {
  const auto variance = [](const ordered_json& series) {
    const double sd = number_in(series, "sd_s");
    return sd * sd / std::max(1.0, number_in(series, "runs"));
  };
  const double difference = number_in(times["profiled"], "mean_s") - number_in(times["plain"], "mean_s");
  return difference * difference < 4 * (variance(times["profiled"]) + variance(times["plain"]));
}

// Of one series with and one without profiler; `tokens`: what goes through are tokens, not frames.
std::string series_lines(const ordered_json& part, bool tokens) {
  const ordered_json& times = part["times"];
  const double plain = number_in(times["plain"], "mean_s"), profiled = number_in(times["profiled"], "mean_s");
  std::string text = series_line("latency       ", times["plain"]) + series_line("with profiler ", times["profiled"]);
  if (plain > 0)
    text += " profiler      " + std::string(profiled >= plain ? "+" : "") +
            format_fixed((profiled / plain - 1) * 100, 1) + " % of the mean" +
            (within_spread(times) ? ", within the spread of the runs" : "") + "; the latency above is without it\n";
  text += " throughput    " + figures::significant(number_in(part, "fps"), 4) + (tokens ? " tok/s" : " FPS");
  if (number_in(times, "macs") > 0)
    text += " · " + figures::significant(2e-9 * number_in(times, "macs") * number_in(part, "runs_per_s"), 3) +
            " GFLOP/s of " + figures::significant(2e-9 * number_in(times, "macs"), 3) + " GFLOP a run";
  return text + "\n" + energy_lines(part["energy"], tokens);
}

std::string share_of(double part, double whole) { return whole > 0 ? format_fixed(100 * part / whole, 1) + " %" : ""; }

std::vector<std::string> row_cells(const ordered_json& row, double whole) {
  const double mean = number_in(row, "mean_s"), macs = number_in(row, "macs");
  const bool zero = mean <= 0;
  return {words_in(row, "name"),
          words_in(row, "op"),
          words_in(row, "kind"),
          joined_words(row.value("covers", ordered_json::array())),
          zero ? "< 1 µs" : figures::seconds(mean),
          row.contains("sd_s") ? figures::seconds(number_in(row, "sd_s")) : "",
          share_of(mean, whole),
          macs > 0 ? figures::significant(macs * 1e-6, 3) : "",
          macs > 0 && !zero ? figures::significant(2e-9 * macs / mean, 3) : ""};
}

std::string left_out_line(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& one : names) text += (text.empty() ? "" : ", ") + one;
  return text.empty() ? text : " left out for want of width: " + text + "\n";
}

// Rows, then what is in none of them, then the whole: they add up.
std::string network_table(const ordered_json& times, std::size_t width, bool colour) {
  const double whole = number_in(times["profiled"], "mean_s"), rest = number_in(times, "unattributed_s");
  layout::TextTable table;
  table.columns = {{"layer", false, 0, 24},       {"op", false, 3, 0},  {"kind", false, 2, 0},
                   {"graph nodes", false, 4, 16}, {"mean", true, 0, 0}, {"sd", true, 1, 0},
                   {"share", true, 0, 0},         {"MMAC", true, 1, 0}, {"GFLOP/s", true, 2, 0}};
  for (const auto& row : times["rows"]) table.rows.push_back(row_cells(row, whole));
  table.rows.push_back({"unattributed", "", "", "", figures::seconds(rest), "", share_of(rest, whole), "", ""});
  table.rows.push_back(
      {"end to end, with profiler", "", "", "", figures::seconds(whole), "", share_of(whole, whole), "", ""});
  std::vector<std::string> left_out;
  std::string text = table.render(width, colour, left_out);
  if (const auto gone = times.value("left_out", ordered_json::array()); !gone.empty())
    text += " computed by no node of the engine (folded or taken away): " + joined_words(gone) + "\n";
  return text + left_out_line(left_out);
}

std::string note_lines(const ordered_json& times) {
  std::string text;
  for (const auto& one : times.value("notes", ordered_json::array()))
    if (one.is_string()) text += " note          " + one.get<std::string>() + "\n";
  return text;
}

// Of a language model: the rows summed by what `key` says, in the order of their first.
std::string summed_table(const ordered_json& times, const char* key, std::size_t width, bool colour) {
  const double whole = number_in(times["profiled"], "mean_s"), rest = number_in(times, "unattributed_s");
  std::vector<std::pair<std::string, double>> sums;
  for (const auto& row : times["rows"]) {
    const std::string name = words_in(row, key);
    auto found = std::ranges::find_if(sums, [&](const auto& one) { return one.first == name; });
    if (found == sums.end()) found = sums.insert(sums.end(), {name, 0});
    found->second += number_in(row, "mean_s");
  }
  layout::TextTable table;
  table.columns = {{std::string_view(key) == "op" ? "operator" : "layer", false, 0, 12},
                   {"mean", true, 0, 0},
                   {"share", true, 0, 0}};
  sums.emplace_back("unattributed", rest);
  sums.emplace_back("end to end, with callback", whole);
  for (const auto& [name, mean] : sums) table.rows.push_back({name, figures::seconds(mean), share_of(mean, whole)});
  std::vector<std::string> left_out;
  return table.render(width, colour, left_out) + left_out_line(left_out);
}

bool has_series(const ordered_json& times) {
  return times.is_object() && times.contains("plain") && times["plain"].is_object() && times.contains("profiled") &&
         times["profiled"].is_object() && times.contains("rows") && times["rows"].is_array();
}

void add_part(ordered_json& report, const Summary& summary, ordered_json times, const std::string& series) {
  const double mean = number_in(times["plain"], "mean_s"), runs = number_in(times["plain"], "runs"),
               batch = number_in(times, "batch");
  if (mean > 0) {
    report["fps"] = batch / mean;
    report["runs_per_s"] = 1 / mean;
  }
  report["energy"] = energy_of_runs(summary, series, runs * batch);
  report["times"] = std::move(times);
}

constexpr const char* no_layer_energy =
    " energy of single layers: not told here; layers are far shorter than what a sensor resolves\n";

}  // namespace

Result<ordered_json> network_report(const Summary& summary) {
  ordered_json times = ordered_json::parse(summary.fact(layer_times_fact), nullptr, false);
  const bool parts = times.is_object() && times.contains("parts") && times["parts"].is_array();
  if (!(parts ? std::ranges::all_of(times["parts"], has_series) : has_series(times)))
    return fail(ErrorCode::malformed, "this Run has no times of layers", summary.path,
                "prony layers MODEL.onnx records them; prony show prints other Runs.");
  ordered_json report;
  report["run"] = summary.path;
  report["model"] = summary.fact("model.path");
  report["engine"] = summary.fact("engine.name") + " " + summary.fact("engine.version");
  report["threads"] = summary.fact("engine.threads");
  if (!summary.simulated.empty()) report["simulated"] = summary.simulated;
  if (!parts) {
    add_part(report, summary, std::move(times), layer_runs_phase);
    return report;
  }
  report["prompt_tokens"] = number_in(times, "prompt_tokens");
  report["parts"] = ordered_json::array();
  for (auto& one : times["parts"]) {
    ordered_json part{{"part", words_in(one, "part")}};
    add_part(part, summary, one, std::string(layer_runs_phase) + "-" + words_in(one, "part"));
    report["parts"].push_back(std::move(part));
  }
  return report;
}

std::string network_text(const ordered_json& report, std::size_t width, bool colour) {
  std::string machine = words_in(report, "engine") + ", threads " + words_in(report, "threads") + "\n";
  if (report.contains("simulated"))
    machine += " SIMULATED     " + words_in(report, "simulated") + ": no joule here is real\n";
  if (!report.contains("parts"))
    return words_in(report, "model") + ": batch " + figures::count(number_in(report["times"], "batch")) + ", " +
           machine + series_lines(report, false) + "\n" + network_table(report["times"], width, colour) +
           note_lines(report["times"]) + no_layer_energy;
  std::string text = words_in(report, "model") + ": " + machine;
  for (const auto& part : report["parts"]) {
    const std::string tokens = figures::count(number_in(report, "prompt_tokens"));
    const bool decode = words_in(part, "part") == "decode";
    text += "\n" + (decode ? "decode: one token after " + tokens : "prefill: a prompt of " + tokens + " tokens") + "\n";
    text += series_lines(part, true) + "\n" + summed_table(part["times"], "name", width, colour) + "\n" +
            summed_table(part["times"], "op", width, colour);
  }
  return text + no_layer_energy;
}

std::string network_csv(const ordered_json& report) {
  std::string text =
      "part,layer,op,kind,graph_nodes,provider,mean_s,sd_s,median_s,min_s,max_s,runs,zero_runs,macs,parameters\n";
  const auto cell = [](const ordered_json& row, const char* key) {
    return row.contains(key) && row[key].is_number() ? format_number(row[key].get<double>()) : std::string();
  };
  const auto add = [&](const std::string& part, const ordered_json& times) {
    for (const auto& row : times["rows"]) {
      text += part + "," + csv_field(words_in(row, "name")) + "," + csv_field(words_in(row, "op")) + "," +
              words_in(row, "kind") + "," + csv_field(joined_words(row.value("covers", ordered_json::array()))) + "," +
              csv_field(words_in(row, "provider"));
      for (const char* key :
           {"mean_s", "sd_s", "median_s", "min_s", "max_s", "runs", "zero_runs", "macs", "parameters"})
        text += "," + cell(row, key);
      text += "\n";
    }
    text += part + ",unattributed,,,,," + cell(times, "unattributed_s") + ",,,,,,,,\n";
    text += part + ",end-to-end,,,,," + cell(times["profiled"], "mean_s") + ",,,,,,,,\n";
  };
  if (!report.contains("parts"))
    add("", report["times"]);
  else
    for (const auto& part : report["parts"]) add(words_in(part, "part"), part["times"]);
  return text;
}

}  // namespace prony
