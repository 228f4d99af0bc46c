// A Run's figures from its summary, of which every part is set here.
#include "compare/run_figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace prony::compare {
namespace {

using ::testing::HasSubstr;

RequestRow request(std::optional<double> charged_j) {
  static std::uint64_t next = 10;
  RequestRow row;
  row.span.id = SpanId{next++};
  row.span.kind = SpanKind::request;
  row.span.status = SpanStatus::ok;
  row.finish = "length";
  row.prompt_tokens = 100;
  row.output_tokens = 10;
  row.e2e_s = 1;
  if (charged_j) row.headline.charged = Estimate{*charged_j, *charged_j - 1, *charged_j + 1, EstimateKind::interval_95};
  return row;
}

const auto& figure(const RunFigures& run, std::string_view name) { return run.figures[*metric_from(name)]; }

// Kills: joules per token of the long requests alone, laid against those of all requests of another Run.
TEST(RunFigures, JoulesOfAPartOfTheRequestsAreNoneOfTheRun) {
  Summary summary;
  summary.kind = "llm";
  summary.requests = {request(20), request(40)};
  const RunFigures whole = figures_of_run(summary);
  ASSERT_TRUE(figure(whole, "charged_j_per_output_token"));
  EXPECT_NEAR(figure(whole, "charged_j_per_output_token")->value, 3, 1e-12);
  summary.requests.push_back(request(std::nullopt));
  const RunFigures part = figures_of_run(summary);
  for (const char* name :
       {"charged_j_per_output_token", "charged_j_per_total_token", "charged_j_per_completed_request"}) {
    ASSERT_FALSE(figure(part, name)) << name;
    EXPECT_THAT(figure(part, name).error().reason, HasSubstr("only 2 of 3 requests have joules of their own"));
  }
}

}  // namespace
}  // namespace prony::compare
