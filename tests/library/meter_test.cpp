// The meter, in threads of this program and as a process beside it, on a simulated machine whose joules are known.
#include <gtest/gtest.h>
#include <prony/meter.h>
#include <prony/prony.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "../support/emulated.hpp"
#include "../support/scratch.hpp"
#include "reading.hpp"

namespace prony::test {
namespace {

struct CloseMeter {
  void operator()(prony_meter* meter) const { prony_meter_close(meter); }
};
using MeterHandle = std::unique_ptr<prony_meter, CloseMeter>;

void burn(std::chrono::milliseconds length) {
  const auto end = std::chrono::steady_clock::now() + length;
  while (std::chrono::steady_clock::now() < end) {
  }
}

struct LibraryMeter : testing::Test {
  LibraryMeter() {
    setenv("XDG_STATE_HOME", scratch.path().c_str(), 1);  // what is learned of sensors is kept there
    out = scratch.file("run.prony");
    program = PRONY_BUILD_DIR "/prony";
    options.struct_size = sizeof options;
    options.out = out.c_str();
    options.simulate = "laptop";
    options.program = program.c_str();
  }
  void SetUp() override {
    if (emulated()) GTEST_SKIP() << emulated_reason;
  }
  [[nodiscard]] MeterHandle open() {
    prony_meter* meter = nullptr;
    EXPECT_EQ(prony_meter_open(&options, &meter), 0) << prony_last_error();
    return MeterHandle(meter);
  }
  [[nodiscard]] std::set<std::string> span_names(prony_run* run) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < prony_run_span_count(run); ++i) {
      prony_span_record span{};
      span.struct_size = sizeof span;
      EXPECT_EQ(prony_run_span(run, i, &span), 0);
      names.insert(span.name);
    }
    return names;
  }
  ScratchFolder scratch{"library-meter"};
  std::string out, program;
  prony_meter_options options{};
};

TEST_F(LibraryMeter, InThreadsItMeasuresThisProgramAndItsSpans) {
  const MeterHandle meter = open();
  ASSERT_NE(meter, nullptr);
  EXPECT_EQ(prony_meter_path(meter.get()), nullptr);
  ASSERT_EQ(prony_meter_start(meter.get()), 0) << prony_last_error();
  EXPECT_EQ(out, prony_meter_path(meter.get()));
  const prony_span span = prony_span_begin(PRONY_USER, "burn", 0);
  EXPECT_NE(span, 0U) << "spans go into the Run at once";
  burn(std::chrono::milliseconds(300));
  prony_span_end(span, PRONY_OK);
  ASSERT_EQ(prony_meter_stop(meter.get()), 0) << prony_last_error();
  EXPECT_EQ(prony_meter_stop(meter.get()), 0) << "stopping twice is stopping once";
  EXPECT_EQ(prony_span_begin(PRONY_USER, "after", 0), 0U);
  prony_run* raw = nullptr;
  ASSERT_EQ(prony_meter_run(meter.get(), &raw), 0) << prony_last_error();
  const RunHandle run(raw);
  EXPECT_EQ(prony_run_state(run.get()), PRONY_RUN_COMPLETE);
  EXPECT_TRUE(span_names(run.get()).contains("burn"));
  EXPECT_FALSE(span_names(run.get()).contains("after"));
  const SummaryHandle summary = summary_of(run.get());
  prony_joules headline{};
  headline.struct_size = sizeof headline;
  ASSERT_EQ(prony_summary_headline(summary.get(), &headline), 0) << prony_last_error();
  ASSERT_EQ(headline.present, 1U) << headline.absent;
  EXPECT_GT(headline.value_j, 0);
  bool ours = false;
  for (const prony_joules& row : joules_of(summary.get()))
    ours =
        ours || (row.target != nullptr && std::string(row.target) == "program" && row.present == 1 && row.value_j > 0);
  EXPECT_TRUE(ours) << prony_summary_json(summary.get());
  int code = 0, number = 0;
  EXPECT_EQ(prony_summary_exit(summary.get(), &code, &number), PRONY_ERROR_ABSENT) << "it has not ended";
}

