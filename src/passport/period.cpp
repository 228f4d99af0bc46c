// When updates come. Each transition is known to lie between two reads, so its middle is off by up to half their
// distance ("blur"). Updates that changed nothing are not seen, so distances are multiples of the period; a source may
// keep a grid (then a phase exists, and the period comes out to parts per thousand) or wander (then it does not).
#include "passport/parts.hpp"

namespace prony::passport {

namespace {

constexpr std::size_t least_transitions = 8;
constexpr double least_reads_per_update = 3;  // below it multiples and single periods cannot be told apart
constexpr double widest_over_blur = 3;
constexpr int most_missing = 8;  // up to this many updates in a row may have changed nothing

struct Fit {
  double period = 0, origin = 0, phase_origin = 0;
  std::vector<double> index;  // of each transition on the grid
  double step_rms = 0;        // of distances about their multiples, robust
  double grid_rms = 0;        // of transitions about the grid
  double index_spread = 0;    // Σ (index − mean)²
};

double robust_rms(std::vector<double> values) {
  for (double& value : values) value = std::abs(value);
  return 1.4826 * quantile(values, 0.5);
}

double rms(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// Times since the first middle, so that doubles keep their digits after days of uptime.
std::vector<double> middles(std::span<const Transition> list) {
  std::vector<double> times;
  times.reserve(list.size());
  for (const auto& one : list)
    times.push_back(static_cast<double>(one.low_ns - list.front().low_ns) + 0.5 * one.width_ns());
  return times;
}

Fit fit_grid(std::span<const Transition> list, const std::vector<double>& times, double period, double blur) {
  Fit fit;
  fit.index.resize(times.size());
  for (int round = 0; round < 4; ++round) {
    double weight_sum = 0, mean_index = 0, mean_time = 0;
    for (std::size_t k = 1; k < times.size(); ++k)
      fit.index[k] = fit.index[k - 1] + std::max(1.0, std::round((times[k] - times[k - 1]) / period));
    const auto weight = [&](std::size_t k) { return 1 / (list[k].width_ns() * list[k].width_ns() + blur * blur / 4); };
    for (std::size_t k = 0; k < times.size(); ++k) {
      weight_sum += weight(k);
      mean_index += weight(k) * fit.index[k];
      mean_time += weight(k) * times[k];
    }
    mean_index /= weight_sum;
    mean_time /= weight_sum;
    double both = 0, square = 0;
    for (std::size_t k = 0; k < times.size(); ++k) {
      both += weight(k) * (fit.index[k] - mean_index) * (times[k] - mean_time);
      square += weight(k) * (fit.index[k] - mean_index) * (fit.index[k] - mean_index);
    }
    if (square <= 0 || both <= 0) break;
    period = both / square;
    fit.period = period;
    fit.origin = mean_time - mean_index * period;
    fit.index_spread = 0;
    for (const double index : fit.index) fit.index_spread += (index - mean_index) * (index - mean_index);
  }
  if (fit.period <= 0) return fit;
  std::vector<double> off, grid;
  for (std::size_t k = 0; k < times.size(); ++k) {
    grid.push_back(times[k] - fit.origin - fit.index[k] * fit.period);
    if (k > 0) off.push_back(times[k] - times[k - 1] - (fit.index[k] - fit.index[k - 1]) * fit.period);
  }
  fit.step_rms = robust_rms(std::move(off));
  fit.grid_rms = rms(grid);
  return fit;
}

// The mean of the shortest distances: about one update, or a few where some changed nothing.
double first_guess(const std::vector<double>& distances) {
  auto sorted = distances;
  const double low = quantile(sorted, 0.1);
  double sum = 0, count = 0;
  for (const double distance : distances)
    if (distance >= low && distance <= 1.6 * low) {
      sum += distance;
      ++count;
    }
  return sum / count;
}

// The longest period of which all distances are multiples; nullopt: there is none.
std::optional<Fit> best_fit(std::span<const Transition> list, const std::vector<double>& times,
                            const std::vector<double>& distances, double blur) {
  const double guess = first_guess(distances);
  std::optional<Fit> wandering;
  for (int missing = 1; missing <= most_missing; ++missing) {
    const double tried = guess / missing;
    if (missing > 1 && tried < 5 * blur) break;  // so fine that any distance would fit
    auto fit = fit_grid(list, times, tried, blur);
    if (fit.period <= 0) continue;
    if (fit.step_rms <= 0.7 * blur + 0.03 * fit.period) return fit;
    if (missing == 1 && fit.step_rms <= 0.35 * fit.period) wandering = std::move(fit);
  }
  return wandering;
}

double mean_square_blur(std::span<const Transition> list) {
  double sum = 0;
  for (const auto& one : list) sum += one.width_ns() * one.width_ns() / 12;  // anywhere in it is equally likely
  return sum / static_cast<double>(list.size());
}

void tell_phase_and_jitter(std::span<const Transition> list, const std::vector<double>& times, const Fit& fit,
                           double blur, PeriodFit& told) {
  const auto n = static_cast<double>(list.size());
  // On a grid single updates err by themselves; where each starts from the one before, errors pile up.
  const bool grid = fit.grid_rms <= 1.2 * fit.step_rms + 0.3 * blur && fit.grid_rms <= 0.2 * fit.period;
  std::vector<double> off;
  for (std::size_t k = grid ? 0 : 1; k < times.size(); ++k)
    off.push_back(grid ? times[k] - fit.origin - fit.index[k] * fit.period
                       : times[k] - times[k - 1] - (fit.index[k] - fit.index[k - 1]) * fit.period);
  const double seen = rms(off) * rms(off);
  const double own = seen - (grid ? 1 : 2) * mean_square_blur(list);
  if (own > 0.09 * blur * blur) {
    told.jitter_ns = std::sqrt(own);
  } else {
    told.why_no_jitter = "below what can be told: reads were " + time_words(blur) + " apart";
  }
  const double indices = fit.index.back();
  told.spread_ns = grid ? 2 * fit.grid_rms / std::sqrt(fit.index_spread) : 2 * std::sqrt(seen * n) / indices;
  // Reads that keep step with the updates find them all at the same place between two reads, or drifting through it:
  // the middles then lie on a line that no scatter betrays to be tilted by up to their distance over the whole watch.
  told.spread_ns = std::max(*told.spread_ns, blur / indices);
  if (!grid) {
    told.why_no_phase = "updates keep no grid: each comes a period after the one before";
    return;
  }
  for (double& value : off) value = std::abs(value);
  told.phase_doubt_ns = quantile(off, 0.95);
  const double middle = std::round(fit.index[fit.index.size() / 2]);
  told.phase_ns = static_cast<double>(list.front().low_ns) + fit.origin + middle * fit.period;
}

}  // namespace

PeriodFit fit_period(const Transitions& transitions) {
  PeriodFit told;
  auto list = transitions.list;
  const auto without = [&](std::string why) {
    told.why_no_period = std::move(why);
    told.why_no_phase = told.why_no_jitter = "the update period is not known";
    return told;
  };
  if (list.size() < least_transitions) {
    const auto count = list.empty() ? std::string("no change") : "only " + std::to_string(list.size()) + " changes";
    return without(count + " seen: watch longer");
  }
  std::vector<double> widths, distances;
  for (const auto& one : list) widths.push_back(one.width_ns());
  const double blur = quantile(widths, 0.25);  // of reads that did not wait for the CPU, on a busy machine too
  // Where the reader lost the CPU, several updates may hide behind one change: its middle is no update's.
  std::erase_if(list, [&](const Transition& one) { return one.width_ns() > widest_over_blur * blur; });
  const auto times = middles(list);
  for (std::size_t k = 1; k < times.size(); ++k) distances.push_back(times[k] - times[k - 1]);
  const double typical = median(distances);
  if (typical < least_reads_per_update * blur) {
    told.faster_than_ns = typical;
    return without("not resolved: updates come at least every " + time_words(typical) + ", reads came every " +
                   time_words(transitions.poll_ns));
  }
  const auto fit = best_fit(list, times, distances, blur);
  if (!fit) {
    auto sorted = distances;
    const double low = quantile(sorted, 0.1), high = quantile(sorted, 0.9);
    return without("changes come at no regular distance: " + time_words(low) + " to " + time_words(high));
  }
  told.period_ns = fit->period;
  tell_phase_and_jitter(list, times, *fit, blur, told);
  return told;
}

}  // namespace prony::passport
