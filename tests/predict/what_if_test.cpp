// What a changed network costs, held against the network that was made so: layer by layer, or refused.
#include "predict/what_if.hpp"

#include <gtest/gtest.h>

#include <unistd.h>
#include <cmath>
#include <filesystem>
#include <tuple>

#include "complexity/onnx.hpp"
#include "predict/fuse.hpp"
#include "synth/onnx_networks.hpp"

namespace prony::predict {
namespace {

NetworkToPredict network_made(const std::string& architecture, std::int64_t batch, std::int64_t resolution,
                              double width) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("prony-what-if-" + std::to_string(::getpid()) + "-" + architecture + ".onnx");
  OnnxNetworkOptions options;
  options.architecture = architecture, options.replace = true;
  options.batch = batch, options.resolution = resolution, options.width = width;
  const auto written = write_onnx_network(options, path.string());
  EXPECT_TRUE(written) << (written ? "" : written.error().what);
  const auto model = complexity::read_onnx(path.string());
  std::filesystem::remove(path);
  EXPECT_TRUE(model);
  if (!model) return {};
  const auto layers = complexity::layers_of(*model, {});
  EXPECT_TRUE(layers);
  return layers ? fused_network(*layers) : NetworkToPredict{};
}

// Every size and cost of every layer; "": the same.
std::string difference(const NetworkToPredict& is, const NetworkToPredict& should) {
  if (is.layers.size() != should.layers.size()) return "another number of layers";
  for (std::size_t i = 0; i < is.layers.size(); ++i) {
    const Layer &a = is.layers[i], &b = should.layers[i];
    const auto odd = [](double x, double y) { return std::abs(x - y) > 1e-9 * std::max(std::abs(x), std::abs(y)); };
    for (const auto& [name, x, y] : std::initializer_list<std::tuple<const char*, double, double>>{
             {"batch", a.batch, b.batch},
             {"in_0", a.in[0], b.in[0]},
             {"in_1", a.in[1], b.in[1]},
             {"in_2", a.in[2], b.in[2]},
             {"out_0", a.out[0], b.out[0]},
             {"out_1", a.out[1], b.out[1]},
             {"out_2", a.out[2], b.out[2]},
             {"kernel_0", a.kernel[0], b.kernel[0]},
             {"groups", a.groups, b.groups},
             {"macs", a.macs, b.macs},
             {"other_operations", a.other_operations, b.other_operations},
             {"bytes_read", a.bytes_read, b.bytes_read},
             {"bytes_weights", a.bytes_weights, b.bytes_weights},
             {"bytes_written", a.bytes_written, b.bytes_written}})
      if (odd(x, y))
        return b.name + " (" + b.kind + "): " + name + " is " + std::to_string(x) + ", and should be " +
               std::to_string(y);
  }
  return {};
}

struct Case {
  const char* architecture;
  std::int64_t resolution;  // to begin with
  WhatIf what_if;
  double made_at_width = 1;  // of small files
};

WhatIf of_batch(double batch) {
  WhatIf what_if;
  what_if.batch = batch;
  return what_if;
}
WhatIf of_resolution(double resolution) {
  WhatIf what_if;
  what_if.resolution = resolution;
  return what_if;
}
WhatIf of_width(double width) {
  WhatIf what_if;
  what_if.width = width;
  return what_if;
}

void holds(const Case& one) {
  const WhatIf& w = one.what_if;
  SCOPED_TRACE(std::string(one.architecture) + " at " + std::to_string(one.resolution) + ", batch " +
               std::to_string(w.batch) + ", resolution " + std::to_string(w.resolution) + ", width " +
               std::to_string(w.width));
  NetworkToPredict network = network_made(one.architecture, 1, one.resolution, one.made_at_width);
  const NetworkToPredict before = network;
  const auto good = change(network, w);
  ASSERT_TRUE(good) << good.error().where << ": " << good.error().what;
  const NetworkToPredict truth =
      network_made(one.architecture, w.batch > 0 ? static_cast<std::int64_t>(w.batch) : 1,
                   w.resolution > 0 ? static_cast<std::int64_t>(w.resolution) : one.resolution,
                   one.made_at_width * (w.width > 0 ? w.width : 1));
  EXPECT_EQ(difference(network, truth), "");
  EXPECT_NE(difference(before, truth), "");  // there was something to change
}

std::string why_refused(const char* architecture, std::int64_t resolution, const WhatIf& what_if, double width = 1) {
  NetworkToPredict network = network_made(architecture, 1, resolution, width);
  const NetworkToPredict before = network;
  const auto good = change(network, what_if);
  EXPECT_EQ(difference(network, before), "");
  return good ? "" : good.error().where + ": " + good.error().what;
}

TEST(WhatIf, ABatchMultipliesEveryCostButThatOfWeights) {
  for (const char* name : {"lenet", "squeezenet1_1", "resnet18", "mobilenet_v2"}) holds({name, 64, of_batch(5)});
}

// Kills: rows of a table, or positions that have no batch, multiplied by it.
TEST(WhatIf, ABatchIsRefusedWhereItsLayersDoNotTellWhatItMultiplies) {
  EXPECT_NE(why_refused("bert-tiny", 32, of_batch(4)).find("embeddings.word"), std::string::npos);
  NetworkToPredict network = network_made("lenet", 1, 32, 1);
  network.layers[1].batch = 3;
  const auto good = change(network, of_batch(4));
  ASSERT_FALSE(good);
  EXPECT_NE(good.error().what.find("has 3 where"), std::string::npos) << good.error().what;
}

// Kills: costs of products of two activations that stay as they were.
TEST(WhatIf, ABatchMultipliesProductsOfActivationsAndOperationsOfConvolutionsToo) {
  NetworkToPredict network;
  Layer product;
  product.kind = "matmul", product.name = "scores", product.in = {2, 32, 64}, product.out = {2, 32, 32};
  product.macs = 2.0 * 32 * 32 * 64;
  complete(product);
  Layer summed;
  summed.kind = "convolution", summed.name = "conv", summed.in = summed.out = {8, 4, 4}, summed.other_operations = 128;
  complete(summed);
  network.layers = {product, summed};
  ASSERT_TRUE(change(network, of_batch(4)));
  EXPECT_DOUBLE_EQ(network.layers[0].macs, 4 * product.macs);
  EXPECT_DOUBLE_EQ(network.layers[0].other_operations, 4 * product.other_operations);
  EXPECT_DOUBLE_EQ(network.layers[1].other_operations, 4 * 128);
}

// Kills: a dense layer behind a flatten that keeps its size; sizes by the ratio instead of through windows.
TEST(WhatIf, AResolutionIsCarriedThroughWindowsAndIntoDenseLayersBehindThem) {
  holds({"lenet", 32, of_resolution(64)});
  holds({"lenet", 64, of_resolution(44)});
  holds({"squeezenet1_1", 65, of_resolution(97)});
  holds({"resnet18", 64, of_resolution(93)});
  holds({"resnet18", 224, of_resolution(93)});
  holds({"mobilenet_v2", 96, of_resolution(61)});
  holds({"googlenet", 225, of_resolution(97), 0.25});
  holds({"densenet121", 64, of_resolution(96)});
  holds({"mobilenet_v3_small", 64, of_resolution(89)});
}

TEST(WhatIf, AResolutionThatNobodyCanCarryOnIsRefused) {
  EXPECT_NE(why_refused("squeezenet1_1", 224, of_resolution(190)).find("rounds up"), std::string::npos);
  EXPECT_NE(why_refused("resnet18", 93, of_resolution(224)).find("56 or 57"), std::string::npos);
  EXPECT_NE(why_refused("vgg16", 224, of_resolution(160), 0.125).find("adapts"), std::string::npos);
  EXPECT_NE(why_refused("alexnet", 224, of_resolution(192), 0.125).find("adapts"), std::string::npos);
  EXPECT_NE(why_refused("bert-tiny", 32, of_resolution(64)).find("no image"), std::string::npos);
  EXPECT_NE(why_refused("lenet", 32, of_resolution(8)).find("window"), std::string::npos);
}

// Kills: the last layer of a list, whatever it is, taken for the one that tells classes.
TEST(WhatIf, AWidthLeavesWhatANetworkIsGivenAndWhatItTells) {
  holds({"squeezenet1_1", 64, of_width(0.5)});
  holds({"resnet18", 64, of_width(0.5)});
  holds({"resnet18", 64, of_width(2), 0.25});
  holds({"vgg11", 224, of_width(0.5), 0.25});
  EXPECT_NE(why_refused("bert-tiny", 32, of_width(0.5)).find("tokens"), std::string::npos);
}

TEST(WhatIf, AnEnginesReformatsAtBothEndsStayAsTheyAre) {
  const auto layer = [](const char* kind, std::array<double, 3> in, std::array<double, 3> out) {
    Layer one;
    one.kind = kind, one.name = kind, one.in = in, one.out = out;
    complete(one);
    return one;
  };
  NetworkToPredict network;
  network.source = "tensorrt";
  network.layers = {layer("layout", {3, 8, 8}, {3, 8, 8}),        layer("convolution", {3, 8, 8}, {16, 8, 8}),
                    layer("convolution", {16, 8, 8}, {32, 8, 8}), layer("pooling", {32, 8, 8}, {32, 1, 1}),
                    layer("dense", {32, 1, 1}, {10, 1, 1}),       layer("layout", {10, 1, 1}, {10, 1, 1})};
  network.layers[3].kernel = {8, 8};
  ASSERT_TRUE(change(network, of_width(0.5)));
  const auto& l = network.layers;
  EXPECT_EQ(l[0].out[0], 3);
  EXPECT_EQ(l[1].in[0], 3);
  EXPECT_EQ(l[1].out[0], 8);
  EXPECT_EQ(l[3].in[0], 16);
  EXPECT_EQ(l[4].in[0], 16);
  EXPECT_EQ(l[4].out[0], 10);
  EXPECT_EQ(l[5].in[0], 10);
}

TEST(WhatIf, WhatIsNoNumberOrOutOfRangeIsRefused) {
  for (const double odd : {std::nan(""), -1.0, 1e300}) {
    EXPECT_NE(why_refused("lenet", 32, of_batch(odd)), "");
    EXPECT_NE(why_refused("lenet", 32, of_resolution(odd)), "");
    EXPECT_NE(why_refused("lenet", 32, of_width(odd)), "");
  }
}

}  // namespace
}  // namespace prony::predict
