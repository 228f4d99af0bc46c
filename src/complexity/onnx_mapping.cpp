#include "complexity/onnx_mapping.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace prony::complexity {

namespace {

// What an engine puts between its nodes; a node of the file may be one too.
bool changes_form_only(std::string_view op) {
  constexpr std::array forms{"Reshape", "ReorderInput", "ReorderOutput", "Transpose", "Cast", "Squeeze", "Unsqueeze"};
  return std::find(forms.begin(), forms.end(), op) != forms.end();
}

class Mapper {
 public:
  Mapper(const OnnxGraph& original, const OnnxGraph& engine) : original_(original), engine_(engine) {
    taken_.resize(original.nodes.size());
    for (std::size_t i = 0; i < original.nodes.size(); ++i) {
      const OnnxNode& node = original.nodes[i];
      for (const std::string& one : node.outputs)
        if (!one.empty()) makers_.emplace(one, i);
      for (const std::string& one : node.inputs) ++readers_[one].count, readers_[one].last = i;
      if (!node.outputs.empty()) named_.emplace(node.name, node.outputs[0]);
      taken_[i] = node.op == "Constant" && node.domain.empty();
    }
    for (const OnnxPort& one : original.inputs) inputs_.insert(one.name);
  }

  EngineMapping map() {
    for (auto node = engine_.nodes.rbegin(); node != engine_.nodes.rend(); ++node) look_through(*node);
    EngineMapping mapping;
    for (const OnnxNode& node : engine_.nodes) {
      EngineNode one{node.name, node.domain.empty() ? node.op : node.domain + ":" + node.op, {}};
      if (inserted(node))
        pass_on(node);
      else
        cover(node, one.covers);
      mapping.nodes.push_back(std::move(one));
    }
    for (std::size_t i = 0; i < taken_.size(); ++i)
      if (!taken_[i]) mapping.left_out.push_back(i);
    return mapping;
  }

 private:
  struct Readers {
    std::size_t count = 0, last = 0;
  };

  [[nodiscard]] bool known(std::string_view tensor) const {
    return makers_.contains(tensor) || inputs_.contains(tensor);
  }
  [[nodiscard]] bool inserted(const OnnxNode& node) const {
    return changes_form_only(node.op) && !named_.contains(node.name) && !node.inputs.empty() && !node.outputs.empty();
  }
  // The tensor of the file that one of the engine's carries; itself where it has its name.
  [[nodiscard]] std::string_view carried(std::string_view tensor) const {
    if (known(tensor)) return tensor;
    const auto found = carries_.find(tensor);
    return found == carries_.end() ? tensor : found->second;
  }

  // From the end: what an inserted node reads carries what it makes.
  void look_through(const OnnxNode& node) {
    if (!inserted(node) || known(node.inputs[0])) return;
    if (const std::string_view made = carried(node.outputs[0]); known(made)) carries_.emplace(node.inputs[0], made);
  }
  void pass_on(const OnnxNode& node) {
    if (const std::string_view read = carried(node.inputs[0]); !known(node.outputs[0]) && known(read))
      carries_.insert_or_assign(node.outputs[0], read);
  }

  // A convolution is called after what it makes, but what was fused into it later comes after that.
  [[nodiscard]] std::string_view with_fused(const OnnxNode& node, std::string_view tensor) const {
    const auto after = [&](std::string_view op) {
      const auto reader = readers_.find(tensor);
      if (reader == readers_.end() || reader->second.count != 1) return false;
      const OnnxNode& next = original_.nodes[reader->second.last];
      if (next.op != op || next.outputs.empty() || taken_[reader->second.last]) return false;
      tensor = next.outputs[0];
      return true;
    };
    const bool sum = (node.op == "Conv" || node.op == "FusedConv") && node.inputs.size() > 3 && !node.inputs[3].empty();
    if (sum) (void)after("Add");
    if (const OnnxAttribute* activation = node.attribute("activation"); activation != nullptr && activation->text)
      (void)after(*activation->text);
    return tensor;
  }

  [[nodiscard]] std::string_view made_by(const OnnxNode& node, std::size_t place) const {
    const std::string_view tensor = carried(node.outputs[place]);
    if (known(tensor) || place > 0) return tensor;
    constexpr std::string_view suffix = "_nchwc", of_normalisation = "_bn";
    std::string_view named = node.name;
    if (named.ends_with(suffix)) {
      named.remove_suffix(suffix.size());
      if (!known(named) && named.ends_with(of_normalisation)) named.remove_suffix(of_normalisation.size());
      return known(named) ? with_fused(node, named) : tensor;
    }
    // A node of the file that kept its name while its tensors got others; or one that a fusion is called after.
    auto found = named_.find(named);
    if (found == named_.end()) found = named_.find(named.substr(0, named.find('/')));
    return found == named_.end() ? tensor : std::string_view(found->second);
  }

  // All of the file that lies between what the node reads and what it makes.
  void cover(const OnnxNode& node, std::vector<std::size_t>& covers) {
    std::unordered_set<std::string_view> reads;
    for (const std::string& name : node.inputs) reads.insert(carried(name));
    std::vector<std::string_view> open;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const std::string_view made = made_by(node, i);
      if (!known(node.outputs[i]) && known(made)) carries_.insert_or_assign(node.outputs[i], made);
      if (!reads.contains(made)) open.push_back(made);
    }
    while (!open.empty()) {
      const auto maker = makers_.find(open.back());
      open.pop_back();
      if (maker == makers_.end() || taken_[maker->second]) continue;
      taken_[maker->second] = true;
      covers.push_back(maker->second);
      for (const std::string& name : original_.nodes[maker->second].inputs)
        if (!reads.contains(name)) open.push_back(name);
    }
    std::sort(covers.begin(), covers.end());
  }

  const OnnxGraph& original_;
  const OnnxGraph& engine_;
  std::unordered_map<std::string_view, std::size_t> makers_;
  std::unordered_map<std::string_view, Readers> readers_;
  std::unordered_map<std::string_view, std::string_view> carries_;
  std::unordered_map<std::string_view, std::string_view> named_;  // nodes of the file: what each makes first
  std::unordered_set<std::string_view> inputs_;
  std::vector<bool> taken_;
};

}  // namespace

EngineMapping map_engine_graph(const OnnxGraph& original, const OnnxGraph& engine) {
  return Mapper(original, engine).map();
}

}  // namespace prony::complexity
