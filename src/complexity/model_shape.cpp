#include "complexity/model_shape.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "base/text.hpp"

namespace prony::complexity {

namespace {

constexpr std::uint64_t most_layers = 4096;
constexpr std::uint64_t largest_figure = std::uint64_t{1} << 40;  // of a head count, a length: products stay finite

// Of architectures whose files may leave the pattern out: every n-th layer sees everything. Source: llama.cpp.
struct WindowPattern {
  std::string_view architecture;
  std::uint64_t every;
};
constexpr std::array<WindowPattern, 4> window_patterns{{{"gemma2", 2}, {"gemma3", 6}, {"cohere2", 4}, {"gpt-oss", 2}}};

// "blk.12.attn_q.weight" → 12 and "attn_q.weight".
struct BlockName {
  std::uint64_t layer = 0;
  std::string_view rest;
};
std::optional<BlockName> block_of(std::string_view name) {
  if (!name.starts_with("blk.")) return std::nullopt;
  name.remove_prefix(4);
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto layer = parse_u64(name.substr(0, dot));
  if (!layer) return std::nullopt;
  return BlockName{*layer, name.substr(dot + 1)};
}

std::uint64_t capped(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? ~std::uint64_t{0} : sum;
}

class Shaper {
 public:
  explicit Shaper(const GgufHeader& header) : header_(header), out_(totals_of(header)) {}

  Result<ModelShape> shape() {
    if (out_.architecture.empty()) return fail(ErrorCode::malformed, "the file does not say its architecture");
    if (auto counted = count_layers(); !counted) return Unexpected<Error>(counted.error());
    out_.context_length = key("context_length").value_or(0);
    out_.experts = key("expert_count").value_or(0);
    out_.experts_used = std::min(key("expert_used_count").value_or(0), out_.experts);
    take_tensors();
    if (out_.embedding == 0) out_.embedding = key("embedding_length").value_or(0);
    if (auto heads = take_heads(); !heads) return Unexpected<Error>(heads.error());
    take_windows();
    take_cache();
    if (out_.experts > 0 && out_.experts_used == 0) unknown("how many experts a token uses: all of them");
    return std::move(out_);
  }

 private:
  void unknown(std::string what) { out_.unknown.push_back(std::move(what)); }
  [[nodiscard]] std::string full(std::string_view name) const { return out_.architecture + "." + std::string(name); }
  [[nodiscard]] std::optional<std::uint64_t> key(std::string_view name) const {
    const auto value = header_.number(full(name));
    return value && *value <= largest_figure ? value : std::nullopt;
  }
  // One number for all layers, or one for each.
  [[nodiscard]] std::optional<std::vector<std::uint64_t>> by_layer(std::string_view name) const {
    const auto numbers = header_.numbers(full(name));
    if (!numbers || numbers->empty()) return std::nullopt;
    std::vector<std::uint64_t> result;
    for (std::size_t i = 0; i < out_.layers.size(); ++i) {
      const double value = numbers->size() == 1 ? numbers->front() : i < numbers->size() ? (*numbers)[i] : -1;
      if (!(value >= 0 && value <= static_cast<double>(largest_figure))) return std::nullopt;
      result.push_back(static_cast<std::uint64_t>(value));
    }
    return result;
  }

  // Layers that guess tokens beyond the next one (nextn) are no part of making it.
  Result<void> count_layers() {
    const auto blocks = key("block_count");
    if (!blocks || *blocks == 0 || *blocks > most_layers)
      return fail(ErrorCode::malformed, "the file says no number of layers from 1 to " + std::to_string(most_layers),
                  full("block_count"));
    const std::uint64_t further = key("nextn_predict_layers").value_or(0);
    out_.layers.resize(static_cast<std::size_t>(further < *blocks ? *blocks - further : *blocks));
    seen_.resize(out_.layers.size());
    return {};
  }

  struct Seen {
    bool keys = false, latent = false, joined = false, state = false;  // which kinds of tensors a layer has
  };

  void take_tensors() {
    const GgufTensor* embedding = nullptr;
    const GgufTensor* output = nullptr;
    for (const GgufTensor& tensor : header_.tensors) {
      if (tensor.name == "token_embd.weight") embedding = &tensor;
      if (tensor.name == "output.weight") output = &tensor;
      if (const auto block = block_of(tensor.name); block && block->layer < out_.layers.size())
        take_block(*block, tensor);
    }
    if (embedding != nullptr) {
      out_.embedding = embedding->shape[0];
      out_.vocabulary = embedding->shape[1];
      if (out_.vocabulary > 0) out_.lookup_bytes = embedding->bytes.value_or(0) / out_.vocabulary;
    }
    out_.tied = output == nullptr && embedding != nullptr;
    // Without an output matrix the embedding is used as one.
    if (const GgufTensor* head = output != nullptr ? output : embedding; head != nullptr) {
      out_.head_elements = head->elements;
      out_.head_bytes = head->bytes.value_or(0);
    }
  }

  void take_block(const BlockName& block, const GgufTensor& tensor) {
    BlockShape& layer = out_.layers[static_cast<std::size_t>(block.layer)];
    Seen& seen = seen_[static_cast<std::size_t>(block.layer)];
    const std::string_view rest = block.rest;
    seen.keys = seen.keys || rest == "attn_k.weight";
    seen.joined = seen.joined || rest == "attn_qkv.weight";
    seen.latent = seen.latent || rest == "attn_kv_a_mqa.weight";
    seen.state = seen.state || rest.starts_with("ssm_") || rest.starts_with("time_mix_");
    // Of latent attention the file may hold both the joined matrix and its two halves: one of them is used.
    if (rest == "attn_kv_b.weight" && header_has_halves()) return;
    const bool expert = rest.find("_exps.") != std::string_view::npos;
    const bool matrix = tensor.dimensions >= 2 && tensor.shape[1] > 1;
    auto& elements = expert ? layer.expert : layer.dense;
    auto& bytes = expert ? layer.expert_bytes : layer.dense_bytes;
    if (matrix) elements = capped(elements, tensor.elements);
    bytes = capped(bytes, tensor.bytes.value_or(0));
  }
  bool header_has_halves() {
    if (!halves_)
      halves_ = std::ranges::any_of(header_.tensors,
                                    [](const GgufTensor& tensor) { return tensor.name.ends_with(".attn_k_b.weight"); });
    return *halves_;
  }

