#include "base/text.hpp"
#include "model/counter.hpp"
#include "passport/parts.hpp"

namespace prony::passport {

namespace {

// Change from one reading to the next in counts; nullopt: it means nothing (a counter that restarted).
std::optional<double> change(const Channel& channel, const CounterRules& rules, std::int64_t before, std::int64_t now,
                             double elapsed_s) {
  if (channel.kind == ChannelKind::gauge) return static_cast<double>(now) - static_cast<double>(before);
  const auto step = advance(rules, static_cast<std::uint64_t>(before), static_cast<std::uint64_t>(now), elapsed_s);
  if (step.step != CounterStep::forward && step.step != CounterStep::wrapped) return std::nullopt;
  return static_cast<double>(step.counts);
}

}  // namespace

std::string time_words(double ns) {
  const auto digits = [](double value) { return format_fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0); };
  if (ns < 1e3) return format_fixed(ns, 0) + " ns";
  if (ns < 999.5e3) return digits(ns * 1e-3) + " µs";
  if (ns < 999.5e6) return digits(ns * 1e-6) + " ms";
  return digits(ns * 1e-9) + " s";
}

Transitions find_transitions(const Channel& channel, const Ticks& ticks) {
  Transitions found;
  const auto rules = counter_rules(channel);
  std::optional<std::size_t> before;
  std::vector<double> distances;
  // What one update may hold is not known yet: a second of the largest believable rate is allowed on top.
  constexpr double longest_update_s = 1;
  for (std::size_t i = 0; i < ticks.begin_ns.size(); ++i) {
    if (ticks.quality[i] == Quality::gap) {
      ++found.gaps;
      before.reset();
      continue;
    }
    ++found.reads;
    if (before) {
      const double distance = static_cast<double>(ticks.begin_ns[i] - ticks.begin_ns[*before]);
      if (distance > 0) distances.push_back(distance);
      if (ticks.raw[i] != ticks.raw[*before]) {
        const double elapsed_s = static_cast<double>(ticks.end_ns[i] - ticks.begin_ns[*before]) * 1e-9;
        const auto counts = change(channel, rules, ticks.raw[*before], ticks.raw[i], elapsed_s + longest_update_s);
        if (counts) {
          found.list.push_back({i, ticks.begin_ns[*before], ticks.end_ns[i], *counts});
        } else {
          ++found.resets;
        }
      }
    }
    before = i;
  }
  if (!distances.empty()) found.poll_ns = quantile(distances, 0.5);
  return found;
}

}  // namespace prony::passport
