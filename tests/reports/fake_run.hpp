// FakeRun: a Run in memory, whose every part a test sets. Blocks are handed out in the order they were added.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "attribute/attribute.hpp"
#include "store/run.hpp"

namespace prony::testing {

class FakeRun final : public Run {
 public:
  std::filesystem::path file = "runs/demo.prony";
  RunState run_state = RunState::complete;
  Manifest facts;
  std::vector<Channel> channel_list;
  std::vector<Group> group_list;
  std::vector<Anchor> anchor_list;
  std::vector<Event> event_list;
  std::vector<Target> target_list;
  std::vector<ProcessRecord> process_list;
  std::vector<Total> total_list;
  std::vector<ChannelPassport> passport_list;
  std::vector<Span> span_list;
  std::vector<TickBlock> blocks;
  std::vector<ProcessLook> looks;
  std::uint64_t lost = 0;
  std::size_t fail_at_block = static_cast<std::size_t>(-1);
  ErrorCode fail_with = ErrorCode::malformed;
  mutable std::size_t visits = 0;

  const std::filesystem::path& path() const noexcept override { return file; }
  RunState state() const noexcept override { return run_state; }
  const Manifest& manifest() const noexcept override { return facts; }
  const std::vector<Channel>& channels() const noexcept override { return channel_list; }
  const std::vector<Group>& groups() const noexcept override { return group_list; }
  const std::vector<Anchor>& anchors() const noexcept override { return anchor_list; }
  const std::vector<Event>& events() const noexcept override { return event_list; }
  const std::vector<Target>& targets() const noexcept override { return target_list; }
  const std::vector<ProcessRecord>& processes() const noexcept override { return process_list; }
  const std::vector<Total>& totals() const noexcept override { return total_list; }
  const std::vector<ChannelPassport>& passports() const noexcept override { return passport_list; }
  const std::vector<Span>& spans() const noexcept override { return span_list; }
  std::uint64_t spans_lost() const noexcept override { return lost; }
  Result<void> for_each_block(GroupId group, const std::function<bool(const TickBlock&)>& visit,
                              Instant from) const override {
    ++visits;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (blocks[i].group() != group) continue;
      if (blocks[i].ticks() > 0 && blocks[i].begin(blocks[i].ticks() - 1) < from) continue;
      if (i == fail_at_block) return fail(fail_with, "chunk is damaged", file.string());
      if (!visit(blocks[i])) break;
    }
    return {};
  }
  Result<void> for_each_look(const std::function<bool(const ProcessLook&)>& visit) const override {
    for (const ProcessLook& look : looks)
      if (!visit(look)) break;
    return {};
  }
};

inline Channel channel(std::uint32_t id, std::string name, std::string domain, Measure measure, ChannelKind kind) {
  Channel c;
  c.id = {id};
  c.sensor = name.substr(0, name.find('.'));
  c.name = std::move(name);
  c.domain = std::move(domain);
  c.measure = measure;
  c.kind = kind;
  return c;
}

inline Span span(std::uint64_t id, std::uint64_t parent, SpanKind kind, std::string name, double begin_s,
                 double end_s) {
  Span s;
  s.id = {id};
  s.parent = {parent};
  s.kind = kind;
  s.name = std::move(name);
  s.interval = {{static_cast<std::int64_t>(begin_s * 1e9)}, {static_cast<std::int64_t>(end_s * 1e9)}};
  return s;
}

// Value with a doubt of ± `part` of it.
inline Estimate about(double value, double part, EstimateKind kind = EstimateKind::bound) {
  return {value, value * (1 - part), value * (1 + part), kind};
}

// A measured command on a machine with RAPL, with a baseline: package-0 with core inside, and dram.
struct Told {
  FakeRun run;
  Ledger ledger;
};

