#include "app/layers_isolate_report.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "layers/energy.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"

namespace prony::app {

namespace {

using ReportJson = nlohmann::ordered_json;

ReportJson figure_of(const Estimate& e) {
  return {{"value", e.value}, {"low", e.low}, {"high", e.high}, {"kind", std::string(to_string(e.kind))}};
}
std::optional<Estimate> figure_in(const ReportJson& from, const char* key) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_object()) return std::nullopt;
  Estimate e{(*found)["value"], (*found)["low"], (*found)["high"], EstimateKind::interval_95};
  if ((*found)["kind"] == "range") e.kind = EstimateKind::range;
  return e;
}
double field_number(const ReportJson& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_number() ? found->get<double>() : 0;
}
std::string field_words(const ReportJson& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

layers::Interval95 interval_of_watts(const Estimate& e) { return {e.value, e.low, e.high}; }

Estimate scaled_by(const Estimate& e, double by) { return {e.value * by, e.low * by, e.high * by, e.kind}; }

// What two loops differ by. A model that is off is off in both alike, so its ends go with its ends; doubts of sensors
// are independent.
Estimate difference(const Estimate& more, const Estimate& less) {
  const double value = more.value - less.value;
  if (weaker(more.kind, less.kind) == EstimateKind::range) {
    const auto [low, high] = std::minmax({more.low - less.low, more.high - less.high, value});
    return {value, low, high, EstimateKind::range};
  }
  const double error = std::hypot((more.high - more.low) / 2, (less.high - less.low) / 2);
  return {value, value - error, value + error, EstimateKind::interval_95};
}

// Why a loop has no figure; "": it has.
std::string why_not(const LoopResults& results, const std::string& id) {
  const auto found = results.loops.find(id);
  if (found == results.loops.end()) return "not measured yet";
  if (found->second.told()) return {};
  return "not resolvable: " + found->second.absent +
         (found->second.needed_s ? ", needs a loop of " + figures::seconds(*found->second.needed_s) : std::string());
}

struct RowFigures {
  std::optional<Estimate> above_w, above_j;
  std::optional<double> alone_s;
  std::string absent;
};

// A figure whose doubt is as large as itself is none; nor is one below idle, whoever made that so.
void tell(RowFigures& row, const Estimate& above_j, double seconds) {
  if (above_j.low <= 0) {
    row.absent = "not resolvable: " + figures::joules(above_j, figures::Mark::unmarked) +
                 (above_j.high < 0 ? " is below idle: something else ran then" : " is within its own doubt");
    return;
  }
  row.above_j = above_j;
  if (seconds > 0) row.above_w = scaled_by(above_j, 1 / seconds);
}

RowFigures isolated_row(const LoopTarget& target, const LoopPlan& plan, const LoopResults& results) {
  RowFigures row;
  const std::string id = alone_id(target);
  row.absent = why_not(results, id);
  const auto part = std::ranges::find(plan.parts, id, &LoopPart::id);
  if (!row.absent.empty() || part == plan.parts.end()) return row;
  const LoopFigures& loop = results.loops.at(id);
  const double once_s = loop.run_s / static_cast<double>(part->cut.copies);
  row.alone_s = once_s;
  Estimate above = difference(*loop.gross_w, *loop.idle_w);
  if (above.kind != EstimateKind::range) {  // copies fill all of the loop: launching one run of them is within it
    const auto told =
        layers::isolated({target.name, once_s}, interval_of_watts(*loop.gross_w), 1, interval_of_watts(*loop.idle_w));
    above = {told.above_idle_w->value, told.above_idle_w->low, told.above_idle_w->high, above.kind};
  }
  tell(row, scaled_by(above, once_s), once_s);
  return row;
}

// Joules above idle of one run of what was looped.
Estimate run_joules(const LoopFigures& loop) { return scaled_by(difference(*loop.gross_w, *loop.idle_w), loop.run_s); }

RowFigures ablated_row(const LoopTarget& target, const LoopPlan& plan, const LoopResults& results) {
  RowFigures row;
  if (target.nodes.back() - target.nodes.front() + 1 != target.nodes.size()) {
    row.absent = "nodes of other layers are computed between its own: it cannot be cut off alone";
    return row;
  }
  const std::string with = upto_id(plan, target.nodes.back() + 1), without = upto_id(plan, target.nodes.front());
  row.absent = why_not(results, with);
  if (row.absent.empty() && target.nodes.front() > 0) row.absent = why_not(results, without);
  if (!row.absent.empty()) return row;
  const LoopFigures& more = results.loops.at(with);
  if (target.nodes.front() == 0) {
    row.alone_s = more.run_s;
    tell(row, run_joules(more), more.run_s);
    return row;
  }
  const LoopFigures& less = results.loops.at(without);
  row.alone_s = more.run_s - less.run_s;
  tell(row, difference(run_joules(more), run_joules(less)), *row.alone_s);
  return row;
}

ReportJson looped_row(const LoopTarget& target, const char* method, const RowFigures& figures, const LoopPlan& plan) {
  ReportJson row{{"name", target.name}, {"op", target.op},       {"kind", target.kind},
                 {"method", method},    {"origin", plan.origin}, {"in_network_s", target.in_network_s}};
  if (figures.alone_s) row[std::string(method) + "_s"] = *figures.alone_s;
  if (figures.above_w) row["above_idle_w"] = figure_of(*figures.above_w);
  if (figures.above_j) row["above_idle_j"] = figure_of(*figures.above_j);
  if (!figures.absent.empty()) row["absent"] = figures.absent;
  return row;
}

// Of one run of the network as it is looped. Absent figures: the reason.
ReportJson network_of(const LoopPlan& plan, const LoopResults& results) {
  ReportJson out;
  const std::string why = why_not(results, network_loop);
  if (!why.empty()) {
    out["absent"] = why;
    return out;
  }
  const LoopFigures& loop = results.loops.at(network_loop);
  out["runs"] = loop.runs;
  out["run_s"] = loop.run_s;
  out["gross_w"] = figure_of(*loop.gross_w);
  out["idle_w"] = figure_of(*loop.idle_w);
  out["measured_j"] = figure_of(scaled_by(*loop.gross_w, loop.run_s));
  out["idle_j"] = figure_of(scaled_by(*loop.idle_w, loop.run_s));
  out["origin"] = plan.origin;
  return out;
}

ReportJson balance_of(const ReportJson& rows, const char* method, const ReportJson& network, std::size_t all_layers) {
  ReportJson out{{"method", method}};
  std::vector<layers::LayerJoules> told;
  std::size_t asked = 0;
  for (const ReportJson& row : rows) {
    if (row["method"] != method) continue;
    ++asked;
    if (const auto joules = figure_in(row, "above_idle_j"))
      told.push_back({"",
                      layers::Method::isolated,
                      std::nullopt,
                      layers::Interval95{joules->value, joules->low, joules->high},
                      {}});
  }
  out["layers_told"] = told.size();
  out["layers_asked"] = asked;
  out["layers_of_network"] = all_layers;
  const auto measured = figure_in(network, "measured_j"), idle = figure_in(network, "idle_j");
  if (!measured || !idle) return out;
  const layers::Balance sums = layers::balance(measured->value, idle->value, told);
  out["layers_j"] = sums.layers_j;
  out["idle_j"] = sums.idle_j;
  out["unattributed_j"] = sums.unattributed_j();
  out["measured_j"] = sums.measured_j;
  return out;
}

figures::Mark looped_mark(const std::string& origin) {
  return origin == "modelled"  ? figures::Mark::modelled
         : origin == "derived" ? figures::Mark::derived
                               : figures::Mark::unmarked;
}

// "4.02 W ±0.03" as joules are written.
std::string watts_text(const std::optional<Estimate>& e, figures::Mark mark) {
  if (!e) return std::string(figures::none);
  std::string text = figures::joules(*e, mark);
  for (std::size_t at = text.find('J'); at != std::string::npos; at = text.find('J', at)) text[at] = 'W';
  return text;
}

std::string signed_joules(double value) {
  const std::string text =
      figures::joules({std::fabs(value), std::fabs(value), std::fabs(value)}, figures::Mark::unmarked);
  return (value < 0 ? "−" : "") + text;
}

std::string rows_text(const ReportJson& report, std::size_t width, bool colour) {
  layout::TextTable table;
  table.columns = {{"layer", false, 0, 14},      {"op", false, 4, 0},         {"kind", false, 3, 0},
                   {"method", false, 0, 0},      {"in network", true, 2, 0},  {"alone", true, 1, 0},
                   {"W above idle", true, 0, 0}, {"J above idle", true, 0, 0}};
  const figures::Mark mark = looped_mark(field_words(report, "origin"));
  for (const ReportJson& row : report["rows"]) {
    const std::string method = field_words(row, "method");
    const bool has = row.contains(method + "_s");
    table.rows.push_back(
        {field_words(row, "name"), field_words(row, "op"), field_words(row, "kind"), method,
         figures::seconds(field_number(row, "in_network_s")),
         has ? figures::seconds(field_number(row, (method + "_s").c_str())) : std::string(figures::none),
         watts_text(figure_in(row, "above_idle_w"), mark),
         figures::joules_or_none(figure_in(row, "above_idle_j"), mark)});
  }
  std::vector<std::string> left_out;
  std::string text = table.render(width, colour, left_out);
  if (!left_out.empty()) text += " left out for want of width:";
  for (const std::string& one : left_out) text += (&one == &left_out.front() ? " " : ", ") + one;
  if (!left_out.empty()) text += "\n";
  for (const ReportJson& row : report["rows"])
    if (row.contains("absent"))
      text +=
          " " + field_words(row, "name") + ", " + field_words(row, "method") + ": " + field_words(row, "absent") + "\n";
  return text;
}

std::string balances_text(const ReportJson& report) {
  std::string text;
  for (const ReportJson& one : report["balances"]) {
    if (!one.contains("measured_j")) continue;
    text += " " + field_words(one, "method") + ": Σ layers " + signed_joules(field_number(one, "layers_j")) + " (" +
            figures::count(field_number(one, "layers_told")) + " of " +
            figures::count(field_number(one, "layers_of_network")) + ") + idle " +
            signed_joules(field_number(one, "idle_j")) + " + unattributed " +
            signed_joules(field_number(one, "unattributed_j")) + " = measured " +
            signed_joules(field_number(one, "measured_j")) + "\n";
  }
  return text;
}

}  // namespace

