// Laws of requests that overlap, on random sets of them and every rule: the parts add up, another request changes no
// total, and the order in which spans stand changes nothing.
#include <gtest/gtest.h>

#include "attribute/request_work.hpp"
#include "rig.hpp"

namespace prony {
namespace {

using namespace rig;

constexpr std::int64_t run_length = 4 * second;

struct RequestWorld {
  Recording run;
  std::vector<Tick> ticks;
  [[nodiscard]] Ledger attribute(RequestShare rule) const {
    AttributionOptions options;
    options.request_share = rule;
    Attribution attribution(run.channels, run.groups, run.spans, options);
    for (const TickBlock& block : in_blocks(GroupId{1}, ticks, 256)) attribution.push(block);
    return attribution.finish();
  }
};

// Requests of every kind: with tokens and without, failed, cancelled, of no length, within another, with steps beside.
void add_request(RequestWorld& world, std::mt19937_64& random, std::uint64_t id) {
  std::uniform_int_distribution<std::int64_t> at(origin, origin + run_length);
  std::int64_t begin = at(random), end = at(random);
  if (begin > end) std::swap(begin, end);
  if (random() % 12 == 0) end = begin;
  Span request = span(id, SpanKind::request, "r", begin, end, 1);
  const auto output = static_cast<std::int64_t>(random() % 60);
  if (random() % 5 != 0) request.counts = {{"prompt_tokens", static_cast<std::int64_t>(random() % 900)}};
  if (random() % 5 != 0) request.counts.emplace_back("output_tokens", output);
  if (random() % 4 == 0) request.counts.emplace_back("cached_tokens", static_cast<std::int64_t>(random() % 500));
  const bool failed = random() % 6 == 0;
  if (failed) request.status = random() % 2 == 0 ? SpanStatus::failed : SpanStatus::unfinished;
  if (random() % 9 == 0) request.attributes.emplace_back("clock", "host-asynchronous");
  world.run.spans.push_back(request);
  if (failed && random() % 2 == 0) return;
  const std::int64_t first = begin + (end - begin) / 4;
  world.run.spans.push_back(span(id + 1, SpanKind::prefill, "", begin, first, id));
  if (random() % 3 == 0) world.run.spans.back().attributes.emplace_back("holds", "queue");
  world.run.spans.push_back(span(id + 2, SpanKind::decode, "", first, end, id));
  for (std::int64_t token = 0; random() % 2 == 0 && token < output; ++token)
    world.run.spans.push_back(span(id + 3 + static_cast<std::uint64_t>(token), SpanKind::token, "", first,
                                   first + (end - first) * token / std::max<std::int64_t>(output, 1), id));
}

RequestWorld random_requests(std::uint64_t seed, std::size_t requests) {
  std::mt19937_64 random(seed);
  RequestWorld world;
  Group group{GroupId{1}, "fast", Duration{5 * millisecond}, {}};
  std::vector<Source> sources;
  world.run.add(group, sources, energy_counter(millisecond),
                counter_of(random_power(random, run_length), millisecond, 0));
  const auto cpu = [&](const char* name, Scope scope, double cpus) {
    Channel channel;
    channel.name = name;
    channel.measure = Measure::cpu_time;
    channel.kind = ChannelKind::counter;
    channel.scope = scope;
    channel.scale = 1e-9;
    const Power power = random_power(random, run_length, cpus / 2, cpus);
    world.run.add(group, sources, channel, [power](std::int64_t t) {
      return Reading{static_cast<std::int64_t>(power.energy(t) * 1e9), Quality::ok};
    });
  };
  cpu("cpu.busy", Scope::host, 2), cpu("target.cpu", Scope::target, 1);
  world.run.groups = {group};
  world.ticks = poll(sources, origin, origin + run_length, 5 * millisecond);
  world.run.spans = {span(1, SpanKind::run, "run", origin + second / 8, origin + run_length - second / 8)};
  world.run.spans.push_back(span(2, SpanKind::phase, "warm-up", origin + second / 2, origin + second, 1));
  for (std::size_t i = 0; i < requests; ++i) add_request(world, random, 1000 * (i + 1));
  for (std::int64_t t = origin; seed % 3 == 0 && t < origin + run_length; t += 50 * millisecond) {
    const auto id = 5'000'000 + static_cast<std::uint64_t>(t - origin);
    world.run.spans.push_back(span(id, SpanKind::phase, "step", t, t + 40 * millisecond, 1));
    world.run.spans.back().counts = {{"prefill_tokens", static_cast<std::int64_t>(random() % 300)},
                                     {"decode_tokens", static_cast<std::int64_t>(random() % 9)}};
  }
  return world;
}

constexpr std::array share_rules{RequestShare::work, RequestShare::time, RequestShare::equal};

// Kills: a group of pieces charged twice or left out; joules of a request that failed lost.
TEST(RequestLaws, ByEveryRuleRequestsIdleForeignAndUnattributedAddUpToWhatWasMeasured) {
  std::size_t by_work = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const RequestWorld world = random_requests(seed, seed % 25);
    for (const RequestShare rule : share_rules) {
      const Ledger ledger = world.attribute(rule);
      const double recorded = ledger.energy[0].recorded.value;
      EXPECT_NEAR(sum_of_charges(ledger, ledger.energy[0].channel), recorded, 1e-9 * recorded) << seed;
      for (const RequestSharing& sharing : ledger.energy[0].sharing) {
        EXPECT_EQ(sharing.used == rule, sharing.why.empty()) << seed << sharing.why;
        by_work += sharing.fit ? 1 : 0;
      }
      double requests = 0, time = 0;
      for (const Charge& charge : ledger.charges)
        if (charge.span.value >= 1000) requests += charge.joules.value;
      for (const Charge& charge : world.attribute(RequestShare::time).charges)
        if (charge.span.value >= 1000) time += charge.joules.value;
      EXPECT_NEAR(requests, time, 1e-9 * recorded)
          << seed << to_string(rule);  // the rule moves joules between requests
    }
  }
  EXPECT_GT(by_work, 20U);  // the fit was tried, not only what stands in for it
}

// Kills: a total that moves when there is one more to share it.
TEST(RequestLaws, AnotherRequestChangesNoTotalAndWhatAllRequestsHaveOnlyByTimeThatWasNobodys) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    RequestWorld world = random_requests(seed, 12);
    const Ledger before = world.attribute(RequestShare::work);
    std::mt19937_64 random(seed + 100);
    add_request(world, random, 900'000);
    const Ledger after = world.attribute(RequestShare::work);
    const ChannelLedger &a = before.energy[0], &b = after.energy[0];
    EXPECT_EQ(a.recorded.value, b.recorded.value);
    EXPECT_NEAR(a.target->value, b.target->value, 1e-9 * a.recorded.value);
    EXPECT_NEAR(a.foreign->value, b.foreign->value, 1e-9 * a.recorded.value);
    EXPECT_NEAR(sum_of_charges(after, b.channel), b.recorded.value, 1e-9 * b.recorded.value);
  }
}

