// `prony predict train|eval|apply|compare|probes|transfer|edgeprofiler`: what layers and networks will take, from what
// others took.
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/common.hpp"
#include "app/predict_files.hpp"
#include "app/predict_report.hpp"
#include "app/subcommand.hpp"
#include "app/write_file.hpp"
#include "base/text.hpp"
#include "predict/model_file.hpp"
#include "predict/transfer.hpp"
#include "predict/what_if.hpp"

namespace prony::app {

namespace {

struct PredictCommand {
  std::string first, second, model, out, test, candidates, json;
  bool layers = false, no_eval = false;
  std::vector<std::string> shapes;
  predict::WhatIf what_if;
  std::size_t count = predict::most_probes;
  int alphas = 500, max_iterations = 10000;
  double tolerance = 1e-4;
};

std::size_t columns_here() { return terminal_of(STDOUT_FILENO).width; }

std::set<std::string> names_in(const std::string& text) {
  std::set<std::string> names;
  for (const std::string_view part : split(text, ','))
    if (!trim(part).empty()) names.emplace(trim(part));
  return names;
}

int run_predict_train(const PredictCommand& command) {
  auto dataset = load_dataset(command.first);
  if (!dataset) return failed(dataset.error());
  if (const auto good = predict::check_dataset(*dataset); !good) return failed(good.error());
  predict::TrainOptions options;
  options.test_networks = names_in(command.test);
  if (!command.candidates.empty()) {
    options.candidates.clear();
    for (const std::string& name : names_in(command.candidates)) {
      const std::vector<std::string> known = {"roofline", "lasso", "trees", "gp", "blend"};
      if (std::find(known.begin(), known.end(), name) == known.end())
        return failed({ErrorCode::usage, "no candidate is called '" + printable(name, 40) + "'", "--candidates",
                       "There are roofline, lasso, trees, gp and blend."});
      options.candidates.push_back(name);
    }
  }
  auto predictor = predict::train(*dataset, options);
  if (!predictor) return failed(predictor.error());
  predictor->remarks.insert(predictor->remarks.end(), dataset->remarks.begin(), dataset->remarks.end());
  std::string text = std::to_string(dataset->rows.size()) + " rows of " +
                     std::to_string(dataset->network_names().size()) + " networks; learned from " +
                     std::to_string(predictor->networks.size()) + "\n" + predictor_text(*predictor, columns_here());
  if (!command.no_eval) {
    const auto scores = predict::cross_score(*dataset, options);
    if (scores)
      for (const predict::Scores& s : *scores) text += "\n" + scores_text(s, columns_here());
    else
      text += " note: not scored: " + scores.error().what + "\n";
  }
  if (const auto written = write_file(command.out, predict::to_text(*predictor)); !written)
    return failed(written.error());
  return print_result(text);
}

int run_predict_eval(const PredictCommand& command) {
  const auto predictor = load_predictor(command.model);
  if (!predictor) return failed(predictor.error());
  const auto dataset = load_dataset(command.first);
  if (!dataset) return failed(dataset.error());
  std::set<std::string> networks = names_in(command.test), seen(predictor->networks.begin(), predictor->networks.end());
  if (networks.empty())
    for (const std::string& name : dataset->network_names())
      if (!seen.contains(name)) networks.insert(name);
  if (networks.empty())
    return failed({ErrorCode::usage, "the predictor was learned from every network of this data set", command.first,
                   "Train with --test NAMES and score on those, or see what `prony predict train` prints."});
  std::string text;
  for (const std::string& name : networks)
    if (seen.contains(name))
      text += " note: " + printable(name, 60) + " was learned from: its figures say nothing of other networks\n";
  for (const predict::TargetModel& model : predictor->targets) {
    const predict::Scores scores = predict::score(model, *dataset, networks);
    if (scores.rows.empty() && scores.networks.empty()) continue;
    text += scores_text(scores, columns_here()) + "\n";
  }
  for (const std::string& remark : dataset->remarks) text += " note: " + printable(remark, 300) + "\n";
  if (text.empty()) return failed({ErrorCode::malformed, "no row of those networks can be scored", command.first, ""});
  return print_result(text);
}

int run_predict_apply(const PredictCommand& command) {
  const auto predictor = load_predictor(command.model);
  if (!predictor) return failed(predictor.error());
  auto network = load_network(command.first, {command.shapes, command.what_if.batch});
  if (!network) return failed(network.error());
  if (const auto good = predict::change(*network, command.what_if); !good) return failed(good.error());
  if (!command.json.empty())
    if (const auto written = write_file(command.json, prediction_json(*network, *predictor)); !written)
      return failed(written.error());
  if (command.json == "-") return exit_code::ok;
  return print_result(prediction_text(*network, *predictor, command.layers, columns_here()));
}

int run_predict_compare(const PredictCommand& command) {
  const auto predictor = load_predictor(command.model);
  if (!predictor) return failed(predictor.error());
  const NetworkShapes shapes{command.shapes, command.what_if.batch};
  auto a = load_network(command.first, shapes), b = load_network(command.second, shapes);
  if (!a) return failed(a.error());
  if (!b) return failed(b.error());
  for (auto* network : {&*a, &*b})
    if (const auto good = predict::change(*network, command.what_if); !good) return failed(good.error());
  std::string text =
      prediction_text(*a, *predictor, false, columns_here()) + prediction_text(*b, *predictor, false, columns_here());
  for (const predict::TargetModel& model : predictor->targets) {
    const auto first = predict::predict_network(model, a->layers).total,
               second = predict::predict_network(model, b->layers).total;
    if (!(first.value > 0 && second.value > 0)) continue;
    if (const std::size_t open = first.unbounded_layers + second.unbounded_layers; open > 0) {
      text += " " + std::string(to_string(model.target)) + ": not compared: of " + std::to_string(open) +
              " layers nobody can say what they take\n";
      continue;
    }
    // Errors of two networks as if independent: what both have in common makes the truth narrower than this.
    const double off = std::sqrt(2.0) * model.total.log_error, ratio = second.value / first.value;
    const double low = ratio * std::exp(-off) * first.value / (first.value + first.uncovered_high),
                 high = ratio * std::exp(off) * (second.value + second.uncovered_high) / second.value;
    text += " " + std::string(to_string(model.target)) + ": the second takes " + format_fixed(ratio, 2) +
            " × the first (90 %: " + format_fixed(low, 2) + " … " + format_fixed(high, 2) + ")" +
            (low <= 1 && 1 <= high ? ": not told apart" : "") + "\n";
  }
  return print_result(text);
}

Result<std::vector<predict::DatasetRow>> probe_candidates(const std::string& path) {
  if (const auto dataset = load_dataset(path)) return dataset->rows;
  const auto network = load_network(path);
  if (!network) return Unexpected<Error>(network.error());
  std::vector<predict::DatasetRow> rows;
  for (const predict::Layer& layer : network->layers) {
    predict::DatasetRow row;
    row.network = network->name, row.config = "probe", row.layer = layer;
    rows.push_back(row);
  }
  return rows;
}

int run_predict_probes(const PredictCommand& command) {
  const auto predictor = load_predictor(command.model);
  if (!predictor) return failed(predictor.error());
  const auto rows = probe_candidates(command.first);
  if (!rows) return failed(rows.error());
  if (command.count < 5 || command.count > predict::most_probes)
    return failed(
        {ErrorCode::usage, "5 to " + std::to_string(predict::most_probes) + " probes can be chosen", "--count", ""});
  std::vector<predict::Layer> layers;
  for (const predict::DatasetRow& row : *rows) layers.push_back(row.layer);
  predict::Dataset probes;
  for (const std::size_t i :
       predict::choose_probes(*predictor->find(predict::Target::runtime), layers, command.count)) {
    probes.rows.push_back((*rows)[i]);
    probes.rows.back().runtime_s = probes.rows.back().energy_j = probes.rows.back().power_w =
        predict::absent;  // to be measured
  }
  if (probes.rows.size() < 5)
    return failed({ErrorCode::malformed, "fewer than five of these layers are of a learned kind", command.first,
                   "List more layers."});
  if (const auto written = write_file(command.out, predict::rows_csv(probes)); !written) return failed(written.error());
  if (command.out == "-") return exit_code::ok;
  return print_result(std::to_string(probes.rows.size()) + " layers to measure, the most telling first: " +
                      command.out + "\nFill in runtime_s (and energy_j), then: prony predict transfer " +
                      command.model + " " + command.out + " -o NEW.json\n");
}

int run_predict_transfer(const PredictCommand& command) {
  const auto predictor = load_predictor(command.model);
  if (!predictor) return failed(predictor.error());
  const auto probes = load_dataset(command.first);
  if (!probes) return failed(probes.error());
  const auto carried = predict::transfer(*predictor, *probes);
  if (!carried) return failed(carried.error());
  if (const auto written = write_file(command.out, predict::to_text(carried->predictor)); !written)
    return failed(written.error());
  std::string text = "carried over with " + std::to_string(carried->probes) +
                     " probes; 90 % of them, each left out in its turn, were within ×÷ " +
                     format_fixed(std::exp(carried->log_error), 2) + "\n";
  for (const std::string& one : carried->unused) text += " note: not used: " + printable(one, 300) + "\n";
  return print_result(text);
}

int run_predict_edgeprofiler(const PredictCommand& command) {
  auto dataset = load_dataset(command.first);
  if (!dataset) return failed(dataset.error());
  const std::set<std::string> test = names_in(command.test);
  nlohmann::json coefficients = nlohmann::json::array();
  std::string text = "EdgeProfiler's six pipelines (degree 3, " + std::to_string(command.alphas) +
                     " α, 10 folds of neighbouring rows)\n";
  for (const char* kind : {"convolution", "pooling", "dense"})
    for (const bool power : {true, false}) {
      predict::Examples train;
      std::vector<const predict::DatasetRow*> tested;
      for (const predict::DatasetRow& row : dataset->rows) {
        const double value = power ? row.power_w : row.runtime_s * 1e3;
        if (!row.flag.empty() || row.layer.kind != kind || !(value > 0)) continue;
        if (test.contains(row.network))
          tested.push_back(&row);
        else
          train.layers.push_back(&row.layer), train.values.push_back(value), train.groups.push_back(0);
      }
      const std::string name = std::string(kind) + (power ? " power" : " runtime");
      predict::Pipeline pipeline = predict::edgeprofiler_pipeline(kind, power);
      pipeline.lasso.alphas = command.alphas, pipeline.lasso.max_iterations = command.max_iterations,
      pipeline.lasso.tolerance = command.tolerance;
      const auto fit = predict::fit_pipeline(train, kind, power, pipeline);
      if (!fit) {
        text += " " + name + ": not fitted: " + fit.error().what + "\n";
        continue;
      }
      const auto& w = fit->model.weights;
      text +=
          " " + name + ": " + std::to_string(train.size()) + " rows, " + std::to_string((w.array() != 0).count()) +
          " of " + std::to_string(w.size()) + " columns, α " + format_number(fit->model.alpha) +
          (fit->choice.unconverged > 0 ? ", " + std::to_string(fit->choice.unconverged) + " fits of folds not converged"
                                       : "") +
          "\n";
      std::vector<double> measured, predicted;
      for (const predict::DatasetRow* row : tested)
        measured.push_back(power ? row->power_w : row->runtime_s * 1e3),
            predicted.push_back(predict::predict(fit->model, row->layer));
      if (!measured.empty()) {
        const auto m = predict::metrics_of(measured, predicted);
        text += "   test networks: RMSPE " + format_fixed(m.rmspe, 2) + " %, RMSE " + format_number(m.rmse) +
                (power ? " W" : " ms") + ", MAE " + format_number(m.mae) + (power ? " W" : " ms") + ", MAPE " +
                format_fixed(m.mape, 2) + " %, R² " + format_fixed(m.r2, 4) + "\n";
      }
      nlohmann::json one = {{"kind", kind},
                            {"power", power},
                            {"alpha", fit->model.alpha},
                            {"intercept", fit->model.intercept},
                            {"columns", w.size()}};
      for (Eigen::Index j = 0; j < w.size(); ++j)
        if (w[j] != 0) one["weights"][std::to_string(j)] = w[j];
      coefficients.push_back(one);
    }
  if (coefficients.empty())
    return failed({ErrorCode::malformed, "none of the six pipelines could be fitted", command.first,
                   "Ten rows of a kind are needed at least.\n" + text});
  for (const std::string& remark : dataset->remarks) text += " note: " + printable(remark, 300) + "\n";
  if (!command.out.empty())
    if (const auto written = write_file(command.out, coefficients.dump(1) + "\n"); !written)
      return failed(written.error());
  return print_result(text);
}

using PredictAction = int (*)(const PredictCommand&);

// Above 0, and a number: what is not one would leave the network as it is.
CLI::Validator above_zero(bool whole) {
  return {[whole](std::string& text) {
            const auto value = parse_finite(text);
            const bool good = value && *value > 0 && *value <= 1e6 && (!whole || std::floor(*value) == *value);
            return good ? std::string()
                        : std::string(whole ? "a whole number from 1" : "a number above 0") + " to 1000000";
          },
          "", "above zero"};
}

void add_what_if(CLI::App& command, PredictCommand& options) {
  command.add_option("--batch", options.what_if.batch, "What if the batch were N")->check(above_zero(true));
  command.add_option("--input-shape", options.shapes, "Of an ONNX file: NAME:1x3x224x224, or by name: batch=1")
      ->type_name("SHAPE");
  command.add_option("--resolution", options.what_if.resolution, "What if the input image were N points high")
      ->check(above_zero(false));
  command.add_option("--dtype", options.what_if.dtype, "What if it computed in TYPE: float32, float16, int8 …");
  command.add_option("--scale-width", options.what_if.width, "What if every layer had FACTOR times the channels")
      ->check(above_zero(false));
  command.add_option("--threads", options.what_if.threads, "What if N threads computed")->check(above_zero(true));
}

}  // namespace

std::function<int(const CommandWords&)> add_predict(CLI::App& command) {
  auto options = std::make_shared<PredictCommand>();
  auto action = std::make_shared<PredictAction>(nullptr);
  const auto add = [&](const char* name, const char* help, PredictAction run) {
    CLI::App* sub = command.add_subcommand(name, help);
    sub->callback([action, run] { *action = run; });
    return sub;
  };
  CLI::App* train =
      add("train", "Learn from a data set; choose by cross-validation over whole networks", run_predict_train);
  train->add_option("DATASET", options->first, "Folder (docs/predict.md), EdgeProfiler's training folder, or a CSV")
      ->required();
  train->add_option("-o,--out", options->out, "The predictor to write")->required()->type_name("FILE");
  train->add_option("--test", options->test, "Networks that are not looked at: NAME,NAME");
  train->add_option("--candidates", options->candidates, "Of roofline,lasso,trees,gp,blend (default all)");
  train->add_flag("--no-eval", options->no_eval, "Do not score it by nested cross-validation");
  CLI::App* eval = add("eval", "Score a predictor on networks that it has not seen", run_predict_eval);
  eval->add_option("MODEL", options->model, "What train wrote")->required();
  eval->add_option("DATASET", options->first, "Measured layers")->required();
  eval->add_option("--test", options->test, "Networks to score on (default: those not learned from)");
  CLI::App* apply = add("apply", "Predict a network that nobody ran", run_predict_apply);
  apply->add_option("MODEL", options->model, "What train wrote")->required();
  apply->add_option("NETWORK", options->first, "ONNX, TensorRT or torch JSON, a list of layers as JSON or CSV")
      ->required();
  apply->add_flag("--layers", options->layers, "A row for every layer");
  apply->add_option("--json", options->json, "Write it as JSON (-: standard output)")->type_name("FILE");
  add_what_if(*apply, *options);
  CLI::App* compare = add("compare", "Predict two networks and their ratio", run_predict_compare);
  compare->add_option("A", options->first, "A network, as for apply")->required();
  compare->add_option("B", options->second, "Another")->required();
  compare->add_option("--model", options->model, "What train wrote")->required()->type_name("FILE");
  add_what_if(*compare, *options);
  CLI::App* probes = add("probes", "Choose the layers to measure on another device", run_predict_probes);
  probes->add_option("MODEL", options->model, "What train wrote")->required();
  probes->add_option("LAYERS", options->first, "A data set or a network: layers that could be measured")->required();
  probes->add_option("--count", options->count, "How many, at most 50 (default 50)");
  probes->add_option("-o,--out", options->out, "The list to write, CSV")->required()->type_name("FILE");
  CLI::App* carry =
      add("transfer", "Carry a predictor to another device by probes measured there", run_predict_transfer);
  carry->add_option("MODEL", options->model, "What train wrote")->required();
  carry->add_option("PROBES", options->first, "The list of probes with runtime_s filled in")->required();
  carry->add_option("-o,--out", options->out, "The predictor to write")->required()->type_name("FILE");
  CLI::App* edge =
      add("edgeprofiler", "EdgeProfiler's six Lasso pipelines, as scikit-learn fits them", run_predict_edgeprofiler);
  edge->add_option("DATASET", options->first, "As for train")->required();
  edge->add_option("--test", options->test, "Networks to score on: NAME,NAME");
  edge->add_option("--alphas", options->alphas, "Length of the path of α (default 500)")
      ->check(CLI::Range(2, 10000).description(""));
  edge->add_option("--max-iter", options->max_iterations, "Passes at each α (default 10000)")
      ->check(CLI::Range(1, 10000000).description(""));
  edge->add_option("--tol", options->tolerance, "Tolerance (default 1e-4)")->check(CLI::PositiveNumber);
  edge->add_option("-o,--out", options->out, "Write the coefficients, JSON")->type_name("FILE");
  command.require_subcommand(1);
  return [options, action](const CommandWords&) {
    return *action == nullptr ? exit_code::own_failure : (*action)(*options);
  };
}

}  // namespace prony::app
