// Looks at processes: the codec keeps every bit, the Run hands them out in order, a damaged chunk costs only itself.
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "packed_content.hpp"
#include "store/look_codec.hpp"
#include "store_test_support.hpp"

namespace prony {
namespace {

using test::fast_plan;
using test::Folder;
using test::open_run;
using test::record;

bool same(const ProcessLook& a, const ProcessLook& b) {
  if (a.between.begin != b.between.begin || a.between.end != b.between.end || a.uses.size() != b.uses.size() ||
      a.ended_unseen_ns != b.ended_unseen_ns)
    return false;
  for (std::size_t i = 0; i < a.uses.size(); ++i)
    if (a.uses[i].process != b.uses[i].process || a.uses[i].cpu_ns != b.uses[i].cpu_ns ||
        a.uses[i].resident_bytes != b.uses[i].resident_bytes)
      return false;
  return true;
}

constexpr std::int64_t look_ns = 100'000'000;

// `busy` processes whose times scatter and whose memory changes now and then; one look in 100 ms.
std::vector<ProcessLook> busy_looks(std::size_t looks, std::uint32_t busy, std::int64_t unit_ns,
                                    std::int64_t begin_ns = 1'000'000'000) {
  test::Random random(7);
  std::vector<std::uint64_t> pages(busy, 4000);
  std::vector<ProcessLook> out(looks);
  for (std::size_t l = 0; l < looks; ++l) {
    out[l].between = {{begin_ns + static_cast<std::int64_t>(l) * look_ns},
                      {begin_ns + static_cast<std::int64_t>(l + 1) * look_ns}};
    for (std::uint32_t p = 0; p < busy; ++p) {
      if (random.next() % 50 == 0) pages[p] += random.next() % 300;
      const double mean_us = 200.0 * (1 + p % 7);
      const auto us = std::max(1.0, mean_us * (1 + 0.2 * random.normal()));
      out[l].uses.push_back({p * 3 + 1, static_cast<std::int64_t>(us * 1000) / unit_ns * unit_ns, pages[p] * 4096});
    }
  }
  return out;
}

std::vector<ProcessLook> looks_of(const Run& run) {
  std::vector<ProcessLook> looks;
  const auto done = run.for_each_look([&](const ProcessLook& look) {
    looks.push_back(look);
    return true;
  });
  EXPECT_TRUE(done) << done.error().what;
  return looks;
}

// Kills: a gap between process numbers off by one, memory's change taken from another process, a plane lost.
TEST(LookCodec, LooksComeBackToTheBit) {
  auto looks = busy_looks(5, 40, 1);
  looks[1].uses.clear();
  looks[2].ended_unseen_ns = 123'456'789;
  looks[3].uses = {{0, 1, 0}, {1, INT64_MAX, UINT64_MAX}, {0xffffffffU, -5, 4097}};
  looks[4].between.begin.ns = INT64_MIN;
  looks[4].between.end.ns = INT64_MAX;
  const auto bytes = encode_looks(looks);
  ASSERT_TRUE(bytes) << bytes.error().what;
  const auto again = decode_looks(*bytes);
  ASSERT_TRUE(again) << again.error().what;
  ASSERT_EQ(again->size(), looks.size());
  for (std::size_t i = 0; i < looks.size(); ++i) EXPECT_TRUE(same((*again)[i], looks[i])) << i;
}

TEST(LookCodec, WhatDoesNotAscendOrIsNothingIsRefused) {
  EXPECT_FALSE(encode_looks({}));
  std::vector<ProcessLook> looks(1);
  looks[0].uses = {{2, 1, 0}, {2, 1, 0}};
  EXPECT_FALSE(encode_looks(looks));
}

Result<std::vector<ProcessLook>> looks_packed(const std::vector<std::uint8_t>& content) {
  return decode_looks(test::packed(content));
}

// version, looks, uses, first, time unit, memory unit; begin, length, uses, ended; process; memory; planes, times
TEST(LookCodec, AWellFormedSmallestChunkIsTakenAndEachLieIsRefused) {
  const std::vector<std::uint8_t> good{1, 1, 1, 8, 10, 1, 0, 4, 1, 3, 6, 4, 1, 7};
  const auto looks = looks_packed(good);
  ASSERT_TRUE(looks) << looks.error().what;
  ASSERT_EQ(looks->size(), 1U);
  EXPECT_EQ((*looks)[0].between.begin.ns, 4);
  EXPECT_EQ((*looks)[0].between.end.ns, 6);
  EXPECT_EQ((*looks)[0].ended_unseen_ns, 30);
  ASSERT_EQ((*looks)[0].uses.size(), 1U);
  EXPECT_EQ((*looks)[0].uses[0].process, 6U);
  EXPECT_EQ((*looks)[0].uses[0].resident_bytes, 2U);
  EXPECT_EQ((*looks)[0].uses[0].cpu_ns, 70);
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    EXPECT_FALSE(looks_packed({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut)})) << cut;
  const auto lie = [&](std::size_t at, std::uint8_t byte) {
    auto content = good;
    content[at] = byte;
    return looks_packed(content);
  };
  EXPECT_FALSE(lie(0, 2));   // another version
  EXPECT_FALSE(lie(1, 0));   // no looks
  EXPECT_FALSE(lie(1, 99));  // more looks than there are bytes
  EXPECT_FALSE(lie(2, 99));  // more uses than there are bytes
  EXPECT_FALSE(lie(2, 0));   // the look has more than the chunk
  EXPECT_FALSE(lie(8, 0));   // and less
  EXPECT_FALSE(lie(12, 9));  // nine planes
  auto longer = good;
  longer.push_back(0);
  EXPECT_FALSE(looks_packed(longer));
  // The second process would have number 2³².
  EXPECT_FALSE(looks_packed({1, 1, 2, 8, 10, 1, 0, 4, 2, 3, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 4, 4, 1, 7, 7}));
  // Sizes of which no memory could be taken.
  EXPECT_FALSE(looks_packed({1, 0xff, 0xff, 0x03, 0xff, 0xff, 0x7f, 8, 10, 1, 0, 4, 1, 3, 6, 4, 1, 7}));
}

TEST(LookCodec, RandomBytesNeverCrashTheReader) {
  test::Random random(22);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::uint8_t> content(random.next() % 60);
    for (auto& byte : content) byte = static_cast<std::uint8_t>(random.next() % (round % 2 == 0 ? 256 : 9));
    if (!content.empty()) content[0] = 1;
    (void)looks_packed(content);
  }
}

