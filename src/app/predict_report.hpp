// What prediction prints: scores beside their baselines, a network's layers with their intervals, what is in a total
// and what is not. Everything printed here is modelled, and says so.
#pragma once

#include <string>

#include "predict/network_json.hpp"
#include "predict/predictor.hpp"

namespace prony::app {

// "1.23 ms", "45 µJ": three digits, in the unit that fits.
[[nodiscard]] std::string shown(double value, predict::Target target);
[[nodiscard]] std::string scores_text(const predict::Scores& scores, std::size_t width);
[[nodiscard]] std::string prediction_text(const predict::NetworkToPredict& network, const predict::Predictor& predictor,
                                          bool every_layer, std::size_t width);
[[nodiscard]] std::string prediction_json(const predict::NetworkToPredict& network,
                                          const predict::Predictor& predictor);
// What is known of the models themselves.
[[nodiscard]] std::string predictor_text(const predict::Predictor& predictor, std::size_t width);

}  // namespace prony::app
