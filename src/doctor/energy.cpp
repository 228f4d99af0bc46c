// Which channels give joules here, how short a window they resolve, and what the sensors lack.
#include <algorithm>

#include "doctor/doctor.hpp"

namespace prony::doctor {

namespace {

constexpr double fast_poll_s = 0.01, slow_poll_s = 1;  // the default --interval, and the lane of slow sensors
constexpr double edge_share = 0.25;                    // from which on a figure is not resolvable, as in attribute()
constexpr double least_power_w = 1;

bool remedied(const SensorReport& report) {
  return std::any_of(report.unavailable.begin(), report.unavailable.end(),
                     [](const Unavailable& entry) { return !entry.remedy.empty(); });
}

}  // namespace

// An edge of a counter lies between the update that was seen before it and the first one that surely came after it: a
// period and a read, or two reads and a period where reads are the rarer. Of a gauge it is known to the longest of what
// lies between two values. Two edges, half of their width each side: one width against a quarter of power × window.
double shortest_window_s(const Channel& channel, double poll_s) {
  const double period_s = channel.update_period.seconds().value();
  const double step = channel.resolution * channel.scale;
  const double edge_s = std::max(2 * poll_s, period_s) + std::min(poll_s, period_s);
  if (channel.model) return (edge_s + step) / edge_share;  // its readings are CPU seconds
  if (channel.kind == ChannelKind::counter) return (edge_s + step / least_power_w) / edge_share;
  return std::max({period_s, poll_s, channel.averaging_window.seconds().value()}) / edge_share;
}

// It was not seen to count, or lies in something that was not.
bool is_doubted(const SensorReport& report, const Channel& channel) {
  const Channel* at = &channel;
  for (std::size_t steps = 0; at != nullptr && steps <= report.channels.size(); ++steps) {
    if (std::ranges::find(report.doubted, at->name) != report.doubted.end()) return true;
    const bool inside = at->part_of && at->part_of->value < report.channels.size();
    at = inside ? &report.channels[at->part_of->value] : nullptr;
  }
  return false;
}

std::vector<EnergySource> energy_sources(const std::vector<SensorReport>& sensors) {
  std::vector<EnergySource> sources;
  for (const SensorReport& report : sensors) {
    if (!report.in_use) continue;
    for (const Channel& channel : report.channels) {
      if (!gives_energy(channel) || report.silent.contains(channel.name)) continue;
      EnergySource source;
      source.domain = channel.domain;
      if (channel.part_of && channel.part_of->value < report.channels.size())
        source.within = report.channels[channel.part_of->value].domain;
      source.sensor = channel.sensor;
      source.channel = channel.name;
      source.modelled = channel.origin == Origin::modelled;
      source.calibrated = channel.model && channel.origin == Origin::derived;
      source.coverage_known = channel.coverage_known;
      source.doubted = is_doubted(report, channel);
      if (channel.update_period.ns > 0) source.update_period_s = channel.update_period.seconds().value();
      source.step = channel.resolution * channel.scale;
      source.step_unit = channel.model ? "s" : std::string(unit_of(channel.measure));
      source.shortest_window_s = shortest_window_s(channel, report.lane == LaneKind::fast ? fast_poll_s : slow_poll_s);
      source.window_is_least = channel.update_period.ns == 0 && channel.averaging_window.ns == 0;
      sources.push_back(std::move(source));
    }
  }
  return sources;
}

std::vector<Finding> sensor_findings(const std::vector<SensorReport>& sensors) {
  std::vector<Finding> findings;
  std::string not_here;
  for (const SensorReport& report : sensors) {
    if (report.unnamed) continue;  // a meter is named or it is not: nothing is missing
    if (report.state == SensorState::not_here) not_here += (not_here.empty() ? "" : ", ") + report.name;
    if (report.state != SensorState::denied && report.state != SensorState::partial) continue;
    const auto with_remedy = std::find_if(report.unavailable.begin(), report.unavailable.end(),
                                          [](const Unavailable& u) { return !u.remedy.empty(); });
    const Unavailable& told = with_remedy != report.unavailable.end() ? *with_remedy : report.unavailable.front();
    Finding finding{"sensor " + report.name, remedied(report) ? Verdict::missing : Verdict::note, told.reason,
                    told.remedy};
    if (report.unavailable.size() > 1)
      finding.text += " (and " + std::to_string(report.unavailable.size() - 1) + " more: `prony sensors`)";
    finding.numbers.emplace_back("channels", static_cast<double>(report.channels.size()));
    finding.numbers.emplace_back("unavailable", static_cast<double>(report.unavailable.size()));
    findings.push_back(std::move(finding));
  }
  if (!not_here.empty())
    findings.push_back({"sensors not here", Verdict::note, not_here,
                        "`prony sensors` says why; a meter at the wall is named: --meter"});
  return findings;
}

}  // namespace prony::doctor
