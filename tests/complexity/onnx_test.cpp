// The reader of ONNX files on files written by hand.
#include "complexity/onnx.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "../support/scratch.hpp"
#include "onnx_writer.hpp"

namespace prony::complexity {
namespace {

using namespace onnx_test;

NetworkLayers layers(const std::string& graph, const OnnxShapes& shapes = {}, std::int64_t opset = 17) {
  const std::string bytes = model(graph, opset);
  const auto read = parse_onnx(as_file(bytes));
  EXPECT_TRUE(read) << (read ? "" : read.error().what);
  if (!read) return {};
  auto made = layers_of(*read, shapes);
  EXPECT_TRUE(made) << (made ? "" : made.error().what);
  return made ? *made : NetworkLayers{};
}

LayerShape shape_after(const std::string& op, const LayerShape& in, const std::string& attributes,
                       const std::string& constants = {}, const std::vector<std::string>& more = {},
                       std::int64_t opset = 17) {
  std::vector<std::string> inputs{"x"};
  inputs.insert(inputs.end(), more.begin(), more.end());
  const auto network =
      layers(input("x", in) + constants + node(op, inputs, {"y"}, attributes) + output("y"), {}, opset);
  if (network.layers.size() != 1) return {-1};
  EXPECT_EQ(network.layers[0].absent, "") << op;
  return network.layers[0].output_shapes.at(0);
}

TEST(Convolution, GroupsDilationStrideAndUnevenPaddingAreAllCounted) {
  const auto network = layers(
      input("x", {2, 8, 20, 30}) + weights("w", {12, 2, 3, 5}) +
      node("Conv", {"x", "w"}, {"y"},
           whole("group", 4) + wholes("strides", {2, 1}) + wholes("dilations", {1, 3}) + wholes("pads", {1, 2, 0, 4})) +
      output("y"));
  ASSERT_EQ(network.layers.size(), 1U);
  const NetworkLayer& conv = network.layers[0];
  // ⌊(20 + 1 + 0 − 3)/2⌋ + 1 = 10; 30 + 2 + 4 − 12 − 1 + 1 = 24
  EXPECT_EQ(conv.output_shapes.at(0), (LayerShape{2, 12, 10, 24}));
  EXPECT_EQ(conv.macs, 2.0 * 12 * 10 * 24 * 2 * 3 * 5);
  EXPECT_EQ(conv.flop(), 2 * *conv.macs);
  EXPECT_EQ(conv.pad_end, (std::vector<std::int64_t>{0, 4}));
  EXPECT_EQ(conv.dtype, "float32");
}

TEST(Convolution, OneTurnedRoundCountsEachNumberOfItsInput) {
  const auto network = layers(
      input("x", {1, 16, 7, 7}) + weights("w", {16, 8, 4, 4}) +
      node("ConvTranspose", {"x", "w"}, {"y"}, wholes("strides", {2, 2}) + wholes("pads", {1, 1, 1, 1})) + output("y"));
  EXPECT_EQ(network.layers.at(0).output_shapes.at(0), (LayerShape{1, 8, 14, 14}));
  EXPECT_EQ(network.layers.at(0).macs, 16.0 * 7 * 7 * 8 * 4 * 4);
}

TEST(Convolution, AutomaticPaddingKeepsTheSizeAndSaysWhatItPads) {
  const auto network = layers(input("x", {1, 3, 10, 10}) + weights("w", {4, 3, 4, 4}) +
                              node("Conv", {"x", "w"}, {"y"}, word("auto_pad", "SAME_UPPER")) + output("y"));
  EXPECT_EQ(network.layers.at(0).output_shapes.at(0), (LayerShape{1, 4, 10, 10}));
  EXPECT_EQ(network.layers.at(0).pad_begin, (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ(network.layers.at(0).pad_end, (std::vector<std::int64_t>{2, 2}));
}

TEST(Convolution, WeightsThatDoNotFitAreAFlaggedRowAndNotANumber) {
  const auto network =
      layers(input("x", {1, 3, 10, 10}) + weights("w", {4, 5, 3, 3}) + node("Conv", {"x", "w"}, {"y"}) + output("y"));
  EXPECT_FALSE(network.layers.at(0).macs);
  EXPECT_NE(network.layers.at(0).absent.find("4x5x3x3"), std::string::npos);
  EXPECT_EQ(network.unknown_layers, 1U);
}

TEST(Products, AMatrixOfWeightsIsDenseAndTwoActivationsAreNot) {
  const auto network =
      layers(input("x", {2, 7, 16}) + input("z", {2, 16, 5}) + weights("w", {16, 32}) +
             node("MatMul", {"x", "w"}, {"y"}) + node("MatMul", {"x", "z"}, {"v"}) + output("y") + output("v"));
  EXPECT_EQ(network.layers.at(0).kind, LayerKind::dense);
  EXPECT_EQ(network.layers.at(0).macs, 2.0 * 7 * 16 * 32);
  EXPECT_EQ(network.layers.at(1).kind, LayerKind::matmul);
  EXPECT_EQ(network.layers.at(1).output_shapes.at(0), (LayerShape{2, 7, 5}));
  EXPECT_EQ(network.layers.at(1).macs, 2.0 * 7 * 16 * 5);
}

TEST(Products, EinsumCountsEachOfItsLettersOnce) {
  const auto network = layers(input("x", {2, 3, 4}) + input("z", {2, 5, 4}) +
                              node("Einsum", {"x", "z"}, {"y"}, word("equation", "bij,bkj->bik")) + output("y"));
  EXPECT_EQ(network.layers.at(0).output_shapes.at(0), (LayerShape{2, 3, 5}));
  EXPECT_EQ(network.layers.at(0).macs, 2.0 * 3 * 4 * 5);
}

TEST(Places, EachOperatorMakesTheShapeThatItsSpecificationSays) {
  EXPECT_EQ(shape_after("Transpose", {2, 3, 4}, wholes("perm", {2, 0, 1})), (LayerShape{4, 2, 3}));
  EXPECT_EQ(shape_after("Transpose", {2, 3, 4}, ""), (LayerShape{4, 3, 2}));
  EXPECT_EQ(shape_after("Flatten", {2, 3, 4, 5}, whole("axis", 2)), (LayerShape{6, 20}));
  EXPECT_EQ(shape_after("Reshape", {2, 3, 4}, "", integers("s", {0, -1}), {"s"}), (LayerShape{2, 12}));
  EXPECT_EQ(shape_after("Reshape", {2, 3, 4}, "", integers("s", {4, 6}, false), {"s"}), (LayerShape{4, 6}));
  EXPECT_EQ(shape_after("Squeeze", {1, 3, 1}, "", integers("a", {-1}), {"a"}), (LayerShape{1, 3}));
  EXPECT_EQ(shape_after("Squeeze", {1, 3, 1}, wholes("axes", {0}), "", {}, 11), (LayerShape{3, 1}));
  EXPECT_EQ(shape_after("Unsqueeze", {3, 4}, "", integers("a", {0, 3}), {"a"}), (LayerShape{1, 3, 4, 1}));
  EXPECT_EQ(shape_after(
                "Slice", {10, 9}, "",
                integers("b", {2, -3}) + integers("e", {9, INT64_MAX}) + integers("a", {0, 1}) + integers("s", {3, 1}),
                {"b", "e", "a", "s"}),
            (LayerShape{3, 3}));
  EXPECT_EQ(shape_after("Slice", {10}, "",
                        integers("b", {-1}) + integers("e", {INT64_MIN}) + integers("a", {0}) + integers("s", {-2}),
                        {"b", "e", "a", "s"}),
            (LayerShape{5}));
  EXPECT_EQ(shape_after("Pad", {2, 3}, "", integers("p", {0, 1, 2, -1}), {"p"}), (LayerShape{4, 3}));
  EXPECT_EQ(shape_after("Tile", {2, 3}, "", integers("t", {4, 1}), {"t"}), (LayerShape{8, 3}));
  EXPECT_EQ(shape_after("Expand", {3, 1}, "", integers("t", {2, 1, 6}), {"t"}), (LayerShape{2, 3, 6}));
  EXPECT_EQ(shape_after("Gather", {5, 6, 7}, whole("axis", 1), integers("i", {0, 2}), {"i"}), (LayerShape{5, 2, 7}));
  EXPECT_EQ(shape_after("ReduceMean", {2, 3, 4}, wholes("axes", {-1}) + whole("keepdims", 0)), (LayerShape{2, 3}));
  EXPECT_EQ(shape_after("ReduceSum", {2, 3, 4}, "", integers("a", {1}), {"a"}), (LayerShape{2, 1, 4}));
  EXPECT_EQ(shape_after("DepthToSpace", {1, 8, 2, 3}, whole("blocksize", 2)), (LayerShape{1, 2, 4, 6}));
  EXPECT_EQ(shape_after("MaxPool", {1, 2, 6, 6}, wholes("kernel_shape", {3, 3}) + wholes("strides", {2, 2})),
            (LayerShape{1, 2, 2, 2}));
  EXPECT_EQ(shape_after("MaxPool", {1, 2, 6, 6},
                        wholes("kernel_shape", {3, 3}) + wholes("strides", {2, 2}) + whole("ceil_mode", 1)),
            (LayerShape{1, 2, 3, 3}));
  EXPECT_EQ(shape_after("GlobalAveragePool", {2, 3, 9, 9}, ""), (LayerShape{2, 3, 1, 1}));
}

// As exporters write x.view(x.size(0), -1).
TEST(ShapeArithmetic, AReshapeToWhatShapeAndConcatMakeIsFollowed) {
  const auto network =
      layers(input("x", {-1, 6, 5, 5}) + integers("zero", {0}) + integers("rest", {-1}) + node("Shape", {"x"}, {"s"}) +
                 node("Gather", {"s", "zero"}, {"n"}, whole("axis", 0)) +
                 node("Concat", {"n", "rest"}, {"to"}, whole("axis", 0)) + node("Reshape", {"x", "to"}, {"y"}) +
                 weights("w", {150, 10}) + node("MatMul", {"y", "w"}, {"z"}) + output("z"),
             [] {
               OnnxShapes shapes;
               EXPECT_TRUE(add_onnx_shape(shapes, "batch=3"));
               return shapes;
             }());
  EXPECT_EQ(network.outputs.at(0).shape, (LayerShape{3, 10}));
  EXPECT_EQ(network.macs, 3.0 * 150 * 10);
}

TEST(ShapeArithmetic, WhatDependsOnTheInputsNumbersIsSaidToBeSo) {
  const auto network = layers(input("x", {4, 4}) + input("to", {2}, 7) + node("Reshape", {"x", "to"}, {"y"}) +
                              node("Relu", {"y"}, {"z"}) + output("z"));
  EXPECT_NE(network.layers.at(0).absent.find("only when it runs"), std::string::npos) << network.layers[0].absent;
  EXPECT_NE(network.layers.at(1).absent.find("'y'"), std::string::npos) << network.layers[1].absent;
}

TEST(Subgraphs, AnIfCostsItsDearerBranchOnceAndALoopItsBodyTimesItsTurns) {
  const std::string small = node("Relu", {"x"}, {"a"}) + output("a");
  const std::string large = weights("w", {4, 4}) + node("MatMul", {"x", "w"}, {"b"}) + output("b");
  auto network =
      layers(input("x", {2, 4}) + input("c", {}, 9) +
             node("If", {"c"}, {"y"}, graph_attribute("then_branch", small) + graph_attribute("else_branch", large)) +
             output("y"));
  ASSERT_EQ(network.layers.size(), 1U);
  EXPECT_EQ(network.layers[0].kind, LayerKind::control);
  EXPECT_EQ(network.macs, 2.0 * 4 * 4);
  EXPECT_EQ(network.parameters, 16);
  EXPECT_EQ(network.outputs.at(0).shape, (LayerShape{2, 4}));

  const std::string body = input("i", {}, 7) + input("go", {}, 9) + input("v", {2, 4}) +
                           node("MatMul", {"v", "w"}, {"u"}) + node("Identity", {"go"}, {"still"}) + output("still") +
                           output("u");
  network = layers(input("x", {2, 4}) + integers("n", {5}) + weights("w", {4, 4}) +
                   node("Loop", {"n", "", "x"}, {"y"}, graph_attribute("body", body)) + output("y"));
  EXPECT_EQ(network.macs, 5.0 * 2 * 4 * 4);
  EXPECT_EQ(network.layers.at(0).absent, "");
}

TEST(Operators, AnUnknownOneIsNamedHasNoMultiplyAddsAndWhatFollowsIsCountedByTheFilesOwnShapes) {
  const auto network =
      layers(input("x", {1, 8}) + port(13, "h", {1, 8}) + weights("w", {8, 4}) +
             node("Magic", {"x"}, {"h"}, "", "org.example") + node("MatMul", {"h", "w"}, {"y"}) + output("y"));
  ASSERT_EQ(network.unknown, (std::vector<std::string>{"org.example:Magic"}));
  EXPECT_FALSE(network.layers.at(0).macs);
  EXPECT_EQ(network.layers.at(0).bytes_read, 32);
  EXPECT_NE(network.layers[0].absent.find("org.example:Magic"), std::string::npos);
  EXPECT_EQ(network.macs, 32);
}

TEST(Shapes, WordsAreReadAndWhatIsNoneIsRefused) {
  OnnxShapes shapes;
  ASSERT_TRUE(add_onnx_shape(shapes, "a:0:1x3x224x224,batch=4"));
  EXPECT_EQ(shapes.inputs.at("a:0"), (LayerShape{1, 3, 224, 224}));
  EXPECT_EQ(shapes.dimensions.at("batch"), 4);
  for (const char* wrong : {"1x", "x", "", "1xax3", "batch=", "batch=0", "=3", "1x-3", "a:"})
    EXPECT_FALSE(add_onnx_shape(shapes, wrong)) << wrong;
}

TEST(Shapes, ANameThatTheNetworkHasNotIsAnErrorWithThoseItHas) {
  const std::string bytes = model(input("x", {-1, 4}) + node("Relu", {"x"}, {"y"}) + output("y"));
  const auto read = parse_onnx(as_file(bytes));
  ASSERT_TRUE(read);
  for (const char* words : {"z:1x4", "height=3", "1x4x4"}) {
    OnnxShapes shapes;
    ASSERT_TRUE(add_onnx_shape(shapes, words));
    EXPECT_FALSE(layers_of(*read, shapes)) << words;
  }
}

TEST(Weights, ExternalFilesAreNamedAndTheirShapesCountedAllTheSame) {
  const std::string entry = field(13, field(1, std::string("location")) + field(2, std::string("weights.bin")));
  const std::string bytes =
      model(input("x", {1, 4}) + field(5, tensor_bytes("w", 1, {4, 6}, entry + field(14, std::int64_t{1}))) +
            node("MatMul", {"x", "w"}, {"y"}) + output("y"));
  const auto read = parse_onnx(as_file(bytes));
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->external_files(), (std::vector<std::string>{"weights.bin"}));
  EXPECT_EQ(read->parameters(), 24);
  EXPECT_EQ(read->weight_bytes(), 96);
  EXPECT_EQ(layers_of(*read)->macs, 24);
}

TEST(Weights, WhatTwoLayersShareCountsOnceForTheNetwork) {
  const auto network = layers(input("x", {1, 4}) + weights("w", {4, 4}) + node("MatMul", {"x", "w"}, {"h"}) +
                              node("MatMul", {"h", "w"}, {"y"}) + output("y"));
  EXPECT_EQ(network.parameters, 16);
  EXPECT_EQ(network.layers.at(0).parameters + network.layers.at(1).parameters, 32);
}

TEST(Weights, TheirBytesAreNotReadSoThatAHugeFileIsReadAtOnce) {
  ScratchFolder scratch{"onnx"};
  const std::string path = scratch.path() + "/huge.onnx";
  // Four gigabytes of weights in a file with a hole: the head of the tensor is there, its bytes are not.
  const std::int64_t rows = 1'000'000, columns = 1000;
  const auto bytes = static_cast<std::uint64_t>(rows * columns * 4);
  const std::string head = tensor_bytes("w", 1, {rows, columns}, "") + varint(9 * 8 + 2) + varint(bytes);
  const std::string tail = input("x", {1, rows}) + node("MatMul", {"x", "w"}, {"y"}) + output("y");
  const std::string tensor = varint(5 * 8 + 2) + varint(head.size() + bytes) + head;
  const std::string front =
      field(1, std::int64_t{8}) + varint(7 * 8 + 2) + varint(tensor.size() + bytes + tail.size()) + tensor;
  {
    std::ofstream file(path, std::ios::binary);
    file << front;
    file.seekp(static_cast<std::streamoff>(front.size() + bytes));
    file << tail;
  }
  const auto read = read_onnx(path);
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(layers_of(*read)->macs, 1e9);
  EXPECT_EQ(read->parameters(), 1e9);
}

TEST(Damage, AFileCutOffAnywhereIsAnErrorOrASmallerNetworkAndNeverACrash) {
  const std::string whole_file =
      model(input("x", {1, 3, 8, 8}) + weights("w", {4, 3, 3, 3}) + integers("s", {1, -1}) +
            node("Conv", {"x", "w"}, {"c"}) + node("Reshape", {"c", "s"}, {"y"}) + output("y"));
  ASSERT_TRUE(parse_onnx(as_file(whole_file)));
  for (std::size_t length = 0; length < whole_file.size(); ++length) {
    const std::string part = whole_file.substr(0, length);
    EXPECT_FALSE(parse_onnx(as_file(part))) << length;
  }
}

TEST(Damage, AnyByteChangedIsBorne) {
  const std::string whole_file = model(input("x", {1, 3, 8, 8}) + weights("w", {4, 3, 3, 3}) + integers("s", {1, -1}) +
                                       node("Conv", {"x", "w"}, {"c"}, wholes("pads", {1, 1, 1, 1})) +
                                       node("Reshape", {"c", "s"}, {"y"}) + output("y"));
  std::mt19937 random(1);
  int read = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = whole_file;
    for (int j = 0; j < 3; ++j) changed[random() % changed.size()] = static_cast<char>(random());
    const auto parsed = parse_onnx(as_file(changed));
    if (!parsed) continue;
    ++read;
    OnnxShapes shapes;
    shapes.batch = 2;
    if (const auto network = layers_of(*parsed, shapes)) {
      EXPECT_GE(network->macs, 0);
    }
  }
  EXPECT_GT(read, 1000);
}

TEST(Damage, ATensorWithFewerBytesThanItsShapeNeedsIsRefused) {
  const std::string bytes = model(field(5, tensor_bytes("w", 1, {4, 4}, field(9, std::string(60, 'x')))));
  const auto read = parse_onnx(as_file(bytes));
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().what.find("'w' has 60 bytes where its shape needs 64"), std::string::npos)
      << read.error().what;
}

TEST(Damage, GraphsWithinGraphsWithoutEndAreRefused) {
  std::string graph = node("Relu", {"x"}, {"y"});
  for (int i = 0; i < 30; ++i) graph = node("If", {"c"}, {"y"}, graph_attribute("then_branch", graph));
  const std::string bytes = model(graph);
  EXPECT_FALSE(parse_onnx(as_file(bytes)));
}

TEST(Damage, WhatIsNoOnnxIsSaidToBeNone) {
  for (const char* text : {"", "hello", "GGUF\3\0\0\0",
                           "\x7f"
                           "ELF",
                           "{\"Layers\": []}"}) {
    const std::string bytes = text;
    const auto read = parse_onnx(as_file(bytes));
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::malformed);
  }
  EXPECT_FALSE(read_onnx("/nonexistent"));
  EXPECT_FALSE(read_onnx("/"));
}

}  // namespace
}  // namespace prony::complexity
