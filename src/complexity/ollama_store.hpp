// Where Ollama keeps a model: NAME → manifest → blobs, read from its folder without a server. A name or manifest that
// would lead out of that folder is refused. Any thread. Errors: usage (no name of a model), absent (not in this store),
// malformed (a manifest that is none; a blob of another size than it says), full (a manifest longer than 1 MiB).
// Source: Ollama's types/model/name.go and server/manifest.go (layout of manifests and blobs).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace prony::complexity {

// "llama3.2", "user/model:tag", "hf.co/user/repo:Q4_K_M" → "registry.ollama.ai/library/llama3.2/latest", …
[[nodiscard]] Result<std::string> ollama_manifest_place(std::string_view name);

struct OllamaLayer {
  std::string kind;       // what follows "application/vnd.ollama.image.": model, projector, adapter, template, …
  std::string blob_name;  // "sha256-" and 64 digits
  std::uint64_t bytes = 0;
};
[[nodiscard]] Result<std::vector<OllamaLayer>> parse_ollama_manifest(std::string_view text);

struct OllamaModel {
  std::vector<std::string> weights;  // paths of the GGUF files, in order
  std::vector<std::string> beside;   // kinds of other weights that are not read: "projector", "adapter"
};
// `store`: the folder that holds manifests/ and blobs/.
[[nodiscard]] Result<OllamaModel> find_ollama_model(const std::string& store, std::string_view name);

}  // namespace prony::complexity
