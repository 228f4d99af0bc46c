#include "layers/tensorrt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "layers/features.hpp"
#include "recordings.hpp"

namespace prony::layers {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

std::string engine_layer(const std::string& name, const std::string& type, const std::string& parameters,
                         const std::string& in, const std::string& out, const std::string& more) {
  const auto port = [](const std::string& shape) {
    return R"([{"Name": "t", "Dimensions": )" + shape + R"(, "Format/Datatype": "Row major linear FP16 format"}])";
  };
  return R"({"Name": ")" + name + R"(", "LayerType": ")" + type + R"(", "ParameterType": ")" + parameters +
         R"(", "Inputs": )" + port(in) + R"(, "Outputs": )" + port(out) + more + "}";
}

Engine engine_of(const std::string& layers) {
  const auto engine = read_engine("{\"Layers\": [" + layers + "], \"Bindings\": []}");
  EXPECT_TRUE(engine);
  return engine.value_or(Engine{});
}

const std::string square = R"(, "Stride": [2, 2], "PrePadding": [1, 1], "PostPadding": [1, 1], "Dilation": [1, 1])";

// resnet18's pooling is 3×3 over 112×112, vgg16's first 2×2 over 224×224: EdgeProfiler takes the whole input for both.
TEST(Engines, PoolingsHaveTheirWindowAndEdgeProfilersMistakeIsKeptOnlyWhereItIsAskedFor) {
  const Engine engine = engine_of(engine_layer("resnet18", "CaskPooling", "Pooling", "[1, 64, 112, 112]",
                                               "[1, 64, 56, 56]", R"(, "WindowSize": [3, 3])" + square) +
                                  "," +
                                  engine_layer("vgg16", "CaskPooling", "Pooling", "[1, 64, 224, 224]",
                                               "[1, 64, 112, 112]", R"(, "WindowSize": [2, 2])" + square));
  const auto feature = [&](std::size_t layer, Windows windows, const char* name) {
    return features_of(engine, layer, windows)->at(name);
  };
  EXPECT_EQ(feature(0, Windows::true_ones, "kernel_0"), 3);
  EXPECT_EQ(feature(0, Windows::true_ones, "kernel_1"), 3);
  EXPECT_EQ(feature(1, Windows::true_ones, "kernel_0"), 2);
  EXPECT_EQ(feature(0, Windows::as_edgeprofiler, "kernel_0"), 112);
  EXPECT_EQ(feature(1, Windows::as_edgeprofiler, "kernel_1"), 224);
  EXPECT_EQ(*engine.network.layers[0].other_operations, 64.0 * 56 * 56 * 9);
  EXPECT_THAT(engine.notes, Contains(HasSubstr("WindowSize, not in Kernel")));
}

TEST(Engines, MultiplyAddsFollowGroupsAndOutputChannels) {
  const std::string dense = R"(, "Kernel": [3, 3], "Groups": 1, "OutMaps": 64)" + square;
  const std::string depthwise =
      R"(, "Kernel": [3, 3], "Groups": 32, "OutMaps": 32, "Weights": {"Type": "Half", "Count": 288})" + square;
  const Engine engine = engine_of(
      engine_layer("dense", "CaskConvolution", "Convolution", "[1, 32, 112, 112]", "[1, 64, 56, 56]", dense) + "," +
      engine_layer("depthwise", "CaskConvolution", "Convolution", "[1, 32, 112, 112]", "[1, 32, 56, 56]", depthwise));
  EXPECT_EQ(*engine.network.layers[0].macs, 64.0 * 56 * 56 * 32 * 9);
  EXPECT_EQ(*engine.network.layers[1].macs, 32.0 * 56 * 56 * 1 * 9);
  EXPECT_EQ(engine.network.layers[1].groups, 32);
  EXPECT_EQ(*engine.network.layers[1].bytes_read, 2.0 * 32 * 112 * 112 + 2 * 288);
  EXPECT_EQ(*engine.network.layers[1].bytes_written, 2.0 * 32 * 56 * 56);
  EXPECT_THAT(engine.notes, Contains(HasSubstr("1 convolutions have groups")));
}

// Kills: a window for each output of a transposed convolution, stride² times too many.
TEST(Engines, OfATransposedConvolutionEachInputMeetsTheWholeWindow) {
  const std::string two = R"(, "Kernel": [2, 2], "Stride": [2, 2], "Groups": )";
  const Engine engine = engine_of(
      engine_layer("up", "CaskDeconvolution", "Deconvolution", "[1, 64, 16, 16]", "[1, 32, 32, 32]", two + "1") + "," +
      engine_layer("grouped", "CaskDeconvolutionV2", "", "[1, 64, 16, 16]", "[1, 32, 32, 32]", two + "4"));
  EXPECT_EQ(*engine.network.layers[0].macs, 2097152);
  EXPECT_EQ(engine.network.layers[0].weight_shape, (LayerShape{64, 32, 2, 2}));
  EXPECT_EQ(*engine.network.layers[1].macs, 2097152 / 4);
  EXPECT_EQ(engine.network.layers[1].weight_shape, (LayerShape{64, 8, 2, 2}));
}

