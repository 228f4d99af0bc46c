#include "app/study_needs.hpp"

#include <algorithm>
#include <filesystem>

#include "app/http_engine.hpp"
#include "app/model_source.hpp"
#include "base/text.hpp"
#include "complexity/model_cost.hpp"
#include "reports/figures.hpp"

namespace prony::app {

namespace {

constexpr std::uint64_t default_context = 4096;  // both workers' own, where the model was trained for more
constexpr std::uint64_t most_of_a_budget = 16;   // requests of a number of tokens, however short the prompts

struct Together {
  double sequences = 1, context = 0;
  std::uint64_t beyond = 0;  // the context that the model was trained for, where more is asked for
};

// How many requests a worker keeps a cache of together, and how long each, as `prony-engine-llama` and the worker for
// transformers do it.
Together together(const study::Variant& variant, const complexity::ModelShape& shape) {
  const auto asked = parse_u64(variant.word("ctx"));
  const std::uint64_t trained = shape.context_length;
  std::uint64_t context = asked.value_or(trained == 0 ? default_context : std::min(trained, default_context));
  Together all;
  if (trained > 0 && context > trained) all.beyond = trained;
  const std::string batching = variant.word("batching");
  const auto number = parse_u64(batching.substr(std::min(batching.find(':'), batching.size() - 1) + 1));
  if (!batching.empty() && number && *number > 0) {
    const bool budget = batching.starts_with("dynamic");
    all.sequences = static_cast<double>(budget ? std::min(*number, most_of_a_budget) : *number);
    if (budget) context = std::min(context, std::max<std::uint64_t>(*number, 8));
  }
  all.context = static_cast<double>(context);
  return all;
}

// Bytes of the weights and of a number in the cache, as the worker holds them.
struct HeldModel {
  std::optional<double> weights_bytes;
  double cache_number_bytes = complexity::f16_bytes;
  std::string remark;
};

// PyTorch casts to the format that was asked for; what bitsandbytes packs is its own affair.
HeldModel held_by_transformers(const study::Variant& variant, const complexity::ModelShape& shape) {
  HeldModel held;
  if (shape.weights_bytes) held.weights_bytes = static_cast<double>(*shape.weights_bytes);
  const std::string dtype = variant.word("dtype"), packed = variant.word("quantisation");
  double bytes = dtype == "float32" ? 4 : dtype == "float16" || dtype == "bfloat16" ? 2 : 0;
  if (bytes == 0) {  // as the files have it
    bytes =
        shape.parameters > 0 && held.weights_bytes && *held.weights_bytes > 3.0 * static_cast<double>(shape.parameters)
            ? 4
            : 2;
  } else if (shape.parameters > 0) {
    held.weights_bytes = bytes * static_cast<double>(shape.parameters);
  }
  held.cache_number_bytes = bytes;
  if (!packed.empty() && packed != "none") held.remark = "before " + printable(packed, 20) + " packs them";
  return held;
}

std::string words_of(const study::Variant& variant, const complexity::ModelShape& shape, const HeldModel& held) {
  std::string words;
  if (held.weights_bytes) {
    words = figures::bytes(*held.weights_bytes) + " of weights";
    if (!held.remark.empty()) words += " (" + held.remark + ")";
  }
  if (shape.layers.empty())
    return words.empty() ? "its model's shape is not known" : words + "; its cache is not known";
  const Together all = together(variant, shape);
  const complexity::MemoryEstimate memory =
      complexity::memory_estimate(shape, all.context, all.sequences, held.cache_number_bytes);
  if (!words.empty()) words += " + ";
  if (all.sequences > 1) words += figures::count(all.sequences) + " × ";
  words += figures::bytes(memory.kv_bytes / all.sequences) + " of cache at " + figures::count(all.context) + " tokens";
  if (held.weights_bytes && held.remark.empty()) words += " = " + figures::bytes(*held.weights_bytes + memory.kv_bytes);
  if (all.beyond > 0)
    words += "; the model was trained for " + figures::count(static_cast<double>(all.beyond)) + " tokens of context";
  return words;
}

std::string needed_by_server(const study::Variant& variant, const std::string& engine) {
  if (engine != "ollama" || !variant.word("url").empty()) return "the server's own affair";
  const auto named = read_named_model(ollama_prefix + study::filled(variant, variant.word("model")));
  if (!named) return "the server's own affair (in no store here is a model of this name)";
  const complexity::ModelShape& shape = named->model.shape;
  if (variant.word("ctx").empty()) {  // how long a context is, is the server's choice
    if (!shape.weights_bytes) return "its model's types are not known";
    return figures::bytes(static_cast<double>(*shape.weights_bytes)) +
           " of weights, and the cache of what the server keeps";
  }
  HeldModel held;
  if (shape.weights_bytes) held.weights_bytes = static_cast<double>(*shape.weights_bytes);
  return words_of(variant, shape, held);
}

}  // namespace

std::string memory_needed(const study::Variant& variant) {
  if (const study::Value* worker = variant.find("worker"); worker != nullptr && !worker->is(study::Value::Kind::null))
    return "its worker's own affair";
  const std::string engine = variant.word("engine");
  if (is_http_engine(engine)) return needed_by_server(variant, engine);
  const std::string path = study::filled(variant, variant.word("model"));
  if (path.empty()) return "no model file named";
  const auto named = read_named_model(path);
  std::error_code ignored;
  if (!named && engine == "transformers" && std::filesystem::exists(path + "/config.json", ignored))
    return "its folder has a config.json and no weights whose size could be read";
  if (!named)
    return named.error().code == ErrorCode::absent ? "its model is not there yet"
                                                   : "its model cannot be read: " + printable(named.error().what, 100);
  const complexity::ModelShape& shape = named->model.shape;
  if (engine == "transformers") return words_of(variant, shape, held_by_transformers(variant, shape));
  HeldModel held;
  if (shape.weights_bytes) held.weights_bytes = static_cast<double>(*shape.weights_bytes);
  return words_of(variant, shape, held);
}

}  // namespace prony::app
