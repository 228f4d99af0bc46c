// Which nodes of a graph an engine computes in which of its own: engines fuse, reorder and take away. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "complexity/onnx.hpp"

namespace prony::complexity {

struct EngineNode {
  std::string name, op;
  std::vector<std::size_t> covers;  // places in the original graph's nodes, in its order
};
struct EngineMapping {
  std::vector<EngineNode> nodes;      // of the engine's graph, in its order
  std::vector<std::size_t> left_out;  // nodes of the original graph that none of them computes: folded or taken away
};

// `engine`: the graph as the engine runs it, in which tensors that are left keep their names. A node computes all that
// lies between the tensors that it reads and those that it makes. Constants are no nodes.
[[nodiscard]] EngineMapping map_engine_graph(const OnnxGraph& original, const OnnxGraph& engine);

}  // namespace prony::complexity
