#include "complexity/huggingface.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <utility>

#include "base/text.hpp"
#include "complexity/gguf_files.hpp"
#include "complexity/open_file.hpp"
#include "complexity/safetensors.hpp"

namespace prony::complexity {

namespace {

constexpr std::size_t longest_config = 4u << 20, longest_index = 64u << 20;

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> block_names{{
    {"self_attn.q_proj.", "attn_q."},
    {"self_attn.k_proj.", "attn_k."},
    {"self_attn.v_proj.", "attn_v."},
    {"self_attn.o_proj.", "attn_output."},
    {"self_attn.qkv_proj.", "attn_qkv."},
    {"attn.c_attn.", "attn_qkv."},
    {"attn.c_proj.", "attn_output."},
    {"self_attn.kv_a_proj_with_mqa.", "attn_kv_a_mqa."},
    {"self_attn.kv_b_proj.", "attn_kv_b."},
}};

std::string block_name(std::string_view rest) {
  for (const auto& [from, to] : block_names)
    if (rest.starts_with(from)) return std::string(to) + std::string(rest.substr(from.size()));
  // Of experts each has tensors of its own; GGUF has one of all.
  if (rest.find(".experts.") != std::string_view::npos)
    return "ffn_exps." + std::string(rest.substr(rest.rfind('.') + 1));
  return std::string(rest);
}

// Masks and frequencies that were stored with the weights: nothing that was learned, and remade at loading.
bool is_buffer(const GgufTensor& tensor) {
  return (tensor.name.ends_with(".attn.bias") && tensor.dimensions == 4) ||
         tensor.name.ends_with(".attn.masked_bias") || tensor.name.ends_with(".rotary_emb.inv_freq");
}

constexpr std::array<std::string_view, 7> scale_endings{
    ".scales", ".qzeros", ".g_idx", ".weight_scale", ".input_scale", ".weight_scale_inv", ".kv_scale"};

// Why packed weights cannot be counted; empty: they can, and are.
std::string unpack(const HuggingfaceConfig& config, std::vector<GgufTensor>& tensors) {
  if (config.packing.empty()) return {};
  const bool words = config.packing == "gptq" || config.packing == "awq";
  const std::uint64_t bits = config.packed_bits;
  if (!(words && bits >= 2 && bits <= 8) && config.packing != "fp8")
    return "how many weights '" + printable(config.packing, 40) + "' packs into its numbers is not known here";
  for (GgufTensor& tensor : tensors) {
    const std::string_view name = tensor.name;
    if (std::ranges::any_of(scale_endings, [name](std::string_view end) { return name.ends_with(end); }))
      tensor.elements = 0;  // bytes that are read, but no parameters
    if (!words || !name.ends_with(".qweight")) continue;
    tensor.elements = std::min(*tensor.bytes, std::uint64_t{1} << 60) * 8 / bits;
    tensor.type_name = bits == 4 ? "4-bit packed" : bits == 8 ? "8-bit packed" : "packed";
    tensor.name.replace(name.size() - 7, 7, "weight");
  }
  return {};
}

Result<std::set<std::string>> files_of_folder(const std::string& folder) {
  std::set<std::string> names;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (name.ends_with(".safetensors")) names.insert(name);
    if (names.size() > most_model_files)
      return fail(ErrorCode::full, "more safetensors files than any model has", folder);
  }
  if (failed) return Unexpected<Error>(error_from_errno(failed.value(), folder));
  return names;
}

Result<std::vector<GgufTensor>> tensors_of(const std::string& folder, HuggingfaceFiles& files) {
  const auto index_text = read_text(folder + "/model.safetensors.index.json", longest_index);
  if (!index_text && index_text.error().code != ErrorCode::absent) return Unexpected<Error>(index_text.error());
  WeightMap map;
  std::set<std::string> names;
  if (index_text) {
    auto index = parse_safetensors_index(*index_text);
    if (!index) return fail(index.error().code, index.error().what, folder + "/model.safetensors.index.json");
    map = std::move(*index);
    for (const auto& [tensor, file] : map) names.insert(file);
  } else if (auto found = files_of_folder(folder)) {
    names = std::move(*found);
    if (names.contains("model.safetensors")) names = {"model.safetensors"};  // others are adapters or other forms of it
  } else {
    return Unexpected<Error>(found.error());
  }
  if (names.empty() || names.size() > most_model_files)
    return fail(ErrorCode::absent, "no safetensors files, or more than any model has", folder,
                "A folder needs config.json and *.safetensors; of other weights nothing is read.");
  std::vector<GgufTensor> tensors;
  for (const std::string& name : names) {
    auto file = read_safetensors(folder + "/" + name);
    if (!file && file.error().code == ErrorCode::absent)
      return fail(ErrorCode::absent, "a file of the model is missing", folder + "/" + name,
                  "model.safetensors.index.json names " + std::to_string(names.size()) + " files.");
    if (!file) return Unexpected<Error>(file.error());
    if (file->tensors.size() > most_tensors - tensors.size())
      return fail(ErrorCode::full, "the files together have more tensors than any model has", folder);
    files.paths.push_back(folder + "/" + name);
    files.bytes += file->bytes;
    for (GgufTensor& tensor : file->tensors) {
      if (const auto told = map.find(tensor.name); index_text && (told == map.end() || told->second != name)) continue;
      map.erase(tensor.name);
      tensors.push_back(std::move(tensor));
    }
    if (map.empty() && index_text) break;
  }
  if (!map.empty())
    return fail(ErrorCode::malformed, "tensor '" + printable(map.begin()->first, 60) + "' is not where the index says",
                folder + "/" + map.begin()->second);
  return tensors;
}

}  // namespace

