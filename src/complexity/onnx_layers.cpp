// A graph walked once in its order: shapes found, costs counted, a layer for each node.
#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "base/text.hpp"
#include "complexity/onnx_call.hpp"

namespace prony::complexity {

namespace {

constexpr std::size_t most_numbers = 16'000'000;  // of constants that are computed, over the whole network
constexpr std::size_t most_unknown_names = 256;

struct Scope {
  std::unordered_map<std::string_view, OnnxValue> values;
  const Scope* outer = nullptr;
  [[nodiscard]] const OnnxValue* find(std::string_view name) const {
    for (const Scope* one = this; one != nullptr; one = one->outer)
      if (const auto it = one->values.find(name); it != one->values.end()) return &it->second;
    return nullptr;
  }
};

OnnxValue stored_value(const OnnxTensor& tensor) {
  return OnnxValue{tensor.type, tensor.shape, tensor.numbers, true, &tensor};
}

// What the file itself says of values that no rule finds: of dimensions that are told, or chosen by name.
std::optional<LayerShape> told_shape(const OnnxPort& port, const OnnxShapes& shapes) {
  if (!port.shape) return std::nullopt;
  LayerShape shape;
  for (const OnnxDimension& one : *port.shape) {
    const auto chosen = shapes.dimensions.find(one.name);
    if (one.value < 0 && (one.name.empty() || chosen == shapes.dimensions.end())) return std::nullopt;
    shape.push_back(one.value >= 0 ? one.value : chosen->second);
  }
  return shape;
}

bool counts_macs(LayerKind kind) {
  return kind == LayerKind::convolution || kind == LayerKind::dense || kind == LayerKind::matmul ||
         kind == LayerKind::recurrent || kind == LayerKind::unknown || kind == LayerKind::control;
}

class Walk {
 public:
  Walk(const OnnxModel& model, const OnnxShapes& shapes, bool reshaped)
      : model_(model), shapes_(shapes), reshaped_(reshaped), own_(model.functions.begin(), model.functions.end()) {}

  // The layers of a graph whose inputs stand in `scope`; its outputs' values stand there afterwards.
  void graph(const OnnxGraph& graph, Scope& scope, NetworkLayers& out) {
    for (const OnnxTensor& one : graph.initializers) scope.values.insert_or_assign(one.name, stored_value(one));
    std::unordered_map<std::string_view, const OnnxPort*> told;
    for (const OnnxPort& one : graph.values) told[one.name] = &one;
    for (const OnnxPort& one : graph.outputs) told.emplace(one.name, &one);
    std::set<std::string> names;
    for (const OnnxNode& node : graph.nodes) {
      if (node.op == "Constant" && node.domain.empty() && !node.outputs.empty()) {
        scope.values.insert_or_assign(node.outputs[0], constant(node));
        continue;
      }
      NetworkLayer layer;
      layer.name = name_of(node, out.layers.size(), names);
      layer.op = node.domain.empty() ? node.op : node.domain + ":" + node.op;
      compute(node, scope, told, layer, out);
      out.macs += layer.macs.value_or(0);
      out.other_operations += layer.other_operations.value_or(0);
      out.unknown_layers += layer.absent.empty() ? 0 : 1;
      out.layers.push_back(std::move(layer));
    }
  }

  [[nodiscard]] double parameters() const { return parameters_; }
  [[nodiscard]] double weight_bytes() const { return weight_bytes_; }

 private:
  using Told = std::unordered_map<std::string_view, const OnnxPort*>;

  static std::string name_of(const OnnxNode& node, std::size_t number, std::set<std::string>& taken) {
    std::string name = node.name.empty() ? node.op + "_" + std::to_string(number) : node.name;
    if (!taken.insert(name).second) {
      name += "#" + std::to_string(number);  // numbers are not used twice
      taken.insert(name);
    }
    return name;
  }

