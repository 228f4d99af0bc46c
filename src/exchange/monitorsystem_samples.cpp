#include "exchange/monitorsystem_samples.hpp"

#include <algorithm>
#include <cmath>

namespace prony::exchange {

void add_monitor_samples(Imported& out, std::span<const MonitorField> fields, std::span<const MonitorSample> samples) {
  std::vector<std::size_t> there;
  for (std::size_t i = 0; i < fields.size(); ++i)
    if (std::ranges::any_of(samples, [&](const MonitorSample& sample) { return sample.values[i].has_value(); }))
      there.push_back(i);
  const std::int64_t zero = samples.front().ns;
  const auto steps = static_cast<std::int64_t>(samples.size()) - 1;
  out.group.id = {0};
  out.group.name = "imported";
  out.group.interval = {(samples.back().ns - zero) / std::max<std::int64_t>(steps, 1)};
  for (const std::size_t i : there) {
    Channel channel;
    channel.id = {static_cast<std::uint32_t>(out.channels.size())};
    channel.name = fields[i].name;
    channel.sensor = "monitorsystem";
    channel.device = channel.domain = fields[i].domain;
    channel.measure = fields[i].measure;
    channel.scale = fields[i].scale;
    out.group.channels.push_back(channel.id);
    out.channels.push_back(std::move(channel));
  }
  out.ticks = TickBlock(out.group.id, there.size(), samples.size());
  for (const MonitorSample& sample : samples) {
    std::vector<Reading> readings;
    for (const std::size_t i : there) {
      const auto& value = sample.values[i];
      readings.push_back(value ? Reading{std::llround(*value / fields[i].scale), Quality::ok} : Reading{});
    }
    const Instant at{sample.ns - zero};
    out.ticks.push(at, at, readings);
  }
}

}  // namespace prony::exchange