// Kills: of two short lives whose start nobody saw, and who had the same process id, only the last is kept, so that a
// look names a process that is nowhere; a start that is not known read back as 0, or as another number.
TEST(Looks, ShortLivesOfOneProcessIdWhoseStartIsNotKnownAreTwoRowsWithoutOne) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  ASSERT_TRUE(recorder->add_process({42, std::nullopt, 1, "first", {{5}, {9}}, 10, 20, true, 7, "all"}));
  ASSERT_TRUE(recorder->add_process({42, std::nullopt, 1, "second", {{15}, {19}}, 30, 40, true, 8, "all"}));
  ASSERT_TRUE(recorder->add_process({42, std::nullopt, 1, "second", {{15}, {19}}, 30, 40, true, 8, "all"}));  // again
  ASSERT_TRUE(recorder->add_process({43, 900, 1, "seen", {{16}, {19}}, 1, 1, true, 9, "all"}));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  ASSERT_EQ(run->processes().size(), 3U);
  EXPECT_EQ(run->processes()[0].name, "first");
  EXPECT_EQ(run->processes()[1].name, "second");
  EXPECT_FALSE(run->processes()[0].start_ticks);
  EXPECT_FALSE(run->processes()[1].start_ticks);
  EXPECT_EQ(run->processes()[2].start_ticks, 900U);
}