  OnnxValue constant(const OnnxNode& node) {
    OnnxValue value;
    value.stored = true;
    for (const OnnxAttribute& one : node.attributes) {
      if (one.tensor) return stored_value(*one.tensor);
      if (one.number && one.name == "value_int")
        value = {onnx_type::int64, LayerShape{}, std::vector{static_cast<double>(*one.number)}, true, nullptr};
      if (one.real && one.name == "value_float") value = {1, LayerShape{}, std::vector{*one.real}, true, nullptr};
      const bool whole = one.name == "value_ints";
      if (!whole && one.name != "value_floats") continue;
      value.type = whole ? onnx_type::int64 : 1;
      value.numbers = whole ? std::vector<double>(one.numbers.begin(), one.numbers.end()) : one.reals;
      value.shape = LayerShape{static_cast<std::int64_t>(value.numbers->size())};
      if (value.numbers->size() > longest_onnx_constant) value.numbers.reset();
    }
    return value;
  }

  void compute(const OnnxNode& node, Scope& scope, const Told& told, NetworkLayer& layer, NetworkLayers& out) {
    OnnxCall call(node, layer, model_.opset);
    for (const std::string& name : node.inputs) {
      const OnnxValue* value = name.empty() ? nullptr : scope.find(name);
      if (!name.empty() && value == nullptr)
        call.refuse("'" + printable(name, 60) + "' is read before anything makes it");
      call.in.push_back(value);
    }
    const OnnxOperator* known = onnx_operator(layer.op);
    if (known != nullptr) layer.kind = known->kind;
    const bool control = node.domain.empty() && (node.op == "If" || node.op == "Loop" || node.op == "Scan");
    if (call.out.empty())
      call.refuse("it makes nothing");
    else if (control)
      branch(call, scope, out);
    else if (known == nullptr)
      unknown(call, out);
    else if (call.why.empty())
      known->rule(call);
    settle(call, told);
    describe(call);
    count(call, known);
    for (std::size_t i = 0; i < node.outputs.size(); ++i)
      if (!node.outputs[i].empty()) scope.values.insert_or_assign(node.outputs[i], std::move(call.out[i]));
  }

  void unknown(OnnxCall& call, NetworkLayers& out) {
    call.refuse(
        "operator " + printable(call.layer.op, 60) +
        (own_.contains(call.layer.op) ? " is a function of the file, which is not looked into" : " is not known here"));
    name_unknown(call.layer.op, out);
  }

  static void name_unknown(const std::string& op, NetworkLayers& out) {
    if (out.unknown.size() < most_unknown_names &&
        std::find(out.unknown.begin(), out.unknown.end(), op) == out.unknown.end())
      out.unknown.push_back(op);
  }

  // Shapes that no rule found are taken from the file; numbers that do not fit their shape are forgotten.
  void settle(OnnxCall& call, const Told& told) {
    for (std::size_t i = 0; i < call.out.size(); ++i) {
      OnnxValue& value = call.out[i];
      const auto found = told.find(call.node.outputs[i]);
      if (found != told.end() && value.type == 0) value.type = found->second->type;
      if (found != told.end() && !value.shape && !reshaped_) value.shape = told_shape(*found->second, shapes_);
      if (value.numbers && (!value.shape || static_cast<double>(value.numbers->size()) != elements_of(*value.shape)))
        value.numbers.reset();
      if (value.numbers && value.numbers->size() > numbers_left_) value.numbers.reset();
      if (value.numbers) numbers_left_ -= value.numbers->size();
    }
  }

  static void describe(OnnxCall& call) {
    NetworkLayer& layer = call.layer;
    for (std::size_t i = 0; i < call.in.size(); ++i) {
      if (call.in[i] == nullptr || call.in[i]->tensor != nullptr) continue;
      layer.inputs.push_back(call.node.inputs[i]);
      layer.input_shapes.push_back(call.in[i]->shape.value_or(LayerShape{}));
    }
    for (std::size_t i = 0; i < call.out.size(); ++i) {
      if (call.node.outputs[i].empty()) continue;
      layer.outputs.push_back(call.node.outputs[i]);
      layer.output_shapes.push_back(call.out[i].shape.value_or(LayerShape{}));
    }
    const std::int32_t type = call.given(0) ? call.in[0]->type : call.out.empty() ? 0 : call.out[0].type;
    layer.dtype = std::string(onnx_type_name(type));
    if (const OnnxAttribute* fused = call.node.attribute("activation"); fused != nullptr && fused->text)
      layer.activation = *fused->text;
  }

