// Which nodes of a file an engine's node computes, on graphs as ONNX Runtime makes them.
#include "complexity/onnx_mapping.hpp"

#include <gtest/gtest.h>

#include "onnx_writer.hpp"

namespace prony::complexity {
namespace {

using namespace onnx_test;

OnnxGraph graph(const std::string& bytes) {
  const std::string file = model(bytes);
  const auto read = parse_onnx(as_file(file));
  EXPECT_TRUE(read) << (read ? "" : read.error().what);
  return read ? read->graph : OnnxGraph{};
}
std::string called(const std::string& name) { return field(3, name); }

std::vector<std::string> covered(const OnnxGraph& original, const EngineMapping& mapping, std::size_t node) {
  std::vector<std::string> names;
  for (const std::size_t one : mapping.nodes.at(node).covers) names.push_back(original.nodes[one].name);
  return names;
}
using Names = std::vector<std::string>;

// conv → bn → add (past the block) → relu, as a residual block ends.
OnnxGraph block() {
  return graph(input("x", {1, 8, 8, 8}) + node("Conv", {"x", "w"}, {"c"}, called("conv")) +
               node("BatchNormalization", {"c", "s", "b", "m", "v"}, {"n"}, called("bn")) +
               node("Add", {"n", "x"}, {"a"}, called("add")) + node("Relu", {"a"}, {"y"}, called("relu")) +
               output("y"));
}

TEST(EngineGraph, AFusedNodeComputesAllBetweenWhatItReadsAndWhatItMakes) {
  const OnnxGraph original = block();
  const auto mapping = map_engine_graph(
      original, graph(input("x", {1, 8, 8, 8}) + node("Conv", {"x", "w2"}, {"n"}, called("conv")) +
                      node("Add", {"n", "x"}, {"a"}, called("add")) + node("Relu", {"a"}, {"y"}, called("relu"))));
  EXPECT_EQ(covered(original, mapping, 0), (Names{"conv", "bn"}));
  EXPECT_EQ(covered(original, mapping, 1), (Names{"add"}));
  EXPECT_TRUE(mapping.left_out.empty());
}

TEST(EngineGraph, AConvolutionInAnotherLayoutTakesTheSumAndTheActivationThatWereFusedIntoIt) {
  const OnnxGraph original = block();
  const auto mapping = map_engine_graph(
      original, graph(input("x", {1, 8, 8, 8}) + node("ReorderInput", {"x"}, {"t1"}, called("ReorderInput")) +
                      node("Conv", {"t1", "w2", "b2", "t1"}, {"t2"}, called("n_nchwc") + word("activation", "Relu"),
                           "com.microsoft.nchwc") +
                      node("ReorderOutput", {"t2"}, {"y"}, called("ReorderOutput"), "com.microsoft.nchwc")));
  EXPECT_TRUE(covered(original, mapping, 0).empty());
  EXPECT_EQ(covered(original, mapping, 1), (Names{"conv", "bn", "add", "relu"}));
  EXPECT_TRUE(covered(original, mapping, 2).empty());
  EXPECT_TRUE(mapping.left_out.empty());
}

TEST(EngineGraph, ReshapesAroundAMatrixProductAreTheEnginesAndWhatIsFoldedIsNamed) {
  const OnnxGraph original = graph(input("x", {1, 4, 8}) + node("MatMul", {"x", "w"}, {"p"}, called("product")) +
                                   node("Add", {"p", "b"}, {"y"}, called("sum")) +
                                   node("Shape", {"w"}, {"z"}, called("folded")) + output("y"));
  const auto mapping = map_engine_graph(
      original, graph(input("x", {1, 4, 8}) + node("Reshape", {"x", "s"}, {"in"}, called("gemm_input_reshape")) +
                      node("Gemm", {"in", "w", "b"}, {"out"}, called("product/MatMulAddFusion")) +
                      node("Reshape", {"out", "s2"}, {"y"}, called("gemm_output_reshape"))));
  EXPECT_EQ(covered(original, mapping, 1), (Names{"product", "sum"}));
  EXPECT_TRUE(covered(original, mapping, 2).empty());
  ASSERT_EQ(mapping.left_out.size(), 1U);
  EXPECT_EQ(original.nodes[mapping.left_out[0]].name, "folded");
}

TEST(EngineGraph, ANodeWhoseTensorsGotOtherNamesIsKnownByItsOwn) {
  // norm → relu becomes a convolution of 1 × 1; a concatenation keeps its name, a fusion is called after what it ends.
  const OnnxGraph original =
      graph(input("x", {1, 8, 8, 8}) + node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"n"}, called("norm")) +
            node("Relu", {"n"}, {"r"}, called("relu")) + node("Concat", {"x", "r"}, {"c"}, called("concat")) +
            node("Sigmoid", {"c"}, {"g"}, called("sigmoid")) + node("Mul", {"c", "g"}, {"q"}, called("swish")) +
            node("GlobalAveragePool", {"q"}, {"y"}, called("pool")) + output("y"));
  const auto mapping = map_engine_graph(
      original, graph(input("x", {1, 8, 8, 8}) + node("ReorderInput", {"x"}, {"t0"}, called("ReorderInput")) +
                      node("Conv", {"t0", "w", "b2"}, {"t1"}, called("n_bn_nchwc") + word("activation", "Relu"),
                           "com.microsoft.nchwc") +
                      node("Concat", {"t0", "t1"}, {"t2"}, called("concat")) +
                      node("QuickGelu", {"t2"}, {"t3"}, called("swish/QuickGeluFusion/"), "com.microsoft") +
                      node("GlobalAveragePool", {"t3"}, {"y"}, called("pool"), "com.microsoft.nchwc")));
  EXPECT_EQ(covered(original, mapping, 1), (Names{"norm", "relu"}));
  EXPECT_EQ(covered(original, mapping, 2), (Names{"concat"}));
  EXPECT_EQ(covered(original, mapping, 3), (Names{"sigmoid", "swish"}));
  EXPECT_EQ(covered(original, mapping, 4), (Names{"pool"}));
  EXPECT_TRUE(mapping.left_out.empty());
}

TEST(EngineGraph, AGraphThatHasNothingInCommonCoversNothing) {
  const OnnxGraph original = block();
  const auto mapping = map_engine_graph(original, graph(node("Relu", {"q"}, {"r"}) + node("Add", {"r", "r"}, {"q"})));
  EXPECT_EQ(mapping.left_out.size(), 4U);
}

}  // namespace
}  // namespace prony::complexity