TEST(Engines, AnOpenBatchIsNamedAndWhatIsToldFillsIt) {
  const std::string convolution = R"(, "Kernel": [3, 3], "Groups": 1)";
  std::string text =
      "{\"Layers\": [" +
      engine_layer("c", "CaskConvolution", "Convolution", "[-1, 32, 8, 8]", "[-1, 64, 8, 8]", convolution) + "]}";
  const auto open = read_engine(text), four = read_engine(text, 4);
  ASSERT_TRUE(open && four);
  EXPECT_THAT(open->open_inputs, ::testing::ElementsAre("t [-1,32,8,8]"));
  EXPECT_FALSE(open->network.layers[0].macs);
  EXPECT_FALSE(open->network.layers[0].absent.empty());
  EXPECT_TRUE(four->open_inputs.empty());
  EXPECT_EQ(*four->network.layers[0].macs, 4.0 * 64 * 64 * 32 * 9);
  text.replace(text.find("32, 8, 8"), 8, "32, -1, 8");
  EXPECT_THAT(read_engine(text, 4)->open_inputs, ::testing::ElementsAre("t [4,32,-1,8]"));
}

TEST(Engines, KindsAreToldByParameterTypeAndWhereItIsMissingByLayerType) {
  const auto kind = [](const std::string& type, const std::string& parameters) {
    return engine_of(engine_layer("x", type, parameters, "[1, 8, 4, 4]", "[1, 8, 4, 4]", "")).network.layers[0].kind;
  };
  EXPECT_EQ(kind("CaskConvolution", "Convolution"), LayerKind::convolution);
  EXPECT_EQ(kind("kgen", "ElementWise"), LayerKind::elementwise);
  for (const auto& [type, expected] :
       std::initializer_list<std::pair<const char*, LayerKind>>{{"CaskConvolution", LayerKind::convolution},
                                                                {"CaskDeconvolutionV2", LayerKind::convolution},
                                                                {"CaskGemmConvolution", LayerKind::convolution},
                                                                {"CaskGemmMatrixMultiply", LayerKind::matmul},
                                                                {"CaskPooling", LayerKind::pooling},
                                                                {"PointWiseV2", LayerKind::elementwise},
                                                                {"CudaSoftMax", LayerKind::softmax},
                                                                {"Reformat", LayerKind::layout},
                                                                {"LRN", LayerKind::normalisation},
                                                                {"kgen", LayerKind::unknown},
                                                                {"", LayerKind::unknown}})
    EXPECT_EQ(kind(type, ""), expected) << type;
}

TEST(Engines, WeightsThatAreNotToldFollowFromTheShapes) {
  const Engine engine = engine_of(engine_layer("c", "CaskConvolution", "Convolution", "[1, 32, 8, 8]", "[1, 64, 8, 8]",
                                               R"(, "Kernel": [3, 3], "Groups": 4)"));
  EXPECT_EQ(engine.network.layers[0].parameters, 64.0 * 32 / 4 * 9);
  EXPECT_EQ(engine.network.layers[0].weight_bytes, 2 * 64.0 * 32 / 4 * 9);
}

TEST(Engines, WithoutDetailsHaveTheirLayersNamesAndSayWhyNothingElseIsThere) {
  const auto engine = read_engine(R"({"Layers": ["a", "b", "a"], "Bindings": ["x"]})");
  ASSERT_TRUE(engine);
  ASSERT_EQ(engine->network.layers.size(), 3u);
  EXPECT_EQ(engine->network.layers[2].name, "a (2)");
  EXPECT_FALSE(engine->network.layers[0].macs);
  EXPECT_THAT(engine->network.layers[0].absent, HasSubstr("verbosity"));
  EXPECT_THAT(engine->notes, Contains(HasSubstr("detailed profiling verbosity")));
}

TEST(Engines, HostileDescriptionsAreRefusedOrHaveAbsentFigures) {
  for (const char* text : {"", "[]", "{}", "{\"Layers\": 1}", "{\"Layers\": []}", "{\"Layers\": [1]}",
                           "{\"Layers\": [{}", "\"{\\\"Layers\\\": \""})
    EXPECT_FALSE(read_engine(text)) << text;
  const auto odd = read_engine(
      R"({"Layers": [{"Name": 5, "LayerType": "CaskConvolution", "ParameterType": "Convolution", "Kernel": [-1, 3], "Groups": -4,
          "Inputs": [{"Dimensions": [1, -1, 99999999999999999999, 3]}], "Outputs": [{"Dimensions": "x"}], "Weights": {"Count": -5}}]})");
  ASSERT_TRUE(odd);
  EXPECT_FALSE(odd->network.layers[0].macs);
  EXPECT_FALSE(odd->network.layers[0].absent.empty());
  EXPECT_EQ(odd->network.layers[0].parameters, 0);
}

