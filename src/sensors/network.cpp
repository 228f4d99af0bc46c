// network: bytes received and sent by the machine's real network interfaces.
// reads       /sys/class/net/*/statistics/{rx,tx}_bytes; where a machine shows none, /proc/net/dev
// counted     interfaces with a device behind them; bridges, bonds, tunnels and the ends of container cables (veth)
// show
//             the same bytes again. In a container, where no interface has a device, all but the loopback
// period      the driver's: some renew their statistics once a second or two;  wrap 64-bit on 64-bit kernels
// bound       above 8 interfaces one sum of all; each, and the loopback, only on request
// privilege   none;  part_of nothing;  source Documentation/networking/statistics.rst, ABI/testing/sysfs-class-net
#include <algorithm>

#include "base/text.hpp"
#include "sensors/file_sensor.hpp"
#include "sensors/rows.hpp"
#include "sensors/sum_sensor.hpp"
#include "sensors/text_file.hpp"

namespace prony {

namespace {

constexpr std::size_t most_interfaces_shown = 8;
constexpr std::size_t most_interfaces = 192;  // two channels each

Channel network_channel(const std::string& name, bool sent) {
  Channel channel;
  channel.sensor = "network";
  channel.device = name;
  channel.domain = "network-" + name_part(name);
  channel.name = "network." + name_part(name) + (sent ? ".sent" : ".received");
  channel.measure = Measure::data;
  channel.kind = ChannelKind::counter;
  return channel;
}

// "  eth0: 874354587 1036395 …" → the first or the ninth number after the colon.
std::optional<std::int64_t> traffic_of(std::string_view text, std::string_view name, bool sent) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    auto line = text.substr(at, end - at);
    at = end + 1;
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':')
      return number_in_line(line.substr(name.size() + 1), sent ? 8 : 0);
  }
  return std::nullopt;
}

std::vector<std::string> interface_names(std::string_view text) {
  std::vector<std::string> names;
  for_each_line(text, [&](std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || line.find('|') != std::string_view::npos) return;
    const auto name = trim(line.substr(0, colon));
    if (!name.empty()) names.emplace_back(name);
  });
  return names;
}

bool has_device(Machine& machine, const std::string& name) {
  return machine.exists("/sys/class/net/" + name + "/device");
}

// Those that stand for a cable or an antenna.
std::vector<std::string> real_ones(Machine& machine, std::vector<std::string> names, bool all) {
  if (all) return names;
  const bool any = std::any_of(names.begin(), names.end(), [&](const auto& name) { return has_device(machine, name); });
  std::erase_if(names, [&](const auto& name) { return any ? !has_device(machine, name) : name == "lo"; });
  return names;
}

Probe from_proc(Machine& machine, const SensorOptions& options) {
  TextSensorBuilder builder(machine);
  const auto text = machine.read_text("/proc/net/dev");
  std::vector<TextField> fields;
  for (const auto& name :
       real_ones(machine, text ? interface_names(*text) : std::vector<std::string>{}, options.every_channel))
    for (const bool sent : {false, true}) {
      if (fields.size() >= 2 * most_interfaces_shown && !options.every_channel) break;
      fields.push_back({network_channel(name, sent),
                        [name, sent](std::string_view now) noexcept { return traffic_of(now, name, sent); }});
    }
  if (!fields.empty()) builder.add("/proc/net/dev", std::move(fields));
  if (builder.size() == 0 && builder.unavailable().empty())
    builder.unavailable().push_back({"network", "no network interface but the loopback", {}});
  return builder.finish(LaneKind::slow);
}

}  // namespace

Probe make_network(Machine& machine, const SensorOptions& options) {
  std::vector<std::string> names;
  for (const auto& name : machine.list("/sys/class/net").value_or(std::vector<std::string>{}))
    if (machine.exists("/sys/class/net/" + name + "/statistics/rx_bytes")) names.push_back(name);
  names = real_ones(machine, std::move(names), options.every_channel);
  if (names.empty()) return from_proc(machine, options);
  if (names.size() > most_interfaces) names.resize(most_interfaces);
  SumSensorBuilder builder(machine);
  const auto file = [](const std::string& name, bool sent) {
    return "/sys/class/net/" + name + "/statistics/" + (sent ? "tx_bytes" : "rx_bytes");
  };
  if (names.size() > most_interfaces_shown && !options.every_channel) {
    for (const bool sent : {false, true}) {
      std::vector<std::string> paths;
      for (const auto& name : names) paths.push_back(file(name, sent));
      builder.add(network_channel("all", sent), paths);
    }
  } else {
    for (const auto& name : names)
      for (const bool sent : {false, true}) builder.add(network_channel(name, sent), {file(name, sent)});
  }
  return builder.finish(LaneKind::slow);
}

}  // namespace prony