// Kills: looks lost or doubled where tails become a long chunk; targets or a process's number swapped.
TEST(Looks, ARunHandsOutTargetsProcessesAndEveryLookInOrder) {
  const Folder folder;
  auto plan = fast_plan(1);
  plan.channels[0].scope = Scope::target;
  plan.channels[0].target = "ollama";
  auto recorder = record(folder.file(), plan);
  ASSERT_TRUE(recorder);
  ASSERT_TRUE(recorder->add_target({"command", ""}));
  ASSERT_TRUE(recorder->add_target({"ollama", "--port 11434"}));
  EXPECT_EQ(recorder->add_target({"ollama", "--pid 1"}).error().code, ErrorCode::usage);
  ProcessRecord process{42, 77, 1, "llama", {{5}, {9}}, 10, 20, true, 7, "ollama"};
  ASSERT_TRUE(recorder->add_process(process));
  // Told again by somebody who does not know whose it is.
  ASSERT_TRUE(recorder->add_process({42, 77, 1, "llama", {{4}, {12}}, 30, 40, false}));
  const auto looks = busy_looks(9000, 3, 1000);  // more than one long chunk holds
  for (std::size_t i = 0; i < looks.size(); ++i) {
    ASSERT_TRUE(recorder->append(looks[i]));
    if (i % 997 == 0) {
      ASSERT_TRUE(recorder->flush());
    }
  }
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->channels()[0].target, "ollama");
  ASSERT_EQ(run->targets().size(), 2U);
  EXPECT_EQ(run->targets()[0].name, "command");
  EXPECT_EQ(run->targets()[1].selector, "--port 11434");
  ASSERT_EQ(run->processes().size(), 1U);
  EXPECT_EQ(run->processes()[0].number, 7U);
  EXPECT_EQ(run->processes()[0].target, "ollama");
  EXPECT_EQ(run->processes()[0].cpu_system_ns, 40);
  EXPECT_TRUE(run->processes()[0].exited);
  const auto read = looks_of(*run);
  ASSERT_EQ(read.size(), looks.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < looks.size(); ++i) wrong += same(read[i], looks[i]) ? 0 : 1;
  EXPECT_EQ(wrong, 0U);
  std::size_t seen = 0;
  ASSERT_TRUE(run->for_each_look([&](const ProcessLook&) { return ++seen < 10; }));
  EXPECT_EQ(seen, 10U);
}

