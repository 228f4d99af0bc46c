// A network put together layer by layer, written as an ONNX file (IR 8, opset 17) with random weights. Shapes are
// followed, so that each layer knows its inputs. The same calls with the same seed give the same bytes on every
// machine. Thread promise: one thread at a time. Errors: the first thing that cannot be (an image too small for a
// window) stands in problem(); calls after it do nothing of use. Source: onnx.proto3; weights are drawn uniformly with
// the variance of He et al. 2015 (arXiv:1502.01852), so that activations stay finite numbers of ordinary size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony {

struct SynthValue {
  std::string name;
  std::vector<std::int64_t> shape;  // of a batch of one, where the batch is dynamic
};

struct SynthConvolution {
  std::int64_t out = 0, kernel = 1, stride = 1, pad = 0, groups = 1;
  bool bias = true;
};
struct SynthPooling {
  std::int64_t kernel = 2, stride = 2, pad = 0;
  bool ceiling = false;
};

class OnnxBuilder {
 public:
  // `dynamic_batch`: the first dimension of the inputs is called "batch" and left open.
  OnnxBuilder(std::string name, std::int64_t batch, bool dynamic_batch)
      : name_(std::move(name)), batch_(batch), dynamic_(dynamic_batch) {}

  SynthValue image(std::int64_t channels, std::int64_t size);        // "input", float32
  SynthValue numbers(const std::string& name, std::int64_t length);  // int64
  void output(const SynthValue& value);                              // named as it is

  SynthValue convolution(const SynthValue& x, const std::string& name, const SynthConvolution& what);
  SynthValue batch_norm(const SynthValue& x, const std::string& name);
  SynthValue layer_norm(const SynthValue& x, const std::string& name);
  SynthValue unary(const SynthValue& x, const std::string& name, const std::string& op);  // Relu, HardSwish …
  SynthValue clip6(const SynthValue& x, const std::string& name);                         // ReLU6
  SynthValue max_pool(const SynthValue& x, const std::string& name, const SynthPooling& what);
  SynthValue average_pool(const SynthValue& x, const std::string& name, const SynthPooling& what);
  SynthValue adaptive_pool(const SynthValue& x, const std::string& name, std::int64_t size);  // to size × size
  SynthValue global_pool(const SynthValue& x, const std::string& name);
  SynthValue dense(const SynthValue& x, const std::string& name, std::int64_t out);   // Gemm, weights out × in
  SynthValue linear(const SynthValue& x, const std::string& name, std::int64_t out);  // MatMul and Add, any rank
  SynthValue binary(const SynthValue& a, const SynthValue& b, const std::string& name, const std::string& op);
  SynthValue scaled(const SynthValue& x, const std::string& name, const std::string& op, float by);
  SynthValue product(const SynthValue& a, const SynthValue& b, const std::string& name);  // of activations
  SynthValue softmax(const SynthValue& x, const std::string& name);
  SynthValue as_float(const SynthValue& x, const std::string& name);                 // Cast
  SynthValue concat(const std::vector<SynthValue>& parts, const std::string& name);  // along the channels
  SynthValue flatten(const SynthValue& x, const std::string& name);
  SynthValue reshape(const SynthValue& x, const std::string& name, std::vector<std::int64_t> to);  // 0: as it is
  SynthValue transpose(const SynthValue& x, const std::string& name, std::vector<std::int64_t> order);
  SynthValue embedding(const SynthValue& places, const std::string& name, std::int64_t rows, std::int64_t width);
  SynthValue first_rows(const std::string& name, std::int64_t count, std::int64_t of, std::int64_t width);
  SynthValue first_of_second(const SynthValue& x, const std::string& name);  // [:, 0]
  SynthValue renamed(const SynthValue& x, const std::string& name);          // Identity

  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] std::uint64_t parameters() const noexcept { return parameters_; }
  [[nodiscard]] std::size_t nodes() const noexcept { return node_count_; }
  // Bytes of the file. Errors: full (more than the 2 GiB that such a file may have), and those of writing.
  [[nodiscard]] Result<std::uint64_t> write(const std::string& path, std::uint64_t seed, bool replace) const;

 private:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> shape;
    double deviation = 0;  // of random numbers; 0: all are `filling`, or those of `whole`
    float filling = 0;
    std::vector<std::int64_t> whole{};  // int64 instead of float32
    [[nodiscard]] std::uint64_t elements() const;
    [[nodiscard]] std::uint64_t bytes() const { return elements() * (whole.empty() ? 4 : 8); }
  };
  class Node;

  std::string weights(const std::string& name, std::vector<std::int64_t> shape, std::int64_t summed, double gain = 2);
  std::string filled(const std::string& name, std::vector<std::int64_t> shape, float with, bool learned = true);
  std::string integers(const std::string& name, std::vector<std::int64_t> numbers);
  SynthValue add(const Node& node, const std::string& name, std::vector<std::int64_t> shape);
  std::int64_t slid(std::int64_t size, const SynthPooling& what, const std::string& name);
  void refuse(std::string why) {
    if (problem_.empty()) problem_ = std::move(why);
  }
  [[nodiscard]] std::string head_of(const Tensor& tensor) const;

  std::string name_;
  std::int64_t batch_ = 1;
  bool dynamic_ = false;
  std::string nodes_, inputs_, outputs_, problem_;
  std::vector<Tensor> tensors_;
  std::uint64_t parameters_ = 0;
  std::size_t node_count_ = 0;
};

}  // namespace prony
