#include "sensors/report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "model/absence.hpp"
#include "sensors/wall.hpp"

namespace prony {

namespace {

constexpr std::int64_t cost_budget_ns = 20'000'000;
constexpr std::size_t cost_reads = 200;
constexpr std::size_t roomy = 80;            // columns
constexpr std::size_t least_cost_reads = 5;  // one read alone may have been the one that lost the CPU

// All sensors of the probe, as one channel list; part_of also between them.
std::vector<Channel> all_channels(const Probe& probe) {
  std::vector<Channel> channels;
  const auto add = [&](const Sensor& sensor) {
    const auto first = static_cast<std::uint32_t>(channels.size());
    for (Channel channel : sensor.channels()) {
      channel.id.value += first;
      if (channel.part_of) channel.part_of->value += first;
      channels.push_back(std::move(channel));
    }
  };
  add(*probe.sensor);
  for (const auto& sensor : probe.more) add(*sensor);
  resolve_within(probe.within, channels);
  return channels;
}

// What one read of all costs, and the channels that gave nothing at every read.
struct Trial {
  std::optional<std::int64_t> cost_ns;
  std::vector<bool> silent;
};

Trial read_some(Machine& machine, const Probe& probe, std::int64_t budget_ns) {
  const bool timed = machine.kind() != MachineKind::simulated;  // its clock does not move while it is read
  std::vector<Sensor*> sensors{probe.sensor.get()};
  for (const auto& sensor : probe.more) sensors.push_back(sensor.get());
  std::size_t all = 0;
  for (const Sensor* sensor : sensors) all += sensor->channels().size();
  std::vector<Reading> readings(all);
  Trial trial{{}, std::vector<bool>(all, true)};
  std::vector<std::int64_t> costs;
  costs.reserve(cost_reads);
  const auto begin = machine.now();
  auto before = begin;
  do {
    std::span<Reading> rest(readings);
    for (Sensor* sensor : sensors) {
      sensor->read(rest.first(sensor->channels().size()));
      rest = rest.subspan(sensor->channels().size());
    }
    const auto after = machine.now();
    costs.push_back((after - before).ns);
    for (std::size_t i = 0; i < all; ++i)
      if (readings[i].quality != Quality::gap) trial.silent[i] = false;
    before = machine.now();
  } while (costs.size() < least_cost_reads || (timed && costs.size() < cost_reads && (before - begin).ns < budget_ns));
  // The median: one read during which somebody else had the CPU would be most of a mean.
  const auto middle = costs.begin() + static_cast<std::ptrdiff_t>(costs.size() / 2);
  std::nth_element(costs.begin(), middle, costs.end());
  if (timed) trial.cost_ns = *middle;
  return trial;
}

// Why channels that were opened gave nothing when they were read: rubbish in a file, a device that answers with an
// error.
void add_complaints(const Probe& probe, SensorReport& report) {
  const auto add = [&](Sensor& sensor) {
    for (auto& complaint : sensor.complaints())
      if (report.silent.contains(complaint.subject)) report.unavailable.push_back(std::move(complaint));
  };
  add(*probe.sensor);
  for (const auto& sensor : probe.more) add(*sensor);
  for (const std::string& channel : report.silent)
    if (std::ranges::none_of(report.unavailable, [&](const Unavailable& entry) { return entry.subject == channel; }))
      report.unavailable.push_back({channel, channel + ": gave no value when it was read", {}});
  if (!report.silent.empty() && report.state == SensorState::ready) report.state = SensorState::partial;
}

SensorState state_of(const SensorRow& row, const Probe& probe) {
  if (probe.sensor) {
    if (row.stand_in) return SensorState::stand_in;
    return probe.unavailable.empty() ? SensorState::ready : SensorState::partial;
  }
  const bool denied = std::any_of(probe.unavailable.begin(), probe.unavailable.end(), [](const Unavailable& entry) {
    return absence_kind(entry.reason) == to_string(ErrorCode::denied);
  });
  return denied ? SensorState::denied : SensorState::not_here;
}

std::string time_text(std::int64_t ns) {
  if (ns < 1'000) return std::to_string(ns) + " ns";
  if (ns < 1'000'000) return format_fixed(static_cast<double>(ns) * 1e-3, 1) + " µs";
  if (ns < 1'000'000'000) return format_number(static_cast<double>(ns / 10'000) * 1e-2) + " ms";
  return format_number(static_cast<double>(ns / 10'000'000) * 1e-2) + " s";
}

constexpr std::string_view learned_mark = " learned";  // "*" on a narrow screen

// To what time_text() shows, which cuts: 9.9998 ms is 10 ms.
std::int64_t rounded(std::int64_t ns) { return ns < 1'000'000 ? ns : ns < 1'000'000'000 ? ns + 5'000 : ns + 5'000'000; }

std::string step_text(double step, std::string_view unit) {
  struct Prefix {
    double factor;
    std::string_view sign;
  };
  if (unit == "bytes") return format_number(step) + " bytes";
  if (unit == "1") return format_number(step);
  for (const auto& [factor, sign] :
       {Prefix{1e6, "M"}, Prefix{1e3, "k"}, Prefix{1, ""}, Prefix{1e-3, "m"}, Prefix{1e-6, "µ"}})
    if (step >= factor * 0.9999) {
      const double value = step / factor;
      return format_fixed(value, value < 9.95 && value != static_cast<double>(static_cast<int>(value)) ? 1 : 0) + " " +
             std::string(sign) + std::string(unit);
    }
  return format_fixed(step * 1e9, 0) + " n" + std::string(unit);
}

std::string short_unit(Measure measure) {
  return measure == Measure::temperature ? "°C" : std::string(unit_of(measure));
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string result;
  for (const auto& part : parts) result += (result.empty() ? "" : std::string(separator)) + part;
  return result;
}

void add_once(std::vector<std::string>& list, std::string text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
}

std::string padded(const std::string& text, std::size_t columns) {
  const auto used = display_width(text);
  return used >= columns ? text : text + std::string(columns - used, ' ');
}

// Words of `text` in lines of at most `width` columns, each after `indent` spaces.
void add_wrapped(std::string& out, std::string_view text, std::size_t indent, std::size_t width) {
  std::string line;
  for (const auto word : split(text, ' ')) {
    if (word.empty()) continue;
    if (!line.empty() && indent + display_width(line) + 1 + display_width(word) > width) {
      out += std::string(indent, ' ') + line + "\n";
      line.clear();
    }
    // A single word longer than the line (a path) is kept whole: half a path is of no use.
    line += (line.empty() ? "" : " ") + std::string(word);
  }
  if (!line.empty()) out += std::string(indent, ' ') + line + "\n";
}

struct Columns {
  std::string name, state, sees, unit, updates, step, cost;
};

Columns columns_of(const SensorReport& report, const MachinePassport& learned) {
  std::vector<std::string> domains, units, periods, steps;
  for (const auto& channel : report.channels) {
    std::string domain = channel.domain;
    // A gauge of the same thing that a counter counts is no part of it for who reads this.
    if (channel.part_of && report.channels[channel.part_of->value].domain != domain)
      domain += " (in " + report.channels[channel.part_of->value].domain + ")";
    add_once(domains, std::move(domain));
    add_once(units, short_unit(channel.measure));
    const bool modelled = channel.model.has_value();  // its readings are CPU seconds, not watts
    const std::string unit = modelled ? "s" : short_unit(channel.measure);
    const ChannelPassport* passport = learned.find(channel.name);
    if (passport != nullptr && passport->update_period) {
      add_once(periods, time_text(rounded(passport->update_period->ns)) + std::string(learned_mark));
    } else if (channel.update_period.ns > 0) {
      add_once(periods, time_text(channel.update_period.ns));
    }
    if (passport != nullptr && passport->step) {
      add_once(steps, step_text(*passport->step, unit) + std::string(learned_mark));
    } else if (channel.resolution > 0) {
      add_once(steps, step_text(channel.resolution * channel.scale, unit));
    }
  }
  std::string sees = joined(domains, ", ");
  if (report.state == SensorState::stand_in)
    sees = report.in_use ? "used: nothing above measures CPU energy" : "not needed: CPU energy is measured";
  const auto first = [](const std::vector<std::string>& list) {
    return list.empty() ? std::string("–") : list.size() == 1 ? list[0] : list[0] + " …";
  };
  return {report.name,
          std::string(to_string(report.state)),
          sees.empty() ? "–" : sees,
          units.empty() ? "–" : joined(units, ","),
          first(periods),
          first(steps),
          report.cost_per_read_ns ? time_text(*report.cost_per_read_ns) : "–"};
}

void add_reasons(std::string& out, const SensorReport& report, std::size_t width) {
  // Many zones fail alike: the reason of each, the remedy once.
  std::vector<std::string> remedies;
  std::size_t shown = 0;
  for (const auto& entry : report.unavailable) {
    if (++shown <= 4) add_wrapped(out, entry.reason, 15, width);
    if (!entry.remedy.empty()) add_once(remedies, entry.remedy);
  }
  if (shown > 4) add_wrapped(out, "and " + std::to_string(shown - 4) + " more (--json names them)", 15, width);
  for (const auto& remedy : remedies) add_wrapped(out, "→ " + remedy, 15, width);
}

nlohmann::json learned_json(const ChannelPassport& passport) {
  nlohmann::json json{{"learned_by", passport.learned_by}, {"learned_utc", passport.learned_utc}};
  if (passport.update_period) json["update_period_ns"] = passport.update_period->ns;
  if (passport.step) json["step"] = *passport.step;
  if (passport.read_cost) json["read_cost_ns"] = passport.read_cost->ns;
  if (passport.averaging_window) json["averaging_window_ns"] = passport.averaging_window->ns;
  return json;
}

nlohmann::json channel_json(const SensorReport& report, const Channel& channel) {
  nlohmann::json json{{"name", channel.name},
                      {"device", channel.device},
                      {"domain", channel.domain},
                      {"measure", to_string(channel.measure)},
                      {"unit", unit_of(channel.measure)},
                      {"kind", to_string(channel.kind)},
                      {"origin", to_string(channel.origin)},
                      {"coverage_known", channel.coverage_known},
                      {"step", channel.resolution * channel.scale},
                      {"step_unit", channel.model ? std::string_view("s") : unit_of(channel.measure)}};
  if (channel.update_period.ns > 0) json["update_period_ns"] = channel.update_period.ns;
  if (channel.averaging_window.ns > 0) json["averaging_window_ns"] = channel.averaging_window.ns;
  if (channel.range > 0) json["wraps_at"] = static_cast<double>(channel.range) * channel.scale;
  if (report.silent.contains(channel.name)) json["silent"] = true;
  if (channel.part_of) json["part_of"] = report.channels[channel.part_of->value].name;
  if (channel.model) {
    const auto& model = *channel.model;
    json["model"] = {{"name", model.name},
                     {"source", model.source},
                     {"cpus", model.cpus},
                     {"idle_w", model.idle.value()},
                     {"idle_low_w", model.idle_low.value()},
                     {"idle_high_w", model.idle_high.value()},
                     {"full_w", model.full.value()},
                     {"full_low_w", model.full_low.value()},
                     {"full_high_w", model.full_high.value()},
                     {"clock_floor", model.clock_floor},
                     {"clock_limit", model.clock_limit}};
    if (model.reference_clock_hz) json["model"]["reference_clock_hz"] = *model.reference_clock_hz;
    if (model.highest_clock_hz) json["model"]["highest_clock_hz"] = *model.highest_clock_hz;
  }
  return json;
}

}  // namespace

std::string_view to_string(SensorState state) noexcept {
  switch (state) {
    case SensorState::ready: return "ready";
    case SensorState::partial: return "partial";
    case SensorState::not_here: return "not here";
    case SensorState::denied: return "denied";
    case SensorState::stand_in: return "stand-in";
  }
  return "unknown";
}

void resolve_within(std::span<const Within> within, std::vector<Channel>& channels) {
  const auto named = [&](const std::string& name) {
    return std::find_if(channels.begin(), channels.end(), [&](const Channel& channel) { return channel.name == name; });
  };
  for (const auto& [part, whole] : within) {
    const auto inner = named(part), outer = named(whole);
    if (inner != channels.end() && outer != channels.end()) inner->part_of = outer->id;
  }
}

bool measures_cpu_energy(std::span<const Channel> channels, std::span<const std::string> doubted) {
  return std::any_of(channels.begin(), channels.end(), [&](const Channel& channel) {
    if (std::find(doubted.begin(), doubted.end(), channel.name) != doubted.end()) return false;
    if (!gives_energy(channel) || channel.origin == Origin::modelled || !channel.coverage_known) return false;
    if (channel.sensor == "raspberry") return channel.domain == "rails";
    // Of a board's rails coverage is known only where together they are the whole module, its processors included.
    if (channel.sensor == "hwmon" || channel.sensor == "jetson") return true;
    return channel.sensor == "rapl" && (channel.domain.starts_with("package") || channel.domain == "psys");
  });
}

std::vector<SensorReport> probe_sensors(Machine& machine, const SensorOptions& options) {
  std::vector<SensorReport> reports;
  bool measured = false;
  std::int64_t budget_ns = cost_budget_ns;
  for (const auto& row : sensor_catalogue()) {
    auto probe = row.make(machine, options);
    SensorReport report;
    report.name = row.name;
    report.help = row.help;
    report.state = state_of(row, probe);
    report.unnamed = !probe.sensor && unnamed_meter(machine, row.name);
    if (probe.sensor) {
      report.lane = probe.sensor->lane();
      report.channels = all_channels(probe);
      const auto before = machine.now();
      const Trial trial = read_some(machine, probe, budget_ns / 4);
      report.cost_per_read_ns = trial.cost_ns;
      for (std::size_t i = 0; i < report.channels.size(); ++i)
        if (trial.silent[i]) report.silent.insert(report.channels[i].name);
      budget_ns = std::max<std::int64_t>(0, budget_ns - (machine.now() - before).ns);
    }
    report.doubted = std::move(probe.doubted);
    measured = measured || measures_cpu_energy(report.channels, report.doubted);
    report.in_use = !row.stand_in || !measured;
    report.unavailable = std::move(probe.unavailable);
    if (probe.sensor) add_complaints(probe, report);
    report.unavailable.insert(report.unavailable.end(), probe.notes.begin(), probe.notes.end());
    reports.push_back(std::move(report));
  }
  return reports;
}

std::string sensors_text(const std::vector<SensorReport>& reports, std::size_t width, const MachinePassport& learned) {
  width = std::max<std::size_t>(width, 60);
  std::vector<Columns> lines{{"sensor", "state", "what it sees", "unit", "updates", "step", "cost"}};
  for (const auto& report : reports) lines.push_back(columns_of(report, learned));
  // On a narrow screen only the first of several units and steps.
  if (width < roomy)
    for (auto& line : lines) {
      line.unit = line.unit.substr(0, line.unit.find(','));
      for (std::string* text : {&line.updates, &line.step})
        if (const auto at = text->find(learned_mark); at != std::string::npos)
          text->replace(at, learned_mark.size(), "*");
      if (line.step.ends_with(" …")) line.step.resize(line.step.size() - std::string_view(" …").size());
    }
  const auto widest = [&](std::string Columns::* member) {
    std::size_t most = 0;
    for (const auto& line : lines) most = std::max(most, display_width(line.*member));
    return most;
  };
  const auto unit = widest(&Columns::unit), updates = widest(&Columns::updates), step = widest(&Columns::step),
             cost = widest(&Columns::cost);
  // What it sees takes the room that is left; a longer list goes on below.
  const std::size_t fixed = 1 + 14 + 10 + unit + updates + step + cost + 8;
  const bool wide = width >= fixed + 20;
  const bool steps =
      fixed <= width + 2;  // a terminal too narrow for all of it does without the steps (--json has them)
  const std::size_t sees = wide ? std::min(widest(&Columns::sees), width - fixed) : 0;
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& line = lines[i];
    const bool fits = display_width(line.sees) <= sees;
    std::string text = " " + padded(line.name, 14) + padded(line.state, 10);
    if (wide) text += padded(fits ? line.sees : "(below)", sees) + "  ";
    text += padded(line.unit, unit) + "  " + padded(line.updates, updates) + "  ";
    if (steps) text += padded(line.step, step) + "  ";
    text += line.cost;
    out += text + "\n";
    if (!fits && i > 0 && line.sees != "–") add_wrapped(out, line.sees, 15, width);
    if (i > 0) add_reasons(out, reports[i - 1], width);
  }
  return out;
}

