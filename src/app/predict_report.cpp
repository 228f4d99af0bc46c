#include "app/predict_report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "reports/text_layout.hpp"

namespace prony::app {

namespace {

std::string three_digits(double value) {
  const double size = std::abs(value);
  return format_fixed(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
std::string fit_percent(double value) { return three_digits(value) + " %"; }

struct Gathered {
  std::vector<double> measured, ours, mean, flop_linear, roofline;
  double inside = 0, in_domain = 0, in_domain_inside = 0;
  void add(const predict::ScoredRow& row) {
    measured.push_back(row.measured), ours.push_back(row.predicted), mean.push_back(row.mean);
    flop_linear.push_back(row.flop_linear), roofline.push_back(row.roofline);
    const double in = row.low <= row.measured && row.measured <= row.high ? 1 : 0;
    inside += in;
    if (!row.outside) in_domain += 1, in_domain_inside += in;
  }
};

void add_predicted_rows(layout::TextTable& table, const std::string& name, const Gathered& g, predict::Target target,
                        bool baselines) {
  const auto add = [&](const std::string& model, const std::vector<double>& predicted, const std::string& covered) {
    const predict::FitMetrics m = predict::metrics_of(g.measured, predicted);
    table.rows.push_back({model == "Prony" ? name : "", model, std::to_string(m.count), fit_percent(m.rmspe),
                          fit_percent(m.mape), format_fixed(m.r2, 3), fit_percent(m.within_5), fit_percent(m.within_10),
                          shown(m.rmse, target), shown(m.mae, target), covered});
  };
  add("Prony", g.ours, fit_percent(100 * g.inside / static_cast<double>(g.measured.size())));
  if (!baselines) return;
  add("roofline", g.roofline, ""), add("FLOP-linear", g.flop_linear, ""), add("mean", g.mean, "");
}

layout::TextTable score_table() {
  layout::TextTable table;
  table.columns = {{"layers", false}, {"model", false}, {"rows"},          {"RMSPE"},        {"MAPE"},   {"R²"},
                   {"±5 %"},          {"±10 %"},        {"RMSE", true, 2}, {"MAE", true, 1}, {"in 90 %"}};
  return table;
}

// What a total does not hold: layers whose sizes or work are not known.
std::string unbounded_line(const predict::Prediction& prediction) {  // "": it holds all
  const std::size_t count = prediction.total.unbounded_layers;
  if (count == 0) return {};
  std::string named;
  std::size_t told = 0;
  for (const predict::PredictedLayer& layer : prediction.layers)
    if (!std::isfinite(layer.high) && told++ < 2)
      named += (named.empty() ? "" : "; ") + printable(layer.name, 40) + ": " + printable(layer.why, 80);
  return "          of " + std::to_string(count) +
         (count == 1 ? " layer nobody can say what it takes" : " layers nobody can say what they take") +
         (prediction.total.covered_layers == 0
              ? ""
              : ", and the figure is without " + std::string(count == 1 ? "it" : "them")) +
         " (" + named + (told > 2 ? "; …" : "") + ")\n";
}

// A table, and which of its columns the terminal had no room for.
std::string fitted_table(const layout::TextTable& table, std::size_t width) {
  std::vector<std::string> left_out;
  std::string text = table.render(width, false, left_out), names;
  for (const std::string& one : left_out)
    names += (names.empty() ? "" : ", ") + (one.empty() ? "why a layer is outside" : one);
  return names.empty() ? text : text + " left out for want of width: " + names + "\n";
}

std::string network_lines(const predict::Scores& scores, std::size_t width) {
  if (scores.networks.empty()) return {};
  const bool whole = scores.networks.front().end_to_end;
  layout::TextTable table;
  table.columns = {{"network", false}, {"configuration", false, 3}, {"measured"},         {"predicted"}, {"off"},
                   {"90 % interval"},  {"FLOP-linear", true, 1},    {"covered", true, 2}, {"spread"}};
  std::vector<double> measured, ours, flop;
  double inside = 0, near = 0, within_spread = 0, within_twice = 0, spreads = 0;
  for (const predict::ScoredNetwork& n : scores.networks) {
    measured.push_back(n.measured), ours.push_back(n.predicted), flop.push_back(n.flop_linear);
    const double off = n.predicted / n.measured - 1;
    inside += n.low <= n.measured && n.measured <= n.high ? 1 : 0;
    near += std::abs(off) <= 0.1 ? 1 : 0;
    if (std::isfinite(n.spread)) {
      const double allowed = std::max(0.1, 2 * n.spread);
      spreads += 1, within_spread += std::abs(off) <= allowed ? 1 : 0;
      within_twice += std::abs(off) <= 2 * allowed ? 1 : 0;
    }
    table.rows.push_back({printable(n.network, 24), printable(n.config, 24), shown(n.measured, scores.target),
                          shown(n.predicted, scores.target), (off >= 0 ? "+" : "") + fit_percent(100 * off),
                          shown(n.low, scores.target) + " … " + shown(n.high, scores.target),
                          shown(n.flop_linear, scores.target), fit_percent(100 * n.covered_share),
                          std::isfinite(n.spread) ? "±" + fit_percent(100 * n.spread) : ""});
  }
  std::string text = whole ? "\nWhole networks, end to end\n"
                           : "\nWhole networks: the sum of the layers that were measured and learned (no end-to-end "
                             "times in the data set)\n";
  text += fitted_table(table, width);
  const auto n = static_cast<double>(measured.size());
  const predict::FitMetrics m = predict::metrics_of(measured, ours), f = predict::metrics_of(measured, flop);
  text += " " + std::to_string(measured.size()) + " configurations: MAPE " + fit_percent(m.mape) + " (FLOP-linear " +
          fit_percent(f.mape) + ", " + three_digits(f.mape / std::max(m.mape, 1e-9)) + " × that), " +
          fit_percent(100 * near / n) + " within ±10 %, " + fit_percent(100 * inside / n) +
          " inside their 90 % interval";
  if (spreads > 0)
    text += ", " + fit_percent(100 * within_spread / spreads) + " within max(10 %, 2 × the spread of repeated runs), " +
            fit_percent(100 * within_twice / spreads) + " within twice that";
  return text + "\n";
}

}  // namespace

std::string shown(double value, predict::Target target) {
  struct Scale {
    double factor;
    const char* prefix;
  };
  if (!std::isfinite(value)) return "–";
  for (const Scale& s : {Scale{1, ""}, Scale{1e3, "m"}, Scale{1e6, "µ"}, Scale{1e9, "n"}})
    if (std::abs(value) * s.factor >= 0.9995 || s.factor == 1e9)
      return three_digits(value * s.factor) + " " + s.prefix + std::string(unit_of(target));
  return {};
}

std::string scores_text(const predict::Scores& scores, std::size_t width) {
  std::string text =
      std::string(to_string(scores.target)) + " of layers (modelled), on networks that were held out whole\n";
  std::map<std::string, Gathered> kinds, networks;
  Gathered all;
  for (const predict::ScoredRow& row : scores.rows)
    kinds[row.kind].add(row), networks[row.network].add(row), all.add(row);
  layout::TextTable table = score_table();
  for (const auto& [kind, g] : kinds) add_predicted_rows(table, kind, g, scores.target, true);
  if (!scores.rows.empty()) add_predicted_rows(table, "all kinds", all, scores.target, true);
  text += fitted_table(table, width);
  layout::TextTable by_network = score_table();
  by_network.columns.front().header = "network";
  for (const auto& [network, g] : networks)
    add_predicted_rows(by_network, printable(network, 24), g, scores.target, false);
  text += "\n" + fitted_table(by_network, width);
  if (all.in_domain > 0 && all.in_domain < static_cast<double>(all.measured.size()))
    text += " " + std::to_string(all.measured.size() - static_cast<std::size_t>(all.in_domain)) +
            " rows are outside of what was learned from; of those within, " +
            fit_percent(100 * all.in_domain_inside / all.in_domain) + " are in their 90 % interval\n";
  std::string chosen;
  for (const auto& [kind, by] : scores.chosen) {
    chosen += (chosen.empty() ? "" : "; ") + kind;
    for (const auto& [model, folds] : by) chosen += " " + model + " ×" + std::to_string(folds);
  }
  if (!chosen.empty()) text += " chosen without the held-out networks: " + chosen + "\n";
  return text + network_lines(scores, width);
}

std::string predictor_text(const predict::Predictor& predictor, std::size_t width) {
  layout::TextTable table;
  table.columns = {{"target", false},
                   {"kind", false},
                   {"model", false},
                   {"rows"},
                   {"networks"},
                   {"90 % within"},
                   {"errors of the candidates", false, 1}};
  for (const predict::TargetModel& target : predictor.targets)
    for (const predict::KindModel& kind : target.kinds) {
      std::vector<std::pair<double, std::string>> sorted;
      for (const auto& [name, error] : kind.candidates) sorted.emplace_back(error, name);
      std::sort(sorted.begin(), sorted.end());
      std::string errors;
      for (const auto& [error, name] : sorted)
        errors += (errors.empty() ? "" : ", ") + name + " " + fit_percent(100 * std::expm1(error));
      table.rows.push_back({std::string(to_string(target.target)), kind.kind, std::string(name_of(kind.model)),
                            std::to_string(kind.rows), std::to_string(kind.networks),
                            "×÷ " + three_digits(std::exp(kind.log_error)), errors});
    }
  std::string text = fitted_table(table, width);
  for (const std::string& remark : predictor.remarks) text += " note: " + printable(remark, 400) + "\n";
  return text;
}

std::string prediction_text(const predict::NetworkToPredict& network, const predict::Predictor& predictor,
                            bool every_layer, std::size_t width) {
  std::string text = printable(network.name, 60) + " (" + network.source + ", " +
                     std::to_string(network.layers.size()) + " layers), predicted: modelled, not measured\n";
  for (const predict::TargetModel& model : predictor.targets) {
    const predict::Prediction p = predict::predict_network(model, network.layers);
    const predict::PredictedTotal& t = p.total;
    if (every_layer) {
      layout::TextTable table;
      table.columns = {{"layer", false, 0, 16}, {"kind", false},
                       {"model", false, 2},     {std::string(to_string(model.target))},
                       {"90 % interval"},       {"", false, 1}};
      for (const predict::PredictedLayer& l : p.layers)
        table.rows.push_back({printable(l.name, 40), printable(l.kind, 20), l.model,
                              l.covered ? shown(l.value, model.target) : "not learned",
                              l.covered               ? shown(l.low, model.target) + " … " + shown(l.high, model.target)
                              : std::isfinite(l.high) ? "up to " + shown(l.high, model.target)
                                                      : "not known",
                              l.outside ? "outside: " + l.why : l.why});
      text += fitted_table(table, width) + "\n";
    }
    if (t.covered_layers == 0) {  // nothing that was learned is in it
      text += " " + std::string(to_string(model.target)) + "  not known: none of its " + std::to_string(t.layers) +
              " layers is of a learned kind" +
              (t.unbounded_layers == 0 ? "; at most " + shown(t.high, model.target) : "") + "\n" + unbounded_line(p);
      continue;
    }
    text += " " + std::string(to_string(model.target)) + "  " + shown(t.value, model.target) +
            "  (90 %: " + shown(t.low, model.target) + " … " +
            (t.unbounded_layers == 0 ? shown(t.high, model.target) : "not known") + ")\n";
    text += std::string("          ") +
            (t.end_to_end ? "end to end: the sum of layers, and what measured networks took beyond theirs"
                          : "the sum of layers; what runs between them is not in it") +
            "\n";
    text += "          " + std::to_string(t.covered_layers) + " of " + std::to_string(t.layers) +
            " layers are of a learned kind";
    if (t.unbounded_layers == 0) text += ": at least " + fit_percent(100 * t.covered_share()) + " of it";
    if (t.uncovered_high > 0)
      text += (t.unbounded_layers == 0 ? "; the others take up to " : "; those of other kinds take up to ") +
              shown(t.uncovered_high, model.target) + (t.unbounded_layers == 0 ? ", which the upper end includes" : "");
    text += "\n" + unbounded_line(p);
    if (t.outside_layers > 0)
      text += "          " + std::to_string(t.outside_layers) +
              " layers are outside of what was learned from: the interval does not claim to hold for them\n";
  }
  for (const std::string& remark : network.remarks) text += " note: " + printable(remark, 300) + "\n";
  return text;
}

std::string prediction_json(const predict::NetworkToPredict& network, const predict::Predictor& predictor) {
  using Json = nlohmann::json;
  Json j = {{"network", network.name},
            {"source", network.source},
            {"origin", "modelled"},
            {"remarks", network.remarks},
            {"targets", Json::array()}};
  for (const predict::TargetModel& model : predictor.targets) {
    const predict::Prediction p = predict::predict_network(model, network.layers);
    Json layers = Json::array();
    const std::string unit = "_" + std::string(unit_of(model.target) == "J" ? "j" : "s");
    for (const predict::PredictedLayer& l : p.layers) {
      Json row = {{"layer", l.name}, {"kind", l.kind}, {"covered", l.covered}};
      if (std::isfinite(l.high)) row["high" + unit] = l.high;
      if (l.covered)
        row["value" + unit] = l.value, row["low" + unit] = l.low, row["model"] = l.model, row["outside"] = l.outside;
      if (!l.why.empty()) row["why"] = l.why;
      layers.push_back(row);
    }
    const predict::PredictedTotal& t = p.total;
    j["targets"].push_back({{"target", to_string(model.target)},
                            {"coverage", 0.9},
                            {"covered" + unit, t.covered},
                            {"uncovered_high" + unit, t.uncovered_high},
                            {"end_to_end", t.end_to_end},
                            {"layers_outside", t.outside_layers},
                            {"layers_unbounded", t.unbounded_layers},
                            {"layers", layers}});
    if (t.unbounded_layers == 0)
      j["targets"].back()["high" + unit] = t.high, j["targets"].back()["covered_share_least"] = t.covered_share();
    else
      j["targets"].back()["high_absent"] = "the sizes or the work of " + std::to_string(t.unbounded_layers) +
                                           " layers are not known: the value is without them";
    if (t.covered_layers == 0)  // nothing that was learned is in it
      j["targets"].back()["absent"] = "none of its layers is of a learned kind";
    else
      j["targets"].back()["value" + unit] = t.value, j["targets"].back()["low" + unit] = t.low;
  }
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace prony::app
