#include "predict/fuse.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>
#include <unordered_map>

namespace prony::predict {

namespace {

constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

template <std::size_t N>
bool one_of(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_folded_activation(std::string_view op) {
  return one_of(op, std::array<std::string_view, 6>{"Relu", "Sigmoid", "Tanh", "LeakyRelu", "Clip", "HardSigmoid"});
}
bool is_nothing(std::string_view op) { return op == "Identity" || op == "Dropout"; }

double elements(const LayerShape& shape) {
  double count = 1;
  for (const std::int64_t size : shape) count *= static_cast<double>(size);
  return count;
}

// Layers that are computed together. `head`: what the group is called after; `tail`: whose output leaves it.
struct Group {
  std::size_t head = 0, tail = 0;
  std::vector<std::size_t> members;
  std::string activation;
  bool summed = false;
};

class Fuser {
 public:
  explicit Fuser(const NetworkLayers& network) : layers_(network.layers), group_of_(network.layers.size(), nowhere) {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      for (const std::string& one : layers_[i].outputs) maker_.emplace(one, i);
      for (const std::string& one : layers_[i].inputs) readers_[one].push_back(i);
    }
    for (const NetworkPort& port : network.outputs) leaves_.insert(port.name);
  }

  std::vector<Group> groups() {
    for (std::size_t i = 0; i < layers_.size(); ++i) place(i);
    std::vector<Group> kept;
    for (Group& group : groups_)
      if (!group.members.empty()) {
        std::sort(group.members.begin(), group.members.end());
        kept.push_back(std::move(group));
      }
    std::sort(kept.begin(), kept.end(),
              [](const Group& a, const Group& b) { return a.members.front() < b.members.front(); });
    return kept;
  }

 private:
  [[nodiscard]] std::string_view op(std::size_t i) const { return layers_[i].op; }
  [[nodiscard]] std::size_t maker(std::string_view tensor) const {
    const auto found = maker_.find(tensor);
    return found == maker_.end() ? nowhere : found->second;
  }
  // What layer `i` reads in place `k`, if nobody else reads it.
  [[nodiscard]] std::size_t only_for(std::size_t i, std::size_t k) const {
    if (k >= layers_[i].inputs.size()) return nowhere;
    const std::string& tensor = layers_[i].inputs[k];
    const auto found = readers_.find(tensor);
    if (found == readers_.end() || found->second.size() != 1 || leaves_.contains(tensor)) return nowhere;
    return maker(tensor);
  }
  // The group whose output is what `i` alone reads in place `k`.
  [[nodiscard]] Group* before(std::size_t i, std::size_t k) {
    const std::size_t made = only_for(i, k);
    if (made == nowhere || group_of_[made] == nowhere) return nullptr;
    Group& group = groups_[group_of_[made]];
    return group.tail == made ? &group : nullptr;
  }
  [[nodiscard]] LayerKind kind_of(const Group& group) const { return layers_[group.head].kind; }
  [[nodiscard]] bool same_shapes(std::size_t i) const {
    const auto& shapes = layers_[i].input_shapes;
    return shapes.size() == 2 && shapes[0] == shapes[1] && !shapes[0].empty();
  }

  void join(Group& group, std::size_t i) {
    group.members.push_back(i), group.tail = i;
    group_of_[i] = static_cast<std::size_t>(&group - groups_.data());
  }
  void swallow(Group& group, Group& other) {
    for (const std::size_t member : other.members) {
      group.members.push_back(member);
      group_of_[member] = static_cast<std::size_t>(&group - groups_.data());
    }
    other.members.clear();
  }

  bool into_what_is_before(std::size_t i) {
    const NetworkLayer& layer = layers_[i];
    Group* group = before(i, 0);
    if (is_nothing(layer.op) && group != nullptr) return join(*group, i), true;
    if (layer.op == "Add" && same_shapes(i)) {
      for (std::size_t k = 0; k < 2; ++k)
        if (Group* sum = before(i, k);
            sum != nullptr && kind_of(*sum) == LayerKind::convolution && !sum->summed && sum->activation.empty())
          return sum->summed = true, join(*sum, i), true;
      return false;
    }
    if (group == nullptr || !group->activation.empty()) return false;
    const LayerKind kind = kind_of(*group);
    const bool convolution = kind == LayerKind::convolution;
    if (layer.op == "BatchNormalization" && convolution && group->members.size() == 1) return join(*group, i), true;
    const bool takes = convolution || kind == LayerKind::dense || op(group->head) == "BatchNormalization";
    const bool folds = is_folded_activation(layer.op) || (convolution && layer.op == "HardSwish");
    if (takes && op(group->head) != "MatMul" && folds) return group->activation = layer.op, join(*group, i), true;
    const bool scales = (layer.op == "Div" || layer.op == "Mul") && layer.inputs.size() == 1;
    return kind == LayerKind::matmul && scales && group->members.size() == 1 && (join(*group, i), true);
  }

  // x · sigmoid(x): one pass.
  bool swish(std::size_t i) {
    if (op(i) != "Mul" || layers_[i].inputs.size() != 2) return false;
    for (std::size_t k = 0; k < 2; ++k) {
      Group* gate = before(i, k);
      if (gate == nullptr || op(gate->head) != "Sigmoid" || gate->members.size() != 1) continue;
      if (layers_[gate->head].inputs.front() != layers_[i].inputs[1 - k]) continue;
      return gate->activation = "Swish", join(*gate, i), true;
    }
    return false;
  }

  // ½·x·(1 + erf(x ÷ √2)), and the bias before it.
  bool gelu(std::size_t i) {
    if (op(i) == "Erf") {
      Group* scaled = before(i, 0);
      if (scaled == nullptr || scaled->members.size() != 1 || op(scaled->head) != "Div") return false;
      const std::size_t added = maker(layers_[scaled->head].inputs.front());
      Group* bias = added == nowhere || group_of_[added] == nowhere ? nullptr : &groups_[group_of_[added]];
      if (bias != nullptr && op(bias->head) == "Add" && bias->members.size() == 1 &&
          layers_[bias->head].inputs.size() == 1 && readers_.at(layers_[bias->head].outputs.front()).size() == 2)
        swallow(*scaled, *bias);
      return scaled->head = i, scaled->activation = "Gelu", join(*scaled, i), true;
    }
    if (op(i) != "Add" && op(i) != "Mul") return false;
    for (std::size_t k = 0; k < layers_[i].inputs.size(); ++k)
      if (Group* open = before(i, k); open != nullptr && op(open->head) == "Erf" && open->members.size() < 7)
        if (open->tail == open->head || op(i) == "Mul") return join(*open, i), true;
    return false;
  }

  // A layer's normalisation takes the residual sum before it, and the bias before that.
  bool skip_normalisation(std::size_t i) {
    if (op(i) != "LayerNormalization") return false;
    Group* sum = before(i, 0);
    if (sum == nullptr || op(sum->head) != "Add" || !same_shapes(sum->head) || sum->members.size() != 1) return false;
    bool biased = false;
    for (std::size_t k = 0; k < 2 && !biased; ++k)
      if (Group* bias = before(sum->head, k); bias != nullptr && bias != sum && op(bias->head) == "Add" &&
                                              bias->members.size() == 1 && layers_[bias->head].inputs.size() == 1)
        swallow(*sum, *bias), biased = true;
    if (!biased) return false;  // of embeddings it is left as it is
    return join(*sum, i), sum->head = i, true;
  }

  void place(std::size_t i) {
    if (swish(i) || gelu(i) || skip_normalisation(i) || into_what_is_before(i)) return;
    group_of_[i] = groups_.size();
    groups_.push_back({i, i, {i}, layers_[i].activation, false});
  }

  const std::vector<NetworkLayer>& layers_;
  std::vector<std::size_t> group_of_;
  std::vector<Group> groups_;
  std::unordered_map<std::string_view, std::size_t> maker_;
  std::unordered_map<std::string_view, std::vector<std::size_t>> readers_;
  std::set<std::string_view> leaves_;
};

// What the group reads from outside of itself, each tensor once.
double read_from_outside(const NetworkLayers& network, const Group& group) {
  std::set<std::string_view> known;
  for (const std::size_t member : group.members)
    for (const std::string& one : network.layers[member].outputs) known.insert(one);
  double bytes = 0;
  for (const std::size_t member : group.members) {
    const NetworkLayer& layer = network.layers[member];
    for (std::size_t k = 0; k < std::min(layer.inputs.size(), layer.input_shapes.size()); ++k)
      if (known.insert(layer.inputs[k]).second) bytes += elements(layer.input_shapes[k]) * bytes_of_dtype(layer.dtype);
  }
  return bytes;
}

// A normalisation of channels that no convolution took in is computed as a convolution: a factor and a sum for each
// channel, a window of 1 × 1, each channel by itself.
void as_convolution(const NetworkLayer& from, Layer& layer) {
  if (from.op != "BatchNormalization" || from.input_shapes.empty() || from.input_shapes.front().size() != 4) return;
  layer.kind = to_string(LayerKind::convolution);
  layer.groups = layer.in[0];
  layer.macs = elements(from.input_shapes.front());
  layer.other_operations = 0;
}

Layer layer_of(const NetworkLayers& network, const Group& group) {
  Layer layer = layer_from(network.layers[group.head]);
  as_convolution(network.layers[group.head], layer);
  if (group.members.size() == 1) {
    layer.activation = group.activation;  // what follows and is not folded is a layer of its own
    return layer;
  }
  const bool convolution = network.layers[group.head].kind == LayerKind::convolution;
  const Layer last = layer_from(network.layers[group.tail]);
  layer.activation = group.activation;
  layer.out = last.out, layer.bytes_written = last.bytes_written;
  layer.bytes_read = read_from_outside(network, group);
  for (const std::size_t member : group.members) {
    if (member == group.head) continue;
    const NetworkLayer& other = network.layers[member];
    if (layer.unknown.empty()) layer.unknown = layer_from(other).unknown;
    if (convolution && other.op == "BatchNormalization") continue;  // folded into the weights
    layer.macs += other.macs.value_or(0);
    layer.other_operations += other.other_operations.value_or(0);
    if (other.parameters > 0) layer.bytes_weights += other.weight_bytes;  // bounds of a clip are no weights
  }
  if (layer.kind == "elementwise" && !group.activation.empty()) layer.kind = to_string(LayerKind::activation);
  return layer;
}

}  // namespace

std::vector<FusedLayer> fused_layers(const NetworkLayers& network) {
  std::vector<FusedLayer> fused;
  for (Group& group : Fuser(network).groups()) {
    FusedLayer one{layer_of(network, group), {}};
    one.covers = std::move(group.members);
    fused.push_back(std::move(one));
  }
  return fused;
}

NetworkToPredict fused_network(const NetworkLayers& from) {
  NetworkToPredict network;
  network.name = from.name, network.source = from.source;
  for (FusedLayer& one : fused_layers(from)) network.layers.push_back(std::move(one.layer));
  for (const NetworkLayer& layer : from.layers)
    if (!layer.absent.empty()) network.remarks.push_back(layer.name + ": " + layer.absent);
  if (const std::size_t folded = from.layers.size() - network.layers.size(); folded > 0)
    network.remarks.push_back(std::to_string(folded) + " of " + std::to_string(from.layers.size()) +
                              " nodes are folded into others, as ONNX Runtime does on a processor");
  return network;
}

}  // namespace prony::predict
