// What libprony writes is what was said, whoever says it: one thread, many, a forked child, a signal handler.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <prony/prony.hpp>

#include <map>
#include <set>
#include <stdexcept>
#include <thread>

#include "ring_file.hpp"

namespace prony::test {
namespace {

using ring::SlotType;

struct Client : testing::Test {
  ~Client() override { prony_close(); }
};

TEST_F(Client, WhereNobodyRecordsEveryCallIsANoOp) {
  unsetenv("PRONY_SPANS");
  EXPECT_EQ(prony_open(nullptr), 1);
  EXPECT_EQ(prony_recording(), 0);
  EXPECT_EQ(prony_span_begin(PRONY_USER, "x", 0), 0U);
  prony_span_end(7, PRONY_OK);
  prony_span_count(7, "k", 1);
  prony_span_attribute(7, "k", "v");
  EXPECT_EQ(prony_span_complete(PRONY_TOKEN, nullptr, 0, 1, 2), 0U);
  prony_close();
}

TEST_F(Client, TheEnvironmentNamesTheFile) {
  RingFile file;
  setenv("PRONY_SPANS", file.path().c_str(), 1);
  EXPECT_EQ(prony_open(nullptr), 0);
  EXPECT_EQ(prony_open(nullptr), 0) << "opening twice is opening once";
  unsetenv("PRONY_SPANS");
  EXPECT_EQ(prony_recording(), 1);
  EXPECT_NE(prony_span_begin(PRONY_USER, "x", 0), 0U);
  EXPECT_EQ(file.drain().size(), 1U);
  EXPECT_EQ(file.header().claimed.load(), 1U);
}

TEST_F(Client, ASpanIsReadBackAsItWasWritten) {
  RingFile file;
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  const std::int64_t before = prony_now_ns();
  const prony_span request = prony_span_begin(PRONY_REQUEST, "p1", 0);
  const prony_span prefill = prony_span_begin(PRONY_PREFILL, nullptr, request);
  prony_span_end(prefill, PRONY_OK);
  prony_span_count(request, "prompt_tokens", -14);
  prony_span_attribute(request, "finish", "length");
  const prony_span token = prony_span_complete(PRONY_TOKEN, "", request, 5, 9);
  prony_span_end(request, PRONY_FAILED);
  const std::int64_t after = prony_now_ns();

  std::uint64_t broken = 0;
  const auto records = file.drain(&broken);
  EXPECT_EQ(broken, 0U);
  ASSERT_EQ(records.size(), 7U);
  EXPECT_EQ(records[0].type, SlotType::begin);
  EXPECT_EQ(records[0].span, request);
  EXPECT_EQ(records[0].kind, PRONY_REQUEST);
  EXPECT_EQ(records[0].text, "p1");
  EXPECT_EQ(records[1].parent, request);
  EXPECT_EQ(records[2].type, SlotType::end);
  EXPECT_EQ(records[2].span, prefill);
  EXPECT_EQ(records[2].kind, PRONY_OK);
  EXPECT_EQ(records[3].type, SlotType::count);
  EXPECT_EQ(records[3].text, "prompt_tokens");
  EXPECT_EQ(records[3].value, -14);
  EXPECT_EQ(records[4].type, SlotType::attribute);
  EXPECT_EQ(records[4].text, "finish");
  EXPECT_EQ(records[4].value_text, "length");
  EXPECT_EQ(records[5].type, SlotType::complete);
  EXPECT_EQ(records[5].span, token);
  EXPECT_EQ(records[5].time_ns, 5U);
  EXPECT_EQ(records[5].value, 9);
  EXPECT_EQ(records[5].parent, request);
  EXPECT_EQ(records[6].kind, PRONY_FAILED);
  EXPECT_GE(static_cast<std::int64_t>(records[0].time_ns), before);
  EXPECT_LE(records[0].time_ns, records[1].time_ns);
  EXPECT_LE(static_cast<std::int64_t>(records[6].time_ns), after);
  EXPECT_EQ(request >> 40, 1U) << "ids are (ring + 1) << 40 | n";
  EXPECT_EQ(file.ring(0).pid.load(), getpid());
  EXPECT_EQ(file.ring(0).thread.load(), gettid());
}

// Kills: an off-by-one where a text exactly fills a slot, or exactly fills its last text slot.
TEST_F(Client, TextsOfEveryLengthAreKeptWhole) {
  RingFile file(1, 8192);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  for (const std::size_t bytes : {0U, 1U, 19U, 20U, 21U, 39U, 40U, 41U, 60U, 61U, 1024U}) {
    const std::string name(bytes, 'n'), key = "k" + std::string(bytes / 2, 'k'), value(bytes * 3, 'v');
    const prony_span span = prony_span_begin(PRONY_USER, name.c_str(), 0);
    prony_span_count(span, key.c_str(), 3);
    prony_span_attribute(span, key.c_str(), value.c_str());
    prony_span_end(span, PRONY_OK);
    std::uint64_t broken = 0;
    const auto records = file.drain(&broken);
    ASSERT_EQ(records.size(), 4U) << bytes;
    EXPECT_EQ(broken, 0U) << bytes;
    EXPECT_EQ(records[0].text, name);
    EXPECT_EQ(records[1].text, key);
    EXPECT_EQ(records[2].text, key);
    EXPECT_EQ(records[2].value_text, value);
    EXPECT_EQ(records[3].type, SlotType::end);
  }
}

TEST_F(Client, ATooLongTextIsCutBetweenCharacters) {
  RingFile file(1, 16384);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  const prony_span span = prony_span_begin(PRONY_USER, "x", 0);
  std::string value = "a";
  while (value.size() < 70000) value += "\xC3\xA4";  // ä: 65535 is inside no character, 65534 would be
  value.insert(0, "b");                              // now byte 65535 is the second byte of one
  prony_span_attribute(span, "k", value.c_str());
  const auto records = file.drain();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].value_text, value.substr(0, 65534));
}