  void weights(OnnxCall& call) {
    for (std::size_t i = 0; i < call.in.size(); ++i) {
      const OnnxTensor* tensor = call.in[i] == nullptr ? nullptr : call.in[i]->tensor;
      if (tensor == nullptr) continue;
      const double bytes = tensor->elements * onnx_type_bytes(tensor->type).value_or(0);
      // A number alone is a limit or a factor of the arithmetic.
      const bool number = tensor->shape.empty() || !is_parameter(call.node, i, tensor->type);
      const double learned = number ? 0 : tensor->elements;
      call.layer.parameters += learned;
      call.layer.weight_bytes += bytes;
      if (!counted_.insert(tensor).second) continue;
      parameters_ += learned;
      weight_bytes_ += bytes;
    }
  }

  void count(OnnxCall& call, const OnnxOperator* known) {
    NetworkLayer& layer = call.layer;
    weights(call);
    if (layer.kind == LayerKind::control) {
      if (layer.absent.empty()) layer.absent = call.why;
      return;
    }
    layer.absent = call.why;
    if (known != nullptr && call.why.empty()) {
      if (!layer.macs) layer.macs = 0;
      if (!layer.other_operations) layer.other_operations = known->per_element * call.out_elements();
    } else {
      layer.macs.reset();
      layer.other_operations.reset();
      if (!counts_macs(layer.kind)) layer.macs = 0;
    }
    count_bytes(call);
  }

  static void count_bytes(OnnxCall& call) {
    NetworkLayer& layer = call.layer;
    if (call.view && call.why.empty()) {
      layer.bytes_read = layer.bytes_written = 0;
      return;
    }
    double read = 0, written = 0;
    std::string missing;
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < call.in.size(); ++i) {
      if (call.in[i] == nullptr || !seen.insert(call.node.inputs[i]).second) continue;
      const auto bytes = onnx_type_bytes(call.in[i]->type);
      if (bytes && call.in[i]->shape)
        read += std::ceil(*bytes * elements_of(*call.in[i]->shape));
      else
        missing = call.node.inputs[i];
    }
    if (missing.empty() || call.moved_in) layer.bytes_read = call.moved_in.value_or(read);
    for (std::size_t i = 0; i < call.out.size(); ++i) {
      const auto bytes = onnx_type_bytes(call.out[i].type);
      if (bytes && call.out[i].shape)
        written += std::ceil(*bytes * elements_of(*call.out[i].shape));
      else if (i == 0)  // of further ones, means and masks, nobody asks
        missing = call.node.outputs[i];
    }
    if (!call.out.empty() && call.out[0].shape && onnx_type_bytes(call.out[0].type)) layer.bytes_written = written;
    if (!layer.bytes_read || !layer.bytes_written)
      call.refuse("the shape or type of '" + printable(missing, 60) + "' is not known");
    if (layer.absent.empty()) layer.absent = call.why;
  }

  // One run of a subgraph, with the values that it is given.
  struct Turn {
    NetworkLayers inside;
    std::vector<OnnxValue> outputs;
    double read = 0, written = 0, weights = 0, learned = 0;
    bool moved = true;
  };
  Turn run(const OnnxGraph& graph, const Scope& outer, const std::vector<OnnxValue>& inputs) {
    Turn turn;
    Scope scope;
    scope.outer = &outer;
    for (std::size_t i = 0; i < graph.inputs.size(); ++i)
      scope.values.insert_or_assign(graph.inputs[i].name, i < inputs.size() ? inputs[i] : OnnxValue{});
    this->graph(graph, scope, turn.inside);
    for (const OnnxPort& one : graph.outputs) {
      const OnnxValue* value = scope.find(one.name);
      turn.outputs.push_back(value == nullptr ? OnnxValue{} : *value);
    }
    for (const NetworkLayer& one : turn.inside.layers) {
      turn.read += one.bytes_read.value_or(0);
      turn.written += one.bytes_written.value_or(0);
      turn.weights += one.weight_bytes;
      turn.learned += one.parameters;
      turn.moved = turn.moved && one.bytes_read && one.bytes_written;
    }
    return turn;
  }

