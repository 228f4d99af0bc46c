// A machine on paper with several targets: their CPU time as closed-form curves, by package if wanted, energy domains,
// and what a follower would have told of single processes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "rig.hpp"

namespace prony::rig {

inline Channel use_channel(Scope scope, const std::string& target, Measure measure = Measure::cpu_time,
                           const std::string& domain = {}) {
  Channel channel;
  const std::string who = scope == Scope::host ? "host" : scope == Scope::prony ? "prony" : "target." + target;
  channel.name = who + "." + std::string(to_string(measure)) + "." + domain;
  channel.measure = measure;
  channel.kind = ChannelKind::counter;
  channel.scope = scope;
  channel.target = target == "command" ? "" : target;
  channel.domain = domain;
  channel.scale = measure == Measure::count ? 1 : 1e-9;
  if (scope == Scope::host && measure == Measure::cpu_time) channel.update_period = milliseconds(4);
  return channel;
}

inline Channel memory_gauge(Scope scope, const std::string& name, const std::string& target = {}) {
  Channel channel;
  channel.name = name;
  channel.measure = Measure::memory;
  channel.scope = scope;
  channel.target = target;
  return channel;
}

// Counts 10⁹ for each unit of the curve's integral.
inline Source counting(Power rate) {
  return [rate = std::move(rate)](std::int64_t t) {
    return Reading{static_cast<std::int64_t>(std::max(0.0, rate.energy(t)) * 1e9), Quality::ok};
  };
}
inline Source holding(std::int64_t value) {
  return [value](std::int64_t) { return Reading{value, Quality::ok}; };
}
inline Power steady(double rate) { return {{origin}, {rate}}; }

inline std::int64_t at_s(double s) { return origin + static_cast<std::int64_t>(s * 1e9); }

struct Office {
  Recording run;
  Group group{GroupId{1}, "fast", Duration{10 * millisecond}, {}};
  std::vector<Source> sources;
  AttributionOptions options;
  std::vector<ProcessLook> looks;
  std::vector<ProcessRecord> processes;

  ChannelId add(Channel channel, Source source) {
    return run.add(group, sources, std::move(channel), std::move(source)).id;
  }
  ChannelId add_energy(const std::string& domain, Power power, std::optional<ChannelId> part_of = {}) {
    Channel channel = energy_counter(millisecond, "test." + domain + ".energy");
    channel.sensor = "test";
    channel.domain = domain;
    channel.part_of = part_of;
    return add(std::move(channel), counter_of(std::move(power), millisecond, 0));
  }
  void add_cpu(Scope scope, const std::string& target, Power rate, const std::string& domain = {}) {
    add(use_channel(scope, target, Measure::cpu_time, domain), counting(std::move(rate)));
  }
  void window(double from_s, double to_s) {
    run.spans.push_back(span(1, SpanKind::run, "run", at_s(from_s), at_s(to_s)));
  }
  void baseline(double from_s, double to_s) {
    run.spans.push_back(span(900, SpanKind::phase, std::string(phase::baseline_before), at_s(from_s), at_s(to_s)));
  }
  void follow(std::uint32_t number, std::string target, std::int64_t pid = 0) {
    ProcessRecord record;
    record.number = number;
    record.pid = pid == 0 ? 1000 + number : pid;
    record.target = std::move(target);
    record.seen = {Instant{origin}, Instant{origin + 100 * second}};
    processes.push_back(std::move(record));
  }
  [[nodiscard]] Ledger attribute(double length_s, std::size_t block = 512) {
    run.groups = {group};
    Attribution attribution(run.channels, run.groups, run.spans, options);
    for (const ProcessLook& look : looks) attribution.push(look);
    for (const auto& one : in_blocks(GroupId{1}, poll(sources, origin, at_s(length_s), 10 * millisecond), block))
      attribution.push(one);
    attribution.know(processes);
    return attribution.finish();
  }
};

// Looks of `every` ns from `from` on: each process's use is its rate's integral over the look.
inline std::vector<ProcessLook> looks_at(const std::vector<std::pair<std::uint32_t, Power>>& rates, std::int64_t from,
                                         std::int64_t to, std::int64_t every) {
  std::vector<ProcessLook> looks;
  for (std::int64_t t = from; t < to; t += every) {
    ProcessLook look{{Instant{t}, Instant{t + every}}, {}, 0};
    for (const auto& [number, rate] : rates) {
      const double used = rate.energy(t + every) - rate.energy(t);
      if (used > 0) look.uses.push_back({number, static_cast<std::int64_t>(used * 1e9), 0});
    }
    looks.push_back(std::move(look));
  }
  return looks;
}

inline double parties_of(const ChannelLedger& row) {
  double sum = row.unattributed.value;
  for (const auto& party : {row.target, row.foreign, row.prony, row.idle}) sum += party ? party->value : 0;
  return sum;
}

inline std::string reason_of(const std::vector<std::pair<std::string, std::string>>& absent, std::string_view field) {
  for (const auto& [name, reason] : absent)
    if (name == field) return reason;
  return {};
}

}  // namespace prony::rig