TEST_F(Client, AFullRingDropsAndCountsAndGoesOnWhenDrained) {
  RingFile file(1, 8);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  std::vector<prony_span> spans;
  for (int i = 0; i < 11; ++i) spans.push_back(prony_span_begin(PRONY_USER, "x", 0));
  EXPECT_NE(spans[7], 0U);
  EXPECT_EQ(spans[8], 0U) << "a span whose begin was dropped is no span";
  EXPECT_EQ(file.lost(), 3U);
  prony_span_end(spans[9], PRONY_OK);  // no-op: not lost a second time
  EXPECT_EQ(file.lost(), 3U);
  prony_span_end(spans[0], PRONY_OK);
  EXPECT_EQ(file.lost(), 4U);
  EXPECT_EQ(file.drain().size(), 8U);
  EXPECT_NE(prony_span_begin(PRONY_USER, "x", 0), 0U);
  EXPECT_EQ(file.drain().size(), 1U);
}

// Kills: room that a drain does not give back, and a producer that believes its own old look at the reader.
TEST_F(Client, TheRoomLeftIsToldAndWhoWaitsForItLosesNothing) {
  unsetenv("PRONY_SPANS");
  EXPECT_EQ(prony_span_room(), UINT32_MAX) << "nobody records: nothing can be lost";
  RingFile file;
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  const std::uint32_t all = prony_span_room();
  ASSERT_GT(all, 0U);
  EXPECT_NE(prony_span_complete(PRONY_TOKEN, nullptr, 0, 1, 2), 0U);
  EXPECT_EQ(prony_span_room(), all - 1);
  for (std::uint32_t turn = 0; turn < 3; ++turn) {
    while (prony_span_room() > 0) EXPECT_NE(prony_span_complete(PRONY_TOKEN, nullptr, 0, 1, 2), 0U);
    (void)file.drain();
    EXPECT_EQ(prony_span_room(), all);
  }
  EXPECT_EQ(file.lost(), 0U);
}

// Kills: a record whose first slot is kept and whose text is dropped.
TEST_F(Client, ARecordThatFitsOnlyInPartIsDroppedWhole) {
  RingFile file(1, 8);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  const prony_span span = prony_span_begin(PRONY_USER, "x", 0);
  prony_span_attribute(span, "k", std::string(7 * 20, 'v').c_str());  // 1 + 7 slots; 7 are free
  EXPECT_EQ(file.lost(), 1U);
  prony_span_attribute(span, "k", std::string(6 * 20, 'v').c_str());
  EXPECT_EQ(file.lost(), 1U);
  prony_span_attribute(span, "k", std::string(9 * 20, 'v').c_str());  // more than a ring: never fits
  EXPECT_EQ(file.lost(), 2U);
  std::uint64_t broken = 0;
  EXPECT_EQ(file.drain(&broken).size(), 2U);
  EXPECT_EQ(broken, 0U);
}