std::size_t packages_here() {
  std::set<std::string> packages;
  std::error_code error;
  for (const auto& cpu : std::filesystem::directory_iterator("/sys/devices/system/cpu", error)) {
    std::string number;
    if (std::ifstream(cpu.path() / "topology/physical_package_id") >> number) packages.insert(number);
  }
  return packages.size();
}

// Seconds of CPU that a channel rose in the Run.
double risen(prony_run* run, const std::string& channel) {
  ArrowArrayStream readings{};
  EXPECT_EQ(prony_run_readings(run, channel.c_str(), INT64_MIN, INT64_MAX, &readings), 0) << prony_last_error();
  std::optional<double> first, last;
  ArrowArray batch{};
  while (readings.get_next(&readings, &batch) == 0 && batch.release != nullptr) {
    const auto* valid =
        static_cast<const std::uint8_t*>(batch.children[3]->buffers[0]);  // begin, end, raw, value, quality
    const auto* values = static_cast<const double*>(batch.children[3]->buffers[1]);
    for (std::int64_t i = 0; i < batch.length; ++i) {
      if (valid != nullptr && (valid[i / 8] >> (i % 8) & 1) == 0) continue;
      if (!first) first = values[i];
      last = values[i];
    }
    batch.release(&batch);
  }
  readings.release(&readings);
  EXPECT_TRUE(first) << channel;
  return first ? *last - *first : -1;
}

// Kills: what the meter uses charged to the program that holds it, or counted in both parts.
TEST_F(LibraryMeter, InThreadsWhatItUsesItselfIsItsOwnPartAndNotTheProgramsAndBothAreTheProcess) {
  if (packages_here() > 1) GTEST_SKIP() << "on which package a thread ran is not known: its time stays the program's";
  options.interval_ns = 2'000'000;
  const auto process_s = [] {
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
  };
  const auto measured = [&](auto&& work) {
    options.flags = PRONY_METER_FORCE;
    const MeterHandle meter = open();
    EXPECT_EQ(prony_meter_start(meter.get()), 0) << prony_last_error();
    const double before = process_s();
    work();
    const double used = process_s() - before;
    EXPECT_EQ(prony_meter_stop(meter.get()), 0) << prony_last_error();
    const RunHandle run = open_run(out);
    return std::array{risen(run.get(), "prony.cpu"), risen(run.get(), "target.program.cpu"), used};
  };
  const auto idle = measured([] { std::this_thread::sleep_for(std::chrono::seconds(2)); });
  EXPECT_GT(idle[0], 0);
  EXPECT_LT(idle[1], 0.5 * idle[0]) << "the program sleeps: what is used is Prony's";
  const auto busy = measured([] { burn(std::chrono::seconds(2)); });
  EXPECT_GT(busy[0], 0);
  EXPECT_GT(busy[1], busy[0]);
  // The window is a little longer than the work: start and stop use some, too.
  EXPECT_GT(busy[0] + busy[1], 0.98 * busy[2]);
  EXPECT_LT(busy[0] + busy[1], 1.2 * busy[2] + 0.1);
}

// Kills: joules of the meter that are none of the machine's, such as those of another window.
TEST_F(LibraryMeter, TheJoulesAreTheTrueOnesOfTheSimulatedMachine) {
  const MeterHandle meter = open();
  ASSERT_EQ(prony_meter_start(meter.get()), 0) << prony_last_error();
  burn(std::chrono::milliseconds(400));
  ASSERT_EQ(prony_meter_stop(meter.get()), 0) << prony_last_error();
  const RunHandle run = open_run(out);
  const ReadTable channels = table_of(run.get(), "channels");
  std::size_t held = 0;
  for (std::size_t i = 0; i < channels.at("channel").size(); ++i) {
    const auto truth = channels.at("true_j").numbers.empty() ? std::nullopt : channels.at("true_j").numbers[i];
    const auto low = channels.at("low_j").numbers[i], high = channels.at("high_j").numbers[i];
    if (!truth || !low || channels.at("kind").texts[i] == "range") continue;
    EXPECT_LE(*low, *truth) << *channels.at("channel").texts[i];
    EXPECT_GE(*high, *truth) << *channels.at("channel").texts[i];
    ++held;
  }
  EXPECT_GT(held, 0U);
}

