#include "app/warm_up_watch.hpp"

#include <algorithm>

namespace prony::app {

namespace {

constexpr double apart_s = 0.2;
constexpr double coldest = -60, hottest_believable = 250;  // a broken thermometer shows 6553.5 or −273

bool is_top(const Channel& channel) {
  return gives_energy(channel) && channel.scope == Scope::host && !channel.part_of;
}

bool is_modelled(const Channel& channel) { return channel.model || channel.origin == Origin::modelled; }

}  // namespace

Result<void> WarmUpWatch::connect(Session& session) {
  const std::vector<Channel>& channels = session.channels();
  const bool measured =
      std::ranges::any_of(channels, [](const Channel& c) { return is_top(c) && !is_modelled(c) && c.coverage_known; });
  for (const Group& group : session.groups())
    for (std::size_t i = 0; i < group.channels.size(); ++i) {
      const Channel& channel = channels[group.channels[i].value];
      if (channel.measure == Measure::temperature) thermometers_.push_back({&channel, group.id, i, {}, {}, -1});
      if (is_top(channel) && is_modelled(channel) != measured && (channel.coverage_known || !measured))
        powers_.push_back({&channel, group.id, i, {}, {}, -1});
    }
  if (rule_.celsius_per_min && thermometers_.empty())
    return fail(ErrorCode::absent, "no temperature can be read here", "--warmup-until temp=…", "Leave temp out.");
  if (rule_.power_share_per_min && powers_.empty())
    return fail(ErrorCode::absent, "no power can be read here", "--warmup-until power=…", "Leave power out.");
  session.show_blocks_to([this](const TickBlock& block) { see(block); });
  return {};
}

void WarmUpWatch::keep(Seen& seen, double at_s, double value, double over_s) {
  seen.drift.add(at_s, value);
  seen.drift.forget_before(at_s - 2 * over_s);
  seen.at_s = at_s;
}

void WarmUpWatch::see(const TickBlock& block) {
  const std::scoped_lock lock(mutex_);
  const auto each = [&](std::vector<Seen>& all, const auto& take) {
    for (Seen& seen : all) {
      if (!(seen.group == block.group())) continue;
      for (std::size_t tick = 0; tick < block.ticks(); ++tick) {
        const Reading reading = block.reading(seen.position, tick);
        const double at_s = static_cast<double>(block.end(tick).ns) / 1e9;
        if (reading.quality == Quality::gap || at_s < seen.at_s + apart_s) continue;
        take(seen, at_s, static_cast<double>(reading.raw) * seen.channel->scale);
      }
    }
  };
  each(thermometers_, [this](Seen& seen, double at_s, double degrees) {
    if (degrees >= coldest && degrees <= hottest_believable) keep(seen, at_s, degrees, over_s_);
  });
  each(powers_, [this](Seen& seen, double at_s, double value) {
    if (seen.channel->kind == ChannelKind::gauge) return keep(seen, at_s, value, over_s_);
    const auto before = std::exchange(seen.last, std::pair(at_s, value));
    seen.at_s = at_s;
    if (!before || value < before->second) return;  // smaller: it wrapped, or began anew
    const double rate = (value - before->second) / (at_s - before->first);
    const auto& model = seen.channel->model;
    const double watts =
        model ? (model->idle + std::clamp(rate / model->cpus, 0.0, 1.0) * (model->full - model->idle)).value() : rate;
    keep(seen, at_s, watts, over_s_);
  });
}

WarmUpDrift WarmUpWatch::drift() const {
  const std::scoped_lock lock(mutex_);
  WarmUpDrift out;
  std::optional<double> hottest;
  for (const Seen& seen : thermometers_) {
    const auto line = seen.drift.line(over_s_);
    if (!line || (hottest && line->mean <= *hottest)) continue;
    hottest = line->mean;
    out.celsius_per_min = line->per_s * 60;
  }
  double slope = 0, mean = 0;
  for (const Seen& seen : powers_) {
    const auto line = seen.drift.line(over_s_);
    if (!line) return out;  // a sum that lacks one of its domains is not told
    slope += line->per_s;
    mean += line->mean;
  }
  if (mean > 0) out.power_share_per_min = slope * 60 / mean;
  return out;
}

}  // namespace prony::app