  static void take(NetworkLayer& layer, const Turn& turn, double times) {
    layer.macs = turn.inside.macs * times;
    layer.other_operations = turn.inside.other_operations * times;
    if (turn.moved) layer.bytes_read = turn.read * times, layer.bytes_written = turn.written * times;
    layer.parameters += turn.learned;
    layer.weight_bytes += turn.weights;
    if (turn.inside.unknown_layers > 0)
      layer.absent = std::to_string(turn.inside.unknown_layers) + " of the nodes within it are not known fully";
  }

  void branch(OnnxCall& call, Scope& scope, NetworkLayers& out) {
    call.layer.kind = LayerKind::control;
    if (!call.why.empty()) return;
    std::vector<const OnnxGraph*> graphs;
    for (const OnnxAttribute& one : call.node.attributes)
      for (const auto& inner : one.graphs) graphs.push_back(inner.get());
    if (graphs.empty()) return call.refuse("it holds no graph");
    if (call.node.op == "If")
      choose(call, graphs, scope, out);
    else
      repeat(call, *graphs.front(), scope, out);
  }

  static void hand_up(const Turn& turn, NetworkLayers& out) {
    for (const std::string& one : turn.inside.unknown) name_unknown(one, out);
  }

  // The dearest branch: an upper bound, as one alone is run.
  void choose(OnnxCall& call, const std::vector<const OnnxGraph*>& graphs, Scope& scope, NetworkLayers& out) {
    std::vector<Turn> turns;
    for (const OnnxGraph* one : graphs) turns.push_back(run(*one, scope, {}));
    const auto dearest = std::max_element(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) {
      return a.inside.macs != b.inside.macs ? a.inside.macs < b.inside.macs : a.read < b.read;
    });
    for (const Turn& one : turns) hand_up(one, out);
    take(call.layer, *dearest, 1);
    for (std::size_t i = 0; i < call.out.size(); ++i) {
      const bool all = std::all_of(turns.begin(), turns.end(), [&](const Turn& one) {
        return i < one.outputs.size() && one.outputs[i].shape == turns[0].outputs[i].shape;
      });
      if (i < turns[0].outputs.size()) call.out[i].type = turns[0].outputs[i].type;
      if (all) call.out[i].shape = turns[0].outputs[i].shape;
    }
  }

  void repeat(OnnxCall& call, const OnnxGraph& body, Scope& scope, NetworkLayers& out) {
    const bool loop = call.node.op == "Loop";
    std::vector<OnnxValue> inputs;
    std::optional<double> times;
    std::size_t carried = 0;
    if (loop) {
      if (const auto* trips = call.numbers(0, false); trips != nullptr && trips->size() == 1) times = trips->front();
      if (call.given(1)) times = call.numbers(1, false) != nullptr ? times : std::nullopt;
      inputs = {OnnxValue{onnx_type::int64, LayerShape{}, {}, false, nullptr},
                OnnxValue{onnx_type::boolean, LayerShape{}, {}, false, nullptr}};
      carried = call.in.size() < 2 ? 0 : call.in.size() - 2;
    } else {
      const std::int64_t scanned = call.node.number("num_scan_inputs", 0);
      if (scanned < 1 || scanned > static_cast<std::int64_t>(call.in.size())) return call.refuse("it scans nothing");
      carried = call.in.size() - static_cast<std::size_t>(scanned);
    }
    for (std::size_t i = loop ? 2 : 0; i < call.in.size(); ++i) {
      OnnxValue value = call.in[i] == nullptr ? OnnxValue{} : *call.in[i];
      value.numbers.reset(), value.stored = false, value.tensor = nullptr;
      if (!loop && i >= carried && value.shape && !value.shape->empty()) {
        times = static_cast<double>(value.shape->front());
        value.shape->erase(value.shape->begin());
      }
      inputs.push_back(std::move(value));
    }
    const Turn turn = run(body, scope, inputs);
    hand_up(turn, out);
    take(call.layer, turn, times.value_or(0));
    if (!times) {
      call.layer.macs.reset(), call.layer.other_operations.reset();
      call.layer.bytes_read.reset(), call.layer.bytes_written.reset();
      call.layer.absent =
          "how often it runs is known only then; one turn has " + format_fixed(turn.inside.macs, 0) + " multiply-adds";
    }
    for (std::size_t i = 0; i < call.out.size(); ++i) {
      const std::size_t from = i + (loop ? 1 : 0);
      if (from >= turn.outputs.size()) break;
      call.out[i].type = turn.outputs[from].type;
      call.out[i].shape = turn.outputs[from].shape;
      if (i < carried || !call.out[i].shape) continue;
      if (times)
        call.out[i].shape->insert(call.out[i].shape->begin(), whole_number(*times));
      else
        call.out[i].shape.reset();
    }
  }

