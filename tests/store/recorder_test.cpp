#include "store/recorder.hpp"

#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include "store_test_support.hpp"

namespace prony {
namespace {

using test::fast_plan;
using test::Folder;
using test::one_tick;
using test::open_run;
using test::record;

// What the sqlite3 shell would print for a query of one value.
std::string query(const std::filesystem::path& path, const std::string& sql) {
  sqlite3* database = nullptr;
  EXPECT_EQ(sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
  std::string answer = "(no row)";
  if (sqlite3_step(statement) == SQLITE_ROW) {
    const auto* text = sqlite3_column_text(statement, 0);
    answer = text == nullptr ? "(null)" : reinterpret_cast<const char*>(text);
  }
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return answer;
}

TEST(Recorder, EverythingThatWentInComesOut) {
  const Folder folder;
  auto plan = fast_plan(2);
  plan.channels[0].part_of = ChannelId{2};
  plan.channels[1].coverage_known = false;
  plan.channels[0].learned_period = LearnedPeriod{976'562.25, 12.5, 4000};
  plan.channels[1].range = ~std::uint64_t{0};
  plan.channels[1].model =
      PowerModel{"server", "a table", 8, Watts(40), Watts(20), Watts(60), Watts(200), Watts(150), Watts(280)};
  plan.channels[1].model->reference_clock_hz = 2.25e9, plan.channels[1].model->highest_clock_hz = 3.4e9;
  plan.channels[1].model->clock_floor = 0.75, plan.channels[1].model->clock_limit = 0.5;
  plan.manifest.set("machine.cpus", "8", "machine");
  plan.manifest.unavailable.push_back({"rapl", "not readable", "sudo chmod"});
  auto recorder = record(folder.path() / "deep" / "er" / "a.prony", plan);
  ASSERT_TRUE(recorder);
  ASSERT_TRUE(recorder->add_event({{5}, "note", "s", "hello"}));
  ASSERT_TRUE(recorder->add_anchor({{7}, 8, {9}}));
  ASSERT_TRUE(recorder->add_process({12, 34, 1, "a) b", {{1}, {2}}, 3, 4, true}));
  ASSERT_TRUE(recorder->add_total({"target", "wall_s", 1.5, "clock"}));
  ASSERT_TRUE(recorder->add_fact({"engine.version", "b1", "prony"}));
  ASSERT_TRUE(recorder->add_unavailable({"energy.idle_j", "no baseline", "--baseline 5s"}));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.path() / "deep" / "er" / "a.prony");
  ASSERT_TRUE(run);
  EXPECT_EQ(run->state(), RunState::complete);
  EXPECT_EQ(run->manifest().get("machine.cpus"), "8");
  EXPECT_EQ(run->manifest().get("engine.version"), "b1");
  ASSERT_EQ(run->manifest().unavailable.size(), 2U);
  EXPECT_EQ(run->manifest().unavailable[0].remedy, "sudo chmod");
  ASSERT_EQ(run->channels().size(), 2U);
  EXPECT_EQ(run->channels()[0].part_of, ChannelId{2});
  EXPECT_EQ(run->channels()[0].scale, 1e-6);
  ASSERT_TRUE(run->channels()[0].learned_period);
  EXPECT_EQ(run->channels()[0].learned_period->mean_ns, 976'562.25);
  EXPECT_EQ(run->channels()[0].learned_period->sigma_ns, 12.5);
  EXPECT_EQ(run->channels()[0].learned_period->jitter_ns, 4000);
  EXPECT_FALSE(run->channels()[1].learned_period);
  EXPECT_FALSE(run->channels()[1].coverage_known);
  EXPECT_EQ(run->channels()[1].range, ~std::uint64_t{0});
  ASSERT_TRUE(run->channels()[1].model);
  EXPECT_EQ(run->channels()[1].model->full_high.value(), 280);
  EXPECT_EQ(run->channels()[1].model->reference_clock_hz, 2.25e9);
  EXPECT_EQ(run->channels()[1].model->highest_clock_hz, 3.4e9);
  EXPECT_EQ(run->channels()[1].model->clock_floor, 0.75);
  EXPECT_EQ(run->channels()[1].model->clock_limit, 0.5);
  ASSERT_EQ(run->groups().size(), 1U);
  EXPECT_EQ(run->groups()[0].channels.size(), 2U);
  EXPECT_EQ(run->events().at(0).text, "hello");
  ASSERT_EQ(run->anchors().size(), 2U);
  EXPECT_EQ(run->anchors()[0].wall_ns, plan.anchor.wall_ns);
  EXPECT_EQ(run->processes().at(0).name, "a) b");
  EXPECT_EQ(run->totals().at(0).value, 1.5);
  EXPECT_TRUE(test::ticks_of(*run, {1}).empty());
  EXPECT_FALSE(run->for_each_block({9}, [](const TickBlock&) { return true; }));
}

// Bug it kills: the ticks between the last tail and the last full chunk, lost or doubled by compaction.
TEST(Recorder, EveryTickComesBackOnceAcrossTailsAndCompaction) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(3), {.if_exists = IfExists::refuse, .commit_every = {0}});
  ASSERT_TRUE(recorder);
  constexpr std::int64_t count = 20'000;
  TickBlock block({1}, 3, 700);
  for (std::int64_t t = 0; t < count; ++t) {
    const Reading readings[] = {
        {t * 61, Quality::ok}, {-t, Quality::late}, {t, t % 5 == 0 ? Quality::gap : Quality::ok}};
    block.push({t * 1'000'000}, {t * 1'000'000 + 50}, readings);
    if (!block.full() && t + 1 < count) continue;
    ASSERT_TRUE(recorder->append(block));
    block.clear();
  }
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  const auto ticks = test::ticks_of(*run, {1});
  ASSERT_EQ(ticks.size(), static_cast<std::size_t>(count));
  for (std::int64_t t = 0; t < count; ++t) {
    const auto& tick = ticks[static_cast<std::size_t>(t)];
    ASSERT_EQ(tick.begin, t * 1'000'000);
    ASSERT_EQ(tick.end, tick.begin + 50);
    ASSERT_EQ(tick.readings[0].raw, t * 61);
    ASSERT_EQ(tick.readings[1].quality, Quality::late);
    ASSERT_EQ(tick.readings[2].quality, t % 5 == 0 ? Quality::gap : Quality::ok);
  }
  EXPECT_EQ(query(folder.file(), "SELECT count(*) FROM chunk"), "3");  // three long ones, no tail left
  int visits = 0;
  EXPECT_TRUE(run->for_each_block({1}, [&](const TickBlock&) { return ++visits < 2; }));
  EXPECT_EQ(visits, 2);
}

TEST(Recorder, SlowGroupsArePlainRowsAndAGapHasNoNumber) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(2, milliseconds(1000)));
  ASSERT_TRUE(recorder);
  for (std::int64_t t = 0; t < 1200; ++t)
    ASSERT_TRUE(recorder->append(
        one_tick({1}, t * 1'000'000'000, {{t, Quality::ok}, {t, t == 3 ? Quality::gap : Quality::late}})));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  const auto ticks = test::ticks_of(*run, {1});
  ASSERT_EQ(ticks.size(), 1200U);
  EXPECT_EQ(ticks[1100].readings[0].raw, 1100);
  EXPECT_EQ(ticks[1100].readings[1].quality, Quality::late);
  EXPECT_EQ(ticks[3].readings[1].quality, Quality::gap);
  EXPECT_EQ(query(folder.file(), "SELECT count(*) FROM sample WHERE raw IS NULL AND quality = 'gap'"), "1");
}

TEST(Recorder, AnExistingFileIsKeptUnlessOverwriteIsSaid) {
  const Folder folder;
  std::ofstream(folder.file()) << "precious";
  const auto refused = Recorder::create(folder.file(), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::usage);
  EXPECT_NE(refused.error().fix.find("--force"), std::string::npos);
  EXPECT_EQ(test::bytes_of(folder.file()).size(), 8U);
  std::ofstream(folder.path() / "a.prony-wal") << "stale";
  auto recorder = record(folder.file(), fast_plan(1), {.if_exists = IfExists::replace});
  ASSERT_TRUE(recorder);
  const auto twice = Recorder::create(folder.file(), {.if_exists = IfExists::replace});
  ASSERT_FALSE(twice) << "a Run that is being recorded must not be overwritten";
  ASSERT_TRUE(recorder->close(RunState::complete));
  EXPECT_TRUE(open_run(folder.file()));
}

// Kills: looking whether a name is free before taking it, and clearing away what another has made meanwhile.
TEST(Recorder, ManyAtOnceThatAskForOneNameGetANumberEachAndLoseNothing) {
  const Folder folder;
  constexpr std::size_t many = 12;
  for (int round = 0; round < 10; ++round) {
    const auto wanted = folder.path() / ("round" + std::to_string(round) + ".prony");
    std::array<std::unique_ptr<Recorder>, many> recorders;
    std::vector<std::thread> threads;
    for (auto& recorder : recorders)
      threads.emplace_back([&recorder, &wanted] {
        auto made = Recorder::create(wanted, {.if_exists = IfExists::number});
        if (made) recorder = std::move(*made);
      });
    for (auto& thread : threads) thread.join();
    std::set<std::filesystem::path> paths;
    for (const auto& recorder : recorders) {
      ASSERT_TRUE(recorder);
      paths.insert(recorder->path());
      EXPECT_TRUE(std::filesystem::exists(recorder->spans_path()));
    }
    EXPECT_EQ(paths.size(), many);
    EXPECT_TRUE(paths.contains(wanted));
    EXPECT_TRUE(paths.contains(folder.path() / ("round" + std::to_string(round) + "-12.prony")));
  }
}

TEST(Recorder, APipeOrADeviceIsNeverTakenAwayEvenWithOverwrite) {  // as root, --out /dev/null would take it from all
  const Folder folder;
  const auto pipe = folder.path() / "pipe", link = folder.path() / "link";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink(pipe, link);
  for (const auto& path : {pipe, link}) {
    const auto refused = Recorder::create(path, {.if_exists = IfExists::replace});
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().code, ErrorCode::usage);
  }
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST(Recorder, CloseLeavesOneFileAndNothingBesideIt) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  EXPECT_TRUE(std::filesystem::exists(recorder->spans_path()));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto files = std::distance(std::filesystem::directory_iterator(folder.path()), {});
  EXPECT_EQ(files, 1);
  EXPECT_EQ(query(folder.file(), "PRAGMA journal_mode"), "delete");
  EXPECT_EQ(query(folder.file(), "PRAGMA user_version"), "3");
}

// Kills: one domain metered twice in a Run, and its joules with it.
TEST(Recorder, ADomainThatIsThereTwiceIsRefused) {
  const Folder folder;
  test::Plan same_name = fast_plan(2), same_id = fast_plan(2);
  same_name.channels[1].name = same_name.channels[0].name;
  same_id.channels[1].id = same_id.channels[0].id;
  for (const test::Plan& plan : {same_name, same_id}) {
    auto recorder = Recorder::create(folder.file(), {});
    ASSERT_TRUE(recorder);
    const auto begun = (*recorder)->begin(plan.manifest, plan.channels, plan.groups, plan.anchor);
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code, ErrorCode::usage);
    recorder->reset();
    std::filesystem::remove(folder.file());
  }
}

TEST(Recorder, TheCallersMistakesAreErrorsAndTheRecordingGoesOn) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(2));
  ASSERT_TRUE(recorder);
  EXPECT_EQ(recorder->append(one_tick({1}, 5, {{1, Quality::ok}})).error().code, ErrorCode::usage);
  EXPECT_EQ(recorder->append(one_tick({8}, 5, {{1, Quality::ok}})).error().code, ErrorCode::usage);
  ASSERT_TRUE(recorder->append(one_tick({1}, 5, {{1, Quality::ok}, {1, Quality::ok}})));
  EXPECT_EQ(recorder->append(one_tick({1}, 4, {{1, Quality::ok}, {1, Quality::ok}})).error().code, ErrorCode::usage);
  ASSERT_TRUE(recorder->append(one_tick({1}, 6, {{1, Quality::ok}, {1, Quality::ok}})));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(test::ticks_of(*run, {1}).size(), 2U);
}

