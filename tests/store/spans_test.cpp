#include "store/span_consumer.hpp"

#include <poll.h>

#include <cstddef>

#include "store_test_support.hpp"

namespace prony {
namespace {

using test::fast_plan;
using test::Folder;
using test::open_run;
using test::Producer;
using test::record;

TEST(Spans, WhatAWorkloadSaysInTheRingIsInTheRun) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  const std::string answer(70'000, 'x');
  {
    Producer producer(recorder->spans_path());
    producer.begin(1, SpanKind::request, 100, "prompt-1");
    producer.count(1, "prompt_tokens", 14);
    producer.attribute(1, "finish", "length");
    producer.attribute(1, "empty", "");
    producer.attribute(1, "a key that is longer than one slot", std::string(40, 'y'));
    producer.attribute(1, "answer", answer);
    producer.put(ring::SlotType::complete, producer.id(2), 6, 110, 120, producer.id(1), "t");
    producer.put_long(ring::SlotType::begin, producer.id(3), 10, 130, 0, "a name that is longer than one slot holds");
    producer.end(3, 140);
    ASSERT_TRUE(recorder->drain_spans());
    producer.end(1, 150);
    producer.count(1, "prompt_tokens", 15);
    ASSERT_TRUE(recorder->drain_spans());
  }
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  ASSERT_EQ(run->spans().size(), 3U);
  const auto& request = run->spans()[0];
  EXPECT_EQ(request.id.value, (1ULL << 40) | 1);
  EXPECT_EQ(request.kind, SpanKind::request);
  EXPECT_EQ(request.status, SpanStatus::ok);
  EXPECT_EQ(request.name, "prompt-1");
  EXPECT_EQ(request.interval, (Interval{{100}, {150}}));
  EXPECT_EQ(request.count("prompt_tokens"), 15);
  EXPECT_EQ(request.attribute("finish"), "length");
  EXPECT_EQ(request.attribute("empty"), "");
  EXPECT_EQ(request.attribute("a key that is longer than one slot"), std::string(40, 'y'));
  EXPECT_EQ(request.attribute("answer")->size(), span_text_limit);
  EXPECT_EQ(request.pid, ::getpid());
  EXPECT_EQ(run->spans()[1].kind, SpanKind::token);
  EXPECT_EQ(run->spans()[1].parent, request.id);
  EXPECT_EQ(run->spans()[1].interval, (Interval{{110}, {120}}));
  EXPECT_EQ(run->spans()[2].name, "a name that is longer than one slot holds");
  EXPECT_EQ(run->spans_lost(), 0U);
}

// Bug it kills: sizes multiplied in 32 bits. 4096 rings of 16384 slots are 2^32 bytes, which wraps to a file of headers
// only.
TEST(Spans, AFileWhoseSizesWouldWrapIn32BitsIsRefused) {
  const Folder folder;
  const std::string path = folder.file().string() + ".rings";
  {
    ASSERT_TRUE(SpanConsumer::create(path));
  }
  const auto set = [&path](std::size_t at, std::uint32_t number) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.write(reinterpret_cast<const char*>(&number), sizeof number);
  };
  ASSERT_TRUE(SpanConsumer::open(path, false));
  for (const std::uint32_t slots : {1U << 14, 1U << 20}) {
    set(offsetof(ring::FileHeader, ring_count), 4096);
    set(offsetof(ring::FileHeader, slots_per_ring), slots);
    const auto opened = SpanConsumer::open(path, false);
    ASSERT_FALSE(opened) << slots;
    EXPECT_EQ(opened.error().code, ErrorCode::malformed);
  }
}

// Bug it kills: an end that is thrown away because another thread's ring is drained first.
TEST(Spans, AnEndMayArriveBeforeItsBegin) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  Producer first(recorder->spans_path());
  Producer second(recorder->spans_path());
  first.put(ring::SlotType::end, second.id(5), 1, 900, 0, 0, "");
  ASSERT_TRUE(recorder->drain_spans());
  second.begin(5, SpanKind::user, 300, "shared");
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  ASSERT_EQ(run->spans().size(), 1U);
  EXPECT_EQ(run->spans()[0].interval, (Interval{{300}, {900}}));
  EXPECT_EQ(run->spans()[0].status, SpanStatus::failed);
}

