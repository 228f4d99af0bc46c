#include "synth/onnx_builder.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/text.hpp"
#include "synth/model_output.hpp"

namespace prony {

namespace {

// Protobuf's wire format.
void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
}
void put_number(std::string& out, unsigned field, std::int64_t value) {
  put_varint(out, field << 3U);
  put_varint(out, static_cast<std::uint64_t>(value));
}
void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
  put_varint(out, field << 3U | 2U);
  put_varint(out, bytes.size());
  out.append(bytes);
}
void put_float(std::string& out, unsigned field, float value) {
  put_varint(out, field << 3U | 5U);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(bits >> shift & 0xff));
}

constexpr std::int64_t float32 = 1, int64 = 7;
constexpr std::uint64_t largest_onnx_file = (1ULL << 31) - 1;

std::string port(const std::string& name, std::int64_t type, const std::vector<std::int64_t>& shape, bool dynamic) {
  std::string dimensions;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    std::string one;
    if (i == 0 && dynamic)
      put_bytes(one, 2, "batch");
    else
      put_number(one, 1, shape[i]);
    put_bytes(dimensions, 1, one);
  }
  std::string tensor, of_type, out;
  put_number(tensor, 1, type);
  put_bytes(tensor, 2, dimensions);
  put_bytes(of_type, 1, tensor);
  put_bytes(out, 1, name);
  put_bytes(out, 2, of_type);
  return out;
}

}  // namespace

class OnnxBuilder::Node {
 public:
  explicit Node(std::string op) : op_(std::move(op)) {}
  Node& in(const std::string& name) {
    put_bytes(inputs_, 1, name);
    return *this;
  }
  Node& whole(std::string_view name, std::int64_t value) {
    return attribute(name, 2, [&](auto& a) { put_number(a, 3, value); });
  }
  Node& real(std::string_view name, float value) {
    return attribute(name, 1, [&](auto& a) { put_float(a, 2, value); });
  }
  Node& several(std::string_view name, const std::vector<std::int64_t>& values) {
    return attribute(name, 7, [&](auto& a) {
      std::string packed;
      for (const std::int64_t one : values) put_varint(packed, static_cast<std::uint64_t>(one));
      put_bytes(a, 8, packed);
    });
  }
  [[nodiscard]] std::string bytes(const std::string& name, const std::string& output) const {
    std::string out = inputs_;
    put_bytes(out, 2, output);
    put_bytes(out, 3, name);
    put_bytes(out, 4, op_);
    return out + attributes_;
  }

 private:
  template <class Put>
  Node& attribute(std::string_view name, std::int64_t type, const Put& put) {
    std::string one;
    put_bytes(one, 1, name);
    put(one);
    put_number(one, 20, type);
    put_bytes(attributes_, 5, one);
    return *this;
  }
  std::string op_, inputs_, attributes_;
};

std::uint64_t OnnxBuilder::Tensor::elements() const {
  std::uint64_t count = 1;
  for (const std::int64_t one : shape) count *= static_cast<std::uint64_t>(one);
  return count;
}

std::string OnnxBuilder::weights(const std::string& name, std::vector<std::int64_t> shape, std::int64_t summed,
                                 double gain) {
  tensors_.push_back(
      {name, std::move(shape), std::sqrt(gain / static_cast<double>(std::max<std::int64_t>(1, summed)))});
  parameters_ += tensors_.back().elements();
  return name;
}

std::string OnnxBuilder::filled(const std::string& name, std::vector<std::int64_t> shape, float with, bool learned) {
  tensors_.push_back({name, std::move(shape), 0, with});
  if (learned) parameters_ += tensors_.back().elements();
  return name;
}

std::string OnnxBuilder::integers(const std::string& name, std::vector<std::int64_t> numbers) {
  const auto count = static_cast<std::int64_t>(numbers.size());
  tensors_.push_back({name, {count}, 0, 0, std::move(numbers)});
  return name;
}

SynthValue OnnxBuilder::add(const Node& node, const std::string& name, std::vector<std::int64_t> shape) {
  const std::string output = name + ".out";
  put_bytes(nodes_, 1, node.bytes(name, output));
  ++node_count_;
  return {output, std::move(shape)};
}

SynthValue OnnxBuilder::image(std::int64_t channels, std::int64_t size) {
  SynthValue value{"input", {batch_, channels, size, size}};
  put_bytes(inputs_, 11, port(value.name, float32, value.shape, dynamic_));
  return value;
}

SynthValue OnnxBuilder::numbers(const std::string& name, std::int64_t length) {
  SynthValue value{name, {batch_, length}};
  put_bytes(inputs_, 11, port(name, int64, value.shape, dynamic_));
  return value;
}

