#include "predict/layer.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace prony::predict {

namespace {

double product(const std::array<double, 3>& sizes) { return sizes[0] * sizes[1] * sizes[2]; }
double product(const std::array<double, 2>& sizes) { return sizes[0] * sizes[1]; }

std::array<double, 3> sizes_of(const LayerShape& shape) {
  std::array<double, 3> sizes{1, 1, 1};
  for (std::size_t i = 1; i < shape.size(); ++i)
    sizes[std::min<std::size_t>(i - 1, 2)] *= static_cast<double>(shape[i]);
  return sizes;
}

// In one dimension the second number is that of a line: 1, or nothing.
std::array<double, 2> pair_of(const std::vector<std::int64_t>& numbers, double otherwise) {
  std::array<double, 2> pair{otherwise, otherwise};
  for (std::size_t i = 0; i < std::min<std::size_t>(numbers.size(), 2); ++i) pair[i] = static_cast<double>(numbers[i]);
  return pair;
}

bool whole_plane_pooling(const Layer& layer) { return layer.kind == "pooling" && layer.out[1] * layer.out[2] == 1; }

// A convolution's channels are computed in blocks, its rows in tiles: what a kernel for AVX-512 has (ONNX Runtime's
// NCHWc: 16 floats, six places of a row). Of another processor the costs that are fitted to them are another's, or
// none.
constexpr double channel_block = 16, row_tile = 6;
double over_whole(double count, double step) { return std::ceil(count / step) * step / count; }

bool is_convolution(const Layer& layer) { return layer.kind == "convolution"; }
bool is_depthwise(const Layer& layer) { return layer.groups > 1 && layer.groups == layer.in[0]; }
bool is_pointwise(const Layer& layer) { return product(layer.kernel) == 1 && product(layer.stride) == 1; }
// A network's first layer reads an image that is in no blocks.
bool reads_an_image(const Layer& layer) { return is_convolution(layer) && layer.groups == 1 && layer.in[0] <= 4; }

// So many times the work that its shape asks for: 1 where channels fill their blocks, and rows their tiles.
double channels_filled_up(const Layer& layer) {
  if (!is_convolution(layer) || reads_an_image(layer)) return 1;
  if (layer.groups > 1 && !is_depthwise(layer)) return 1;
  const double outs = over_whole(layer.out[0], channel_block);
  return is_depthwise(layer) ? outs : outs * over_whole(layer.in[0], channel_block);
}
double rows_filled_up(const Layer& layer) {
  if (!is_convolution(layer)) return 1;
  return over_whole(is_pointwise(layer) ? layer.out[1] * layer.out[2] : layer.out[2], row_tile);
}

// Of a matrix product (batch × rows, columns, depth); a convolution is one: places, channels out, window × channels in.
double product_depth(const Layer& layer) {
  const double outs = layer.batch * product(layer.out);
  return std::isfinite(layer.macs) && outs > 0 ? layer.macs / outs : 0;
}
double product_rows(const Layer& layer) {
  if (!(layer.macs > 0)) return 0;
  if (is_convolution(layer)) return layer.batch * layer.out[1] * layer.out[2];
  const double columns = layer.out[2] > 1 ? layer.out[2] : layer.out[1] > 1 ? layer.out[1] : layer.out[0];
  return layer.batch * product(layer.out) / columns;
}

// How dear a number of it is: what only compares, what is made of those, what needs an exponential.
double activation_cost(const std::string& activation) {
  if (activation.empty()) return 0;
  for (const std::string_view cheap : {"Relu", "Clip", "LeakyRelu", "ReLU", "relu"})
    if (activation == cheap) return 1;
  for (const std::string_view hard : {"HardSwish", "HardSigmoid"})
    if (activation == hard) return 2;
  return 3;
}

double log_size(double value) { return std::log2(std::max(value, 1.0)); }

// Of what its reader could not tell, what leaves sizes or work open: a number type that is not told does not.
std::string why_unknown(const NetworkLayer& layer) {
  if (layer.output_shapes.empty()) return layer.absent.empty() ? "what it makes is not told" : layer.absent;
  if (layer.absent.empty()) return {};
  const auto open = [](const std::vector<LayerShape>& shapes) {
    return std::ranges::any_of(shapes, &LayerShape::empty);
  };
  const bool moves = layer.bytes_read && layer.bytes_written;
  if (!moves && (open(layer.input_shapes) || open(layer.output_shapes))) return layer.absent;
  if (layer.kind == LayerKind::control) return layer.absent;  // what it holds is known in part
  const bool counts = layer.kind == LayerKind::convolution || layer.kind == LayerKind::dense ||
                      !work_follows_from_sizes(to_string(layer.kind));
  return counts && !layer.macs ? layer.absent : std::string();
}

}  // namespace

double Layer::flop() const noexcept {
  return 2 * (std::isfinite(macs) ? macs : 0) + (std::isfinite(other_operations) ? other_operations : 0);
}

double Layer::bytes() const noexcept {
  double sum = 0;
  for (const double part : {bytes_read, bytes_weights, bytes_written})
    if (std::isfinite(part)) sum += part;
  return sum;
}

