#include "layers/tensorrt.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "layers/edgeprofiler.hpp"

namespace prony::layers {

namespace {

using nlohmann::json;

constexpr std::int64_t largest_extent = std::int64_t{1} << 40;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Whole numbers from 0 on; absent: not a list of such.
std::optional<std::vector<std::int64_t>> whole_numbers(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array() || found->size() > 16) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const json& one : *found) {
    if (!one.is_number_integer()) return std::nullopt;
    const auto value = one.is_number_unsigned() && one.get<std::uint64_t>() > static_cast<std::uint64_t>(largest_extent)
                           ? largest_extent + 1
                           : one.get<std::int64_t>();
    if (value < 0 || value > largest_extent) return std::nullopt;
    numbers.push_back(value);
  }
  return numbers;
}

double product(const std::vector<std::int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), 1.0,
                         [](double all, std::int64_t one) { return all * static_cast<double>(one); });
}

struct Datatype {
  std::string_view word, dtype;
  double bytes;
};
// The longest word that is in the text is meant: "BF16" holds "F16" no less than "FP16" does.
constexpr std::array<Datatype, 16> datatypes{{{"BFloat16", "bfloat16", 2},
                                              {"BF16", "bfloat16", 2},
                                              {"FP16", "float16", 2},
                                              {"Half", "float16", 2},
                                              {"FP32", "float32", 4},
                                              {"Float", "float32", 4},
                                              {"FP8", "float8", 1},
                                              {"INT8", "int8", 1},
                                              {"Int8", "int8", 1},
                                              {"INT32", "int32", 4},
                                              {"Int32", "int32", 4},
                                              {"INT64", "int64", 8},
                                              {"Int64", "int64", 8},
                                              {"INT4", "int4", 0.5},
                                              {"Int4", "int4", 0.5},
                                              {"Bool", "bool", 1}}};
const Datatype* datatype_in(std::string_view text) {
  const Datatype* found = nullptr;
  for (const Datatype& one : datatypes)
    if (text.find(one.word) != std::string_view::npos && (found == nullptr || one.word.size() > found->word.size()))
      found = &one;
  return found;
}

struct Port {
  std::string name;
  LayerShape shape;
  const Datatype* type = nullptr;
  bool shape_known = false;
  std::string open;  // its dimensions as they stand there, one of which is below 0: known only when it runs
};

// Dimensions whose first one is open are those of a batch: it is `batch`, if that was told.
void add_dimensions(json one, std::optional<std::int64_t> batch, Port& port) {
  const auto found = one.find("Dimensions");
  if (found == one.end()) return;
  const auto open = [](const json& size) { return size.is_number_integer() && !size.is_number_unsigned() && size < 0; };
  if (batch && found->is_array() && !found->empty() && open(found->front())) found->front() = *batch;
  if (found->is_array() && found->size() <= 16 && std::ranges::any_of(*found, open)) port.open = found->dump();
  if (auto shape = whole_numbers(one, "Dimensions")) port.shape = std::move(*shape), port.shape_known = true;
}

