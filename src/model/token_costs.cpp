#include "model/token_costs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t most_sights = 4096;  // as many as a model may have layers
constexpr const char* sights_key = "model.cost.attention";

// Σ of what tokens see that stand at first … first + count − 1 of their sequence, each itself and all before it.
double seen_together(double before, double count, double window) {
  const double all = count * before + count * (count + 1) / 2;
  if (window <= 0) return all;
  const double growing = std::clamp(window - before, 0.0, count);
  return growing * before + growing * (growing + 1) / 2 + (count - growing) * window;
}

// Σ over the steps of a prompt of what is in the cache at the end of each; no step reads more than `most`.
double seen_by_steps(double cached, double tokens, double batch, double most) {
  const double whole = std::floor(tokens / batch);
  const double growing = std::clamp(std::floor((most - cached) / batch), 0.0, whole);
  const double sum =
      growing * cached + batch * growing * (growing + 1) / 2 + (whole > growing ? (whole - growing) * most : 0);
  return whole * batch < tokens ? sum + std::min(cached + tokens, most) : sum;
}

// Of the experts' weights, what a step of so many tokens reads: each token draws its own.
double experts_read(double used, double tokens) { return 1 - std::pow(1 - used, tokens); }

constexpr std::array<std::pair<const char*, double TokenCosts::*>, 7> cost_facts{
    {{"model.cost.linear_flop", &TokenCosts::linear_flop},
     {"model.cost.head_flop", &TokenCosts::head_flop},
     {"model.cost.layer_bytes", &TokenCosts::layer_bytes},
     {"model.cost.expert_bytes", &TokenCosts::expert_bytes},
     {"model.cost.experts_used", &TokenCosts::experts_used},
     {"model.cost.head_bytes", &TokenCosts::head_bytes},
     {"model.cost.lookup_bytes", &TokenCosts::lookup_bytes}}};

std::optional<double> sensible(std::string_view text) {
  const auto value = parse_finite(text);
  return value && *value >= 0 && *value <= 1e30 ? value : std::nullopt;
}

}  // namespace

TokenWork& TokenWork::operator+=(const TokenWork& other) noexcept {
  linear_flop += other.linear_flop;
  attention_flop += other.attention_flop;
  weight_bytes += other.weight_bytes;
  kv_read_bytes += other.kv_read_bytes;
  kv_written_bytes += other.kv_written_bytes;
  return *this;
}

TokenWork TokenCosts::prefill(double tokens, double cached, double batch) const {
  TokenWork work;
  if (tokens <= 0) return work;
  batch = std::max(batch, 1.0);
  const double steps = std::ceil(tokens / batch);
  work.linear_flop = tokens * linear_flop + head_flop;
  work.weight_bytes = steps * (layer_bytes + expert_bytes * experts_read(experts_used, tokens / steps)) + head_bytes +
                      tokens * lookup_bytes;
  for (const Sight& sight : sights) {
    work.attention_flop += sight.flop_per_seen * seen_together(cached, tokens, sight.window);
    work.kv_written_bytes += sight.written_bytes * tokens;
    // Each step reads once what is there at its end, for all of its tokens together.
    const double most = sight.window > 0 ? sight.window + batch : std::numeric_limits<double>::infinity();
    work.kv_read_bytes += sight.read_bytes_per_seen * seen_by_steps(cached, tokens, batch, most);
  }
  return work;
}

TokenWork TokenCosts::decode(double context, double sequences) const {
  TokenWork work;
  work.linear_flop = sequences * (linear_flop + head_flop);
  work.weight_bytes =
      layer_bytes + expert_bytes * experts_read(experts_used, sequences) + head_bytes + sequences * lookup_bytes;
  for (const Sight& sight : sights) {
    const double seen = sight.window > 0 ? std::min(context, sight.window) : context;
    work.attention_flop += sequences * sight.flop_per_seen * seen;
    work.kv_read_bytes += sequences * sight.read_bytes_per_seen * seen;
    work.kv_written_bytes += sequences * sight.written_bytes;
  }
  return work;
}

// A step sees its own token, too: the sums over steps are those over a prompt's tokens.
TokenWork TokenCosts::generation(double before, double steps, double sequences) const {
  TokenWork work;
  if (steps <= 0) return work;
  const TokenWork one = decode(0, sequences);
  work.linear_flop = steps * one.linear_flop;
  work.weight_bytes = steps * one.weight_bytes;
  work.kv_written_bytes = steps * one.kv_written_bytes;
  for (const Sight& sight : sights) {
    const double seen = sequences * seen_together(before, steps, sight.window);
    work.attention_flop += sight.flop_per_seen * seen;
    work.kv_read_bytes += sight.read_bytes_per_seen * seen;
  }
  return work;
}

std::vector<Fact> facts_of(const TokenCosts& costs) {
  std::vector<Fact> facts;
  for (const auto& [key, field] : cost_facts) facts.push_back({key, format_number(costs.*field), "file"});
  std::string sights;
  for (const Sight& sight : costs.sights) {
    if (!sights.empty()) sights += ';';
    for (const double one : {sight.window, sight.flop_per_seen, sight.read_bytes_per_seen})
      sights += format_number(one) + ' ';
    sights += format_number(sight.written_bytes);
  }
  facts.push_back({sights_key, sights, "file"});
  return facts;
}

std::optional<TokenCosts> token_costs_of(const Manifest& manifest) {
  TokenCosts costs;
  for (const auto& [key, field] : cost_facts) {
    const auto value = sensible(manifest.get(key).value_or(""));
    if (!value) return std::nullopt;
    costs.*field = *value;
  }
  if (costs.experts_used > 1) return std::nullopt;
  const std::string sights = manifest.get(sights_key).value_or("");
  if (sights.empty()) return costs;
  for (const std::string_view words : split(sights, ';')) {
    const auto numbers = split(words, ' ');
    if (numbers.size() != 4 || costs.sights.size() == most_sights) return std::nullopt;
    std::array<double, 4> values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto value = sensible(numbers[i]);
      if (!value) return std::nullopt;
      values[i] = *value;
    }
    costs.sights.push_back({values[0], values[1], values[2], values[3]});
  }
  return costs;
}

}  // namespace prony