// Bug it kills: energy of a second that counts a wrap as a loss, or skips the step between two seconds.
TEST(Recorder, TheRollupsEnergyIsLastMinusFirstWithTheWrapUndone) {
  const Folder folder;
  auto plan = fast_plan(1, milliseconds(100));
  plan.channels[0].range = 1'000'000;
  plan.channels[0].scale = 1e-3;
  plan.channels[0].max_rate = 0;
  auto recorder = record(folder.file(), plan);
  ASSERT_TRUE(recorder);
  for (std::int64_t t = 0; t < 35; ++t)
    ASSERT_TRUE(recorder->append(
        one_tick({1}, 1'000'000'000 + t * 100'000'000, {{(950'000 + t * 3'000) % 1'000'000, Quality::ok}})));
  ASSERT_TRUE(recorder->close(RunState::complete));
  EXPECT_EQ(query(folder.file(), "SELECT round(sum(energy_j), 6) FROM rollup"), "102.0");
  EXPECT_EQ(query(folder.file(), "SELECT round(energy_j, 6) FROM rollup WHERE second = 1"), "30.0");
  EXPECT_EQ(query(folder.file(), "SELECT n FROM rollup WHERE second = 3"), "5");
  EXPECT_EQ(query(folder.file(), "SELECT round(max, 6) FROM rollup WHERE second = 3"), "102.0");
  EXPECT_EQ(query(folder.file(), "SELECT min(utc_second) FROM rollup"), "1795226400");
  EXPECT_EQ(query(folder.file(), "SELECT unit FROM rollup LIMIT 1"), "J");
}

// Bug it kills: watts integrated over a gap as if the sensor had been read.
TEST(Recorder, TheRollupIntegratesPowerButNeverAcrossAGap) {
  const Folder folder;
  auto plan = fast_plan(1, milliseconds(100));
  plan.channels[0].measure = Measure::power;
  plan.channels[0].kind = ChannelKind::gauge;
  auto recorder = record(folder.file(), plan);
  ASSERT_TRUE(recorder);
  const Quality qualities[] = {Quality::ok, Quality::ok, Quality::gap, Quality::ok, Quality::ok};
  for (std::int64_t t = 0; t < 5; ++t)
    ASSERT_TRUE(recorder->append(one_tick({1}, 1'000'000'000 + t * 100'000'000, {{10'000'000, qualities[t]}})));
  ASSERT_TRUE(recorder->close(RunState::complete));
  EXPECT_EQ(query(folder.file(), "SELECT round(energy_j, 6) || ' ' || mean || ' ' || n FROM rollup"), "2.0 10.0 4");
}

TEST(Recorder, AReaderBesideTheRecorderSeesWhatIsCommittedAndDisturbsNothing) {
  const Folder folder;
  auto recorder = record(folder.file(), fast_plan(1));
  ASSERT_TRUE(recorder);
  ASSERT_TRUE(recorder->append(one_tick({1}, 10, {{1, Quality::ok}})));
  ASSERT_TRUE(recorder->flush());
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->state(), RunState::recording);
  ASSERT_TRUE(recorder->append(one_tick({1}, 20, {{2, Quality::ok}})));
  ASSERT_TRUE(recorder->flush());
  EXPECT_EQ(test::ticks_of(*run, {1}).size(), 1U) << "what came later is not part of what was opened";
  EXPECT_TRUE(std::filesystem::exists(recorder->spans_path()));
  ASSERT_TRUE(recorder->close(RunState::complete));
  const auto again = open_run(folder.file());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->state(), RunState::complete);
  EXPECT_EQ(test::ticks_of(*again, {1}).size(), 2U);
}

TEST(Recorder, DroppedWithoutCloseItLeavesAnInterruptedRun) {
  const Folder folder;
  {
    auto recorder = record(folder.file(), fast_plan(1));
    ASSERT_TRUE(recorder);
    ASSERT_TRUE(recorder->append(one_tick({1}, 10, {{1, Quality::ok}})));
  }
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->state(), RunState::interrupted);
  EXPECT_EQ(test::ticks_of(*run, {1}).size(), 1U);
}

// In a child: a file size limit stands for the full disk; the ring's 64 MiB are made before it falls.
int record_until_full(const std::filesystem::path& path) {
  auto recorder = record(path, fast_plan(4));
  if (!recorder) return 1;
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{400'000, 400'000};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
  test::Random random(1);
  for (std::int64_t t = 0; t < 2'000'000; ++t) {
    std::vector<Reading> readings;
    for (int c = 0; c < 4; ++c) readings.push_back({static_cast<std::int64_t>(random.next()), Quality::ok});
    auto done = recorder->append(one_tick({1}, t, readings));
    if (done && t % 50 == 49) done = recorder->flush();
    if (done) continue;
    if (done.error().code != ErrorCode::full || done.error().fix.empty()) return 3;
    if (recorder->append(one_tick({1}, t + 1, readings)).error().code != ErrorCode::full) return 4;
    if (recorder->add_span({}).error().code != ErrorCode::full) return 5;
    (void)recorder->close(RunState::complete);
    return 0;
  }
  return 6;
}

TEST(Recorder, OnAFullDiskRecordingStopsAndWhatWasCommittedStaysReadable) {
  const Folder folder;
  const auto child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(record_until_full(folder.file()));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  ASSERT_EQ(WEXITSTATUS(status), 0);
  const auto run = open_run(folder.file());
  ASSERT_TRUE(run);
  EXPECT_EQ(run->state(), RunState::interrupted);
  const auto ticks = test::ticks_of(*run, {1});
  EXPECT_GT(ticks.size(), 500U);
  for (std::size_t t = 0; t < ticks.size(); ++t) ASSERT_EQ(ticks[t].begin, static_cast<std::int64_t>(t));
}

TEST(Recorder, APlaceThatCannotBeWrittenIsSaidAtOnce) {
  const Folder folder;
  const auto child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::chmod(folder.path().c_str(), 0555);
    if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(9);
    const auto recorder = Recorder::create(folder.file(), {});
    const auto deeper = Recorder::create(folder.path() / "new" / "a.prony", {});
    const auto said = !recorder && recorder.error().code == ErrorCode::denied && !recorder.error().fix.empty();
    ::_exit(said && !deeper && deeper.error().code == ErrorCode::denied ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(Recorder::create(folder.path(), {}).error().code, ErrorCode::usage);
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_FALSE(Recorder::create(folder.path() / "file" / "a.prony", {}));
}

}  // namespace
}  // namespace prony
