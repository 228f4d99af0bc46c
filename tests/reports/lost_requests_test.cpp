// A request has one end, whoever of the driver and the worker told it.
#include <gtest/gtest.h>

#include "fake_run.hpp"
#include "model/request_names.hpp"
#include "reports/load_figures.hpp"
#include "reports/request_energy.hpp"
#include "reports/summary.hpp"

namespace prony {
namespace {

using testing::FakeRun;

FakeRun run_with(const std::string& lost) {
  FakeRun run;
  run.facts.set("run.kind", "llm", "prony");
  run.facts.set("requests.failed", lost, "worker");
  return run;
}
void add(FakeRun& run, const std::string& name, SpanStatus status, const std::string& finish) {
  const std::uint64_t id = run.span_list.size() + 1;
  Span request = testing::span(id, 0, SpanKind::request, name, 1, 2);
  request.status = status;
  request.attributes = {{"finish", finish}};
  run.span_list.push_back(request);
}
std::vector<std::string> ends_of(const FakeRun& run) {
  std::vector<std::string> told;
  for (const RequestRow& row : summarise(run, Ledger{}).requests)
    told.push_back(std::string(to_string(row.span.status)) + " " + row.finish);
  return told;
}

// Kills: the driver's "failed" beside the worker's "called off" in one and the same Run.
TEST(LostRequests, WhatTheDriverLostWithItsWorkerFailedWhateverTheWorkerWrote) {
  FakeRun run = run_with("2,3");
  add(run, "1", SpanStatus::ok, "length");
  add(run, "2", SpanStatus::ok, "stop");
  add(run, "3", SpanStatus::unfinished, "");
  add(run, "4", SpanStatus::ok, "stop");
  EXPECT_EQ(ends_of(run), (std::vector<std::string>{"ok length", "failed error", "unfinished ", "ok stop"}));
  const RequestEnergy energy = request_energy(summarise(run, Ledger{}));
  ASSERT_EQ(energy.waste.size(), 3U);
  EXPECT_EQ(energy.waste[0].why, "failed");
  EXPECT_EQ(energy.waste[2].why, "cancelled");
}

// Kills: names with commas taken apart, and a prompt that was asked twice failed twice.
TEST(LostRequests, NamesMayHoldCommasAndTwoOfOneNameAreTwo) {
  EXPECT_EQ(as_listed("a,b 50%"), "a%2Cb 50%25");
  FakeRun run = run_with("a%2Cb,twice,twice%252C");
  add(run, "a", SpanStatus::ok, "length");
  add(run, "b", SpanStatus::ok, "length");
  add(run, "a,b", SpanStatus::ok, "stop");
  add(run, "twice", SpanStatus::failed, "error");
  add(run, "twice", SpanStatus::ok, "length");
  add(run, "twice,", SpanStatus::ok, "length");
  EXPECT_EQ(ends_of(run), (std::vector<std::string>{"ok length", "ok length", "failed error", "failed error",
                                                    "ok length", "ok length"}));
}

}  // namespace
}  // namespace prony