TEST(TrtexecFiles, ProfilesOfTensorRT8WithoutMediansAndOf10WithThemAreRead) {
  const std::string eight =
      R"([ { "count" : 10 }, { "name" : "a", "timeMs" : 5, "averageMs" : 0.5, "percentage" : 100 } ])";
  TextSource source(eight);
  const auto read = read_trtexec_profile(source);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->layers[0].mean_ms, 0.5);
  EXPECT_FALSE(read->layers[0].median_ms);
  EXPECT_EQ(read->layers[0].runs, 10u);
  EXPECT_THAT(read->notes, Contains(HasSubstr("no medians")));
}

TEST(TrtexecFiles, TimesOfOldReleasesWithInAndOutInsteadOfH2dAndD2hAreRead) {
  const std::string text =
      R"([ { "startEnqMs" : 1, "startInMs": 1, "startComputeMs" : 1, "endComputeMs" : 2, "inMs": 0, "computeMs" : 1, "latencyMs" : 1.5, "endToEndMs": 2 },
                                { "startComputeMs" : 1.5, "endComputeMs" : 2.5, "computeMs" : 1, "latencyMs" : 1.25 }, { "x": 1 } ])";
  TextSource source(text);
  const auto times = read_trtexec_times(source);
  ASSERT_TRUE(times);
  EXPECT_EQ(times->latency_ms, (std::vector<double>{1.5, 1.25}));
  EXPECT_EQ(times->overlapping, 1u);
  EXPECT_THAT(times->notes, Contains(HasSubstr("1 entries have neither")));
}

TEST_F(PublishedRecordings, EnginesOfResNet18HaveTheNetworksMultiplyAddsAndEveryLayerHasARow) {
  for (const auto& [name, layers] : {std::pair<const char*, std::size_t>{"torch_onnx_trt/trt_engine_info.json", 29},
                                     {"torch_trt/trt_engine_info.json", 26}}) {
    const auto engine = read_engine(text_of_recording(name));
    ASSERT_TRUE(engine) << name;
    EXPECT_EQ(engine->network.layers.size(), layers) << name;
    // 1.814 G multiply-adds at 224×224: convolutions and the last matrix.
    EXPECT_NEAR(engine->network.macs, 1.814e9, 0.001e9) << name;
    EXPECT_THAT(engine->notes, Contains(HasSubstr("2 poolings have their window in WindowSize"))) << name;
    std::size_t pools = 0;
    for (std::size_t i = 0; i < engine->types.size(); ++i)
      if (engine->types[i] == "CaskPooling" && pools++ == 0) {
        EXPECT_EQ(engine->network.layers[i].kernel, (std::vector<std::int64_t>{3, 3}));
      }
  }
}

TEST_F(PublishedRecordings, TrtexecsProfileTimesAndLayerInfoAreOfOneNetwork) {
  const std::string profile_text = text_of_recording("trtexec/resnet18_fp16.profile.json");
  TextSource profile_source(profile_text);
  const auto profile = read_trtexec_profile(profile_source);
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->layers.front().runs, 21071u);
  const auto engine = read_engine(text_of_recording("trtexec/resnet18_fp16.graph.json"));
  ASSERT_TRUE(engine);
  for (const LayerTimes& layer : profile->layers)
    EXPECT_THAT(engine->network.layers, Contains(::testing::Field(&NetworkLayer::name, layer.name)));
  const std::string times_text = text_of_recording("trtexec/resnet18_fp16.timing.json");
  TextSource times_source(times_text, 4096);
  const auto times = read_trtexec_times(times_source);
  ASSERT_TRUE(times);
  EXPECT_GT(times->latency_ms.size(), 5000u);
  EXPECT_NEAR(spread_of(times->latency_ms)->mean, 0.277, 0.002);
}

