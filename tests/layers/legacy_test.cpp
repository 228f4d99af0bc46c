#include "layers/legacy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "layers/edgeprofiler_write.hpp"
#include "recordings.hpp"

namespace prony::layers {
namespace {

struct Mapped {
  Recording recording;
  std::vector<LegacyRow> rows;
  LegacyCount count;
};

Result<Mapped> mapped(const std::string& latency_text, const std::string& log_text, double idle_uw) {
  TextSource latencies(latency_text), log_source(log_text);
  auto recording = read_layer_latencies(latencies);
  if (!recording) return Unexpected<Error>(recording.error());
  Mapped all;
  all.recording = std::move(*recording);
  PowerLog log(log_source);
  const auto count = map_legacy(all.recording, log, idle_uw, [&](const LegacyRow& row) { all.rows.push_back(row); });
  if (!count) return Unexpected<Error>(count.error());
  all.count = *count;
  return all;
}

TEST_F(PublishedRecordings, EdgeProfilersThreeCasesComeOutToTheDigit) {
  const std::string idle_text = text_of_recording("golden/example_raw_data/idling_power.json");
  TextSource idle_file(idle_text);
  const double idle = read_idle_power(idle_file)->microwatt;
  std::vector<double> with_idle;
  for (const std::string name : {"simple", "multiple_readings", "multiple_layers"}) {
    const std::string folder = "golden/example_raw_data/" + name;
    const auto all = mapped(text_of_recording(folder + "/trt_profiling/trt_layer_latency.json"),
                            text_of_recording(folder + "/" + name + "_power_log.log"), idle);
    ASSERT_TRUE(all) << name << all.error().what;
    const auto expected = nlohmann::json::parse(text_of_recording(folder + "/expected_metrics_by_cycle.json"));
    ASSERT_EQ(all->rows.size(), expected.size()) << name;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const LegacyRow& row = all->rows[i];
      EXPECT_EQ(row.cycle, expected[i]["cycle"].get<std::size_t>());
      EXPECT_EQ(all->recording.layers[row.layer].name, expected[i]["layer_name"].get<std::string>());
      EXPECT_EQ(row.with_idle_uw, expected[i]["layer_power_including_idle_power_micro_watt"].get<double>());
      EXPECT_EQ(row.without_idle_uw, expected[i]["layer_power_excluding_idle_power_micro_watt"].get<double>());
      EXPECT_EQ(row.ms, expected[i]["layer_run_time"].get<double>());
      with_idle.push_back(*row.with_idle_uw * 1e-6);
    }
  }
  EXPECT_EQ(with_idle, (std::vector<double>{5.50, 5.75, 6.25, 8.75}));
}

TEST(Legacy, EdgesBelongToTheWindowAndAWindowWithoutAReadingHasNoPower) {
  const auto all = mapped(
      R"({"a": [[100, "20241121-00:00:01.200000"]], "b": [[50, "20241121-00:00:01.300000"]], "c": [[50, "20241121-00:00:01.500000"]]})",
      "20241121-00:00:01.100000,1000,1\n20241121-00:00:01.200000,1000,3\n20241121-00:00:01.400000,1000,9\n"
      "20241121-00:00:01.600000,1000,9\n",
      500);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->rows.size(), 3u);
  EXPECT_EQ(all->rows[0].with_idle_uw, 2000);
  EXPECT_EQ(all->rows[0].without_idle_uw, 1500);
  EXPECT_FALSE(all->rows[1].with_idle_uw);  // 1.25 to 1.30: nothing was read
  EXPECT_FALSE(all->rows[2].with_idle_uw);  // 1.45 to 1.50: the reading at 1.40 is before, that at 1.60 behind
  EXPECT_FALSE(all->count.log_ended);
}

TEST(Legacy, APointerThatNeverGoesBackGivesTheReadingsToTheFirstOfOverlappingLayers) {
  // All told at one instant, as after the execution.
  const auto all = mapped(R"({"a": [[100, "20241121-00:00:01.200000"]], "b": [[100, "20241121-00:00:01.200000"]]})",
                          "20241121-00:00:01.150000,1000,5\n20241121-00:00:01.900000,1000,7\n", 0);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->rows[0].with_idle_uw, 5000);
  EXPECT_FALSE(all->rows[1].with_idle_uw);
}