  Result<void> take_heads() {
    const auto heads = by_layer("attention.head_count");
    const auto kv_heads = by_layer("attention.head_count_kv");
    const auto key_length = key("attention.key_length");
    const auto value_length = key("attention.value_length");
    const bool any_attention =
        std::ranges::any_of(seen_, [](const Seen& seen) { return seen.keys || seen.joined || seen.latent; });
    if (!heads && any_attention)
      return fail(ErrorCode::malformed, "the file does not say how many heads it has", full("attention.head_count"));
    for (std::size_t i = 0; i < out_.layers.size(); ++i) {
      BlockShape& layer = out_.layers[i];
      const Seen& seen = seen_[i];
      // Linear attention and Mamba have tensors of their own; a layer may have both (Falcon-H1).
      const bool attends = seen.keys || seen.latent || (seen.joined && !seen.state);
      layer.recurrent = seen.state && !attends;
      if (!attends || !heads) continue;
      layer.heads = (*heads)[i];
      layer.kv_heads = kv_heads ? (*kv_heads)[i] : layer.heads;
      if (layer.heads == 0) continue;
      layer.key_length = key_length.value_or(out_.embedding / layer.heads);
      layer.value_length = value_length.value_or(layer.key_length);
    }
    return {};
  }

  void take_windows() {
    const std::uint64_t window = key("attention.sliding_window").value_or(0);
    if (window == 0) return;
    const std::string pattern_key = full("attention.sliding_window_pattern");
    const auto pattern = header_.numbers(pattern_key);
    std::optional<std::uint64_t> every;
    if (pattern && pattern->size() == 1) every = key("attention.sliding_window_pattern");
    for (const WindowPattern& known : window_patterns)
      if (!pattern && known.architecture == out_.architecture) every = known.every;
    if (!every && (!pattern || pattern->size() < out_.layers.size())) {
      unknown("which layers see only the last " + std::to_string(window) + " tokens: all are taken to see everything");
      return;
    }
    for (std::size_t i = 0; i < out_.layers.size(); ++i) {
      const bool windowed = every ? *every == 0 || i % *every + 1 < *every : (*pattern)[i] != 0;
      if (windowed) out_.layers[i].window = window;
    }
  }

  void take_cache() {
    out_.kv_rank = key("attention.kv_lora_rank").value_or(0);
    const bool latent = out_.kv_rank > 0 && std::ranges::any_of(seen_, &Seen::latent);
    if (!latent) out_.kv_rank = 0;
    if (latent) out_.rope_length = key("rope.dimension_count").value_or(0);
    if (latent && out_.rope_length == 0) unknown("how long the turned part of a latent key is: none");
    const std::uint64_t shared = key("attention.shared_kv_layers").value_or(0);
    for (std::size_t i = 0; i < out_.layers.size(); ++i)
      if (i + shared >= out_.layers.size()) out_.layers[i].owns_cache = shared == 0;
    const std::uint64_t inner = key("ssm.inner_size").value_or(0), state = key("ssm.state_size").value_or(0);
    bool without = false;
    for (std::size_t i = 0; i < out_.layers.size(); ++i) {
      if (!seen_[i].state) continue;
      if (inner > 0 && state > 0 && inner < largest_figure / std::max<std::uint64_t>(state, 1))
        out_.layers[i].state = inner * state;
      else
        without = true;
    }
    if (without) unknown("how much state the recurrent layers keep");
  }

  const GgufHeader& header_;
  ModelShape out_;
  std::vector<Seen> seen_;
  std::optional<bool> halves_;
};

}  // namespace

double ModelShape::bits_per_weight() const noexcept {
  return weights_bytes && parameters > 0 ? 8 * static_cast<double>(*weights_bytes) / static_cast<double>(parameters)
                                         : 0;
}

ModelShape totals_of(const GgufHeader& header) {
  ModelShape out;
  out.architecture = header.text("general.architecture").value_or("");
  out.name = header.text("general.name").value_or("");
  std::map<std::string, TypeUse> types;
  std::uint64_t bytes = 0;
  bool all_known = true;
  for (const GgufTensor& tensor : header.tensors) {
    std::string type(tensor.type_name);
    if (type.empty()) type = "type " + std::to_string(tensor.type);
    TypeUse& use = types[type];
    use.type = std::move(type);
    ++use.tensors;
    use.elements = capped(use.elements, tensor.elements);
    if (tensor.bytes) use.bytes = capped(use.bytes.value_or(0), *tensor.bytes);
    out.parameters = capped(out.parameters, tensor.elements);
    if (tensor.bytes) bytes = capped(bytes, *tensor.bytes);
    all_known = all_known && tensor.bytes.has_value();
  }
  if (all_known)
    out.weights_bytes = bytes;
  else
    out.unknown.emplace_back("bytes of tensors whose type nobody here knows");
  for (auto& [name, use] : types) out.types.push_back(std::move(use));
  std::ranges::sort(out.types, [](const TypeUse& a, const TypeUse& b) { return a.bytes > b.bytes; });
  return out;
}

Result<ModelShape> shape_of(const GgufHeader& header) { return Shaper(header).shape(); }

}  // namespace prony::complexity