TEST_F(Client, IdsStayUniqueAndSlotsInOrderOverManyTurnsOfTheRing) {
  RingFile file(1, 12);  // not a power of two
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  std::set<prony_span> ids;
  std::uint64_t broken = 0;
  for (int i = 0; i < 1000; ++i) {
    const prony_span span = prony_span_begin(PRONY_USER, "a name longer than one slot", 0);
    EXPECT_TRUE(ids.insert(span).second);
    prony_span_end(span, PRONY_OK);
    EXPECT_EQ(file.drain(&broken).size(), 2U);
  }
  EXPECT_EQ(broken, 0U);
  EXPECT_EQ(file.lost(), 0U);
}

TEST_F(Client, AfterCloseOrWhenTheMeterStopsNothingIsWritten) {
  RingFile file;
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  const prony_span span = prony_span_begin(PRONY_USER, "x", 0);
  file.header().recording.store(0);
  EXPECT_EQ(prony_recording(), 0);
  prony_span_end(span, PRONY_OK);
  EXPECT_EQ(file.drain().size(), 1U);
  EXPECT_EQ(prony_open(file.path().c_str()), 1);
  file.header().recording.store(1);
  EXPECT_EQ(prony_recording(), 1);
  prony_close();
  EXPECT_EQ(prony_span_begin(PRONY_USER, "x", 0), 0U);
  EXPECT_EQ(file.drain().size(), 0U);
}

TEST_F(Client, AnotherRunsFileTakesOver) {
  RingFile first, second;
  ASSERT_EQ(prony_open(first.path().c_str()), 0);
  prony_span_begin(PRONY_USER, "a", 0);
  ASSERT_EQ(prony_open(second.path().c_str()), 0);
  prony_span_begin(PRONY_USER, "b", 0);
  ASSERT_EQ(prony_open(first.path().c_str()), 0);
  prony_span_begin(PRONY_USER, "c", 0);
  const auto in_first = first.drain();
  ASSERT_EQ(in_first.size(), 2U);
  EXPECT_EQ(in_first[1].text, "c");
  EXPECT_EQ(in_first[1].ring, 0U) << "the thread's ring is taken up again, not a second one";
  EXPECT_EQ(second.drain().size(), 1U);
}

TEST_F(Client, AScopedSpanEndsWithItsScopeAndFailsWithAnException) {
  RingFile file;
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  {
    ScopedSpan outer(PRONY_REQUEST, "ok");
    outer.count("n", 2);
    ScopedSpan moved(std::move(outer));
  }
  try {
    const ScopedSpan span(PRONY_REQUEST, "bad");
    throw std::runtime_error("x");
  } catch (const std::runtime_error&) {
  }
  const auto records = file.drain();
  ASSERT_EQ(records.size(), 5U) << "a moved-from span does not end a second time";
  EXPECT_EQ(records[2].kind, PRONY_OK);
  EXPECT_EQ(records[4].kind, PRONY_FAILED);
}

TEST_F(Client, EveryThreadWritesIntoARingOfItsOwn) {
  RingFile file(4, 64);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  const prony_span parent = prony_span_begin(PRONY_USER, "main", 0);
  prony_span child = 0;
  std::thread([&] { child = prony_span_begin(PRONY_USER, "thread", parent); }).join();
  EXPECT_NE(parent >> 40, child >> 40);
  prony_span_end(child, PRONY_OK);  // ended by another thread than began it
  std::map<std::uint32_t, int> by_ring;
  for (const auto& r : file.drain()) ++by_ring[r.ring];
  EXPECT_EQ(by_ring, (std::map<std::uint32_t, int>{{0, 2}, {1, 1}}));
}

TEST_F(Client, ARingOfAThreadThatEndedIsUsedAgain) {
  RingFile file(2, 64);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  prony_span_begin(PRONY_USER, "main", 0);
  std::set<prony_span> ids;
  for (int i = 0; i < 20; ++i) {
    std::thread([&] { ids.insert(prony_span_begin(PRONY_USER, "t", 0)); }).join();
  }
  EXPECT_EQ(ids.size(), 20U) << "ids stay unique when a ring changes hands";
  EXPECT_EQ(ids.count(0), 0U);
  EXPECT_EQ(file.header().claimed.load(), 2U);
  EXPECT_EQ(file.header().rejected.load(), 0U);
  std::uint64_t broken = 0;
  EXPECT_EQ(file.drain(&broken).size(), 21U);
  EXPECT_EQ(broken, 0U);
}

