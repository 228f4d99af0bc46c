// The file of passports: what is kept comes back, and what is not ours is told and ignored.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "passport/store.hpp"
#include "passport/use.hpp"

namespace prony::passport {
namespace {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "prony-passport-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::filesystem::path file() const { return path_ / "a" / "b" / "m.json"; }

 private:
  std::filesystem::path path_;
};

ChannelPassport full() {
  ChannelPassport p;
  p.channel = "rapl.package-0.energy";
  p.unit = "J";
  p.learned_utc = "2026-11-21T05:00:00.000Z";
  p.learned_by = "probe";
  p.boot_id = "boot-1";
  p.watched = milliseconds(200);
  p.reads = 4000;
  p.gaps = 3;
  p.transitions = 203;
  p.poll = Duration{50'000};
  p.update_period = Duration{982'000};
  p.period_spread = Duration{700};
  p.faster_than = Duration{5};
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
  p.duplicate_of = "x";
  p.contained_in = "y";
  p.notes = {"one", "two"};
  p.absent = {{"jitter", "why", ""}};
  return p;
}

MachinePassport machine_with(const ChannelPassport& channel) {
  MachinePassport machine;
  machine.identity = "0123";
  machine.cpu_model = "cpu \"quoted\" \xff";
  machine.board = "board";
  machine.kernel = "6.1";
  machine.channels = {channel};
  return machine;
}

// Kills: a field that is written and not read, or read into its neighbour.
TEST(Store, WhatIsKeptComesBackFieldByField) {
  const Folder folder;
  ASSERT_TRUE(save(folder.file(), machine_with(full())));
  const auto back = load(folder.file(), "0123", "boot-1");
  ASSERT_TRUE(back) << back.error().what;
  ASSERT_EQ(back->channels.size(), 1U);
  const auto& p = back->channels[0];
  const auto q = full();
  EXPECT_EQ(
      p.channel + p.unit + p.learned_utc + p.learned_by + p.boot_id + p.averaging_how + p.duplicate_of + p.contained_in,
      q.channel + q.unit + q.learned_utc + q.learned_by + q.boot_id + q.averaging_how + q.duplicate_of +
          q.contained_in);
  EXPECT_EQ(p.watched, q.watched);
  EXPECT_EQ(p.reads, 4000U);
  EXPECT_EQ(p.gaps, 3U);
  EXPECT_EQ(p.transitions, 203U);
  EXPECT_EQ(p.poll, q.poll);
  EXPECT_EQ(p.update_period, q.update_period);
  EXPECT_EQ(p.period_spread, q.period_spread);
  EXPECT_EQ(p.faster_than, q.faster_than);
  EXPECT_EQ(p.phase, q.phase);
  EXPECT_EQ(p.phase_doubt, q.phase_doubt);
  EXPECT_EQ(p.jitter, q.jitter);
  EXPECT_EQ(p.averaging_window, q.averaging_window);
  EXPECT_EQ(p.step, q.step);
  EXPECT_EQ(p.noise_rms, q.noise_rms);
  EXPECT_EQ(p.read_cost, q.read_cost);
  EXPECT_EQ(p.worst_latency, q.worst_latency);
  EXPECT_EQ(p.slows_others, q.slows_others);
  EXPECT_EQ(p.notes, q.notes);
  ASSERT_NE(p.why_absent("jitter"), nullptr);
  struct stat status{};
  ASSERT_EQ(::stat(folder.file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(Store, APhaseOfAnotherBootMeansNothing) {
  const Folder folder;
  ASSERT_TRUE(save(folder.file(), machine_with(full())));
  const auto back = load(folder.file(), "0123", "boot-2");
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->channels[0].phase);
  EXPECT_FALSE(back->channels[0].phase_doubt);
  EXPECT_TRUE(back->channels[0].update_period);
}

TEST(Store, ADamagedAForeignAndAnOtherVersionsFileAreToldApart) {
  const Folder folder;
  EXPECT_EQ(load(folder.file(), "0123", "").error().code, ErrorCode::absent);
  const std::string good = to_text(machine_with(full()));
  ASSERT_TRUE(save(folder.file(), machine_with(full())));
  EXPECT_EQ(load(folder.file(), "4567", "").error().what, "the passports of another machine");
  const auto with = [&](const std::string& text) {
    std::ofstream(folder.file()) << text;
    return load(folder.file(), "0123", "");
  };
  for (std::size_t cut = 0; cut < good.size() - 2; cut += 7) {
    const auto broken = with(good.substr(0, cut));
    ASSERT_FALSE(broken) << cut;
    EXPECT_EQ(broken.error().code, ErrorCode::malformed);
    EXPECT_FALSE(broken.error().where.empty());
  }
  auto other = good;
  other.replace(other.find("passport/1"), 10, "passport/9");
  EXPECT_EQ(with(other).error().what, "a passport file of another version of Prony");
}

// Kills: a number of another type or sign that throws, or comes out as a period of nothing.
TEST(Store, FiguresThatMakeNoSenseAreLeftOut) {
  const auto read = [](const std::string& fields) {
    const auto machine = from_text(
        R"({"format":"prony.passport/1","identity":"i","channels":[{"channel":"c","version":1,)" + fields + "}]}");
    return machine && machine->channels.size() == 1 ? machine->channels[0] : ChannelPassport{};
  };
  EXPECT_EQ(read(R"("update_period_ns":5)").update_period, Duration{5});
  for (const char* value :
       {"0", "-1", "1e300", "18446744073709551615", "9223372036854775807", "\"5\"", "null", "[5]", "{}", "true"})
    EXPECT_FALSE(read(std::string("\"update_period_ns\":") + value).update_period) << value;
  for (const char* value : {"0", "-1", "\"1\"", "null", "[]"})
    EXPECT_FALSE(read(std::string("\"step\":") + value).step) << value;
  EXPECT_EQ(read(R"("reads":-4)").reads, 0U);
  EXPECT_TRUE(read(R"("notes":[1,null,"kept"],"absent":[3,{"name":5}])").notes == std::vector<std::string>{"kept"});
  const auto twice = from_text(
      R"({"format":"prony.passport/1","channels":[4,{},{"channel":"c","version":1},{"channel":"c","version":1},{"channel":"d","version":99}]})");
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice->channels.size(), 1U);
  EXPECT_FALSE(from_text(std::string(100'000, '[')));
}

TEST(Store, WhereItLiesFollowsTheEnvironment) {
  EXPECT_EQ(file_of("/state", "/users/a", "id"), "/state/prony/passports/id.json");
  EXPECT_EQ(file_of("", "/users/a", "id"), "/users/a/.local/state/prony/passports/id.json");
  EXPECT_EQ(file_of("relative", "/users/a", "id"), "/users/a/.local/state/prony/passports/id.json");
  EXPECT_TRUE(file_of("", "", "id").empty());
}

TEST(Store, AMachineIsItsProcessorBoardKernelAndTree) {
  Manifest facts;
  facts.set("machine.cpu_model", "a", "machine");
  facts.set("machine.board", "bc", "machine");
  const auto first = identify(facts, "").identity;
  EXPECT_EQ(identify(facts, "").identity, first);
  EXPECT_NE(identify(facts, "/tree").identity, first);
  facts.set("machine.board", "b", "machine");
  facts.set("machine.kernel", "c", "machine");
  EXPECT_NE(identify(facts, "").identity, first);  // "bc" + "" is not "b" + "c"
}

Channel undocumented(const char* name) {
  Channel channel;
  channel.name = name;
  channel.measure = Measure::power;
  channel.scale = 1e-3;
  channel.resolution = 0;
  return channel;
}

TEST(Use, WhatIsNotDocumentedIsFilledAndALongerPeriodWins) {
  auto p = full();
  p.channel = "c";
  p.jitter.reset();
  p.step = 0.25;
  const auto machine = machine_with(p);
  std::vector<Channel> channels{undocumented("c"), undocumented("other")};
  EXPECT_EQ(fill_channels(channels, machine).size(), 3U);
  EXPECT_EQ(channels[0].update_period, Duration{982'000});
  EXPECT_EQ(channels[0].resolution, 250);
  EXPECT_EQ(channels[0].averaging_window, milliseconds(1000));
  EXPECT_EQ(channels[1].update_period.ns, 0);
  ASSERT_TRUE(channels[0].learned_period);
  EXPECT_FALSE(channels[1].learned_period);
  channels[0].learned_period.reset();
  // Documented: stays, unless what was seen is longer (a bound must reckon with it).
  channels[0].update_period = milliseconds(2);
  EXPECT_TRUE(fill_channels(channels, machine).empty());
  EXPECT_EQ(channels[0].update_period, milliseconds(2));
  channels[0].update_period = Duration{500'000};
  EXPECT_EQ(fill_channels(channels, machine).size(), 1U);
  EXPECT_EQ(channels[0].update_period, Duration{982'000});
  EXPECT_TRUE(channels[0].learned_period);
  channels[0].origin = Origin::modelled;
  channels[0].update_period = {};
  EXPECT_TRUE(fill_channels(channels, machine).empty());
}

// Kills: the longest that a single update may take handed on as the mean; a doubt or a jitter left behind.
TEST(Use, AJitteringSourceGetsTheLongestUpdateForBoundsAndItsMeanWithDoubtAndJitterForTheGrid) {
  auto p = full();
  p.channel = "c";
  p.update_period = milliseconds(10);
  p.period_spread = Duration{4'000};
  p.jitter = Duration{700'000};
  std::vector<Channel> channels{undocumented("c")};
  (void)fill_channels(channels, machine_with(p));
  EXPECT_EQ(channels[0].update_period, Duration{11'400'000});
  ASSERT_TRUE(channels[0].learned_period);
  EXPECT_EQ(channels[0].learned_period->mean_ns, 10e6);
  EXPECT_GE(channels[0].learned_period->sigma_ns, 2'000);
  EXPECT_LT(channels[0].learned_period->sigma_ns, 2'100);
  EXPECT_EQ(channels[0].learned_period->jitter_ns, 700'000);
}

// Kills: a watch that rounds the period to polls put above a document that it does not contradict; a document kept that
// it does.
TEST(Use, ADocumentedPeriodGivesWayToALearnedOneOnlyWhereTheWatchRefutesIt) {
  auto p = full();
  p.channel = "c";
  p.update_period = Duration{976'600};
  p.period_spread = Duration{100};
  p.jitter.reset();
  std::vector<Channel> channels{undocumented("c")};
  channels[0].update_period = Duration{976'562};  // 2^-10 s
  (void)fill_channels(channels, machine_with(p));
  EXPECT_EQ(channels[0].update_period, Duration{976'562});
  EXPECT_FALSE(channels[0].learned_period);
  channels[0].update_period = milliseconds(1);
  (void)fill_channels(channels, machine_with(p));
  EXPECT_EQ(channels[0].update_period, milliseconds(1)) << "a bound reckons with the longer one";
  ASSERT_TRUE(channels[0].learned_period);
  EXPECT_EQ(channels[0].learned_period->mean_ns, 976'600);
}

std::size_t drifts(const ChannelPassport& before, const ChannelPassport& now) {
  return find_drift(machine_with(before), std::vector{now}).size();
}

// Kills: noise told as drift at every Run; a source ten times slower not told.
TEST(Use, OnlyWhatBothDoubtsDoNotExplainIsDrift) {
  const auto before = full();
  auto now = full();
  EXPECT_EQ(drifts(before, now), 0U);
  now.update_period = Duration{1'050'000};
  EXPECT_EQ(drifts(before, now), 0U);
  now.update_period = Duration{1'200'000};
  EXPECT_EQ(drifts(before, now), 1U);
  now.period_spread = Duration{150'000};
  EXPECT_EQ(drifts(before, now), 0U);
  now.update_period.reset();
  now.faster_than = milliseconds(10);  // polled slowly: says nothing against 0.98 ms
  EXPECT_EQ(drifts(before, now), 0U);
  now.faster_than = Duration{100'000};
  EXPECT_EQ(drifts(before, now), 1U);
  now = full();
  now.step = *before.step * 2;  // every change happened to be even
  EXPECT_EQ(drifts(before, now), 0U);
  now.step = *before.step / 4;
  EXPECT_EQ(drifts(before, now), 1U);
  now = full();
  now.read_cost = Duration{9'000};
  EXPECT_EQ(drifts(before, now), 1U);
  now.learned_by = "run";
  EXPECT_EQ(drifts(before, now), 0U);
}

TEST(Use, AProbeReplacesAndARunFillsWhatIsMissing) {
  auto kept = machine_with(full());
  kept.channels[0].noise_rms.reset();
  kept.channels[0].absent = {{"noise_rms", "too few changes seen", ""}};
  auto run = full();
  run.learned_by = "run";
  run.update_period = milliseconds(10);
  run.noise_rms = 0.5;
  run.phase = Instant{77};
  EXPECT_TRUE(join(kept, std::vector{run}));
  EXPECT_EQ(kept.channels[0].update_period, Duration{982'000});
  EXPECT_EQ(kept.channels[0].noise_rms, 0.5);
  EXPECT_EQ(kept.channels[0].phase, Instant{77});
  EXPECT_EQ(kept.channels[0].why_absent("noise_rms"), nullptr);
  EXPECT_FALSE(join(kept, std::vector{run}));  // nothing new: no need to write the file again
  auto probe = full();
  probe.update_period = milliseconds(3);
  EXPECT_TRUE(join(kept, std::vector{probe}));
  EXPECT_EQ(kept.channels[0].update_period, milliseconds(3));
  auto nothing = ChannelPassport{};
  nothing.channel = "new";
  nothing.learned_by = "run";
  EXPECT_FALSE(join(kept, std::vector{nothing}));
}

}  // namespace
}  // namespace prony::passport
