// ONNX files: what a network is made of, and what each of its nodes computes and moves.
//
// The file is read by a small cursor over protobuf's wire format that passes over the weights' bytes: protobuf's own
// library would load all of them, gigabytes of some models, to tell their names and shapes. Whatever stands in the
// file, time and memory are bounded: at most `most_onnx_fields` fields are looked at, and `most_onnx_bytes` of names,
// attributes and small constants are kept. Subgraphs (If, Loop, Scan) belong to their node and are counted once.
//
// Shapes are inferred from those of the inputs; the file's own are used where an operator is not known. Arithmetic on
// shapes (Shape, Gather, Concat, … Reshape) is computed, up to 1024 numbers a tensor. Dynamic dimensions are asked for,
// never guessed: layers_of() fails with their names where no shape was given. Thread promise: any thread, no shared
// state. Errors: malformed (no ONNX, cut off, contradictory), full (beyond the bounds), usage (a shape is missing or
// cannot be), and those of opening. Source: onnx.proto3 and the operators' specification (ONNX 1.16, opset 21).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/network_layers.hpp"

namespace prony::complexity {

inline constexpr std::uint64_t most_onnx_fields = 40'000'000, most_onnx_bytes = 512u << 20;
inline constexpr std::size_t most_onnx_dimensions = 16;
inline constexpr std::int64_t largest_onnx_dimension = 1'000'000'000'000;
inline constexpr std::size_t longest_onnx_constant = 1024;  // numbers of a constant that are kept

struct OnnxDimension {
  std::int64_t value = -1;  // −1: dynamic
  std::string name;         // of a dynamic one, as "batch"; "": it has none
};

struct OnnxPort {
  std::string name;
  std::int32_t type = 0;                            // ONNX's number of the element type; 0: not told
  std::optional<std::vector<OnnxDimension>> shape;  // absent: not told, or no tensor
  bool tensor = true;                               // false: a sequence, a map …
};

struct OnnxTensor {
  std::string name;
  std::int32_t type = 0;
  LayerShape shape;
  double elements = 0;
  std::optional<std::vector<double>> numbers;  // of a small constant (whole ones beyond 2^53 are rounded)
  std::string external_file;                   // where its bytes are, as the file says; "": in the file itself
};

struct OnnxGraph;
struct OnnxAttribute {
  std::string name;
  std::optional<std::int64_t> number;
  std::optional<double> real;
  std::optional<std::string> text;
  std::vector<std::int64_t> numbers;
  std::vector<double> reals;
  std::optional<OnnxTensor> tensor;
  std::vector<std::shared_ptr<const OnnxGraph>> graphs;
};

struct OnnxNode {
  std::string name, op, domain;  // domain "": ONNX's own
  std::vector<std::string> inputs, outputs;
  std::vector<OnnxAttribute> attributes;
  [[nodiscard]] const OnnxAttribute* attribute(std::string_view called) const noexcept;  // null: not there
  [[nodiscard]] std::int64_t number(std::string_view called, std::int64_t otherwise) const noexcept;
};

struct OnnxGraph {
  std::string name;
  std::vector<OnnxNode> nodes;
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxPort> inputs, outputs, values;  // inputs: without those that are initialisers
};

struct OnnxModel {
  std::int64_t ir_version = 0, opset = 0;  // opset of ONNX's own operators
  std::string producer, producer_version;
  std::map<std::string, std::int64_t> other_opsets;  // by domain
  std::vector<std::string> functions;                // operators that the file itself defines: not looked into
  OnnxGraph graph;
  std::uint64_t file_bytes = 0;
  [[nodiscard]] double parameters() const;                        // without running means and variances
  [[nodiscard]] double weight_bytes() const;                      // of all initialisers
  [[nodiscard]] std::vector<std::string> external_files() const;  // each once
  [[nodiscard]] std::vector<std::string> dynamic_inputs() const;  // "input [batch,3,?,?]"
};

[[nodiscard]] Result<OnnxModel> parse_onnx(std::span<const std::byte> whole);
[[nodiscard]] Result<OnnxModel> read_onnx(const std::string& path);

// What the user says of dynamic dimensions.
struct OnnxShapes {
  std::map<std::string, LayerShape, std::less<>> inputs;        // a whole shape by the input's name
  std::map<std::string, std::int64_t, std::less<>> dimensions;  // by a dimension's name
  std::optional<std::int64_t> batch;                            // the first dimension of every input
};
// "1x3x224x224", "input:1x3x224x224" or "batch=4", several separated by commas. A shape without a name is that of the
// only input; its name in the result is then "".
[[nodiscard]] Result<void> add_onnx_shape(OnnxShapes& shapes, std::string_view words);

[[nodiscard]] Result<NetworkLayers> layers_of(const OnnxModel& model, const OnnxShapes& shapes = {});

[[nodiscard]] std::string_view onnx_type_name(std::int32_t type) noexcept;  // "float32"; "": not known
[[nodiscard]] std::optional<double> onnx_type_bytes(std::int32_t type) noexcept;

}  // namespace prony::complexity
