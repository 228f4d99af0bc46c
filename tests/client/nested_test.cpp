// Spans that find their parent by themselves, and spans that another clock stamped.
#include <gtest/gtest.h>
#include <prony/prony.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <thread>

#include "ring_file.hpp"

namespace prony::test {
namespace {

using ring::SlotType;

struct Nested : testing::Test {
  Nested() { EXPECT_EQ(prony_open(file.path().c_str()), 0); }
  ~Nested() override { prony_close(); }
  RingFile file;
};

std::map<std::string, Record> begins(const std::vector<Record>& records) {
  std::map<std::string, Record> out;
  for (const Record& record : records)
    if (record.type == SlotType::begin) out[record.text] = record;
  return out;
}

// Kills: a parent that stays the innermost after its end, so that siblings nest in one another.
TEST_F(Nested, ASpanLiesInTheOneThatIsOpenOnItsThreadAndSiblingsLieBesideOneAnother) {
  {
    const Span outer("outer", PRONY_REQUEST);
    {
      const Span first("first");
    }
    {
      const Span second("second");
      const Span inner("inner", PRONY_LAYER);
      EXPECT_EQ(current_span(), inner.id());
    }
    EXPECT_EQ(current_span(), outer.id());
  }
  EXPECT_EQ(current_span(), 0U);
  auto seen = begins(file.drain());
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_EQ(seen["outer"].parent, 0U);
  EXPECT_EQ(seen["first"].parent, seen["outer"].span);
  EXPECT_EQ(seen["second"].parent, seen["outer"].span);
  EXPECT_EQ(seen["inner"].parent, seen["second"].span);
  EXPECT_EQ(seen["inner"].kind, PRONY_LAYER);
  EXPECT_EQ(seen["first"].kind, PRONY_USER);
}

// Kills: one innermost span for all threads.
TEST_F(Nested, AnotherThreadBeginsAtItsOwnTopAndMayNameAParent) {
  const Span outer("outer");
  std::thread([&] {
    EXPECT_EQ(current_span(), 0U);
    const Span alone("alone");
    const Span given("given", PRONY_USER, outer.id());
    const Span below("below");
  }).join();
  EXPECT_EQ(current_span(), outer.id());
  auto seen = begins(file.drain());
  EXPECT_EQ(seen["alone"].parent, 0U);
  EXPECT_EQ(seen["given"].parent, seen["outer"].span);
  EXPECT_EQ(seen["below"].parent, seen["given"].span);
}

TEST_F(Nested, AnExceptionEndsAllThatItPassesAsFailed) {
  try {
    const Span outer("outer");
    const Span inner("inner");
    throw 1;
  } catch (int) {
  }
  EXPECT_EQ(current_span(), 0U);
  int failed = 0;
  for (const Record& record : file.drain())
    if (record.type == SlotType::end) failed += record.kind == PRONY_FAILED ? 1 : 0;
  EXPECT_EQ(failed, 2);
}

TEST_F(Nested, WhereNobodyRecordsNothingIsInnermost) {
  file.header().recording.store(0);
  const Span outer("outer");
  EXPECT_EQ(outer.id(), 0U);
  EXPECT_EQ(current_span(), 0U);
  EXPECT_TRUE(file.drain().empty());
}

prony_clock gpu_clock(std::int64_t offset_ns) {
  prony_clock clock{};
  clock.struct_size = sizeof clock;
  clock.name = "cuda:0";
  clock.offset_ns = offset_ns;
  clock.doubt_ns = 2'000;
  return clock;
}

// Kills: an offset that is taken away instead of added, or added to one end alone.
TEST_F(Nested, ASpanStampedByADeviceLiesOnTheMonotonicClockAndNamesItsOwn) {
  const prony_clock clock = gpu_clock(-100);
  const prony_span span = prony_span_stamped(PRONY_LAYER, "gemm", 0, 1'000, 1'500, &clock);
  ASSERT_NE(span, 0U);
  const auto records = file.drain();
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(records[0].type, SlotType::complete);
  EXPECT_EQ(records[0].time_ns, 900U);
  EXPECT_EQ(records[0].value, 1'400);
  std::map<std::string, std::string> texts;
  std::map<std::string, std::int64_t> counts;
  for (const Record& record : records) {
    EXPECT_EQ(record.span, span);
    if (record.type == SlotType::attribute) texts[record.text] = record.value_text;
    if (record.type == SlotType::count) counts[record.text] = record.value;
  }
  EXPECT_EQ(texts, (std::map<std::string, std::string>{{"clock", "device"}, {"clock_name", "cuda:0"}}));
  EXPECT_EQ(counts, (std::map<std::string, std::int64_t>{{"clock_offset_ns", -100}, {"clock_doubt_ns", 2'000}}));
}

TEST_F(Nested, StampsThatMakeNoSenseWriteNothing) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  prony_clock clock = gpu_clock(1);
  EXPECT_EQ(prony_span_stamped(PRONY_LAYER, "x", 0, 0, most, &clock), 0U) << "the sum does not fit";
  EXPECT_EQ(prony_span_stamped(PRONY_LAYER, "x", 0, 2, 1, &clock), 0U) << "it ends before it begins";
  EXPECT_EQ(prony_span_stamped(PRONY_LAYER, "x", 0, 1, 2, nullptr), 0U);
  clock.doubt_ns = -1;
  EXPECT_EQ(prony_span_stamped(PRONY_LAYER, "x", 0, 1, 2, &clock), 0U);
  clock = gpu_clock(1);
  clock.name = nullptr;
  EXPECT_EQ(prony_span_stamped(PRONY_LAYER, "x", 0, 1, 2, &clock), 0U);
  clock = gpu_clock(1);
  clock.struct_size = 8;
  EXPECT_EQ(prony_span_stamped(PRONY_LAYER, "x", 0, 1, 2, &clock), 0U) << "of another version";
  EXPECT_TRUE(file.drain().empty());
}

}  // namespace
}  // namespace prony::test