void OnnxBuilder::output(const SynthValue& value) {
  put_bytes(outputs_, 12, port(value.name, float32, value.shape, dynamic_));
}

std::int64_t OnnxBuilder::slid(std::int64_t size, const SynthPooling& what, const std::string& name) {
  const std::int64_t room = size + 2 * what.pad - what.kernel;
  if (room < 0) {
    refuse("an image of this resolution is too small: " + name + " has a window of " + std::to_string(what.kernel) +
           " over " + std::to_string(size));
    return 1;
  }
  std::int64_t out = room / what.stride + 1;
  if (what.ceiling && room % what.stride != 0 && out * what.stride < size + what.pad) ++out;
  return out;
}

SynthValue OnnxBuilder::convolution(const SynthValue& x, const std::string& name, const SynthConvolution& what) {
  const std::int64_t channels = x.shape[1] / what.groups;
  const SynthPooling window{what.kernel, what.stride, what.pad};
  const std::int64_t height = slid(x.shape[2], window, name), width = slid(x.shape[3], window, name);
  Node node("Conv");
  node.in(x.name).in(
      weights(name + ".weight", {what.out, channels, what.kernel, what.kernel}, channels * what.kernel * what.kernel));
  if (what.bias) node.in(filled(name + ".bias", {what.out}, 0));
  node.several("dilations", {1, 1}).whole("group", what.groups).several("kernel_shape", {what.kernel, what.kernel});
  node.several("pads", {what.pad, what.pad, what.pad, what.pad}).several("strides", {what.stride, what.stride});
  return add(node, name, {x.shape[0], what.out, height, width});
}

SynthValue OnnxBuilder::batch_norm(const SynthValue& x, const std::string& name) {
  const std::int64_t channels = x.shape[1];
  Node node("BatchNormalization");
  node.in(x.name).in(filled(name + ".weight", {channels}, 1)).in(filled(name + ".bias", {channels}, 0));
  node.in(filled(name + ".running_mean", {channels}, 0, false)).in(filled(name + ".running_var", {channels}, 1, false));
  return add(node.real("epsilon", 1e-5F), name, x.shape);
}

SynthValue OnnxBuilder::layer_norm(const SynthValue& x, const std::string& name) {
  Node node("LayerNormalization");
  node.in(x.name).in(filled(name + ".weight", {x.shape.back()}, 1)).in(filled(name + ".bias", {x.shape.back()}, 0));
  return add(node.whole("axis", -1).real("epsilon", 1e-12F), name, x.shape);
}

SynthValue OnnxBuilder::unary(const SynthValue& x, const std::string& name, const std::string& op) {
  return add(Node(op).in(x.name), name, x.shape);
}

SynthValue OnnxBuilder::clip6(const SynthValue& x, const std::string& name) {
  Node node("Clip");
  node.in(x.name).in(filled(name + ".min", {}, 0, false)).in(filled(name + ".max", {}, 6, false));
  return add(node, name, x.shape);
}

SynthValue OnnxBuilder::max_pool(const SynthValue& x, const std::string& name, const SynthPooling& what) {
  Node node("MaxPool");
  node.in(x.name).whole("ceil_mode", what.ceiling ? 1 : 0).several("kernel_shape", {what.kernel, what.kernel});
  node.several("pads", {what.pad, what.pad, what.pad, what.pad}).several("strides", {what.stride, what.stride});
  return add(node, name, {x.shape[0], x.shape[1], slid(x.shape[2], what, name), slid(x.shape[3], what, name)});
}

SynthValue OnnxBuilder::average_pool(const SynthValue& x, const std::string& name, const SynthPooling& what) {
  Node node("AveragePool");
  node.in(x.name).whole("count_include_pad", 1).several("kernel_shape", {what.kernel, what.kernel});
  node.several("pads", {what.pad, what.pad, what.pad, what.pad}).several("strides", {what.stride, what.stride});
  return add(node, name, {x.shape[0], x.shape[1], slid(x.shape[2], what, name), slid(x.shape[3], what, name)});
}

SynthValue OnnxBuilder::adaptive_pool(const SynthValue& x, const std::string& name, std::int64_t size) {
  if (x.shape[2] < size) {
    refuse("an image of this resolution is too small: " + name + " makes " + std::to_string(size) + " of " +
           std::to_string(x.shape[2]));
    return x;
  }
  const std::int64_t stride = x.shape[2] / size;
  return average_pool(x, name, {x.shape[2] - (size - 1) * stride, stride, 0});
}

SynthValue OnnxBuilder::global_pool(const SynthValue& x, const std::string& name) {
  return add(Node("GlobalAveragePool").in(x.name), name, {x.shape[0], x.shape[1], 1, 1});
}