inline void add_process_totals(FakeRun& run, double wall_s) {
  run.total_list = {{"target", "wall_s", wall_s, "monotonic clock"},
                    {"target", "cpu_user_s", 22.0, "cgroup"},
                    {"target", "cpu_system_s", 0.9, "cgroup"},
                    {"target", "rss_peak_bytes", 812.0 * 1024 * 1024, "sampled"},
                    {"target", "minor_faults", 51234, "cgroup"},
                    {"target", "major_faults", 3, "cgroup"},
                    {"target", "read_bytes", 4096.0 * 300, "cgroup"},
                    {"target", "write_bytes", 0, "cgroup"},
                    {"target", "processes", 41, "cgroup"},
                    {"target", "short_lived", 38, "cgroup"},
                    {"target", "exit_code", 0, "wait"},
                    {"sampler.fast", "ticks", 1240, "counted"},
                    {"sampler.fast", "missed", 0, "counted"},
                    {"sampler.fast", "late", 1, "counted"},
                    {"sampler.fast", "dropped", 0, "counted"},
                    {"sampler.fast", "cpu_s", 0.02, "thread clock"},
                    {"prony", "cpu_s", 0.037, "process clock"},
                    {"prony", "rss_peak_bytes", 11.0 * 1024 * 1024, "getrusage"}};
}

inline ChannelLedger ledger_of(std::uint32_t id, double gross, double idle, double target, double foreign,
                               double doubt) {
  ChannelLedger l;
  l.channel = {id};
  l.recorded = about(gross * 1.5, doubt);
  l.gross = about(gross, doubt);
  l.idle = about(idle, doubt);
  l.active = about(gross - idle, doubt);
  l.target = l.target_active = about(target, doubt);
  l.foreign = about(foreign, doubt);
  l.prony = about(0.11, doubt);
  l.unattributed = about(gross * 1.5 - idle - target - foreign - 0.11, doubt);
  l.target_share = target / (gross - idle);
  l.mean_w = gross / 12.4;
  l.peak_w = gross / 12.4 * 1.26;
  l.peak_over = milliseconds(100);
  return l;
}

inline Told told_command() {
  Told t;
  auto& run = t.run;
  run.facts.set("run.kind", "run", "prony");
  run.facts.set("run.command", "python3 train.py", "flag");
  run.facts.set("run.started_utc", "2026-11-20T22:58:01.250Z", "machine");
  run.facts.set("prony.version", "0.1.0", "prony");
  run.facts.set("machine.cpu_model", "AMD EPYC 9454", "machine");
  run.facts.set("machine.cpus", "2", "machine");
  run.facts.set("setting.interval", "10ms", "flag");
  run.facts.set("setting.baseline", "3s", "environment");
  run.facts.set("target.rung", "cgroup", "prony");
  add_process_totals(run, 12.4);
  run.channel_list = {
      channel(0, "rapl.package-0.energy", "package-0", Measure::energy, ChannelKind::counter),
      channel(1, "rapl.package-0.core.energy", "core", Measure::energy, ChannelKind::counter),
      channel(2, "rapl.package-0.dram.energy", "dram", Measure::energy, ChannelKind::counter),
      channel(3, "hwmon.coretemp.package.temperature", "package", Measure::temperature, ChannelKind::gauge)};
  run.channel_list[1].part_of = ChannelId{0};
  run.span_list = {span(1, 0, SpanKind::run, "python3", 3, 15.4)};
  auto& l = t.ledger;
  l.window = run.span_list[0].interval;
  l.energy = {ledger_of(0, 412.3, 118.9, 281.0, 12.3, 0.001), ledger_of(1, 301.8, 60, 230, 11, 0.001),
              ledger_of(2, 31.0, 12, 18, 1, 0.003)};
  l.energy[0].headline = l.energy[2].headline = true;
  l.headline_j = *l.energy[0].gross + *l.energy[2].gross;
  l.gauges = {{ChannelId{3}, 41, 43, 45, 41.4, 44.2, std::nullopt, 1240, 0}};
  l.cpu_split = "by CPU time, in windows of 100 ms";
  return t;
}