double bytes_of_dtype(std::string_view dtype) noexcept {
  for (const std::string_view eight : {"float64", "int64", "double"})
    if (dtype == eight) return 8;
  for (const std::string_view two : {"float16", "bfloat16", "fp16", "bf16", "half", "int16"})
    if (dtype == two) return 2;
  for (const std::string_view one : {"int8", "uint8", "fp8", "float8", "bool"})
    if (dtype == one) return 1;
  return dtype == "int4" || dtype == "uint4" ? 0.5 : 4;
}

void complete(Layer& layer) {
  const double each = bytes_of_dtype(layer.dtype), ins = product(layer.in), outs = product(layer.out);
  const bool convolution = layer.kind == "convolution", dense = layer.kind == "dense";
  // A matrix of rows: [N, rows, columns] has its columns second, [N, 1, rows, columns] third. Else all is one row.
  const bool matrix = layer.out[1] * layer.out[2] > 1;
  const std::size_t columns = layer.in[2] == 1 && layer.out[2] == 1 ? 1 : 2;
  const double per_output = convolution ? layer.in[0] / layer.groups * product(layer.kernel)
                            : dense     ? (matrix ? layer.in[columns] : ins)
                                        : 0;
  if (!std::isfinite(layer.macs)) layer.macs = layer.batch * outs * per_output;
  if (!std::isfinite(layer.other_operations)) {
    if (convolution || dense)
      layer.other_operations = 0;
    else if (layer.kind == "pooling")
      layer.other_operations = layer.batch * (whole_plane_pooling(layer) ? ins : outs * product(layer.kernel));
    else
      layer.other_operations = layer.kind == "movement" || layer.kind == "layout" ? 0 : layer.batch * outs;
  }
  if (!std::isfinite(layer.bytes_read)) layer.bytes_read = layer.batch * ins * each;
  if (!std::isfinite(layer.bytes_written)) layer.bytes_written = layer.batch * outs * each;
  if (!std::isfinite(layer.bytes_weights)) {
    const double weights = convolution ? layer.out[0] * per_output
                           : dense     ? (matrix ? layer.out[columns] : outs) * per_output
                                       : 0;
    layer.bytes_weights = weights * each;
  }
}

std::string odd_groups(const Layer& layer) {
  if (layer.kind != "convolution" || layer.groups == 1) return {};
  for (const double channels : {layer.in[0], layer.out[0]})
    if (!(layer.groups >= 1) || std::fmod(channels, layer.groups) != 0)
      return "groups of " + format_number(layer.groups) + " do not divide its " + format_number(channels) + " channels";
  return {};
}

bool work_follows_from_sizes(std::string_view kind) noexcept {
  for (const std::string_view one :
       {"convolution", "dense", "pooling", "normalisation", "activation", "elementwise", "softmax", "reduction",
        "embedding", "movement", "resize", "quantisation", "layout"})
    if (kind == one) return true;
  return false;
}

std::array<double, 2> window_between(const Layer& layer) {
  return {std::max(1.0, std::floor(layer.in[1] / layer.out[1])), std::max(1.0, std::floor(layer.in[2] / layer.out[2]))};
}

std::string why_unusable(const Layer& layer) {
  if (!layer.unknown.empty()) return layer.unknown;
  const std::array<std::pair<const char*, double>, 16> sizes = {{{"batch", layer.batch},
                                                                 {"in_0", layer.in[0]},
                                                                 {"in_1", layer.in[1]},
                                                                 {"in_2", layer.in[2]},
                                                                 {"out_0", layer.out[0]},
                                                                 {"out_1", layer.out[1]},
                                                                 {"out_2", layer.out[2]},
                                                                 {"kernel_0", layer.kernel[0]},
                                                                 {"kernel_1", layer.kernel[1]},
                                                                 {"stride_0", layer.stride[0]},
                                                                 {"stride_1", layer.stride[1]},
                                                                 {"groups", layer.groups},
                                                                 {"dilation_0", layer.dilation[0]},
                                                                 {"dilation_1", layer.dilation[1]},
                                                                 {"pad_0", layer.padding[0] + 1},
                                                                 {"pad_1", layer.padding[1] + 1}}};
  for (const auto& [name, value] : sizes)
    if (!(value >= 1 && value <= 1e12)) return std::string(name) + " is out of range";
  for (const double cost :
       {layer.macs, layer.other_operations, layer.bytes_read, layer.bytes_weights, layer.bytes_written})
    if (!(cost >= 0 && cost <= 1e18)) return "a cost (macs, operations or bytes) is out of range";
  return {};
}