TEST(Legacy, WhereTheLogIsOverTheRowIsWrittenAndTheMappingStops) {
  const auto all = mapped(
      R"({"a": [[100, "20241121-00:00:01.200000"], [100, "20241121-00:00:09.200000"]], "b": [[100, "20241121-00:00:05.200000"], [1, "20241121-00:00:09.300000"]]})",
      "20241121-00:00:01.150000,1000,5\n20241121-00:00:05.150000,1000,7\n", 0);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->rows.size(), 2u);
  EXPECT_EQ(all->rows[1].with_idle_uw, 7000);
  EXPECT_TRUE(all->count.log_ended);
}

TEST(Legacy, DurationsAreRoundedToMicrosecondsAsPythonDoes) {
  EXPECT_EQ(python_milliseconds(0.0303), 30);
  EXPECT_EQ(python_milliseconds(0.0305), 30);  // a half goes to even
  EXPECT_EQ(python_milliseconds(0.0315), 32);
  EXPECT_EQ(python_milliseconds(1.0005), 1000);
  EXPECT_EQ(python_milliseconds(1.0015), 1002);
  EXPECT_EQ(python_milliseconds(1000.0), 1'000'000);
  EXPECT_EQ(python_milliseconds(0), 0);
}

TEST(Legacy, BareDurationsAndBrokenLogsAreRefused) {
  EXPECT_FALSE(mapped(R"({"a": [0.5]})", "20241121-00:00:01.150000,1000,5\n", 0));
  EXPECT_FALSE(mapped(R"({"a": [[1, "20241121-00:00:01.2"]]})", "", 0));
  EXPECT_FALSE(mapped(R"({"a": [[1, "20241121-00:00:01.2"]]})", "rubbish\n", 0));
}

// The rule again, written plainly: every reading held against every window that is left.
TEST(Legacy, AgreesWithAPlainWalkOverRandomRecordings) {
  std::uint64_t state = 7;
  const auto random = [&](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::int64_t>((state >> 33) % below);
  };
  for (int round = 0; round < 50; ++round) {
    Recording recording;
    recording.layers.resize(5);
    std::int64_t now = 1'732'166'404'000'000;
    for (int cycle = 0; cycle < 20; ++cycle)
      for (LayerTimes& layer : recording.layers) {
        now += random(3000);
        layer.ms.push_back(static_cast<double>(random(4000)) * 1e-3);
        layer.told_us.push_back(now);
      }
    std::vector<PowerReading> log;
    std::string text;
    for (std::int64_t at = 1'732'166'404'000'000 - 5000; at < now - random(9000); at += 200 + random(2500)) {
      log.push_back({at, 5000, static_cast<double>(1000 + random(100))});
      text += power_line(log.back());
    }
    TextSource source(text);
    PowerLog reader(source);
    std::vector<LegacyRow> rows;
    ASSERT_TRUE(map_legacy(recording, reader, 1e6, [&](const LegacyRow& row) { rows.push_back(row); }));
    std::size_t next = 0, at = 0;
    bool over = false;
    for (std::size_t cycle = 0; cycle < 20 && !over; ++cycle)
      for (std::size_t i = 0; i < 5 && !over; ++i, ++at) {
        const std::int64_t end = recording.layers[i].told_us[cycle],
                           begin = end - python_milliseconds(recording.layers[i].ms[cycle]);
        double sum = 0;
        int count = 0;
        while (next < log.size() && log[next].us < begin) ++next;
        for (; next < log.size() && log[next].us <= end; ++next) sum += log[next].microwatt(), ++count;
        over = next == log.size();
        ASSERT_LT(at, rows.size());
        ASSERT_EQ(rows[at].with_idle_uw.has_value(), count > 0);
        if (count > 0) {
          ASSERT_EQ(*rows[at].with_idle_uw, sum / count);
        }
      }
    EXPECT_EQ(rows.size(), at);
  }
}

}  // namespace
}  // namespace prony::layers
