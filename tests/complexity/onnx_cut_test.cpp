// Parts of a network as files of their own: which nodes, weights, inputs and outputs they have, read back by the
// reader.
#include "complexity/onnx_cut.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "onnx_writer.hpp"

namespace prony::complexity {
namespace {

using namespace onnx_test;

std::string named(const std::string& name) { return field(3, name); }

// conv → relu → (mul with conv) → y, and a tail that nobody reads.
std::string branched() {
  return input("x", {1, 3, 8, 8}) + weights("w", {4, 3, 3, 3}) + weights("other", {4}) +
         node("Conv", {"x", "w"}, {"c"}, named("conv")) + node("Relu", {"c"}, {"r"}, named("relu")) +
         node("Mul", {"r", "c"}, {"m"}, named("mul")) + node("Add", {"m", "other"}, {"y"}, named("add")) + output("y");
}

class Cut : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("prony-cut-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& bytes) {
    const std::string path = (folder_ / "whole.onnx").string();
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  // The part, read again.
  Result<OnnxModel> cut(const std::string& graph_bytes, const OnnxCut& what, const OnnxTensors& tensors) {
    const std::string path = write(model(graph_bytes));
    const auto whole = read_onnx(path);
    if (!whole) return Unexpected<Error>(whole.error());
    const auto bytes = cut_onnx(path, *whole, what, tensors);
    if (!bytes) return Unexpected<Error>(bytes.error());
    return parse_onnx(as_file(*bytes));
  }
  std::filesystem::path folder_;
};

std::vector<std::string> names(const std::vector<OnnxPort>& ports) {
  std::vector<std::string> out;
  for (const OnnxPort& one : ports) out.push_back(one.name);
  return out;
}
using Names = std::vector<std::string>;
const OnnxTensors tensors{{"x", {1, {1, 3, 8, 8}}}, {"c", {1, {1, 4, 6, 6}}}, {"r", {1, {1, 4, 6, 6}}}};

TEST_F(Cut, ALayerHasItsInputsWithTheirShapesItsWeightsAndWhatOthersReadOfIt) {
  const auto part = cut(branched(), {{0}, 1}, tensors);
  ASSERT_TRUE(part) << part.error().what;
  ASSERT_EQ(part->graph.nodes.size(), 1U);
  EXPECT_EQ(part->graph.nodes[0].name, "conv");
  EXPECT_EQ(names(part->graph.inputs), Names{"x"});
  ASSERT_TRUE(part->graph.inputs[0].shape);
  EXPECT_EQ(part->graph.inputs[0].type, 1);
  EXPECT_EQ((*part->graph.inputs[0].shape)[1].value, 3);
  EXPECT_EQ(names(part->graph.outputs), Names{"c"});
  ASSERT_EQ(part->graph.initializers.size(), 1U);
  EXPECT_EQ(part->graph.initializers[0].name, "w");
  EXPECT_EQ(part->graph.initializers[0].elements, 4 * 3 * 3 * 3);
  EXPECT_EQ(part->opset, 17);
}

TEST_F(Cut, WhatIsMadeWithinIsNoInputAndWhatOnlyItReadsIsNoOutput) {
  const auto part = cut(branched(), {{1, 2}, 1}, tensors);
  ASSERT_TRUE(part) << part.error().what;
  EXPECT_EQ(names(part->graph.inputs), Names{"c"});
  EXPECT_EQ(names(part->graph.outputs), Names{"m"});
  EXPECT_TRUE(part->graph.initializers.empty());
}

TEST_F(Cut, WhatALaterNodeReadsOfABeginningIsAnOutputToo) {
  const auto part = cut(branched(), {{0, 1}, 1}, tensors);
  ASSERT_TRUE(part) << part.error().what;
  EXPECT_EQ(names(part->graph.outputs), (Names{"c", "r"}));
}

TEST_F(Cut, CopiesReadTheSameInputsMakeTensorsOfTheirOwnAndTheFirstHasTheOutputs) {
  const auto part = cut(branched(), {{1, 2}, 3}, tensors);
  ASSERT_TRUE(part) << part.error().what;
  ASSERT_EQ(part->graph.nodes.size(), 6U);
  EXPECT_EQ(part->graph.nodes[2].name, "relu/again-1");
  EXPECT_EQ(part->graph.nodes[2].inputs, Names{"c"});
  EXPECT_EQ(part->graph.nodes[3].inputs, (Names{"r/again-1", "c"}));
  EXPECT_EQ(part->graph.nodes[5].outputs, Names{"m/again-2"});
  EXPECT_EQ(names(part->graph.inputs), Names{"c"});
  EXPECT_EQ(names(part->graph.outputs), Names{"m"});
}

TEST_F(Cut, NamesThatASubgraphTakesFromOutsideAreInputs) {
  const std::string branch = node("Neg", {"c"}, {"n"}) + output("n");
  const std::string graph = input("x", {1, 3, 8, 8}) + node("Relu", {"x"}, {"c"}) +
                            node("Cast", {"x"}, {"b"}, whole("to", 9)) +
                            node("If", {"b"}, {"y"}, graph_attribute("then_branch", branch)) + output("y");
  const auto part = cut(graph, {{2}, 1}, {{"b", {9, {}}}, {"c", {1, {1, 3, 8, 8}}}});
  ASSERT_TRUE(part) << part.error().what;
  EXPECT_EQ(names(part->graph.inputs), (Names{"b", "c"}));
}

TEST_F(Cut, ATensorOfWhichNobodyToldTheTypeIsAnErrorThatNamesIt) {
  const auto part = cut(branched(), {{3}, 1}, tensors);
  ASSERT_FALSE(part);
  EXPECT_NE(part.error().what.find("'m'"), std::string::npos);
}

TEST_F(Cut, NodesThatAreNotThereAreRefused) {
  EXPECT_FALSE(cut(branched(), {{9}, 1}, tensors));
  EXPECT_FALSE(cut(branched(), {{}, 1}, tensors));
  EXPECT_FALSE(cut(branched(), {{0}, 0}, tensors));
}

TEST_F(Cut, AFileThatBecameShorterIsAnErrorAndNoPart) {
  const std::string bytes = model(branched());
  const std::string path = write(bytes);
  const auto whole = read_onnx(path);
  ASSERT_TRUE(whole);
  std::filesystem::resize_file(path, bytes.size() / 2);
  EXPECT_FALSE(cut_onnx(path, *whole, {{0}, 1}, tensors));
  EXPECT_FALSE(onnx_with_all_outputs(path, *whole));
}

TEST_F(Cut, WithAllOutputsEachTensorIsThereOnce) {
  const std::string path = write(model(branched()));
  const auto whole = read_onnx(path);
  ASSERT_TRUE(whole);
  const auto bytes = onnx_with_all_outputs(path, *whole);
  ASSERT_TRUE(bytes) << bytes.error().what;
  const auto all = parse_onnx(as_file(*bytes));
  ASSERT_TRUE(all);
  EXPECT_EQ(names(all->graph.outputs), (Names{"y", "c", "r", "m"}));
  EXPECT_EQ(all->graph.initializers.size(), 2U);
}

}  // namespace
}  // namespace prony::complexity