ReportJson isolation_report(const LoopPlan& plan, const LoopResults& results) {
  ReportJson report;
  for (const char* key : {"model", "engine", "threads"}) report[key] = plan.report.value(key, ReportJson());
  report["batch"] = plan.report["times"].value("batch", ReportJson());
  report["times_run"] = plan.times_path;
  report["loop_runs"] = results.runs;
  report["origin"] = plan.origin;
  if (!results.simulated.empty()) report["simulated"] = results.simulated;
  if (results.foreign_share) report["foreign_cpu_share"] = *results.foreign_share;
  report["sensor"] = {{"channels", plan.channels},
                      {"period_s", plan.sensor.period_s},
                      {"window_s", plan.sensor.window_s},
                      {"step_w", plan.sensor.step_w}};
  report["identifiability"] = {{"verdict", plan.identifiability.verdict},
                               {"layers_in_place", plan.identifiability.in_place},
                               {"needed_loop_s", plan.identifiability.loop_s},
                               {"loop_s", plan.loop_s}};
  report["network"] = network_of(plan, results);
  report["rows"] = ReportJson::array();
  for (const LoopTarget& target : plan.targets)
    for (const bool alone : {true, false}) {
      if (!(alone ? plan.isolate : plan.ablate)) continue;
      RowFigures row;
      row.absent = target.absent;
      if (target.absent.empty()) row = alone ? isolated_row(target, plan, results) : ablated_row(target, plan, results);
      report["rows"].push_back(looped_row(target, alone ? "isolated" : "ablated", row, plan));
    }
  report["balances"] = ReportJson::array();
  const std::size_t all = plan.report["times"]["rows"].size();
  if (plan.isolate) report["balances"].push_back(balance_of(report["rows"], "isolated", report["network"], all));
  if (plan.ablate) report["balances"].push_back(balance_of(report["rows"], "ablated", report["network"], all));
  return report;
}

