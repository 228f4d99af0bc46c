#include "layers/edgeprofiler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <nlohmann/json.hpp>
#include <random>

#include "layers/edgeprofiler_write.hpp"
#include "layers/plain_decimal.hpp"
#include "layers/power_facts.hpp"
#include "recordings.hpp"

namespace prony::layers {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

Result<Recording> latencies(std::string_view text) {
  TextSource source(text);
  return read_layer_latencies(source);
}

std::string written(const Recording& recording) {
  std::string text;
  const auto done = write_layer_latencies(recording, [&](std::string_view piece) -> Result<void> {
    text += piece;
    return {};
  });
  EXPECT_TRUE(done);
  return text;
}

TEST(Stamps, AreMicrosecondsAndReadBackAsTheyWere) {
  EXPECT_EQ(parse_stamp("19700101-00:00:01.5"), 1'500'000);
  EXPECT_EQ(parse_stamp("20241121-05:20:04.261448"), 1'732'166'404'261'448);
  EXPECT_EQ(format_stamp(1'732'166'404'261'448), "20241121-05:20:04.261448");
  EXPECT_EQ(parse_stamp("20240229-23:59:59.999999"), *parse_stamp("20240301-00:00:00.0") - 1);
  for (const char* bad :
       {"", "20241121", "20241121-05:20:04", "20230229-05:20:04.1", "20241321-05:20:04.1", "20241121-25:20:04.1",
        "20241121-05:20:04.1234567", "20241121 05:20:04.1", "20241121-05:20:04.", "20241121-05:61:04.1"})
    EXPECT_FALSE(parse_stamp(bad)) << bad;
}

TEST(Stamps, OfAManyAreReadAsEachAlone) {
  StampReader reader;  // which remembers the day of the one before
  for (const char* text : {"20241121-05:20:04.261448", "20241121-23:59:59.999999", "20241122-00:00:00.000000",
                           "20241121-00:00:00.000001", "20241121-05:20:4.261448",  "20241122-24:00:00.000000",
                           "20241122-00:60:00.000000", "20241122-00:00:60.000000", "20241122x00:00:00.000000",
                           "20241122-00x00:00.000000", "20241122-00:00x00.000000", "20241122-00:00:00x000000",
                           "20241122-00:00:00.00000:", "20240230-00:00:00.000000", "00000000-00:00:00.000000",
                           "19691231-23:59:59.999999", "19700101-00:00:00.000000", "19691231-00:00:00.000000",
                           "20241122-00:00:00.5",      "20241122-00:00:00.000007", ""})
    EXPECT_EQ(reader(text), parse_stamp(text)) << text;
}

TEST(PlainDecimals, AreTheNearestDoublesOrLeftToOthers) {
  std::mt19937_64 rng(1);
  for (int i = 0; i < 200'000; ++i) {
    std::string text = rng() % 4 == 0 ? "-" : "";
    text += std::to_string(rng() % (std::uint64_t{1} << rng() % 64));
    if (rng() % 4 != 0) {
      text += '.';
      for (std::size_t places = 1 + rng() % 9; places > 0; --places) text += static_cast<char>('0' + rng() % 10);
    }
    const auto plain = plain_decimal(text.data(), text.data() + text.size());
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    const auto digits = static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return c >= '0'; }));
    ASSERT_EQ(plain.has_value(), digits <= 15) << text;
    if (!plain) continue;
    ASSERT_EQ(std::bit_cast<std::uint64_t>(plain->value), std::bit_cast<std::uint64_t>(value)) << text;
    ASSERT_EQ(plain->end, text.data() + text.size()) << text;
  }
  for (const std::string_view none : {"", "-", ".5", "5.", "-.5", "01", "-00.5", "+1", "x", "1234567890.123456"})
    EXPECT_FALSE(plain_decimal(none.data(), none.data() + none.size())) << none;
  const std::string_view exponent = "1.5e3";
  EXPECT_EQ(plain_decimal(exponent.data(), exponent.data() + exponent.size())->end, exponent.data() + 3);
}

TEST(Numbers, AreWrittenAsPythonWritesFloats) {
  EXPECT_EQ(python_number(5500000), "5500000.0");
  EXPECT_EQ(python_number(0.1), "0.1");
  EXPECT_EQ(python_number(0.00001), "1e-05");
  EXPECT_EQ(python_number(1e16), "1e+16");
  EXPECT_EQ(python_number(-0.0303), "-0.0303");
  EXPECT_EQ(python_number(0), "0.0");
}

TEST(Numbers, AreAddedUpAsPython312Does) {
  PythonSum sum;
  for (int i = 0; i < 10; ++i) sum.add(0.1);
  EXPECT_EQ(sum.value(), 1.0);  // 0.9999999999999999 up to Python 3.11
}

TEST(LayerLatencies, BothOrdersAndBareNumbersAndADocumentInATextGiveTheSameTimes) {
  const auto code = latencies(R"({"a": [[0.5, "20241121-00:00:01.50"], [0.25, "20241121-00:00:02.50"]]})");
  const auto documented = latencies(R"({"a": [["20241121-00:00:01.50", 0.5], ["20241121-00:00:02.50", 0.25]]})");
  const auto bare = latencies(R"({"a": [0.5, 0.25]})");
  const auto wrapped = latencies(R"("{\"a\": [[0.5, \"20241121-00:00:01.50\"], [0.25, \"20241121-00:00:02.50\"]]}")");
  for (const auto* one : {&code, &documented, &bare, &wrapped}) {
    ASSERT_TRUE(*one);
    ASSERT_EQ((*one)->layers.size(), 1u);
    EXPECT_EQ((*one)->layers[0].ms, (std::vector<double>{0.5, 0.25}));
  }
  EXPECT_EQ(code->layers[0].told_us, documented->layers[0].told_us);
  EXPECT_EQ(code->layers[0].told_us, wrapped->layers[0].told_us);
  EXPECT_TRUE(bare->layers[0].told_us.empty());
  EXPECT_THAT(documented->notes, Contains(HasSubstr("[time, ms]")));
  EXPECT_THAT(wrapped->notes, Contains(HasSubstr("double-encoded")));
  EXPECT_THAT(code->notes, Contains(HasSubstr("not when the layer ended")));
}

TEST(LayerLatencies, AFileWithPairsOfBothOrdersIsSaidToHaveBoth) {
  const auto read = latencies(
      R"({"a": [[0.5, "20241121-00:00:01.50"], ["20241121-00:00:02.50", 0.25], [1, "20241121-00:00:03.50"]]})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->layers[0].ms, (std::vector<double>{0.5, 0.25, 1}));
  EXPECT_THAT(read->notes, Contains(HasSubstr("1 pairs are [time, ms]")));
  EXPECT_THAT(read->notes, Contains(HasSubstr("and 2 are [ms, time]")));
}

TEST(LayerLatencies, WhatIsWrongInAFileIsSaidAndNothingIsDroppedInSilence) {
  const auto read = latencies(R"({"a": [0.5, null, NaN, -1, 0.5], "b": [0, 0], "a2": [], "a": [1, 2, 3]})");
  ASSERT_TRUE(read);
  ASSERT_EQ(read->layers.size(), 3u);
  EXPECT_EQ(read->layers[0].ms, (std::vector<double>{1, 2, 3}));
  EXPECT_THAT(read->notes, Contains(HasSubstr("2 entries without a number")));
  EXPECT_THAT(read->notes, Contains(HasSubstr("1 durations below zero")));
  EXPECT_THAT(read->notes, Contains(HasSubstr("1 names stand there twice")));
  EXPECT_THAT(read->notes, Contains(HasSubstr("between 0 and 3 times")));
  EXPECT_THAT(read->notes, Contains(HasSubstr("1 layers took no time at all")));
  EXPECT_THAT(read->notes, Contains(HasSubstr("1 layers have no times")));
}

TEST(LayerLatencies, WhatIsNoSuchFileIsRefusedWithWhatOneLooksLike) {
  for (const char* text : {"", "[]", "{}", "{\"a\": 1}", "{\"a\": [[1]]}", "{\"a\": [[1, 2]]}", "{\"a\": [\"x\"]}",
                           "{\"a\": [1", "{\"a\": [[1, \"x\", 2]]}"})
    EXPECT_FALSE(latencies(text)) << text;
  EXPECT_THAT(latencies("{\"a\": 1}").error().fix, HasSubstr("[[ms, \"time\"]"));
}

TEST(LayerLatencies, AreWrittenAgainAsTheyWere) {
  for (
      const char* text :
      {R"({"a \"q\"": [[0.030303, "20241121-05:22:50.156286"], [1e-05, "20241121-05:22:50.156999"]], "b": [[1000.0, "20241121-00:00:01.500000"]]})",
       R"({"a": [0.5, 0.25], "ü": [3]})"}) {
    const auto first = latencies(text);
    ASSERT_TRUE(first);
    const std::string again_text = written(*first);
    EXPECT_EQ(nlohmann::json::parse(again_text), nlohmann::json::parse(text));
    const auto again = latencies(again_text);
    ASSERT_TRUE(again);
    for (std::size_t i = 0; i < first->layers.size(); ++i) {
      EXPECT_EQ(again->layers[i].name, first->layers[i].name);
      EXPECT_EQ(again->layers[i].ms, first->layers[i].ms);
      EXPECT_EQ(again->layers[i].told_us, first->layers[i].told_us);
    }
  }
}

TEST(PowerLogs, MillivoltsTimesMilliamperesAreMicrowatts) {
  StampReader stamps;
  const auto reading = parse_power_line("20241121-05:20:04.261448,5000.0,1096.0", stamps);
  ASSERT_TRUE(reading);
  EXPECT_DOUBLE_EQ(reading->microwatt() * 1e-6, 5.480);
  EXPECT_EQ(power_line(*reading), "20241121-05:20:04.261448,5000.0,1096.0\n");
  for (const char* bad :
       {"", "x", "20241121-05:20:04.261448,5000.0", "20241121-05:20:04.261448,a,1", "20241121-05:20:04.261448,nan,1"})
    EXPECT_FALSE(parse_power_line(bad, stamps)) << bad;
}

TEST(PowerLogs, ASourceAskedMoreOftenThanItRenewsIsToldByItsRefreshAndStep) {
  // Renewed every 6.6 ms in steps of 8 mA at 5 V, asked every 1.35 ms.
  std::string text;
  for (int i = 0; i < 20'000; ++i) {
    const auto us = static_cast<std::int64_t>(i) * 1350;
    const auto update = us / 6600;
    text += power_line({1'732'166'404'000'000 + us, 5000, 1096.0 + 8.0 * static_cast<double>(update % 3)});
  }
  text += "20241121-05:2";
  TextSource source(text);
  const auto read = read_power_log(source);
  ASSERT_TRUE(read);
  const auto fact = [&](std::string_view name) {
    for (const Fact& one : read->facts)
      if (one.name == name) return one.value;
    return -1.0;
  };
  EXPECT_NEAR(fact("asked every"), 1.35, 0.01);
  EXPECT_NEAR(fact("value changed every"), 6.6, 0.7);
  EXPECT_NEAR(fact("smallest step"), 0.040, 1e-6);
  EXPECT_NEAR(fact("mean power"), 5.52, 0.01);
  EXPECT_THAT(read->notes, Contains(HasSubstr("repeats, not readings")));
  EXPECT_THAT(read->notes, Contains(HasSubstr("the last one is cut off")));
}

TEST(IdlePowers, AreReadAndWrittenAndRefusedWhereTheyAreNone) {
  TextSource source("{\n    \"timestamp\": \"20241121-051743\",\n    \"avg_idle_power\": 5000000.00\n}");
  const auto idle = read_idle_power(source);
  ASSERT_TRUE(idle);
  EXPECT_EQ(idle->microwatt, 5e6);
  const std::string idle_again = idle_power_json(*idle);
  TextSource again(idle_again);
  EXPECT_EQ(read_idle_power(again)->stamp, "20241121-051743");
  for (const char* text : {"{}", "{\"avg_idle_power\": \"5\"}", "{\"avg_idle_power\": -1}", "[1]", ""}) {
    TextSource bad(text);
    EXPECT_FALSE(read_idle_power(bad)) << text;
  }
}

TEST_F(PublishedRecordings, ResNet18OnADesktopHas29LayersOf100TimesAndDoubleEncodedLatencies) {
  const auto read = latencies(text_of_recording("torch_onnx_trt/trt_layer_latency.json"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->layers.size(), 29u);
  for (const LayerTimes& layer : read->layers) EXPECT_EQ(layer.ms.size(), 100u) << layer.name;
  EXPECT_DOUBLE_EQ(read->layers[0].ms[0], 0.014911999925971031);
  for (const char* name :
       {"torch_onnx_trt/resnet18_onnx_20241029-191627.json", "torch_onnx_trt/resnet18_tensorrt_20241029-191636.json",
        "torch_trt/resnet18_tensorrt_20241025-083233.json"}) {
    const std::string text = text_of_recording(name);
    TextSource source(text, 37);
    const auto benchmark = read_benchmark(source);
    ASSERT_TRUE(benchmark) << name;
    EXPECT_TRUE(benchmark->double_encoded) << name;
    EXPECT_EQ(benchmark->model, "resnet18");
    EXPECT_EQ(benchmark->latency_ms.size(), 100u);
    EXPECT_EQ(benchmark->input_shape, (std::vector<double>{1, 3, 224, 224}));
    const std::string benchmark_again = benchmark_json(*benchmark);
    TextSource again(benchmark_again);
    const auto back = read_benchmark(again);
    ASSERT_TRUE(back);
    for (std::size_t i = 0; i < 100; ++i) EXPECT_NEAR(back->latency_ms[i], benchmark->latency_ms[i], 1e-12);
  }
}

TEST_F(PublishedRecordings, LayersAndWhatIsUnattributedAddUpToTheEndToEndTime) {
  auto read = latencies(text_of_recording("torch_onnx_trt/trt_layer_latency.json"));
  ASSERT_TRUE(read);
  const std::string text = text_of_recording("torch_onnx_trt/resnet18_tensorrt_20241029-191636.json");
  TextSource source(text);
  read->inference_ms = read_benchmark(source)->latency_ms;
  const auto rest = unattributed(*read);
  ASSERT_TRUE(rest);
  EXPECT_NEAR(rest->layers_ms + rest->ms(), rest->whole_ms, 1e-12);
  EXPECT_GT(rest->ms(), 0);
}

TEST_F(PublishedRecordings, EveryFileOfLayerTimesIsWrittenAgainAsItWas) {
  for (const char* name : {"torch_onnx_trt/trt_layer_latency.json", "torch_trt/trt_layer_latency.json",
                           "golden/example_raw_data/multiple_layers/trt_profiling/trt_layer_latency.json"}) {
    const auto read = latencies(text_of_recording(name));
    ASSERT_TRUE(read) << name;
    const auto again = latencies(written(*read));
    ASSERT_TRUE(again) << name;
    for (std::size_t i = 0; i < read->layers.size(); ++i) {
      EXPECT_EQ(again->layers[i].ms, read->layers[i].ms);
      EXPECT_EQ(again->layers[i].told_us, read->layers[i].told_us);
    }
  }
}

}  // namespace
}  // namespace prony::layers