TEST_F(LibraryMeter, StatsAreColumnsOfOneLengthWithTimeStampsAlsoBeforeItStops) {
  const MeterHandle meter = open();
  ASSERT_EQ(prony_meter_start(meter.get()), 0) << prony_last_error();
  burn(std::chrono::milliseconds(100));
  ArrowSchema schema{};
  ArrowArray array{};
  ASSERT_EQ(prony_meter_stats(meter.get(), &schema, &array), 0) << prony_last_error();
  (void)read_table(schema, array);  // checks the lengths
  prony_summary* early = nullptr;
  ASSERT_EQ(prony_meter_summary(meter.get(), &early), 0) << prony_last_error();
  prony_summary_free(early);
  ASSERT_EQ(prony_meter_stop(meter.get()), 0) << prony_last_error();
  ASSERT_EQ(prony_meter_stats(meter.get(), &schema, &array), 0) << prony_last_error();
  const ReadTable stats = read_table(schema, array);
  ASSERT_GT(stats.at("begin_ns").size(), 5U);
  for (std::size_t i = 1; i < stats.at("begin_ns").size(); ++i)
    EXPECT_GE(stats.at("begin_ns").integers[i], stats.at("begin_ns").integers[i - 1]);
}

// Kills: a thread of the meter that takes the program's signals, so that its handler runs where nobody expects it.
// Kills: 0 J, of 0 to 0 J, for a time of which nothing was read.
TEST_F(LibraryMeter, BeforeAnythingWasReadThereAreNoJoulesAndAReason) {
  options.interval_ns = 60'000'000'000;
  const MeterHandle meter = open();
  ASSERT_EQ(prony_meter_start(meter.get()), 0) << prony_last_error();
  prony_summary* made = nullptr;
  ASSERT_EQ(prony_meter_summary(meter.get(), &made), 0) << prony_last_error();
  const SummaryHandle summary(made);
  const auto rows = joules_of(summary.get());
  ASSERT_FALSE(rows.empty());
  for (const prony_joules& row : rows) {
    if (row.present == 1) {
      EXPECT_GT(row.high_j, 0) << row.channel << " " << row.party << ": of nothing read no bounds are known";
    } else {
      EXPECT_NE(row.absent, nullptr) << row.channel << " " << row.party;
    }
  }
  prony_joules all{};
  all.struct_size = sizeof all;
  ASSERT_EQ(prony_summary_headline(summary.get(), &all), 0) << prony_last_error();
  ASSERT_EQ(all.present, 0U);
  EXPECT_EQ(all.resolvable, 0U);
  EXPECT_NE(std::string(all.absent).find("no reading is in the Run yet"), std::string::npos) << all.absent;
}

// Kills: what two meters share by mistake (a clock, a name, the place of spans), and a second one that ends the first.
TEST_F(LibraryMeter, SeveralAtOnceEachMakeARunOfTheirOwn) {
  const MeterHandle first = open();
  const std::string inner_out = scratch.file("inner.prony");
  options.out = inner_out.c_str();
  const MeterHandle inner = open();
  ASSERT_EQ(prony_meter_start(first.get()), 0) << prony_last_error();
  ASSERT_EQ(prony_meter_start(inner.get()), 0) << prony_last_error();
  burn(std::chrono::milliseconds(300));
  ASSERT_EQ(prony_meter_stop(inner.get()), 0) << prony_last_error();
  burn(std::chrono::milliseconds(300));
  ASSERT_EQ(prony_meter_stop(first.get()), 0) << prony_last_error();
  std::vector<double> joules;
  std::vector<std::pair<std::int64_t, std::int64_t>> windows;
  for (const prony_meter* meter : {first.get(), inner.get()}) {
    const RunHandle run = open_run(prony_meter_path(meter));
    EXPECT_EQ(prony_run_state(run.get()), PRONY_RUN_COMPLETE);
    const SummaryHandle summary = summary_of(run.get());
    prony_joules all{};
    all.struct_size = sizeof all;
    ASSERT_EQ(prony_summary_headline(summary.get(), &all), 0) << prony_last_error();
    ASSERT_EQ(all.present, 1U) << all.absent;
    joules.push_back(all.value_j);
    std::int64_t begin = 0, end = 0;
    ASSERT_EQ(prony_summary_window(summary.get(), &begin, &end), 0);
    windows.emplace_back(begin, end);
  }
  EXPECT_LT(windows[0].first, windows[1].first);
  EXPECT_GT(windows[0].second, windows[1].second);
  EXPECT_GT(joules[0], joules[1]) << "the outer one measured the inner one's time and more";
  EXPECT_GT(joules[1], 0);
}