Layer layer_from(const NetworkLayer& from) {
  Layer layer;
  layer.name = from.name;
  layer.kind = to_string(from.kind);
  if (!from.dtype.empty()) layer.dtype = from.dtype;
  layer.activation = from.activation.empty() ? from.followed_by : from.activation;
  if (!from.input_shapes.empty()) {
    const LayerShape& first = from.input_shapes.front();
    layer.in = sizes_of(first);
    if (!first.empty()) layer.batch = static_cast<double>(first.front());
  }
  if (!from.output_shapes.empty()) layer.out = sizes_of(from.output_shapes.front());
  layer.kernel = pair_of(from.kernel, 1), layer.stride = pair_of(from.stride, 1),
  layer.dilation = pair_of(from.dilation, 1);
  const auto before = pair_of(from.pad_begin, 0), after = pair_of(from.pad_end, 0);
  layer.padding = {before[0] + after[0], before[1] + after[1]};
  // Of a pooling, whose channels are all apart, nobody says so in a data set.
  layer.groups = from.kind == LayerKind::convolution ? static_cast<double>(from.groups) : 1;
  // Over everything: its window is its input.
  if (from.kind == LayerKind::pooling && from.kernel.empty()) layer.kernel = {layer.in[1], layer.in[2]};
  layer.macs = from.macs.value_or(absent);
  layer.other_operations = from.other_operations.value_or(absent);
  layer.bytes_written = from.bytes_written.value_or(absent);
  layer.bytes_weights = from.weight_bytes;
  if (from.bytes_read) layer.bytes_read = std::max(0.0, *from.bytes_read - from.weight_bytes);
  for (const std::string_view view : {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"})
    if (from.op == view)  // another name for the same bytes; its weights are the name
      layer.bytes_read = layer.bytes_weights = layer.bytes_written = 0;
  complete(layer);
  layer.unknown = why_unknown(from);
  return layer;
}

NetworkToPredict network_from(const NetworkLayers& from) {
  NetworkToPredict network;
  network.name = from.name, network.source = from.source;
  for (const NetworkLayer& layer : from.layers) {
    network.layers.push_back(layer_from(layer));
    if (!layer.absent.empty()) network.remarks.push_back(layer.name + ": " + layer.absent);
  }
  return network;
}

std::array<double, roofline_columns> roofline_of(const Layer& layer) {
  const double flop = layer.flop() / (std::isfinite(layer.threads) ? std::max(layer.threads, 1.0) : 1);
  const bool grouped = layer.groups > 1, depthwise = is_depthwise(layer);
  const double weights = std::isfinite(layer.bytes_weights) ? layer.bytes_weights : 0;
  const double channels = channels_filled_up(layer);
  return {1,
          flop,
          product(layer.kernel) == 1 && !grouped ? flop : 0,
          grouped && !depthwise ? flop : 0,
          depthwise ? flop : 0,
          reads_an_image(layer) ? flop : 0,
          flop * (channels - 1),
          flop * channels * (rows_filled_up(layer) - 1),
          std::isfinite(layer.bytes_read) ? layer.bytes_read : 0,
          weights,
          is_convolution(layer) ? weights * (layer.batch - 1) : 0,
          std::isfinite(layer.bytes_written) ? layer.bytes_written : 0};
}

const std::vector<std::string>& feature_names() {
  static const std::vector<std::string> names = {"FLOP",
                                                 "bytes moved",
                                                 "bytes of weights",
                                                 "FLOP per byte",
                                                 "batch",
                                                 "input channels",
                                                 "output channels",
                                                 "input area",
                                                 "output area",
                                                 "kernel area",
                                                 "stride",
                                                 "groups",
                                                 "channels per group",
                                                 "MACs per output",
                                                 "rows of the product",
                                                 "output width",
                                                 "channels filled up",
                                                 "rows filled up",
                                                 "bytes per number",
                                                 "threads",
                                                 "clock Hz",
                                                 "activation"};
  return names;
}

std::vector<double> features_of(const Layer& layer) {
  const double flop = layer.flop(), bytes = layer.bytes();
  return {log_size(flop),
          log_size(bytes),
          log_size(std::isfinite(layer.bytes_weights) ? layer.bytes_weights : 0),
          log_size(1 + flop / std::max(bytes, 1.0)),
          log_size(layer.batch),
          log_size(layer.in[0]),
          log_size(layer.out[0]),
          log_size(layer.in[1] * layer.in[2]),
          log_size(layer.out[1] * layer.out[2]),
          log_size(product(layer.kernel)),
          log_size(product(layer.stride)),
          log_size(layer.groups),
          log_size(layer.in[0] / layer.groups),
          log_size(product_depth(layer)),
          log_size(product_rows(layer)),
          is_convolution(layer) || layer.kind == "pooling" ? log_size(layer.out[2]) : 0,
          std::log2(channels_filled_up(layer)),
          std::log2(rows_filled_up(layer)),
          std::log2(bytes_of_dtype(layer.dtype)),
          log_size(std::isfinite(layer.threads) ? layer.threads : 1),
          log_size(std::isfinite(layer.clock_hz) ? layer.clock_hz : 1),
          activation_cost(layer.activation)};
}

std::string feature_in_words(std::size_t feature, double value) {
  if (feature >= feature_names().size()) return {};
  if (feature + 1 == feature_names().size())
    return value < 0.5 ? "without an activation" : value < 1.5 ? "with a cheap activation" : "with a dear activation";
  const double size = std::exp2(value);
  return feature_names()[feature] + " " + format_number(size < 1000 ? std::round(size * 10) / 10 : std::round(size));
}

}  // namespace prony::predict