// Kills: a use below the resolution rounded to nothing, rounding that always goes down.
TEST(Looks, CpuTimeIsKeptToTheMicrosecondAndNobodyWhoRanIsLost) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  ASSERT_TRUE(recorder->append(
      ProcessLook{{{10}, {20}}, {{1, 1, 0}, {2, 1'499, 0}, {3, 1'500, 0}, {4, 0, 4096}, {5, 9'000, 0}}, 2'700}));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  const auto looks = looks_of(*run);
  ASSERT_EQ(looks.size(), 1U);
  EXPECT_TRUE(same(
      looks[0],
      ProcessLook{{{10}, {20}}, {{1, 1'000, 0}, {2, 1'000, 0}, {3, 2'000, 0}, {4, 0, 4096}, {5, 9'000, 0}}, 3'000}));
}

TEST(Looks, LooksOutOfOrderAreTheCallersMistakeAndDoNotEndTheRecording) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  ASSERT_TRUE(recorder->append(ProcessLook{{{10}, {20}}, {}, 0}));
  EXPECT_EQ(recorder->append(ProcessLook{{{19}, {30}}, {}, 0}).error().code, ErrorCode::usage);
  EXPECT_EQ(recorder->append(ProcessLook{{{30}, {29}}, {}, 0}).error().code, ErrorCode::usage);
  EXPECT_EQ(recorder->append(ProcessLook{{{30}, {40}}, {{2, 1, 0}, {1, 1, 0}}, 0}).error().code, ErrorCode::usage);
  ASSERT_TRUE(recorder->append(ProcessLook{{{20}, {30}}, {{1, 1000, 0}}, 0}));
  ASSERT_TRUE(recorder->close(RunState::complete));
  EXPECT_EQ(looks_of(*open_run(folder.file())).size(), 2U);
}

void execute(const std::filesystem::path& path, const char* sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
  sqlite3_close(database);
}

TEST(Looks, ADamagedChunkCostsItsOwnLooksAndIsNamed) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  for (const auto& look : busy_looks(3 * 8192, 1, 1000)) ASSERT_TRUE(recorder->append(look));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto whole = looks_of(*open_run(folder.file())).size();
  ASSERT_EQ(whole, 3U * 8192U);
  execute(folder.file(),
          "UPDATE look_chunk SET data = x'00112233' WHERE first_look = (SELECT first_look FROM look_chunk ORDER BY "
          "first_look LIMIT 1 OFFSET 1)");
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  std::size_t seen = 0;
  const auto done = run->for_each_look([&](const ProcessLook&) { return ++seen > 0; });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::malformed);
  EXPECT_NE(done.error().what.find("looks at processes from number "), std::string::npos) << done.error().what;
  EXPECT_GT(seen, 8192U);
  EXPECT_LT(seen, whole);
}

TEST(Looks, AChunkThatIsNotWhatItsRowSaysOrBeginsTooEarlyIsDamaged) {
  for (const char* lie :
       {"UPDATE look_chunk SET looks = 4", "UPDATE look_chunk SET last_ns = last_ns + 1",
        "UPDATE look_chunk SET codec = 'looks-9'",
        "INSERT INTO look_chunk SELECT first_look + 1, looks, first_ns, last_ns, codec, data FROM look_chunk"}) {
    const Folder folder;
    auto recorder = record(folder.file(), fast_plan(1));
    ASSERT_TRUE(recorder);
    for (const auto& look : busy_looks(3, 2, 1000)) ASSERT_TRUE(recorder->append(look));
    ASSERT_TRUE(recorder->close(RunState::complete));
    execute(folder.file(), lie);
    const auto run = open_run(folder.file());
    ASSERT_TRUE(run) << lie;
    EXPECT_FALSE(run->for_each_look([](const ProcessLook&) { return true; })) << lie;
  }
}

// A recorder killed at once after its commit: looks, targets and processes are there.
TEST(Looks, KillingTheRecorderLosesNothingThatWasCommitted) {
  const Folder folder;
  const auto looks = busy_looks(50, 5, 1000);
  const auto child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto recorder = Recorder::create(folder.file(), {});
    const auto plan = fast_plan(1);
    bool good = recorder && (*recorder)->begin(plan.manifest, plan.channels, plan.groups, plan.anchor) &&
                (*recorder)->add_target({"all", "--all"});
    for (const auto& look : looks) good = good && (*recorder)->append(look);
    good = good && (*recorder)->flush();
    if (good) ::raise(SIGKILL);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->state(), RunState::interrupted);
  ASSERT_EQ(run->targets().size(), 1U);
  EXPECT_EQ(looks_of(*run).size(), looks.size());
}

// 1000 busy processes, ten looks a second: an hour is 36 000 looks. Kills: times kept to the nanosecond, memory kept
// anew in each look.
TEST(Looks, AnHourOfAThousandBusyProcessesTakesUnder60Megabytes) {
  const Folder folder;
  constexpr std::size_t looks = 300;
  const auto bytes_with = [&](const char* name, std::span<const ProcessLook> recorded) {
    auto recorder = record(folder.file(name), fast_plan(1));
    for (const auto& look : recorded) EXPECT_TRUE(recorder->append(look));
    EXPECT_TRUE(recorder->close(RunState::complete));
    return static_cast<double>(std::filesystem::file_size(folder.file(name)));
  };
  const auto busy = busy_looks(looks, 1000, 1);
  const double hour_bytes = (bytes_with("busy.prony", busy) - bytes_with("idle.prony", {})) * 36'000 / looks;
  RecordProperty("hour_bytes", std::to_string(hour_bytes));
  EXPECT_LT(hour_bytes, 60e6);
}

}  // namespace
}  // namespace prony