SynthValue OnnxBuilder::dense(const SynthValue& x, const std::string& name, std::int64_t out) {
  Node node("Gemm");
  node.in(x.name).in(weights(name + ".weight", {out, x.shape[1]}, x.shape[1])).in(filled(name + ".bias", {out}, 0));
  return add(node.whole("transB", 1), name, {x.shape[0], out});
}

SynthValue OnnxBuilder::linear(const SynthValue& x, const std::string& name, std::int64_t out) {
  std::vector<std::int64_t> shape = x.shape;
  shape.back() = out;
  Node product("MatMul"), sum("Add");
  product.in(x.name).in(weights(name + ".weight", {x.shape.back(), out}, x.shape.back(), 1));
  const SynthValue made = add(product, name, shape);
  sum.in(made.name).in(filled(name + ".bias", {out}, 0));
  return add(sum, name + ".add", shape);
}

SynthValue OnnxBuilder::binary(const SynthValue& a, const SynthValue& b, const std::string& name,
                               const std::string& op) {
  std::vector<std::int64_t> shape = a.shape.size() >= b.shape.size() ? a.shape : b.shape;
  const auto& other = a.shape.size() >= b.shape.size() ? b.shape : a.shape;
  for (std::size_t i = 0; i < other.size(); ++i) {
    std::int64_t& mine = shape[shape.size() - 1 - i];
    mine = std::max(mine, other[other.size() - 1 - i]);
  }
  return add(Node(op).in(a.name).in(b.name), name, std::move(shape));
}

SynthValue OnnxBuilder::scaled(const SynthValue& x, const std::string& name, const std::string& op, float by) {
  return add(Node(op).in(x.name).in(filled(name + ".by", {}, by, false)), name, x.shape);
}

SynthValue OnnxBuilder::product(const SynthValue& a, const SynthValue& b, const std::string& name) {
  std::vector<std::int64_t> shape = a.shape;
  shape.back() = b.shape.back();
  return add(Node("MatMul").in(a.name).in(b.name), name, std::move(shape));
}

SynthValue OnnxBuilder::softmax(const SynthValue& x, const std::string& name) {
  return add(Node("Softmax").in(x.name).whole("axis", -1), name, x.shape);
}

SynthValue OnnxBuilder::as_float(const SynthValue& x, const std::string& name) {
  return add(Node("Cast").in(x.name).whole("to", float32), name, x.shape);
}

SynthValue OnnxBuilder::concat(const std::vector<SynthValue>& parts, const std::string& name) {
  Node node("Concat");
  std::vector<std::int64_t> shape = parts.front().shape;
  shape[1] = 0;
  for (const SynthValue& one : parts) {
    node.in(one.name);
    shape[1] += one.shape[1];
  }
  return add(node.whole("axis", 1), name, std::move(shape));
}

SynthValue OnnxBuilder::flatten(const SynthValue& x, const std::string& name) {
  std::int64_t rest = 1;
  for (std::size_t i = 1; i < x.shape.size(); ++i) rest *= x.shape[i];
  return add(Node("Flatten").in(x.name).whole("axis", 1), name, {x.shape[0], rest});
}

SynthValue OnnxBuilder::reshape(const SynthValue& x, const std::string& name, std::vector<std::int64_t> to) {
  std::vector<std::int64_t> shape = to;
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (shape[i] == 0) shape[i] = x.shape[i];
  return add(Node("Reshape").in(x.name).in(integers(name + ".shape", std::move(to))), name, std::move(shape));
}

SynthValue OnnxBuilder::transpose(const SynthValue& x, const std::string& name, std::vector<std::int64_t> order) {
  std::vector<std::int64_t> shape;
  for (const std::int64_t one : order) shape.push_back(x.shape[static_cast<std::size_t>(one)]);
  return add(Node("Transpose").in(x.name).several("perm", order), name, std::move(shape));
}

SynthValue OnnxBuilder::embedding(const SynthValue& places, const std::string& name, std::int64_t count,
                                  std::int64_t width) {
  std::vector<std::int64_t> shape = places.shape;
  shape.push_back(width);
  return add(Node("Gather").in(weights(name + ".weight", {count, width}, width)).in(places.name), name,
             std::move(shape));
}

SynthValue OnnxBuilder::first_rows(const std::string& name, std::int64_t count, std::int64_t of, std::int64_t width) {
  std::vector<std::int64_t> places;
  for (std::int64_t i = 0; i < count; ++i) places.push_back(i);
  return embedding({integers(name + ".places", std::move(places)), {count}}, name, of, width);
}