std::string isolation_text(const ReportJson& report, std::size_t width, bool colour) {
  const figures::Mark mark = looped_mark(field_words(report, "origin"));
  std::string text = field_words(report, "model") + ": batch " + figures::count(field_number(report, "batch")) + ", " +
                     field_words(report, "engine") + ", threads " + field_words(report, "threads") + "\n";
  if (report.contains("simulated"))
    text += " SIMULATED     " + field_words(report, "simulated") + ": no joule here is real\n";
  std::string channels;
  for (const ReportJson& one : report["sensor"]["channels"])
    channels += (channels.empty() ? "" : " + ") + one.get<std::string>();
  text += " sensor        " +
          (channels.empty() ? "none gives joules here" : channels + ", " + field_words(report, "origin"));
  if (const double period = field_number(report["sensor"], "period_s"); period > 0)
    text += ", renewed every " + figures::seconds(period);
  text += "\n single layers " + field_words(report["identifiability"], "verdict") + "\n";
  const ReportJson& network = report["network"];
  if (network.contains("absent"))
    text += " network       " + field_words(network, "absent") + "\n";
  else
    text += " network       " + figures::joules_or_none(figure_in(network, "measured_j"), mark) + " a run, gross · " +
            watts_text(figure_in(network, "gross_w"), mark) + " · idle " +
            watts_text(figure_in(network, "idle_w"), mark) + " · " + figures::seconds(field_number(network, "run_s")) +
            " a run · " + figures::count(field_number(network, "runs")) + " runs\n";
  text += "\n" + rows_text(report, width, colour) + balances_text(report);
  if (field_number(report, "foreign_cpu_share") > 0.05)
    text += " others used " + figures::percent(field_number(report, "foreign_cpu_share")) +
            " of the busy CPU time meanwhile: what they drew is in these figures\n";
  return text;
}