std::string gguf_name(std::string_view name) {
  for (const std::string_view prefix : {"model.", "transformer."})
    if (name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
      break;
    }
  if (name == "embed_tokens.weight" || name == "wte.weight") return "token_embd.weight";
  if (name == "lm_head.weight") return "output.weight";
  for (const std::string_view blocks : {"layers.", "h."}) {
    if (!name.starts_with(blocks)) continue;
    const std::size_t dot = name.find('.', blocks.size());
    if (dot == std::string_view::npos) break;
    return "blk." + std::string(name.substr(blocks.size(), dot - blocks.size())) + "." +
           block_name(name.substr(dot + 1));
  }
  return std::string(name);
}

HuggingfaceFiles huggingface_model(HuggingfaceConfig config, std::vector<GgufTensor> tensors) {
  HuggingfaceFiles files;
  files.why_no_costs = std::move(config.why_no_costs);
  std::erase_if(tensors, is_buffer);
  if (std::string why = unpack(config, tensors); !why.empty()) {
    files.why_no_costs = std::move(why);
    for (GgufTensor& tensor : tensors) tensor.elements = 0;  // a sum of packed numbers would pass for parameters
  }
  for (GgufTensor& tensor : tensors) tensor.name = gguf_name(tensor.name);
  // Some store the embedding twice, once under the name of the output matrix; it is one all the same.
  if (config.tied && std::ranges::find(tensors, "token_embd.weight", &GgufTensor::name) != tensors.end())
    std::erase_if(tensors, [](const GgufTensor& tensor) { return tensor.name == "output.weight"; });
  files.header = std::move(config.keys);
  files.header.tensors = std::move(tensors);
  return files;
}

Result<HuggingfaceFiles> read_huggingface(const std::string& folder) {
  const std::string config_path = folder + "/config.json";
  const auto text = read_text(config_path, longest_config);
  if (!text) return Unexpected<Error>(text.error());
  auto config = parse_huggingface_config(*text);
  if (!config) return fail(config.error().code, config.error().what, config_path);
  HuggingfaceFiles read;
  auto tensors = tensors_of(folder, read);
  if (!tensors) return Unexpected<Error>(tensors.error());
  HuggingfaceFiles files = huggingface_model(std::move(*config), std::move(*tensors));
  std::error_code unknown;
  files.header.values["general.name"] = std::filesystem::weakly_canonical(folder, unknown).filename().string();
  files.paths = std::move(read.paths);
  files.bytes = read.bytes;
  return files;
}

}  // namespace prony::complexity