  const OnnxModel& model_;
  const OnnxShapes& shapes_;
  bool reshaped_ = false;
  std::set<std::string, std::less<>> own_;  // operators that the file defines
  std::size_t numbers_left_ = most_numbers;
  std::set<const OnnxTensor*> counted_;
  double parameters_ = 0, weight_bytes_ = 0;
};

// The only reader of what each layer makes, if it is an activation; a batch normalisation between is passed over.
void find_followers(NetworkLayers& network) {
  struct Readers {
    std::size_t count = 0, last = 0;
  };
  std::unordered_map<std::string_view, Readers> readers;
  for (std::size_t i = 0; i < network.layers.size(); ++i)
    for (const std::string& one : network.layers[i].inputs) ++readers[one].count, readers[one].last = i;
  for (const NetworkPort& one : network.outputs) ++readers[one.name].count;
  const auto follower = [&](const NetworkLayer& of) -> const NetworkLayer* {
    if (of.outputs.empty()) return nullptr;
    const auto found = readers.find(of.outputs[0]);
    return found == readers.end() || found->second.count != 1 ? nullptr : &network.layers[found->second.last];
  };
  for (NetworkLayer& layer : network.layers) {
    const NetworkLayer* next = follower(layer);
    if (next != nullptr && next->op == "BatchNormalization" && next != &layer) next = follower(*next);
    if (next != nullptr && next->kind == LayerKind::activation && next != &layer) layer.followed_by = next->op;
  }
}

Error shapes_needed(const OnnxModel& model) {
  std::string words;
  for (const std::string& one : model.dynamic_inputs()) words += (words.empty() ? "" : ", ") + printable(one, 200);
  return {
      ErrorCode::usage, "the shapes of its inputs are not fixed: " + words, "--input-shape",
      "Say them: --input-shape NAME:1x3x224x224, or a dimension by its name, batch=1; --batch N sets the first one."};
}

Result<void> check_names(const OnnxModel& model, const OnnxShapes& shapes) {
  std::vector<std::string> names;
  std::set<std::string> dimensions;
  for (const OnnxPort& one : model.graph.inputs) {
    names.push_back(one.name);
    if (one.shape)
      for (const OnnxDimension& part : *one.shape) dimensions.insert(part.name);
  }
  const auto list = [](const auto& words) {
    std::string text;
    for (const std::string& one : words)
      if (!one.empty()) text += (text.empty() ? "" : ", ") + printable(one, 60);
    return text.empty() ? std::string("none") : text;
  };
  for (const auto& [name, shape] : shapes.inputs) {
    if (name.empty() && names.size() == 1) continue;
    if (name.empty() || std::find(names.begin(), names.end(), name) == names.end())
      return fail(ErrorCode::usage,
                  name.empty()
                      ? "a shape without a name, and the network has " + std::to_string(names.size()) + " inputs"
                      : "the network has no input '" + printable(name, 60) + "'",
                  "--input-shape", "Its inputs: " + list(names) + ".");
  }
  for (const auto& [name, size] : shapes.dimensions)
    if (!dimensions.contains(name))
      return fail(ErrorCode::usage, "the network has no dimension '" + printable(name, 60) + "'", "--input-shape",
                  "Its dynamic dimensions with a name: " + list(dimensions) + ".");
  return {};
}