std::string isolation_csv(const ReportJson& report) {
  std::string text =
      "layer,op,kind,method,origin,in_network_s,looped_s,above_idle_w,above_idle_w_low,above_idle_w_high,above_idle_j,"
      "above_idle_j_low,above_idle_j_high,interval,absent\n";
  for (const ReportJson& row : report["rows"]) {
    const std::string method = field_words(row, "method"), seconds = method + "_s";
    text += csv_field(field_words(row, "name")) + "," + csv_field(field_words(row, "op")) + "," +
            field_words(row, "kind") + "," + method + "," + field_words(row, "origin") + "," +
            format_number(field_number(row, "in_network_s")) + "," +
            (row.contains(seconds) ? format_number(field_number(row, seconds.c_str())) : "");
    for (const char* key : {"above_idle_w", "above_idle_j"}) {
      const auto figure = figure_in(row, key);
      text += figure ? "," + format_number(figure->value) + "," + format_number(figure->low) + "," +
                           format_number(figure->high)
                     : ",,,";
    }
    text += "," + (row.contains("above_idle_j") ? field_words(row["above_idle_j"], "kind") : std::string()) + "," +
            csv_field(field_words(row, "absent")) + "\n";
  }
  for (const ReportJson& one : report["balances"])
    for (const char* key : {"layers_j", "idle_j", "unattributed_j", "measured_j"})
      if (one.contains(key)) {
        const std::string name(key, std::string_view(key).size() - 2);
        text += "(" + name + "),,," + field_words(one, "method") + "," + field_words(report, "origin") + ",,,,,," +
                format_number(field_number(one, key)) + ",,,,\n";
      }
  return text;
}

}  // namespace prony::app