std::string sensors_json(const std::vector<SensorReport>& reports, const MachinePassport& learned) {
  auto sensors = nlohmann::json::array();
  for (const auto& report : reports) {
    nlohmann::json json{{"name", report.name}, {"help", report.help}, {"state", to_string(report.state)}};
    if (!report.channels.empty()) json["lane"] = to_string(report.lane);
    if (report.state == SensorState::stand_in) json["in_use"] = report.in_use;
    if (report.cost_per_read_ns) json["cost_per_read_ns"] = *report.cost_per_read_ns;
    json["channels"] = nlohmann::json::array();
    for (const auto& channel : report.channels) {
      json["channels"].push_back(channel_json(report, channel));
      if (const ChannelPassport* passport = learned.find(channel.name))
        json["channels"].back()["learned"] = learned_json(*passport);
    }
    json["unavailable"] = nlohmann::json::array();
    for (const auto& entry : report.unavailable) {
      const auto kind = absence_kind(entry.reason);
      const bool absent = report.state == SensorState::not_here && kind == to_string(ErrorCode::unavailable);
      nlohmann::json reason{
          {"subject", entry.subject}, {"kind", absent ? to_string(ErrorCode::absent) : kind}, {"reason", entry.reason}};
      if (!entry.remedy.empty()) reason["remedy"] = entry.remedy;
      json["unavailable"].push_back(std::move(reason));
    }
    sensors.push_back(std::move(json));
  }
  const nlohmann::json document{{"schema", 1}, {"sensors", std::move(sensors)}};
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace prony
