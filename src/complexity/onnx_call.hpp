// One node about to be computed: what is known of its inputs, and what a rule finds out of its outputs. Inside of the
// reader of ONNX networks. Thread promise: plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "complexity/onnx.hpp"

namespace prony::complexity {

// ONNX's numbers of the element types that rules ask for.
namespace onnx_type {
inline constexpr std::int32_t float32 = 1, int32 = 6, int64 = 7, boolean = 9, float64 = 11;
}

struct OnnxValue {
  std::int32_t type = 0;
  std::optional<LayerShape> shape;
  std::optional<std::vector<double>> numbers;  // of small constants and of shapes that were computed
  bool stored = false;                         // weights, or made of weights alone
  const OnnxTensor* tensor = nullptr;          // where it is stored itself
};

// Input `place` of a node holds what was learned, not statistics, scales, sizes or indices.
[[nodiscard]] bool is_parameter(const OnnxNode& node, std::size_t place, std::int32_t type) noexcept;
[[nodiscard]] double elements_of(const LayerShape& shape) noexcept;
[[nodiscard]] std::string shape_words(const LayerShape& shape);  // "1x3x224x224"; of a scalar "scalar"

class OnnxCall {
 public:
  const OnnxNode& node;
  std::vector<const OnnxValue*> in;  // null: not given
  std::vector<OnnxValue> out;
  NetworkLayer& layer;
  std::int64_t opset = 0;
  std::string why;                 // the rule could not: what was missing, or cannot be
  std::optional<double> moved_in;  // bytes read where it is not all of the inputs
  bool view = false;               // nothing is moved

  OnnxCall(const OnnxNode& of, NetworkLayer& into, std::int64_t version)
      : node(of), out(of.outputs.size()), layer(into), opset(version) {}

  [[nodiscard]] bool given(std::size_t place) const noexcept { return place < in.size() && in[place] != nullptr; }
  // Null where it is not known; `why` then says so.
  [[nodiscard]] const LayerShape* shape(std::size_t place);
  [[nodiscard]] const LayerShape* shape_of_rank(std::size_t place, std::size_t least);
  // The numbers of an input; null where it is not given or they are not known. `needed`: `why` then says so.
  [[nodiscard]] const std::vector<double>* numbers(std::size_t place, bool needed);
  // Whole numbers of an attribute or, where there is none, of an input.
  [[nodiscard]] std::optional<std::vector<std::int64_t>> axes(std::string_view attribute, std::size_t place);
  // The numbers of an attribute, one for each of `count`; `otherwise` where it is not there.
  [[nodiscard]] std::optional<std::vector<std::int64_t>> several(std::string_view attribute, std::size_t count,
                                                                 std::int64_t otherwise);
  [[nodiscard]] std::optional<std::size_t> axis(std::int64_t number, std::size_t rank);  // negative from the end
  void set(std::size_t place, LayerShape shape);  // of an output; type of the first input
  void refuse(std::string reason) {
    if (why.empty()) why = std::move(reason);
  }
  [[nodiscard]] double out_elements() const noexcept;  // of the first output; 0 where not known
};

// As numpy does; absent: they do not fit.
[[nodiscard]] std::optional<LayerShape> broadcast(const LayerShape& a, const LayerShape& b);
[[nodiscard]] std::int64_t whole_number(double number) noexcept;  // clamped to what a dimension may be

using OnnxRule = void (*)(OnnxCall&);
struct OnnxOperator {
  std::string_view name;  // with its domain where it is not ONNX's own
  LayerKind kind = LayerKind::unknown;
  OnnxRule rule = nullptr;
  double per_element = 0;  // operations for each element of the first output, where the rule says no other
};
[[nodiscard]] const OnnxOperator* onnx_operator(std::string_view name) noexcept;  // null: not known

namespace rules {
// onnx_window_rules.cpp
void convolution(OnnxCall& call);
void quantised_convolution(OnnxCall& call);
void transposed_convolution(OnnxCall& call);
void pooling(OnnxCall& call);
void global_pooling(OnnxCall& call);
// onnx_matrix_rules.cpp
void gemm(OnnxCall& call);
void matrix_product(OnnxCall& call);
void quantised_matrix_product(OnnxCall& call);
void einsum(OnnxCall& call);
void recurrent(OnnxCall& call);
// onnx_number_rules.cpp
void same(OnnxCall& call);
void broadcasting(OnnxCall& call);
void comparison(OnnxCall& call);
void where(OnnxCall& call);
void cast(OnnxCall& call);
void softmax(OnnxCall& call);
void reduction(OnnxCall& call);
void arg_reduction(OnnxCall& call);
void normalisation(OnnxCall& call);
void quantise(OnnxCall& call);
void dequantise(OnnxCall& call);
void dynamic_quantise(OnnxCall& call);
// onnx_place_rules.cpp
void identity(OnnxCall& call);
void reshape(OnnxCall& call);
void flatten(OnnxCall& call);
void squeeze(OnnxCall& call);
void unsqueeze(OnnxCall& call);
void transpose(OnnxCall& call);
void concat(OnnxCall& call);
void split_up(OnnxCall& call);
void slice(OnnxCall& call);
void pad(OnnxCall& call);
void expand(OnnxCall& call);
void tile(OnnxCall& call);
void gather(OnnxCall& call);
void gather_elements(OnnxCall& call);
void gather_nd(OnnxCall& call);
void scatter(OnnxCall& call);
void resize(OnnxCall& call);
void depth_to_space(OnnxCall& call);
void space_to_depth(OnnxCall& call);
void shape_of(OnnxCall& call);
void size_of(OnnxCall& call);
void constant_of_shape(OnnxCall& call);
void range(OnnxCall& call);
void top_k(OnnxCall& call);
void one_hot(OnnxCall& call);
}  // namespace rules

}  // namespace prony::complexity