// The shape of an input as the user chose it; absent: a dimension is still open.
Result<std::optional<LayerShape>> input_shape(const OnnxPort& port, const OnnxShapes& shapes, bool only) {
  auto chosen = shapes.inputs.find(port.name);
  if (chosen == shapes.inputs.end() && only) chosen = shapes.inputs.find("");
  std::optional<LayerShape> shape;
  if (chosen != shapes.inputs.end()) {
    if (port.shape && port.shape->size() != chosen->second.size())
      return fail(ErrorCode::usage,
                  "input '" + printable(port.name, 60) + "' has " + std::to_string(port.shape->size()) +
                      " dimensions, not " + std::to_string(chosen->second.size()),
                  "--input-shape");
    shape = chosen->second;
  } else if (port.shape) {
    shape.emplace();
    for (std::size_t i = 0; i < port.shape->size(); ++i) {
      const OnnxDimension& one = (*port.shape)[i];
      const auto named = shapes.dimensions.find(one.name);
      std::int64_t size = one.value;
      if (size < 0 && !one.name.empty() && named != shapes.dimensions.end()) size = named->second;
      if (i == 0 && shapes.batch) size = *shapes.batch;
      if (size < 0) return std::optional<LayerShape>();
      shape->push_back(size);
    }
  }
  if (shape && shapes.batch && !shape->empty()) shape->front() = *shapes.batch;
  if (shape)
    for (const std::int64_t one : *shape)
      if (one < 1 || one > largest_onnx_dimension)
        return fail(ErrorCode::usage, "a dimension of " + std::to_string(one), "--input-shape", "Sizes begin at 1.");
  return shape;
}

}  // namespace

Result<NetworkLayers> layers_of(const OnnxModel& model, const OnnxShapes& shapes) {
  if (auto named = check_names(model, shapes); !named) return Unexpected<Error>(named.error());
  NetworkLayers out;
  out.name = model.graph.name;
  out.source = "onnx";
  Scope scope;
  bool reshaped = false;
  for (const OnnxPort& port : model.graph.inputs) {
    if (!port.tensor)
      return fail(ErrorCode::unavailable,
                  "input '" + printable(port.name, 60) + "' is no tensor, which cannot be counted");
    auto shape = input_shape(port, shapes, model.graph.inputs.size() == 1);
    if (!shape) return Unexpected<Error>(shape.error());
    if (!*shape) return Unexpected<Error>(shapes_needed(model));
    for (std::size_t i = 0; port.shape && i < port.shape->size(); ++i)
      reshaped = reshaped || ((*port.shape)[i].value >= 0 && (*port.shape)[i].value != (**shape)[i]);
    out.inputs.push_back({port.name, std::string(onnx_type_name(port.type)), **shape});
    scope.values.insert_or_assign(port.name, OnnxValue{port.type, **shape, {}, false, nullptr});
  }
  Walk walk(model, shapes, reshaped);
  walk.graph(model.graph, scope, out);
  for (const OnnxPort& port : model.graph.outputs) {
    const OnnxValue* value = scope.find(port.name);
    out.outputs.push_back({port.name, std::string(onnx_type_name(value == nullptr ? port.type : value->type)),
                           value != nullptr && value->shape ? *value->shape : LayerShape{}});
  }
  out.parameters = walk.parameters();
  out.weight_bytes = walk.weight_bytes();
  find_followers(out);
  return out;
}

double OnnxModel::parameters() const {
  // The same walk without shapes: a node's use says whether a tensor was learned.
  NetworkLayers unused;
  Scope scope;
  const OnnxShapes none;
  for (const OnnxPort& port : graph.inputs) scope.values.insert_or_assign(port.name, OnnxValue{});
  Walk walk(*this, none, true);
  walk.graph(graph, scope, unused);
  return walk.parameters();
}

}  // namespace prony::complexity
