// A language model's server under continuous batching, on paper: what each step computes is known, so what each token
// cost is, too. Requests come at random, wait for a slot, their prompts are worked on in chunks beside the others'
// output tokens. Its joules are exact; what is read is a counter that renews itself at its own period, in whole steps.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "attribute/attribute.hpp"
#include "campaign.hpp"
#include "machine/sensor_view.hpp"
#include "rig.hpp"

namespace prony::rig {

struct EngineCosts {
  double prefill_token_j = 0.02, decode_token_j = 0.5, kv_token_j = 0.0004, step_j = 0;
  // Bends the model: times the joules of a step that begins at so many seconds.
  std::function<double(double)> at_s = [](double) { return 1.0; };
  // What a token reads of so many before it, as if they were so many.
  std::function<double(double)> kv = [](double context) { return context; };
};

struct EngineOptions {
  std::uint64_t seed = 1;
  std::size_t requests = 60, slots = 8;
  double per_s = 1.5;  // arrivals
  double idle_w = 20;
  EngineCosts costs;
  bool writes_steps = false, writes_tokens = true;
  std::int64_t sensor_period_ns = millisecond, poll_ns = millisecond;
  double quantum_j = 61.03515625e-6;
};

struct TrueRequest {
  std::int64_t arrival = 0, prefill_begin = 0, first = 0, last = 0;
  std::int64_t prompt = 0, output = 0, prefilled = 0, made = 0;
  double prefill_j = 0, decode_j = 0;
  std::vector<std::int64_t> token_ends;
  [[nodiscard]] double joules() const { return prefill_j + decode_j; }
};

class Engine {
 public:
  explicit Engine(EngineOptions options) : options_(std::move(options)), dice_(options_.seed) {
    std::int64_t at = origin + 2 * second;
    for (std::size_t i = 0; i < options_.requests; ++i) {
      at += static_cast<std::int64_t>(-std::log(1 - dice_.uniform(0, 0.999999)) / options_.per_s * 1e9);
      TrueRequest request;
      request.arrival = at;
      request.prompt = static_cast<std::int64_t>(dice_.log_uniform(40, 1500));
      request.output = static_cast<std::int64_t>(dice_.log_uniform(10, 250));
      requests.push_back(request);
    }
    work();
  }

  std::vector<TrueRequest> requests;
  std::vector<Span> steps;
  std::int64_t end = 0;

  // The Run: spans as an engine writes them, and what a counter showed.
  [[nodiscard]] Ledger attribute(AttributionOptions rules = {}) const {
    Recording run;
    run.spans = spans();
    UpdateClock updates;
    updates.period = {options_.sensor_period_ns};
    updates.phase = {options_.sensor_period_ns / 3};
    Group group{GroupId{1}, "fast", Duration{options_.poll_ns}, {}};
    std::vector<Source> sources;
    run.add(group, sources, energy_counter(options_.sensor_period_ns), [&](std::int64_t t) {
      const double quanta =
          std::floor(joules_until(origin + updates.last(Duration{t - origin}).ns) / options_.quantum_j);
      return Reading{static_cast<std::int64_t>(quanta * options_.quantum_j * 1e6), Quality::ok};
    });
    const auto cpu = [](Scope scope) {
      Channel channel;
      channel.name = scope == Scope::host ? "cpu.busy" : "target.cpu";
      channel.measure = Measure::cpu_time;
      channel.kind = ChannelKind::counter;
      channel.scope = scope;
      channel.scale = 1e-9;
      return channel;
    };
    const auto busy = [](std::int64_t t) { return Reading{t - origin, Quality::ok}; };
    run.add(group, sources, cpu(Scope::host), busy);
    run.add(group, sources, cpu(Scope::target), busy);
    run.groups = {group};
    rules.known_idle = {{run.channels[0].name, {options_.idle_w, options_.idle_w, options_.idle_w}}};
    Attribution attribution(run.channels, run.groups, run.spans, rules);
    for (const auto& block : in_blocks(GroupId{1}, poll(sources, origin, end + second, options_.poll_ns), 512))
      attribution.push(block);
    return attribution.finish();
  }

  static std::uint64_t request_id(std::size_t i) { return 10 + 10'000 * i; }
  static std::uint64_t prefill_id(std::size_t i) { return request_id(i) + 1; }
  static std::uint64_t decode_id(std::size_t i) { return request_id(i) + 2; }

  [[nodiscard]] std::vector<Span> spans() const {
    std::vector<Span> all{span(1, SpanKind::run, "run", origin + second, end + second / 2)};
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const TrueRequest& r = requests[i];
      const std::uint64_t id = request_id(i);
      all.push_back(span(id, SpanKind::request, std::to_string(i), r.arrival, r.last, 1));
      all.back().counts = {{"prompt_tokens", r.prompt}, {"output_tokens", r.output}};
      all.push_back(span(prefill_id(i), SpanKind::prefill, "", r.prefill_begin, r.first, id));
      if (r.last > r.first) all.push_back(span(decode_id(i), SpanKind::decode, "", r.first, r.last, id));
      for (std::size_t token = 0; options_.writes_tokens && token < r.token_ends.size(); ++token)
        all.push_back(span(id + 3 + token, SpanKind::token, "", token == 0 ? r.prefill_begin : r.token_ends[token - 1],
                           r.token_ends[token], id));
    }
    if (options_.writes_steps) all.insert(all.end(), steps.begin(), steps.end());
    return all;
  }