TEST(Spans, OneWithoutAnEndIsUnfinishedAndEndsWithTheLastThingRecorded) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  ASSERT_TRUE(recorder->add_span(
      {{1}, {0}, SpanKind::run, SpanStatus::unfinished, "run", {{2'000'000'000}, {}}, 7, 0, {}, {}}));
  ASSERT_TRUE(recorder->add_span(
      {{2}, {1}, SpanKind::phase, SpanStatus::ok, "load", {{2'000'000'000}, {2'000'000'500}}, 7, 0, {{"n", 1}}, {}}));
  ASSERT_TRUE(recorder->append(test::one_tick({1}, 3'000'000'000, {{1, Quality::ok}})));
  ASSERT_TRUE(recorder->flush());
  {
    const auto run = open_run(folder.file());
    ASSERT_TRUE(run);
    ASSERT_EQ(run->spans().size(), 2U);
    EXPECT_EQ(run->spans()[0].status, SpanStatus::unfinished);
    EXPECT_EQ(run->spans()[0].interval.end.ns, 3'000'000'000);
  }
  ASSERT_TRUE(recorder->add_span(
      {{1}, {0}, SpanKind::run, SpanStatus::ok, "run", {{2'000'000'000}, {2'500'000'000}}, 7, 0, {}, {}}));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->spans()[0].status, SpanStatus::ok);
  EXPECT_EQ(run->spans()[0].interval.end.ns, 2'500'000'000);
  EXPECT_EQ(run->spans()[1].count("n"), 1);
}

TEST(Spans, TheProducerGetsItsSlotsBackAndLosesNothingOverManyRounds) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  Producer producer(recorder->spans_path());
  constexpr int count = 60'000;  // nearly four times the ring
  for (int n = 1; n <= count; ++n) {
    ASSERT_TRUE(
        producer.put(ring::SlotType::complete, producer.id(static_cast<std::uint64_t>(n)), 6, n, n + 1, 0, "t"));
    if (n % 3000 == 0) {
      ASSERT_TRUE(recorder->drain_spans());
    }
  }
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->spans().size(), static_cast<std::size_t>(count));
  EXPECT_EQ(run->spans_lost(), 0U);
}

// Kills: a meter that looks at the ring only when told, and is never told, or is told at once and looks for nothing.
TEST(Spans, TheRecorderIsToldWhenSomebodyOpensTheRingAndNotBefore) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  const int opened = recorder->watch_spans();
  if (opened < 0) GTEST_SKIP() << "this kernel does not tell of opened files (inotify)";
  EXPECT_EQ(recorder->watch_spans(), opened);
  pollfd waited{opened, POLLIN, 0};
  ASSERT_TRUE(recorder->append(test::one_tick({1}, 3'000'000'000, {{1, Quality::ok}})));
  ASSERT_TRUE(recorder->drain_spans());
  ASSERT_TRUE(recorder->flush());
  EXPECT_EQ(::poll(&waited, 1, 0), 0) << "what the recorder itself does is nobody's opening";
  {
    Producer producer(recorder->spans_path());
    EXPECT_EQ(::poll(&waited, 1, 1000), 1) << "before the first span can be written";
  }
  EXPECT_EQ(::poll(&waited, 1, 0), 1) << "it stays told";
  ASSERT_TRUE(recorder->close(RunState::complete));
}

// Kills: one who opened the ring before it was watched is never looked at.
TEST(Spans, WhoOpenedTheRingBeforeItWasWatchedIsKnownByWhatItWrites) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  EXPECT_FALSE(recorder->spans_begun());
  const Producer producer(recorder->spans_path());
  pollfd waited{recorder->watch_spans(), POLLIN, 0};
  EXPECT_EQ(::poll(&waited, 1, 0), 0);
  EXPECT_TRUE(recorder->spans_begun());
  ASSERT_TRUE(recorder->close(RunState::complete));
}

TEST(Spans, WhatWasDroppedOrHalfWrittenIsCountedAndSaid) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  {
    Producer producer(recorder->spans_path());
    for (int n = 1; n <= 16'384 + 5; ++n)
      producer.put(ring::SlotType::complete, producer.id(static_cast<std::uint64_t>(n)), 6, n, n + 1, 0, "t");
    producer.slot(3).sequence.store(0);  // a crash in the middle of the slot
    producer.file().rejected.store(2);
  }
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->spans().size(), 16'383U);
  EXPECT_EQ(run->spans_lost(), 5U + 1U + 2U);
  int said = 0;
  for (const auto& event : run->events()) said += event.kind == "spans-lost" ? 1 : 0;
  EXPECT_EQ(said, 2);
}

// Bug it kills: any index, length or count of the file that is believed.
TEST(Spans, RubbishInTheRingNeitherCrashesNorTouchesTheRecordersOwnSpans) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  ASSERT_TRUE(recorder->add_span({{1}, {0}, SpanKind::run, SpanStatus::ok, "run", {{100}, {200}}, 7, 0, {}, {}}));
  {
    Producer producer(recorder->spans_path());
    producer.put(ring::SlotType::begin, 1, 0, 5, 0, 0, "mine now");  // the recorder's own id
    producer.put(ring::SlotType::end, 1, 0, 6, 0, 0, "");
    producer.put(ring::SlotType::text, producer.id(1), 0, 0, 0, 0, "text of nothing");
    producer.put(static_cast<ring::SlotType>(99), producer.id(1), 0, 0, 0, 0, "");
    test::Random random(4);
    for (int n = 0; n < 5000; ++n) {
      auto& slot = producer.slot(producer.rings().head.load());
      for (std::size_t b = 8; b < sizeof(ring::Slot); ++b)
        reinterpret_cast<unsigned char*>(&slot)[b] = static_cast<unsigned char>(random.next());
      if (n % 2 == 0) slot.span = producer.id(random.next() % 50);
      if (n % 3 == 0) slot.type = static_cast<ring::SlotType>(1 + random.next() % 6);
      const auto head = producer.rings().head.load();
      slot.sequence.store(head + 1);
      producer.rings().head.store(head + 1);
    }
    ASSERT_TRUE(recorder->drain_spans());
    producer.rings().head.store(~0ULL);
    producer.rings().tail.store(77);
    ASSERT_TRUE(recorder->drain_spans());
    producer.file().claimed.store(0xffffffffU);
    producer.file().ring_count = 0xffffffffU;
    producer.file().slots_per_ring = 0;
    ASSERT_TRUE(recorder->drain_spans());
  }
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_GT(run->spans_lost(), 100U);
  for (const auto& span : run->spans()) {
    EXPECT_LE(span.interval.begin, span.interval.end);
    if (span.id.value == 1) {
      EXPECT_EQ(span.name, "run");
    }
  }
}

TEST(Spans, AFileThatIsCutShortUnderTheRecorderEndsTheSpansAndNotTheRecording) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  ASSERT_EQ(::truncate(recorder->spans_path().c_str(), 100), 0);
  ASSERT_TRUE(recorder->drain_spans());
  ASSERT_TRUE(recorder->append(test::one_tick({1}, 10, {{1, Quality::ok}})));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->events().at(0).kind, "spans-lost");
  EXPECT_EQ(test::ticks_of(*run, {1}).size(), 1U);
}

}  // namespace
}  // namespace prony
