// Layers of TensorRT as spans, with a stand-in for its documented interface.
#include "nvinfer_stand_in.hpp"
//
#include <gtest/gtest.h>
#include <prony/tensorrt.hpp>

#include <limits>
#include <map>
#include <stdexcept>

#include "ring_file.hpp"

namespace prony::test {
namespace {

struct TensorRt : testing::Test {
  TensorRt() { EXPECT_EQ(prony_open(file.path().c_str()), 0); }
  ~TensorRt() override { prony_close(); }

  struct Seen {
    std::string name;
    std::uint64_t parent = 0, id = 0;
    int kind = 0;
    std::int64_t begin = 0, end = 0;
  };
  std::vector<Seen> spans() {
    std::vector<Seen> out;
    for (const Record& record : file.drain()) {
      if (record.type == ring::SlotType::complete)
        out.push_back({record.text, record.parent, record.span, static_cast<int>(record.kind),
                       static_cast<std::int64_t>(record.time_ns), record.value});
    }
    return out;
  }
  RingFile file;
  nvinfer1::IExecutionContext context;
};

// Kills: the time at which a call arrives taken for a layer's end; all layers then end together, after the inference.
TEST_F(TensorRt, LayersReportedAfterTheRunLieOneAfterAnotherWithinIt) {
  {
    TensorRtLayers layers(context);
    const auto inference = layers.inference("frame 1");
    context.enqueueV3({{"conv1", 2.0F}, {"conv2", 1.0F}, {"fc", 0.25F}}, 8'000'000);
  }
  const auto seen = spans();
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_EQ(seen[0].name, "frame 1");
  EXPECT_EQ(seen[0].kind, PRONY_BATCH);
  EXPECT_EQ(seen[1].begin, seen[0].begin);
  for (std::size_t i = 1; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].parent, seen[0].id);
    EXPECT_EQ(seen[i].kind, PRONY_LAYER);
    EXPECT_LE(seen[i].end, seen[0].end);
    if (i > 1) {
      EXPECT_EQ(seen[i].begin, seen[i - 1].end);
    }
  }
  EXPECT_EQ(seen[1].end - seen[1].begin, 2'000'000);
  EXPECT_EQ(seen[3].end - seen[3].begin, 250'000);
}

TEST_F(TensorRt, LayersThatAddUpToMoreThanTheInferenceAreNotWritten) {
  {
    TensorRtLayers layers(context);
    const auto inference = layers.inference("short");
    context.enqueueV3({{"a", 60'000.0F}, {"b", 60'000.0F}}, 1000);
  }
  EXPECT_EQ(spans().size(), 1U);
}

TEST_F(TensorRt, ADurationThatCannotBeIsNotWritten) {
  TensorRtLayers layers(context);
  for (const float wrong : {-1.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto inference = layers.inference("wrong");
    context.enqueueV3({{"a", wrong}}, 1000);
  }
  EXPECT_EQ(spans().size(), 3U);
}

TEST_F(TensorRt, EachInferenceHasItsOwnLayersAndTheProfilerBeforeComesBack) {
  struct Other final : nvinfer1::IProfiler {
    void reportLayerTime(char const*, float) noexcept override { ++calls; }
    int calls = 0;
  } other;
  context.setProfiler(&other);
  {
    TensorRtLayers layers(context);
    for (int i = 0; i < 3; ++i) {
      const auto inference = layers.inference("run");
      context.enqueueV3({{"only", 0.001F}}, 100'000);
    }
  }
  EXPECT_EQ(context.getProfiler(), &other);
  EXPECT_EQ(other.calls, 0);
  std::map<std::uint64_t, int> layers_of;
  for (const Seen& one : spans())
    if (one.kind == PRONY_LAYER) ++layers_of[one.parent];
  EXPECT_EQ(layers_of.size(), 3U);
  for (const auto& [parent, count] : layers_of) EXPECT_EQ(count, 1);
}

TEST_F(TensorRt, AnInferenceThatThrowsLeavesItsSpanAndNothingElseBreaks) {
  TensorRtLayers layers(context);
  try {
    const auto inference = layers.inference("thrown");
    throw std::runtime_error("no memory");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(spans().size(), 1U);
}

TEST(TensorRtAlone, WithoutARecorderNothingIsKept) {
  nvinfer1::IExecutionContext context;
  TensorRtLayers layers(context);
  const auto inference = layers.inference();
  EXPECT_TRUE(context.enqueueV3({{"a", 1.0F}}, 1));
}

}  // namespace
}  // namespace prony::test
