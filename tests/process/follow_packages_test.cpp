// Targets on machines with several packages: whose CPU time was used on which, and whose the packages' joules are then.
// Bugs stand in front of each test.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "attribute/attribute.hpp"
#include "scripted_follower.hpp"

namespace prony {
namespace {

using namespace testing_process;

constexpr std::int64_t proc_begin_ns = 1'000'000'000;  // when ScriptedProc begins

// CPUs 0 and 1 in package 0, 2 and 3 in package 1.
void add_packages(SimulatedMachine& machine) {
  machine.set_file("/sys/devices/system/cpu/online", "0-3");
  for (int cpu = 0; cpu < 4; ++cpu)
    machine.set_file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/physical_package_id",
                     cpu < 2 ? "0" : "1");
}

// Name and raw reading of every CPU-time channel of a package.
std::map<std::string, std::int64_t> packages_of(Followed& f) {
  std::map<std::string, std::int64_t> result;
  const auto channels = f.follower->sensor().channels();
  for (std::size_t i = 0; i < channels.size(); ++i)
    if (channels[i].domain.starts_with("package-")) {
      EXPECT_EQ(channels[i].measure, Measure::cpu_time);
      EXPECT_EQ(channels[i].scope, Scope::target);
      EXPECT_EQ(f.readings[i].quality, Quality::ok);
      result[channels[i].name] = f.readings[i].raw;
    }
  return result;
}
using Packages = std::map<std::string, std::int64_t>;

TEST(FollowedPackages, ThereAreNoneWhereThereIsOnePackage) {
  ScriptedProc proc;
  proc.add({.pid = 10, .name = "server"});
  auto f = follow(proc, {choice(SelectorKind::comm, "server")});
  EXPECT_EQ(f.follower->sensor().channels().size(), 2u);
}

// Kills: channels of one target in another's place.
TEST(FollowedPackages, EachTargetIsPlacedByItself) {
  ScriptedProc proc;
  add_packages(proc.machine);
  proc.add({.pid = 10, .name = "left", .cpu = 1});
  proc.add({.pid = 20, .name = "right", .cpu = 2});
  auto f = follow(proc, {choice(SelectorKind::comm, "left"), choice(SelectorKind::comm, "right")});
  for (int i = 0; i < 5; ++i) {
    proc.use(10, 60 * ms);
    proc.use(20, 90 * ms);
    proc.pass(100);
    f.look();
  }
  EXPECT_EQ(packages_of(f), (Packages{{"target.left.cpu.package-0", 300 * ms},
                                      {"target.left.cpu.package-1", 0},
                                      {"target.right.cpu.package-0", 0},
                                      {"target.right.cpu.package-1", 450 * ms}}));
  EXPECT_EQ(f.cpu_ns(0), 300 * ms);
  EXPECT_EQ(f.cpu_ns(1), 450 * ms);
}

// Kills: what was used before it was followed placed as well.
TEST(FollowedPackages, ThePastIsNobodys) {
  ScriptedProc proc;
  add_packages(proc.machine);
  proc.add({.pid = 10, .name = "server", .cpu_ns = 9'000 * ms, .cpu = 0});
  auto f = follow(proc, {choice(SelectorKind::comm, "server")});
  auto process = proc.processes.at(10);
  process.cpu = 3;
  proc.set(process);
  proc.use(10, 50 * ms);
  proc.pass(100);
  f.look();
  EXPECT_EQ(packages_of(f).at("target.server.cpu.package-0"), 0);
  EXPECT_EQ(packages_of(f).at("target.server.cpu.package-1"), 50 * ms);
}

// Kills: time of those who ended between two looks missing from the packages.
TEST(FollowedPackages, WhoEndsBetweenTwoLooksCountsWhereTheTargetRuns) {
  ScriptedProc proc;
  add_packages(proc.machine);
  proc.add({.pid = 10, .name = "server", .cpu = 2});
  auto told = follow_told(proc, {choice(SelectorKind::pid, "10")}, false);
  auto& f = told.followed;
  std::int64_t total = 0;
  for (int i = 0; i < 20; ++i) {
    proc.use(10, 10 * ms);
    told.events->next.births.push_back({10, 1000 + i, 1000 + i, proc.machine.now()});
    told.events->next.ends.push_back({1000 + i, 30 * ms, {}});
    total += 40 * ms;
    proc.births();
    proc.pass(100);
    f.look();
    const auto now = packages_of(f);
    EXPECT_EQ(now.at("target.pid-10.cpu.package-0") + now.at("target.pid-10.cpu.package-1"), f.cpu_ns(0));
  }
  EXPECT_EQ(f.cpu_ns(0), total);
  EXPECT_EQ(packages_of(f).at("target.pid-10.cpu.package-1"), total);
}

// Two packages whose CPU seconds cost 10 J and 40 J, ticks of 10 ms, looks of 100 ms, and two targets.
struct Sockets {
  static constexpr double price_j[2] = {10, 40};
  ScriptedProc proc;
  std::int64_t length_ms = 12'000, move_ms = 0;  // when "left" moves to package 1; 0: never
  bool by_package = true;
  double left_j[2] = {0, 0}, right_j[2] = {0, 0};  // the truth, by package
  Ledger ledger;

  static Channel counter(const std::string& name, Measure measure, const std::string& domain, double scale) {
    Channel channel;
    channel.name = name, channel.sensor = "test", channel.domain = domain, channel.measure = measure;
    channel.kind = ChannelKind::counter, channel.scale = scale, channel.max_rate = 1000;
    return channel;
  }
  void play() {
    add_packages(proc.machine);
    proc.add({.pid = 10, .name = "left", .cpu = 0});
    proc.add({.pid = 20, .name = "right", .cpu = 2});
    auto f = follow(proc, {choice(SelectorKind::comm, "left"), choice(SelectorKind::comm, "right")});
    std::vector<Channel> channels{
        counter("p0", Measure::energy, "package-0", 1e-6), counter("p1", Measure::energy, "package-1", 1e-6),
        counter("busy", Measure::cpu_time, "cpu", 1e-9), counter("busy0", Measure::cpu_time, "package-0", 1e-9),
        counter("busy1", Measure::cpu_time, "package-1", 1e-9)};
    std::vector<std::size_t> taken;  // of the follower's
    for (std::size_t i = 0; i < f.follower->sensor().channels().size(); ++i) {
      if (!by_package && f.follower->sensor().channels()[i].domain.starts_with("package-")) continue;
      channels.push_back(f.follower->sensor().channels()[i]);
      taken.push_back(i);
    }
    Group group{GroupId{1}, "fast", milliseconds(10), {}};
    for (std::size_t i = 0; i < channels.size(); ++i) {
      channels[i].id = ChannelId{static_cast<std::uint32_t>(i + 1)};
      group.channels.push_back(channels[i].id);
    }
    std::vector<TickBlock> blocks;
    double used_s[2] = {0, 0};
    for (std::int64_t now = 0; now <= length_ms; now += 10) {
      proc.machine.set_now({proc_begin_ns + now * ms});
      if (now > 0) {
        // The left uses 6 ms of each 10, the right 4 ms.
        auto left = proc.processes.at(10), right = proc.processes.at(20);
        const std::size_t at = move_ms > 0 && now > move_ms ? 1 : 0;
        left.cpu = at == 1 ? 3 : 0, left.cpu_ns += 6 * ms, right.cpu_ns += 4 * ms;
        proc.set(left), proc.set(right);
        used_s[at] += 0.006, used_s[1] += 0.004;
        left_j[at] += 0.006 * price_j[at], right_j[1] += 0.004 * price_j[1];
      }
      f.read();
      std::vector<Reading> readings;
      for (const double value : {used_s[0] * price_j[0] * 1e6, used_s[1] * price_j[1] * 1e6,
                                 (used_s[0] + used_s[1]) * 1e9, used_s[0] * 1e9, used_s[1] * 1e9})
        readings.push_back({std::llround(value), Quality::ok});
      for (const std::size_t i : taken) readings.push_back(f.readings[i]);
      if (blocks.empty() || blocks.back().full()) blocks.emplace_back(group.id, channels.size(), 512);
      blocks.back().push(proc.machine.now(), proc.machine.now(), readings);
    }
    Span run;
    run.id = SpanId{1}, run.kind = SpanKind::run, run.interval = {{proc_begin_ns}, {proc_begin_ns + length_ms * ms}};
    AttributionOptions options;
    for (const Target& target : f.follower->targets()) options.targets.push_back(target.name);
    const std::vector<Group> groups{group};
    const std::vector<Span> spans{run};
    Attribution attribution(channels, groups, spans, options);
    for (const TickBlock& block : blocks) attribution.push(block);
    ledger = attribution.finish();
  }
  [[nodiscard]] double charged(std::size_t package, std::size_t target) const {
    return ledger.energy.at(package).targets.at(target).charged->value;
  }
  void expect_sums() const {
    for (const ChannelLedger& row : ledger.energy) {
      double sum = row.unattributed.value + (row.idle ? row.idle->value : 0) + (row.prony ? row.prony->value : 0);
      sum += row.foreign->value;
      for (const TargetEnergy& target : row.targets) sum += target.charged->value;
      EXPECT_NEAR(sum, row.recorded.value, 1e-9 * row.recorded.value);
    }
  }
};

// Kills: each package split by the whole machine's CPU time. The left used 60 % of all CPU time, all of it on the
// package that drew 72 J, and would be charged 158.4 J; the right 105.6 J of the 192 J that are its own.
TEST(FollowedPackages, ATargetIsChargedFromThePackagesThatItRanOnAlone) {
  Sockets sockets;
  sockets.play();
  EXPECT_NEAR(sockets.charged(0, 0), 72, 0.01 * 72);
  EXPECT_NEAR(sockets.charged(0, 1), 0, 0.01);
  EXPECT_NEAR(sockets.charged(1, 0), 0, 0.01);
  EXPECT_NEAR(sockets.charged(1, 1), 192, 0.01 * 192);
  sockets.expect_sums();
  Sockets whole;
  whole.by_package = false;
  whole.play();
  EXPECT_NEAR(whole.charged(0, 0) + whole.charged(1, 0), 158.4, 1);  // 86.4 J too much
  whole.expect_sums();
}

// It moves in the middle of the Run, and in the middle between two looks.
// Kills: the package of the start kept for ever; a look's correction lost.
TEST(FollowedPackages, AThreadThatMovesIsChargedWhereItWas) {
  Sockets sockets;
  sockets.move_ms = 6'050;
  sockets.play();
  // The look after the move puts all of its 100 ms on the new package: at most 60 ms of CPU time are misplaced.
  const double most_0 = 0.06 * Sockets::price_j[0], most_1 = 0.06 * Sockets::price_j[1];
  EXPECT_NEAR(sockets.charged(0, 0), sockets.left_j[0], most_0 + 0.01 * sockets.left_j[0]);
  EXPECT_NEAR(sockets.charged(1, 0), sockets.left_j[1], most_1 + 0.01 * sockets.left_j[1]);
  EXPECT_NEAR(sockets.charged(1, 1), sockets.right_j[1], most_1 + 0.01 * sockets.right_j[1]);
  EXPECT_NEAR(sockets.charged(0, 1), 0, 0.01);
  sockets.expect_sums();
}

}  // namespace
}  // namespace prony
