#include "complexity/onnx.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "base/text.hpp"
#include "complexity/onnx_call.hpp"

namespace prony::complexity {

namespace {

struct ElementType {
  std::string_view name;
  double bytes;
};
// By ONNX's number (TensorProto.DataType); 8 is text, of no fixed length.
constexpr std::array<ElementType, 24> element_types{{{"", 0},
                                                     {"float32", 4},
                                                     {"uint8", 1},
                                                     {"int8", 1},
                                                     {"uint16", 2},
                                                     {"int16", 2},
                                                     {"int32", 4},
                                                     {"int64", 8},
                                                     {"text", 0},
                                                     {"bool", 1},
                                                     {"float16", 2},
                                                     {"float64", 8},
                                                     {"uint32", 4},
                                                     {"uint64", 8},
                                                     {"complex64", 8},
                                                     {"complex128", 16},
                                                     {"bfloat16", 2},
                                                     {"float8e4m3fn", 1},
                                                     {"float8e4m3fnuz", 1},
                                                     {"float8e5m2", 1},
                                                     {"float8e5m2fnuz", 1},
                                                     {"uint4", 0.5},
                                                     {"int4", 0.5},
                                                     {"float4e2m1", 0.5}}};

// A learned number: no index, no size, no truth value.
bool learned(std::int32_t type) noexcept {
  const std::string_view name = onnx_type_name(type);
  return name.starts_with("float") || name.starts_with("bfloat") || name.starts_with("complex") || name == "int8" ||
         name == "uint8" || name == "int4" || name == "uint4";
}

void add_weights(const OnnxGraph& graph, double& bytes) {
  const auto add = [&](const OnnxTensor& one) { bytes += one.elements * onnx_type_bytes(one.type).value_or(0); };
  for (const OnnxTensor& one : graph.initializers) add(one);
  for (const OnnxNode& node : graph.nodes)
    for (const OnnxAttribute& one : node.attributes) {
      if (one.tensor) add(*one.tensor);
      for (const auto& inner : one.graphs) add_weights(*inner, bytes);
    }
}

void add_external(const OnnxGraph& graph, std::set<std::string>& files) {
  for (const OnnxTensor& one : graph.initializers)
    if (!one.external_file.empty()) files.insert(one.external_file);
  for (const OnnxNode& node : graph.nodes)
    for (const OnnxAttribute& one : node.attributes) {
      if (one.tensor && !one.tensor->external_file.empty()) files.insert(one.tensor->external_file);
      for (const auto& inner : one.graphs) add_external(*inner, files);
    }
}

std::optional<LayerShape> shape_from(std::string_view words) {
  LayerShape shape;
  for (const std::string_view one : split(words, 'x')) {
    const auto number = parse_i64(one);
    if (!number || *number < 0 || shape.size() >= most_onnx_dimensions) return std::nullopt;
    shape.push_back(*number);
  }
  return shape;
}

}  // namespace

bool is_parameter(const OnnxNode& node, std::size_t place, std::int32_t type) noexcept {
  if (node.op == "BatchNormalization" && place >= 3) return false;
  if ((node.op == "QuantizeLinear" || node.op == "DequantizeLinear" || node.op == "Resize") && place >= 1) return false;
  if (node.op == "QLinearConv" && place == 8) return true;  // a bias of int32
  return learned(type);
}

const OnnxAttribute* OnnxNode::attribute(std::string_view called) const noexcept {
  for (const OnnxAttribute& one : attributes)
    if (one.name == called) return &one;
  return nullptr;
}

std::int64_t OnnxNode::number(std::string_view called, std::int64_t otherwise) const noexcept {
  const OnnxAttribute* found = attribute(called);
  return found != nullptr && found->number ? *found->number : otherwise;
}

double OnnxModel::weight_bytes() const {
  double sum = 0;
  add_weights(graph, sum);
  return sum;
}

std::vector<std::string> OnnxModel::external_files() const {
  std::set<std::string> files;
  add_external(graph, files);
  return {files.begin(), files.end()};
}

std::vector<std::string> OnnxModel::dynamic_inputs() const {
  std::vector<std::string> found;
  for (const OnnxPort& port : graph.inputs) {
    if (!port.tensor || !port.shape) {
      found.push_back(port.name + (port.tensor ? " (its shape is not told)" : " (no tensor)"));
      continue;
    }
    std::string words;
    bool dynamic = false;
    for (const OnnxDimension& one : *port.shape) {
      dynamic |= one.value < 0;
      words += (words.empty() ? "" : ",") + (one.value >= 0     ? std::to_string(one.value)
                                             : one.name.empty() ? std::string("?")
                                                                : one.name);
    }
    if (dynamic) found.push_back(port.name + " [" + words + "]");
  }
  return found;
}

std::string_view onnx_type_name(std::int32_t type) noexcept {
  return type < 0 || static_cast<std::size_t>(type) >= element_types.size()
             ? std::string_view()
             : element_types[static_cast<std::size_t>(type)].name;
}

std::optional<double> onnx_type_bytes(std::int32_t type) noexcept {
  if (onnx_type_name(type).empty()) return std::nullopt;
  const double bytes = element_types[static_cast<std::size_t>(type)].bytes;
  return bytes > 0 ? std::optional(bytes) : std::nullopt;
}

Result<void> add_onnx_shape(OnnxShapes& shapes, std::string_view words) {
  const auto off = [&](std::string_view part) {
    return fail(ErrorCode::usage, "'" + printable(part, 60) + "' is no shape", "--input-shape",
                "Say 1x3x224x224, NAME:1x3x224x224, or the name of a dimension and its size, batch=4.");
  };
  for (const std::string_view part : split(words, ',')) {
    if (const auto equals = part.find('='); equals != std::string_view::npos) {
      const auto size = parse_i64(part.substr(equals + 1));
      if (!size || *size < 1 || equals == 0) return off(part);
      shapes.dimensions[std::string(trim(part.substr(0, equals)))] = *size;
      continue;
    }
    const auto colon = part.rfind(':');  // names of tensors may hold colons, shapes do not
    const auto shape = shape_from(colon == std::string_view::npos ? part : part.substr(colon + 1));
    if (!shape) return off(part);
    shapes.inputs[colon == std::string_view::npos ? std::string() : std::string(trim(part.substr(0, colon)))] = *shape;
  }
  return {};
}

}  // namespace prony::complexity
