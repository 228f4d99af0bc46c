#include "predict/torch_summary.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/text.hpp"

namespace prony::predict {

namespace {

using Summary = nlohmann::json;
using Sizes = std::vector<double>;

// [1, 3, 224, 224], or the same as text with anything between the numbers. Not a shape: empty.
Sizes shape_of(const Summary& value) {
  Sizes sizes;
  if (value.is_array()) {
    for (const Summary& v : value)
      if (v.is_number())
        sizes.push_back(v.get<double>());
      else
        return value.size() == 1 ? shape_of(v) : Sizes{};
  } else if (value.is_number()) {
    sizes.push_back(value.get<double>());
  } else if (value.is_string()) {
    std::string digits;
    bool below = false;  // a minus stood before them
    for (const char c : value.get<std::string>() + " ") {
      if (c >= '0' && c <= '9' && digits.size() < 15) {
        digits += c;
        continue;
      }
      if (!digits.empty())
        sizes.push_back(static_cast<double>(parse_u64(digits).value_or(0)) * (below ? -1 : 1)), below = false;
      else
        below = c == '-';
      digits.clear();
    }
  }
  return sizes.size() > 8 ? Sizes{} : sizes;
}

double all_of(const Sizes& sizes, std::size_t from = 0) {
  double all = 1;
  for (std::size_t i = from; i < sizes.size(); ++i) all *= sizes[i];
  return all;
}

std::string small_letters(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

std::string text_at(const Summary& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// The first word that is in the type's name, in small letters, is meant: "upsamplingbilinear2d" is no linear layer.
constexpr std::array<std::pair<const char*, const char*>, 25> torch_kinds{
    {{"conv", "convolution"},    {"upsampl", "resize"},     {"linear", "dense"},
     {"pool", "pooling"},        {"norm", "normalisation"}, {"softmax", "softmax"},
     {"embedding", "embedding"}, {"elu", "activation"},  // and relu, gelu
     {"silu", "activation"},     {"sigmoid", "activation"}, {"swish", "activation"},
     {"tanh", "activation"},     {"mish", "activation"},    {"softplus", "activation"},
     {"flatten", "movement"},    {"dropout", "movement"},   {"identity", "movement"},
     {"shuffle", "movement"},    {"pad", "movement"},       {"lstm", "recurrent"},
     {"gru", "recurrent"},       {"rnn", "recurrent"},      {"attention", "matmul"},
     {"matmul", "matmul"},       {"add", "elementwise"}}};

std::string torch_kind(const std::string& type) {
  for (const auto& [part, kind] : torch_kinds)
    if (holds(type, part)) return kind;
  return "unknown";
}

// A shape whose sizes are all there; a first one of -1, which torchsummary always writes, is the batch.
Result<Sizes> told_shape(const Summary& from, const char* key, const std::string& name, const std::string& where,
                         double batch) {
  Sizes shape = shape_of(from.value(key, Summary()));
  const std::string layer = "layer '" + printable(name, 40) + "'";
  if (shape.empty()) return fail(ErrorCode::malformed, layer + " has no input_shape or output_shape", where);
  if (shape.front() == -1 && batch >= 1) shape.front() = batch;
  if (shape.front() == -1)
    return fail(ErrorCode::usage, layer + ": the batch in its " + key + " is open (-1)", where, "Say it: --batch N.");
  for (const double size : shape)
    if (!(size >= 1 && size <= 1e12))
      return fail(ErrorCode::malformed, layer + ": a size of " + format_number(size) + " in its " + key, where);
  return shape;
}

// Numbers of a window, one for each of its dimensions; of one number all are it.
Sizes window_of(const Summary& from, const char* key, std::size_t dimensions, double otherwise) {
  Sizes sizes = shape_of(from.value(key, Summary()));
  if (sizes.empty()) sizes = {otherwise};
  sizes.resize(dimensions, sizes.back());
  return sizes;
}

// A layer has height and width: in one dimension the second is 1, or nothing; of three the last two are one.
void add_window(const Summary& from, std::size_t dimensions, Layer& layer) {
  const Sizes kernel = window_of(from, "kernel_size", dimensions, 1), stride = window_of(from, "stride", dimensions, 1),
              padding = window_of(from, "padding", dimensions, 0),
              dilation = window_of(from, "dilation", dimensions, 1);
  layer.kernel = {kernel[0], all_of(kernel, 1)}, layer.stride = {stride[0], all_of(stride, 1)};
  // torch: on each side
  layer.padding = {2 * padding[0], dimensions > 1 ? 2 * padding[1] : 0};
  layer.dilation = {dilation[0], dimensions > 1 ? dilation[1] : 1};
}

// Multiply-adds and weights, by torch's own sizes. Of a transposed convolution each input meets the whole window.
void add_work(const std::string& type, const Sizes& in, const Sizes& out, Layer& layer) {
  const double each = bytes_of_dtype(layer.dtype);
  if (layer.kind == "dense") {
    layer.macs = all_of(out) * in.back();
    layer.bytes_weights = in.back() * out.back() * each;
  } else if (layer.kind == "convolution" && in.size() > 1 && out.size() > 1) {
    const double window = layer.kernel[0] * layer.kernel[1] / layer.groups;
    layer.macs = (holds(type, "transpose") ? all_of(in) * out[1] : all_of(out) * in[1]) * window;
    layer.bytes_weights = in[1] * out[1] * window * each;
  }
}

void set_sizes(const Sizes& shape, std::array<double, 3>& sizes) {
  sizes = {1, 1, 1};
  for (std::size_t i = 1; i < shape.size(); ++i) sizes[std::min<std::size_t>(i - 1, 2)] *= shape[i];
}

Result<void> add_torch_layer(const std::string& name, const Summary& from, const std::string& where, double batch,
                             NetworkToPredict& network) {
  Layer layer;
  layer.name = name;
  const std::string type = small_letters(text_at(from, "type"));
  layer.kind = torch_kind(type);
  auto in = told_shape(from, "input_shape", name, where, batch),
       out = told_shape(from, "output_shape", name, where, batch);
  if (!in) return Unexpected<Error>(in.error());
  if (!out) return Unexpected<Error>(out.error());
  const bool windowed = layer.kind == "convolution" || layer.kind == "pooling";
  const std::size_t dimensions = holds(type, "1d")   ? 1
                                 : holds(type, "2d") ? 2
                                 : holds(type, "3d") ? 3
                                                     : std::clamp<std::size_t>(in->size(), 3, 5) - 2;
  // An image by itself, without a batch.
  if (windowed && in->size() == dimensions + 1 && out->size() == in->size())
    in->insert(in->begin(), 1), out->insert(out->begin(), 1);
  if (in->size() == 1) in->insert(in->begin(), 1), out->insert(out->begin(), 1);
  layer.batch = in->front();
  set_sizes(*in, layer.in), set_sizes(*out, layer.out);
  add_window(from, dimensions, layer);
  if (const Sizes groups = shape_of(from.value("groups", Summary())); !groups.empty())
    layer.groups = groups[0];
  else if (layer.kind == "convolution")
    network.remarks.push_back(name + ": groups are not told: 1 is taken, which is wrong for a depthwise convolution");
  if (const std::string odd = odd_groups(layer); !odd.empty())
    return fail(ErrorCode::malformed, "layer '" + printable(name, 40) + "': " + odd, where);
  if (layer.kind == "pooling" && !from.contains("kernel_size")) layer.kernel = window_between(layer);
  if (const std::string dtype = text_at(from, "dtype"); !dtype.empty()) layer.dtype = dtype;
  add_work(type, *in, *out, layer);
  const Summary macs = from.value("multiply_adds", Summary());
  if (macs.is_number() && macs.get<double>() >= 0)
    layer.macs = macs.get<double>();
  else if (!work_follows_from_sizes(layer.kind))
    layer.unknown =
        "what a layer of type '" + printable(text_at(from, "type"), 40) + "' computes is not told (multiply_adds)";
  complete(layer);
  network.layers.push_back(std::move(layer));
  return {};
}

}  // namespace

Result<NetworkToPredict> network_from_torch(const nlohmann::json& layers, const std::string& where, double batch) {
  NetworkToPredict network;
  network.source = "torch";
  std::size_t number = 0;
  for (const auto& [key, layer] : layers.items()) {
    ++number;
    if (!layer.is_object())
      return fail(ErrorCode::malformed, "layer " + std::to_string(number) + " is no object", where);
    const std::string named = text_at(layer, "name");
    if (const auto good = add_torch_layer(!named.empty()       ? named
                                          : layers.is_object() ? key
                                                               : "layer " + std::to_string(number),
                                          layer, where, batch, network);
        !good)
      return Unexpected<Error>(good.error());
  }
  return network;
}

}  // namespace prony::predict
