// What a file's nodes are to prediction: true windows, groups and multiply-adds, and what an engine folds into what.
#include "predict/fuse.hpp"

#include <gtest/gtest.h>

#include <unistd.h>
#include <algorithm>
#include <filesystem>

#include "complexity/onnx.hpp"
#include "synth/onnx_networks.hpp"

namespace prony::predict {
namespace {

NetworkLayers network_of(const std::string& architecture, std::int64_t batch = 1, std::int64_t resolution = 0) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("prony-fuse-" + std::to_string(::getpid()) + "-" + architecture + ".onnx");
  OnnxNetworkOptions options;
  options.architecture = architecture, options.dynamic_batch = true, options.replace = true;
  options.resolution = resolution;
  options.width = architecture.starts_with("vgg") ? 0.1 : 1;  // windows are the same, and the file is small
  const auto written = write_onnx_network(options, path.string());
  EXPECT_TRUE(written) << (written ? "" : written.error().what);
  const auto model = complexity::read_onnx(path.string());
  std::filesystem::remove(path);
  EXPECT_TRUE(model) << (model ? "" : model.error().what);
  if (!model) return {};
  complexity::OnnxShapes shapes;
  shapes.batch = batch;
  const auto layers = complexity::layers_of(*model, shapes);
  EXPECT_TRUE(layers) << (layers ? "" : layers.error().what);
  return layers ? *layers : NetworkLayers{};
}

std::vector<FusedLayer> of_kind(const NetworkLayers& network, const std::string& kind) {
  std::vector<FusedLayer> found;
  for (FusedLayer& one : fused_layers(network))
    if (one.layer.kind == kind) found.push_back(std::move(one));
  return found;
}

using Pair = std::array<double, 2>;
using Triple = std::array<double, 3>;

TEST(FusedLayers, TheMaxPoolingOfResnet18HasItsWindowOfThreeByThreeAndNotItsInput) {
  const auto pools = of_kind(network_of("resnet18"), "pooling");
  ASSERT_EQ(pools.size(), 2U);
  EXPECT_EQ(pools[0].layer.kernel, (Pair{3, 3}));
  EXPECT_EQ(pools[0].layer.stride, (Pair{2, 2}));
  EXPECT_EQ(pools[0].layer.padding, (Pair{2, 2}));  // begin and end
  EXPECT_EQ(pools[0].layer.in, (Triple{64, 112, 112}));
  EXPECT_EQ(pools[0].layer.out, (Triple{64, 56, 56}));
  EXPECT_EQ(pools[0].layer.groups, 1);             // as every other source of networks has it
  EXPECT_EQ(pools[1].layer.kernel, (Pair{7, 7}));  // over everything: its input
}

TEST(FusedLayers, TheFivePoolingsOfVgg16HaveWindowsOfTwoByTwo) {
  std::size_t windows = 0;
  for (const FusedLayer& pool : of_kind(network_of("vgg16"), "pooling")) {
    if (pool.layer.stride != Pair{2, 2}) continue;  // that before its dense layers, over one point
    EXPECT_EQ(pool.layer.kernel, (Pair{2, 2})) << pool.layer.name;
    EXPECT_EQ(pool.layer.out[1] * 2, pool.layer.in[1]);
    ++windows;
  }
  EXPECT_EQ(windows, 5U);
}

TEST(FusedLayers, ADepthwiseConvolutionCountsTheChannelsOfItsGroupAlone) {
  const auto convolutions = of_kind(network_of("mobilenet_v2", 2), "convolution");
  ASSERT_EQ(convolutions.size(), 52U);
  std::size_t depthwise = 0;
  for (const FusedLayer& one : convolutions) {
    const Layer& layer = one.layer;
    const double per_output = layer.in[0] / layer.groups * layer.kernel[0] * layer.kernel[1];
    EXPECT_DOUBLE_EQ(layer.macs, layer.batch * layer.out[0] * layer.out[1] * layer.out[2] * per_output) << layer.name;
    if (layer.groups <= 1) continue;
    ++depthwise;
    EXPECT_EQ(layer.groups, layer.in[0]);
    EXPECT_EQ(per_output, 9);
    EXPECT_EQ(layer.batch, 2);
    EXPECT_EQ(layer.bytes_weights, 4 * layer.out[0] * 9) << layer.name;
  }
  EXPECT_EQ(depthwise, 17U);
}

// Kills: norms learned beside those of language models, which have another kernel.
TEST(FusedLayers, ANormalisationThatNoConvolutionTakesInIsOneOfEachChannelByItself) {
  std::size_t found = 0;
  for (const FusedLayer& one : fused_layers(network_of("densenet121"))) {
    const Layer& layer = one.layer;
    EXPECT_NE(layer.kind, "normalisation") << layer.name;
    if (layer.kind != "convolution" || layer.groups == 1) continue;
    ++found;
    EXPECT_EQ(layer.groups, layer.in[0]) << layer.name;
    EXPECT_EQ(layer.macs, layer.in[0] * layer.in[1] * layer.in[2]) << layer.name;
    EXPECT_EQ(layer.activation, "Relu") << layer.name;
    EXPECT_EQ(one.covers.size(), 2U) << layer.name;
  }
  EXPECT_EQ(found, 58U + 3 + 1);  // before each pair of convolutions, in each transition, and the last
}
// Kills: bytes moved by what only gives the same numbers another shape.
TEST(FusedLayers, AnotherShapeOfTheSameNumbersMovesNothing) {
  std::size_t views = 0, copies = 0;
  const NetworkLayers network = network_of("bert-tiny");
  for (const FusedLayer& one : fused_layers(network)) {
    const std::string& op = network.layers[one.covers.front()].op;
    if (op == "Reshape") views += one.layer.bytes() == 0 ? 1U : 100U;
    if (op == "Transpose") copies += one.layer.bytes_read > 0 && one.layer.bytes_written > 0 ? 1U : 100U;
  }
  EXPECT_GT(views, 0U);
  EXPECT_LT(views, 100U);
  EXPECT_GT(copies, 0U);
  EXPECT_LT(copies, 100U);
}
TEST(FusedLayers, EachNodeIsInOneLayerAndNoMultiplyAddIsLost) {
  for (const char* architecture : {"resnet18", "mobilenet_v2", "mobilenet_v3_small", "squeezenet", "bert-tiny"}) {
    const NetworkLayers network = network_of(architecture);
    std::vector<std::size_t> covered;
    double macs = 0;
    for (const FusedLayer& one : fused_layers(network)) {
      covered.insert(covered.end(), one.covers.begin(), one.covers.end());
      macs += one.layer.macs;
      EXPECT_EQ(why_unusable(one.layer), "") << architecture << " " << one.layer.name;
    }
    std::sort(covered.begin(), covered.end());
    ASSERT_EQ(covered.size(), network.layers.size()) << architecture;
    EXPECT_EQ(covered.back(), covered.size() - 1);
    EXPECT_EQ(std::unique(covered.begin(), covered.end()), covered.end());
    EXPECT_DOUBLE_EQ(macs, network.macs) << architecture;
  }
}

TEST(FusedLayers, AResidualBlockEndsInItsLastConvolutionWhichReadsTheSumToo) {
  const NetworkLayers network = network_of("resnet18");
  const auto convolutions = of_kind(network, "convolution");
  ASSERT_EQ(convolutions.size(), 20U);
  for (const FusedLayer& one : fused_layers(network)) EXPECT_NE(one.layer.kind, "elementwise") << one.layer.name;
  const auto found = std::find_if(convolutions.begin(), convolutions.end(),
                                  [](const FusedLayer& one) { return one.layer.name == "layer1.0.conv2"; });
  ASSERT_NE(found, convolutions.end());
  EXPECT_EQ(found->covers.size(), 4U);  // with its normalisation, the sum and the activation
  EXPECT_EQ(found->layer.activation, "Relu");
  EXPECT_EQ(found->layer.bytes_read, 2 * 4.0 * 64 * 56 * 56);
  EXPECT_EQ(found->layer.other_operations, 2 * 64.0 * 56 * 56);  // sum and activation; the normalisation is folded
}

TEST(FusedLayers, ASwishAndAGeluAreOnePassAndALayersNormalisationTakesTheSumBefore) {
  for (const FusedLayer& one : fused_layers(network_of("efficientnet_b0")))
    if (one.layer.activation == "Swish") {
      EXPECT_EQ(one.layer.kind, "activation");
      EXPECT_EQ(one.covers.size(), 2U);
    }
  const NetworkLayers bert = network_of("bert-tiny", 1, 16);
  std::size_t gelus = 0, sums = 0;
  for (const FusedLayer& one : fused_layers(bert)) {
    gelus += one.layer.activation == "Gelu" && one.covers.size() == 6 ? 1U : 0U;
    sums += one.layer.kind == "normalisation" && one.covers.size() == 3 ? 1U : 0U;
  }
  EXPECT_EQ(gelus, 2U);
  EXPECT_EQ(sums, 4U);
}

TEST(FusedLayers, AGroupWithALayerOfUnknownShapeIsNotKnown) {
  NetworkLayers network;
  const auto add = [&](const char* op, LayerKind kind, const char* in, const char* out, const LayerShape& shape) {
    NetworkLayer layer;
    layer.name = layer.op = op, layer.kind = kind, layer.inputs = {in}, layer.outputs = {out};
    layer.input_shapes = {{1, 8, 4, 4}}, layer.output_shapes = {shape}, layer.macs = 0;
    if (shape.empty()) layer.absent = "the shape of 'r' is not known";
    network.layers.push_back(layer);
  };
  add("Conv", LayerKind::convolution, "x", "c", {1, 8, 4, 4});
  EXPECT_EQ(fused_layers(network).front().layer.unknown, "");
  add("Relu", LayerKind::activation, "c", "r", {});
  ASSERT_EQ(fused_layers(network).size(), 1U);
  EXPECT_NE(why_unusable(fused_layers(network).front().layer), "");
}

TEST(FusedLayers, WhatTwoReadIsNotFolded) {
  NetworkLayers network;
  const auto add = [&](const char* op, LayerKind kind, std::vector<std::string> in, const char* out) {
    NetworkLayer layer;
    layer.name = layer.op = op, layer.kind = kind, layer.inputs = std::move(in), layer.outputs = {out};
    layer.input_shapes.assign(layer.inputs.size(), {1, 8, 4, 4}), layer.output_shapes = {{1, 8, 4, 4}};
    network.layers.push_back(layer);
  };
  add("Conv", LayerKind::convolution, {"x"}, "c");
  add("Relu", LayerKind::activation, {"c"}, "r");
  add("Add", LayerKind::elementwise, {"c", "r"}, "y");
  EXPECT_EQ(fused_layers(network).size(), 3U);
  network.layers.pop_back();
  EXPECT_EQ(fused_layers(network).size(), 1U);
  network.outputs.push_back({"c", "float32", {1, 8, 4, 4}});  // it leaves the network: it is made
  EXPECT_EQ(fused_layers(network).size(), 2U);
}

}  // namespace
}  // namespace prony::predict
