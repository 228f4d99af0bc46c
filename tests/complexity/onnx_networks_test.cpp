// The built-in architectures, written by synth and read again: parameters and multiply-adds are the published ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "../support/scratch.hpp"
#include "complexity/onnx.hpp"
#include "synth/onnx_networks.hpp"

namespace prony::complexity {
namespace {

struct Made {
  ScratchFolder scratch{"onnx"};
  std::string path = scratch.path() + "/network.onnx";
  OnnxNetworkReport report;
  OnnxModel model;
  NetworkLayers network;

  explicit Made(OnnxNetworkOptions options, const OnnxShapes& shapes = {}) {
    const auto written = write_onnx_network(options, path);
    EXPECT_TRUE(written) << (written ? "" : written.error().what);
    if (!written) return;
    report = *written;
    auto read = read_onnx(path);
    EXPECT_TRUE(read) << (read ? "" : read.error().what);
    if (!read) return;
    model = *read;
    auto layers = layers_of(model, shapes);
    EXPECT_TRUE(layers) << (layers ? "" : layers.error().what);
    if (layers) network = *layers;
  }
  const NetworkLayer& layer(std::string_view name) const {
    const auto found = std::find_if(network.layers.begin(), network.layers.end(),
                                    [&](const NetworkLayer& one) { return one.name == name; });
    EXPECT_NE(found, network.layers.end()) << name;
    static const NetworkLayer none;
    return found == network.layers.end() ? none : *found;
  }
};

OnnxNetworkOptions plain(std::string architecture) {
  OnnxNetworkOptions options;
  options.architecture = std::move(architecture);
  return options;
}

struct Known {
  const char* name;
  double parameters;
  double giga_macs;  // as torchvision publishes them, to three decimals; 0: not published there
};

class Published : public testing::TestWithParam<Known> {};

TEST_P(Published, ParametersAndMultiplyAddsAreThePublishedOnesAndNoLayerIsUnknown) {
  const Made made(plain(GetParam().name));
  EXPECT_EQ(static_cast<double>(made.report.parameters), GetParam().parameters);
  EXPECT_EQ(made.model.parameters(), GetParam().parameters);
  EXPECT_EQ(made.network.parameters, GetParam().parameters);
  EXPECT_EQ(made.network.layers.size(), made.report.nodes);
  EXPECT_EQ(made.network.unknown_layers, 0U);
  if (GetParam().giga_macs > 0) {
    EXPECT_NEAR(made.network.macs * 1e-9, GetParam().giga_macs, 0.00051);
  }
  for (const NetworkLayer& one : made.network.layers) {
    EXPECT_EQ(one.absent, "") << one.name;
    EXPECT_TRUE(one.bytes_read && one.bytes_written && one.macs) << one.name;
  }
}

// torchvision's own counts (num_params and _ops of its weights); BERT's are those of google/bert_uncased_L-*.
INSTANTIATE_TEST_SUITE_P(
    Architectures, Published,
    testing::Values(Known{"alexnet", 61'100'840, 0.714}, Known{"vgg11", 132'863'336, 7.609},
                    Known{"vgg16", 138'357'544, 15.470}, Known{"resnet18", 11'689'512, 1.814},
                    Known{"resnet34", 21'797'672, 3.664}, Known{"resnet50", 25'557'032, 4.089},
                    Known{"resnext50_32x4d", 25'028'904, 4.230}, Known{"densenet121", 7'978'856, 2.834},
                    Known{"densenet169", 14'149'480, 3.360}, Known{"efficientnet_b1", 7'794'184, 0.687},
                    Known{"googlenet", 6'624'904, 1.498}, Known{"squeezenet1_0", 1'248'424, 0.819},
                    Known{"squeezenet1_1", 1'235'496, 0.349}, Known{"mobilenet_v2", 3'504'872, 0.301},
                    Known{"mobilenet_v3_small", 2'542'856, 0.057}, Known{"mobilenet_v3_large", 5'483'032, 0.217},
                    Known{"efficientnet_b0", 5'288'548, 0.386}, Known{"lenet", 61'706, 0},
                    Known{"bert-tiny", 4'385'920, 0}, Known{"bert-mini", 11'170'560, 0}),
    [](const auto& of) {
      std::string name = of.param.name;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

// EdgeProfiler took the window for the kernel of weights, of which a pooling has none.
TEST(Windows, TheFirstPoolingOfResnet18Is3By3WithStride2AndPadding1) {
  const Made made(plain("resnet18"));
  const NetworkLayer& pool = made.layer("maxpool");
  EXPECT_EQ(pool.kind, LayerKind::pooling);
  EXPECT_EQ(pool.kernel, (std::vector<std::int64_t>{3, 3}));
  EXPECT_EQ(pool.stride, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(pool.pad_begin, (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ(pool.input_shapes.at(0), (LayerShape{1, 64, 112, 112}));
  EXPECT_EQ(pool.output_shapes.at(0), (LayerShape{1, 64, 56, 56}));
  EXPECT_EQ(pool.macs, 0);
  EXPECT_EQ(pool.other_operations, 64.0 * 56 * 56 * 9);
}

TEST(Windows, EveryPoolingOfVgg16Is2By2WithStride2) {
  OnnxNetworkOptions options = plain("vgg16");
  options.width = 0.125;
  const Made made(options);
  int poolings = 0;
  for (const NetworkLayer& one : made.network.layers) {
    if (one.op != "MaxPool") continue;
    ++poolings;
    EXPECT_EQ(one.kernel, (std::vector<std::int64_t>{2, 2}));
    EXPECT_EQ(one.stride, (std::vector<std::int64_t>{2, 2}));
    EXPECT_EQ(one.output_shapes.at(0)[2] * 2, one.input_shapes.at(0)[2]);
  }
  EXPECT_EQ(poolings, 5);
}

// Kills: Cin instead of Cin/groups, which makes this layer 96 times as dear.
TEST(Windows, ADepthwiseConvolutionOfMobilenetCountsEachChannelOnce) {
  const Made made(plain("mobilenet_v2"));
  const NetworkLayer& layer = made.layer("features.2.depthwise.0");
  EXPECT_EQ(layer.groups, 96);
  EXPECT_EQ(layer.weight_shape, (LayerShape{96, 1, 3, 3}));
  EXPECT_EQ(layer.macs, 96.0 * 56 * 56 * 9);
  EXPECT_EQ(layer.parameters, 96 * 9);
  EXPECT_EQ(layer.followed_by, "Clip");  // past the batch normalisation
  EXPECT_EQ(layer.bytes_read, 4.0 * (96 * 112 * 112 + 96 * 9));
  EXPECT_EQ(layer.bytes_written, 4.0 * 96 * 56 * 56);
}

TEST(Shapes, ADynamicBatchIsAskedForAndNotGuessed) {
  OnnxNetworkOptions options = plain("lenet");
  options.dynamic_batch = true;
  const Made made(options, [] {
    OnnxShapes shapes;
    shapes.batch = 4;
    return shapes;
  }());
  EXPECT_EQ(made.network.outputs.at(0).shape, (LayerShape{4, 10}));
  const auto open = layers_of(made.model);
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, ErrorCode::usage);
  EXPECT_NE(open.error().what.find("input [batch,1,32,32]"), std::string::npos) << open.error().what;
  EXPECT_NE(open.error().fix.find("--input-shape"), std::string::npos);
  EXPECT_EQ(made.model.parameters(), 61'706);  // what needs no shape is told all the same
}

TEST(Shapes, MultiplyAddsGrowWithTheBatchAndParametersDoNot) {
  OnnxShapes four;
  four.batch = 4;
  for (const char* name : {"squeezenet1_1", "bert-tiny"}) {
    const Made one(plain(name));
    const auto many = layers_of(one.model, four);
    ASSERT_TRUE(many) << many.error().what;
    EXPECT_EQ(many->macs, 4 * one.network.macs) << name;
    EXPECT_EQ(many->parameters, one.network.parameters);
  }
}

TEST(Shapes, AnotherResolutionOrWidthMakesWhatTheSameArchitectureHasThere) {
  OnnxNetworkOptions options = plain("resnet18");
  options.resolution = 112;
  EXPECT_NEAR(Made(options).network.macs, 1.814e9 / 4, 0.04e9);
  options.resolution = 4;
  ScratchFolder scratch{"onnx"};
  const auto small = write_onnx_network({"alexnet", 1, false, 20}, scratch.path() + "/f.onnx");
  ASSERT_FALSE(small);
  EXPECT_NE(small.error().what.find("too small"), std::string::npos) << small.error().what;
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

// Query times key: both from activations, 2 · length² · width multiply-adds a layer with their sum over values.
TEST(Bert, AttentionIsCountedAsProductsOfActivationsAndTheTableOfWordsIsNotMultiplied) {
  const Made made(plain("bert-tiny"));
  EXPECT_EQ(made.layer("layer.0.attention.scores").kind, LayerKind::matmul);
  EXPECT_EQ(made.layer("layer.0.attention.scores").macs, 128.0 * 128 * 128);
  EXPECT_EQ(made.layer("layer.0.attention.query").kind, LayerKind::dense);
  EXPECT_EQ(made.layer("layer.0.attention.query").macs, 128.0 * 128 * 128);
  const NetworkLayer& words = made.layer("embeddings.word");
  EXPECT_EQ(words.kind, LayerKind::embedding);
  EXPECT_EQ(words.macs, 0);
  EXPECT_EQ(words.bytes_read, 128.0 * 128 * 4 + 128 * 8);  // the rows that are taken, not the table
  const double linear = 12.0 * 128 * 128 * 128, attention = 2.0 * 128 * 128 * 128;
  EXPECT_EQ(made.network.macs, 2 * (linear + attention) + 128.0 * 128);
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

TEST(Synth, TheSameSeedGivesTheSameBytesAndAnotherOthers) {
  OnnxNetworkOptions options = plain("lenet");
  const Made first(options), again(options);
  options.seed = 2;
  const Made other(options);
  EXPECT_EQ(content(first.path), content(again.path));
  EXPECT_NE(content(first.path), content(other.path));
  EXPECT_EQ(content(first.path).size(), first.report.bytes);
}

TEST(Synth, AnUnknownArchitectureIsAnErrorThatNamesTheNearest) {
  const auto made = write_onnx_network(plain("resnet19"), "/nonexistent/f.onnx");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().fix.find("resnet18"), std::string::npos) << made.error().fix;
}

}  // namespace
}  // namespace prony::complexity