// Four prompts on a machine without energy sensors: the third failed, the fourth is too short for the model's counter.
inline Told told_llm() {
  Told t;
  auto& run = t.run;
  run.file = "runs/20261120T225801-synthetic-llama-15M.prony";
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"run.kind", "llm"},
                                                        {"run.started_utc", "2026-11-20T22:58:01.250Z"},
                                                        {"prony.version", "0.1.0"},
                                                        {"machine.cpu_model", "AMD EPYC 9454 48-Core Processor"},
                                                        {"machine.cpus", "2"},
                                                        {"machine.virtual", "kvm"},
                                                        {"engine.name", "llama.cpp"},
                                                        {"engine.version", "0.5.0"},
                                                        {"model.name", "synthetic-llama-15M Q8_0"}})
    run.facts.set(key, value, "machine");
  run.facts.set("setting.threads", "1", "default");
  run.facts.set("target.rung", "subreaper", "prony");
  run.facts.unavailable = {{"rapl", "/sys/class/powercap holds no zone", ""},
                           {"hwmon", "permission denied on energy1_input", "sudo chmod a+r …/energy1_input"}};
  add_process_totals(run, 2.4);
  run.total_list[1].value = 1.9;
  run.total_list[2].value = 0.1;
  run.channel_list = {channel(0, "cpu-model.cpu.power", "cpu", Measure::power, ChannelKind::counter)};
  run.channel_list[0].origin = Origin::modelled;
  run.channel_list[0].model =
      PowerModel{"server, AMD EPYC", "coefficients", 2, Watts(2), Watts(1), Watts(3), Watts(9), Watts(7), Watts(12)};
  run.span_list.push_back(span(1, 0, SpanKind::run, "llama", 0, 2.4));
  run.span_list.push_back(span(10, 0, SpanKind::phase, "load", 0.05, 0.2));
  const std::vector<std::string> prompts{"Explain why the sky is blue to a child of six years",
                                         "Write a haiku about rivers", "日本の山について\n短く書いてください", "Hi"};
  auto& l = t.ledger;
  const auto charge = [&](std::uint64_t id, double joules, bool resolvable) {
    SpanEnergy e;
    e.span = {id};
    e.resolvable = resolvable;
    if (resolvable) e.gross = about(joules * 1.1, 0.22, EstimateKind::range);
    if (!resolvable) e.needed_s = 0.32;
    e.charged = about(joules, 0.22, EstimateKind::range);
    l.spans.push_back(e);
  };
  charge(10, 0.9, true);
  for (std::uint64_t i = 0; i < 4; ++i) {
    const double begin = 0.3 + 0.5 * static_cast<double>(i);
    const double length = i == 3 ? 0.05 : 0.45;
    const std::uint64_t id = 100 + 10 * i;
    Span request = span(id, 0, SpanKind::request, "p" + std::to_string(i + 1), begin, begin + length);
    request.attributes = {{"prompt", prompts[i]}, {"finish", i == 2 ? "error" : "length"}};
    request.counts = {{"prompt_tokens", 14 - static_cast<std::int64_t>(i)}};
    Span prefill =
        span(id + 1, id, SpanKind::prefill, "", begin + 0.001, begin + 0.0031 + 0.0001 * static_cast<double>(i));
    Span decode = span(id + 2, id, SpanKind::decode, "", begin + 0.0031, begin + length);
    const std::int64_t tokens = i == 3 ? 10 : 128;
    if (i == 2) {
      request.status = SpanStatus::failed;
      decode.status = SpanStatus::unfinished;
    } else {
      request.counts.push_back({"output_tokens", tokens});
    }
    run.span_list.insert(run.span_list.end(), {request, prefill, decode});
    charge(id, 2.84 * length, i != 3);
    charge(id + 1, 0.1, i != 3);
    charge(id + 2, 2.84 * length - 0.12, i != 3);
  }
  l.window = run.span_list[0].interval;
  ChannelLedger e;
  e.recorded = about(8.2, 0.22, EstimateKind::range);
  e.gross = e.recorded;
  e.target = about(5.4, 0.22, EstimateKind::range);
  e.foreign = about(2.7, 0.22, EstimateKind::range);
  e.prony = about(0.03, 0.22, EstimateKind::range);
  e.unattributed = about(0.07, 0.22, EstimateKind::range);
  e.target_share = 5.4 / 8.13;
  e.mean_w = 3.4;
  e.peak_w = 5.1;
  e.peak_over = milliseconds(100);
  e.headline = true;
  e.absent = {{"idle", "no baseline was measured: run with --baseline 3s"},
              {"active", "no baseline was measured: run with --baseline 3s"}};
  l.energy = {e};
  l.headline_j = e.gross;
  l.headline_modelled = true;
  l.cpu_split = "by CPU time, in windows of 100 ms";
  return t;
}

}  // namespace prony::testing