std::vector<Port> ports_of(const json& layer, const char* key, std::optional<std::int64_t> batch) {
  std::vector<Port> ports;
  const auto found = layer.find(key);
  if (found == layer.end() || !found->is_array()) return ports;
  for (const json& one : *found) {
    Port port;
    if (one.is_string()) port.name = one.get<std::string>();
    if (one.is_object()) {
      port.name = text_of(one, "Name");
      add_dimensions(one, batch, port);
      for (const char* word : {"Format/Datatype", "Datatype", "DataType", "Format"})
        if (port.type == nullptr) port.type = datatype_in(text_of(one, word));
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

struct Word {
  std::string_view word;
  LayerKind kind;
};
// As ParameterType and LayerType spell them, and as they stand within LayerType ("CaskConvolution"): the first that is
// there is meant. "CaskGemmConvolution" is a convolution, and "CaskGemmMatrixMultiply" a matrix product.
constexpr std::array<Word, 25> kinds{{{"Convolution", LayerKind::convolution},
                                      {"Deconvolution", LayerKind::convolution},
                                      {"convolution", LayerKind::convolution},
                                      {"Pooling", LayerKind::pooling},
                                      {"Reformat", LayerKind::layout},
                                      {"NoOp", LayerKind::layout},
                                      {"ElementWise", LayerKind::elementwise},
                                      {"PointWise", LayerKind::elementwise},
                                      {"Activation", LayerKind::activation},
                                      {"SoftMax", LayerKind::softmax},
                                      {"Softmax", LayerKind::softmax},
                                      {"MatrixMultiply", LayerKind::matmul},
                                      {"gemm", LayerKind::matmul},
                                      {"Gemm", LayerKind::matmul},
                                      {"FullyConnected", LayerKind::dense},
                                      {"Reduce", LayerKind::reduction},
                                      {"TopK", LayerKind::reduction},
                                      {"Shuffle", LayerKind::movement},
                                      {"Slice", LayerKind::movement},
                                      {"Concatenation", LayerKind::movement},
                                      {"Gather", LayerKind::embedding},
                                      {"Resize", LayerKind::resize},
                                      {"Scale", LayerKind::normalisation},
                                      {"Normalization", LayerKind::normalisation},
                                      {"RNN", LayerKind::recurrent}}};

LayerKind kind_of(const std::string& type, const std::string& parameters, const NetworkLayer& layer) {
  if (type == "LRN" || parameters == "LRN") return LayerKind::normalisation;
  const auto found = [&]() -> LayerKind {
    for (const std::string_view text : {std::string_view(parameters), std::string_view(type)}) {
      if (const auto exact = std::ranges::find(kinds, text, &Word::word); exact != kinds.end()) return exact->kind;
      for (const Word& one : kinds)
        if (text.find(one.word) != std::string_view::npos) return one.kind;
    }
    return LayerKind::unknown;
  };
  LayerKind kind = found();
  if (type == "gemm" || type == "MatrixMultiply") kind = LayerKind::matmul;
  // A kernel of 1×1 over one pixel is a matrix; over an image it stays the convolution that it is.
  const bool gemm = type == "CaskGemmConvolution" || type == "CaskGemmMatrixMultiply";
  if (gemm && !layer.output_shapes.empty()) {
    const LayerShape& out = layer.output_shapes.front();
    if (out.size() < 3 || product({out.begin() + 2, out.end()}) == 1) kind = LayerKind::dense;
  }
  return kind;
}

void add_window(const json& source, NetworkLayer& layer) {
  const auto list = [&](const char* key, std::vector<std::int64_t>& into) {
    if (auto numbers = whole_numbers(source, key)) into = std::move(*numbers);
  };
  list(source.contains("WindowSize") ? "WindowSize" : "Kernel", layer.kernel);
  list("Stride", layer.stride);
  list("Dilation", layer.dilation);
  list("PrePadding", layer.pad_begin);
  list("PostPadding", layer.pad_end);
  if (const auto groups = source.find("Groups"); groups != source.end() && groups->is_number_integer())
    layer.groups = std::max<std::int64_t>(1, groups->get<std::int64_t>());
  layer.activation = text_of(source, "Activation");
  if (layer.activation == "NONE") layer.activation.clear();
}

double count_of(const json& source, const char* key, const Datatype*& type) {
  const auto found = source.find(key);
  if (found == source.end() || !found->is_object()) return 0;
  const auto count = found->find("Count");
  type = datatype_in(text_of(*found, "Type"));
  return count != found->end() && count->is_number() ? std::max(0.0, count->get<double>()) : 0;
}

// Of a transposed convolution each input meets the whole window, of a plain one each output does.
double window_macs(const NetworkLayer& layer, const LayerShape& input, const LayerShape& output, bool transposed) {
  const auto groups = static_cast<double>(layer.groups);
  const double places =
      transposed ? product(input) * static_cast<double>(output[1]) : product(output) * static_cast<double>(input[1]);
  return places / groups * product(layer.kernel);
}

void add_costs(NetworkLayer& layer, const std::vector<Port>& in, const std::vector<Port>& out, bool transposed) {
  const bool windowed = layer.kind == LayerKind::convolution || layer.kind == LayerKind::dense;
  const LayerShape input = layer.input_shapes.empty() ? LayerShape{} : layer.input_shapes.front();
  const LayerShape output = layer.output_shapes.empty() ? LayerShape{} : layer.output_shapes.front();
  const auto absent = [&](const std::string& why) {
    if (layer.absent.empty()) layer.absent = why;
  };
  if (windowed && input.size() >= 2 && output.size() >= 2 && !layer.kernel.empty()) {
    layer.macs = window_macs(layer, input, output, transposed);
  } else if (layer.kind == LayerKind::dense && input.size() >= 2 && output.size() >= 2 && input[0] > 0) {
    layer.macs = product(input) / static_cast<double>(input[0]) * product(output);  // all of one meets all of the other
  } else if (layer.kind == LayerKind::matmul && in.size() >= 2 && in.back().shape.size() >= 2 && !output.empty()) {
    absent("which of its inputs is multiplied by which is not told");
  } else if (layer.kind == LayerKind::pooling && !output.empty() && !layer.kernel.empty()) {
    layer.macs = 0;
    layer.other_operations = product(output) * product(layer.kernel);
  } else if (layer.kind == LayerKind::layout || layer.kind == LayerKind::movement) {
    layer.macs = 0;
    layer.other_operations = 0;
  } else if (layer.kind == LayerKind::elementwise || layer.kind == LayerKind::activation) {
    layer.macs = 0;
    if (!output.empty()) layer.other_operations = product(output);
  } else {
    absent("what a layer of type '" + layer.op.substr(0, 60) + "' computes is not told");
  }
  const auto bytes = [&](const std::vector<Port>& ports) -> std::optional<double> {
    double sum = 0;
    for (const Port& port : ports) {
      if (!port.shape_known || port.type == nullptr) return std::nullopt;
      sum += product(port.shape) * port.type->bytes;
    }
    return sum;
  };
  if (const auto read = bytes(in)) layer.bytes_read = *read + layer.weight_bytes;
  layer.bytes_written = bytes(out);
  if (!layer.bytes_read || !layer.bytes_written) absent("the shape or type of a tensor is not told");
}

NetworkLayer layer_of(const json& source, const std::vector<Port>& in, const std::vector<Port>& out) {
  NetworkLayer layer;
  layer.name = text_of(source, "Name");
  layer.op = text_of(source, "LayerType");
  for (const Port& port : in) layer.inputs.push_back(port.name), layer.input_shapes.push_back(port.shape);
  for (const Port& port : out) layer.outputs.push_back(port.name), layer.output_shapes.push_back(port.shape);
  for (const std::vector<Port>* ports : {&out, &in})
    for (const Port& port : *ports)
      if (layer.dtype.empty() && port.type != nullptr) layer.dtype = port.type->dtype;
  add_window(source, layer);
  const std::string parameters = text_of(source, "ParameterType");
  layer.kind = kind_of(layer.op, parameters, layer);
  const bool transposed = (layer.op + parameters).find("Deconvolution") != std::string::npos;
  for (const char* key : {"Weights", "Bias"}) {
    const Datatype* type = nullptr;
    const double count = count_of(source, key, type);
    layer.parameters += count;
    layer.weight_bytes += count * (type != nullptr ? type->bytes : 4);
  }
  if (layer.kind == LayerKind::convolution || layer.kind == LayerKind::dense) {
    const LayerShape in_shape = layer.input_shapes.empty() ? LayerShape{} : layer.input_shapes.front();
    const LayerShape out_shape = layer.output_shapes.empty() ? LayerShape{} : layer.output_shapes.front();
    if (in_shape.size() >= 2 && out_shape.size() >= 2) {
      layer.weight_shape = {out_shape[1], in_shape[1] / layer.groups};
      if (transposed) layer.weight_shape = {in_shape[1], out_shape[1] / layer.groups};
      layer.weight_shape.insert(layer.weight_shape.end(), layer.kernel.begin(), layer.kernel.end());
      if (layer.parameters == 0 && !layer.kernel.empty()) {  // not told, yet they are there
        layer.parameters = product(layer.weight_shape);
        layer.weight_bytes = layer.parameters * (in.front().type != nullptr ? in.front().type->bytes : 4);
      }
    }
  }
  add_costs(layer, in, out, transposed);
  return layer;
}

void sum_up(Engine& engine) {
  NetworkLayers& network = engine.network;
  std::set<std::string> unknown;
  for (const NetworkLayer& layer : network.layers) {
    network.parameters += layer.parameters;
    network.weight_bytes += layer.weight_bytes;
    network.macs += layer.macs.value_or(0);
    network.other_operations += layer.other_operations.value_or(0);
    network.unknown_layers += !layer.absent.empty();
    if (layer.kind == LayerKind::unknown) unknown.insert(layer.op);
  }
  network.unknown.assign(unknown.begin(), unknown.end());
}

void note_engine(Engine& engine, bool names_only) {
  if (names_only)
    engine.notes.push_back(
        "the engine was built without detailed profiling verbosity: names of layers are there, nothing else is");
  std::size_t poolings = 0, grouped = 0;
  for (std::size_t i = 0; i < engine.network.layers.size(); ++i) {
    const NetworkLayer& layer = engine.network.layers[i];
    poolings += layer.kind == LayerKind::pooling && engine.kernel_key[i].empty() && !layer.kernel.empty();
    grouped += layer.groups > 1;
  }
  if (poolings > 0)
    engine.notes.push_back(std::to_string(poolings) +
                           " poolings have their window in WindowSize, not in Kernel: EdgeProfiler takes the whole "
                           "input for their window");
  if (grouped > 0)
    engine.notes.push_back(std::to_string(grouped) +
                           " convolutions have groups, which EdgeProfiler's features do not tell from dense ones");
}

}  // namespace

Result<Engine> read_engine(std::string_view text, std::optional<std::int64_t> batch) {
  json document = json::parse(text, nullptr, false);
  if (document.is_string()) document = json::parse(document.get<std::string>(), nullptr, false);
  if (document.is_discarded())
    return fail(ErrorCode::malformed, "the engine's description is no JSON (is it cut off?)");
  const auto list = document.is_object() ? document.find("Layers") : document.end();
  if (!document.is_object() || list == document.end() || !list->is_array())
    return fail(
        ErrorCode::malformed, "no \"Layers\" in the engine's description", {},
        "It is what TensorRT's engine inspector writes: trtexec --exportLayerInfo, or get_engine_information().");
  if (list->size() > most_layers) return fail(ErrorCode::full, "more than 100 000 layers");
  Engine engine;
  engine.network.source = "tensorrt";
  bool names_only = false;
  std::map<std::string, std::size_t> names;
  std::set<std::string> made;
  for (const json& one : *list) {
    NetworkLayer layer;
    std::vector<std::int64_t> kernel;
    if (one.is_string()) {
      names_only = true;
      layer.name = one.get<std::string>();
      layer.absent = "the engine was built without detailed profiling verbosity";
    } else if (one.is_object()) {
      const std::vector<Port> in = ports_of(one, "Inputs", batch), out = ports_of(one, "Outputs", batch);
      layer = layer_of(one, in, out);
      for (const Port& port : in)  // what no layer before it made comes from outside
        if (!port.open.empty() && made.insert(port.name).second)
          engine.open_inputs.push_back(port.name + " " + port.open);
      for (const Port& port : out) made.insert(port.name);
      kernel = whole_numbers(one, "Kernel").value_or(std::vector<std::int64_t>{});
    } else {
      return fail(ErrorCode::malformed,
                  "layer " + std::to_string(engine.types.size() + 1) + " is neither an object nor a name");
    }
    if (layer.name.empty()) layer.name = "(layer " + std::to_string(engine.types.size() + 1) + ")";
    if (const std::size_t before = names[layer.name]++; before > 0)
      layer.name += " (" + std::to_string(before + 1) + ")";
    engine.types.push_back(layer.op);
    engine.kernel_key.push_back(std::move(kernel));
    engine.network.layers.push_back(std::move(layer));
  }
  if (engine.types.empty()) return fail(ErrorCode::malformed, "the engine has no layers");
  sum_up(engine);
  note_engine(engine, names_only);
  return engine;
}

}  // namespace prony::layers
