#include "complexity/ollama_store.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "complexity/open_file.hpp"

namespace prony::complexity {

namespace {

constexpr std::size_t longest_manifest = 1u << 20, longest_part = 350;
constexpr std::size_t most_layers_of_a_manifest = 1024;
constexpr std::string_view kind_prefix = "application/vnd.ollama.image.";

bool letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// One step of a path: it cannot be "..", be empty, or hold a separator.
bool is_part(std::string_view part, bool host) {
  if (part.empty() || part.size() > longest_part || !letter_or_digit(part.front())) return false;
  return std::ranges::all_of(
      part, [host](char c) { return letter_or_digit(c) || c == '-' || c == '_' || c == '.' || (host && c == ':'); });
}

Unexpected<Error> no_name(std::string_view name) {
  return fail(
      ErrorCode::usage, "'" + printable(name, 80) + "' is no name of an Ollama model", {},
      "Names look like llama3.2, llama3.2:3b, user/model:tag or host/user/model:tag; `ollama list` shows them.");
}

// "sha256:…", or "sha256-…" as older versions wrote it.
std::string blob_of(std::string_view digest) {
  constexpr std::size_t digits = 64;
  if (!digest.starts_with("sha256:") && !digest.starts_with("sha256-")) return {};
  const std::string_view hex = digest.substr(7);
  if (hex.size() != digits || hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) return {};
  return "sha256-" + std::string(hex);
}

std::string string_at(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<OllamaLayer> layer_of(const nlohmann::json& json) {
  OllamaLayer layer;
  if (!json.is_object()) return fail(ErrorCode::malformed, "damaged manifest: a layer is no object");
  const std::string type = string_at(json, "mediaType"), digest = string_at(json, "digest");
  layer.kind = type.starts_with(kind_prefix) ? type.substr(kind_prefix.size()) : type;
  layer.blob_name = blob_of(digest);
  if (layer.blob_name.empty())
    return fail(ErrorCode::malformed, "damaged manifest: '" + printable(digest, 80) + "' is no SHA-256 digest");
  const auto size = json.find("size");
  if (size == json.end() || !size->is_number_unsigned())
    return fail(ErrorCode::malformed, "damaged manifest: a layer without a size");
  layer.bytes = size->get<std::uint64_t>();
  return layer;
}

}  // namespace

Result<std::string> ollama_manifest_place(std::string_view name) {
  std::vector<std::string_view> parts = split(name, '/');
  if (parts.size() > 3) return no_name(name);
  std::string_view tag = "latest", model = parts.back();
  if (const std::size_t colon = model.find(':'); colon != std::string_view::npos) {
    tag = model.substr(colon + 1);
    model = model.substr(0, colon);
  }
  const std::string_view host = parts.size() == 3 ? parts[0] : "registry.ollama.ai";
  const std::string_view user = parts.size() >= 2 ? parts[parts.size() - 2] : "library";
  if (!is_part(host, true) || !is_part(user, false) || !is_part(model, false) || !is_part(tag, false))
    return no_name(name);
  return std::string(host) + "/" + std::string(user) + "/" + std::string(model) + "/" + std::string(tag);
}

Result<std::vector<OllamaLayer>> parse_ollama_manifest(std::string_view text) {
  if (text.size() > longest_manifest) return fail(ErrorCode::full, "a manifest longer than 1 MiB");
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto layers = json.is_object() ? json.find("layers") : json.end();
  if (!json.is_object() || layers == json.end() || !layers->is_array() || layers->size() > most_layers_of_a_manifest)
    return fail(ErrorCode::malformed, "damaged manifest: it is no JSON object with a list of layers");
  std::vector<OllamaLayer> result;
  for (const auto& one : *layers) {
    auto layer = layer_of(one);
    if (!layer) return Unexpected<Error>(layer.error());
    result.push_back(std::move(*layer));
  }
  return result;
}

Result<OllamaModel> find_ollama_model(const std::string& store, std::string_view name) {
  const auto place = ollama_manifest_place(name);
  if (!place) return Unexpected<Error>(place.error());
  const std::string path = store + "/manifests/" + *place;
  const auto text = read_text(path, longest_manifest);
  if (!text && text.error().code == ErrorCode::absent)
    return fail(ErrorCode::absent, "no Ollama model '" + printable(name, 80) + "' here", path,
                "`ollama list` shows those that there are; OLLAMA_MODELS names the folder where they are kept.");
  if (!text) return Unexpected<Error>(text.error());
  auto layers = parse_ollama_manifest(*text);
  if (!layers) {
    layers.error().where = path;
    return Unexpected<Error>(layers.error());
  }
  OllamaModel model;
  for (const OllamaLayer& layer : *layers) {
    if (layer.kind == "projector" || layer.kind == "adapter") model.beside.push_back(layer.kind);
    if (layer.kind != "model") continue;
    const std::string blob = store + "/blobs/" + layer.blob_name;
    const auto file = OpenFile::open(blob);
    if (!file) return Unexpected<Error>(file.error());
    if (file->bytes() != layer.bytes)
      return fail(
          ErrorCode::malformed,
          "the blob has " + std::to_string(file->bytes()) + " bytes, the manifest says " + std::to_string(layer.bytes),
          blob, "`ollama pull " + printable(name, 80) + "` fetches what is missing.");
    model.weights.push_back(blob);
  }
  if (model.weights.empty()) return fail(ErrorCode::malformed, "the manifest names no weights", path);
  return model;
}

}  // namespace prony::complexity