SynthValue OnnxBuilder::first_of_second(const SynthValue& x, const std::string& name) {
  std::vector<std::int64_t> shape = x.shape;
  shape.erase(shape.begin() + 1);
  tensors_.push_back({name + ".index", {}, 0, 0, {0}});
  return add(Node("Gather").in(x.name).in(name + ".index").whole("axis", 1), name, std::move(shape));
}

SynthValue OnnxBuilder::renamed(const SynthValue& x, const std::string& name) {
  put_bytes(nodes_, 1, Node("Identity").in(x.name).bytes(name + "_as_output", name));
  ++node_count_;
  return {name, x.shape};
}

// All of a TensorProto but its numbers.
std::string OnnxBuilder::head_of(const Tensor& tensor) const {
  std::string out;
  for (const std::int64_t one : tensor.shape) put_number(out, 1, one);
  put_number(out, 2, tensor.whole.empty() ? float32 : int64);
  put_bytes(out, 8, tensor.name);
  put_varint(out, 9U << 3U | 2U);
  put_varint(out, tensor.bytes());
  return out;
}

namespace {

// A number of a tensor is a random byte in −127 … 127 times a unit; 74 is about the deviation of such bytes.
Result<void> write_random(SynthOutput& out, std::uint64_t elements, double deviation, SynthRandom random) {
  std::string block;
  const double unit = deviation / 74.0;
  std::array<std::array<char, 4>, 256> little_endian;  // by byte
  for (int byte = -128; byte < 128; ++byte) {
    const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>((byte == -128 ? 0 : byte) * unit));
    for (unsigned at = 0; at < 4; ++at)
      little_endian[static_cast<std::size_t>(byte + 128)][at] = static_cast<char>(bits >> (8 * at) & 0xff);
  }
  std::uint64_t word = 0;
  for (std::uint64_t i = 0; i < elements; ++i) {
    if (i % 8 == 0) word = random.next();
    const auto& number = little_endian[word >> (8 * (i % 8)) & 0xff];
    block.append(number.data(), number.size());
    if (block.size() < 65'536 && i + 1 < elements) continue;
    if (auto done = out.put(block); !done) return done;
    block.clear();
  }
  return {};
}

}  // namespace

Result<std::uint64_t> OnnxBuilder::write(const std::string& path, std::uint64_t seed, bool replace) const {
  std::string model, graph_tail;
  put_number(model, 1, 8);
  put_bytes(model, 2, "prony");
  std::string opset;
  put_number(opset, 2, 17);
  put_bytes(model, 8, opset);
  put_bytes(graph_tail, 2, name_);
  graph_tail += inputs_ + outputs_;
  std::uint64_t graph_bytes = nodes_.size() + graph_tail.size();
  std::vector<std::string> heads;
  for (const Tensor& one : tensors_) {
    heads.push_back(head_of(one));
    std::string prefix;
    put_varint(prefix, 5U << 3U | 2U);
    put_varint(prefix, heads.back().size() + one.bytes());
    heads.back() = prefix + heads.back();
    graph_bytes += heads.back().size() + one.bytes();
  }
  if (graph_bytes > largest_onnx_file - 1024)
    return fail(ErrorCode::full,
                "this network takes " + std::to_string(graph_bytes) + " bytes, and an ONNX file holds 2 GiB", path,
                "Make it smaller: --width.");
  put_varint(model, 7U << 3U | 2U);
  put_varint(model, graph_bytes);

  auto out = SynthOutput::open(path, replace);
  if (!out) return Unexpected<Error>(out.error());
  auto done = out->put(model);
  if (done) done = out->put(nodes_);
  for (std::size_t i = 0; i < tensors_.size() && done; ++i) {
    const Tensor& one = tensors_[i];
    done = out->put(heads[i]);
    if (done && one.deviation > 0) {
      done = write_random(*out, one.elements(), one.deviation, SynthRandom(seed, i));
    } else if (done) {
      std::string numbers;
      for (std::uint64_t j = 0; j < one.elements(); ++j) {
        const std::uint64_t bits = one.whole.empty()
                                       ? std::bit_cast<std::uint32_t>(one.filling)
                                       : static_cast<std::uint64_t>(one.whole[static_cast<std::size_t>(j)]);
        for (unsigned shift = 0; shift < (one.whole.empty() ? 32U : 64U); shift += 8)
          numbers.push_back(static_cast<char>(bits >> shift & 0xff));
      }
      done = out->put(numbers);
    }
  }
  if (done) done = out->put(graph_tail);
  if (done) done = out->finish();
  if (!done) return Unexpected<Error>(done.error());
  return out->position();
}

}  // namespace prony
