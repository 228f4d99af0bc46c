#include "store/run.hpp"

#include <sqlite3.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <functional>

#include "store_test_support.hpp"

namespace prony {
namespace {

using test::fast_plan;
using test::Folder;
using test::one_tick;
using test::open_run;
using test::Producer;
using test::record;

void change(const std::filesystem::path& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
  sqlite3_close(database);
}

// A recorder that is killed in mid-run. It flushes after 600 ticks and appends 400 more that it never commits.
void record_and_die(const std::filesystem::path& path) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const auto child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto recorder =
        record(path, fast_plan(2), {.if_exists = IfExists::refuse, .commit_every = milliseconds(3'600'000)});
    Producer producer(recorder->spans_path());
    producer.begin(1, SpanKind::request, 1'000'000'000, "kept");
    producer.begin(2, SpanKind::user, 1'000'000'000, "open");
    (void)recorder->drain_spans();
    for (std::int64_t t = 0; t < 1000; ++t) {
      (void)recorder->append(one_tick({1}, 1'000'000'000 + t * 1'000'000, {{t, Quality::ok}, {-t, Quality::ok}}));
      if (t == 599) (void)recorder->flush();
    }
    producer.end(1, 1'500'000'000);  // said, and not yet drained
    (void)!::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::close(ready[0]);
  ::close(ready[1]);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

void expect_recovered(const Run& run) {
  EXPECT_EQ(run.state(), RunState::interrupted);
  const auto ticks = test::ticks_of(run, {1});
  ASSERT_EQ(ticks.size(), 600U) << "what was committed is there, and nothing that was not";
  EXPECT_EQ(ticks.back().readings[1].raw, -599);
  ASSERT_EQ(run.spans().size(), 2U);
  EXPECT_EQ(run.spans()[0].name, "kept");
  EXPECT_EQ(run.spans()[0].status, SpanStatus::ok) << "the span file is drained after the recorder's death";
  EXPECT_EQ(run.spans()[0].interval.end.ns, 1'500'000'000);
  EXPECT_EQ(run.spans()[1].status, SpanStatus::unfinished);
  EXPECT_GE(run.spans()[1].interval.end.ns, 1'599'000'000);
}

TEST(Run, AfterKill9TheRunOpensWithAllThatWasCommittedAndTheSpanFileIsDrained) {
  const Folder folder;
  record_and_die(folder.file());
  ASSERT_TRUE(std::filesystem::exists(folder.path() / "a.prony.spans"));
  {
    const auto run = open_run(folder.file());
    ASSERT_TRUE(run);
    expect_recovered(*run);
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "a.prony.spans"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "a.prony-wal"));
  const auto again = open_run(folder.file());
  ASSERT_TRUE(again);
  expect_recovered(*again);
}

// The rest runs as a user who may read the folder and write nothing in it.
int open_as_nobody(const std::filesystem::path& folder, const std::filesystem::path& file) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) ::chmod(entry.path().c_str(), 0444);
  ::chmod(folder.c_str(), 0555);
  if (::geteuid() == 0 && (::setegid(65534) != 0 || ::seteuid(65534) != 0)) return 9;
  const auto run = open_run(file);
  if (!run) return 1;
  if (run->state() == RunState::interrupted) expect_recovered(*run);
  return ::testing::Test::HasFailure() ? 2 : run->state() == RunState::interrupted ? 0 : 3;
}

int in_child(const std::function<int()>& action) {
  const auto child = ::fork();
  if (child == 0) ::_exit(action());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

TEST(Run, ADeadRecordersRunIsRecoveredInACopyWhereNothingCanBeWritten) {
  const Folder folder;
  record_and_die(folder.file());
  const auto before = test::bytes_of(folder.path() / "a.prony-wal");
  EXPECT_EQ(in_child([&] { return open_as_nobody(folder.path(), folder.file()); }), 0);
  EXPECT_EQ(test::bytes_of(folder.path() / "a.prony-wal"), before) << "the original is not touched";
}

TEST(Run, AFinishedRunIsReadWhereNothingCanBeWritten) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder->close(RunState::complete));
  EXPECT_EQ(in_child([&] { return open_as_nobody(folder.path(), folder.file()); }), 3);
}

TEST(Run, WhatIsNoRunIsNamedAndNeverACrash) {
  const Folder folder;
  EXPECT_EQ(Run::open(folder.file()).error().code, ErrorCode::absent);
  EXPECT_EQ(Run::open(folder.path()).error().code, ErrorCode::malformed);
  test::write_bytes(folder.file(), {});
  EXPECT_EQ(Run::open(folder.file()).error().code, ErrorCode::malformed);
  test::write_bytes(folder.file(), std::vector<char>(5000, 'x'));
  EXPECT_EQ(Run::open(folder.file()).error().code, ErrorCode::malformed);
  change(folder.path() / "other.db", "CREATE TABLE t (x)");
  EXPECT_EQ(Run::open(folder.path() / "other.db").error().code, ErrorCode::malformed);
}

TEST(Run, ANewerSchemaIsRefusedAndSaysSo) {
  const Folder folder;
  ASSERT_TRUE(record(folder.file(), fast_plan(1))->close(RunState::complete));
  change(folder.file(), "PRAGMA user_version = 99");
  const auto run = Run::open(folder.file());
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, ErrorCode::malformed);
  EXPECT_NE(run.error().what.find("newer"), std::string::npos);
}

void record_three_chunks(const std::filesystem::path& path) {
  auto recorder = record(path, fast_plan(1));
  for (std::int64_t t = 0; t < 8192 * 3; ++t)
    ASSERT_TRUE(recorder->append(one_tick({1}, t * 1'000'000, {{t * t % 1009, Quality::ok}})));
  ASSERT_TRUE(recorder->close(RunState::complete));
}

// Bug it kills: one damaged chunk that takes the whole Run with it, or is passed over as if it had never been.
TEST(Run, ADamagedChunkIsNamedItsTimeIsAGapAndTheOthersAreRead) {
  const Folder folder;
  record_three_chunks(folder.file());
  change(folder.file(), "UPDATE chunk SET data = zeroblob(length(data)) WHERE first_tick = 8192");
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  std::size_t good = 0, gaps = 0;
  const auto done = run->for_each_block({1}, [&](const TickBlock& block) {
    for (std::size_t t = 0; t < block.ticks(); ++t) ++(block.reading(0, t).quality == Quality::gap ? gaps : good);
    return true;
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::malformed);
  EXPECT_NE(done.error().what.find("8192"), std::string::npos);
  EXPECT_EQ(good, 8192U * 2);
  EXPECT_EQ(gaps, 2U);
}

TEST(Run, ACutOrOverwrittenFileNeverCrashesTheReader) {
  const Folder folder;
  record_three_chunks(folder.file());
  const auto bytes = test::bytes_of(folder.file());
  test::Random random(9);
  for (int round = 0; round < 120; ++round) {
    auto broken = bytes;
    if (round % 2 == 0) {
      broken.resize(random.next() % broken.size());
    } else {
      for (int n = 0; n < 60; ++n) broken[random.next() % broken.size()] = static_cast<char>(random.next());
    }
    test::write_bytes(folder.file(), broken);
    const auto run = Run::open(folder.file());
    if (!run) {
      EXPECT_FALSE(run.error().what.empty());
      continue;
    }
    for (const auto& group : (*run)->groups())
      (void)(*run)->for_each_block(group.id, [](const TickBlock&) { return true; });
  }
}

// Kept for ever: what version 1 wrote must be read by every later Prony. tests/runs/README.md says how it was made.
TEST(Run, TheKeptFileOfVersion1IsStillRead) {
  const Folder folder;
  std::filesystem::copy_file(std::string(PRONY_SOURCE_DIR) + "/tests/runs/v1.prony", folder.file());
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->state(), RunState::complete);
  EXPECT_EQ(run->manifest().get("run.command"), "true");
  ASSERT_EQ(run->channels().size(), 3U);
  EXPECT_EQ(run->channels()[0].name, "rapl.package-1.energy");
  ASSERT_EQ(run->groups().size(), 2U);
  const auto fast = test::ticks_of(*run, {1});
  ASSERT_EQ(fast.size(), 250U);
  EXPECT_EQ(fast[249].readings[0].raw, 249 * 500'000);
  EXPECT_EQ(fast[100].readings[1].quality, Quality::gap);
  EXPECT_EQ(test::ticks_of(*run, {2}).size(), 3U);
  ASSERT_EQ(run->spans().size(), 1U);
  EXPECT_EQ(run->spans()[0].count("prompt_tokens"), 14);
  EXPECT_EQ(run->spans()[0].attribute("finish"), "length");
}

ChannelPassport full_passport() {
  ChannelPassport p;
  p.channel = "rapl.package-1.energy";
  p.learned_utc = "2026-11-21T05:00:00.000Z";
  p.learned_by = "probe";
  p.watched = milliseconds(200);
  p.reads = 4000;
  p.gaps = 3;
  p.transitions = 203;
  p.poll = Duration{50'000};
  p.update_period = Duration{982'000};
  p.period_spread = Duration{700};
  p.faster_than = Duration{1};
  p.phase = Instant{-5};
  p.phase_doubt = Duration{31'000};
  p.jitter = Duration{12'000};
  p.averaging_window = Duration{1'000'000'000};
  p.averaging_how = "a ramp";
  p.step = 6.1035e-5;
  p.noise_rms = 0.0125;
  p.read_cost = Duration{600};
  p.worst_latency = Duration{91'000};
  p.slows_others = Duration{450};
  p.duplicate_of = "rapl.package-2.energy";
  p.contained_in = "rapl.psys.energy";
  p.notes = {"one", "two: with a colon"};
  p.absent = {{"noise", "why: because", ""}};
  return p;
}

// Kills: two columns swapped on the way in or out, a NULL read as 0.
TEST(Run, APassportComesBackFieldByField) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(2));
  ASSERT_TRUE(recorder);
  auto first = full_passport();
  ChannelPassport second;
  second.channel = "rapl.package-2.energy";
  ASSERT_TRUE(recorder->add_passport(second));
  auto poorer = second;
  poorer.channel = first.channel;
  ASSERT_TRUE(recorder->add_passport(poorer));
  ASSERT_TRUE(recorder->add_passport(first));  // replaces
  second.channel = "nobody";
  const auto refused = recorder->add_passport(second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::usage);
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  ASSERT_EQ(run->passports().size(), 2U);
  const auto& p = run->passports()[0];
  EXPECT_EQ(p.channel, first.channel);
  EXPECT_EQ(p.unit, "J");
  EXPECT_EQ(p.version, passport_version);
  EXPECT_EQ(p.learned_utc, first.learned_utc);
  EXPECT_EQ(p.learned_by, "probe");
  EXPECT_EQ(p.watched, first.watched);
  EXPECT_EQ(p.reads, 4000U);
  EXPECT_EQ(p.gaps, 3U);
  EXPECT_EQ(p.transitions, 203U);
  EXPECT_EQ(p.poll, first.poll);
  EXPECT_EQ(p.update_period, first.update_period);
  EXPECT_EQ(p.period_spread, first.period_spread);
  EXPECT_EQ(p.faster_than, first.faster_than);
  EXPECT_EQ(p.phase, first.phase);
  EXPECT_EQ(p.phase_doubt, first.phase_doubt);
  EXPECT_EQ(p.jitter, first.jitter);
  EXPECT_EQ(p.averaging_window, first.averaging_window);
  EXPECT_EQ(p.averaging_how, "a ramp");
  EXPECT_EQ(p.step, first.step);
  EXPECT_EQ(p.noise_rms, first.noise_rms);
  EXPECT_EQ(p.read_cost, first.read_cost);
  EXPECT_EQ(p.worst_latency, first.worst_latency);
  EXPECT_EQ(p.slows_others, first.slows_others);
  EXPECT_EQ(p.duplicate_of, first.duplicate_of);
  EXPECT_EQ(p.contained_in, first.contained_in);
  EXPECT_EQ(p.notes, first.notes);
  ASSERT_NE(p.why_absent("noise"), nullptr);
  EXPECT_EQ(*p.why_absent("noise"), "why: because");
  const auto& bare = run->passports()[1];
  EXPECT_FALSE(bare.update_period || bare.phase || bare.step || bare.noise_rms || bare.read_cost || bare.slows_others);
  EXPECT_TRUE(bare.notes.empty() && bare.absent.empty());
}

TEST(Run, ARunOfVersion1HasNoPassportsAndNoAveragingWindowAndStaysAsItIs) {
  const Folder folder;
  std::filesystem::copy_file(std::string(PRONY_SOURCE_DIR) + "/tests/runs/v1.prony", folder.file());
  const auto before = test::bytes_of(folder.file());
  std::filesystem::permissions(folder.file(), std::filesystem::perms::owner_read);
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_TRUE(run->passports().empty());
  for (const auto& channel : run->channels()) {
    EXPECT_EQ(channel.averaging_window.ns, 0);
    EXPECT_FALSE(channel.learned_period);
  }
  EXPECT_EQ(test::bytes_of(folder.file()), before);
}

TEST(Run, TheKeptFileOfVersion2IsStillRead) {
  const Folder folder;
  std::filesystem::copy_file(std::string(PRONY_SOURCE_DIR) + "/tests/runs/v2.prony", folder.file());
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  ASSERT_EQ(run->channels().size(), 3U);
  EXPECT_EQ(run->channels()[2].averaging_window, milliseconds(100));
  for (const auto& channel : run->channels()) EXPECT_FALSE(channel.learned_period) << "not yet told by that file";
  ASSERT_EQ(run->passports().size(), 1U);
  EXPECT_EQ(run->passports()[0].channel, "rapl.package-1.energy");
  EXPECT_EQ(run->passports()[0].update_period, Duration{982'000});
  const auto fast = test::ticks_of(*run, {1});
  ASSERT_EQ(fast.size(), 250U);
  EXPECT_EQ(fast[249].readings[0].raw, 249 * 500'000);
}

TEST(Run, TheKeptFileOfVersion3IsStillRead) {
  const Folder folder;
  std::filesystem::copy_file(std::string(PRONY_SOURCE_DIR) + "/tests/runs/v3.prony", folder.file());
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  ASSERT_EQ(run->channels().size(), 3U);
  EXPECT_EQ(run->channels()[2].target, "ollama");
  ASSERT_EQ(run->targets().size(), 2U);
  EXPECT_EQ(run->targets()[1].name, "ollama");
  EXPECT_EQ(run->targets()[1].selector, "--port 11434");
  ASSERT_EQ(run->processes().size(), 1U);
  EXPECT_EQ(run->processes()[0].number, 3U);
  EXPECT_EQ(run->processes()[0].target, "ollama");
  std::vector<ProcessLook> looks;
  ASSERT_TRUE(run->for_each_look([&](const ProcessLook& look) {
    looks.push_back(look);
    return true;
  }));
  ASSERT_EQ(looks.size(), 25U);
  ASSERT_EQ(looks[24].uses.size(), 1U);
  EXPECT_EQ(looks[24].uses[0].process, 3U);
  EXPECT_EQ(looks[24].uses[0].cpu_ns, 24'000'000);
  EXPECT_EQ(looks[24].uses[0].resident_bytes, 4096U * 24);
  EXPECT_EQ(test::ticks_of(*run, {1}).size(), 250U);
}

// Kills: an older file that is asked for what only the newer one has.
TEST(Run, OlderRunsHaveNoTargetsAndNoLooks) {
  for (const char* name : {"v1.prony", "v2.prony"}) {
    const Folder folder;
    std::filesystem::copy_file(std::string(PRONY_SOURCE_DIR) + "/tests/runs/" + name, folder.file());
    const auto run = open_run(folder.file());
    ASSERT_TRUE(run) << name;
    EXPECT_TRUE(run->targets().empty());
    for (const auto& channel : run->channels()) EXPECT_EQ(channel.target, "");
    for (const auto& process : run->processes()) EXPECT_TRUE(process.number == 0 && process.target.empty());
    std::size_t looks = 0;
    EXPECT_TRUE(run->for_each_look([&](const ProcessLook&) { return ++looks > 0; }));
    EXPECT_EQ(looks, 0U);
  }
}

// Makes that file again when the environment says where; otherwise it only shows that it can still be made.
TEST(Run, TheFileToKeepCanBeMade) {
  const Folder folder;
  const char* wanted = std::getenv("PRONY_KEEP_RUN");
  const std::filesystem::path path = wanted != nullptr ? wanted : folder.file().string();
  auto plan = fast_plan(2, milliseconds(10));
  plan.channels.push_back(test::energy_channel(3, "psys"));
  plan.channels.back().averaging_window = milliseconds(100);
  plan.channels.back().target = "ollama";
  plan.groups.push_back({{2}, "slow", milliseconds(1000), {{3}}});
  plan.manifest.set("run.command", "true", "flag");
  auto recorder = record(path, plan);
  ASSERT_TRUE(recorder);
  for (std::int64_t t = 0; t < 250; ++t)
    ASSERT_TRUE(
        recorder->append(one_tick({1}, 1'000'000'000 + t * 10'000'000,
                                  {{t * 500'000, Quality::ok}, {t * 61, t == 100 ? Quality::gap : Quality::ok}})));
  for (std::int64_t t = 0; t < 3; ++t)
    ASSERT_TRUE(recorder->append(one_tick({2}, 1'000'000'000 + t * 1'000'000'000, {{t * 50'000'000, Quality::ok}})));
  ASSERT_TRUE(recorder->add_span({{1},
                                  {0},
                                  SpanKind::request,
                                  SpanStatus::ok,
                                  "p1",
                                  {{1'100'000'000}, {2'900'000'000}},
                                  7,
                                  0,
                                  {{"prompt_tokens", 14}},
                                  {{"finish", "length"}}}));
  ASSERT_TRUE(recorder->add_total({"target", "wall_s", 2.5, "clock"}));
  ASSERT_TRUE(recorder->add_passport(full_passport()));
  ASSERT_TRUE(recorder->add_target({"command", ""}));
  ASSERT_TRUE(recorder->add_target({"ollama", "--port 11434"}));
  ASSERT_TRUE(recorder->add_process({42, 77, 1, "llama", {{5}, {9}}, 10, 20, true, 3, "ollama"}));
  for (std::int64_t t = 0; t < 25; ++t)
    ASSERT_TRUE(recorder->append(ProcessLook{{{1'000'000'000 + t * 100'000'000}, {1'100'000'000 + t * 100'000'000}},
                                             {{3, t * 1'000'000, 4096 * static_cast<std::uint64_t>(t)}},
                                             0}));
  ASSERT_TRUE(recorder->close(RunState::complete));
  EXPECT_TRUE(open_run(path));
}

}  // namespace
}  // namespace prony