// Kills: what a request is charged depending on where it stands in the file.
TEST(RequestLaws, TheOrderInWhichSpansStandChangesNothing) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    RequestWorld world = random_requests(seed, 14);
    for (const RequestShare rule : share_rules) {
      const Ledger before = world.attribute(rule);
      std::mt19937_64 random(seed);
      RequestWorld shuffled = world;
      std::ranges::shuffle(shuffled.run.spans, random);
      const Ledger after = shuffled.attribute(rule);
      for (const SpanEnergy& one : before.spans) {
        const SpanEnergy* other = span_energy(after, one.span.value);
        ASSERT_TRUE(other);
        ASSERT_EQ(one.charged.has_value(), other->charged.has_value()) << seed;
        if (!one.charged) continue;
        const double scale = before.energy[0].recorded.value;
        EXPECT_NEAR(one.charged->value, other->charged->value, 1e-9 * scale) << seed << to_string(rule);
        EXPECT_NEAR(one.share_sigma_j, other->share_sigma_j, 1e-6 * scale) << seed;
      }
    }
  }
}

// Kills: prefill and decode that are charged more than their request, or beside it.
TEST(RequestLaws, PrefillAndDecodeShowPartsOfTheirRequest) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const RequestWorld world = random_requests(seed, 14);
    for (const RequestShare rule : share_rules) {
      const Ledger ledger = world.attribute(rule);
      for (const SpanEnergy& one : ledger.spans) {
        if (one.span.value < 1000 || one.span.value % 1000 != 0 || !one.charged) continue;
        double parts = 0;
        for (const std::uint64_t id : {one.span.value + 1, one.span.value + 2})
          if (const SpanEnergy* part = span_energy(ledger, id); part != nullptr && part->charged)
            parts += part->charged->value;
        EXPECT_LE(parts, one.charged->value + 1e-9 * ledger.energy[0].recorded.value) << seed << to_string(rule);
      }
    }
  }
}

}  // namespace
}  // namespace prony