TEST_F(Client, AThreadWithoutARingIsCountedOnceAndWritesNothing) {
  RingFile file(1, 64);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  prony_span_begin(PRONY_USER, "main", 0);
  std::thread([&] {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(prony_span_begin(PRONY_USER, "t", 0), 0U);
  }).join();
  EXPECT_EQ(file.header().rejected.load(), 1U);
  EXPECT_EQ(file.header().claimed.load(), 1U);
  EXPECT_EQ(file.drain().size(), 1U);
}

// Kills: a child that goes on in the ring of its parent: two writers in one ring.
TEST_F(Client, AForkedChildClaimsARingOfItsOwn) {
  RingFile file(4, 64);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  const prony_span parent_span = prony_span_begin(PRONY_USER, "parent", 0);
  std::thread([] { prony_span_begin(PRONY_USER, "ended thread", 0); }).join();
  const pid_t child = fork();
  if (child == 0) {
    const prony_span span = prony_span_begin(PRONY_USER, "child", parent_span);
    prony_span_end(span, PRONY_OK);
    _exit(span >> 40 == 3 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  prony_span_end(parent_span, PRONY_OK);
  EXPECT_EQ(file.ring(0).head.load(), 2U);
  EXPECT_EQ(file.ring(1).head.load(), 1U) << "the ended thread's ring is the parent's to give away";
  EXPECT_EQ(file.ring(2).head.load(), 2U);
  EXPECT_EQ(file.ring(2).pid.load(), child);
}

TEST_F(Client, WhileDrainedConcurrentlyEveryRecordIsReadOnceOrCountedLost) {
  constexpr int threads = 4, spans = 3000;
  RingFile file(threads, 256);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  std::atomic<int> running{threads};
  std::atomic<std::uint64_t> begun{0}, refused{0};
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      for (int i = 0; i < spans; ++i) {
        const prony_span span = prony_span_begin(PRONY_USER, "a span with a name of two slots", 0);
        span != 0 ? ++begun : ++refused;
        prony_span_end(span, PRONY_OK);
      }
      --running;
    });
  }
  std::uint64_t broken = 0, begins = 0, ends = 0;
  std::set<std::uint64_t> ids;
  for (bool last = false; !last;) {
    last = running.load() == 0;
    for (const auto& r : file.drain(&broken)) {
      if (r.type == SlotType::begin) {
        ++begins;
        EXPECT_TRUE(ids.insert(r.span).second);
      } else {
        ++ends;
        EXPECT_EQ(ids.count(r.span), 1U);
      }
    }
    std::this_thread::yield();
  }
  for (auto& thread : pool) thread.join();
  EXPECT_EQ(broken, 0U);
  EXPECT_EQ(begins, begun.load());
  EXPECT_EQ(begins - ends + refused.load(), file.lost());
  EXPECT_GT(begins, 0U);
}

volatile sig_atomic_t handled = 0;
void on_alarm(int) {
  const prony_span span = prony_span_begin(PRONY_USER, "from a signal handler", 0);
  prony_span_end(span, PRONY_OK);
  handled = handled + 1;
}

// Kills: a handler's record that is written into the middle of the record it interrupted.
TEST_F(Client, ASpanFromASignalHandlerNeverMixesWithTheOneItInterrupted) {
  RingFile file(1, 4096);
  ASSERT_EQ(prony_open(file.path().c_str()), 0);
  handled = 0;
  struct sigaction action{}, old{};
  action.sa_handler = on_alarm;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, &old);
  const itimerval every{{0, 200}, {0, 200}};
  setitimer(ITIMER_REAL, &every, nullptr);
  std::uint64_t broken = 0, records = 0, written = 0;
  for (int i = 0; i < 2000 || (handled < 20 && i < 2'000'000); ++i) {
    const prony_span span = prony_span_begin(PRONY_USER, "a span with a name of two slots", 0);
    prony_span_end(span, PRONY_OK);
    written += 2;
    if (i % 100 == 0) records += file.drain(&broken).size();
  }
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &old, nullptr);
  records += file.drain(&broken).size();
  EXPECT_GE(handled, 20);
  EXPECT_EQ(broken, 0U);
  EXPECT_GE(records, written) << "the interrupted ones are all there";
  EXPECT_LE(records + file.lost(), written + 2 * static_cast<std::uint64_t>(handled));
}

}  // namespace
}  // namespace prony::test
