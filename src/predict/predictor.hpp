// A predictor: for each kind of layer the candidate that predicted networks it had not seen best, how far it was off
// there, and what it was learned from. Choice and error come from cross-validation by network: all layers of a network
// are held out together, since layers of one network are alike. A kind that one network only has, or few layers, is not
// learned: its layers are bounded, never guessed. Networks that are named as test networks are not looked at.
// Pure; plain values. Units: seconds (runtime), joules (energy).
// Source: Barber, Candès, Ramdas & Tibshirani 2021 (arXiv:1905.02928), CV+ with whole groups left out, on the logarithm
// of measured ÷ predicted; each network counts alike.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "predict/dataset.hpp"
#include "predict/metrics.hpp"
#include "predict/regressors.hpp"

namespace prony::predict {

enum class Target { runtime, energy };
[[nodiscard]] std::string_view to_string(Target target) noexcept;
[[nodiscard]] std::string_view unit_of(Target target) noexcept;  // "s", "J"
[[nodiscard]] double value_of(const DatasetRow& row, Target target) noexcept;

struct KindModel {
  std::string kind;
  Regressor model;
  double log_error = 0;  // 90 % of held-out layers had |ln(measured ÷ predicted)| up to it
  MeanModel mean;        // baselines, told beside
  FlopLinearModel flop_linear;
  RooflineModel roofline;
  std::map<std::string, double> candidates;  // error of each over held-out networks; what was chosen has the least
  std::vector<double> least, most;           // of features: the domain
  std::set<std::string> dtypes;
  // Of a predictor that was carried to another device (predict/transfer.hpp): ln of the factor is the first number and
  // the others times log2 of FLOP, of bytes and of FLOP per byte.
  std::array<double, 4> correction{};
  std::size_t rows = 0, networks = 0;
};

// What is known of a sum over the layers of a network.
struct TotalModel {
  bool end_to_end = false;  // measured whole; else the sum of its measured layers
  double per_layer = 0;     // added for each layer; below 0: what a profiler adds to each and the whole has not
  double log_bias = 0;      // mean of ln(measured ÷ sum of predicted, with the above)
  double log_error = 0;     // half the width of 90 %, by Student's t over networks
  std::size_t networks = 0;
  FlopLinearModel flop_linear;  // the baseline: of the FLOP of the whole network
};

struct TargetModel {
  Target target = Target::runtime;
  std::vector<KindModel> kinds;
  RooflineModel any;  // of layers of every kind
  std::array<double, 4> any_correction{};
  double any_log_high = 0;  // 95 % of them took no more than e^this times that
  TotalModel total;
  [[nodiscard]] const KindModel* find(std::string_view kind) const;
};

struct Predictor {
  std::vector<TargetModel> targets;
  std::vector<std::string> networks;  // learned from
  std::vector<std::string> remarks;
  std::map<std::string, std::string> facts;  // of the data set
  [[nodiscard]] const TargetModel* find(Target target) const;
};

struct TrainOptions {
  std::set<std::string> test_networks;  // left out, whole
  std::vector<std::string> candidates = {"roofline", "lasso", "trees", "gp", "blend"};
  std::size_t folds = 5;
};

// Errors: of check_dataset; malformed (nothing can be learned from it).
[[nodiscard]] Result<Predictor> train(const Dataset& dataset, const TrainOptions& options);

// --- applying it --------------------------------------------------------------------------------------------------
struct PredictedLayer {
  std::string name, kind, model;        // model "": not learned, bounded only
  double value = 0, low = 0, high = 0;  // high is infinite where not even a bound is known
  bool covered = false;
  std::string why;       // not covered, or outside of what was learned from; "": neither
  bool outside = false;  // of the domain: the interval is not claimed to cover
};
struct PredictedTotal {
  double value = 0, low = 0, high = 0;  // high is infinite with layers that have no bound
  double covered = 0;                   // sum of layers of a learned kind
  double uncovered_high = 0;            // what the others take at most, without those that have no bound
  std::size_t layers = 0, covered_layers = 0, outside_layers = 0, unbounded_layers = 0;
  bool end_to_end = false;
  [[nodiscard]] double covered_share() const noexcept;  // of the time, at least; 0 with layers that have no bound
};
struct Prediction {
  std::vector<PredictedLayer> layers;
  PredictedTotal total;
};
[[nodiscard]] std::array<double, 4> correction_terms(const Layer& layer);
[[nodiscard]] double predict_layer_of(const KindModel& kind, const Layer& layer);  // the correction applied
// Of so many layers that take so long together: the whole, by what is known of wholes.
[[nodiscard]] double whole_of(const TotalModel& model, double sum, std::size_t layers) noexcept;
[[nodiscard]] Prediction predict_network(const TargetModel& model, const std::vector<Layer>& layers);

// --- how good it is: on networks that it has not seen ----------------------------------------------------------------
struct ScoredRow {
  std::string network, config, kind;
  double measured, predicted, low, high, mean, flop_linear, roofline;
  bool covered, outside;
};
struct ScoredNetwork {
  std::string network, config;
  double measured, predicted, low, high, flop_linear, spread;
  double covered_share;  // of the measured time
  bool end_to_end;
};
struct Scores {
  Target target = Target::runtime;
  std::vector<ScoredRow> rows;
  std::vector<ScoredNetwork> networks;
  std::map<std::string, std::map<std::string, int>> chosen;  // kind → candidate → folds that chose it
};
// A predictor on the rows of these networks (all of them: {}).
[[nodiscard]] Scores score(const TargetModel& model, const Dataset& dataset, const std::set<std::string>& networks);
// The whole of train(), without each fold's networks, scored on them: nested cross-validation.
[[nodiscard]] Result<std::vector<Scores>> cross_score(const Dataset& dataset, const TrainOptions& options);

}  // namespace prony::predict