 private:
  // One step: a token for each that decodes, and a chunk of the first prompt that is not done.
  void work() {
    constexpr std::int64_t chunk = 256;
    std::deque<std::size_t> waiting;
    std::vector<std::size_t> running;
    std::size_t next = 0;
    std::int64_t now = origin;
    while (next < requests.size() || !waiting.empty() || !running.empty()) {
      while (next < requests.size() && requests[next].arrival <= now) waiting.push_back(next++);
      while (!waiting.empty() && running.size() < options_.slots) {
        requests[waiting.front()].prefill_begin = now;
        running.push_back(waiting.front());
        waiting.pop_front();
      }
      if (running.empty()) {
        now = requests[next].arrival;
        continue;
      }
      now = step(running, chunk, now);
      std::erase_if(running, [&](std::size_t i) { return requests[i].made == requests[i].output; });
    }
    end = now + second;
  }

  std::int64_t step(const std::vector<std::size_t>& running, std::int64_t chunk, std::int64_t now) {
    const EngineCosts& costs = options_.costs;
    struct Part {
      std::size_t request;
      std::int64_t prefill;
      double joules;
    };
    std::vector<Part> parts;
    double joules = 0, kv_tokens = 0;
    std::int64_t decoded = 0, prefilled = 0;
    const double bend = costs.at_s(static_cast<double>(now - origin) * 1e-9);
    for (const std::size_t i : running) {
      TrueRequest& r = requests[i];
      if (r.prefilled < r.prompt) {
        if (prefilled == chunk) continue;
        const std::int64_t tokens = std::min(chunk - prefilled, r.prompt - r.prefilled);
        prefilled += tokens;
        parts.push_back({i, tokens, bend * costs.prefill_token_j * static_cast<double>(tokens)});
      } else {
        const auto context = static_cast<double>(r.prompt + r.made);
        kv_tokens += context;
        ++decoded;
        parts.push_back({i, 0, bend * (costs.decode_token_j + costs.kv_token_j * costs.kv(context))});
      }
    }
    for (Part& part : parts) joules += part.joules += bend * costs.step_j / static_cast<double>(parts.size());
    const auto length = static_cast<std::int64_t>(
        1e6 * (8 + 0.3 * static_cast<double>(prefilled) + 1.5 * static_cast<double>(decoded) + 0.0008 * kv_tokens));
    const double before = drawn_.empty() ? 0 : drawn_.back().until_j;
    drawn_.push_back({now, now + length, before, before + joules});
    steps.push_back(span(9'000'000'000 + steps.size(), SpanKind::phase, "step", now, now + length, 1));
    steps.back().counts = {{"prefill_tokens", prefilled},
                           {"decode_tokens", decoded},
                           {"kv_tokens", static_cast<std::int64_t>(kv_tokens)},
                           {"sequences", static_cast<std::int64_t>(parts.size())}};
    now += length;
    for (const Part& part : parts) finish(requests[part.request], part.prefill, part.joules, now);
    return now;
  }

  static void finish(TrueRequest& r, std::int64_t prefill, double joules, std::int64_t now) {
    (prefill > 0 ? r.prefill_j : r.decode_j) += joules;
    r.prefilled += prefill;
    if (r.prefilled < r.prompt) return;
    ++r.made;
    r.token_ends.push_back(now);
    if (prefill > 0) r.first = now;
    r.last = now;
  }

  struct Drawn {
    std::int64_t begin = 0, end = 0;
    double before_j = 0, until_j = 0;  // above idle
  };
  [[nodiscard]] double joules_until(std::int64_t t) const {
    const double idle = options_.idle_w * static_cast<double>(t - origin) * 1e-9;
    const auto after = std::ranges::upper_bound(drawn_, t, {}, &Drawn::begin);
    if (after == drawn_.begin()) return idle;
    const Drawn& last = *(after - 1);
    const double share =
        static_cast<double>(std::min(t, last.end) - last.begin) / static_cast<double>(last.end - last.begin);
    return idle + last.before_j + share * (last.until_j - last.before_j);
  }

  EngineOptions options_;
  campaign::Dice dice_;
  std::vector<Drawn> drawn_;
};

}  // namespace prony::rig