TEST_F(LibraryMeter, ItsThreadsLeaveAllSignalsToTheProgram) {
  const MeterHandle meter = open();
  const rlimit before = [] {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit;
  }();
  ASSERT_EQ(prony_meter_start(meter.get()), 0) << prony_last_error();
  int others = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(getpid())) continue;
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("SigBlk:")) continue;
      const auto mask = std::strtoull(line.c_str() + 7, nullptr, 16);
      EXPECT_NE(mask & (1ULL << (SIGTERM - 1)), 0U);
      EXPECT_NE(mask & (1ULL << (SIGUSR1 - 1)), 0U);
      ++others;
    }
  }
  EXPECT_GT(others, 0);
  sigset_t mine;
  pthread_sigmask(SIG_SETMASK, nullptr, &mine);
  EXPECT_EQ(sigismember(&mine, SIGTERM), 0) << "the caller's mask is as it was";
  rlimit after{};
  getrlimit(RLIMIT_NOFILE, &after);
  EXPECT_EQ(after.rlim_cur, before.rlim_cur);
}

TEST_F(LibraryMeter, AForkedChildWritesSpansTooAndMayNotStopItsParentsMeter) {
  options.flags = PRONY_METER_ENVIRONMENT;
  const MeterHandle meter = open();
  ASSERT_EQ(prony_meter_start(meter.get()), 0) << prony_last_error();
  const char* const spans = getenv("PRONY_SPANS");
  ASSERT_NE(spans, nullptr);
  const pid_t child = fork();
  if (child == 0) {
    prony_span_end(prony_span_begin(PRONY_USER, "in-a-child", 0), PRONY_OK);
    const int refused = prony_meter_stop(meter.get());
    _exit(refused == PRONY_ERROR_STATE ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "a forked child may not stop the meter of its parent";
  ASSERT_EQ(prony_meter_stop(meter.get()), 0) << prony_last_error();
  EXPECT_EQ(getenv("PRONY_SPANS"), nullptr);
  EXPECT_TRUE(span_names(open_run(out).get()).contains("in-a-child"));
}

// Runs `body` in a forked child, which must not come back; gives how it ended.
template <class Body>
int in_a_child(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(99);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

TEST_F(LibraryMeter, OfAProgramThatDiesWithItsThreadsTheRunIsLeftUpToTheLastSecond) {
  const int status = in_a_child([&] {
    prony_meter* meter = nullptr;
    if (prony_meter_open(&options, &meter) != 0 || prony_meter_start(meter) != 0) _exit(98);
    (void)prony_span_begin(PRONY_USER, "unfinished", 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    raise(SIGKILL);
  });
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  const RunHandle run = open_run(out);
  EXPECT_EQ(prony_run_state(run.get()), PRONY_RUN_INTERRUPTED);
  EXPECT_TRUE(span_names(run.get()).contains("unfinished"));
}

TEST_F(LibraryMeter, TheProcessBesideSurvivesTheCrashAndTellsIt) {
  options.mode = PRONY_METER_PROCESS;
  const int status = in_a_child([&] {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGSEGV, SIG_DFL);
    prony_meter* meter = nullptr;
    if (prony_meter_open(&options, &meter) != 0 || prony_meter_start(meter) != 0) {
      (void)!write(2, prony_last_error(), strlen(prony_last_error()));
      _exit(98);
    }
    prony_span_end(prony_span_begin(PRONY_USER, "before-the-crash", 0), PRONY_OK);
    burn(std::chrono::milliseconds(200));
    raise(SIGSEGV);
  });
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  RunHandle run = open_run(out);
  for (int tries = 0; tries < 600 && prony_run_state(run.get()) == PRONY_RUN_RECORDING; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // prony ends by itself; it is nobody's child now
    run = open_run(out);
  }
  ASSERT_EQ(prony_run_state(run.get()), PRONY_RUN_COMPLETE);
  EXPECT_TRUE(span_names(run.get()).contains("before-the-crash"));
  const SummaryHandle summary = summary_of(run.get());
  int code = 0, number = 0;
  ASSERT_EQ(prony_summary_exit(summary.get(), &code, &number), 0) << prony_last_error();
  EXPECT_EQ(number, SIGSEGV);
  EXPECT_EQ(code, 128 + SIGSEGV);
}

TEST_F(LibraryMeter, TheProcessBesideMeasuresUntilItIsStoppedAndTellsItselfApart) {
  options.mode = PRONY_METER_PROCESS;
  const MeterHandle meter = open();
  ASSERT_EQ(prony_meter_start(meter.get()), 0) << prony_last_error();
  burn(std::chrono::milliseconds(300));
  ASSERT_EQ(prony_meter_stop(meter.get()), 0) << prony_last_error();
  const RunHandle run = open_run(out);
  EXPECT_EQ(prony_run_state(run.get()), PRONY_RUN_COMPLETE);
  bool target = false, prony = false;
  const SummaryHandle summary = summary_of(run.get());  // whose texts the rows show
  for (const prony_joules& row : joules_of(summary.get()))
    if (row.present == 1) {
      target = target || (std::string(row.party) == "target" && row.value_j > 0);
      prony = prony || std::string(row.party) == "prony";
    }
  EXPECT_TRUE(target);
  EXPECT_TRUE(prony);
}

TEST_F(LibraryMeter, WhatIsOffIsToldBeforeAnythingIsMeasured) {
  prony_meter* meter = nullptr;
  const auto opened = [&] { return prony_meter_open(&options, &meter); };
  options.interval_ns = 5;
  EXPECT_EQ(opened(), PRONY_ERROR_USAGE);
  options.interval_ns = 0;
  options.mode = 7;
  EXPECT_EQ(opened(), PRONY_ERROR_USAGE);
  options.mode = PRONY_METER_THREAD;
  options.flags = 1U << 30;
  EXPECT_EQ(opened(), PRONY_ERROR_USAGE);
  options.flags = 0;
  options.sensors = "hwmom";
  EXPECT_EQ(opened(), PRONY_ERROR_USAGE);
  EXPECT_NE(std::string(prony_last_error()).find("hwmon"), std::string::npos) << prony_last_error();
  options.sensors = nullptr;
  options.name = "a b";
  EXPECT_EQ(opened(), PRONY_ERROR_USAGE);
  options.name = nullptr;
  options.pid = 1;
  EXPECT_EQ(opened(), PRONY_ERROR_USAGE) << "in threads only this program can be measured";
  options.pid = 0;
  options.simulate = "no such machine";
  EXPECT_NE(opened(), 0);
  options.simulate = "laptop";
  options.struct_size = 4;
  EXPECT_EQ(opened(), PRONY_ERROR_USAGE);
  options.struct_size = sizeof options;
  options.mode = PRONY_METER_PROCESS;
  options.program = "/nowhere/prony";
  EXPECT_EQ(opened(), PRONY_ERROR_ABSENT) << prony_last_error();
  EXPECT_EQ(meter, nullptr);
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(LibraryMeter, CallsOutOfOrderAreToldAndAFileThatIsThereIsNotTakenAway) {
  MeterHandle meter = open();
  prony_summary* summary = nullptr;
  EXPECT_EQ(prony_meter_summary(meter.get(), &summary), PRONY_ERROR_STATE);
  EXPECT_EQ(prony_meter_stop(meter.get()), PRONY_ERROR_STATE);
  std::ofstream(out) << "mine";
  EXPECT_EQ(prony_meter_start(meter.get()), PRONY_ERROR_USAGE) << prony_last_error();
  std::string kept;
  std::ifstream(out) >> kept;
  EXPECT_EQ(kept, "mine");
  options.flags = PRONY_METER_FORCE;
  meter = open();
  ASSERT_EQ(prony_meter_start(meter.get()), 0) << prony_last_error();
  EXPECT_EQ(prony_meter_start(meter.get()), PRONY_ERROR_STATE);
  EXPECT_EQ(prony_meter_close(nullptr), 0);
}

}  // namespace
}  // namespace prony::test
