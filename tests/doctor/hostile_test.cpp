// The doctor among rubbish and faults, its JSON, and its promise of a shortest window against what attribute() says.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>

#include "attribute/attribute.hpp"
#include "machines.hpp"

namespace prony::doctor {
namespace {

TEST(DoctorHostile, RubbishAndFaultsGiveWordsAndNoNumberThatIsNone) {
  const std::vector<std::string> rubbish{"",
                                         "\n",
                                         "-1",
                                         "nan",
                                         "18446744073709551616",
                                         "1e400",
                                         std::string(100'000, 'x'),
                                         std::string("\0\xff\x1b[2J\n\n", 8),
                                         "a b c d e f g h i j k l m n o p q r s t u v"};
  const std::vector<std::string> paths{"/proc/stat",
                                       "/proc/meminfo",
                                       "/proc/vmstat",
                                       "/proc/cpuinfo",
                                       "/proc/5/stat",
                                       "/proc/self/cgroup",
                                       "/proc/1/cgroup",
                                       "/proc/self/mountinfo",
                                       "/proc/sys/kernel/perf_event_paranoid",
                                       "/proc/sys/kernel/osrelease",
                                       "/sys/hypervisor/type",
                                       "/sys/class/powercap/intel-rapl:0/energy_uj",
                                       "/sys/class/powercap/intel-rapl:0/name",
                                       "/sys/fs/cgroup/cpu.max",
                                       "/sys/fs/cgroup/memory.max",
                                       "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
                                       "/sys/devices/system/cpu/cpufreq/boost",
                                       "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
                                       "/sys/devices/platform/soc/soc:firmware/get_throttled",
                                       "/sys/devices/system/clocksource/clocksource0/current_clocksource"};
  const auto check = [](SimulatedMachine& machine) {
    const Report report = examine_simulated(machine);
    for (const Finding& finding : report.findings) {
      EXPECT_FALSE(finding.text.empty()) << finding.check;
      for (const auto& [name, value] : finding.numbers)
        EXPECT_TRUE(std::isfinite(value) && (value >= 0 || name == "paranoid")) << name;
    }
    const std::string text = to_text(report, 100, false);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find('\0'), std::string::npos);
    EXPECT_TRUE(nlohmann::json::accept(to_json(report)));
  };
  for (const std::string& text : rubbish) {
    SimulatedMachine machine;
    furnish(machine);
    for (const std::string& path : paths) machine.set_file(path, text);
    check(machine);
  }
  for (const int fault : {EIO, EACCES, ENODEV, EINVAL}) {
    SimulatedMachine machine;
    furnish(machine);
    for (const std::string& path : paths) {
      machine.set_file(path, "1");
      machine.set_fault(path, fault);
    }
    check(machine);
  }
  SimulatedMachine empty;
  check(empty);
}

TEST(DoctorJson, NamesEverythingWithUnitsAndAVersion) {
  SimulatedMachine machine;
  furnish(machine);
  machine.set_file("/proc/sys/kernel/perf_event_paranoid", "-1");
  const auto json = nlohmann::json::parse(to_json(examine_simulated(machine)));
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_EQ(json.at("exit_code"), 0);
  ASSERT_EQ(json.at("energy").size(), 1U);
  const auto& source = json["energy"][0];
  EXPECT_EQ(source.at("origin"), "measured");
  EXPECT_EQ(source.at("step_unit"), "J");
  EXPECT_GT(source.at("shortest_window_s").get<double>(), 0);
  std::vector<std::string> names;
  for (const auto& finding : json.at("findings")) {
    names.push_back(finding.at("check"));
    EXPECT_TRUE(finding.at("text").is_string());
    const std::string verdict = finding.at("verdict");
    EXPECT_TRUE(verdict == "ok" || verdict == "note" || verdict == "poor" || verdict == "missing") << verdict;
  }
  for (const Check& check : checks()) EXPECT_EQ(std::ranges::count(names, check.name), 1) << check.name;
}

// What the doctor promises is what attribute() then says: a window a little longer than the promise has joules, one of
// a tenth of it has not. Kills: a formula that forgets the second edge, the poll or the step.
TEST(DoctorWindow, IsWhatAttributionResolves) {
  constexpr std::int64_t ms = 1'000'000, poll = 10 * ms, origin = 1'000'000 * ms;
  for (const std::int64_t period : {std::int64_t{1} * ms, 50 * ms, 100 * ms}) {
    Channel channel;
    channel.name = channel.domain = "package-0";
    channel.sensor = "rapl";
    channel.measure = Measure::energy;
    channel.kind = ChannelKind::counter;
    channel.scale = 1e-6;
    channel.update_period = Duration{period};
    const double promise_s = shortest_window_s(channel, 0.01);
    const auto resolvable = [&](double length_s) {
      const auto length = static_cast<std::int64_t>(length_s * 1e9);
      Span run;
      run.id = {1};
      run.kind = SpanKind::run;
      run.interval = {{origin + 3'000 * ms + 3 * ms}, {origin + 3'000 * ms + 3 * ms + length}};
      const std::vector<Channel> channels{channel};
      const std::vector<Group> groups{{GroupId{0}, "fast", Duration{poll}, {ChannelId{0}}}};
      const std::vector<Span> spans{run};
      Attribution attribution(channels, groups, spans);
      TickBlock block(GroupId{0}, 1, 1200);
      for (std::int64_t t = 0; t < 12'000 * ms; t += poll) {  // 10 W
        const Reading reading{t / period * period / 100, Quality::ok};
        block.push({origin + t}, {origin + t + 1000}, {&reading, 1});
      }
      attribution.push(block);
      return attribution.finish().energy.front().resolvable;
    };
    EXPECT_TRUE(resolvable(1.1 * promise_s)) << period;
    EXPECT_FALSE(resolvable(promise_s / 10)) << period;
  }
}

}  // namespace
}  // namespace prony::doctor
