#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.hpp"
#include "complexity/huggingface.hpp"

namespace prony::complexity {

namespace {

using ConfigJson = nlohmann::json;

constexpr std::uint64_t largest_config_figure = std::uint64_t{1} << 40, most_config_layers = 4096;

// How a window is spread over layers where `layer_types` does not say it.
enum class WindowRule { none, all, every_other, if_used, five_of_six };
struct KnownArchitecture {
  std::string_view model_type;
  WindowRule window;
  bool tied_unless_said;  // what transformers take where tie_word_embeddings is left out
};
constexpr std::array<KnownArchitecture, 15> known_architectures{{{"llama", WindowRule::none, false},
                                                                 {"mistral", WindowRule::all, false},
                                                                 {"mixtral", WindowRule::all, false},
                                                                 {"qwen2", WindowRule::if_used, false},
                                                                 {"qwen2_moe", WindowRule::if_used, false},
                                                                 {"qwen3", WindowRule::if_used, false},
                                                                 {"qwen3_moe", WindowRule::if_used, false},
                                                                 {"gemma", WindowRule::none, true},
                                                                 {"gemma2", WindowRule::every_other, true},
                                                                 {"gemma3_text", WindowRule::five_of_six, true},
                                                                 {"deepseek_v2", WindowRule::none, false},
                                                                 {"deepseek_v3", WindowRule::none, false},
                                                                 {"gpt2", WindowRule::none, true},
                                                                 {"phi3", WindowRule::all, false},
                                                                 {"olmo2", WindowRule::none, false}}};

std::optional<std::uint64_t> config_number(const ConfigJson& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_number_unsigned()) return std::nullopt;
  const auto value = found->get<std::uint64_t>();
  return value <= largest_config_figure ? std::optional(value) : std::nullopt;
}

std::string config_text(const ConfigJson& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<bool> config_truth(const ConfigJson& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_boolean() ? std::optional(found->get<bool>()) : std::nullopt;
}

class ConfigReader {
 public:
  ConfigReader(const ConfigJson& json, const KnownArchitecture& known, HuggingfaceConfig& out)
      : json_(json), known_(known), out_(out) {}

  void read() {
    put("block_count", {"num_hidden_layers", "n_layer"});
    put("embedding_length", {"hidden_size", "n_embd"});
    put("context_length", {"max_position_embeddings", "n_positions"});
    put("attention.head_count", {"num_attention_heads", "n_head"});
    put("attention.head_count_kv", {"num_key_value_heads"});
    put("attention.key_length", {"head_dim"});
    put("attention.kv_lora_rank", {"kv_lora_rank"});
    put("rope.dimension_count", {"qk_rope_head_dim"});
    put("expert_count", {"num_local_experts", "num_experts", "n_routed_experts"});
    put("expert_used_count", {"num_experts_per_tok"});
    take_window();
    out_.tied = config_truth(json_, "tie_word_embeddings").value_or(known_.tied_unless_said);
  }

 private:
  void keep(const char* key, GgufValue value) {
    out_.keys.values.insert_or_assign(out_.model_type + "." + key, std::move(value));
  }
  void put(const char* key, std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (const auto value = config_number(json_, name)) return keep(key, *value);
  }

  void take_window() {
    const auto window = config_number(json_, "sliding_window");
    const auto layers = config_number(json_, "num_hidden_layers").value_or(0);
    if (!window || *window == 0 || layers == 0 || layers > most_config_layers) return;
    std::vector<double> windowed;
    const auto types = json_.find("layer_types");
    if (types != json_.end() && types->is_array()) {
      for (const auto& type : *types) windowed.push_back(type == "sliding_attention" ? 1 : 0);
    } else {
      const auto pattern = config_number(json_, "sliding_window_pattern").value_or(6);
      for (std::uint64_t i = 0; i < layers; ++i) windowed.push_back(has_window(i, std::max<std::uint64_t>(pattern, 1)));
    }
    if (std::ranges::find(windowed, 1.0) == windowed.end()) return;
    keep("attention.sliding_window", *window);
    keep("attention.sliding_window_pattern", std::move(windowed));
  }
  [[nodiscard]] double has_window(std::uint64_t layer, std::uint64_t pattern) const {
    switch (known_.window) {
      case WindowRule::none: return 0;
      case WindowRule::all: return 1;
      case WindowRule::every_other: return layer % 2 == 0 ? 1 : 0;
      case WindowRule::five_of_six: return (layer + 1) % pattern != 0 ? 1 : 0;
      case WindowRule::if_used:
        return config_truth(json_, "use_sliding_window").value_or(false) &&
                       layer >= config_number(json_, "max_window_layers").value_or(0)
                   ? 1
                   : 0;
    }
    return 0;
  }

  const ConfigJson& json_;
  const KnownArchitecture& known_;
  HuggingfaceConfig& out_;
};

void take_packing(const ConfigJson& json, HuggingfaceConfig& out) {
  const auto packing = json.find("quantization_config");
  if (packing == json.end() || !packing->is_object()) return;
  out.packing = config_text(*packing, "quant_method");
  if (out.packing.empty()) out.packing = "a method that is not named";
  out.packed_bits = config_number(*packing, "bits").value_or(0);
}

}  // namespace

Result<HuggingfaceConfig> parse_huggingface_config(std::string_view text) {
  const auto json = ConfigJson::parse(text, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::malformed, "damaged config.json: it is no JSON object");
  HuggingfaceConfig out;
  out.model_type = config_text(json, "model_type");
  out.keys.values["general.architecture"] = out.model_type;
  take_packing(json, out);
  const auto known =
      std::ranges::find(known_architectures, std::string_view(out.model_type), &KnownArchitecture::model_type);
  if (known != known_architectures.end())
    ConfigReader(json, *known, out).read();
  else
    out.why_no_costs = out.model_type.empty()
                           ? "config.json does not say its model_type"
                           : "what '" + printable(out.model_type, 40) + "' computes for a token is not known here";
  return out;
}

}  // namespace prony::complexity
