#include "layers/recording.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace prony::layers {

namespace {

// Of sorted values, by linear interpolation.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

}  // namespace

std::optional<Spread> spread_of(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  Spread spread;
  spread.count = values.size();
  PythonSum sum;
  for (const double value : values) sum.add(value);
  const auto count = static_cast<double>(values.size());
  spread.mean = sum.value() / count;
  if (values.size() > 1) {
    double squares = 0;
    for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
    spread.deviation = std::sqrt(squares / (count - 1));
  }
  spread.least = values.front();
  spread.quarter = quantile(values, 0.25);
  spread.median = quantile(values, 0.5);
  spread.three_quarters = quantile(values, 0.75);
  spread.most = values.back();
  return spread;
}

std::optional<double> mean_of(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  PythonSum sum;
  for (const double value : values) sum.add(value);
  return sum.value() / static_cast<double>(values.size());
}

std::optional<double> mean_ms(const LayerTimes& layer) { return layer.ms.empty() ? layer.mean_ms : mean_of(layer.ms); }

std::optional<double> total_ms(const LayerTimes& layer) {
  if (layer.ms.empty())
    return layer.mean_ms && layer.runs ? std::optional(*layer.mean_ms * static_cast<double>(*layer.runs))
                                       : std::nullopt;
  PythonSum sum;
  for (const double ms : layer.ms) sum.add(ms);
  return sum.value();
}

std::vector<std::optional<double>> shares_of(const Recording& recording) {
  const auto& layers = recording.layers;
  const bool totals = std::ranges::all_of(
      layers, [](const LayerTimes& one) { return total_ms(one).has_value() || !mean_ms(one).has_value(); });
  std::vector<std::optional<double>> shares;
  double sum = 0;
  for (const LayerTimes& layer : layers) {
    shares.push_back(totals ? total_ms(layer) : mean_ms(layer));
    sum += shares.back().value_or(0);
  }
  for (auto& share : shares) share = share && sum > 0 ? std::optional(*share / sum) : std::nullopt;
  return shares;
}

std::optional<double> together_ms(const Recording& recording) {
  double sum = 0;
  for (const LayerTimes& layer : recording.layers) {
    if (recording.of_calls && layer.ms.size() != recording.layers.front().ms.size()) return std::nullopt;
    sum += mean_ms(layer).value_or(0);
  }
  return sum > 0 ? std::optional(sum) : std::nullopt;
}

std::optional<Unattributed> unattributed(const Recording& recording) {
  if (recording.inference_ms.empty() || recording.layers.empty()) return std::nullopt;
  const auto layers = together_ms(recording);
  if (!layers || !std::ranges::all_of(recording.layers, [](const LayerTimes& one) { return mean_ms(one).has_value(); }))
    return std::nullopt;
  Unattributed row;
  row.layers_ms = *layers;
  PythonSum sum;
  for (const double ms : recording.inference_ms) sum.add(ms);
  row.whole_ms = sum.value() / static_cast<double>(recording.inference_ms.size());
  return row;
}

std::string python_number(double value) {
  if (!std::isfinite(value)) return "";
  std::array<char, 64> text{};
  const double size = std::fabs(value);
  // Python turns to exponents below 1e-4 and from 1e16 on.
  const bool exponent = size != 0 && (size < 1e-4 || size >= 1e16);
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 exponent ? std::chars_format::scientific : std::chars_format::fixed);
  std::string out(text.data(), end.ptr);
  if (!exponent && out.find('.') == std::string::npos) out += ".0";
  return out;
}

double PythonSum::value() const noexcept { return lost_ != 0 && std::isfinite(lost_) ? sum_ + lost_ : sum_; }

}  // namespace prony::layers
