// Which channels show the same numbers, and which may hold another: told by their growth over the same ticks.
#include <cstdint>
#include <numeric>

#include "model/counter.hpp"
#include "passport/parts.hpp"

namespace prony::passport {

namespace {

constexpr std::size_t least_windows = 20;
constexpr std::size_t least_different = 5;  // two constant streams agree by chance
constexpr double equal_share = 0.95;
constexpr double least_correlation = 0.5;
constexpr double updates_per_window = 3;  // two counters renew at different moments: a few updates blur that

// Growth in the unit (counter) or the value (power gauge) of one channel in windows of ticks.
struct Series {
  std::vector<double> values;
  double slack = 0;  // in the unit: by how much equal growths may differ
  bool usable = false;
};

bool comparable(const Channel& channel) {
  return gives_energy(channel) && channel.origin == Origin::measured && channel.scope == Scope::host;
}

// NaN marks a window with a gap or a restart in it.
Series series_of(const Channel& channel, const Ticks& ticks, std::size_t stride, double step) {
  Series series;
  const auto rules = counter_rules(channel);
  series.slack = 2 * std::max(step, channel.resolution * channel.scale);
  const auto none = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = stride; i < ticks.raw.size(); i += stride) {
    double value = none;
    const bool whole = ticks.quality[i] != Quality::gap && ticks.quality[i - stride] != Quality::gap;
    if (whole && channel.kind == ChannelKind::gauge) value = static_cast<double>(ticks.raw[i]) * channel.scale;
    if (whole && channel.kind == ChannelKind::counter) {
      const double elapsed_s = static_cast<double>(ticks.end_ns[i] - ticks.begin_ns[i - stride]) * 1e-9;
      const auto step_up = advance(rules, static_cast<std::uint64_t>(ticks.raw[i - stride]),
                                   static_cast<std::uint64_t>(ticks.raw[i]), elapsed_s + 1);
      if (step_up.step == CounterStep::forward || step_up.step == CounterStep::wrapped)
        value = static_cast<double>(step_up.counts) * channel.scale;
    }
    series.values.push_back(value);
  }
  std::vector<double> sorted;
  for (const double value : series.values)
    if (!std::isnan(value)) sorted.push_back(value);
  std::sort(sorted.begin(), sorted.end());
  std::size_t different = sorted.empty() ? 0 : 1;
  for (std::size_t i = 1; i < sorted.size(); ++i) different += sorted[i] - sorted[i - 1] > series.slack / 4 ? 1U : 0U;
  series.usable = sorted.size() >= least_windows && different >= least_different && sorted.back() > 0;
  return series;
}

struct Pair {
  std::size_t windows = 0, equal = 0, no_less = 0;
  double growth_a = 0, growth_b = 0, correlation = 0;
};

Pair compare(const Series& a, const Series& b) {
  Pair pair;
  double aa = 0, bb = 0, ab = 0;
  const double slack = std::max(a.slack, b.slack);
  for (std::size_t i = 0; i < std::min(a.values.size(), b.values.size()); ++i) {
    const double x = a.values[i], y = b.values[i];
    if (std::isnan(x) || std::isnan(y)) continue;
    ++pair.windows;
    pair.equal += std::abs(x - y) <= slack ? 1U : 0U;
    pair.no_less += y >= x - slack ? 1U : 0U;
    pair.growth_a += x;
    pair.growth_b += y;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  const auto n = static_cast<double>(std::max<std::size_t>(1, pair.windows));
  const double spread_a = aa - pair.growth_a * pair.growth_a / n, spread_b = bb - pair.growth_b * pair.growth_b / n;
  if (spread_a > 0 && spread_b > 0)
    pair.correlation = (ab - pair.growth_a * pair.growth_b / n) / std::sqrt(spread_a * spread_b);
  return pair;
}

bool declared_inside(std::span<const Channel> channels, std::size_t inner, std::size_t outer) {
  auto part = channels[inner].part_of;
  for (std::size_t depth = 0; part && depth < channels.size(); ++depth) {
    if (part->value == outer) return true;
    if (part->value >= channels.size()) return false;
    part = channels[part->value].part_of;
  }
  return false;
}

}  // namespace

void learn_relations(std::span<const Channel> channels, std::span<const Ticks> ticks,
                     std::span<ChannelPassport> passports) {
  double slowest_ns = 0, poll_ns = 0;
  for (std::size_t c = 0; c < channels.size(); ++c) {
    if (!comparable(channels[c])) continue;
    const auto& p = passports[c];
    const auto period = p.update_period ? p.update_period : p.faster_than;
    if (period) slowest_ns = std::max(slowest_ns, static_cast<double>(period->ns));
    // The mean, not the median: reads that waited for the CPU count as much as the others.
    if (p.reads > 0) poll_ns = static_cast<double>(p.watched.ns) / static_cast<double>(p.reads + p.gaps);
  }
  if (poll_ns <= 0) return;
  const auto stride = static_cast<std::size_t>(std::max(1.0, std::ceil(updates_per_window * slowest_ns / poll_ns)));
  std::vector<Series> wide(channels.size()), fine(channels.size());
  for (std::size_t c = 0; c < channels.size(); ++c)
    if (comparable(channels[c])) {
      wide[c] = series_of(channels[c], ticks[c], stride, passports[c].step.value_or(0));
      fine[c] = series_of(channels[c], ticks[c], 1, passports[c].step.value_or(0));
    }
  for (std::size_t a = 0; a < channels.size(); ++a)
    for (std::size_t b = 0; b < channels.size(); ++b) {
      if (a == b || channels[a].measure != channels[b].measure || channels[a].kind != channels[b].kind) continue;
      if (!wide[a].usable || !wide[b].usable) continue;
      const auto pair = compare(wide[a], wide[b]);
      if (pair.windows < least_windows) continue;
      const auto in_pair = static_cast<double>(pair.windows);
      const auto close = compare(fine[a], fine[b]);
      const bool same = static_cast<double>(pair.equal) >= equal_share * in_pair &&
                        static_cast<double>(close.equal) >= equal_share * static_cast<double>(close.windows);
      if (same && b < a && passports[a].duplicate_of.empty()) passports[a].duplicate_of = channels[b].name;
      if (same || channels[a].kind != ChannelKind::counter || declared_inside(channels, a, b) ||
          declared_inside(channels, b, a))
        continue;
      const bool inside =
          pair.no_less == pair.windows && pair.growth_b > 1.02 * pair.growth_a && pair.correlation >= least_correlation;
      if (inside && passports[a].contained_in.empty()) passports[a].contained_in = channels[b].name;
    }
}

}  // namespace prony::passport
