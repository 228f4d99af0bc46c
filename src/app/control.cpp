#include "app/control.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "model/interval_change.hpp"

namespace prony::app {

namespace {

constexpr Duration slowest = milliseconds(1000);
constexpr Duration blind_after = milliseconds(3000);  // the slow lane looks once a second
// What a thermometer that lives can show; a broken one shows 6553.5 or −273.
constexpr double least_believable = -60, most_believable = 250;

std::string percent(double share) {
  return format_number(static_cast<double>(static_cast<std::int64_t>(share * 1e5 + 0.5)) / 1e3) + " %";
}

}  // namespace

Result<double> temperature_setting(const std::string& text, std::string_view option) {
  const std::string name = "--" + std::string(option);
  const std::string_view all = trim(text);
  const auto value = all.empty() ? std::nullopt : parse_finite(all.substr(0, all.size() - 1));
  const char unit = all.empty() ? ' ' : all.back();
  std::optional<double> celsius;
  if (value && (unit == 'C' || unit == 'c')) celsius = *value;
  if (value && (unit == 'F' || unit == 'f')) celsius = (*value - 32) / 1.8;
  if (value && (unit == 'K' || unit == 'k')) celsius = *value - 273.15;
  if (!celsius)
    return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is not a temperature", name,
                "Write a number with its unit: 90C, 194F or 363K.");
  if (*celsius < 0 || *celsius > 150)
    return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is out of range", name, "It may be 0C to 150C.");
  return *celsius;
}

Result<double> share_setting(const std::string& text, std::string_view option) {
  const std::string_view all = trim(text);
  const auto value = all.ends_with('%') ? parse_finite(all.substr(0, all.size() - 1)) : std::nullopt;
  if (!value || *value <= 0 || *value > 100)
    return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is not a share of one core",
                "--" + std::string(option), "Write a percentage above 0 and up to 100: 0.5%.");
  return *value / 100;
}

Control::Control(Machine& machine, std::span<const LanePlan> lanes, std::span<const Channel> channels,
                 ControlOptions options)
    : machine_(machine), lanes_(lanes), options_(std::move(options)) {
  std::uint32_t most_factor = 1;
  for (const LanePlan& lane : lanes_) {
    for (std::size_t i = 0; i < lane.group.channels.size(); ++i) {
      const Channel& channel = channels[lane.group.channels[i].value];
      if (channel.measure == Measure::temperature) thermometers_.push_back({lane.group.id, i, &channel});
    }
    if (slowable(lane))
      while (static_cast<std::int64_t>(most_factor) * lane.interval < slowest) most_factor *= 2;
  }
  if (options_.budget) governor_.emplace(*options_.budget, most_factor);
}

bool Control::slowable(const LanePlan& lane) { return lane.name.starts_with(to_string(LaneKind::fast)); }

Duration Control::interval_at(const LanePlan& lane, std::uint32_t factor) {
  return std::max(lane.interval, std::min(slowest, static_cast<std::int64_t>(factor) * lane.interval));
}

void Control::look(Sampler& sampler, const std::function<void(const Event&)>& record) {
  if (options_.max_celsius && !hot_) look_for_heat(sampler, record);
  const Instant now = machine_.now();
  if (!governor_ || now < next_budget_) return;
  next_budget_ = now + BudgetGovernor::between_looks;
  keep_budget(sampler, record);
}

void Control::look_for_heat(const Sampler& sampler, const std::function<void(const Event&)>& record) {
  const Instant now = machine_.now();
  if (!last_seen_) last_seen_ = now;
  const Thermometer* hottest = nullptr;
  double most = 0;
  for (const Thermometer& thermometer : thermometers_) {
    Instant at;
    const std::vector<Reading> readings = sampler.latest(thermometer.group, at);
    if (readings.size() <= thermometer.position || readings[thermometer.position].quality == Quality::gap) continue;
    const double celsius = static_cast<double>(readings[thermometer.position].raw) * thermometer.channel->scale;
    if (celsius < least_believable || celsius > most_believable) continue;
    last_seen_ = std::max(*last_seen_, at);
    if (hottest != nullptr && celsius <= most) continue;
    hottest = &thermometer;
    most = celsius;
  }
  if (hottest != nullptr && most > *options_.max_celsius) {
    hot_ = true;
    if (options_.on_hot) options_.on_hot({hottest->channel->name, most, *options_.max_celsius});
  } else if (!blind_ && now - *last_seen_ > blind_after) {
    blind_ = true;
    const std::string text = "no temperature can be read any more: --max-temp watches nothing until one can";
    record({now, "temperature-unwatched", "temperature", text});
    if (options_.on_blind) options_.on_blind(text);
  } else if (hottest != nullptr && now - *last_seen_ <= blind_after) {
    blind_ = false;
  }
}

void Control::keep_budget(Sampler& sampler, const std::function<void(const Event&)>& record) {
  BudgetGovernor::Used used;
  used.at = machine_.now();
  used.all = machine_.own_cpu_time();
  for (const LaneStats& lane : sampler.stats())
    if (lane.name.starts_with(to_string(LaneKind::fast))) used.lanes = used.lanes + lane.cpu;
  const std::uint32_t before = governor_->factor();
  const auto decision = governor_->consider(used);
  if (!decision) return;
  const std::string words = "Prony's own CPU was " + percent(decision->share) +
                            " of a core in the last second, the budget is " + percent(*options_.budget);
  if (decision->hopeless)
    return record({used.at, "budget-exceeded", "prony", words + "; its lanes are at their slowest"});
  for (const LanePlan& lane : lanes_) {
    const Duration from = interval_at(lane, before), to = interval_at(lane, decision->factor);
    if (!slowable(lane) || from == to) continue;
    record(interval_change_event(machine_.now(), lane.name, from, to, words));
    sampler.set_interval(lane.group.id, to);
  }
}

}  // namespace prony::app