// EdgeProfiler's expected features of its own test network; its pooling's window is wrong there, and only there.
TEST_F(PublishedRecordings, FeaturesOfEdgeProfilersTestNetworkAreThoseItExpectsButForThePoolingsWindow) {
  const auto engine = read_engine(text_of_recording("golden/example_preprocessed_data/model1/trt_engine_info.json"));
  ASSERT_TRUE(engine);
  const auto expected =
      nlohmann::json::parse(text_of_recording("golden/example_preprocessed_data/model1/expected_features.json"));
  for (std::size_t i = 0; i < engine->types.size(); ++i) {
    const std::string table(table_of(engine->types[i]));
    if (table.empty()) continue;
    const auto old = features_of(*engine, i, Windows::as_edgeprofiler),
               now = features_of(*engine, i, Windows::true_ones);
    ASSERT_TRUE(old && now);
    ASSERT_EQ(old->size(), expected[table].size());
    for (const auto& [name, value] : *old)
      EXPECT_EQ(value, expected[table][name].get<double>()) << table << ' ' << name;
    for (const auto& [name, value] : *now)
      if (table != "pooling" || !name.starts_with("kernel")) {
        EXPECT_EQ(value, old->at(name)) << name;
      }
    if (table == "pooling") {
      EXPECT_EQ(now->at("kernel_0"), 3);
    }
  }
}

TEST_F(PublishedRecordings, PreprocessedDataBecomesStatisticsAndTrainingDataThatReadBack) {
  for (const std::string model : {"model1", "model2"}) {
    const std::string folder = "golden/example_preprocessed_data/" + model + "/";
    const std::string text = text_of_recording(folder + "power_runtime_mapping_layerwise.csv");
    TextSource source(text);
    const auto mapping = read_mapping(source);
    ASSERT_TRUE(mapping) << model;
    EXPECT_EQ(mapping->rows, 12u);
    // What EdgeProfiler wrote of the same rows.
    for (const bool power : {true, false}) {
      const std::string made = power ? power_stats_csv(*mapping) : time_stats_csv(*mapping);
      const std::string theirs =
          text_of_recording(folder + model + (power ? "_average_power_stats.csv" : "_average_run_time_stats.csv"));
      TextSource made_source(made), their_source(theirs);
      const auto mine = read_stats(made_source), old = read_stats(their_source);
      ASSERT_TRUE(mine && old);
      ASSERT_EQ(mine->size(), old->size());
      EXPECT_EQ(made.substr(0, made.find('\n')), theirs.substr(0, theirs.find('\n')));
      for (std::size_t i = 0; i < old->size(); ++i) {
        EXPECT_EQ((*mine)[i].name, (*old)[i].name);
        EXPECT_EQ((*mine)[i].spread.count, (*old)[i].spread.count);
        EXPECT_NEAR((*mine)[i].spread.mean, (*old)[i].spread.mean, 1e-12);
        EXPECT_NEAR((*mine)[i].spread.deviation.value_or(-1), (*old)[i].spread.deviation.value_or(-1), 1e-12);
        EXPECT_NEAR((*mine)[i].spread.three_quarters, (*old)[i].spread.three_quarters, 1e-12);
      }
    }
  }
}

TEST(TrainingData, ALayerWithTooFewSamplesIsLeftOutWithItsReasonAndTheOthersStay) {
  const Engine engine = engine_of(engine_layer("pool", "CaskPooling", "Pooling", "[1, 64, 112, 112]", "[1, 64, 56, 56]",
                                               R"(, "WindowSize": [3, 3])" + square) +
                                  "," +
                                  engine_layer("conv", "CaskConvolution", "Convolution", "[1, 3, 224, 224]",
                                               "[1, 64, 112, 112]", R"(, "Kernel": [7, 7], "Groups": 1)" + square));
  Mapping mapping;
  mapping.layers = {{"pool", "CaskPooling", {3e6}, {1e6}, {0.25, 0.75}},
                    {"conv", "CaskConvolution", {3e6, 5e6}, {1e6, 3e6}, {0.5, 0.5}},
                    {"reformat", "Reformat", {}, {}, {0.1}},
                    {"gone", "CaskConvolution", {1, 1}, {1, 1}, {1, 1}}};
  const Training training = training_of(mapping, engine, Windows::true_ones, 2);
  ASSERT_EQ(training.tables.size(), 1u);
  EXPECT_EQ(
      training_csv(training.tables[0]),
      "batch_size,input_size_0,input_size_1,input_size_2,output_size_0,output_size_1,output_size_2,kernel_0,kernel_1,"
      "padding_0,"
      "padding_1,stride_0,stride_1,power,runtime,layer_name\n1,3,224,224,64,112,112,7,7,2,2,2,2,2000000.0,0.5,conv\n");
  EXPECT_EQ(training.left_out.size(), 2u);
  EXPECT_THAT(training.left_out, Contains(HasSubstr("pool: 1 powers and 2 times, fewer than 2")));
  EXPECT_THAT(training.left_out, Contains(HasSubstr("gone: the engine has no such layer")));
  const std::string text = training_csv(training.tables[0]);
  TextSource source(text);
  const auto back = read_training(source);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->rows, training.tables[0].rows);
  EXPECT_EQ(back->names, training.tables[0].names);
}

}  // namespace
}  // namespace prony::layers
