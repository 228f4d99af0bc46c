#include "layers/other_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recordings.hpp"

namespace prony::layers {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

std::string node(const std::string& name, const std::string& op, int begin, int us) {
  return R"({"cat" : "Node","pid" :1,"tid" :7,"dur" :)" + std::to_string(us) + R"(,"ts" :)" + std::to_string(begin) +
         R"(,"ph" : "X","name" :")" + name + R"(_kernel_time","args" : {"op_name" : ")" + op +
         R"(","provider" : "CPUExecutionProvider"}})";
}

TEST(OnnxRuntimeProfiles, NodesHaveTheirTimesInOrderAndThoseInsideALoopAreNotCountedTwice) {
  const std::string text = "[" + node("conv", "Conv", 100, 50) + "," + node("inner", "Add", 210, 20) + "," +
                           node("loop", "Loop", 200, 100) + "," +
                           R"({"cat":"Session","dur":300,"ts":90,"name":"model_run","args":{}},)" +
                           node("conv", "Conv", 500, 40) + "]";
  TextSource source(text);
  const auto read = read_onnxruntime_profile(source);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->layers.size(), 2u);
  EXPECT_EQ(read->layers[0].name, "conv");
  EXPECT_EQ(read->layers[0].type, "Conv");
  EXPECT_EQ(read->layers[0].ms, (std::vector<double>{0.05, 0.04}));
  EXPECT_EQ(read->layers[1].name, "loop");
  EXPECT_EQ(read->inference_ms, (std::vector<double>{0.3}));
  EXPECT_THAT(read->notes, Contains(HasSubstr("1 times of nodes inside If, Loop or Scan")));
}

TEST(TegrastatsLogs, HaveMeanPowersOfTheirRailsWithAndWithoutUnits) {
  const std::string text =
      "RAM 2448/7772MB (lfb 1x4MB) SWAP 0/3886MB (cached 0MB) CPU [1%@729,off] EMC_FREQ 0% GR3D_FREQ 0% VDD_IN "
      "5000mW/4900mW VDD_SOC 1200mW/1100mW\n"
      "RAM 2448/7772MB VDD_IN 6000mW/5000mW VDD_SOC 1400mW/1100mW\nnothing here\n";
  TextSource source(text);
  const auto read = read_tegrastats_log(source);
  ASSERT_TRUE(read);
  EXPECT_EQ(kind_of(text), FileKind::tegrastats_log);
  ASSERT_EQ(read->facts.size(), 3u);
  EXPECT_EQ(read->facts[1].name, "mean power of VDD_IN");
  EXPECT_DOUBLE_EQ(read->facts[1].value, 5.5);
  EXPECT_DOUBLE_EQ(read->facts[2].value, 1.3);
  EXPECT_THAT(read->notes, Contains(HasSubstr("1 lines without power")));
}

TEST(TracedKernels, StandUnderTheRangeInWhichTheyWereLaunchedOrUnderTheirOwnName) {
  const std::vector<TracedKernel> kernels{
      {"gemm", "conv1", 1, 0, 1000}, {"copy", "", 0, 1000, 3000}, {"gemm", "conv1", 2, 5000, 7000}, {"x", "", 0, 9, 8}};
  const auto read = recording_of_kernels(kernels);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->layers.size(), 2u);
  EXPECT_EQ(read->layers[0].ms, (std::vector<double>{0.001, 0.002}));
  EXPECT_EQ(read->layers[1].name, "copy");
  EXPECT_THAT(read->notes, Contains(HasSubstr("1 kernels end before they begin")));
  EXPECT_FALSE(recording_of_kernels({}));
}

// Kills: the mean of a layer's kernels for its time.
TEST(TracedKernels, OfOneRangeAreAddedUpAndSharesAreOfAllTimes) {
  std::vector<TracedKernel> kernels;
  std::int64_t at = 0;
  std::uint64_t call = 0;
  const auto add = [&](const char* name, const char* range, std::uint64_t of, std::int64_t ns) {
    kernels.push_back({name, range, of, at, at + ns});
    at += ns + 10;
  };
  for (int inference = 0; inference < 10; ++inference) {
    for (const auto& [range, ns] : {std::pair<const char*, std::int64_t>{"conv1", 100'000}, {"fc", 50'000}}) {
      ++call;
      add("a", range, call, ns);
      add("b", range, call, ns);
    }
    add("loose", "", 0, 5'000);
    add("loose", "", 0, 5'000);
  }
  auto read = recording_of_kernels(kernels);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->layers.size(), 3U);
  EXPECT_EQ(read->layers[0].ms.size(), 10U);
  EXPECT_NEAR(*mean_ms(read->layers[0]), 0.2, 1e-12);
  EXPECT_NEAR(*mean_ms(read->layers[1]), 0.1, 1e-12);
  const auto shares = shares_of(*read);
  EXPECT_NEAR(*shares[0], 0.2 / 0.31, 1e-12);
  EXPECT_NEAR(*shares[2], 0.01 / 0.31, 1e-12);
  // Twice in an inference: the means do not add up to one.
  read->inference_ms = {0.4};
  EXPECT_FALSE(unattributed(*read));
  read->layers.pop_back();
  ASSERT_TRUE(unattributed(*read));
  EXPECT_NEAR(unattributed(*read)->ms(), 0.1, 1e-12);
}

TEST_F(PublishedRecordings, EveryFileIsKnownForWhatItIsByHowItBegins) {
  const std::vector<std::pair<const char*, FileKind>> files{
      {"torch_onnx_trt/trt_layer_latency.json", FileKind::layer_latencies},
      {"torch_onnx_trt/trt_engine_info.json", FileKind::engine},
      {"torch_onnx_trt/resnet18_onnx_20241029-191627.json", FileKind::benchmark},
      {"trtexec/resnet18_fp16.graph.json", FileKind::engine},
      {"trtexec/resnet18_fp16.profile.json", FileKind::trtexec_profile},
      {"trtexec/resnet18_fp16.timing.json", FileKind::trtexec_times},
      {"trtexec/resnet18_fp16.build.metadata.json", FileKind::trtexec_metadata},
      {"trtexec/resnet18_fp16.profile.metadata.json", FileKind::trtexec_metadata},
      {"golden/example_raw_data/idling_power.json", FileKind::idle_power},
      {"golden/example_raw_data/simple/simple_power_log.log", FileKind::power_log},
      {"golden/example_raw_data/simple/simple_tensorrt.json", FileKind::benchmark},
      {"golden/example_raw_data/simple/trt_profiling/trt_layer_latency.json", FileKind::layer_latencies},
      {"golden/example_raw_data/simple/trt_profiling/trt_engine_info.json", FileKind::engine},
      {"golden/example_preprocessed_data/model1/power_runtime_mapping_layerwise.csv", FileKind::mapping},
      {"golden/example_preprocessed_data/model1/model1_average_power_stats.csv", FileKind::stats},
      {"README.md", FileKind::unknown}};
  for (const auto& [name, kind] : files)
    EXPECT_EQ(to_string(kind_of(text_of_recording(name).substr(0, 65536))), to_string(kind)) << name;
}

}  // namespace
}  // namespace prony::layers
