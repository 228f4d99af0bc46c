// A merged Run: the doubt of the clocks is in every figure, and another host's joules are nobody's here.
#include "reports/merged.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "fake_run.hpp"
#include "reports/engine_tokens.hpp"

namespace prony {
namespace {

using testing::channel;
using testing::FakeRun;
using testing::span;

constexpr std::int64_t tick_ns = 10'000'000;
constexpr double length_s = 20;

// A load that jumps: work at the server, its power, and the part of the CPU that the server takes.
struct Load {
  explicit Load(std::uint32_t seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> level(0, 1);
    for (int i = 0; i < 200; ++i) busy.push_back(level(random) < 0.4 ? 0.05 : level(random));
  }
  std::vector<double> busy;  // per 100 ms
  [[nodiscard]] double busy_at(double t) const {
    return busy[std::min(busy.size() - 1, static_cast<std::size_t>(std::max(0.0, t) * 10))];
  }
  [[nodiscard]] double watts_at(double t) const { return 5 + 40 * busy_at(t); }
};

FakeRun server_run(const Load& load) {
  FakeRun run;
  run.channel_list = {
      channel(0, "rapl.package-0.energy", "package-0", Measure::energy, ChannelKind::counter),
      channel(1, "cpu.busy", "cpu", Measure::cpu_time, ChannelKind::counter),
      channel(2, "target.server.cpu", "cpu", Measure::cpu_time, ChannelKind::counter),
      channel(3, "laptop/rapl.package-0.energy", "laptop/package-0", Measure::energy, ChannelKind::counter),
      channel(4, "laptop/cpu.busy", "laptop/cpu", Measure::time, ChannelKind::counter)};
  for (Channel& c : run.channel_list) c.scale = 1e-6;
  run.channel_list[2].scope = Scope::target;
  run.channel_list[2].target = "server";
  for (const std::size_t i : {3U, 4U}) run.channel_list[i].scope = Scope::target, run.channel_list[i].target = "laptop";
  run.target_list = {{"server", "--port 8080"}};
  run.group_list = {{GroupId{0}, "fast", Duration{tick_ns}, {{0}, {1}, {2}, {3}, {4}}, {}}};
  const auto ticks = static_cast<std::size_t>(length_s * 1e9 / static_cast<double>(tick_ns));
  TickBlock block(GroupId{0}, 5, ticks + 1);
  double joules = 0, busy_s = 0;
  for (std::size_t i = 0; i <= ticks; ++i) {
    const Instant at{static_cast<std::int64_t>(i) * tick_ns};
    const auto raw = [](double value) { return Reading{std::llround(value * 1e6), Quality::ok}; };
    block.push(at, at,
               std::vector<Reading>{raw(joules), raw(busy_s), raw(0.8 * busy_s), raw(1e-6 * static_cast<double>(at.ns)),
                                    raw(5e-10 * static_cast<double>(at.ns))});
    const double t = (static_cast<double>(i) + 0.5) * 1e-9 * static_cast<double>(tick_ns);
    joules += load.watts_at(t) * 1e-9 * static_cast<double>(tick_ns);
    busy_s += load.busy_at(t) * 1e-9 * static_cast<double>(tick_ns);
  }
  run.blocks.push_back(std::move(block));
  run.facts.set("requests.target", "server", "prony");
  return run;
}

// Requests that overlap, at those times of the server's clock; `off_s`: how far the merge put them wrong.
void ask(FakeRun& run, double off_s, double doubt_s, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> at(1, length_s - 6), length(0.3, 4);
  run.span_list = {span(1, 0, SpanKind::run, "llm", 1 + off_s, length_s - 1 + off_s)};
  for (std::uint64_t i = 0; i < 8; ++i) {
    const double begin = at(random) + off_s;
    run.span_list.push_back(span(10 + i, 0, SpanKind::request, "r" + std::to_string(i), begin, begin + length(random)));
  }
  for (Span& one : run.span_list) one.counts.emplace_back("clock_doubt_ns", std::llround(doubt_s * 1e9));
  run.facts.set("merge.offset_ns", "1", "prony");
  run.facts.set("merge.offset_doubt_ns", std::to_string(std::llround(doubt_s * 1e9)), "prony");
}

Summary told(const FakeRun& run) {
  auto summary = summarise(run);
  EXPECT_TRUE(summary) << summary.error().what;
  return std::move(*summary);
}

// Kills: a doubt that is told and in no figure; widening one side only; the requests' own share left out.
TEST(MergedDoubt, JoulesInsideARequestMoveByNoMoreThanTheDoubtSays) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> within(-1, 1);
  std::size_t moved_at_all = 0;
  for (std::uint32_t seed = 0; seed < 25; ++seed) {
    const Load load(seed);
    FakeRun right = server_run(load), wrong = right;
    const double doubt_s = seed % 2 == 0 ? 0.12 : 0.03;
    ask(right, 0, 0, seed);
    ask(wrong, doubt_s * within(random), doubt_s, seed);
    const Summary truth = told(right), merged = told(wrong);
    ASSERT_EQ(truth.requests.size(), merged.requests.size());
    for (std::size_t i = 0; i < truth.requests.size(); ++i) {
      const auto same = std::ranges::find_if(
          merged.requests, [&](const RequestRow& row) { return row.span.name == truth.requests[i].span.name; });
      ASSERT_NE(same, merged.requests.end());
      const HeadlineJoules &t = truth.requests[i].headline, &m = same->headline;
      ASSERT_TRUE(t.gross && m.gross && t.charged && m.charged) << seed;
      // What lies between two of the eight steps is not looked at: a tenth of the width is left for it.
      const double gross_slack = 0.1 * (m.gross->high - m.gross->low) + 1e-6;
      const double charged_slack = 0.1 * (m.charged->high - m.charged->low) + 1e-6;
      EXPECT_GE(t.gross->value, m.gross->low - gross_slack) << seed;
      EXPECT_LE(t.gross->value, m.gross->high + gross_slack) << seed;
      EXPECT_GE(t.charged->value, m.charged->low - charged_slack) << seed;
      EXPECT_LE(t.charged->value, m.charged->high + charged_slack) << seed;
      moved_at_all += std::abs(t.gross->value - m.gross->value) > 0.05 ? 1 : 0;
    }
  }
  EXPECT_GT(moved_at_all, 40U);  // the test would see it
}

TEST(MergedDoubt, ALargerDoubtIsNeverASmallerOneAndNoneChangesNothing) {
  const Load load(5);
  double before = -1;
  for (const double doubt_s : {0.0, 0.001, 0.02, 0.2}) {
    FakeRun run = server_run(load);
    ask(run, 0, doubt_s, 5);
    const Summary summary = told(run);
    const Estimate& charged = *summary.requests.front().headline.charged;
    EXPECT_LE(charged.low, charged.value);
    EXPECT_LE(charged.value, charged.high);
    EXPECT_GE(charged.high - charged.low, before);
    before = charged.high - charged.low;
  }
}

// Kills: joules of two machines added up; a client's CPU time taken for a target's.
TEST(MergedRun, AnotherHostsJoulesAreToldAndInNobodysCharge) {
  const Load load(9);
  FakeRun run = server_run(load);
  ask(run, 0, 0.01, 9);
  const Summary summary = told(run);
  ASSERT_TRUE(summary.headline_j);
  EXPECT_LT(summary.headline_j->value, 45 * length_s);  // the laptop's kilowatt is not in it
  ASSERT_EQ(summary.targets.size(), 1U);
  ASSERT_EQ(summary.energy.size(), 2U);
  EXPECT_FALSE(summary.energy[1].ledger.headline);
  EXPECT_TRUE(summary.energy[1].ledger.gross);
  EXPECT_FALSE(summary.energy[1].ledger.target);
  double charged = 0;
  for (const RequestRow& row : summary.requests) charged += row.headline.charged->value;
  EXPECT_LE(charged, summary.targets[0].charged->value * (1 + 1e-9));
  const auto words = merged_words(summary);
  ASSERT_FALSE(words.empty());
  EXPECT_NE(words[1].find("±10"), std::string::npos) << words[1];
}

// Kills: joules of all tokens under the name of output tokens; a division by none.
TEST(EngineTokens, JoulesPerTokenAreGrossOverWhatTheServerCountedWithTheDenominatorInTheName) {
  const Load load(3);
  FakeRun run = server_run(load);
  run.span_list = {span(1, 0, SpanKind::run, "monitor", 0, length_s)};
  for (const auto& [id, domain, all] : {std::tuple{5U, "prompt-tokens", 300}, {6U, "output-tokens", 100}}) {
    Channel tokens = channel(id, std::string("engine.") + domain, domain, Measure::count, ChannelKind::counter);
    tokens.device = "llama-server, http://h:1/metrics";
    run.channel_list.push_back(tokens);
    Group lane{GroupId{id}, domain, milliseconds(1000), {{id}}, {}};
    run.group_list.push_back(lane);
    TickBlock block(GroupId{id}, 1, 21);
    for (int s = 0; s <= 20; ++s)
      block.push(Instant{s * 1'000'000'000LL}, Instant{s * 1'000'000'000LL},
                 std::vector<Reading>{Reading{7'000 + s * all / 20, Quality::ok}});
    run.blocks.push_back(std::move(block));
  }
  const Summary summary = told(run);
  const auto rows = engine_tokens(summary);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_NEAR(*rows[0].prompt_tokens, 300, 1);
  EXPECT_NEAR(*rows[0].output_tokens, 100, 1);
  EXPECT_NEAR(rows[0].gross_per_output_token_j->value, summary.headline_j->value / 100,
              0.02 * summary.headline_j->value / 100);
  EXPECT_NEAR(rows[0].gross_per_token_j->value, summary.headline_j->value / 400,
              0.02 * summary.headline_j->value / 400);
  EXPECT_NE(engine_words(summary)[1].find("gross per output token"), std::string::npos);
}

}  // namespace
}  // namespace prony
