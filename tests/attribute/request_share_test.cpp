// Requests that overlap: what each is charged, against an engine whose costs are known.
#include <gtest/gtest.h>

#include <cstdio>

#include "attribute/request_work.hpp"
#include "engine.hpp"

namespace prony {
namespace {

using namespace rig;

double charged(const Ledger& ledger, std::uint64_t id) {
  const SpanEnergy* energy = span_energy(ledger, id);
  return energy != nullptr && energy->charged ? energy->charged->value : -1;
}

struct Errors {
  double median = 0, largest = 0;
};
Errors errors_of(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? Errors{} : Errors{values[values.size() / 2], values.back()};
}

struct ErrorsTold {
  Errors request, prefill, decode;
};
// Relative errors of what each was charged; what is too short for the sensor is not told and not counted.
ErrorsTold errors_of(const Engine& engine, const Ledger& ledger) {
  std::vector<double> request, prefill, decode;
  for (std::size_t i = 0; i < engine.requests.size(); ++i) {
    const TrueRequest& r = engine.requests[i];
    const auto add = [&](std::vector<double>& list, std::uint64_t id, double truth) {
      if (const SpanEnergy* e = span_energy(ledger, id); e != nullptr && e->charged && truth > 0)
        list.push_back(std::abs(e->charged->value - truth) / truth);
    };
    add(request, Engine::request_id(i), r.joules());
    add(prefill, Engine::prefill_id(i), r.prefill_j);
    add(decode, Engine::decode_id(i), r.decode_j);
  }
  return {errors_of(request), errors_of(prefill), errors_of(decode)};
}

AttributionOptions by(RequestShare rule) {
  AttributionOptions rules;
  rules.request_share = rule;
  return rules;
}

std::string percent(const Errors& e) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%6.1f %%  %6.1f %%", 100 * e.median, 100 * e.largest);
  return text.data();
}

// One line a rule: relative errors of what requests and their phases were charged.
std::map<RequestShare, ErrorsTold> table_of(const Engine& engine) {
  std::printf("%-8s %-22s %-22s %-22s\n", "rule", "request: median, max", "prefill: median, max",
              "decode: median, max");
  std::map<RequestShare, ErrorsTold> told;
  for (const RequestShare rule : {RequestShare::work, RequestShare::time, RequestShare::equal}) {
    const Ledger ledger = engine.attribute(by(rule));
    EXPECT_EQ(ledger.energy[0].sharing.at(0).used, rule) << ledger.energy[0].sharing[0].why;
    const ErrorsTold& errors = told[rule] = errors_of(engine, ledger);
    std::printf("%-8s %-22s %-22s %-22s\n", std::string(to_string(rule)).c_str(), percent(errors.request).c_str(),
                percent(errors.prefill).c_str(), percent(errors.decode).c_str());
  }
  return told;
}

EngineOptions with_steps() {
  EngineOptions options;
  options.writes_steps = true;
  return options;
}

// Kills: weights that are not what each request did (time, count, output tokens alone), a step's tokens put where they
// were not worked on, prefill's joules left with those that decode beside it.
TEST(RequestShare, ByWorkEachRequestAndPhaseIsWithinFivePercentUnderContinuousBatchingAndTheNaiveRulesAreNot) {
  auto told = table_of(Engine(with_steps()));
  EXPECT_LT(told[RequestShare::work].request.largest, 0.05);
  EXPECT_LT(told[RequestShare::work].prefill.largest, 0.05);
  EXPECT_LT(told[RequestShare::work].decode.largest, 0.05);
  EXPECT_GT(told[RequestShare::time].request.largest, 0.20);
  EXPECT_GT(told[RequestShare::equal].request.largest, 0.50);
}

// A client of a server knows when tokens came and not when the prompt was worked on: it waited in between.
TEST(RequestShare, FromWhatAClientSeesAloneRequestsAreStillTenTimesNearerThanByTheNaiveRules) {
  auto told = table_of(Engine(EngineOptions{}));
  EXPECT_LT(told[RequestShare::work].request.median, 0.01);
  EXPECT_LT(told[RequestShare::work].request.largest, 0.15);
  EXPECT_LT(10 * told[RequestShare::work].request.median, told[RequestShare::time].request.median);
  EXPECT_LT(told[RequestShare::work].decode.median, 0.01);
}

// Kills: a fit that is off by a unit, or that gives one token's cost to another.
TEST(RequestShare, TheFittedCostsAreThoseOfTheEngineAndTheirIntervalsHoldThem) {
  const Engine engine(with_steps());
  const Ledger ledger = engine.attribute();
  const RequestSharing& sharing = ledger.energy[0].sharing.at(0);
  ASSERT_TRUE(sharing.fit) << sharing.why;
  const WorkFit& fit = *sharing.fit;
  EXPECT_NEAR(fit.prefill_token_j.value, 0.02, 0.02 * 0.03);
  EXPECT_NEAR(fit.decode_token_j.value, 0.5, 0.5 * 0.03);
  ASSERT_TRUE(fit.kv_read_j);
  EXPECT_NEAR(fit.kv_read_j->value, 0.0004, 0.0004 * 0.15);
  EXPECT_LE(fit.prefill_token_j.low, fit.prefill_token_j.value);
  EXPECT_LT(fit.residual, 0.1);
  EXPECT_LT(fit.condition, 30);
  EXPECT_GT(fit.windows, 50U);
  EXPECT_EQ(fit.assumed, 0U);
  EXPECT_EQ(sharing.target, "command");
}

// Kills: shared cost of a step given by tokens, where every sequence in it has its part.
TEST(RequestShare, WhereTheEngineWritesItsStepsWhatAStepCostsWhateverIsInItIsSharedByThoseInIt) {
  EngineOptions options;
  options.costs.step_j = 2;
  options.writes_steps = true;
  const Engine engine(options);
  const Ledger ledger = engine.attribute();
  const RequestSharing& sharing = ledger.energy[0].sharing.at(0);
  ASSERT_TRUE(sharing.fit) << sharing.why;
  EXPECT_TRUE(sharing.fit->shared_by_step);
  ASSERT_TRUE(sharing.fit->shared_j) << sharing.fit->left_out;
  EXPECT_NEAR(sharing.fit->shared_j->value, 2, 0.4);
  EXPECT_LT(errors_of(engine, ledger).request.median, 0.05);
  for (const SpanEnergy& one : ledger.spans) EXPECT_LT(one.span.value, 9'000'000'000U);  // a step takes no joules
}

// A sensor that renews itself ten times a second, as of graphics processors: stretches are longer, the fit does more.
TEST(RequestShare, ASensorOfTenHertzStillTellsRequestsApart) {
  EngineOptions options;
  options.sensor_period_ns = 100 * millisecond;
  options.poll_ns = 10 * millisecond;
  options.requests = 150;
  const Engine engine(options);
  const Ledger ledger = engine.attribute();
  ASSERT_EQ(ledger.energy[0].sharing.at(0).used, RequestShare::work) << ledger.energy[0].sharing[0].why;
  const ErrorsTold work = errors_of(engine, ledger), time = errors_of(engine, engine.attribute(by(RequestShare::time)));
  EXPECT_LT(work.request.median, 0.05);
  EXPECT_LT(work.request.median, time.request.median / 2);
}

struct CostCoverage {
  std::size_t inside = 0, all = 0;
  double residual = 0;
};
// Of how many requests the 90 % interval holds the truth; residual: mean over the Runs.
CostCoverage coverage_of(const EngineCosts& costs) {
  CostCoverage result;
  constexpr std::uint64_t runs = 8;
  for (std::uint64_t seed = 1; seed <= runs; ++seed) {
    EngineOptions options;
    options.seed = seed;
    options.costs = costs;
    const Engine engine(options);
    const Ledger ledger = engine.attribute();
    const RequestSharing& sharing = ledger.energy[0].sharing.at(0);
    if (!sharing.fit) ADD_FAILURE() << sharing.why;
    if (sharing.fit) result.residual += sharing.fit->residual / runs;
    for (std::size_t i = 0; i < engine.requests.size(); ++i) {
      const SpanEnergy* one = span_energy(ledger, Engine::request_id(i));
      if (one == nullptr || !one->charged) continue;
      constexpr double normal_95 = 1.645, normal_975 = 1.96;
      const double less = (normal_975 - normal_95) * one->share_sigma_j;  // from the 95 % interval to that of 90 %
      const double truth = engine.requests[i].joules();
      ++result.all;
      if (truth >= one->charged->low + less && truth <= one->charged->high - less) ++result.inside;
    }
  }
  return result;
}

// Kills: an interval that believes the fit. An engine whose clock changes costs up to twice as much for the same token,
// and one whose cache reads cost more than in proportion does not follow the model at all.
TEST(RequestShare, WhereCostsDoNotFollowTheModelTheIntervalOfNinetyPercentStillHoldsTheTruthAndTheResidualShowsIt) {
  EngineCosts clock, cache;
  clock.at_s = [](double t) { return std::fmod(t, 9) < 4 ? 0.7 : 1.4; };
  cache.kv = [](double context) { return context * context / 400; };
  const CostCoverage plain = coverage_of({}), by_clock = coverage_of(clock), by_cache = coverage_of(cache);
  const auto tell = [](const char* name, const CostCoverage& one) {
    std::printf("%-12s %zu of %zu inside the 90 %% interval, residual %.1f %%\n", name, one.inside, one.all,
                100 * one.residual);
    EXPECT_GT(one.all, 300U) << name;
    EXPECT_GE(static_cast<double>(one.inside), 0.9 * static_cast<double>(one.all)) << name;
  };
  tell("as modelled", plain), tell("clock", by_clock), tell("cache", by_cache);
  EXPECT_GT(by_clock.residual, 3 * plain.residual);
  EXPECT_GT(by_cache.residual, 1.5 * plain.residual);
}

// Kills: an interval that holds the truth because it holds everything.
TEST(RequestShare, WhereCostsFollowTheModelTheIntervalIsNarrow) {
  const Engine engine(EngineOptions{});
  const Ledger ledger = engine.attribute();
  std::vector<double> widths;
  for (std::size_t i = 0; i < engine.requests.size(); ++i)
    if (const SpanEnergy* one = span_energy(ledger, Engine::request_id(i)); one != nullptr && one->charged)
      widths.push_back((one->charged->high - one->charged->low) / 2 / one->charged->value);
  std::ranges::sort(widths);
  ASSERT_GT(widths.size(), 50U);
  EXPECT_LT(widths[widths.size() / 2], 0.10);
}

// A sensor that renews itself twice a second and a few requests: two windows or three, to which anything would fit.
TEST(RequestShare, WhereThereAreTooFewWindowsTimeIsUsedByNameAndWithItsReason) {
  EngineOptions options;
  options.requests = 6;
  options.per_s = 1000;
  options.sensor_period_ns = 500 * millisecond;
  const Engine engine(options);
  const Ledger ledger = engine.attribute(), by_time = engine.attribute(by(RequestShare::time));
  const RequestSharing& sharing = ledger.energy[0].sharing.at(0);
  EXPECT_EQ(sharing.asked, RequestShare::work);
  EXPECT_EQ(sharing.used, RequestShare::time);
  EXPECT_NE(sharing.why.find("too few"), std::string::npos) << sharing.why;
  EXPECT_FALSE(sharing.fit);
  for (std::size_t i = 0; i < engine.requests.size(); ++i)
    EXPECT_EQ(charged(ledger, Engine::request_id(i)), charged(by_time, Engine::request_id(i)));
}

TEST(RequestShare, WithoutAnyCountOfTokensTimeIsUsedByNameAndWithItsReason) {
  Engine engine(EngineOptions{});
  const auto spans = engine.spans();
  attribution::WorkInTime work = attribution::place_work({}, spans, {});
  EXPECT_EQ(work.absent, "");  // these do tell
  std::vector<Span> silent = spans;
  for (Span& one : silent) one.counts.clear();
  std::erase_if(silent, [](const Span& one) { return one.kind == SpanKind::token; });
  EXPECT_EQ(attribution::place_work(silent, silent, {}).absent, "no request tells how many tokens it had");
}

}  // namespace
}  // namespace prony
